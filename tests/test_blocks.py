"""Blocks of samples: every sample in one place, none too many, their sums."""

import numpy as np
import pytest
from helpers import chunked
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist

from sk_softkmeans._blocks import Blocks, Candidates, block_size, nearest_listed
from sk_softkmeans._distances import Centers

# The numbers of samples with each label.
COUNTS = {
    "even": [60] * 10,
    "uneven": [1, 2, 3, 64, 65, 127, 128, 129, 63, 8],
    "empty": [0, 0, 200, 0, 1, 0, 300, 0],
    "huge": [5000, 1, 1, 1, 0, 1],
    "one": [10],
    "tiny": [1] * 50,
    "many": [2] * 300,
}


@pytest.fixture(params=COUNTS)
def counts(request):
    """Return the number of samples of each label."""
    return np.array(COUNTS[request.param])


@pytest.fixture
def labels(counts, seed):
    """Return as many labels, in random order."""
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    return np.random.default_rng(seed).permutation(labels)


def test_every_sample_is_in_one_place_that_is_no_repetition(labels, counts):
    blocks = Blocks(labels, len(counts))
    rows, is_own = blocks.rows(np.arange(len(blocks)))
    assert_array_equal(np.sort(rows[is_own]), np.arange(len(labels)))


def test_all_rows_of_a_block_have_its_label(labels, counts):
    blocks = Blocks(labels, len(counts))
    rows, _ = blocks.rows(np.arange(len(blocks)))
    of_blocks = labels[rows].reshape(-1, blocks.size)
    assert_array_equal(
        of_blocks, np.repeat(blocks.labels, blocks.size).reshape(-1, blocks.size)
    )


def test_blocks_are_balanced(labels, counts):
    blocks = Blocks(labels, len(counts))
    assert len(blocks) * blocks.size <= len(labels) + len(counts) * (blocks.size - 1)
    _, is_own = blocks.rows(np.arange(len(blocks)))
    # No block is empty.
    assert is_own.reshape(-1, blocks.size).any(axis=1).all()


def test_some_blocks_have_the_rows_that_they_have_among_all(labels, counts):
    blocks = Blocks(labels, len(counts))
    rows, is_own = (a.reshape(-1, blocks.size) for a in blocks.rows(slice(None)))
    some = np.arange(len(blocks))[::-2]
    some_rows, some_own = blocks.rows(some)
    assert_array_equal(some_rows, rows[some].ravel())
    assert_array_equal(some_own, is_own[some].ravel())


def test_rows_of_a_label_are_in_the_order_of_a_position(labels, counts, seed):
    position = np.random.default_rng(seed).random(len(labels))
    blocks = Blocks(labels, len(counts), position)
    rows, is_own = blocks.rows(np.arange(len(blocks)))
    rows = rows[is_own]
    assert_array_equal(rows, np.lexsort((position, labels)))


@pytest.mark.parametrize("n_samples", [1, 100, 5000, 10**6])
@pytest.mark.parametrize("n_clusters", [1, 70, 10**5])
def test_size_is_a_power_of_two_that_a_mean_cluster_fills(n_samples, n_clusters):
    size = block_size(n_samples, n_clusters)
    assert size in (8, 16, 32, 64)
    mean = n_samples / n_clusters
    assert size == 8 or size <= mean
    assert size == 64 or 2 * size > mean


@pytest.mark.parametrize("n_features", [1, 100, 3000])
def test_the_arrays_worked_on_at_once_are_bounded(dtype, n_features):
    blocks = Blocks(np.repeat(np.arange(10), 100), 10)
    centers = Centers(np.zeros((10, n_features)), np.zeros(n_features), dtype)
    for length in (1, 100, 10_000):
        n, itemsize = blocks.at_once(length, centers), np.dtype(dtype).itemsize
        assert n >= 1
        rows = n * blocks.size
        sizes = rows * length, rows * n_features, n * length * n_features
        assert n == 1 or max(sizes) * itemsize <= 2**21


@pytest.mark.parametrize("values", [[0, 1], [0, 1, 2, 3, 4, 5]])
def test_nearest_is_the_first_of_equal_ones(values, seed):
    rng = np.random.default_rng(seed)
    lists = np.sort(np.argsort(rng.random((7, 40)), axis=1)[:, :9], axis=1)
    gaps = rng.choice(values, size=(9, 7 * 5))
    z = (gaps.min(axis=0) - gaps).astype(float)
    expected = [lists[i // 5, z[:, i].argmax()] for i in range(35)]
    found = nearest_listed(z, lists)
    assert found.dtype == np.int32
    assert_array_equal(found, expected)


def test_nearest_without_ties(seed, dtype):
    rng = np.random.default_rng(seed)
    lists = np.sort(np.argsort(rng.random((7, 40)), axis=1)[:, :9], axis=1)
    z = rng.random((9, 35)).astype(dtype)
    z -= z.max(axis=0)
    expected = [lists[i // 5, z[:, i].argmax()] for i in range(35)]
    assert_array_equal(nearest_listed(z, lists), expected)


@pytest.fixture
def problem():
    """Return samples, weights, labels, and 12 centers about an origin."""
    rng = np.random.default_rng(0)
    X, origin = rng.normal(size=(150, 3)), rng.normal(size=3)
    labels = rng.integers(5, size=150).astype(np.int32)
    centers = Centers(rng.normal(size=(12, 3)), origin, np.float64)
    return X, rng.random(150), labels, centers


def reduce_lists(problem, lists_of, n_parts, work):
    """Return the sum over parts of blocks with lists, by label."""
    X, weights, labels, centers = problem
    blocks = Blocks(labels, 5)
    parts = np.array_split(np.arange(len(blocks)), n_parts)
    lists = lambda part: lists_of[blocks.labels[part]]
    candidates = Candidates(blocks, parts, lists, lowest=-1e6)
    with chunked(X, weights, 12) as chunks:
        return candidates.reduce(chunks, centers, work)


@pytest.mark.parametrize("n_parts", [1, 3])
def test_candidates_give_logits_and_inertia(problem, n_parts):
    X, w, labels, centers = problem
    # The last two places of some lists are none.
    lists_of = np.sort(
        np.random.default_rng(0).permuted(np.tile(np.arange(12), (5, 1)), axis=1)[
            :, :6
        ],
        axis=1,
    )
    lists_of[::2, 4:] = 12
    d = cdist(X - centers.origin, centers.points, "sqeuclidean")
    seen = np.zeros(150)

    def work(block, weights, z, lists, inertia):
        rows = block.rows
        np.add.at(seen, rows, weights)
        near = np.pad(d[rows], [(0, 0), (0, 1)], constant_values=1e6)
        listed = np.take_along_axis(near, lists_of[labels[rows]], axis=1)
        gaps = listed.min(axis=1, keepdims=True) - listed
        is_real = listed < 1e6
        assert_allclose(z.T[is_real], gaps[is_real], atol=1e-12)
        assert (z.T[~is_real] < -9e5).all()
        assert_array_equal(lists, lists_of[labels[rows[:: len(rows) // len(lists)]]])
        return [inertia]

    parts = reduce_lists(problem, lists_of, n_parts, work)
    assert len(parts) == n_parts
    assert_allclose(seen, w)
    listed = np.where(lists_of < 12, lists_of, lists_of[:, :1])
    nearest = np.take_along_axis(d, listed[labels], axis=1).min(axis=1)
    assert_allclose(sum(parts), w @ nearest)
