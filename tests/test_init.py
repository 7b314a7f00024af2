"""Initial centers: canonical order, subsamples, memberships."""

import numpy as np
import pytest
from helpers import chunked
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from sk_softkmeans import _init
from sk_softkmeans._init import make_seeding
from sk_softkmeans._moments import data_moments

CONTAINERS = pytest.mark.parametrize("container", [np.array, csr_array])


def drawn(X, init="k-means++", n_clusters=4, weights=None, seed=0):
    """Return the centers of a first draw."""
    weights = np.ones(X.shape[0]) if weights is None else weights
    with chunked(X, weights, n_clusters) as chunks:
        draw = make_seeding(init, chunks, data_moments(chunks), n_clusters)
        return draw(np.random.RandomState(seed))


@pytest.fixture
def grid():
    """Return data with ties of every kind: equal rows, equal projections, zeros."""
    rng = np.random.default_rng(0)
    return rng.integers(-2, 3, size=(200, 3)).astype(float)


@CONTAINERS
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_a_permutation_draws_the_same_centers(grid, container, init, seed):
    order = np.random.default_rng(seed).permutation(len(grid))
    expected = drawn(container(grid), init, seed=seed)
    assert_array_equal(drawn(container(grid[order]), init, seed=seed), expected)


@CONTAINERS
def test_weights_draw_as_repetition(grid, container, seed):
    weights = np.random.default_rng(seed).integers(0, 4, size=len(grid))
    weighted = drawn(container(grid), weights=weights.astype(float), seed=seed)
    repeated = drawn(container(np.repeat(grid, weights, axis=0)), seed=seed)
    assert_array_equal(weighted, repeated)


def test_negative_zero_is_zero(grid):
    assert_array_equal(drawn(np.where(grid == 0, -0.0, grid)), drawn(grid))


@CONTAINERS
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_centers_are_samples_of_positive_weight(container, init, blobs, seed):
    weights = np.random.default_rng(seed).random(len(blobs))
    weights[::2] = 0
    centers = drawn(container(blobs), init, weights=weights, seed=seed)
    rows = {row.tobytes() for row in blobs[1::2]}
    assert {center.tobytes() for center in centers} <= rows


@CONTAINERS
def test_a_subsample_is_proportional_to_the_weights(container, monkeypatch, seed):
    # 8 per cluster: 2000 samples of 4 values, of which one has nearly all the weight.
    monkeypatch.setattr(_init, "_MANY_CLUSTERS", 4)
    X = container(np.repeat(np.arange(4.0), 500)[:, np.newaxis])
    weights = np.repeat([1.0, 1.0, 1.0, 29.0], 500)
    rows = []
    original = _init._Sample
    monkeypatch.setattr(
        _init,
        "_Sample",
        lambda chunks, moments, chosen, w: (
            rows.append(chosen) or original(chunks, moments, chosen, w)
        ),
    )
    centers = drawn(X, weights=weights, seed=seed)
    assert_array_equal(np.bincount(rows[0] // 500), [1, 1, 1, 29])
    assert_array_equal(np.sort(centers.ravel()), np.arange(4))


def test_too_few_samples_of_positive_weight(grid):
    weights = np.zeros(len(grid))
    weights[:3] = 1
    with pytest.raises(ValueError, match=r"n_samples=3 .* n_clusters=4"):
        drawn(grid, weights=weights)


@CONTAINERS
def test_memberships_become_weighted_means(container, blobs):
    rng = np.random.default_rng(0)
    weights, memberships = rng.random(300), rng.dirichlet(np.ones(4), size=300)
    shares = memberships * weights[:, np.newaxis]
    expected = shares.T @ blobs / shares.sum(axis=0)[:, np.newaxis]
    assert_allclose(drawn(container(blobs), memberships, weights=weights), expected)


def test_a_membership_column_needs_weight(blobs):
    memberships = np.zeros((300, 4))
    memberships[:, :3] = 1 / 3
    with pytest.raises(ValueError, match=r"init must .* got none in column 3"):
        drawn(blobs, memberships)


@pytest.mark.parametrize("scale", [1e-150, 3.7, 1e150])
def test_seeding_does_not_depend_on_units(blobs, scale, seed):
    expected = drawn(blobs, seed=seed) * scale
    assert_array_equal(drawn(blobs * scale, seed=seed), expected)


@CONTAINERS
def test_memberships_are_not_written(container, blobs):
    memberships = np.ones((300, 1))
    memberships.flags.writeable = False
    weights = np.linspace(1, 2, 300)
    centers = drawn(container(blobs), memberships, n_clusters=1, weights=weights)
    assert_allclose(centers, [np.average(blobs, axis=0, weights=weights)])
