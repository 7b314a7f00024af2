"""MaxEntropyKMeans: the constraint, the entropy, the experiment of Inoue and Hara."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import entr, softmax
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import EntmaxKMeans, MaxEntropyKMeans, SoftKMeans

ALPHAS = pytest.mark.parametrize("alpha", [1, 1.2, 1.5, 2])
# At a high distortion centers merge, at a low one it is not reached: both on purpose.
QUIET = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def scatter(X, weights=None):
    """Return the total scatter."""
    mean = np.average(X, axis=0, weights=weights)
    return np.sum(((X - mean) ** 2).sum(axis=1) * (1 if weights is None else weights))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_two_points(share):
    # Centers at -c and c: p = sigmoid(4 c / T), so that the means are c = tanh(2 c / T)
    # and the distortion is 1 - c^2 of the scatter.
    X = np.array([[-1.0], [1.0]])
    model = MaxEntropyKMeans(2, distortion=share, init=X, tol=1e-12).fit(X)
    c = np.sqrt(1 - share)
    assert_allclose(np.sort(model.cluster_centers_.ravel()), [-c, c])
    assert_allclose(model.temperature_, 2 * c / np.arctanh(c))
    p = model.predict_proba(X)
    assert_allclose(np.diag(p), (1 + c) / 2)
    assert_allclose(model.entropy_, entr(p).sum())
    assert_allclose(model.soft_inertia_, 2 * share)


@QUIET
@ALPHAS
@pytest.mark.parametrize("share", [0.13, 0.2, 0.5, 0.9])
def test_constraint_and_fixed_point(blobs, seed, alpha, share, definition):
    weights = np.random.default_rng(seed).integers(0, 3, len(blobs)).astype(float)
    params = {"alpha": alpha, "random_state": seed}
    model = MaxEntropyKMeans(5, distortion=share, tol=1e-12, max_iter=5000, **params)
    model.fit(blobs, sample_weight=weights)
    target = share * scatter(blobs, weights)
    assert_allclose(model.soft_inertia_, target, rtol=1e-12)
    p = model.predict_proba(blobs)
    entropy = -weights @ definition.negentropy(p)
    assert_allclose(model.entropy_, entropy, rtol=1e-9)
    assert_allclose(model.entropies_[-1], entropy, rtol=1e-6)
    # The same centers are a fixed point of the free energy at that temperature.
    init, T = model.cluster_centers_, model.temperature_
    again = EntmaxKMeans(5, alpha=alpha, temperature=T, init=init, tol=1e-8)
    again.fit(blobs, sample_weight=weights)
    assert_allclose(again.cluster_centers_, init, atol=1e-4)


@QUIET
@ALPHAS
@pytest.mark.parametrize("init", ["random", "k-means++"])
@pytest.mark.parametrize("share", [0.15, 0.3, 0.6])
def test_entropy_never_falls(blobs, seed, alpha, init, share):
    model = MaxEntropyKMeans(
        5, distortion=share, alpha=alpha, init=init, n_init=1, random_state=seed
    ).fit(blobs)
    entropies, soft = model.entropies_, model.temperatures_ > 0
    assert entropies.shape == (model.n_iter_,)
    assert_array_equal(entropies[~soft], 0)
    assert_array_equal(model.free_energies_[~soft] >= share * scatter(blobs), True)
    # Hard steps come first, and once the inertia is below the target never again.
    assert (np.diff(soft.astype(int)) >= 0).all()
    assert np.diff(entropies).min() >= -1e-12 * model.entropy_
    assert model.entropy_ >= entropies[-1] - 1e-12 * model.entropy_


@pytest.mark.parametrize("unit", [1e-100, 1.0, 1e100])
def test_units(blobs, unit):
    expected = MaxEntropyKMeans(5, random_state=0).fit(blobs)
    absolute = {"distortion": 0.2 * scatter(blobs) * unit**2 * 3}
    weights = np.full(len(blobs), 3.0)
    model = MaxEntropyKMeans(
        5, **absolute, distortion_unit="absolute", random_state=0
    ).fit(blobs * unit, sample_weight=weights)
    assert_allclose(model.cluster_centers_, expected.cluster_centers_ * unit, rtol=1e-6)
    assert_allclose(model.temperature_, expected.temperature_ * unit**2, rtol=1e-6)
    assert_allclose(model.entropy_, 3 * expected.entropy_, rtol=1e-6)
    assert_allclose(model.entropies_, 3 * expected.entropies_, rtol=1e-6)


@pytest.mark.parametrize("alpha", [1, 1.5])
def test_a_target_that_is_too_low(blobs, seed, alpha):
    init = blobs[seed : seed + 5]
    expected = KMeans(5, init=init, n_init=1).fit(blobs)
    lowest = expected.inertia_ / scatter(blobs)
    model = MaxEntropyKMeans(5, distortion=0.99 * lowest, alpha=alpha, init=init)
    text = rf"^distortion=.* was not reached.* hard.* lowest value is {lowest:.6g}\."
    with pytest.warns(ConvergenceWarning, match=text):
        model.fit(blobs)
    assert_allclose(model.cluster_centers_, expected.cluster_centers_)
    assert model.n_iter_ == expected.n_iter_
    assert model.temperature_ == model.entropy_ == 0
    assert_array_equal(np.unique(model.predict_proba(blobs)), [0, 1])
    model.set_params(distortion_unit="absolute", distortion=0.99 * expected.inertia_)
    with pytest.warns(ConvergenceWarning, match=f"{expected.inertia_:.6g}"):
        model.fit(blobs)


def test_a_target_that_is_too_high(blobs):
    S = scatter(blobs)
    for unit, value, limit in (
        ("scatter", 1.0, 1.0),
        ("scatter", 7.5, 1.0),
        ("absolute", 1.01 * S, S),
    ):
        model = MaxEntropyKMeans(5, distortion=value, distortion_unit=unit)
        text = rf"^distortion must be in \(0, {limit:.6g}\), .* got {value}"
        with pytest.raises(ValueError, match=text):
            model.fit(blobs)
    with pytest.raises(ValueError, match=r"^distortion must be in \(0, 0\)"):
        MaxEntropyKMeans(2, distortion_unit="absolute").fit(np.ones((5, 2)))


def slow_lloyd(seed):
    """Return data and a start from which k-means takes long, and its inertias."""
    X = np.random.default_rng(seed).random((3000, 2))
    init, _ = kmeans_plusplus(X, 12, random_state=seed)
    course = SoftKMeans(12, temperature=0, init=init, tol=0).fit(X)
    return X, init, course.free_energies_


def test_hard_iterations_go_on_until_labels_repeat(seed):
    # A target between the inertia where KMeans's tolerance stops and the lowest one.
    X, init, inertias = slow_lloyd(seed)
    stopped = SoftKMeans(12, temperature=0, init=init, tol=0.01).fit(X).inertia_
    assert inertias[-1] < 0.9999 * stopped
    target = (inertias[-1] + stopped) / 2
    model = MaxEntropyKMeans(
        12, distortion=target, distortion_unit="absolute", init=init, tol=0.01
    ).fit(X)
    assert_allclose(model.soft_inertia_, target)
    assert model.temperatures_[-1] > 0
    assert model.converged_


@pytest.mark.parametrize("last", [3, 8])
def test_a_fit_has_not_converged_without_a_soft_iteration(seed, last):
    # The last hard step gets below the target.
    X, init, inertias = slow_lloyd(seed)
    params = {"distortion_unit": "absolute", "init": init}
    target = (inertias[last - 1] + inertias[last]) / 2
    model = MaxEntropyKMeans(12, distortion=target, max_iter=last, **params)
    with pytest.warns(ConvergenceWarning, match="still moved after max_iter"):
        model.fit(X)
    assert model.temperature_ > 0 == model.temperatures_[-1]
    assert not model.converged_
    model.set_params(distortion=0.999 * inertias[-1])
    with pytest.warns(ConvergenceWarning, match=r"not reached.* Increase max_iter\.$"):
        model.fit(X)


def test_one_cluster_needs_more(blobs):
    with pytest.warns(ConvergenceWarning, match=r"value is 1\. Increase n_clusters\.$"):
        MaxEntropyKMeans(1).fit(blobs)


def test_temperatures_stay_finite(assert_finite_attributes):
    X = np.random.default_rng(0).standard_normal((11, 60)) * 1e150
    model = MaxEntropyKMeans(11, distortion=1e-6, random_state=0).fit(X)
    assert_finite_attributes(model)
    # The mean of X is far from any float32 number.
    X = (1e6 + np.random.default_rng(0).standard_normal((200, 2))).astype(np.float32)
    S = scatter(X.astype(float))
    for share in (0.7, 0.9, 0.9999):
        model = MaxEntropyKMeans(2, distortion=share, random_state=0).fit(X)
        assert_finite_attributes(model)
        assert_allclose(model.soft_inertia_, share * S, rtol=1e-4)


@QUIET
@ALPHAS
@pytest.mark.parametrize("share", [1e-12, 1e-3])
def test_entropy_of_nearly_hard_memberships(dtype, alpha, share, definition):
    X = np.random.default_rng(0).standard_normal((12, 3)).astype(dtype)
    weights = 10.0 ** np.arange(-6, 6)
    model = MaxEntropyKMeans(12, distortion=share, alpha=alpha, init=X)
    model.fit(X, sample_weight=weights)
    expected = -weights @ definition.negentropy(model.predict_proba(X).astype(float))
    rtol = 1e-6 if dtype == np.float64 else 1e-3
    assert_allclose(
        model.entropy_, expected, rtol=rtol, atol=1e-3 * rtol * weights.sum()
    )
    assert model.entropies_.min() >= 0


@QUIET
@pytest.mark.parametrize("share", [0.05, 0.12, 0.5])
def test_n_init_keeps_the_softest_or_the_lowest(blobs, seed, share):
    params = {"distortion": share, "init": "random", "tol": 1e-8, "max_iter": 3000}
    model = MaxEntropyKMeans(5, n_init=6, random_state=seed, **params).fit(blobs)
    random = np.random.RandomState(seed)
    runs = [
        MaxEntropyKMeans(5, n_init=1, random_state=random, **params).fit(blobs)
        for _ in range(6)
    ]
    best = min(runs, key=lambda run: (-run.entropy_, run.inertia_))
    assert_allclose(model.entropy_, best.entropy_)
    assert_allclose(model.inertia_, best.inertia_)


# The experiment of Inoue and Hara (2020): s1, T = 1e9, memberships by file order.

SIZES = [338] + 14 * [333]
T = 1e9


@pytest.fixture
def memberships():
    """Return the initial memberships: the first 338 samples, the next 333, ..."""
    return np.eye(15)[np.repeat(np.arange(15), SIZES)]


@pytest.fixture
def log_sum_exp(s1, memberships):
    """Return the limit at T."""
    return SoftKMeans(15, temperature=T, init=memberships, tol=1e-24).fit(s1)


def squared_distances(X, centers):
    return ((X[:, np.newaxis] - centers) ** 2).sum(axis=2)


def eq_6(free_energies):
    """Return the log-sum-exp objective, without the 1 / K inside."""
    return free_energies - 5000 * T * np.log(15)


def test_log_sum_exp_course(log_sum_exp):
    first, second, eighth, ninth = eq_6(log_sum_exp.free_energies_)[[0, 1, 8, 9]]
    assert_allclose(first, 6.380767401e13, rtol=1e-9)
    assert_allclose(second, 2.301230501e13, rtol=1e-9)
    assert_allclose(eighth, 8.910037473e12, rtol=1e-9)
    assert_allclose(ninth, 8.909905716e12, rtol=1e-9)
    assert_allclose(eq_6(log_sum_exp.free_energy_), 8.909904344e12, rtol=1e-9)
    assert_allclose(log_sum_exp.inertia_, 8.917820991e12, rtol=1e-9)


def test_entropies_at_a_fixed_temperature_can_fall(s1, memberships, log_sum_exp):
    # From the free energies by definition: F' = D - T H + n T log K.
    centers = memberships.T @ s1 / memberships.sum(axis=0)[:, np.newaxis]
    entropies = []
    for _ in range(10):
        p = softmax(-squared_distances(s1, centers) / T, axis=1)
        entropies.append(entr(p).sum())
        centers = p.T @ s1 / p.sum(axis=0)[:, np.newaxis]
    assert_allclose(entropies[:3], [559.7394, 116.9879, 74.1545], atol=5e-5)
    limit = entr(log_sum_exp.predict_proba(s1)).sum()
    assert_allclose(limit, 15.3335, atol=5e-5)
    assert min(np.diff(entropies)) < 0 < max(np.diff(entropies))
    model = SoftKMeans(15, temperature=T, init=memberships, max_iter=3)
    with pytest.warns(ConvergenceWarning, match="still moved"):
        model.fit(s1)
    p = model.predict_proba(s1)
    assert_allclose(entr(p).sum(), entropies[3], rtol=1e-9)


def test_three_formulations_agree(s1, memberships, log_sum_exp):
    # Entropy regularisation: alternate minimisation of sum u d + T sum u log u.
    centers = memberships.T @ s1 / memberships.sum(axis=0)[:, np.newaxis]
    for _ in range(40):
        d = squared_distances(s1, centers)
        u = np.exp(-(d - d.min(axis=1, keepdims=True)) / T)
        u /= u.sum(axis=1, keepdims=True)
        centers = u.T @ s1 / u.sum(axis=0)[:, np.newaxis]
    value = (u * d).sum() - T * entr(u).sum()
    maximum = MaxEntropyKMeans(
        15,
        distortion=log_sum_exp.soft_inertia_,
        distortion_unit="absolute",
        init=memberships,
        tol=1e-10,
    ).fit(s1)
    for model in (log_sum_exp, maximum):
        assert_allclose(model.cluster_centers_, centers, rtol=1e-8)
        assert_allclose(model.temperature_, T, rtol=1e-8)
        assert_allclose(eq_6(model.free_energy_), value, rtol=1e-8)
        assert_allclose(entr(model.predict_proba(s1)).sum(), entr(u).sum(), rtol=1e-8)
    assert_allclose(maximum.entropy_, entr(u).sum(), rtol=1e-8)
    soft = maximum.temperatures_ > 0
    # The distortion over T is that of 9000 nats, a small part of the scatter.
    assert np.diff(maximum.entropies_[soft]).min() >= -1e-14 * scatter(s1) / T


def test_the_file_is_sorted_by_cluster(s1, log_sum_exp):
    # What the paper does not say: in another order, its start is like any other.
    ends = []
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(s1))
        init = np.eye(15)[np.repeat(np.arange(15), SIZES)[order]]
        model = SoftKMeans(15, temperature=T, init=init, max_iter=2000).fit(s1)
        ends.append(model.free_energy_)
    assert min(ends) > 1.001 * log_sum_exp.free_energy_
