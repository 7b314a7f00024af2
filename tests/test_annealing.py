"""The path of an annealed run: what falls along it, how it starts and where it ends."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist, pdist
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import AnnealedRBFKMeans, critical_temperature

ALPHAS = pytest.mark.parametrize("alpha", [1, 1.2, 1.5, 2])
RELOCATE = pytest.mark.parametrize("relocate", [False, True])
COLUMNS = {
    "temperature",
    "free_energy",
    "inertia",
    "entropy",
    "n_iter",
    "n_trial_iter",
    "n_relocated",
    "n_distinct",
    "centers",
}


def fit_quietly(model, X, **fit_params):
    """Fit with few iterations or merged centers, which is said in a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **fit_params)


@ALPHAS
@RELOCATE
@pytest.mark.parametrize("temperature_min", [0, 2.0])
@pytest.mark.parametrize("n_each", [1, 3])
def test_path_and_histories_agree(blobs, alpha, relocate, temperature_min, n_each):
    model = AnnealedRBFKMeans(
        5,
        alpha=alpha,
        temperature_max="critical",
        temperature_min=temperature_min,
        max_iter_per_temperature=n_each,
        relocate=relocate,
        random_state=0,
    ).fit(blobs)
    path, n_rows = model.path_, len(model.path_.temperature)
    assert set(path.dtype.names) == COLUMNS
    for name in COLUMNS:
        assert path[name].shape == ((n_rows, 5, 4) if name == "centers" else (n_rows,))
    assert path.n_iter.sum() == model.n_iter_ == len(model.free_energies_)
    assert len(model.temperatures_) == model.n_iter_
    assert_array_equal(model.temperatures_, np.repeat(path.temperature, path.n_iter))
    assert (path.n_iter[:-1] <= n_each).all()
    assert (np.diff(path.temperature) < 0).all()
    assert n_rows > 5
    assert path.temperature[-1] == temperature_min
    assert_array_equal(path.centers[-1], model.cluster_centers_)
    # The last iteration at a temperature is the appraisal of what it led to.
    ends = np.cumsum(path.n_iter)[:-1] - 1
    assert_array_equal(model.free_energies_[ends], path.free_energy[:-1])


@ALPHAS
@RELOCATE
@pytest.mark.parametrize("first", ["auto", "critical"])
def test_free_energy_never_rises(blobs, alpha, relocate, dtype, seed, first):
    X = blobs.astype(dtype)
    w = np.random.default_rng(seed).random(len(X)) * 10
    params = {"alpha": alpha, "relocate": relocate, "temperature_max": first}
    model = AnnealedRBFKMeans(6, init="random", n_init=1, random_state=seed, **params)
    model.fit(X, sample_weight=w)
    scatter = w @ ((X - np.average(X, axis=0, weights=w)) ** 2).sum(axis=1)
    slack = 1e-12 if dtype == np.float64 else 1e-6
    for values in (model.path_.free_energy, model.free_energies_):
        assert (np.diff(values) <= slack * (abs(values[:-1]) + scatter)).all()
    assert (model.path_.free_energy >= (1 - slack) * model.path_.inertia).all()
    assert (model.path_.entropy >= 0).all()
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    assert_allclose(model.free_energies_[-1], model.inertia_, rtol=rtol)
    assert_allclose(model.path_.free_energy[-1], model.inertia_, rtol=rtol)


@ALPHAS
@RELOCATE
@pytest.mark.parametrize("temperature_min", [0, 2.0])
def test_the_path_is_its_definition(blobs, definition, relocate, temperature_min):
    w = np.random.default_rng(0).random(len(blobs)) * 10
    model = AnnealedRBFKMeans(
        5,
        alpha=definition.alpha,
        temperature_max=20.0,
        temperature_min=temperature_min,
        relocate=relocate,
        random_state=0,
    ).fit(blobs, sample_weight=w)
    path = model.path_
    for i, temperature in enumerate(path.temperature):
        d = cdist(blobs, path.centers[i], "sqeuclidean")
        entropy = -definition.negentropy(definition.responsibilities(d, temperature))
        assert_allclose(path.entropy[i], w @ entropy, atol=1e-9 * w.sum())
        free_energy = w @ definition.free_energies(d, temperature)
        assert_allclose(path.free_energy[i], free_energy)
        assert_allclose(path.inertia[i], w @ d.min(axis=1))


@ALPHAS
@RELOCATE
def test_the_end_is_a_fixed_point_of_kmeans(blobs, seed, alpha, relocate):
    w = np.random.default_rng(seed).random(len(blobs))
    params = {"alpha": alpha, "relocate": relocate, "random_state": seed}
    model = AnnealedRBFKMeans(7, **params).fit(blobs, sample_weight=w)
    nearest = cdist(blobs, model.cluster_centers_).argmin(axis=1)
    share = np.eye(7)[nearest] * w[:, np.newaxis]
    means = share.T @ blobs / share.sum(axis=0)[:, np.newaxis]
    assert_allclose(model.cluster_centers_, means, atol=1e-10)
    assert_array_equal(model.labels_, nearest)
    assert model.converged_


@RELOCATE
@pytest.mark.parametrize("solver", ["gradient", "lbfgs"])
def test_other_solvers_never_raise_the_free_energy(blobs, seed, solver, relocate):
    params = {"solver": solver, "relocate": relocate, "temperature_max": "critical"}
    path = AnnealedRBFKMeans(6, random_state=seed, **params).fit(blobs).path_
    scatter = blobs.var(axis=0).sum() * len(blobs)
    bound = 1e-12 * (path.free_energy[:-1] + scatter)
    assert (np.diff(path.free_energy) <= bound).all()


@pytest.mark.parametrize(
    ("solver", "loss"),
    [
        ("em", "free_energy"),
        ("gradient", "free_energy"),
        ("gradient", "distortion"),
        ("lbfgs", "free_energy"),
        ("lbfgs", "distortion"),
    ],
)
@pytest.mark.parametrize("temperature_min", [0, 1.0])
def test_constant_data(solver, loss, temperature_min):
    params = {"solver": solver, "loss": loss, "temperature_min": temperature_min}
    model = AnnealedRBFKMeans(3, temperature_max=2.0, random_state=0, **params)
    fit_quietly(model, np.ones((20, 2)))
    assert_array_equal(model.cluster_centers_, np.ones((3, 2)))
    assert model.inertia_ == 0


@pytest.mark.parametrize("times", [1, 1e3, 1e6, 1e12])
@RELOCATE
def test_cooling_from_far_above_ends_at_clusters(seed, times, relocate):
    means = [[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]]
    X = make_blobs(90, centers=means, random_state=seed)[0]
    params = {"temperature_max": 1.05 * times, "temperature_unit": "critical"}
    model = AnnealedRBFKMeans(3, random_state=seed, relocate=relocate, **params)
    fit_quietly(model, X)
    assert_allclose(model.inertia_, KMeans(3, init=means, n_init=1).fit(X).inertia_)


def at_the_mean(X, k, **params):
    """Return a model that starts with all centers at the mean."""
    init = np.tile(np.average(X, axis=0), (k, 1))
    return AnnealedRBFKMeans(k, init=init, temperature_unit="critical", **params)


@pytest.mark.parametrize("alpha", [1, 1.5, 2])
@pytest.mark.parametrize("k", [2, 3, 4, 7])
@pytest.mark.parametrize("temperature_min", [0, 0.9])
@RELOCATE
def test_symmetry_is_broken_the_same_way(blobs, alpha, k, temperature_min, relocate):
    model = at_the_mean(
        blobs,
        k,
        alpha=alpha,
        temperature_max=0.9,
        temperature_min=temperature_min,
        relocate=relocate,
    )
    centers = fit_quietly(model, blobs).cluster_centers_
    assert pdist(centers).max() > 0.1 * blobs.std()
    if temperature_min == 0:
        assert pdist(centers).min() > 0.1 * blobs.std()
        assert model.path_.n_distinct[-1] == k
    elif k <= 4:
        # More clusters than that may merge at the optimum.
        assert len(np.unique(centers, axis=0)) == k
    again = fit_quietly(model, blobs).cluster_centers_
    assert again.tobytes() == centers.tobytes()
    order = np.random.default_rng(0).permutation(len(blobs))
    permuted = fit_quietly(model, blobs[order]).cluster_centers_
    assert_allclose(permuted, centers, atol=1e-9)


@pytest.mark.parametrize("alpha", [1, 1.5])
@RELOCATE
def test_centers_stay_together_above_the_critical_temperature(seed, alpha, relocate):
    # Light tails: no other state than the mean persists.
    X = np.random.default_rng(seed).uniform(size=(300, 2))
    params = {"temperature_min": 1.1, "temperature_max": 1.1, "relocate": relocate}
    model = at_the_mean(X, 3, alpha=alpha, **params)
    with pytest.warns(ConvergenceWarning, match="collapsed"):
        model.fit(X)
    assert_allclose(model.cluster_centers_, np.tile(X.mean(axis=0), (3, 1)), atol=1e-2)


@pytest.mark.parametrize("rate", [0.5, 0.9])
@ALPHAS
def test_temperatures_fall_by_the_cooling_rate_from_the_critical_one(
    blobs, alpha, rate
):
    params = {"temperature_max": "critical", "temperature_min": 1.0}
    params |= {"cooling_rate": rate, "random_state": 0}
    model = AnnealedRBFKMeans(5, alpha=alpha, **params)
    temperatures = fit_quietly(model, blobs).path_.temperature
    first = critical_temperature(blobs, n_clusters=5, alpha=alpha)
    assert_allclose(temperatures[0], 1.05 * first)
    assert_allclose(temperatures[1:-1] / temperatures[:-2], rate)
    assert temperatures[-2] * rate <= 1 == temperatures[-1]


@pytest.mark.parametrize("unit", ["absolute", "critical"])
@pytest.mark.parametrize(
    ("rate", "above"),
    [
        ([0.8, 0.3, 0.29], [0.8, 0.3, 0.29]),
        ((0.8, 0.3, 0.05), [0.8, 0.3]),
        ([0.8, 0.1, 0.05], [0.8]),
        (np.array([0.8, 0.3], dtype=np.float32), [np.float32(0.8), np.float32(0.3)]),
        ([1], [1]),
        ([], []),
        ([0.05], []),
        (lambda i: 0.8 / (i + 1), [0.8 / i for i in range(1, 8)]),
    ],
)
def test_given_temperatures_are_kept_to_the_last(blobs, unit, rate, above):
    params = {"cooling_rate": rate, "temperature_unit": unit, "random_state": 0}
    model = AnnealedRBFKMeans(5, temperature_min=0.1, **params)
    unit = critical_temperature(blobs) if unit == "critical" else 1.0
    temperatures = fit_quietly(model, blobs).path_.temperature
    assert_allclose(temperatures, unit * np.array([*above, 0.1]), rtol=1e-14)


def test_a_given_sequence_may_end_at_zero(blobs):
    for rate in ([20.0, 5.0, 0.0], [20.0, 5.0]):
        model = AnnealedRBFKMeans(5, cooling_rate=rate, random_state=0).fit(blobs)
        assert_array_equal(model.path_.temperature, [20, 5, 0])


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cooling_rate", {"cooling_rate": [1.0, 2.0]}),
        ("cooling_rate", {"cooling_rate": [1.0, 1.0]}),
        ("cooling_rate", {"cooling_rate": [1.0, -1.0]}),
        ("cooling_rate", {"cooling_rate": [2.0, np.nan]}),
        ("cooling_rate", {"cooling_rate": [np.inf, 1.0]}),
        ("cooling_rate", {"cooling_rate": ["hot", "cold"]}),
        ("cooling_rate", {"cooling_rate": [[2.0], [1.0]]}),
        ("cooling_rate", {"cooling_rate": [3.0, None]}),
        ("cooling_rate", {"cooling_rate": lambda i: 100.0 + i}),
        ("cooling_rate", {"cooling_rate": lambda i: "cold"}),
        ("cooling_rate", {"cooling_rate": 1.0}),
        ("cooling_rate", {"cooling_rate": 0}),
        ("temperature_max", {"temperature_max": 1.0, "temperature_min": 2.0}),
        ("temperature_max", {"temperature_max": -1.0}),
        ("temperature_max", {"temperature_max": "hot"}),
        ("temperature_max", {"temperature_max": np.inf}),
        ("temperature_min", {"temperature_min": -1.0}),
        ("temperature_min", {"temperature_min": np.nan}),
        ("max_iter_per_temperature", {"max_iter_per_temperature": 0}),
        ("solver", {"solver": "newton"}),
        ("loss", {"loss": "inertia"}),
        ("relocate", {"relocate": "yes"}),
    ],
)
def test_errors_name_the_parameter_and_leave_nothing_half_fitted(blobs, name, params):
    model = AnnealedRBFKMeans(3, random_state=0, **params)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=name):
        model.fit(blobs)
    assert vars(model) == before
    model = AnnealedRBFKMeans(3, random_state=0).fit(blobs)
    before = dict(vars(model.set_params(**params)))
    with pytest.raises(ValueError, match=name):
        model.fit(blobs[:, :2])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[key] is value for key, value in before.items())
