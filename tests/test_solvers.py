"""EM, gradient descent and L-BFGS: their gradients, and where they lead."""

import warnings
from unittest import mock

import numpy as np
import pytest
from helpers import chunked
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import AnnealedRBFKMeans, EntmaxKMeans, SoftKMeans, _acceleration
from sk_softkmeans._assignments import make_assignment
from sk_softkmeans._em import enter
from sk_softkmeans._moments import data_moments
from sk_softkmeans._solvers import LOSSES, LineSearch
from sk_softkmeans._steps import Steps, m_step

ALPHAS = pytest.mark.parametrize("alpha", [1, 1.2, 1.5, 2])
BOTH_LOSSES = pytest.mark.parametrize("loss", ["free_energy", "distortion"])


@pytest.fixture
def problem(seed):
    """Return samples, weights and centers, some samples of no weight."""
    rng = np.random.default_rng(seed)
    weights = rng.random(50)
    weights[::7] = 0
    return rng.normal(size=(50, 3)) + 5, weights, rng.normal(size=(4, 3)) + 5


def step(X, weights, centers, temperature, loss, alpha):
    """Return the loss, its gradient and the next centers of gradient descent."""
    loss = LOSSES[loss]
    with chunked(X, weights, len(centers)) as chunks:
        moments = data_moments(chunks)
        steps = Steps(len(weights), make_assignment(alpha), soft=loss.step)
        points = centers - moments.origin
        entering, _ = enter(chunks, moments, points, temperature)
        stats = steps.soft.reduce(chunks, entering, temperature)
    gradient = 2 * stats.mass[:, np.newaxis] * (points - m_step(stats))
    search = LineSearch(moments, np.float64, loss)
    following = search.means(points, stats)
    return loss(stats), gradient, following + moments.origin


@ALPHAS
@BOTH_LOSSES
@pytest.mark.parametrize("container", [np.array, csr_array])
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_gradients_are_finite_differences(problem, loss, alpha, container, temperature):
    X, weights, centers = problem
    X = container(X)
    small, expected = 1e-6, np.empty_like(centers)
    for index in np.ndindex(centers.shape):
        move = np.zeros_like(centers)
        move[index] = small
        above = step(X, weights, centers + move, temperature, loss, alpha)[0]
        below = step(X, weights, centers - move, temperature, loss, alpha)[0]
        expected[index] = (above - below) / (2 * small)
    gradient = step(X, weights, centers, temperature, loss, alpha)[1]
    error = np.linalg.norm(gradient - expected)
    assert error <= 1e-6 * np.linalg.norm(expected)


@ALPHAS
@BOTH_LOSSES
def test_the_loss_is_its_definition(problem, loss, alpha, definition):
    X, weights, centers = problem
    d = cdist(X, centers, "sqeuclidean")
    if loss == "distortion":
        expected = weights @ (definition.responsibilities(d, 2.0) * d).sum(axis=1)
    else:
        expected = weights @ definition.free_energies(d, 2.0)
    assert_allclose(step(X, weights, centers, 2.0, loss, alpha)[0], expected)


@ALPHAS
@BOTH_LOSSES
def test_a_cold_gradient_step_is_lloyds(problem, loss, alpha):
    X, weights, centers = problem
    d = cdist(X, centers, "sqeuclidean")
    nearest, second = np.sort(d, axis=1)[:, :2].T
    # Memberships are hard from this temperature on; those of softmax to the last bit.
    temperature = (second - nearest).min() * (alpha - 1 if alpha > 1 else 1 / 50)
    following = step(X, weights, centers, temperature * 0.999, loss, alpha)[2]
    share = np.eye(4)[d.argmin(axis=1)] * weights[:, np.newaxis]
    assert_allclose(following, share.T @ X / share.sum(axis=0)[:, np.newaxis])


@pytest.mark.parametrize("relocate", [False, True])
@pytest.mark.parametrize("temperature_min", [0, 3.0])
@pytest.mark.parametrize("alpha", [1, 1.5, 2])
def test_gradient_descent_of_the_free_energy_is_em(
    blobs, seed, alpha, relocate, temperature_min
):
    params = {"alpha": alpha, "relocate": relocate, "random_state": seed}
    params |= {"temperature_min": temperature_min}
    with mock.patch.object(_acceleration, "_SLOW", np.inf):
        em = AnnealedRBFKMeans(6, **params, solver="em").fit(blobs)
    gradient = AnnealedRBFKMeans(6, **params, solver="gradient").fit(blobs)
    assert gradient.n_iter_ == em.n_iter_
    assert_allclose(gradient.free_energies_, em.free_energies_, rtol=1e-12)
    assert_allclose(gradient.cluster_centers_, em.cluster_centers_, atol=1e-12)


@pytest.mark.parametrize("solver", ["em", "gradient"])
@pytest.mark.parametrize("alpha", [1, 1.5, 2])
def test_one_temperature_is_soft_kmeans(blobs, seed, alpha, solver):
    if alpha == 1:
        expected = SoftKMeans(5, temperature=5.0, random_state=seed)
    else:
        expected = EntmaxKMeans(5, alpha=alpha, temperature=5.0, random_state=seed)
    expected.fit(blobs)
    model = at_one_temperature(5, 5.0, alpha=alpha, solver=solver, random_state=seed)
    model.fit(blobs)
    assert model.n_iter_ == expected.n_iter_
    assert_allclose(model.free_energies_, expected.free_energies_, rtol=1e-12)
    centers = expected.cluster_centers_
    assert_allclose(model.cluster_centers_, centers, atol=1e-12)
    assert model.temperature_ == 5


def at_one_temperature(n_clusters, temperature, **params):
    return AnnealedRBFKMeans(
        n_clusters,
        temperature_max=temperature,
        temperature_min=temperature,
        relocate=False,
        **params,
    )


def fit_quietly(model, X):
    """Fit for few iterations, which is said in a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The centers still moved", ConvergenceWarning)
        return model.fit(X)


@ALPHAS
@pytest.mark.parametrize("temperature", [0.5, 5.0, 30.0])
def test_the_distortion_never_rises(blobs, seed, alpha, temperature):
    params = {"alpha": alpha, "solver": "gradient", "loss": "distortion", "tol": 0}
    distortions = []
    for max_iter in range(1, 30):
        model = at_one_temperature(
            5, temperature, **params, max_iter=max_iter, random_state=seed
        )
        distortions.append(fit_quietly(model, blobs).soft_inertia_)
        assert model.n_iter_ <= max_iter
    assert (np.diff(distortions) <= 1e-12 * distortions[0]).all()
    assert distortions[-1] < distortions[0]


@ALPHAS
@pytest.mark.parametrize("solver", ["gradient", "lbfgs"])
@BOTH_LOSSES
def test_the_end_is_a_stationary_point(solver, loss, alpha):
    X = easy(0)
    model = at_one_temperature(
        3, 4.0, alpha=alpha, solver=solver, loss=loss, init=X[:3], tol=1e-18
    ).set_params(max_iter=3000)
    fit_quietly(model, X)
    ones, centers = np.ones(len(X)), model.cluster_centers_
    at_start = step(X, ones, X[:3], 4.0, loss, alpha)[1]
    at_end = step(X, ones, centers, 4.0, loss, alpha)[1]
    assert np.linalg.norm(at_end) <= 1e-5 * np.linalg.norm(at_start)


def easy(seed):
    """Return samples of three clear clusters, the first three of different ones."""
    means = np.array([[0.0, 0.0, 0.0], [8.0, 0.0, 0.0], [0.0, 8.0, 0.0]])
    X, y = make_blobs(150, centers=means, cluster_std=1.0, random_state=seed)
    firsts = [np.flatnonzero(y == label)[0] for label in range(3)]
    return np.r_[X[firsts], np.delete(X, firsts, axis=0)]


@ALPHAS
@BOTH_LOSSES
@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_lbfgs_gets_as_low_as_the_others(seed, loss, alpha, temperature):
    X = easy(seed)
    params = {"alpha": alpha, "loss": loss, "init": X[:3], "tol": 1e-8}
    value = {"free_energy": "free_energy_", "distortion": "soft_inertia_"}[loss]
    expected = at_one_temperature(3, temperature, solver="gradient", **params).fit(X)
    model = at_one_temperature(3, temperature, solver="lbfgs", **params).fit(X)
    assert getattr(model, value) <= (1 + 1e-6) * getattr(expected, value)
    assert len(model.free_energies_) == model.n_iter_ == len(model.temperatures_)
    first = step(X, np.ones(150), X[:3], temperature, "free_energy", alpha)[0]
    assert_allclose(model.free_energies_[0], first)


@BOTH_LOSSES
@pytest.mark.parametrize("solver", ["gradient", "lbfgs"])
@pytest.mark.parametrize("relocate", [False, True])
def test_every_solver_ends_at_kmeans(seed, solver, loss, relocate):
    X = easy(seed)
    params = {"solver": solver, "loss": loss, "relocate": relocate, "init": X[:3]}
    model = AnnealedRBFKMeans(3, **params).fit(X)
    expected = AnnealedRBFKMeans(3, init=X[:3]).fit(X)
    assert_allclose(model.inertia_, expected.inertia_)
    assert len(model.free_energies_) == model.n_iter_ == len(model.temperatures_)


@pytest.mark.parametrize("max_iter", [1, 2, 5])
@BOTH_LOSSES
@pytest.mark.parametrize("solver", ["gradient", "lbfgs"])
def test_max_iter_bounds_the_iterations_at_the_last_temperature(
    blobs, solver, loss, max_iter
):
    params = {"solver": solver, "loss": loss, "tol": 0, "random_state": 0}
    model = at_one_temperature(5, 5.0, max_iter=max_iter, **params)
    with pytest.warns(ConvergenceWarning, match=f"max_iter={max_iter}"):
        model.fit(blobs)
    assert model.n_iter_ == max_iter
    assert not model.converged_


def test_em_does_not_lower_the_distortion(blobs):
    model = AnnealedRBFKMeans(3, solver="em", loss="distortion")
    with pytest.raises(ValueError, match=r"loss must be 'free_energy'"):
        model.fit(blobs)
    assert not hasattr(model, "cluster_centers_")
