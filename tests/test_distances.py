"""Blocks, dense and CSR, against the direct formula."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from scipy.spatial.distance import cdist

from sk_softkmeans._distances import (
    Centers,
    Scratch,
    make_block,
    squared_distances,
)

CONTAINERS = [np.array, csr_matrix, csr_array]


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 5)) + 3
    X[rng.random(X.shape) < 0.4] = 0
    return X


@pytest.fixture(params=CONTAINERS, ids=["dense", "matrix", "array"])
def block(request, X):
    """Rows 3 to 23 about an origin, with the same rows and the origin."""
    origin = X.mean(axis=0)
    block = make_block(request.param(X), origin, np.dtype(np.float64), Scratch())
    block.load(slice(3, 23))
    return block


@pytest.fixture
def centers(X, block):
    """Four centers about the origin."""
    return Centers(X[:4] + 0.5 - block.origin, block.origin, np.float64)


def test_logits_and_norms_give_distances(X, block, centers):
    x, c = X[3:23], centers.points + block.origin
    squared = cdist(x, c, "sqeuclidean")
    norms = ((x - block.origin) ** 2).sum(axis=1)
    assert_allclose(block.norms(), norms)
    assert_allclose(norms[:, np.newaxis] - block.logits(centers), squared, atol=1e-12)
    by_cluster = block.logits_by_cluster(centers)
    assert_allclose(norms - by_cluster, squared.T, atol=1e-12)
    labels = squared.argmin(axis=1)
    assert_allclose(block.nearest(centers, labels), squared.min(axis=1))
    rows, clusters = np.array([0, 7, 7]), np.array([3, 1, 2])
    assert_allclose(block.pairs(centers, rows, clusters), squared[rows, clusters])


def test_sums_are_about_the_origin(X, block):
    rng = np.random.default_rng(1)
    weights, x = rng.random(20), X[3:23] - block.origin
    labels = rng.integers(3, size=20).astype(np.int32)
    one_hot = (labels == np.arange(3)[:, np.newaxis]).astype(float)
    for responsibilities, sums in (
        (one_hot, block.label_sums(labels, weights, 3)),
        (one_hot / 2 + 0.1, block.sums(one_hot / 2 + 0.1, weights)),
    ):
        assert_allclose(sums[0], responsibilities @ weights)
        assert_allclose(sums[1], responsibilities @ (x * weights[:, np.newaxis]))


def test_rows_as_vectors(X, block):
    x, v = X[3:23] - block.origin, np.arange(5.0)
    assert_allclose(block.dense(), x)
    assert_allclose(block.project(v), x @ v)
    assert_allclose(block.combine(np.arange(20.0)), np.arange(20.0) @ x, atol=1e-12)


def test_scratch_grows_and_is_kept():
    scratch = Scratch()
    small = scratch("a", (2, 3), np.float64)
    large = scratch("a", (4, 3), np.float64)
    assert not np.shares_memory(small, large)
    assert np.shares_memory(large, scratch("a", (3, 3), np.float64))
    assert not np.shares_memory(large, scratch("a", (3, 3), np.float32))
    assert not np.shares_memory(large, scratch("b", (3, 3), np.float64))


def test_squared_distances_of_points(X, centers, dtype):
    centers = Centers(centers.points, centers.origin, dtype)
    points = X[:9] - centers.origin
    expected = cdist(points, centers.points, "sqeuclidean")
    atol = 1e-12 if dtype == np.float64 else 1e-4
    result = squared_distances(centers, points)
    assert result.dtype == dtype
    assert_allclose(result, expected, atol=atol)
    own = squared_distances(centers, centers.points)
    assert (own >= 0).all()
    assert_allclose(own.diagonal(), 0, atol=atol)


@pytest.fixture
def gathered(X):
    """Return a block of twelve rows in any order, some twice, and these rows."""
    block = make_block(X, X.mean(axis=0), np.dtype(np.float64), Scratch())
    block.load(slice(0, 30))
    rows = np.random.default_rng(0).integers(30, size=12)
    block.gather(rows)
    return block, rows


def test_gathered_rows(X, gathered):
    block, rows = gathered
    assert_array_equal(block.rows, rows)
    assert_allclose(block.x, X[rows] - block.origin)
    # What was loaded before is gone.
    block.load(slice(0, 30))
    assert_allclose(block.x, X - block.origin)


def test_logits_by_list(gathered, centers):
    block, _ = gathered
    lists = np.array([[0, 2], [3, 1], [2, 3]])
    listed = np.repeat(lists.T, 4, axis=1)
    expected = np.take_along_axis(block.logits_by_cluster(centers), listed, axis=0)
    assert_allclose(block.logits_by_list(centers.lifted, lists), expected, atol=1e-12)


def test_sums_by_list(gathered):
    # Cluster 5 is none; 4 is in no list.
    block, _ = gathered
    rng = np.random.default_rng(1)
    lists = np.array([[0, 2], [3, 5], [2, 3]])
    shares, weights = rng.random((2, 12)), rng.random(12)
    dense = np.zeros((6, 12))
    np.put_along_axis(dense, np.repeat(lists.T, 4, axis=1), shares, axis=0)
    expected = dense[:5] * weights
    mass, sums = block.sums_by_list(shares, weights, lists, 5)
    assert_allclose(mass, expected.sum(axis=1))
    assert_allclose(sums, expected @ block.x, atol=1e-12)
