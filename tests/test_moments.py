"""Mean, variance and extent of weighted data."""

import numpy as np
import pytest
from helpers import chunked
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from sk_softkmeans import SoftKMeans
from sk_softkmeans._moments import data_moments

CONTAINERS = pytest.mark.parametrize("container", [np.array, csr_array])


def moments_of(X, weights=None):
    weights = np.ones(X.shape[0]) if weights is None else weights
    with chunked(X, weights, 3) as chunks:
        return data_moments(chunks)


@CONTAINERS
def test_moments_are_the_weighted_ones(container, dtype):
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(20_000, 3)).astype(dtype), rng.random(20_000)
    result = moments_of(container(X), w)
    mean = np.average(X, axis=0, weights=w)
    squared = ((X - mean) ** 2).sum(axis=1)
    assert result.origin.dtype == dtype
    assert_allclose(result.origin, mean, atol=1e-6)
    assert_allclose(result.weight, w.sum())
    assert_allclose(result.scatter, w @ squared, rtol=1e-5)
    assert_allclose(result.variance, w @ squared / w.sum() / 3, rtol=1e-5)
    assert_allclose(result.peak, squared.max(), rtol=1e-5)


@CONTAINERS
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e150, 1e-150, 1e308])
def test_constant_data_has_no_extent(container, constant):
    result = moments_of(container(np.full((7, 3), constant)))
    assert result.scatter == result.peak == result.variance == 0


@CONTAINERS
@pytest.mark.parametrize("unstored", [0, 30])
def test_moments_keep_their_digits_at_an_offset(container, unstored):
    x = np.random.default_rng(0).normal(size=(30_000, 1))
    x[:unstored] = 0
    offset = 2.0**30
    shifted = np.where(x, x + offset, 0)
    exact = shifted.astype(np.longdouble)
    mean = exact.mean(axis=0)
    result = moments_of(container(shifted))
    assert_allclose(result.origin - offset, (mean - offset).astype(float), atol=1e-6)
    assert_allclose(result.variance, float(((exact - mean) ** 2).mean()), rtol=1e-9)
    assert_allclose(result.peak, float(((exact - mean) ** 2).max()), rtol=1e-6)


@CONTAINERS
@pytest.mark.parametrize(
    ("scale", "dtype"),
    [
        (1e200, np.float64),
        (1e-200, np.float64),
        (1e25, np.float32),
        (1e-25, np.float32),
    ],
)
def test_a_scale_that_cannot_be_squared_is_named(container, scale, dtype):
    X = (np.random.default_rng(0).normal(size=(9, 2)) * scale).astype(dtype)
    with pytest.raises(ValueError, match="scale of X"):
        moments_of(container(X))


@pytest.mark.parametrize("far", [1e10, 1e16])
def test_an_unweighted_first_sample_costs_no_digits(far):
    X = np.random.default_rng(0).normal(size=(50, 2))
    first = np.vstack([np.full((1, 2), far), X])
    result = moments_of(first, np.r_[0.0, np.ones(50)])
    assert_allclose(result.origin, X.mean(axis=0), rtol=1e-12)
    assert_allclose(result.variance, X.var(axis=0).mean(), rtol=1e-12)


@pytest.mark.parametrize("weights", [None, np.ones(9), np.full(9, 1e-300)])
@CONTAINERS
@pytest.mark.parametrize(
    "X",
    [
        np.full((9, 2), 1e308),
        np.full((9, 2), 1e308) * np.array([[1.0], [-1], [1]] * 3),
        np.where(np.arange(18).reshape(9, 2) < 9, 1e308, 0),
        np.where(np.arange(18).reshape(9, 2) == 5, 1e200, 1.0),
        np.float32(3e38) * np.array([[1.0], [-1], [1]] * 3, dtype=np.float32),
    ],
    ids=["constant", "signs", "half", "one", "float32"],
)
def test_no_scale_of_x_is_blamed_on_weights(container, X, weights):
    model = SoftKMeans(2, random_state=0)
    with pytest.raises(ValueError, match=r"scale of X .* distance of [i\d]"):
        model.fit(container(X), sample_weight=weights)


@CONTAINERS
def test_a_column_at_any_offset_is_no_fault_of_init(container):
    X = np.random.default_rng(0).normal(size=(30, 3))
    expected = SoftKMeans(2, init=X[:2], temperature=1.0).fit(X)
    X[:, 1] = 1e200
    model = SoftKMeans(2, init=X[:2], temperature=1.0).fit(container(X))
    assert_array_equal(model.cluster_centers_[:, 1], 1e200)
    assert model.inertia_ < expected.inertia_
    # A first sample that is far out is not either.
    X[0] = 1e160
    with pytest.raises(ValueError, match="scale of X"):
        SoftKMeans(2, init=X[1:3, ::2]).fit(container(X[:, ::2]))
