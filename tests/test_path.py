"""temperature_path: its grid, what each row is, what must not change it, its errors."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import (
    EntmaxKMeans,
    SoftKMeans,
    critical_temperature,
    temperature_path,
)

ALPHAS = pytest.mark.parametrize("alpha", [1, 1.5, 2])
COLUMNS = {
    "temperature",
    "free_energy",
    "inertia",
    "entropy",
    "n_iter",
    "n_trial_iter",
    "n_distinct",
    "centers",
}
# From above the critical temperature of the blobs to k-means.
GRID = [300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.0]


@pytest.fixture
def square():
    """Return uniform samples: no other state than the mean above critical."""
    return np.random.default_rng(0).uniform(size=(200, 2))


def blobs_path(X, **params):
    """Return a path that has converged at every temperature."""
    params = {"temperatures": GRID, "random_state": 0, "max_iter": 5000} | params
    return temperature_path(X, 5, **params)


@ALPHAS
def test_the_default_grid_is_geometric_from_critical(square, alpha):
    w = np.random.default_rng(0).random(len(square))
    params = {"alpha": alpha, "sample_weight": w, "max_iter": 5000}
    path = temperature_path(square, 3, n_temperatures=7, **params)
    critical = critical_temperature(square, n_clusters=3, alpha=alpha, sample_weight=w)
    softmax = critical_temperature(square, sample_weight=w)
    expected = np.geomspace(1.05 * critical, 1e-3 * softmax, 7)
    assert_allclose(path.temperature, expected)
    assert path.entropy[-1] < 1e-2 * path.entropy[0]
    assert isinstance(path, np.recarray)
    assert set(path.dtype.names) == COLUMNS
    assert path.centers.shape == (7, 3, 2)


def test_fifty_temperatures_if_nothing_is_said(square):
    assert len(temperature_path(square, 2, random_state=0)) == 50


@pytest.mark.parametrize("container", [list, tuple, np.array, np.float32])
def test_a_given_grid_falls(blobs, container):
    path = blobs_path(blobs, temperatures=container([1.0, 0.0, 300.0, 10.0]))
    assert_array_equal(path.temperature, [300, 10, 1, 0])
    expected = blobs_path(blobs, temperatures=[300.0, 10.0, 1.0, 0.0])
    assert_array_equal(path.centers, expected.centers)


@ALPHAS
def test_temperatures_in_critical_units(blobs, alpha):
    params = {"alpha": alpha, "temperature_unit": "critical"}
    path = blobs_path(blobs, temperatures=[0.5, 0.1, 0], **params)
    unit = critical_temperature(blobs, n_clusters=5, alpha=alpha)
    assert_allclose(path.temperature, [0.5 * unit, 0.1 * unit, 0])


@pytest.mark.parametrize("alpha", [1, 1.5])
@pytest.mark.parametrize("k", [2, 3, 5])
def test_centers_separate_at_the_critical_temperature(square, seed, alpha, k):
    grid = [1.05, 1.02, 0.9, 0.5]
    params = {"alpha": alpha, "temperature_unit": "critical", "random_state": seed}
    path = temperature_path(square, k, temperatures=grid, max_iter=5000, **params)
    mean = np.tile(square.mean(axis=0), (2, k, 1))
    assert_allclose(path.centers[:2], mean, atol=1e-3)
    assert_array_equal(path.n_distinct[:2], 1)
    assert (path.n_distinct[2:] > 1).all()


@pytest.mark.parametrize("alpha", [1, 1.5])
@pytest.mark.parametrize("k", [2, 3, 5])
def test_centers_that_coincide_are_set_apart(square, alpha, k):
    params = {"alpha": alpha, "temperature_unit": "critical", "max_iter": 5000}
    init = np.tile(square.mean(axis=0), (k, 1))
    grid = [1.05, 0.9, 0.1, 0.02]
    path = temperature_path(square, k, temperatures=grid, init=init, **params)
    assert path.n_distinct[0] == 1 < path.n_distinct[1]
    assert path.n_distinct[-1] == k
    assert path.n_trial_iter[0] > 0
    assert path.n_trial_iter[-1] == 0


@pytest.mark.parametrize("temperature_unit", ["absolute", "critical"])
def test_two_points_by_hand(temperature_unit):
    # Between centers -c and c, a point at 1 has the mean tanh(2 c / T): c, if T < 2.
    grid = np.array([2.2, 2.01, 1.9, 1.5, 1.0, 0.5, 0.2])
    unit = 2 if temperature_unit == "critical" else 1
    path = temperature_path(
        [[-1.0], [1.0]],
        2,
        temperatures=grid / unit,
        temperature_unit=temperature_unit,
        init=[[-0.3], [0.8]],
        tol=1e-20,
        max_iter=10000,
    )
    for T, row in zip(grid, path, strict=True):
        c = 0 if T > 2 else brentq(lambda c, T=T: np.tanh(2 * c / T) - c, 1e-3, 1)
        assert_allclose(np.sort(row.centers.ravel()), [-c, c], atol=1e-8)
        p = np.array([[1 + c], [1 - c]]) / 2
        d = np.array([[1 - c], [1 + c]]) ** 2
        free_energy = 2 * (p * d + T * p * np.log(2 * p)).sum()
        assert_allclose(row.free_energy, free_energy, atol=1e-8)
    assert_array_equal(path.n_distinct, [1, 1, 2, 2, 2, 2, 2])


@pytest.mark.parametrize("alpha", [1, 1.5])
def test_well_separated_clusters_are_a_plateau(seed, alpha):
    means = [[0, 0], [20, 0], [0, 24]]
    X = make_blobs(150, centers=means, random_state=seed)[0]
    params = {"alpha": alpha, "random_state": seed, "max_iter": 5000}
    path = temperature_path(X, 6, **params)
    plateau = path[path.n_distinct == 3]
    assert len(plateau) > len(path) / 4
    assert plateau.temperature[0] > 5 * plateau.temperature[-1]
    centers = path.centers[path.n_distinct == 3][-1]
    assert cdist(means, centers).min(axis=1).max() < 0.5


@ALPHAS
def test_every_row_is_a_fixed_point_at_its_temperature(blobs, seed, alpha):
    w = np.random.default_rng(seed).random(len(blobs))
    path = blobs_path(blobs, alpha=alpha, tol=1e-12, max_iter=20000, sample_weight=w)
    params = {"max_iter": 1, "tol": 0, "n_init": 1}
    for row in path:
        params |= {"init": row.centers, "temperature": row.temperature}
        model = EntmaxKMeans(5, alpha=alpha, **params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(blobs, sample_weight=w)
        assert_allclose(model.cluster_centers_, row.centers, atol=1e-5)
        assert_allclose(model.free_energies_[0], row.free_energy)


@ALPHAS
def test_free_energy_never_rises(blobs, alpha, dtype, seed):
    X = blobs.astype(dtype)
    w = np.random.default_rng(seed).random(len(X)) * 10
    path = temperature_path(
        X,
        6,
        alpha=alpha,
        n_temperatures=20,
        sample_weight=w,
        random_state=seed,
        max_iter=20000,
    )
    scatter = w @ ((X - np.average(X, axis=0, weights=w)) ** 2).sum(axis=1)
    slack = 1e-12 if dtype == np.float64 else 1e-6
    bound = slack * (path.free_energy[:-1] + scatter)
    assert (np.diff(path.free_energy) <= bound).all()
    assert (path.free_energy >= (1 - slack) * path.inertia).all()


@ALPHAS
@pytest.mark.parametrize("tol", [1e-6, 10])
def test_the_end_at_zero_is_a_fixed_point_of_kmeans(square, alpha, seed, tol):
    params = {"temperatures": [0.05, 0], "tol": tol, "max_iter": 5000}
    path = temperature_path(square, 5, alpha=alpha, random_state=seed, **params)
    centers = path.centers[-1]
    expected = KMeans(5, init=centers, n_init=1, tol=0).fit(square)
    assert_allclose(centers, expected.cluster_centers_, atol=1e-10)
    assert_allclose(path.inertia[-1], expected.inertia_)
    assert_allclose(path.free_energy[-1], expected.inertia_)
    assert path.entropy[-1] == 0


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_a_grid_that_starts_low_starts_as_the_estimator(blobs, seed, init):
    params = {"init": init, "tol": 1e-6, "max_iter": 1000}
    path = blobs_path(blobs, temperatures=[1.0], random_state=seed, **params)
    model = SoftKMeans(5, temperature=1.0, n_init=1, random_state=seed, **params)
    model.fit(blobs)
    assert_array_equal(path.centers[0], model.cluster_centers_)
    assert path.n_iter[0] == model.n_iter_


def test_each_temperature_starts_from_the_centers_of_the_last(blobs):
    path = blobs_path(blobs, temperatures=[3.0, 1.0])
    from_there = blobs_path(blobs, temperatures=[1.0], init=path.centers[0])
    assert_array_equal(from_there.centers[0], path.centers[1])


def test_an_init_that_is_called_is_called_once(blobs):
    calls = []

    def first(X, n_clusters, random_state):
        calls.append(X)
        return X[:n_clusters]

    path = blobs_path(blobs, init=first)
    assert len(calls) == 1
    assert_array_equal(path.centers, blobs_path(blobs, init=blobs[:5]).centers)


def test_an_init_of_memberships(blobs):
    p = np.random.default_rng(0).dirichlet(np.ones(5), size=len(blobs))
    means = p.T @ blobs / p.sum(axis=0)[:, np.newaxis]
    result = blobs_path(blobs, init=p, temperatures=[1.0])
    expected = blobs_path(blobs, init=means, temperatures=[1.0])
    assert_allclose(result.centers, expected.centers)


def assert_same_path(result, expected, rtol=1e-9, unit=1.0):
    assert_array_equal(result.n_distinct, expected.n_distinct)
    scale = abs(expected.centers).max()
    assert_allclose(result.centers, expected.centers, atol=rtol * scale)
    for name in ("free_energy", "inertia", "entropy"):
        value = expected[name] * unit
        assert_allclose(result[name], value, rtol=rtol, atol=rtol * value.max())


@ALPHAS
@pytest.mark.parametrize("container", [np.array, csr_array])
def test_integer_weights_are_repetition(blobs, seed, alpha, container):
    weights = np.random.default_rng(seed).integers(0, 4, size=len(blobs))
    result = blobs_path(container(blobs), alpha=alpha, sample_weight=weights)
    repeated = container(np.repeat(blobs, weights, axis=0))
    assert_same_path(result, blobs_path(repeated, alpha=alpha), rtol=1e-6)


@ALPHAS
def test_scaled_weights_change_nothing_else(blobs, alpha):
    w = np.random.default_rng(0).random(len(blobs))
    expected = blobs_path(blobs, alpha=alpha, sample_weight=w)
    result = blobs_path(blobs, alpha=alpha, sample_weight=0.3 * w)
    assert_same_path(result, expected, rtol=1e-6, unit=0.3)


@ALPHAS
def test_a_permutation_changes_nothing(blobs, seed, alpha):
    order = np.random.default_rng(seed).permutation(len(blobs))
    result = blobs_path(blobs[order], alpha=alpha)
    assert_same_path(result, blobs_path(blobs, alpha=alpha), rtol=1e-6)


@ALPHAS
def test_dense_and_csr_agree(blobs, alpha):
    X = np.where(abs(blobs) < 2, 0, blobs)
    result = blobs_path(csr_array(X), alpha=alpha)
    assert_same_path(result, blobs_path(X, alpha=alpha), rtol=1e-6)


@ALPHAS
def test_float32_is_kept_and_agrees_with_float64(blobs, alpha):
    X = blobs.astype(np.float32)
    result, expected = blobs_path(X, alpha=alpha), blobs_path(X + 0.0, alpha=alpha)
    assert result.centers.dtype == np.float32
    assert result.free_energy.dtype == np.float64
    assert_same_path(result, expected, rtol=1e-3)


@ALPHAS
@pytest.mark.parametrize("a", [1e-100, 0.3, 1e100])
def test_units(blobs, alpha, a):
    expected = blobs_path(blobs, alpha=alpha)
    grid = np.multiply(GRID, a * a)
    result = blobs_path(blobs * a, alpha=alpha, temperatures=grid)
    assert_allclose(result.centers / a, expected.centers, atol=1e-5)
    assert_array_equal(result.n_distinct, expected.n_distinct)


def test_the_default_grid_has_no_units(blobs):
    params = {"temperatures": None, "n_temperatures": 10}
    expected, result = blobs_path(blobs, **params), blobs_path(8 * blobs, **params)
    assert_allclose(result.temperature, 64 * expected.temperature)
    assert_array_equal(result.n_distinct, expected.n_distinct)


def test_a_frame_is_its_values(blobs):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(blobs, columns=list("abcd"))
    assert_array_equal(blobs_path(frame).centers, blobs_path(blobs).centers)


def test_nothing_is_random_but_the_start(blobs):
    result, again = blobs_path(blobs), blobs_path(blobs)
    assert result.tobytes() == again.tobytes()


def test_nothing_is_written(blobs):
    init, grid = blobs[:5].copy(), np.array(GRID)
    for array in (blobs, init, grid):
        array.flags.writeable = False
    blobs_path(blobs, init=init, temperatures=grid)


def test_one_cluster_is_the_mean(blobs):
    path = temperature_path(blobs, 1, temperatures=[5, 1, 0])
    assert_allclose(path.centers, np.tile(blobs.mean(axis=0), (3, 1, 1)))
    assert_array_equal(path.n_distinct, 1)


@ALPHAS
def test_constant_data(alpha):
    path = temperature_path(np.ones((9, 2)), 3, alpha=alpha, temperatures=[2, 0])
    assert_array_equal(path.centers, np.ones((2, 3, 2)))
    assert_array_equal(path.n_distinct, 1)
    assert_array_equal(path.free_energy, 0)


def test_fewer_points_than_clusters_is_no_warning():
    X = np.repeat([[0.0, 0.0], [4.0, 0.0]], 5, axis=0)
    path = temperature_path(X, 3, temperatures=[20, 1, 0], random_state=0)
    assert_array_equal(path.n_distinct, [1, 2, 2])


def test_one_warning_says_how_many_temperatures_did_not_converge(blobs):
    with pytest.warns(ConvergenceWarning) as found:
        path = blobs_path(blobs, max_iter=20)
    (warning,) = found
    assert warning.filename == __file__
    moving = path.temperature[path.n_iter == 20]
    assert 0 < len(moving) < len(GRID)
    message = str(warning.message)
    assert f"max_iter=20 iterations at {len(moving)} of 7 temperatures" in message
    assert f"the first of them {moving[0]:.6g}. " in message


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("temperatures", {"temperatures": []}),
        ("temperatures", {"temperatures": [[1.0, 2.0]]}),
        ("temperatures", {"temperatures": [1.0, -1.0]}),
        ("temperatures", {"temperatures": [1.0, np.nan]}),
        ("temperatures", {"temperatures": [1.0, np.inf]}),
        ("temperatures", {"temperatures": [1.0, 3.0, 1.0]}),
        ("temperatures", {"temperatures": ["hot", "cold"]}),
        ("temperatures", {"temperatures": 1.0}),
        ("temperatures", {"temperatures": [1e308], "temperature_unit": "critical"}),
        ("n_temperatures", {"n_temperatures": 1}),
        ("n_clusters", {"n_clusters": 0}),
        ("n_clusters", {"n_clusters": 301}),
        ("alpha", {"alpha": 3}),
        ("temperature_unit", {"temperature_unit": "kelvin"}),
        ("init", {"init": "best"}),
        ("initial centers", {"init": [[1.0]]}),
        ("max_iter", {"max_iter": 0}),
        ("tol", {"tol": -1.0}),
        ("random_state", {"random_state": "lucky"}),
        ("sample_weight", {"sample_weight": [1.0]}),
        ("X", {"X": [[np.nan]]}),
    ],
)
def test_errors_name_the_parameter(blobs, name, params):
    with pytest.raises(ValueError, match=name):
        temperature_path(**({"X": blobs, "n_clusters": 3} | params))


def test_constant_data_have_no_default_grid():
    with pytest.raises(ValueError, match="temperatures must be given"):
        temperature_path(np.ones((9, 2)), 3)
