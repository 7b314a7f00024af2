"""Empty clusters: which samples become their centers, and whose weight they take."""

import numpy as np
import pytest
from helpers import chunked
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import AnnealedRBFKMeans, SoftKMeans, temperature_path
from sk_softkmeans._assignments import make_assignment
from sk_softkmeans._distances import Centers
from sk_softkmeans._empty import _farthest_distinct, relocate
from sk_softkmeans._steps import DenseStep, HardStep, m_step

CONTAINERS = pytest.mark.parametrize("container", [np.array, csr_array])
X = np.array([[-10.0], [-9.5], [-9], [-8.5], [-8], [-1], [1], [9], [9.5], [10]])


def relocated(X, weights, points, temperature=0.0, alpha=1):
    """Return the statistics before and after, and the clusters that were empty."""
    assignment = make_assignment(alpha)
    points = np.array(points, dtype=float)
    step = DenseStep(assignment, with_distortion=True) if temperature else None
    with chunked(X, np.asarray(weights, dtype=float), len(points)) as chunks:
        centers = Centers(points, np.zeros(points.shape[1]), np.dtype(np.float64))
        step = step or HardStep(X.shape[0])
        before = step.reduce(chunks, centers, temperature)
        mass = before.mass.copy()
        empty = relocate(chunks, before, centers, temperature, assignment)
    return mass, before, empty


@CONTAINERS
def test_the_farthest_samples_become_centers(container):
    # All ten samples are nearest to the first of three equal centers; the two
    # farthest, 10 and 9.5, leave it a sum of -36 over eight.
    mass, stats, empty = relocated(container(X), np.ones(10), [[-10], [-10], [-10]])
    assert_array_equal(mass, [10, 0, 0])
    assert_array_equal(empty, [1, 2])
    assert_allclose(stats.mass, [8, 1, 1])
    assert_allclose(m_step(stats).ravel(), [-36 / 8 + 0.0, 10, 9.5])


@CONTAINERS
def test_equal_samples_count_once_and_unweighted_ones_never(container):
    repeated = np.vstack([X, X[-1:], X[-1:], [[100.0]]])
    weights = np.r_[np.ones(12), 0]
    _, stats, _ = relocated(container(repeated), weights, [[-10], [-10], [-10]])
    assert_allclose(m_step(stats).ravel()[1:], [10, 9.5])


@CONTAINERS
def test_nothing_moves_when_every_sample_is_on_a_center(container):
    two = np.array([[0.0], [1.0], [1.0]])
    mass, stats, empty = relocated(container(two), np.ones(3), [[0], [1], [1]])
    assert_array_equal(mass, [1, 2, 0])
    assert len(empty) == 0
    assert_allclose(m_step(stats).ravel(), [0, 1, 1])


@pytest.mark.parametrize("temperature", [1e-6, 1.0, 30.0])
@pytest.mark.with_temperature
def test_relocation_never_raises_the_free_energy(estimator_class, temperature):
    # The far center underflows to an empty cluster at each of these temperatures.
    init = np.array([[-5.0], [5.0], [1e4]])
    model = estimator_class(3, temperature=temperature, init=init).fit(X)
    assert (np.diff(model.free_energies_) <= 1e-9).all()
    assert abs(model.cluster_centers_).max() <= 10


@pytest.mark.parametrize("alpha", [1, 1.2, 1.5, 2])
def test_relocation_keeps_the_distortion_of_a_learned_temperature_right(
    alpha, definition
):
    # From the relocated state the next temperature is s = sum p d / (W d) of the new
    # centers; a slow sum over the same memberships gives it as well.
    points = [[-9.0], [8.5], [1e4]]
    _, stats, empty = relocated(X, np.ones(10), points, 1.0, alpha)
    centers, old = m_step(stats), np.array(points)
    gains = stats.mass * ((centers - old) ** 2).sum(axis=1)
    gains[empty] = 0
    d = (X - old.T) ** 2
    p = definition.responsibilities(d, 1.0)
    far = d.min(axis=1).argmax()
    p[far] = [0, 0, 1]
    expected = (p * (X - centers.T) ** 2).sum()
    assert_allclose(stats.distortion - gains.sum(), expected, rtol=1e-9)


@pytest.mark.one_temperature
@pytest.mark.parametrize("seed", range(6))
def test_a_cluster_that_lost_its_only_sample_is_empty(estimator_class, seed):
    # In float32 its mass is not exactly 0; it goes where the heaviest cluster is.
    rng = np.random.default_rng(seed)
    X = np.vstack([rng.normal(size=(50, 2)), [[30.123, -17.77]]])
    w = rng.uniform(0.5, 1, 51)
    init = np.array([[0.0, 0], [25, -15], [1000, 1000]])
    model = estimator_class(3, temperature=0, init=init, max_iter=1)
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(2\)"):
        centers = model.fit(X.astype(np.float32), sample_weight=w).cluster_centers_
    mean = np.average(X[:50], axis=0, weights=w[:50])
    assert_allclose(centers, [mean, mean, X[50]], atol=1e-5)


def test_explicit_zeros_are_no_content():
    # Two equal far samples, one of which stores its zero.
    rows = np.array([0, 0, 1, 1, 1, 2, 3])
    columns = np.array([0, 2, 0, 1, 2, 0, 1])
    data = np.array([9.0, 9, 9, 0, 9, 8, 1])
    X = csr_array((data, (rows, columns)), shape=(4, 3))
    _, stats, _ = relocated(X, np.ones(4), [[0, 0, 0], [99, 99, 99], [99, 99, 99]])
    assert_allclose(m_step(stats)[1:], [[9, 0, 9], [8, 0, 0]])


@pytest.fixture(scope="module")
def five_points():
    """Return five distinct rows, each many times, in no order."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 4))[rng.integers(0, 5, 20_000)]


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@CONTAINERS
def test_more_clusters_than_distinct_points_end_soon(
    estimator_class, container, dtype, five_points
):
    # Centers differ from these points by rounding, to which none can be moved.
    X = container(five_points.astype(dtype))
    model = estimator_class(8, tol=0, random_state=0).fit(X)
    assert model.converged_
    assert model.n_iter_ < 150


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_annealing_of_a_few_distinct_points_ends_soon(dtype, five_points):
    X = five_points.astype(dtype)
    model = AnnealedRBFKMeans(8, temperature_max="critical", random_state=0).fit(X)
    assert model.converged_
    assert model.n_iter_ < 60
    path = temperature_path(X, 8, temperatures=[10, 1, 0.1, 0], random_state=0)
    assert path.n_iter.max() < 20


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("temperature", [0, 1e-3, 0.1])
def test_fewer_distinct_points_than_clusters_are_where_the_centers_are(
    temperature, five_points, dtype
):
    X = five_points.astype(dtype)
    model = SoftKMeans(8, temperature=temperature, tol=0, random_state=0).fit(X)
    found = np.unique(model.cluster_centers_[model.labels_].round(4), axis=0)
    assert_allclose(found, np.unique(X.round(4), axis=0), atol=2e-4)


@pytest.mark.parametrize("count", [1, 3, 8, 40])
@pytest.mark.parametrize("levels", [2, 5, 1000])
@CONTAINERS
def test_the_farthest_distinct_samples(container, levels, count, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, levels, (400, 2)).astype(float)
    # Of many rows some are at the same distance.
    distances = (X**2).sum(axis=1)
    copies = _farthest_distinct(container(X), distances, count)
    far = np.array([rows[0] for rows in copies])
    # The same by sorting all distinct rows.
    rows, group = np.unique(X, axis=0, return_inverse=True)
    expected = np.sort((rows**2).sum(axis=1))[::-1]
    assert_array_equal(distances[far], expected[expected > 0][:count])
    assert len(np.unique(X[far], axis=0)) == len(far)
    for found in copies:
        everywhere = np.flatnonzero(group.ravel() == group.ravel()[found[0]])
        assert_array_equal(np.sort(found), everywhere)
    order = rng.permutation(400)
    again = _farthest_distinct(container(X[order]), distances[order], count)
    assert_array_equal([X[order][rows[0]] for rows in again], X[far])


def test_the_weight_of_a_sample_is_taken_from_the_label_that_it_has():
    # (1, 0) is as far from three centers. Its logits are rounded in another way in a
    # block of its own: taken from another label it left a cluster empty, for ever.
    rows = ["11", "01", "00", "11", "10", "01", "01", "11", "01", "11"]
    X = np.array([[int(a), int(b)] for a, b in rows], dtype=float)
    init = np.array([[0.0, 1], [1, 1], [1, 1], [0, 0]])
    model = SoftKMeans(4, temperature=0, init=init, tol=0).fit(X)
    assert model.converged_
    assert_allclose(model.inertia_, 0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("temperature", [0, 0.05])
def test_binary_samples_with_many_ties(any_order, temperature, seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        X = rng.integers(0, 2, (12, 3)).astype(float)
        init = X[rng.choice(12, 4, replace=False)]
        model = any_order(4, temperature=temperature, init=init, tol=0).fit(X)
        assert model.n_iter_ < 100
        assert model.converged_
