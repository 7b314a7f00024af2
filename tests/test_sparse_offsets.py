"""CSR columns far from 0 against long doubles, and against the same rows near 0."""

from contextlib import nullcontext

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import SoftKMeans, critical_temperature, temperature_path
from sk_softkmeans.metrics import neg_inertia_scorer, soft_silhouette, xie_beni

TEMPERATURES = pytest.mark.temperatures(0, 8.0, "auto", "ml", "solved")
OFFSETS = pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e9])
# How exact float64 is at any offset.
RTOL = 1e-6


def on_grid(x):
    """Return numbers of few digits, which are as many beside an offset."""
    return np.round(x * 2**16) / 2**16


@pytest.fixture
def near(blobs):
    """Return rows about 0: two stored columns, one of which half is 0, a constant."""
    X = on_grid(blobs - blobs.mean(axis=0))
    X[:150, 2], X[:, 3] = 0, 2.0
    return np.random.default_rng(0).permutation(X)


def moved(X, offset):
    """Return the same rows with three columns at offsets that are exact."""
    return X + np.array([offset, -3 * offset, 0, offset / 4])


def squared(X, centers):
    """Return all squared distances, slowly and in long doubles."""
    X, centers = X.astype(np.longdouble), centers.astype(np.longdouble)
    d = [((X - center) ** 2).sum(axis=1) for center in centers]
    return np.column_stack(d).astype(np.float64)


def assert_model_is_exact(model, X, definition, weights, rtol=RTOL):
    """Compare what a fitted model says of the rows it is from to the definitions."""
    x, d = csr_array(X), squared(X, model.cluster_centers_)
    n_samples, n_features = X.shape
    rows, t = np.arange(n_samples), model.temperature_
    p = definition.responsibilities(d, t)
    soft = weights @ (p * d).sum(axis=1)
    assert_allclose(model.inertia_, weights @ d.min(axis=1), rtol=rtol)
    assert_allclose(model.soft_inertia_, soft, rtol=rtol)
    energies = definition.free_energies(d, t)
    assert_allclose(model.free_energy_, weights @ energies, rtol=rtol)
    assert_allclose(model.variance_, soft / weights.sum() / n_features, rtol=rtol)
    assert_array_equal(model.labels_, model.predict(x))
    assert_allclose(d[rows, model.labels_], d.min(axis=1), rtol=rtol)
    assert_allclose(model.predict_proba(x), p, atol=rtol)
    assert_allclose(model.transform(x), np.sqrt(d), rtol=rtol)
    assert_allclose(neg_inertia_scorer(model, x, None, weights), -model.inertia_, rtol)
    v = model.variance_
    density = np.log(np.exp((d.min(axis=1, keepdims=True) - d) / (2 * v)).mean(axis=1))
    density -= d.min(axis=1) / (2 * v) + n_features / 2 * np.log(2 * np.pi * v)
    assert_allclose(model.score_samples(x), density, rtol=rtol)
    assert_allclose(model.score(x, None, weights), np.average(density, weights=weights))


@TEMPERATURES
@OFFSETS
@pytest.mark.parametrize("weighted", [False, True])
def test_a_model_is_exact(
    estimator_class, temperature, at, offset, near, definition, weighted
):
    X = moved(near, offset)
    weights = np.random.default_rng(1).random(300) if weighted else np.ones(300)
    model = estimator_class(5, **at(temperature), random_state=0)
    model.fit(csr_array(X), sample_weight=weights if weighted else None)
    assert_model_is_exact(model, X, definition, weights)


@TEMPERATURES
@OFFSETS
@pytest.mark.parametrize("container", [csr_array, csr_matrix])
def test_an_offset_changes_no_fit(
    estimator_class, temperature, at, offset, near, container
):
    expected = estimator_class(5, **at(temperature), random_state=0).fit(near)
    model = estimator_class(5, **at(temperature), random_state=0)
    model.fit(container(moved(near, offset)))
    assert_array_equal(model.labels_, expected.labels_)
    assert model.n_iter_ == expected.n_iter_
    for name in ("inertia_", "soft_inertia_", "free_energy_", "temperature_"):
        assert_allclose(getattr(model, name), getattr(expected, name), RTOL)
    assert_allclose(model.free_energies_, expected.free_energies_, RTOL)
    centers = moved(expected.cluster_centers_, offset)
    assert_allclose(model.cluster_centers_, centers, atol=RTOL, rtol=1e-15)


@OFFSETS
@pytest.mark.parametrize("temperature", [0, 0.01])
def test_an_offset_changes_no_relocated_center(near, offset, temperature):
    init = near[[0, 50, 100, 150, 150]]
    init[3:] = near.mean(axis=0) + [[0.0, 900, 0, 0], [0, 1000, 0, 0]]
    params = {"temperature": temperature, "max_iter": 2, "tol": 0.0}
    with pytest.warns(ConvergenceWarning) if temperature else nullcontext():
        expected = SoftKMeans(5, init=init, **params).fit(near)
        model = SoftKMeans(5, init=moved(init, offset), **params)
        model.fit(csr_array(moved(near, offset)))
    centers = moved(expected.cluster_centers_, offset)
    assert_allclose(model.cluster_centers_, centers, atol=RTOL, rtol=1e-15)
    assert_allclose(model.free_energies_, expected.free_energies_, RTOL)


@OFFSETS
def test_an_offset_changes_no_critical_temperature(near, offset):
    x, weights = csr_array(moved(near, offset)), np.linspace(0, 2, 300)
    expected = critical_temperature(near, sample_weight=weights)
    assert_allclose(critical_temperature(x, sample_weight=weights), expected, RTOL)
    path = temperature_path(x, 4, n_temperatures=5, random_state=0)
    expected = temperature_path(near, 4, n_temperatures=5, random_state=0)
    assert_allclose(path.free_energy, expected.free_energy, RTOL)
    assert_array_equal(path.n_distinct, expected.n_distinct)


@OFFSETS
@pytest.mark.parametrize("sparse", [False, True])
def test_an_offset_changes_no_index(near, offset, sparse):
    X, weights = moved(near, offset), np.linspace(0, 2, 300)
    P = SoftKMeans(4, temperature=8.0, random_state=0).fit(near).predict_proba(near)
    memberships = csr_array(P) if sparse else P
    expected = soft_silhouette(near, P, sample_weight=weights)
    result = soft_silhouette(csr_array(X), memberships, sample_weight=weights)
    assert_allclose(result, expected, RTOL)
    centers = X[:4]
    expected = weights @ (P**2 * squared(X, centers)).sum(axis=1) / weights.sum()
    d = squared(centers, centers)
    expected /= d[d > 0].min()
    result = xie_beni(csr_array(X), memberships, centers, sample_weight=weights)
    assert_allclose(result, expected, RTOL)


@OFFSETS
@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
@pytest.mark.parametrize("temperature", [0, 8.0])
def test_what_is_said_of_a_row_is_its_own(near, offset, share, temperature):
    X = moved(near, offset)
    model = SoftKMeans(5, temperature=temperature, random_state=0).fit(csr_array(X))
    batch, lacks = X.copy(), np.random.default_rng(0).random(300) < share
    batch[lacks, :2] = 0
    order = np.random.default_rng(1).permutation(300)
    for method in ("predict", "predict_proba", "transform", "score_samples"):
        give = getattr(model, method)
        result = give(csr_array(batch))
        expected = result.copy()
        # A few that have the columns, and some that lack them.
        for i in [*np.flatnonzero(~lacks)[:5], *np.flatnonzero(lacks)[:2]]:
            expected[[i]] = give(csr_array(batch[[i]]))
        # Rows that are far away are said as much of as their distances have digits.
        assert_allclose(result[~lacks], expected[~lacks], rtol=1e-12, atol=1e-12)
        assert_allclose(result[lacks], expected[lacks], rtol=1e-6, atol=1e-6)
        assert_array_equal(give(csr_array(batch[order])), result[order])


@TEMPERATURES
@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9])
def test_weights_decide_which_columns_are_full(
    estimator_class, temperature, at, offset, near, definition
):
    # Most rows lack the columns, and have no weight.
    lacking = np.tile(near, (3, 1))
    lacking[:, [0, 1, 3]] = 0
    X, weights = (
        np.vstack([moved(near, offset), lacking]),
        np.repeat([1, 0], [300, 900]),
    )
    model = estimator_class(5, **at(temperature), random_state=0)
    model.fit(csr_array(X), sample_weight=weights)
    expected = estimator_class(5, **at(temperature), random_state=0)
    expected.fit(csr_array(X[:300]))
    assert_array_equal(model.labels_[:300], expected.labels_)
    assert_array_equal(model.labels_, model.predict(csr_array(X)))
    for name in ("inertia_", "free_energy_", "variance_", "free_energies_"):
        assert_allclose(getattr(model, name), getattr(expected, name), RTOL)


@pytest.mark.parametrize("offset", [0.0, 1e1, 1e3])
@pytest.mark.parametrize("share", [1.0, 0.95, 0.7])
@pytest.mark.parametrize("temperature", [0, 8.0])
@pytest.mark.parametrize("alpha", [1])
def test_csr_is_as_exact_as_an_array(
    near, offset, share, temperature, dtype, definition
):
    X = moved(near, offset)
    X[np.random.default_rng(0).random(300) >= share, 0] = 0
    X = X.astype(dtype)
    init = X[:5].astype(np.float64)
    errors = []
    for container in (np.array, csr_array):
        x = container(X)
        model = SoftKMeans(5, temperature=temperature, init=init).fit(x)
        d = squared(X, model.cluster_centers_)
        p = definition.responsibilities(d, temperature)
        chosen = d[np.arange(300), model.labels_]
        errors.append(
            [
                abs(model.inertia_ / d.min(axis=1).sum() - 1),
                abs(model.transform(x) / np.sqrt(d) - 1).max(),
                abs(model.predict_proba(x) - p).max() if temperature else 0,
                abs(chosen / d.min(axis=1) - 1).max(),
            ]
        )
    of_array, of_csr = np.array(errors)
    assert (of_csr <= 10 * of_array + np.finfo(dtype).eps ** 0.6).all()
