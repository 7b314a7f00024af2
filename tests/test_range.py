"""The edges of the range: what is too large, too small or too far has a name."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import (
    AnnealedRBFKMeans,
    MaxEntropyKMeans,
    TruncatedKMeans,
    temperature_path,
)
from sk_softkmeans._schedules import Geometric
from sk_softkmeans._steps import divide, is_hard

RNG = np.random.default_rng(0)
FEW = RNG.normal(size=(30, 2))


@pytest.mark.parametrize("container", [np.array, csr_array])
@pytest.mark.parametrize(("limit", "dtype"), [(1.8e19, "f4"), (1.3e154, "f8")])
@pytest.mark.parametrize("temperature", [0, "auto"])
def test_squared_distances_of_pairs_have_to_be_in_range(
    estimator_class, container, limit, dtype, temperature, assert_finite_attributes
):
    # Two samples on either side of the mean are twice as far apart.
    X = np.array([[-1.0], [1], [1], [-1]])
    solved = estimator_class is MaxEntropyKMeans
    model = estimator_class(2, **({} if solved else {"temperature": temperature}))
    with pytest.raises(ValueError, match="scale of X"):
        model.fit(container((0.6 * limit * X).astype(dtype)))
    inside = container((0.2 * limit * X).astype(dtype))
    model.fit(inside)
    assert_finite_attributes(model)
    assert np.isfinite(model.score(inside))
    if not solved:
        assert model.inertia_ == 0


@pytest.mark.parametrize("init", ["array", "callable"])
@pytest.mark.parametrize(
    ("far", "offset", "weight"), [(1e154, 0, 1), (1e153, 1e153, 1), (100, 0, 1e304)]
)
def test_an_init_out_of_reach_is_an_error(estimator_class, init, far, offset, weight):
    centers = offset + np.array([[far, 0], [0, 1], [1, 1]])
    given = centers if init == "array" else lambda X, k, random_state: centers
    model = estimator_class(3, init=given, n_init=1)
    with pytest.raises(ValueError, match="init must hold centers whose"):
        model.fit(FEW, sample_weight=np.full(30, weight))


def test_infinite_centers_are_an_error_without_a_warning(estimator_class):
    model = estimator_class(2, init=[[np.inf, 0], [-np.inf, 1]])
    with pytest.raises(ValueError, match="init contains infinity"):
        model.fit(FEW)


@pytest.mark.parametrize("alpha", [1, 1.5, 2])
def test_a_temperature_that_weights_make_too_high(alpha):
    model = TruncatedKMeans(3, alpha=alpha, n_active=2, temperature=1e300)
    weights = np.r_[1e80, np.ones(29)]
    with pytest.raises(ValueError, match="temperature must be at most"):
        model.fit(FEW, sample_weight=weights)


@pytest.mark.parametrize("learn_weights", [True, False])
def test_a_temperature_at_which_few_active_clusters_have_no_free_energy(learn_weights):
    params = {"n_active": 2, "learn_weights": learn_weights, "random_state": 0}
    with pytest.raises(ValueError, match="temperature must be at most .*e\\+30[3-7]"):
        TruncatedKMeans(3, temperature=1e308, **params).fit(FEW)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = TruncatedKMeans(3, temperature=1e303, **params).fit(FEW)
    assert np.isfinite(model.free_energies_).all()


def test_cooling_begins_where_memberships_begin_to_change():
    model = AnnealedRBFKMeans(3, temperature_max=1e300, random_state=0).fit(FEW)
    temperatures = model.path_.temperature
    assert len(temperatures) < 150
    # On the grid that was asked for.
    steps = np.log(temperatures[0] / 1e300) / np.log(0.7)
    assert_allclose(steps, round(steps), atol=1e-6)
    largest = 4 * ((FEW - FEW.mean(axis=0)) ** 2).sum(axis=1).max()
    z = -largest / temperatures[0] * np.eye(3)
    assert_allclose(softmax(z, axis=1), 1 / 3, rtol=1e-15)
    assert temperatures[0] > largest / np.finfo(float).eps * 0.69


@pytest.mark.parametrize(
    ("first", "largest", "expected"),
    [
        (8.0, 1.0, 8.0),
        (1e300, 0.0, 1e300),
        (1e300, 1e-300, None),
        (1e-300, 1e-322, None),
    ],
)
def test_the_first_temperature_of_a_grid(first, largest, expected):
    found = Geometric(first, 0.5, 0.0, 1.0, largest).first
    hottest = largest / np.finfo(float).eps
    assert found == expected if expected else 0.49 * hottest <= found <= hottest


@pytest.mark.with_temperature
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_weights_of_a_wide_range_in_float32(estimator_class):
    # The samples of weight 1 alone decide on the second and third center.
    X, weights = np.float32([[0], [1], [5], [6]]), [1e80, 1, 1, 1]
    model = estimator_class(3, random_state=0, init=[[0], [1.1], [5]])
    model.fit(X, sample_weight=weights)
    assert_allclose(model.cluster_centers_.ravel(), [0, 1, 5.5], atol=1e-6)
    assert_allclose(model.inertia_, 0.5)
    # Seeds are of any weight.
    model.set_params(init="k-means++").fit(X, sample_weight=weights)
    assert len(np.unique(model.cluster_centers_)) == 3


def test_a_path_relative_to_no_variance_is_an_error():
    with pytest.raises(ValueError, match="temperature_unit must be 'absolute'"):
        temperature_path(
            np.ones((9, 2)), 2, temperatures=[2, 1], temperature_unit="critical"
        )


@pytest.mark.filterwarnings("ignore:distortion=.* was not reached")
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("distortion", [5e-324, 1e-310, 1e-300, 1e-160, 1e-30, 1e-9])
@pytest.mark.parametrize("unit", ["scatter", "absolute"])
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
@pytest.mark.parametrize("weight", [1e-300, 1.0, 1e100])
@pytest.mark.parametrize("rows", [[0, 1, 0, 1, 2, 2], [0, 1, 2], [0, 1, 2, 3, 4, 5]])
@pytest.mark.parametrize("alpha", [1, 1.5])
def test_distortions_that_are_hardly_any(
    distortion, unit, scale, weight, rows, alpha, assert_finite_attributes
):
    X, w = scale * FEW[rows], np.full(len(rows), weight)
    model = MaxEntropyKMeans(
        3, distortion=distortion, distortion_unit=unit, alpha=alpha, random_state=0
    )
    scatter = ((X - X.mean(axis=0)) ** 2).sum() * weight
    if unit == "absolute" and distortion >= scatter:
        with pytest.raises(ValueError, match="distortion must be in"):
            model.fit(X, sample_weight=w)
        return
    model.fit(X, sample_weight=w)
    assert_finite_attributes(model)
    if model.temperature_ and distortion > 1e-290:
        # Of entmax it begins at a positive temperature, which has its own rounding.
        target = distortion * (scatter if unit == "scatter" else 1)
        atol = 1e-12 * scatter if alpha > 1 else 1e-320
        assert_allclose(model.soft_inertia_, target, rtol=1e-6, atol=atol)


@pytest.mark.one_temperature
def test_a_given_temperature_is_kept_to_the_last_bit(estimator_class, blobs):
    # Near a transition iterations are accelerated.
    for temperature in np.linspace(1, 60, 30):
        model = estimator_class(5, temperature=temperature, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(blobs)
        assert model.temperature_ == temperature
        assert (model.temperatures_ == temperature).all()


@pytest.mark.parametrize("n_clusters", range(1, 40, 3))
def test_learned_shares_can_be_drawn_from(n_clusters):
    # One cluster takes all: its share was above 1 by rounding.
    model = TruncatedKMeans(
        n_clusters, learn_weights=True, n_active=1, temperature=1e3, random_state=0
    )
    far = np.r_[[[0.0, 0.0]], np.full((n_clusters - 1, 2), 1e4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(init=far).fit(np.r_[FEW, FEW])
    assert model.weights_.max() <= 1
    assert model.weights_.sum() == pytest.approx(1, abs=1e-15)
    X, labels = model.sample(20)
    assert X.shape == (20, 2)


class TestCompany:
    """What is said of a row does not depend on the rows beside it."""

    X = np.array([[0.0, 0], [3, 0], [1.2, 0.3], [1, 0], [1.55, -2]])

    @pytest.fixture
    def model(self, estimator_class, dtype, at):
        params = at("solved" if estimator_class is MaxEntropyKMeans else 2.0)
        init = self.X[:2].astype(dtype)
        model = estimator_class(2, init=init, max_iter=1, **params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(self.X.astype(dtype))

    @pytest.mark.parametrize("container", [np.array, csr_array])
    @pytest.mark.parametrize("share", [1e-6, 1e-3, 0.4])
    def test_far_rows(self, model, dtype, container, share):
        limit = np.sqrt(float(np.finfo(dtype).max))
        far = np.array([[share * limit, 0], [0, -share * limit]])
        alone = container(self.X.astype(dtype))
        among = container(np.r_[self.X, far].astype(dtype))
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        for name in ("predict_proba", "score_samples", "transform", "predict"):
            here, there = (getattr(model, name)(X) for X in (alone, among))
            assert_allclose(there[:5], here, rtol=tolerance, atol=tolerance)
            assert not np.isnan(there).any()
        assert_array_equal(model.predict_proba(among)[5:].max(axis=1), 1)

    @pytest.mark.parametrize("center", [(0, 0), (40, -30), (1e3, 1e3)])
    def test_rows_of_a_wide_cloud(self, estimator_class, center, at):
        rng = np.random.default_rng(1)
        X = np.float32(rng.normal(size=(500, 8)) * 3 + np.repeat(center, 4))
        T = 0.5
        params = at("solved" if estimator_class is MaxEntropyKMeans else T)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = estimator_class(5, max_iter=5, random_state=0, **params).fit(X)
        together = model.predict_proba(X)
        alone = np.concatenate([model.predict_proba(row[np.newaxis]) for row in X[:60]])
        assert_allclose(together[:60], alone, atol=1e-5)


def test_quotients_that_overflow_are_finite():
    z = np.array([[0.0, -1e200], [-1e300, 0.0]])
    with np.errstate(over="ignore"):
        divide(z, 1e-20, 1e300)
    assert_allclose(z, [[0, -1e220], [-np.finfo(float).max, 0]])


@pytest.mark.parametrize(
    ("temperature", "peak", "dtype", "hard"),
    [
        (0.0, 1.0, np.float64, True),
        (1e-300, 1.0, np.float64, False),
        (1e-300, 1e10, np.float64, True),
        (1e-300, 0.0, np.float64, False),
        (1.0, 1e37, np.float32, False),
        (1e-100, 1e30, np.float32, False),
        (1e-300, 1.0, np.float32, True),
    ],
)
def test_temperatures_that_are_0_for_all_samples(temperature, peak, dtype, hard):
    assert is_hard(temperature, peak, dtype) == hard
