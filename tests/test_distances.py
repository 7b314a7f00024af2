"""Blocks, dense and CSR, against the direct formula."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from scipy.spatial.distance import cdist

from sk_softkmeans._distances import (
    Centers,
    Scratch,
    full_columns,
    make_block,
    shift_columns,
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


# Offsets of the columns, in what the rows are of: the first is stored in each row, of
# the second one entry is not, and half of the third.
OFFSETS = pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e9])
COLUMNS = np.array([0, 1])


@pytest.fixture
def far(offset, dtype):
    """Return rows as long doubles and as CSR, of integers that float32 can say."""
    rng = np.random.default_rng(0)
    unit = 1 if dtype == np.float64 else 2.0 ** np.floor(np.log2(offset + 1) - 16)
    X = rng.integers(1, 100, size=(40, 4)).astype(np.longdouble) * unit
    X[:, 0] += np.round(offset * 100 / unit) * unit
    X[:, 1] -= np.round(offset * 100 / unit) * unit
    X[7, 1] = 0
    X[rng.random((40, 4)) < [0, 0, 0.5, 0.9]] = 0
    sparse = csr_array(X.astype(dtype))
    assert_array_equal(sparse.toarray(), X)
    return X, sparse


@OFFSETS
@pytest.mark.parametrize("wide", [False, True])
def test_shifted_columns_lose_no_digits(far, dtype, wide):
    X, sparse = far
    if wide:
        sparse.indices, sparse.indptr = map(np.int64, (sparse.indices, sparse.indptr))
    columns = full_columns(sparse, np.ones(40))
    assert_array_equal(columns[:2], COLUMNS)
    # The mean of the rows that are not far out.
    origin = (np.median(X, axis=0) + 0.3).astype(dtype)
    block = make_block(sparse, origin, dtype, Scratch(), columns)
    block.load(slice(10, 40))
    x, eps = X[10:] - origin, np.finfo(dtype).eps
    points = np.array([x[0], x[3] + x[4], x[7] / 3], dtype=dtype)
    centers = Centers(points.astype(np.float64), origin, np.dtype(dtype))
    d = ((x[:, np.newaxis] - centers.points.astype(np.longdouble)) ** 2).sum(axis=2)
    size = abs(d).max() * 100 * eps
    assert_allclose(block.dense(), x, rtol=4 * eps)
    # float32 rows in float64 are not rounded on the way.
    exact = make_block(sparse, origin, np.dtype(np.float64), Scratch(), columns)
    exact.load(slice(10, 40))
    assert_allclose(exact.dense(), x, rtol=1e-15)
    norms = (x**2).sum(axis=1)
    assert_allclose(block.norms(), norms, atol=size)
    assert_allclose(norms[:, np.newaxis] - block.logits(centers), d, atol=size)
    labels = d.argmin(axis=1)
    own = d[np.arange(30), labels]
    assert_allclose(block.nearest(centers, labels), own, rtol=1e2 * eps, atol=0)
    rows, clusters = np.array([0, 9, 29]), np.array([2, 1, 0])
    pairs = block.pairs(centers, rows, clusters)
    assert_allclose(pairs, d[rows, clusters], rtol=1e2 * eps)
    v, w = np.arange(4.0), np.linspace(0, 2, 30)
    assert_allclose(block.project(v), (x @ v), atol=abs(x).max() * 1e2 * eps)
    assert_allclose(block.combine(w), w @ x, atol=abs(x).max() * 1e3 * eps)
    vectors = np.arange(12.0).reshape(3, 4)
    along = (x * vectors[labels]).sum(axis=1)
    assert_allclose(block.along(vectors, labels), along, atol=abs(x).max() * 1e3 * eps)
    mass, sums = block.label_sums(labels.astype(np.int32), w, 3)
    one_hot = (labels == np.arange(3)[:, np.newaxis]) * w
    assert_allclose(mass, one_hot.sum(axis=1), rtol=1e2 * eps)
    assert_allclose(sums, one_hot @ x, atol=abs(x).max() * 1e3 * eps)
    mass, sums = block.sums((one_hot > 0).astype(dtype), w.astype(dtype))
    assert_allclose(sums, one_hot @ x, atol=abs(x).max() * 1e3 * eps)


@pytest.mark.parametrize("container", CONTAINERS[1:])
def test_columns_are_full_by_weight(container):
    X = container(np.array([[1.0, 0, 2, 0], [3, 0, 0, 0], [4, 5, 0, 0]]))
    assert_array_equal(full_columns(X, np.ones(3)), [0])
    assert_array_equal(full_columns(X, np.array([2.0, 0, 1])), [0, 2])
    assert_array_equal(full_columns(X, np.array([1.0, 0, 1])), [0])
    assert not len(full_columns(container((3, 4)), np.ones(3)))
    # Stored zeros are stored.
    X = container(([0.0, 0, 7], [1, 0, 1], [0, 1, 3]), shape=(2, 3))
    assert_array_equal(full_columns(X, np.ones(2)), [1])
    shifted = shift_columns(X, np.array([1.0, 2, 3]), np.array([0, 1]))
    assert_array_equal(shifted.toarray(), [[-1, -2, 0], [-1, 5, 0]])
    assert shift_columns(X, np.zeros(3), np.array([], dtype=int)) is X


@pytest.mark.parametrize("shifted", [[], [0, 2]])
def test_a_row_on_its_center_is_at_distance_0(dtype, shifted):
    rng = np.random.default_rng(0)
    rows = np.where(rng.random((50, 30)) < 0.3, rng.random((50, 30)) * 1e3, 0)
    rows = rows.astype(dtype)
    X = csr_array(rows)
    origin = rows.mean(axis=0)
    points = rows.astype(np.float64) - origin
    centers = Centers(points, origin, np.dtype(dtype), rows)
    block = make_block(X, origin, np.dtype(dtype), Scratch(), np.array(shifted, int))
    block.load(slice(0, 50))
    assert_array_equal(block.nearest(centers, np.arange(50)), 0)


def test_small_distances_take_little_memory():
    # As an array the rows had 160 MB.
    X = csr_array((np.ones(1000), np.full(1000, 3), np.arange(1001)), (1000, 20_000))
    origin, c = np.zeros(20_000), np.zeros((1, 20_000))
    c[0, 3] = 1 + 1e-9
    centers = Centers(c, origin, np.dtype(np.float64), c)
    block = make_block(X, origin, np.dtype(np.float64), Scratch())
    block.load(slice(0, 1000))
    tracemalloc.start()
    nearest = block.nearest(centers, np.zeros(1000, dtype=np.int32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_allclose(nearest, 1e-18, rtol=1e-6)
    assert peak < 20e6


def test_many_rows_are_shifted_in_parts():
    X = csr_array(np.tile([[0.0, 0, 4], [5, 6, 0], [1, 0, 0]], (100_000, 1)))
    shifted = shift_columns(X, np.array([1.0, 2, 3]), COLUMNS)
    assert shifted.format == "csr"
    assert_array_equal(shifted.toarray(), X.toarray() - [1, 2, 0])
