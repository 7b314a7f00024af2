"""Mean, variance and extent of weighted data."""

import numpy as np
import pytest
from helpers import chunked
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

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
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e150, 1e-150])
def test_constant_data_has_no_extent(container, constant):
    result = moments_of(container(np.full((7, 3), constant)))
    assert result.scatter == result.peak == result.variance == 0


def test_mean_keeps_its_digits_at_an_offset():
    x = np.random.default_rng(0).normal(size=(1000, 1))
    offset = 2.0**30
    shifted = x + offset
    exact = (shifted - offset).mean(axis=0)
    assert_allclose(moments_of(shifted).origin - offset, exact, atol=1e-6)


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
