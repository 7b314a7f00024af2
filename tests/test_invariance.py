"""What must not change a fit: units, offset, order, weights as repetition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

TEMPERATURES = pytest.mark.temperatures(0, 8.0, "auto", "ml", "solved")
CONTAINERS = pytest.mark.parametrize("container", [np.array, csr_array])


@pytest.fixture
def fitted(estimator_class, at):
    """Return what gives a fitted estimator."""

    def fitted(X, temperature, **fit_params):
        model = estimator_class(5, **at(temperature), random_state=0)
        return model.fit(X, **fit_params)

    return fitted


def in_units(temperature, a):
    return temperature if isinstance(temperature, str) else temperature * a * a


def assert_same_model(result, expected, atol=1e-9, unit=1.0):
    """Compare all that does not refer to single samples."""
    assert result.n_iter_ == expected.n_iter_
    assert_allclose(result.cluster_centers_, expected.cluster_centers_, atol=atol)
    for name in ("inertia_", "soft_inertia_", "free_energy_", "free_energies_"):
        value = getattr(expected, name)
        assert_allclose(getattr(result, name), np.multiply(value, unit), rtol=atol)
    assert_allclose(result.temperature_, expected.temperature_, rtol=atol)
    assert_allclose(result.variance_, expected.variance_, rtol=atol)


@TEMPERATURES
@pytest.mark.parametrize("a", [1e-150, 1e-50, 0.3, 1e50, 1e150])
def test_units_float64(fitted, blobs, temperature, a):
    expected = fitted(blobs, temperature)
    result = fitted(blobs * a, in_units(temperature, a))
    assert_allclose(result.cluster_centers_ / a, expected.cluster_centers_)
    proba = result.predict_proba(blobs * a)
    assert_allclose(proba, expected.predict_proba(blobs), atol=1e-9)


@TEMPERATURES
@pytest.mark.parametrize("a", [1e-15, 1e-5, 0.3, 1e5, 1e15])
def test_units_float32(fitted, blobs, temperature, a, at):
    X = blobs.astype(np.float32)
    expected = fitted(X, temperature)
    scaled = X * np.float32(a)
    result = fitted(scaled, in_units(temperature, a))
    assert result.predict_proba(scaled).dtype == np.float32
    proba = result.predict_proba(scaled)
    assert_allclose(proba, expected.predict_proba(X), atol=1e-3)


@TEMPERATURES
@pytest.mark.parametrize(
    ("deviations", "atol"), [(1e2, 1e-9), (1e4, 1e-9), (1e6, 1e-7)]
)
def test_offset_float64(fitted, blobs, temperature, deviations, atol):
    b = deviations * blobs.std()
    moved = blobs + b
    rounded = moved - b
    expected = fitted(rounded, temperature).predict_proba(rounded)
    proba = fitted(moved, temperature).predict_proba(moved)
    assert_allclose(proba, expected, atol=atol)


@TEMPERATURES
def test_offset_float32(fitted, blobs, temperature, at):
    X = (blobs + 1e3 * blobs.std()).astype(np.float32)
    expected = fitted(X.astype(np.float64), temperature).predict_proba(X)
    assert_allclose(fitted(X, temperature).predict_proba(X), expected, atol=1e-3)


@TEMPERATURES
def test_large_offset_float32(fitted, blobs, temperature, at):
    X = (blobs + 1e6 * blobs.std()).astype(np.float32)
    result, expected = fitted(X, temperature), fitted(X.astype(float), temperature)
    assert_array_almost_ulp(result.cluster_centers_, expected.cluster_centers_)
    assert np.isfinite(result.predict_proba(X)).all()
    assert np.isfinite(result.transform(X)).all()
    assert np.isfinite(result.score(X))


def assert_array_almost_ulp(result, expected):
    np.testing.assert_array_max_ulp(result, expected.astype(np.float32), maxulp=2)


@TEMPERATURES
@CONTAINERS
def test_a_permutation_changes_nothing(fitted, blobs, temperature, container, seed):
    order = np.random.default_rng(seed).permutation(len(blobs))
    expected = fitted(container(blobs), temperature)
    result = fitted(container(blobs[order]), temperature)
    assert_same_model(result, expected)
    assert_array_equal(result.labels_, expected.labels_[order])


@TEMPERATURES
@CONTAINERS
def test_integer_weights_are_repetition(fitted, blobs, temperature, container, seed):
    weights = np.random.default_rng(seed).integers(0, 4, size=len(blobs))
    weighted = fitted(container(blobs), temperature, sample_weight=weights)
    repeated = fitted(container(np.repeat(blobs, weights, axis=0)), temperature)
    assert_same_model(weighted, repeated)
    assert_array_equal(np.repeat(weighted.labels_, weights), repeated.labels_)


@TEMPERATURES
@pytest.mark.parametrize("factor", [1e-300, 0.3, 1e40])
def test_scaled_weights_change_nothing_else(
    fitted, blobs, temperature, factor, dtype, at
):
    X, weights = blobs.astype(dtype), np.random.default_rng(0).random(len(blobs))
    expected = fitted(X, temperature, sample_weight=weights)
    result = fitted(X, temperature, sample_weight=weights * factor)
    assert_same_model(result, expected, atol=1e-5, unit=factor)


@TEMPERATURES
@CONTAINERS
def test_unweighted_samples_change_nothing(fitted, blobs, temperature, container):
    weights = np.ones(len(blobs))
    weights[::3] = 0
    expected = fitted(container(blobs[weights > 0]), temperature)
    result = fitted(container(blobs), temperature, sample_weight=weights)
    assert_same_model(result, expected)
    assert_array_equal(result.labels_[weights > 0], expected.labels_)


@TEMPERATURES
def test_dense_and_csr_agree(fitted, blobs, temperature, at):
    X = np.where(abs(blobs) < 2, 0, blobs)
    assert_same_model(fitted(csr_array(X), temperature), fitted(X, temperature))


@TEMPERATURES
def test_float32_and_float64_agree(fitted, blobs, temperature, at):
    X = blobs.astype(np.float32)
    result, expected = fitted(X, temperature), fitted(X.astype(float), temperature)
    assert result.cluster_centers_.dtype == np.float32
    assert_same_model(result, expected, atol=1e-4)
    proba = expected.predict_proba(X)
    assert_allclose(result.predict_proba(X), proba, atol=1e-4)


@TEMPERATURES
def test_permuted_initial_centers_permute_the_result(
    estimator_class, blobs, temperature, at
):
    params = at(temperature) | {"tol": 1e-10}
    expected = estimator_class(5, init=blobs[:5], **params).fit(blobs)
    order = [3, 0, 4, 1, 2]
    result = estimator_class(5, init=blobs[order], **params).fit(blobs)
    centers = expected.cluster_centers_[order]
    assert_allclose(result.cluster_centers_, centers, atol=1e-9)
