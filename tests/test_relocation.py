"""Moves of centers: halves worked out by hand, and wrong allocations mended."""

import numpy as np
import pytest
from helpers import chunked
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from sk_softkmeans import AnnealedRBFKMeans
from sk_softkmeans._annealing import appraise
from sk_softkmeans._assignments import make_assignment
from sk_softkmeans._moments import data_moments
from sk_softkmeans._relocation import Relocation, halve
from sk_softkmeans._steps import Steps

# Two pairs of samples in each of two clusters, and a third cluster without extent.
PAIRS = np.array(
    [[0, 0], [0, 1], [10, 0], [10, 1], [100, 0], [101, 0], [100, 20], [101, 20]]
    + [[-200, -200]] * 3,
    dtype=float,
)
CENTERS = np.array([[5, 0.5], [100.5, 10], [-200, -200]])


def halves_of(X, weights, direction, centers=CENTERS):
    """Return the gains and the halves, the lower one of each cluster first."""
    with chunked(X, weights, len(centers)) as chunks:
        moments = data_moments(chunks)
        steps = Steps(X.shape[0], make_assignment(1))
        state = appraise(chunks, moments, centers - moments.origin, 0.0, steps)
        halves = halve(chunks, state, direction)
    both = np.stack((halves.first, halves.second), axis=1) + moments.origin
    order = both.sum(axis=2).argsort(axis=1)
    return halves.gains, np.take_along_axis(both, order[:, :, np.newaxis], axis=1)


@pytest.fixture
def direction(seed):
    return np.random.default_rng(seed).normal(size=2)


@pytest.mark.parametrize("container", [np.array, csr_array])
def test_halves_by_hand(direction, container):
    gains, halves = halves_of(container(PAIRS), np.ones(11), direction)
    # m0 m1 / (m0 + m1) = 1 times the squared distances of the pairs' means.
    assert_allclose(gains, [100, 400, 0])
    assert_allclose(halves[0], [[0, 0.5], [10, 0.5]], atol=1e-12)
    assert_allclose(halves[1], [[100.5, 0], [100.5, 20]])
    assert_allclose(halves[2], [[-200, -200]] * 2)


@pytest.mark.parametrize("container", [np.array, csr_array])
def test_weighted_halves_by_hand(direction, container):
    weights = np.array([1, 3, 2, 2, 1, 1, 2, 0, 1, 0, 2.0])
    centers = np.array([[5, 0.625], [100.25, 10], [-200, -200]])
    gains, halves = halves_of(container(PAIRS), weights, direction, centers)
    assert_allclose(gains, [2 * (100 + 1 / 16), 1 * (1 / 4 + 400), 0], atol=1e-10)
    assert_allclose(halves[0], [[0, 0.75], [10, 0.5]], atol=1e-12)
    assert_allclose(halves[1], [[100.5, 0], [100, 20]], atol=1e-12)


@pytest.mark.parametrize("container", [np.array, csr_array])
def test_weights_are_repetition(direction, container):
    weights = np.array([1, 3, 2, 2, 1, 1, 2, 0, 1, 0, 2])
    repeated = container(np.repeat(PAIRS, weights, axis=0))
    expected = halves_of(repeated, np.ones(weights.sum()), direction)
    gains, halves = halves_of(container(PAIRS), weights.astype(float), direction)
    assert_allclose(gains, expected[0])
    assert_allclose(halves, expected[1])


def test_dense_and_csr_agree(direction):
    X = np.random.default_rng(1).normal(size=(60, 2)) * 50
    weights = np.random.default_rng(2).random(60)
    expected = halves_of(X, weights, direction)
    gains, halves = halves_of(csr_array(X), weights, direction)
    assert_allclose(gains, expected[0])
    assert_allclose(halves, expected[1], atol=1e-10)


MEANS = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0], [20.0, 20.0]])
# Two centers in the first blob, one on the last two.
WRONG = np.array([[-0.5, 0.0], [0.5, 0.0], [20.0, 0.0], [10.0, 20.0]])


@pytest.fixture
def four(seed):
    return make_blobs(200, centers=MEANS, cluster_std=1.0, random_state=seed)[0]


@pytest.mark.parametrize("alpha", [1, 1.5, 2])
@pytest.mark.parametrize("temperature_min", [0, 0.5])
def test_relocation_mends_a_wrong_allocation(four, alpha, temperature_min):
    optimum = KMeans(4, init=MEANS, n_init=1).fit(four).inertia_
    params = {"alpha": alpha, "temperature_min": temperature_min}
    params |= {"temperature_max": 1.0, "init": WRONG}
    model = AnnealedRBFKMeans(4, **params).fit(four)
    assert_allclose(model.inertia_, optimum, rtol=1e-6 if temperature_min == 0 else 0.1)
    without = AnnealedRBFKMeans(4, relocate=False, **params).fit(four)
    assert without.inertia_ > 5 * optimum
    assert model.path_.n_relocated.sum() >= 1
    assert without.path_.n_relocated.sum() == without.path_.n_trial_iter.sum() == 0


@pytest.fixture
def improve(four):
    """Return what improves the wrong allocation: before, after, number, trials."""

    def improve(worse=0.0):
        with chunked(four, np.ones(200), 4) as chunks:
            moments = data_moments(chunks)
            steps = Steps(200, make_assignment(1))
            trials = []

            def attempt(centers):
                state = appraise(chunks, moments, centers, 1.0, steps)
                trials.append(state._replace(free_energy=state.free_energy + worse))
                return trials[-1]

            before = appraise(chunks, moments, WRONG - moments.origin, 1.0, steps)
            after, n_kept = Relocation(chunks, 4).improve(before, attempt)
        return before, after, n_kept, trials

    return improve


def test_a_move_is_kept_only_where_the_free_energy_falls(improve):
    before, after, n_kept, trials = improve()
    kept = [before]
    for trial in trials:
        if trial.free_energy < (1 - 1e-5) * kept[-1].free_energy:
            kept.append(trial)
    assert after is kept[-1]
    assert n_kept == len(kept) - 1 >= 1
    assert after.free_energy < before.free_energy / 5


def test_moves_that_do_not_help_are_undone(improve):
    before, after, n_kept, trials = improve(worse=np.inf)
    assert after is before
    assert n_kept == 0
    assert 1 <= len(trials) <= 3


def test_one_cluster_has_nowhere_to_move(four):
    weights = np.ones(200)
    weights[:9] = 0
    model = AnnealedRBFKMeans(1, random_state=0).fit(four, sample_weight=weights)
    assert_allclose(model.cluster_centers_, [four[9:].mean(axis=0)])
    assert model.path_.n_trial_iter.sum() == 0


@pytest.mark.parametrize("relocate", [True, False])
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_a_cluster_for_each_sample(four, seed, relocate, init):
    X = four[:12]
    params = {"init": init, "n_init": 1, "relocate": relocate, "random_state": seed}
    model = AnnealedRBFKMeans(12, **params).fit(X)
    assert_allclose(model.inertia_, 0, atol=1e-20)
    assert_array_equal(np.sort(model.labels_), np.arange(12))
