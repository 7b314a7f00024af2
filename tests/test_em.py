"""The loop: what it lowers, when it stops, and an independent slow version of it."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import TruncatedKMeans


def slow_fit(X, w, centers, temperature, n_iter, definition, factor=None):
    """Return centers and temperature after EM by definition, and both histories."""
    free_energies, temperatures = [], []
    if factor:
        nearest = cdist(X, centers, "sqeuclidean").min(axis=1)
        temperature = factor * (w @ nearest) / (w.sum() * X.shape[1])
    for _ in range(n_iter):
        d = cdist(X, centers, "sqeuclidean")
        p = definition.responsibilities(d, temperature) * w[:, np.newaxis]
        free_energies.append(w @ definition.free_energies(d, temperature))
        temperatures.append(temperature)
        centers = (p.T @ X) / p.sum(axis=0)[:, np.newaxis]
        if factor:
            d = cdist(X, centers, "sqeuclidean")
            temperature = factor * (p * d).sum() / (w.sum() * X.shape[1])
    return centers, temperature, np.array(free_energies), np.array(temperatures)


@pytest.mark.one_temperature
@pytest.mark.parametrize("container", [np.array, csr_array])
@pytest.mark.temperatures(3.0, "auto", "ml")
def test_fit_is_the_slow_loop(
    estimator_class, definition, blobs, container, temperature, factor
):
    w = np.random.default_rng(0).random(len(blobs))
    model = estimator_class(
        5, temperature=temperature, init=blobs[:5], max_iter=6, tol=0
    )
    with pytest.warns(ConvergenceWarning, match="max_iter=6"):
        model.fit(container(blobs), sample_weight=w)
    centers, last, free_energies, temperatures = slow_fit(
        blobs, w, blobs[:5], temperature, 6, definition, factor
    )
    assert_allclose(model.cluster_centers_, centers, rtol=1e-10)
    assert_allclose(model.temperature_, last)
    assert_allclose(model.free_energies_, free_energies)
    assert_allclose(model.temperatures_, temperatures)
    d = cdist(blobs, centers, "sqeuclidean")
    p = definition.responsibilities(d, last)
    assert_allclose(model.inertia_, w @ d.min(axis=1))
    assert_allclose(model.soft_inertia_, w @ (p * d).sum(axis=1))
    assert_allclose(model.variance_, model.soft_inertia_ / (w.sum() * 4))
    assert_allclose(model.free_energy_, w @ definition.free_energies(d, last))


def scatter(X, w):
    return w @ ((X - np.average(X, axis=0, weights=w)) ** 2).sum(axis=1)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
@pytest.mark.parametrize("unit", [0, 1e-6, 0.02, 0.3, 0.9, 3.0, 1e4])
def test_free_energy_never_rises(any_order, blobs, dtype, seed, unit, scale):
    X = (blobs * scale).astype(dtype)
    w = np.random.default_rng(seed).random(len(X))
    params = {"temperature": unit, "temperature_unit": "critical"}
    model = any_order(6, init="random", n_init=1, random_state=seed, **params)
    with warnings.catch_warnings():
        # Some of these temperatures collapse or merge centers, and say so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, sample_weight=w)
    slack = 1e-12 if dtype == np.float64 else 1e-6
    bound = slack * (abs(model.free_energies_[:-1]) + scatter(X.astype(float), w))
    assert (np.diff(model.free_energies_) <= bound).all()
    assert model.free_energy_ <= model.free_energies_[-1] + bound[-1]
    assert model.inertia_ <= model.free_energy_
    # Collapsed centers can be equal in X's dtype, and with them all distances.
    collapsed = (model.cluster_centers_ == model.cluster_centers_[0]).all()
    assert (model.inertia_ == model.free_energy_) == (unit == 0 or collapsed)


@pytest.mark.one_temperature
@pytest.mark.temperatures("auto", "ml")
def test_learned_temperature_never_raises_its_objective(
    estimator_class, blobs, temperature, factor
):
    w = np.random.default_rng(0).random(len(blobs))
    model = estimator_class(6, temperature=temperature, random_state=0)
    model.fit(blobs, sample_weight=w)
    size = w.sum() * blobs.shape[1]
    temperatures = np.r_[model.temperatures_, model.temperature_]
    free_energies = np.r_[model.free_energies_, model.free_energy_]
    objective = free_energies / temperatures + size / factor * np.log(temperatures)
    assert (np.diff(objective) <= 1e-12 * abs(objective[0])).all()
    assert_allclose(model.temperature_, factor * model.variance_, rtol=1e-3)


@pytest.mark.one_temperature
@pytest.mark.parametrize("temperature", [1e-300, 1e-30, 1e-3, 1e3, 1e30, 1e300])
@pytest.mark.parametrize("container", [np.array, csr_array])
def test_every_temperature_gives_finite_results(
    estimator_class, blobs, temperature, container, dtype, assert_finite_attributes
):
    X = container(blobs.astype(dtype))
    model = estimator_class(4, temperature=temperature, random_state=0)
    if estimator_class is TruncatedKMeans:
        with warnings.catch_warnings():
            # Three of four clusters come near to collapse.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X)
    elif temperature > 100:
        with pytest.warns(ConvergenceWarning, match="collapsed"):
            model.fit(X)
        mean = blobs.mean(axis=0)
        assert_allclose(model.cluster_centers_, np.tile(mean, (4, 1)), atol=1e-2)
    else:
        model.fit(X)
    assert_finite_attributes(model)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-6)
    assert np.isfinite(model.transform(X)).all()
    assert np.isfinite(model.score(X))


@pytest.mark.one_temperature
def test_tolerance_bounds_the_distance_that_is_left(estimator_class, blobs):
    # Near a transition convergence is slow: the last shift says little.
    params = {"temperature": 0.9, "temperature_unit": "critical", "random_state": 0}
    model = estimator_class(2, **params).fit(blobs)
    exact = estimator_class(2, **params, tol=1e-20, max_iter=5000).fit(blobs)
    left = ((model.cluster_centers_ - exact.cluster_centers_) ** 2).sum()
    assert left <= 2 * 1e-4 * blobs.var(axis=0).mean()
    assert model.n_iter_ < exact.n_iter_


@pytest.mark.one_temperature
def test_a_fixed_point_stays_where_it_is(estimator_class, blobs):
    first = estimator_class(4, temperature=2.0, tol=1e-24, random_state=0).fit(blobs)
    again = estimator_class(4, temperature=2.0, init=first.cluster_centers_).fit(blobs)
    assert again.n_iter_ <= 2
    assert_allclose(again.cluster_centers_, first.cluster_centers_, rtol=1e-9)
