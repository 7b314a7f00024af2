"""Fixtures shared by all tests, and the estimators that the shared tests run over."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.lib.recfunctions import structured_to_unstructured
from scipy.special import entr, softmax
from sklearn.datasets import make_blobs

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    MaxEntropyKMeans,
    SoftKMeans,
    TruncatedKMeans,
)

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# A line for each estimator: the parameters that give each order alpha of its entropy,
# the default's first.
ESTIMATORS = {
    SoftKMeans: {1: {}},
    EntmaxKMeans: {1.5: {}, 1.2: {"alpha": 1.2}, 2: {"alpha": 2}},
    AnnealedRBFKMeans: {1: {}},
    MaxEntropyKMeans: {1: {}, 1.5: {"alpha": 1.5}},
    TruncatedKMeans: {1: {}, 1.5: {"alpha": 1.5}},
}
# Those whose `temperature` is that of the fit.
ONE_TEMPERATURE = [SoftKMeans, EntmaxKMeans, TruncatedKMeans]


def pytest_configure(config):
    """Register the marks of this file, and let pictures open no window."""
    os.environ["MPLBACKEND"] = "agg"
    config.addinivalue_line(
        "markers",
        "temperatures(*values): run with every estimator, and with those of these "
        "values of `temperature` that it takes",
    )
    config.addinivalue_line(
        "markers",
        "one_temperature: only for estimators whose `temperature` is that of the fit",
    )
    config.addinivalue_line(
        "markers", "collapsing: only for estimators whose centers collapse when hot"
    )
    config.addinivalue_line(
        "markers", "with_temperature: only for estimators with a `temperature`"
    )


def pytest_generate_tests(metafunc):
    """Run each test that asks for `estimator_class` with every estimator."""
    mark = metafunc.definition.get_closest_marker("temperatures")
    classes = list(ESTIMATORS)
    if metafunc.definition.get_closest_marker("one_temperature"):
        classes = ONE_TEMPERATURE
    elif metafunc.definition.get_closest_marker("collapsing"):
        # Only the nearest clusters share a sample of the third.
        classes = ONE_TEMPERATURE[:2]
    elif metafunc.definition.get_closest_marker("with_temperature"):
        classes.remove(MaxEntropyKMeans)
    if mark:
        cases = [
            pytest.param(e, T, id=f"{T}-{e.__name__}", marks=quiet(e))
            for T in mark.args
            for e in classes
            if takes(e, T)
        ]
        metafunc.parametrize(("estimator_class", "temperature"), cases)
    elif "estimator_class" in metafunc.fixturenames:
        cases = [pytest.param(e, id=e.__name__, marks=quiet(e)) for e in classes]
        metafunc.parametrize("estimator_class", cases)


def quiet(estimator_class):
    """Return marks that ignore what all tests expect of an estimator.

    Few clusters of shared data leave more than the default distortion.
    """
    if estimator_class is MaxEntropyKMeans:
        return pytest.mark.filterwarnings("ignore:distortion=.* was not reached")
    return ()


def takes(estimator_class, temperature):
    """Return whether an estimator takes a temperature.

    "ml" is for softmax only, and "solved" for `MaxEntropyKMeans`, which has no such
    parameter.
    """
    if estimator_class is MaxEntropyKMeans or temperature == "solved":
        return estimator_class is MaxEntropyKMeans and temperature == "solved"
    return temperature != "ml" or default_order(estimator_class) == 1


@pytest.fixture
def at():
    """Return what gives the parameters for one of the `temperatures`."""

    def parameters(temperature):
        solved = temperature == "solved"
        return {"distortion": 0.15} if solved else {"temperature": temperature}

    return parameters


def default_order(estimator_class):
    """Return the order of the entropy if no parameter says another."""
    return next(iter(ESTIMATORS[estimator_class]))


@pytest.fixture(
    params=[(e, p) for e in ONE_TEMPERATURE for p in ESTIMATORS[e].values()],
    ids=lambda case: f"{case[0].__name__}({case[1] or ''})",
)
def any_order(request):
    """Return what makes estimators, of each order of the entropy."""
    estimator_class, params = request.param
    return partial(estimator_class, **params)


@pytest.fixture
def alpha(estimator_class):
    """Return the order of the entropy of an estimator."""
    return default_order(estimator_class)


@pytest.fixture
def factor(alpha, temperature):
    """Return a learned temperature as a multiple of variance_; None if not learned."""
    return {"auto": 3 ** (alpha - 1), "ml": 2}.get(temperature)


@pytest.fixture
def definition(request, alpha):
    """Return the definition of the memberships of an estimator, or of `n_active`."""
    if "n_active" in request.fixturenames:
        return Definition(alpha, request.getfixturevalue("n_active"))
    with_estimator = "estimator_class" in request.fixturenames
    if with_estimator and request.getfixturevalue("estimator_class") is TruncatedKMeans:
        return Definition(alpha, n_active=3)
    return Definition(alpha)


class Definition:
    """Memberships and free energy of order alpha by definition, slowly.

    `d` are squared distances, a row for each sample and a column for each cluster. Only
    the `n_active` nearest clusters share a sample.
    """

    def __init__(self, alpha, n_active=None):
        self.alpha, self.n_active = alpha, n_active

    def responsibilities(self, d, temperature):
        """Return the memberships."""
        if self.n_active and self.n_active < d.shape[1]:
            nearest = np.argsort(d, axis=1, kind="stable")[:, : self.n_active]
            whole = Definition(self.alpha)
            p = np.zeros_like(d)
            shares = whole.responsibilities(
                np.take_along_axis(d, nearest, axis=1), temperature
            )
            np.put_along_axis(p, nearest, shares, axis=1)
            return p
        if temperature == 0:
            return np.eye(d.shape[1])[d.argmin(axis=1)]
        z = (d.min(axis=1, keepdims=True) - d) / temperature
        if self.alpha == 1:
            return softmax(z, axis=1)
        # The threshold at which they sum to 1, by halving the interval that has it.
        y = (self.alpha - 1) * z
        low, high = np.full((len(d), 1), -1.0), np.zeros((len(d), 1))
        for _ in range(100):
            middle = (low + high) / 2
            p = np.maximum(y - middle, 0) ** (1 / (self.alpha - 1))
            enough = p.sum(axis=1, keepdims=True) >= 1
            low, high = np.where(enough, middle, low), np.where(enough, high, middle)
        return p / p.sum(axis=1, keepdims=True)

    def negentropy(self, p):
        """Return Omega of each row: 0 at a vertex."""
        if self.alpha == 1:
            return -entr(p).sum(axis=1)
        return ((p**self.alpha).sum(axis=1) - 1) / (self.alpha * (self.alpha - 1))

    def free_energies(self, d, temperature):
        """Return the normalised free energy of each sample."""
        p = self.responsibilities(d, temperature)
        least = self.negentropy(np.full_like(p, 1 / d.shape[1]))
        excess = self.negentropy(p) - least
        return (p * d).sum(axis=1) + temperature * excess


@pytest.fixture
def assert_finite_attributes():
    """Return what fails if a fitted attribute is not finite."""

    def check(model):
        for name, value in vars(model).items():
            if name.endswith("_"):
                if getattr(value, "dtype", np.dtype(float)).names:
                    value = structured_to_unstructured(value)
                assert np.isfinite(value).all(), name

    return check


@pytest.fixture(params=[0, 42, 77])
def seed(request):
    """Return a seed: no test depends on a lucky one."""
    return request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    """Return a dtype of X."""
    return request.param


@pytest.fixture
def blobs():
    """Return overlapping blobs: 300 samples, 4 features, 5 clusters."""
    X, _ = make_blobs(300, 4, centers=5, cluster_std=2.0, random_state=0)
    return X


@pytest.fixture
def s1():
    """Return the data set s1: beside the repository, or where a variable says."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("SK_SOFTKMEANS_DATA", beside)) / "s1.data.gz"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    return np.loadtxt(path)
