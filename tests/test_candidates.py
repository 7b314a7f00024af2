"""Lists of neighbours, how they follow moving centers, and the truncated step."""

from functools import partial

import numpy as np
import pytest
from helpers import chunked
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist

from sk_softkmeans import _candidates
from sk_softkmeans._assignments import Truncated, make_assignment
from sk_softkmeans._blocks import OVERHEAD
from sk_softkmeans._candidates import (
    NearestStep,
    Neighbours,
    TruncatedStep,
    lists_pay,
)
from sk_softkmeans._distances import Centers
from sk_softkmeans._steps import DenseStep, HardStep, Stats

K, LENGTH = 60, 9


@pytest.fixture
def points(seed):
    """Return centers about an origin."""
    return np.random.default_rng(seed).normal(size=(K, 3))


@pytest.fixture
def update():
    """Return what gives the lists of centers that have moved to some points."""
    with chunked(np.zeros((500, 3)), np.ones(500), K) as chunks:

        def update(neighbours, points, dtype=np.float64):
            return neighbours.of(chunks, Centers(points, np.zeros(3), dtype)).copy()

        yield update


@pytest.fixture
def renewing(monkeypatch):
    """Return what makes neighbours of which so many lists are renewed at a time."""

    def neighbours(length, renewed):
        monkeypatch.setattr(_candidates, "_RENEWED", renewed * K)
        return Neighbours(length)

    return neighbours


def nearest(points, length=LENGTH):
    """Return the nearest points of each, itself among them, in ascending order."""
    order = np.argsort(cdist(points, points), axis=1)
    return np.sort(order[:, :length], axis=1)


@pytest.mark.parametrize("length", [1, 2, 9, K])
@pytest.mark.parametrize("renewed", [1, K])
def test_the_first_lists_are_exact(points, update, renewing, length, renewed, dtype):
    lists = update(renewing(length, renewed), points, dtype)
    assert_array_equal(lists, nearest(points.astype(dtype), length))


@pytest.mark.parametrize("renewed", [1, K])
def test_copies_of_a_center_are_in_their_own_lists(update, renewing, renewed, dtype):
    points = np.repeat(np.arange(4.0), 15)[:, np.newaxis] * np.ones(3)
    neighbours = renewing(3, renewed)
    for _ in range(2):
        lists = update(neighbours, points, dtype)
        assert (lists == np.arange(K)[:, np.newaxis]).any(axis=1).all()
        assert (np.diff(lists) > 0).all()
        points = points + 0.1


def test_lists_are_exact_again_where_all_may_be_renewed(points, update, seed):
    neighbours = Neighbours(LENGTH)
    update(neighbours, points)
    for scale in (0.1, 10.0):
        moves = np.random.default_rng(seed + 1).normal(size=points.shape)
        points = points + scale * moves
        assert_array_equal(update(neighbours, points), nearest(points))


@pytest.mark.parametrize("renewed", [1, 5])
def test_so_many_lists_change_those_that_moved_most(
    points, update, renewing, seed, renewed
):
    neighbours = renewing(LENGTH, renewed)
    before = update(neighbours, points)
    rng = np.random.default_rng(seed + 1)
    moves = rng.normal(size=points.shape)
    # None leaves its neighbourhood.
    moves *= 0.005 * rng.permutation(1.0 + np.arange(K))[:, np.newaxis]
    points = points + moves
    after = update(neighbours, points)
    changed = np.flatnonzero((before != after).any(axis=1))
    farthest = np.argsort(-(moves**2).sum(axis=1))[:renewed]
    assert 1 <= len(changed) <= renewed
    assert set(changed) <= set(farthest)
    assert_array_equal(after[farthest], nearest(points)[farthest])


def test_every_list_has_its_turn(points, update, renewing, seed):
    # All have moved: those that have not been renewed come next.
    neighbours = renewing(LENGTH, 7)
    update(neighbours, points)
    points = points + 0.1 * np.random.default_rng(seed + 1).normal(size=points.shape)
    for _ in range(-(-K // 7)):
        lists = update(neighbours, points)
    assert_array_equal(lists, nearest(points))


def test_lists_of_centers_that_stay_are_kept(points, update):
    neighbours = Neighbours(LENGTH)
    expected = update(neighbours, points)
    for _ in range(3):
        assert_array_equal(update(neighbours, points), expected)


def test_a_jump_is_in_the_lists_of_new_neighbours_at_once(
    points, update, renewing, seed
):
    points = np.concatenate([points[: K // 2], points[K // 2 :] + 100])
    jumping, place = seed % (K // 2), K // 2 + 3
    neighbours = renewing(LENGTH, 1)
    update(neighbours, points)
    points[jumping] = points[place] + 1e-3
    lists = update(neighbours, points)
    assert_array_equal(lists[jumping], nearest(points)[jumping])
    # All that have it among their nearest, of those that are its own nearest.
    own = nearest(points)
    near = own[jumping]
    wanted = near[(own[near] == jumping).any(axis=1)]
    assert place in wanted
    assert (lists[wanted] == jumping).any(axis=1).all()


def test_all_that_jump_are_renewed_however_many(points, update, renewing, seed):
    neighbours = renewing(LENGTH, 1)
    update(neighbours, points)
    jumping = np.random.default_rng(seed).permutation(K)[:20]
    points[jumping] += 50
    lists = update(neighbours, points)
    assert_array_equal(lists[jumping], nearest(points)[jumping])


def test_up_to_1024_clusters_all_lists_are_renewed(update, seed):
    rng = np.random.default_rng(seed)
    points, neighbours = rng.normal(size=(1024, 3)), Neighbours(LENGTH)
    for _ in range(2):
        points = points + 0.01 * rng.normal(size=points.shape)
        assert_array_equal(update(neighbours, points), nearest(points))


def test_lists_pay_where_they_are_short():
    assert lists_pay(100_000, 1000, 16)
    assert not lists_pay(100_000, 1000, 1000)
    assert not lists_pay(100_000, 16 + OVERHEAD, 16)
    # A block for each sample costs more than all centers.
    assert not lists_pay(1000, 1000, 250)
    # The lists themselves do.
    assert not lists_pay(600, 600, 1)


# The step


@pytest.fixture
def problem(seed):
    """Return samples, weights, centers about an origin and a label for each sample."""
    rng = np.random.default_rng(seed)
    X, origin = rng.normal(size=(900, 2)), rng.normal(size=2)
    labels = rng.integers(40, size=900).astype(np.int32)
    return X, rng.random(900), origin, rng.normal(size=(40, 2)), labels


class Given:
    """Lists that stay."""

    def __init__(self, lists):
        self.lists = lists

    def of(self, chunks, centers):
        return self.lists


def stats_of(step, problem, lists=None, temperature=0.3):
    """Return the statistics of all samples, among the candidates of their labels."""
    X, weights, origin, points, labels = problem
    if lists is not None:
        step.neighbours = Given(lists)
        step.labels[:] = labels
    with chunked(X, weights, len(points)) as chunks:
        return step.reduce(chunks, Centers(points, origin, np.float64), temperature)


def slow_stats(problem, definition, log_shares=0.0, is_listed=True, temperature=0.3):
    """Return the same by definition. What is not listed is far away."""
    X, w, origin, points, _ = problem
    d = cdist(X - origin, points, "sqeuclidean")
    # Shares are distances to a map: T log pi nearer.
    near = np.where(is_listed, d - temperature * log_shares, 1e6)
    p = definition.responsibilities(near, temperature)
    wp = w[:, np.newaxis] * p
    value = w @ definition.free_energies(near, temperature)
    least = definition.negentropy(np.full((1, len(points)), 1 / len(points)))
    distortion = (wp * d).sum()
    omega = (value - distortion) / temperature + least[0] * w.sum()
    inertia = w @ np.where(is_listed, d, 1e6).min(axis=1)
    sums = wp.T @ (X - origin)
    return Stats(wp.sum(0), sums, value, omega, distortion, inertia=inertia)


def assert_equal_stats(result, expected):
    for name in ("mass", "sums", "value", "omega", "distortion", "inertia"):
        value = getattr(expected, name)
        assert_allclose(getattr(result, name), value, rtol=1e-10, atol=1e-10)


@pytest.fixture
def make_step(alpha, n_active):
    """Return what makes a step over 900 samples."""

    def make(log_shares=None):
        assignment = Truncated(make_assignment(alpha), n_active, log_shares)
        return TruncatedStep(assignment, True, {}, None, n_samples=900)

    return make


ALPHAS = pytest.mark.parametrize("alpha", [1, 1.5, 2])
N_ACTIVE = pytest.mark.parametrize("n_active", [1, 3, 12])
EVERYTHING = np.tile(np.arange(40, dtype=np.int32), (40, 1))


@ALPHAS
@N_ACTIVE
@pytest.mark.parametrize("lists", [None, EVERYTHING], ids=["no lists", "lists"])
def test_all_centers_as_candidates(problem, make_step, definition, lists):
    result = stats_of(make_step(), problem, lists)
    assert_equal_stats(result, slow_stats(problem, definition))


@pytest.mark.parametrize("alpha", [1])
@pytest.mark.parametrize("n_active", [1, 3, 12, 40])
@pytest.mark.parametrize("lists", [None, EVERYTHING], ids=["no lists", "lists"])
def test_all_centers_with_shares(problem, make_step, definition, lists):
    shares = np.random.default_rng(0).dirichlet(np.ones(40))
    log_shares = np.log(40 * shares)
    result = stats_of(make_step(log_shares), problem, lists)
    assert_equal_stats(result, slow_stats(problem, definition, log_shares))


@pytest.fixture
def some_lists(seed):
    """Return 13 of 40 clusters for each label, in ascending order."""
    order = np.argsort(np.random.default_rng(seed).random((40, 40)), axis=1)
    return np.sort(order[:, :13], axis=1).astype(np.int32)


@pytest.mark.parametrize(
    ("alpha", "with_shares"), [(1, False), (1, True), (1.5, False), (2, False)]
)
@pytest.mark.parametrize("n_active", [1, 3, 12, 13])
def test_candidates_are_those_of_the_labels(
    problem, make_step, definition, some_lists, with_shares
):
    log_shares = np.random.default_rng(0).normal(size=40) if with_shares else None
    labels = problem[-1]
    is_listed = (some_lists[labels][:, :, np.newaxis] == np.arange(40)).any(axis=1)
    step = make_step(log_shares)
    result = stats_of(step, problem, some_lists)
    shares = 0.0 if log_shares is None else log_shares
    assert_equal_stats(result, slow_stats(problem, definition, shares, is_listed))
    X, _, origin, points, _ = problem
    d = np.where(is_listed, cdist(X - origin, points, "sqeuclidean"), np.inf)
    # Whatever the shares: the next list is that of the nearest center.
    assert_array_equal(step.labels, d.argmin(axis=1))


@ALPHAS
def test_all_active_is_the_dense_step(problem, alpha):
    assignment = make_assignment(alpha)
    step = TruncatedStep(Truncated(assignment, 40), True, {}, None, n_samples=900)
    expected = stats_of(DenseStep(assignment, with_distortion=True), problem)
    assert_equal_stats(stats_of(step, problem, EVERYTHING), expected)


@ALPHAS
def test_the_nearest_step_is_that_of_one_active_cluster(problem, alpha):
    assignment = Truncated(make_assignment(alpha), 1)
    make = partial(NearestStep, assignment, True, {}, None, n_samples=900)
    result = stats_of(make(), problem)
    one = TruncatedStep(assignment, True, {}, None, n_samples=900)
    expected = stats_of(one, problem)
    for name in ("mass", "sums", "value", "distortion", "inertia"):
        assert_allclose(getattr(result, name), getattr(expected, name), rtol=1e-10)
    hard = stats_of(HardStep(900), problem, temperature=0.0)
    assert_array_equal(result.sums, hard.sums)


def test_lists_give_the_same_bytes_as_often_as_asked(problem, some_lists):
    def once():
        assignment = Truncated(make_assignment(1), 3)
        step = TruncatedStep(assignment, True, {}, None, n_samples=900)
        return stats_of(step, problem, some_lists)

    first, again = once(), once()
    assert first.sums.tobytes() == again.sums.tobytes()
    assert first.value == again.value
