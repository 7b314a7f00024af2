"""Lists of the logits that count, and when there are any."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sk_softkmeans._distances import DenseBlock, Scratch
from sk_softkmeans._layouts import Entries, Grid, lay_out


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
