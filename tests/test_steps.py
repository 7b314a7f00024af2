"""Statistics, M-step and precision."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from sk_softkmeans._assignments import Softmax, make_assignment
from sk_softkmeans._distances import Centers, Scratch, make_block
from sk_softkmeans._steps import (
    Assignment,
    DenseStep,
    HardStep,
    Stats,
    m_step,
    precision,
)

T = 1.7


@pytest.fixture
def problem():
    """Return rows, weights, an origin and centers about it."""
    rng = np.random.default_rng(0)
    X, origin = rng.normal(size=(40, 3)), rng.normal(size=3)
    return X, rng.random(40), origin, rng.normal(size=(5, 3))


def stats_of(step, problem, rows=slice(0, 40), container=np.array):
    X, weights, origin, points = problem
    block = make_block(container(X), origin, np.dtype(np.float64), Scratch())
    block.load(rows)
    temperature = 0.0 if step.hard else T
    centers = Centers(points, origin, np.float64)
    return step(block, weights[rows], centers, temperature)


def slow_stats(problem, step, definition):
    """Return the statistics by their definition, from all distances."""
    X, w, origin, points = problem
    d = cdist(X - origin, points, "sqeuclidean")
    temperature = 0.0 if step.hard else T
    p = definition.responsibilities(d, temperature)
    wp = w[:, np.newaxis] * p
    value = w @ definition.free_energies(d, temperature)
    omega = w @ definition.negentropy(p)
    return Stats(wp.sum(0), wp.T @ (X - origin), value, omega, (wp * d).sum())


def assert_equal_stats(result, expected, omega=True):
    assert_allclose(result.mass, expected.mass, atol=1e-12)
    assert_allclose(result.sums, expected.sums, atol=1e-12)
    assert_allclose(result.value, expected.value)
    assert_allclose(result.distortion, expected.distortion)
    assert_allclose(result.omega, expected.omega, atol=1e-12)


ALPHAS = pytest.mark.parametrize("alpha", [1, 1.2, 1.5, 2])


@pytest.fixture(params=["hard", "dense"])
def make_step(request, alpha):
    """Return what makes a step over 40 rows, of each kind."""
    if request.param == "hard":
        return lambda: HardStep(40)
    return lambda: DenseStep(make_assignment(alpha), with_distortion=True)


@ALPHAS
@pytest.mark.parametrize("container", [np.array, csr_array])
def test_steps_are_their_definition(problem, make_step, definition, container):
    step = make_step()
    result = stats_of(step, problem, container=container)
    assert_equal_stats(result, slow_stats(problem, step, definition))


@ALPHAS
def test_two_halves_sum_to_the_whole(problem, make_step):
    halves = stats_of(make_step(), problem, slice(0, 17))
    halves += stats_of(make_step(), problem, slice(17, 40))
    assert_equal_stats(halves, stats_of(make_step(), problem))


@ALPHAS
def test_statistics_about_two_origins_merge(problem, make_step):
    X, weights, origin, points = problem
    shift = np.array([10.0, -3.0, 0.5])
    elsewhere = X, weights, origin + shift, points - shift
    merged = stats_of(make_step(), problem, slice(0, 17))
    merged += stats_of(make_step(), elsewhere, slice(17, 40)).about(-shift)
    assert_equal_stats(merged, stats_of(make_step(), problem))


@ALPHAS
def test_steps_without_distortion_give_the_same_centers(problem, alpha):
    assignment = make_assignment(alpha)
    with_it = stats_of(DenseStep(assignment, with_distortion=True), problem)
    without = stats_of(DenseStep(assignment, with_distortion=False), problem)
    assert_array_equal(m_step(without), m_step(with_it))
    assert without.value == with_it.value
    assert without.distortion == without.omega == 0


def test_hard_step_knows_whether_labels_changed(problem):
    step = HardStep(40)
    for expected in (True, False):
        step.changed = False
        stats_of(step, problem)
        assert step.changed == expected
    step.changed = False
    stats_of(step, (*problem[:3], problem[3] + 1))
    assert step.changed


def test_centers_worked_out_by_hand():
    # Masses 3 and 0: the second center goes where the heavier one is.
    stats = Stats(np.array([3.0, 0.0]), np.array([[6.0, -3.0], [0.0, 0.0]]), 0.0)
    assert_array_equal(m_step(stats), [[2, -1], [2, -1]])


def test_one_sample_between_two_centers_by_hand():
    # Distances 1 and 4 at T = 3 / log 2: responsibilities 2/3 and 1/3.
    block = make_block(np.array([[1.0]]), np.zeros(1), np.dtype(np.float64), Scratch())
    block.load(slice(0, 1))
    centers = Centers(np.array([[0.0], [3.0]]), np.zeros(1), np.float64)
    temperature = 3 / np.log(2)
    read = Assignment(block, centers, temperature, Softmax())
    assert_array_equal(read.labels, [0])
    assert_allclose(read.nearest, [1])
    assert_allclose(read.responsibilities(), [[2 / 3, 1 / 3]])
    assert_allclose(read.log_responsibilities(), np.log([[2 / 3, 1 / 3]]))
    assert_allclose(1 + temperature * read.value, 1 - temperature * np.log(3 / 4))
    assert_allclose(1 + temperature * read.excess(), 2)


@pytest.mark.parametrize(
    ("dtype", "peak", "temperature", "expected"),
    [
        (np.float64, 1.0, 0.0, np.float64),
        (np.float64, 1.0, 1e-300, np.float64),
        (np.float32, 1.0, 0.0, np.float32),
        (np.float32, 1.0, 1.0, np.float32),
        (np.float32, 1.0, 1e-5, np.float64),
        (np.float32, 1.0, 1e35, np.float64),
        (np.float32, 1e10, 1e-30, np.float64),
        (np.float32, 0.0, 1.0, np.float64),
    ],
)
def test_precision(dtype, peak, temperature, expected):
    assert precision(temperature, peak, dtype) == expected


def test_precision_to_an_accuracy():
    # The rounding of float32 is 1.2e-7.
    assert precision(1e-3, 1.0, np.float32, 1e-3) == np.float32
    assert precision(1e-3, 1.0, np.float32, 1e-5) == np.float64
