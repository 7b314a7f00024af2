"""Lists of the logits that count, when there are any, and the largest logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from sk_softkmeans._distances import DenseBlock, Scratch
from sk_softkmeans._layouts import (
    Entries,
    Grid,
    Lists,
    _tops,
    are_largest,
    largest,
    lay_out,
)


def make_logits(dtype, spread):
    """Return logits of 40 clusters and 30 rows, and the largest of each row."""
    z = np.random.default_rng(0).standard_normal((40, 30)) * spread + 1e3
    z = z.astype(dtype)
    return z, z.max(axis=0)


@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e3])
def test_everything_that_counts_is_listed(spread, dtype):
    z, top = make_logits(dtype, spread)
    reach = 0.1 * spread
    gaps = top.astype(np.float64) - z
    shifted, layout = lay_out(z.copy(), top, reach, Scratch())
    assert isinstance(layout, Entries)
    clusters = np.repeat(np.arange(40), np.diff(layout._matrix.indptr))
    listed = np.zeros(z.shape, bool)
    listed[clusters, layout.rows] = True
    assert listed.sum() == len(shifted)
    assert listed[gaps < reach].all()
    # What rounding may add is some units in the last place.
    assert (gaps[listed] <= reach + 4 * np.spacing(top.max())).all()
    assert_array_equal(shifted, -gaps[clusters, layout.rows])
    assert_array_equal(layout.counts, listed.sum(axis=0))
    assert layout._matrix.shape == (30, 40)


def test_a_reach_below_rounding_lists_the_largest(dtype):
    z, top = make_logits(dtype, 1.0)
    _, layout = lay_out(z, top, 1e-30, Scratch())
    assert_array_equal(layout.counts, 1)


@pytest.mark.parametrize("reach", [3.0, np.inf])
def test_nothing_is_listed_where_much_counts(reach, dtype):
    z, top = make_logits(dtype, 1.0)
    shifted, layout = lay_out(z.copy(), top, reach, Scratch())
    assert isinstance(layout, Grid)
    assert_array_equal(shifted, z - top)


def test_few_clusters_are_never_listed(dtype):
    z = np.array([[0.0, 9.0], [9.0, 0.0]], dtype)
    _, layout = lay_out(z, z.max(axis=0), 0.1, Scratch())
    assert isinstance(layout, Grid)


def test_both_layouts_sum_alike():
    rng = np.random.default_rng(0)
    p, q, weights = rng.random((5, 8)), rng.random((5, 8)), rng.random(8)
    grid = Grid(5)
    entries = Entries(np.tile(np.arange(8), 5), np.arange(0, 41, 8), 8)
    assert_allclose(entries.sum(p.ravel()), grid.sum(p))
    assert_allclose(entries.dot(p.ravel(), q.ravel()), grid.dot(p, q))
    assert_array_equal(entries.spread(weights).reshape(5, 8), np.tile(weights, (5, 1)))
    X = rng.random((8, 3))
    block = DenseBlock(X, np.zeros(3), np.float64, Scratch())
    block.load(slice(0, 8))
    mass, sums = entries.sums(block, p.ravel(), weights)
    expected_mass, expected_sums = grid.sums(block, p, weights)
    assert_allclose(mass, expected_mass)
    assert_allclose(sums, expected_sums)


ORDERS = pytest.mark.parametrize("order", ["C", "F"])


def slow_largest(z, n):
    """Return whether each entry is one of the n largest, of equal ones the first."""
    found = np.zeros(z.shape, bool)
    first = np.argsort(-z, axis=0, kind="stable")[:n]
    np.put_along_axis(found, first, True, axis=0)
    return found


def assert_largest(z, n):
    """Check what both functions say of the n largest, and that z stays as it was."""
    before, expected = z.copy(), slow_largest(z, n)
    index = largest(z, n)
    assert_array_equal(z, before)
    assert index.shape == (n, z.shape[1])
    found = np.zeros(z.shape, bool)
    np.put_along_axis(found, index, True, axis=0)
    assert_array_equal(found, expected)
    assert_array_equal(are_largest(z, n), expected)
    assert_array_equal(z, before)


@ORDERS
@pytest.mark.parametrize("n_values", [1, 3, 1000])
@pytest.mark.parametrize("n_entries", [1, 2, 7, 20])
def test_the_largest_whatever_their_number(n_entries, n_values, order, dtype, seed):
    # Few values make ties.
    rng = np.random.default_rng(seed)
    z = -rng.integers(n_values, size=(n_entries, 300)).astype(dtype)
    for n in range(1, n_entries + 1):
        assert_largest(np.array(z, order=order), n)


@ORDERS
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 12), st.integers(1, 5)),
        elements=st.floats(np.float32(-1e38), 0, width=32),
    ),
    st.data(),
)
def test_the_largest_of_any_values(order, z, data):
    n = data.draw(st.integers(1, len(z)))
    assert_largest(np.array(z, order=order), n)


@pytest.mark.parametrize("n_entries", [1, 2, 3, 8, 11])
def test_the_tournament_sorts(n_entries, seed):
    # If it erred, entries would only be counted as ties, and sorted.
    z = np.random.default_rng(seed).integers(9, size=(n_entries, 50)).astype(float)
    for n in range(1, min(n_entries, 8) + 1):
        tops = np.concatenate(_tops(z, n))
        assert_array_equal(tops, -np.sort(-z, axis=0)[:n])


def test_lists_sum_as_all_entries_do():
    # Three parts of four columns, whose lists are all six clusters in some order.
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(6) for _ in range(3)])
    layout, weights, v = Lists(lists, 4, 6), rng.random(12), rng.random(6)
    assert layout.n_clusters == layout.counts == 6
    p = rng.random((6, 12))
    listed = np.take_along_axis(p, np.repeat(lists.T, 4, axis=1), axis=0)
    assert_allclose(layout.sum(listed), p.sum(axis=0))
    of_clusters = np.take_along_axis(
        np.tile(v[:, np.newaxis], 12), np.repeat(lists.T, 4, axis=1), axis=0
    )
    assert_array_equal(layout.of_clusters(v), of_clusters)
    block = DenseBlock(rng.random((12, 3)), np.zeros(3), np.dtype(float), Scratch())
    block.load(slice(0, 12))
    mass, sums = layout.sums(block, listed, weights)
    expected_mass, expected_sums = Grid(6).sums(block, p, weights)
    assert_allclose(mass, expected_mass)
    assert_allclose(sums, expected_sums)


def test_a_list_is_of_some_clusters():
    layout = Lists(np.array([[0, 4], [2, 3]]), 5, 6)
    assert (layout.n_clusters, layout.counts) == (6, 2)
    expected = np.repeat([[0.0, 2.0], [4.0, 3.0]], 5, axis=1)
    assert_array_equal(layout.of_clusters(np.arange(6.0)), expected)


def test_a_grid_may_be_of_some_clusters():
    assert (Grid(6).n_clusters, Grid(6).counts) == (6, 6)
    assert (Grid(6, 2).n_clusters, Grid(6, 2).counts) == (6, 2)
    assert_array_equal(Grid(3).of_clusters(np.arange(3.0)), [[0], [1], [2]])
