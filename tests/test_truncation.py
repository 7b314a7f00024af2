"""The search with truncated memberships: when it ends, and how its lists grow."""

import warnings
from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import TruncatedKMeans
from sk_softkmeans._acceleration import Point
from sk_softkmeans._assignments import Softmax, Truncated
from sk_softkmeans._candidates import Neighbours
from sk_softkmeans._moments import Moments
from sk_softkmeans._steps import Stats
from sk_softkmeans._truncation import TruncatedMeans, TruncatedSearch


@pytest.fixture(scope="module")
def data():
    """Return samples of 200 clusters and initial centers."""
    X, _, means = make_blobs(
        5000, 2, centers=200, cluster_std=0.5, random_state=0, return_centers=True
    )
    return X, means + np.random.default_rng(0).normal(scale=0.5, size=means.shape)


def watch(X, **params):
    """Return a fit of 200 clusters, the lengths of its lists, and its runs."""
    lengths, runs, run = [], [], TruncatedSearch._run

    def make(length):
        lengths.append(length)
        return Neighbours(length)

    def watched(*args):
        runs.append(run(*args))
        return runs[-1]

    model = TruncatedKMeans(200, **params)
    with (
        mock.patch("sk_softkmeans._truncation.Neighbours", make),
        mock.patch.object(TruncatedSearch, "_run", watched),
        warnings.catch_warnings(),
    ):
        # Of fits that max_iter cuts short.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    return model, lengths, runs


@pytest.mark.parametrize("n_active", [1, 2, 8, 9, 12])
def test_the_first_lists_have_16_or_twice_the_active(data, n_active):
    X, init = data
    params = {"n_active": n_active, "learn_weights": True}
    _, lengths, _ = watch(X, init=init, max_iter=2, **params)
    assert lengths == [max(16, 2 * n_active)]


def test_lists_double_until_the_free_energy_gains_little(data):
    X, init = data
    model, lengths, runs = watch(X, init=init)
    assert len(runs) > 1
    # Where lists do not pay any more, the last run looks at all centers.
    assert lengths == [16 * 2**i for i in range(len(lengths))]
    assert len(runs) - len(lengths) in (1, 2)
    pairs = zip(runs[:-1], runs[1:], strict=True)
    gains = [1 - b.free_energies[0] / a.free_energies[-1] for a, b in pairs]
    # The last one has the lists before the last, and the tolerance asked for.
    assert all(gain > 5e-3 for gain in gains[:-2])
    assert gains[-2] <= 5e-3 or len(runs) - len(lengths) == 2
    assert all(run.reason for run in runs[:-1])


def test_histories_are_those_of_all_runs(data):
    X, init = data
    model, _, runs = watch(X, init=init)
    energies = np.concatenate([run.free_energies for run in runs])
    temperatures = np.concatenate([run.temperatures for run in runs])
    assert_array_equal(model.free_energies_, energies)
    assert_array_equal(model.temperatures_, temperatures)
    assert model.n_iter_ == len(energies)
    # A run goes on with the temperature of the one before.
    assert runs[1].temperatures[0] == runs[0].temperature


def test_max_iter_is_for_all_runs_together(data):
    X, init = data
    model, _, runs = watch(X, init=init)
    first = len(runs[0].free_energies)
    for max_iter in (first - 1, first, first + 1):
        stopped, _, _ = watch(X, init=init, max_iter=max_iter)
        assert stopped.n_iter_ == max_iter
        assert_array_equal(stopped.free_energies_, model.free_energies_[:max_iter])


def test_a_number_of_neighbours_stays(data):
    X, init = data
    _, lengths, runs = watch(X, init=init, n_neighbors=20)
    assert lengths == [20]
    assert len(runs) == 1


@pytest.mark.parametrize(
    "params",
    [{"n_active": 1}, {"temperature": 0}, {"n_neighbors": 200}, {"n_active": 99}],
    ids=str,
)
def test_no_lists_where_they_are_no_use(data, params):
    X, init = data
    _, lengths, runs = watch(X, init=init, max_iter=3, **params)
    # At temperature 0 they are made, but not used.
    assert len(runs) == 1
    assert not lengths or params == {"temperature": 0}


def test_no_lists_for_sparse_samples(data):
    X, init = data
    _, lengths, _ = watch(csr_array(X), init=init, max_iter=2, n_neighbors=16)
    assert lengths == []


def test_every_run_begins_with_equal_shares(data):
    X, init = data
    params = {"learn_weights": True, "n_neighbors": 16, "max_iter": 3}
    _, _, runs = watch(X, init=lambda *_, **__: init, n_init=2, **params)
    assert len(runs) == 2
    assert_array_equal(runs[0].free_energies, runs[1].free_energies)


def advance(distortion, shift, mass=3.0):
    """Return what is left after two centers of this mass have shifted, and the image.

    The mean variance of the features is 4.
    """
    moments = Moments(np.zeros(2), 4.0, 0.0, 0.0, 1.0, np.dtype(float))
    means = TruncatedMeans(moments, np.float64, Truncated(Softmax(), 1))
    point = Point(np.zeros((2, 2)), 1.0)
    image = Point(np.full((2, 2), shift), 1.0)
    stats = Stats(np.full(2, mass), None, 0.0, distortion=distortion)
    return means.advance(point, image, stats, 0.0)[0]


def test_what_is_left_is_relative_to_the_distortion():
    # The M-step lowers that by 2 x 3 x 2 shift^2, of 1000. As long as no rate is known
    # ten shifts are left.
    shift, distortion = 0.5, 1000.0
    tol = 12 * (10 * shift) ** 2 / distortion
    # The distance left is compared to that of tol times the variance.
    assert_allclose(advance(distortion, shift) ** 2, tol * 4.0)


@pytest.mark.parametrize(("rate", "believed"), [(0.5, 0.5), (0.99, 0.9), (1.1, 0.9)])
def test_what_is_left_follows_from_the_rate_of_shifts(rate, believed):
    moments = Moments(np.zeros(1), 1.0, 0.0, 0.0, 1.0, np.dtype(float))
    means = TruncatedMeans(moments, np.float64, Truncated(Softmax(), 1))
    stats = Stats(np.ones(1), None, 0.0, distortion=1.0)
    for i in range(8):
        image = Point(np.full((1, 1), 0.1 * rate**i), 1.0)
        left, _ = means.advance(Point(np.zeros((1, 1)), 1.0), image, stats, 0.0)
    assert_allclose(left, 0.1 * rate**7 / (1 - believed))


@pytest.mark.parametrize("distortion", [0.0, -1e-20])
def test_nothing_is_left_where_every_sample_is_on_its_center(distortion):
    assert advance(distortion, 1e-18) == 0
