"""AnnealedRBFKMeans: the model after the fit, and what must not change it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits, make_blobs
from threadpoolctl import threadpool_limits

from sk_softkmeans import AnnealedRBFKMeans, critical_temperature

ALPHAS = pytest.mark.parametrize("alpha", [1, 1.2, 1.5, 2])
CASES = pytest.mark.parametrize(
    "params",
    [
        {},
        {"alpha": 1.5},
        {"temperature_max": "critical"},
        {"temperature_min": 2.0},
        {"relocate": False, "alpha": 2},
        {"solver": "gradient", "loss": "distortion"},
    ],
    ids=str,
)


@ALPHAS
def test_auto_temperature_is_that_of_the_spread(blobs, alpha, seed):
    model = AnnealedRBFKMeans(5, alpha=alpha, random_state=seed).fit(blobs)
    expected = 3 ** (alpha - 1) * model.variance_
    assert_allclose(model.temperature_, expected, rtol=1e-3)
    assert_allclose(model.variance_, model.soft_inertia_ / blobs.size)
    assert model.inertia_ < model.soft_inertia_
    assert 0 < model.predict_proba(blobs).max(axis=1).min() < 1


def test_ml_temperature_is_twice_the_variance(blobs, seed):
    model = AnnealedRBFKMeans(5, temperature="ml", random_state=seed).fit(blobs)
    assert_allclose(model.temperature_, 2 * model.variance_, rtol=1e-3)


def test_ml_is_for_softmax(blobs):
    model = AnnealedRBFKMeans(5, temperature="ml", alpha=1.5)
    with pytest.raises(ValueError, match="temperature must be 'auto'"):
        model.fit(blobs)


@ALPHAS
@pytest.mark.parametrize("temperature_min", [0, 3.0])
def test_a_float_temperature_is_that_of_the_model(
    blobs, alpha, definition, temperature_min
):
    params = {"temperature": 2.5, "temperature_min": temperature_min}
    model = AnnealedRBFKMeans(4, alpha=alpha, random_state=0, **params).fit(blobs)
    assert model.temperature_ == 2.5
    d = model.transform(blobs) ** 2
    expected = definition.responsibilities(d, 2.5)
    assert_allclose(model.predict_proba(blobs), expected, atol=1e-9)
    free_energy = definition.free_energies(d, 2.5).sum()
    assert_allclose(model.free_energy_, free_energy)


def test_temperatures_in_critical_units(blobs):
    unit = critical_temperature(blobs)
    params = {"temperature_unit": "critical", "temperature": 0.1, "random_state": 0}
    params |= {"temperature_max": 0.5, "temperature_min": 0.2}
    model = AnnealedRBFKMeans(4, **params).fit(blobs)
    assert_allclose(model.temperature_, 0.1 * unit)
    assert_allclose(model.path_.temperature[[0, -1]], np.multiply([0.5, 0.2], unit))


def test_temperature_zero_is_one_hot(blobs, seed):
    model = AnnealedRBFKMeans(5, temperature=0, random_state=seed).fit(blobs)
    assert model.temperature_ == 0
    assert model.free_energy_ == model.inertia_ == model.soft_inertia_
    assert_array_equal(model.predict_proba(blobs), np.eye(5)[model.labels_])


@ALPHAS
def test_auto_is_temperature_min_where_that_is_positive(blobs, alpha):
    params = {"temperature_min": 3.0, "random_state": 0}
    model = AnnealedRBFKMeans(4, alpha=alpha, **params).fit(blobs)
    assert model.temperature_ == 3
    assert_allclose(model.free_energy_, model.path_.free_energy[-1])


@pytest.mark.parametrize("temperature", ["auto", "ml", 7.0])
def test_temperature_does_not_change_the_centers(blobs, temperature):
    expected = AnnealedRBFKMeans(5, temperature=0, random_state=0).fit(blobs)
    model = AnnealedRBFKMeans(5, temperature=temperature, random_state=0).fit(blobs)
    assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
    assert_array_equal(model.free_energies_, expected.free_energies_)


@pytest.mark.parametrize("temperature_min", [0, 3.0])
def test_n_init_keeps_the_lowest_inertia(blobs, seed, temperature_min):
    params = {"init": "random", "relocate": False, "temperature_min": temperature_min}
    random = np.random.RandomState(seed)
    model = AnnealedRBFKMeans(9, n_init=5, random_state=seed, **params).fit(blobs)
    runs = [
        AnnealedRBFKMeans(9, n_init=1, random_state=random, **params).fit(blobs)
        for _ in range(5)
    ]
    best = min(runs, key=lambda run: run.inertia_)
    assert len({run.inertia_ for run in runs}) > 1
    assert_array_equal(model.cluster_centers_, best.cluster_centers_)
    assert_array_equal(model.path_.centers, best.path_.centers)


def test_digits_end_lower_than_kmeans_from_the_same_seeds():
    X = load_digits().data
    annealed, kmeans = [], []
    for seed in range(5):
        init = kmeans_plusplus(X, 10, random_state=seed)[0]
        annealed.append(AnnealedRBFKMeans(10, init=init).fit(X).inertia_)
        kmeans.append(KMeans(10, init=init, n_init=1).fit(X).inertia_)
    assert np.mean(annealed) <= np.mean(kmeans)


def fitted(X, params, **fit_params):
    return AnnealedRBFKMeans(5, random_state=0, **params).fit(X, **fit_params)


def assert_same_model(result, expected, rtol=1e-9, unit=1.0):
    """Compare all that does not refer to single samples."""
    assert_array_equal(result.path_.n_iter, expected.path_.n_iter)
    scale = abs(expected.cluster_centers_).max()
    centers, expected_centers = result.cluster_centers_, expected.cluster_centers_
    assert_allclose(centers, expected_centers, atol=rtol * scale)
    for name in ("inertia_", "soft_inertia_", "free_energy_", "free_energies_"):
        value = np.multiply(getattr(expected, name), unit)
        assert_allclose(getattr(result, name), value, rtol=rtol)
    for name in ("free_energy", "inertia", "entropy"):
        value = expected.path_[name] * unit
        assert_allclose(result.path_[name], value, rtol=rtol, atol=rtol * value.max())
    assert_allclose(result.temperature_, expected.temperature_, rtol=rtol)


@CASES
@pytest.mark.parametrize("container", [np.array, csr_array])
def test_integer_weights_are_repetition(blobs, seed, params, container):
    weights = np.random.default_rng(seed).integers(0, 4, size=len(blobs))
    weighted = fitted(container(blobs), params, sample_weight=weights)
    repeated = fitted(container(np.repeat(blobs, weights, axis=0)), params)
    assert_same_model(weighted, repeated)
    assert_array_equal(np.repeat(weighted.labels_, weights), repeated.labels_)


@CASES
@pytest.mark.parametrize("factor", [1e-300, 0.3, 1e40])
def test_scaled_weights_change_nothing_else(blobs, params, factor):
    weights = np.random.default_rng(0).random(len(blobs))
    expected = fitted(blobs, params, sample_weight=weights)
    result = fitted(blobs, params, sample_weight=weights * factor)
    assert_same_model(result, expected, unit=factor)


@CASES
def test_a_permutation_changes_nothing(blobs, seed, params):
    order = np.random.default_rng(seed).permutation(len(blobs))
    expected, result = fitted(blobs, params), fitted(blobs[order], params)
    assert_same_model(result, expected)
    assert_array_equal(result.labels_, expected.labels_[order])


@CASES
@pytest.mark.parametrize("a", [1e-100, 1e-10, 0.3, 1e10, 1e100])
def test_units(blobs, params, a):
    scaled = dict(params)
    if "temperature_min" in params:
        scaled["temperature_min"] = params["temperature_min"] * a * a
    expected, result = fitted(blobs, params), fitted(blobs * a, scaled)
    assert_allclose(result.cluster_centers_ / a, expected.cluster_centers_)
    assert_array_equal(result.labels_, expected.labels_)
    proba = result.predict_proba(blobs * a)
    assert_allclose(proba, expected.predict_proba(blobs), atol=1e-9)


@CASES
def test_float32_is_kept_and_agrees_with_float64(blobs, params):
    X = blobs.astype(np.float32)
    result, expected = fitted(X, params), fitted(X.astype(float), params)
    assert result.cluster_centers_.dtype == np.float32
    assert result.predict_proba(X).dtype == result.transform(X).dtype == np.float32
    assert_array_equal(result.labels_, expected.labels_)
    assert_allclose(result.cluster_centers_, expected.cluster_centers_, atol=1e-4)
    proba = expected.predict_proba(X)
    assert_allclose(result.predict_proba(X), proba, atol=1e-4)


@CASES
def test_dense_and_csr_agree(blobs, params):
    X = np.where(abs(blobs) < 2, 0, blobs)
    assert_same_model(fitted(csr_array(X), params), fitted(X, params))


@CASES
@pytest.mark.parametrize("container", [np.array, csr_array])
def test_the_number_of_threads_changes_no_byte(params, container, dtype):
    X = make_blobs(9000, 6, centers=8, cluster_std=3.0, random_state=0)[0]
    X, models = container(X.astype(dtype)), []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            models.append(fitted(X, params))
    first, second = models
    assert first.cluster_centers_.tobytes() == second.cluster_centers_.tobytes()
    assert first.free_energies_.tobytes() == second.free_energies_.tobytes()
    assert first.inertia_ == second.inertia_


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(blobs, library):
    frames = pytest.importorskip(library)
    names = ["a", "b", "c", "d"]
    X = frames.DataFrame(dict(zip(names, blobs.T, strict=True)))
    model = fitted(X, {})
    assert_array_equal(model.feature_names_in_, names)
    assert_allclose(model.cluster_centers_, fitted(blobs, {}).cluster_centers_)
    out = model.set_output(transform=library).transform(X)
    assert isinstance(out, frames.DataFrame)
    assert list(out.columns) == [f"annealedrbfkmeans{i}" for i in range(5)]
