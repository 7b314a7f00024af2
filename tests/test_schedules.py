"""Schedules, and the critical temperature against its definition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import SoftKMeans, critical_temperature
from sk_softkmeans import _schedules as schedules
from sk_softkmeans._schedules import Learned, Solved


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(200, 4)) * [3, 1, 1, 0.5] + 10


def by_definition(X, weights=None):
    covariance = np.cov(X.T, aweights=weights, bias=True)
    return 2 * np.linalg.eigvalsh(covariance)[-1]


@pytest.mark.parametrize("container", [np.array, csr_array])
@pytest.mark.parametrize("limit", [1024, 2], ids=["formed", "applied"])
def test_critical_temperature_is_twice_the_largest_variance(
    X, container, limit, monkeypatch
):
    monkeypatch.setattr(schedules, "_MAX_COVARIANCE", limit)
    weights = np.random.default_rng(1).random(200)
    data = container(X)
    assert_allclose(critical_temperature(data), by_definition(X))
    weighted = critical_temperature(data, sample_weight=weights)
    assert_allclose(weighted, by_definition(X, weights))


@pytest.mark.parametrize("scale", [1e-150, 1e-3, 1e150])
def test_critical_temperature_has_squared_units(X, scale):
    expected = critical_temperature(X) * scale * scale
    assert_allclose(critical_temperature(X * scale), expected)


@pytest.mark.parametrize(("alpha", "factor"), [(1, 1), (1.5, 2), (2, 4)])
def test_critical_temperature_of_other_maps(X, alpha, factor):
    result = critical_temperature(X, n_clusters=4, alpha=alpha)
    assert_allclose(result, factor * by_definition(X))


def test_critical_temperature_of_degenerate_data():
    assert critical_temperature([[1.0, 2.0]] * 3) == 0
    assert_allclose(critical_temperature([[1.0], [3.0]]), 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.with_temperature
def test_critical_unit_is_a_multiple(estimator_class, alpha, X, dtype):
    X = X.astype(dtype)
    params = {"temperature": 0.25, "temperature_unit": "critical", "random_state": 0}
    model = estimator_class(3, **params).fit(X)
    unit = critical_temperature(X, n_clusters=3, alpha=alpha)
    assert_allclose(model.temperature_, unit / 4)


def spread_at(X, multiple, **params):
    """Return the distance of two centers, in deviations of X."""
    model = SoftKMeans(2, temperature=multiple, temperature_unit="critical", **params)
    first, second = model.fit(X).cluster_centers_
    return np.linalg.norm(first - second) / X.std()


@pytest.fixture
def interval(seed):
    """Return a light-tailed case, whose split is continuous."""
    return np.random.default_rng(seed).uniform(size=(500, 1))


def test_centers_collapse_above_the_critical_temperature(interval):
    with pytest.warns(ConvergenceWarning, match="collapsed"):
        assert spread_at(interval, 1.05, random_state=0) < 0.02


def test_centers_split_below_the_critical_temperature(interval):
    exact = spread_at(interval, 0.8, init=[[0.0], [1.0]], tol=1e-16, max_iter=2000)
    assert exact > 0.5
    assert_allclose(spread_at(interval, 0.8, random_state=0), exact, rtol=0.03)


@pytest.mark.parametrize("factor", [1.0, 2.0, 3**0.5])
def test_heat_is_half_the_curvature(factor):
    # T G about its lowest temperature, for memberships that stay as they are.
    schedule = Learned(factor, size=600.0, floor=0.0)
    distortion, small = 1500.0, 1e-3
    T = schedule.following(None, distortion)
    at = [T * np.exp(x) for x in (-small, 0.0, small)]
    above, lowest, below = (schedule.best(distortion + 7.0 * t, t) for t in at)
    curvature = T * (above - 2 * lowest + below) / small**2
    assert_allclose(schedule.heat(T), curvature / 2, rtol=1e-5)


def test_a_distortion_that_is_not_met_at_any_temperature():
    schedule = Solved(target=1.0, size=1.0, least=-1.0, eps=1e-16)
    # What rounding leaves of uniform memberships: the highest temperature there is.
    hottest, _ = schedule.solve(lambda T: 1 - 1e-9, 1.0)
    assert 1e300 < hottest < np.inf
    assert schedule.solve(lambda T: 2.0, 1.0)[0] == 0
    assert schedule.solve(lambda T: 2.0, 0.0)[0] == 0


@pytest.mark.parametrize("guess", [0.0, 1e-200, 0.3, 1e200])
def test_a_distortion_is_met(guess):
    schedule = Solved(target=0.75, size=1.0, least=-1.0, eps=1e-16)
    T, _ = schedule.solve(lambda T: T / (1 + T), guess)
    assert_allclose(T, 3)
