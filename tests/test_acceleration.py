"""Anderson acceleration: exact where EM is linear, away from saddles, never higher."""

from functools import partial
from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.cluster import kmeans_plusplus
from sklearn.datasets import make_blobs

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    MaxEntropyKMeans,
    SoftKMeans,
    _acceleration,
    _em,
)
from sk_softkmeans._acceleration import Anderson, Means, Point
from sk_softkmeans._moments import Moments
from sk_softkmeans._steps import Stats

# Near a transition centers merge, and a fit that is cut off has not converged.
QUIET = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
MOMENTS = Moments(
    np.zeros(3), variance=4.0, scatter=12.0, peak=9.0, weight=1.0, dtype=np.dtype(float)
)
MASS = np.array([1.0, 3.0])
STATS = Stats(MASS, None, 0.0, softness=1.0)
HEAT = 5.0


def anderson():
    """Return an acceleration in units of 2."""
    return Anderson(MOMENTS, np.float64, tol=0)


def linear(slopes, seed=0):
    """Return a map with a fixed point, and that point.

    What it leaves of the way there is symmetric in the inner product of the masses and
    the heat, with eigenvalues ``1 - slopes``. Centers count in units of 2.
    """
    rng = np.random.default_rng(seed)
    weights = np.sqrt(np.append(np.repeat(MASS, 3), HEAT / 4))
    axes, _ = np.linalg.qr(rng.standard_normal((7, 7)))
    derivative = (axes * slopes) @ axes.T
    goal = rng.standard_normal(7)

    def step(point):
        packed = np.append(point.centers.ravel() / 2, np.log(point.temperature))
        way = derivative @ (weights * (goal - packed)) / weights
        return unpack(packed + way)

    return step, unpack(goal), unpack


def unpack(packed):
    """Return the point of packed coordinates."""
    return Point(2 * packed[:-1].reshape(2, 3), float(np.exp(packed[-1])))


def follow(step, point, update, n_steps):
    """Return what is left and the last point of some steps, none of them given up."""
    for _ in range(n_steps):
        assert update.keeps(0.0, 1.0)
        left, point = update.advance(point, step(point), STATS, HEAT)
    return left, point


def distance(point, goal):
    """Return the distance of the centers."""
    return np.linalg.norm(point.centers - goal.centers)


START = Point(np.zeros((2, 3)), 1.0)


@pytest.mark.parametrize(
    "slopes", [[0.1] * 7, [0.1] * 3 + [0.2] * 2 + [1] * 2, [0.1, 0.15, 0.2] + [1] * 4]
)
def test_linear_map_is_solved(slopes, seed):
    # Three differences are enough for three slopes, in the right inner product.
    step, goal, _ = linear(slopes, seed)
    _, point = follow(step, START, anderson(), 8)
    assert_allclose(point.centers, goal.centers, atol=1e-12)
    assert_allclose(point.temperature, goal.temperature, rtol=1e-12)
    left, _ = follow(step, START, anderson(), 12)
    assert left < 1e-9


def test_what_is_left_of_em(seed):
    step, goal, _ = linear([0.1] + [0.6] * 6, seed)
    left, point = follow(step, START, Means(MOMENTS, np.float64), 30)
    # From the point before, that is before the last tenth of the way.
    assert_allclose(left, distance(point, goal) / 0.9, rtol=1e-3)


def test_rounding_is_no_shift():
    update = Means(MOMENTS, np.float64)
    for _ in range(3):
        image = Point(START.centers + 1e-15, 1.0)
        left, _ = update.advance(START, image, STATS, HEAT)
    assert left < 1e-14


def test_dependent_differences_are_left_out():
    # All on one line: five differences are four too many.
    step, goal, _ = linear([0.05] * 7)
    _, point = follow(step, START, anderson(), 12)
    assert_allclose(point.centers, goal.centers, rtol=1e-9)


def test_away_from_a_saddle():
    slopes = np.array([-0.05, 0.2, 0.3, 1, 1, 1, 1])
    step, saddle, _ = linear(slopes)
    _, em = follow(step, START, Means(MOMENTS, np.float64), 12)
    _, point = follow(step, START, anderson(), 12)
    assert distance(point, saddle) > 3 * distance(em, saddle)


def test_given_up_for_the_last_means():
    step, _, _ = linear([0.05, 0.1, 0.2] * 2 + [0.15])
    update = anderson()
    _, point = follow(step, START, update, 7)
    size, point = reach(update, point, step)
    assert size > 2
    # Too high three times, each time with a shorter step from the means after it.
    for objective in (1.0, np.nan, np.inf):
        assert not update.keeps(objective, 1.0)
        assert update.keeps(0.0, 1.0)
        last = size
        size, point = reach(update, point, step)
        assert 1 <= size < last
    assert Means(MOMENTS, np.float64).keeps(np.inf, 1.0)


def reach(update, point, step):
    """Return how many times as long as EM's the step from a point is, and its image."""
    image = step(point)
    _, beyond = update.advance(point, image, STATS, HEAT)
    return distance(beyond, point) / distance(image, point), image


def test_a_point_twice():
    step, _, _ = linear([0.05, 0.1, 0.2] * 2 + [0.15])
    update = anderson()
    _, point = follow(step, START, update, 7)
    image = step(point)
    for _ in range(2):
        left, beyond = update.advance(point, image, STATS, HEAT)
    assert_allclose(beyond.centers, image.centers)
    assert np.isfinite(left)


def test_begins_only_where_shifts_shrink_slowly():
    for slope, begins in ((0.5, False), (0.31, False), (0.25, True), (0.01, True)):
        step, goal, _ = linear([slope] * 7)
        _, point = follow(step, START, anderson(), 9)
        _, em = follow(step, START, Means(MOMENTS, np.float64), 9)
        assert (distance(point, goal) < 0.5 * distance(em, goal)) == begins


def test_forgets():
    step, _, _ = linear([0.1] * 7)
    update = anderson()
    follow(step, START, update, 8)
    update.forget()
    _, point = update.advance(START, step(START), STATS, HEAT)
    assert_allclose(point.centers, step(START).centers)


@pytest.fixture
def overlapping():
    """Return overlapping blobs, in which EM is slow near its transitions."""
    X, _ = make_blobs(500, 3, centers=6, cluster_std=2.5, random_state=3)
    return X


def count(model, X):
    """Return the number of E-steps of a fit."""
    counted = mock.Mock(side_effect=_em.expectation)
    with mock.patch.object(_em, "expectation", counted):
        model.fit(X)
    return counted.call_count


def plain_em():
    """Return what switches acceleration off."""
    return mock.patch.object(_acceleration, "_SLOW", np.inf)


@QUIET
@pytest.mark.parametrize("alpha", [1, 1.5, 2])
@pytest.mark.parametrize("temperature", [0.3, 0.6, 0.9, "auto"])
def test_fewer_steps_to_the_same_end(overlapping, alpha, temperature, seed):
    model = EntmaxKMeans(
        6,
        alpha=alpha,
        temperature=temperature,
        temperature_unit="critical",
        tol=1e-12,
        max_iter=20000,
        random_state=seed,
    )
    n_steps = count(model, overlapping)
    centers, free_energy = model.cluster_centers_, model.free_energy_
    history = model.free_energies_
    with plain_em():
        n_em_steps = count(model, overlapping)
    assert n_steps <= 1.1 * n_em_steps + 2
    if n_em_steps > 400:
        assert n_steps < n_em_steps / 3
    scatter = ((overlapping - overlapping.mean(axis=0)) ** 2).sum()
    assert_allclose(centers, model.cluster_centers_, atol=1e-3)
    assert free_energy <= model.free_energy_ + 1e-9 * scatter
    if temperature != "auto":
        assert np.diff(history).max() <= 1e-12 * scatter


@QUIET
@pytest.mark.parametrize(
    "make",
    [
        partial(SoftKMeans, temperature=0.7, temperature_unit="critical"),
        partial(MaxEntropyKMeans, distortion=0.6),
        partial(
            AnnealedRBFKMeans,
            temperature_max=0.8,
            temperature_min=0.7,
            temperature_unit="critical",
            relocate=False,
        ),
    ],
)
def test_every_estimator_is_accelerated(overlapping, make):
    model = make(6, tol=1e-10, max_iter=5000, random_state=0)
    n_steps = count(model, overlapping)
    with plain_em():
        assert n_steps < 0.8 * count(model, overlapping)


@QUIET
@pytest.mark.parametrize("case", [23, 5, 14])
@pytest.mark.parametrize("share", [0.7, 0.9])
def test_converged_means_near_the_end(case, share):
    # Centers that are slow to merge, in a direction that is seen late.
    X = np.random.default_rng(case).standard_normal((250, 2))
    init, _ = kmeans_plusplus(X, 5, random_state=case)
    params = {"temperature": share, "temperature_unit": "critical", "max_iter": 20000}
    model = SoftKMeans(5, init=init, **params).fit(X)
    params |= {"temperature": model.temperature_, "temperature_unit": "absolute"}
    end = SoftKMeans(5, init=model.cluster_centers_, tol=1e-12, **params)
    with plain_em():
        end.fit(X)
    left = np.linalg.norm(end.cluster_centers_ - model.cluster_centers_)
    assert left <= 1.2e-2 * np.sqrt(X.var(axis=0).mean())


@pytest.mark.parametrize("temperature", ["auto", "ml"])
def test_rounding_ends_the_iterations(temperature, seed):
    # Shifts that are rounding do not shrink any more.
    X = np.random.default_rng(seed).standard_normal((70, 4)).astype(np.float32)
    model = SoftKMeans(3, temperature=temperature, init=X[:3], tol=1e-10, max_iter=500)
    assert count(model, X) < 200
    assert model.converged_


def test_an_outlier_does_not_slow_down():
    # Its square is most of what the objective is a difference of.
    X = np.random.default_rng(1).standard_normal((300, 3))
    X[0] = 1e6
    model = SoftKMeans(8, init=X[:8], tol=1e-8, max_iter=1000)
    n_steps = count(model, X)
    with plain_em():
        assert n_steps <= 1.1 * count(model, X) + 2


def test_not_at_temperature_0(overlapping):
    with mock.patch.object(Anderson, "advance", side_effect=AssertionError):
        SoftKMeans(6, temperature=0, random_state=0).fit(overlapping)


@QUIET
def test_the_result_is_never_a_point_on_trial(overlapping):
    # Whatever max_iter cuts off: the last means, which cannot be higher.
    params = {"temperature": 0.7, "temperature_unit": "critical", "random_state": 0}
    for max_iter in range(10, 30):
        model = SoftKMeans(6, max_iter=max_iter, tol=1e-12, **params).fit(overlapping)
        assert model.n_iter_ == max_iter
        assert model.free_energy_ <= model.free_energies_[-1]
