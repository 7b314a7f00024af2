"""TruncatedKMeans: its two ends, its bound, its shares, and many clusters."""

import warnings
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from scipy.spatial.distance import cdist
from scipy.special import entr, logsumexp, softmax
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from sk_softkmeans import EntmaxKMeans, SoftKMeans, TruncatedKMeans
from sk_softkmeans._candidates import lists_pay

TEMPERATURES = pytest.mark.parametrize("temperature", ["auto", "ml", 0, 1.0])


def make_many(seed, n_samples=6000):
    """Return samples of 150 clusters and initial centers: lists pay."""
    X, _, means = make_blobs(
        n_samples,
        3,
        centers=150,
        cluster_std=0.6,
        random_state=seed,
        return_centers=True,
    )
    noise = np.random.default_rng(seed).normal(size=means.shape)
    return X, means + 0.6 * noise


@pytest.fixture
def many(seed):
    """Return samples of many clusters and initial centers."""
    X, init = make_many(seed)
    assert lists_pay(len(X), len(init), 16)
    return X, init


def fit_quietly(model, X, **fit_params):
    """Fit up to max_iter, be that enough or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **fit_params)


def assert_nearest(model, X):
    """Check labels and inertia by all distances."""
    d = cdist(X, model.cluster_centers_, "sqeuclidean")
    # Centers may have merged, but for rounding.
    own = d[np.arange(len(X)), model.labels_]
    assert_allclose(own, d.min(axis=1), atol=1e-12 * d.max())
    assert_array_equal(model.predict(X), model.labels_)
    assert_allclose(model.inertia_, d.min(axis=1).sum(), rtol=1e-10)


# The two ends


@TEMPERATURES
@pytest.mark.parametrize("n_clusters", [5, 150])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_active_cluster_is_kmeans(seed, temperature, n_clusters, weighted):
    X, means = make_many(seed, 20 * n_clusters)
    init = np.random.default_rng(seed).permutation(means)[:n_clusters]
    w = np.random.default_rng(seed).random(len(X)) if weighted else None
    model = TruncatedKMeans(
        n_clusters, n_active=1, temperature=temperature, init=init, tol=0
    )
    model.fit(X, sample_weight=w)
    theirs = KMeans(n_clusters, init=init, n_init=1, tol=0, algorithm="lloyd")
    theirs.fit(X, sample_weight=w)
    size = abs(theirs.cluster_centers_).max()
    assert_allclose(
        model.cluster_centers_, theirs.cluster_centers_, rtol=1e-10, atol=1e-10 * size
    )
    assert_array_equal(model.labels_, theirs.labels_)
    assert_allclose(model.inertia_, theirs.inertia_, rtol=1e-10)
    assert model.n_iter_ == theirs.n_iter_
    assert_array_equal(model.predict_proba(X), np.eye(n_clusters)[model.labels_])


@pytest.mark.parametrize("n_active", [1, 3])
@pytest.mark.parametrize("n_clusters", [5, 150])
def test_temperature_zero_is_kmeans_whatever_is_active(seed, n_active, n_clusters):
    X, means = make_many(seed, 20 * n_clusters)
    init = np.random.default_rng(seed).permutation(means)[:n_clusters]
    for tol in (0, 1e-4):
        params = {"init": init, "n_init": 1, "tol": tol}
        model = TruncatedKMeans(
            n_clusters, n_active=n_active, temperature=0, **params
        ).fit(X)
        theirs = KMeans(n_clusters, algorithm="lloyd", **params).fit(X)
        assert_allclose(model.cluster_centers_, theirs.cluster_centers_, rtol=1e-10)
        assert model.n_iter_ == theirs.n_iter_


def assert_same_bits(model, other, X):
    for name, value in vars(other).items():
        if name.endswith("_"):
            assert_array_equal(getattr(model, name), value, err_msg=name)
    assert_array_equal(model.predict_proba(X), other.predict_proba(X))


@TEMPERATURES
@pytest.mark.parametrize("n_active", [5, 6, 1000])
def test_all_clusters_active_is_soft_kmeans(blobs, temperature, n_active, dtype):
    X, params = blobs.astype(dtype), {"temperature": temperature, "random_state": 0}
    model = TruncatedKMeans(5, n_active=n_active, **params).fit(X)
    assert_same_bits(model, SoftKMeans(5, **params).fit(X), X)


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2])
def test_all_clusters_active_is_entmax_kmeans(blobs, alpha):
    params = {"alpha": alpha, "random_state": 0}
    model = TruncatedKMeans(5, n_active=5, **params).fit(blobs)
    assert_same_bits(model, EntmaxKMeans(5, **params).fit(blobs), blobs)


# The lower bound


def slow_bound(model, X, w):
    """Return the lower bound of the log-likelihood per sample, by definition."""
    d = cdist(X, model.cluster_centers_, "sqeuclidean")
    p, v = model.predict_proba(X), model.variance_
    n_clusters, n_features = model.cluster_centers_.shape
    weights = getattr(model, "weights_", np.full(n_clusters, 1 / n_clusters))
    log_density = -d / (2 * v) - n_features / 2 * np.log(2 * np.pi * v)
    each = p * (np.log(weights) + log_density) + entr(p)
    return np.average(each.sum(axis=1), weights=w)


@TEMPERATURES
@pytest.mark.parametrize("n_active", [1, 2, 4, 6])
@pytest.mark.parametrize("learn_weights", [False, True])
@pytest.mark.parametrize("max_iter", [2, 300])
def test_lower_bound_by_definition(
    blobs, temperature, n_active, learn_weights, max_iter
):
    w = np.random.default_rng(0).random(len(blobs))
    params = {"n_active": n_active, "learn_weights": learn_weights}
    model = TruncatedKMeans(
        6, **params, temperature=temperature, max_iter=max_iter, random_state=0
    )
    fit_quietly(model, blobs, sample_weight=w)
    assert_allclose(model.lower_bound_, slow_bound(model, blobs, w), rtol=1e-10)
    assert model.lower_bound_ <= model.score(blobs, sample_weight=w) + 1e-12


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2])
@pytest.mark.parametrize("n_active", [1, 3, 6])
def test_lower_bound_by_definition_where_memberships_are_sparse(blobs, alpha, n_active):
    model = TruncatedKMeans(6, alpha=alpha, n_active=n_active, random_state=0)
    w = np.random.default_rng(0).random(len(blobs))
    model.fit(blobs, sample_weight=w)
    assert_allclose(model.lower_bound_, slow_bound(model, blobs, w), rtol=1e-10)
    assert model.lower_bound_ <= model.score(blobs, sample_weight=w)


@pytest.mark.parametrize("n_active", [1, 2, 3, 5])
@pytest.mark.parametrize("learn_weights", [False, True])
def test_no_iteration_lowers_the_bound(seed, n_active, learn_weights):
    X, _ = make_blobs(200, 3, centers=5, cluster_std=2.5, random_state=seed)
    model = TruncatedKMeans(
        6,
        n_active=n_active,
        learn_weights=learn_weights,
        temperature="ml",
        tol=0,
        init=X[:6],
    )
    bounds = []
    for max_iter in range(1, 31):
        fit_quietly(model.set_params(max_iter=max_iter), X)
        bounds.append(model.lower_bound_)
        if model.n_iter_ < max_iter:
            break
    assert len(bounds) > 3
    assert (np.diff(bounds) >= -1e-12 * np.abs(bounds[1:])).all()


@TEMPERATURES
@pytest.mark.parametrize("weighted", [False, True])
def test_bound_of_kmeans_by_its_formula(blobs, temperature, weighted):
    w = np.random.default_rng(0).random(len(blobs)) if weighted else np.ones(300)
    model = TruncatedKMeans(5, n_active=1, temperature=temperature, random_state=0)
    model.fit(blobs, sample_weight=w)
    variance = model.inertia_ / (w.sum() * 4)
    expected = -(np.log(5) + 2 * np.log(2 * np.pi * np.e * variance))
    assert_allclose(model.lower_bound_, expected, rtol=1e-10)


@pytest.mark.parametrize("temperature", [1e-300, 1e-100, 1e-13, 1e-3, 1e9])
def test_bound_has_no_cancellation_at_any_temperature(blobs, temperature):
    model = TruncatedKMeans(5, n_active=1, temperature=temperature, random_state=0)
    model.fit(blobs)
    variance = model.inertia_ / blobs.size
    expected = -(np.log(5) + 2 * np.log(2 * np.pi * np.e * variance))
    assert_allclose(model.lower_bound_, expected, rtol=1e-10)


# Shares of the clusters


def slow_mixture(X, w, centers, n_active, n_iter):
    """Return centers, shares and T after EM with shares, by definition."""
    shares = np.full(len(centers), 1 / len(centers))
    size = w.sum() * X.shape[1]
    temperature = 2 * (w @ cdist(X, centers, "sqeuclidean").min(axis=1)) / size
    for _ in range(n_iter):
        logits = np.log(shares) - cdist(X, centers, "sqeuclidean") / temperature
        last = np.sort(logits, axis=1)[:, [-n_active]]
        p = softmax(np.where(logits >= last, logits, -np.inf), axis=1)
        p *= w[:, np.newaxis]
        mass = p.sum(axis=0)
        centers, shares = p.T @ X / mass[:, np.newaxis], mass / w.sum()
        temperature = 2 * (p * cdist(X, centers, "sqeuclidean")).sum() / size
    return centers, shares, temperature


@pytest.mark.parametrize("n_active", [1, 2, 5, 9])
@pytest.mark.parametrize("container", [np.array, csr_array])
def test_shares_are_learned_as_in_the_slow_loop(blobs, n_active, container):
    w = np.random.default_rng(0).random(len(blobs))
    init, _ = kmeans_plusplus(blobs, 5, random_state=0)
    model = TruncatedKMeans(
        5,
        n_active=n_active,
        learn_weights=True,
        temperature="ml",
        init=init,
        max_iter=6,
        tol=0,
    )
    fit_quietly(model, container(blobs), sample_weight=w)
    centers, shares, temperature = slow_mixture(blobs, w, init, min(n_active, 5), 6)
    assert_allclose(model.cluster_centers_, centers, rtol=1e-10)
    assert_allclose(model.weights_, shares)
    assert_allclose(model.temperature_, temperature)


def make_uneven(seed):
    """Return overlapping clusters of 20 to 400 samples, and their means."""
    sizes = [400, 20, 60, 200, 120]
    return make_blobs(sizes, 3, cluster_std=2.5, random_state=seed, return_centers=True)


@cache
def fit_mixture(seed):
    """Return a model of these that has shares, at its fixed point."""
    X, _, means = make_uneven(seed)
    model = TruncatedKMeans(
        5,
        learn_weights=True,
        temperature="ml",
        tol=1e-14,
        max_iter=3000,
        init=means,
        random_state=seed,
    )
    return model.fit(X)


@pytest.fixture
def uneven(seed):
    """Return overlapping clusters of different sizes."""
    return make_uneven(seed)[0]


@pytest.fixture
def mixture(seed):
    """Return a model of these that has shares."""
    return fit_mixture(seed)


@pytest.fixture
def reference(mixture):
    """Return scikit-learn's mixture with the same parameters."""
    reference = GaussianMixture(5, covariance_type="spherical", random_state=0)
    reference.weights_, reference.means_ = mixture.weights_, mixture.cluster_centers_
    reference.covariances_ = np.full(5, mixture.variance_)
    reference.precisions_cholesky_ = reference.covariances_**-0.5
    return reference


def test_shares_are_the_masses(mixture, uneven):
    assert_allclose(mixture.weights_.sum(), 1)
    assert mixture.weights_.min() < 0.1 < 0.25 < mixture.weights_.max()
    mass = mixture.predict_proba(uneven).mean(axis=0)
    assert_allclose(mixture.weights_, mass, rtol=1e-5)


def test_labels_are_the_largest_posteriors(mixture, uneven):
    d = cdist(uneven, mixture.cluster_centers_, "sqeuclidean")
    logits = np.log(mixture.weights_) - d / mixture.temperature_
    assert_array_equal(mixture.labels_, logits.argmax(axis=1))
    assert_array_equal(mixture.predict(uneven), mixture.labels_)
    assert (mixture.labels_ != d.argmin(axis=1)).any()
    # The nearest centers, not those of the labels.
    assert_allclose(mixture.inertia_, d.min(axis=1).sum())


def test_active_are_the_largest_posteriors(mixture, uneven):
    d = cdist(uneven, mixture.cluster_centers_, "sqeuclidean")
    logits = np.log(mixture.weights_) - d / mixture.temperature_
    third = np.sort(logits, axis=1)[:, [-3]]
    expected = softmax(np.where(logits >= third, logits, -np.inf), axis=1)
    assert_allclose(mixture.predict_proba(uneven), expected, atol=1e-12)


def test_score_is_of_the_full_mixture(mixture, reference, uneven):
    X = np.concatenate([uneven, 3 * uneven, np.zeros((1, 3))])
    d = cdist(X, mixture.cluster_centers_, "sqeuclidean")
    v = mixture.variance_
    terms = np.log(mixture.weights_) - d / (2 * v) - 1.5 * np.log(2 * np.pi * v)
    assert_allclose(mixture.score_samples(X), logsumexp(terms, axis=1), rtol=1e-10)
    assert_allclose(mixture.score(X), reference.score(X), rtol=1e-10)


def test_criteria_count_the_shares(mixture, reference, uneven):
    # The reference has five variances.
    expected = reference.bic(uneven) - 4 * np.log(len(uneven))
    assert_allclose(mixture.bic(uneven), expected)
    assert_allclose(mixture.aic(uneven), reference.aic(uneven) - 8)


def test_draws_have_the_shares(mixture, reference, seed):
    X, y = mixture.set_params(random_state=seed).sample(1000)
    X_reference, y_reference = reference.set_params(random_state=seed).sample(1000)
    assert_array_equal(X, X_reference)
    assert_array_equal(y, y_reference)


def test_shares_are_those_of_the_best_run(uneven, seed):
    params = {"learn_weights": True, "temperature": "ml", "init": "random"}
    model = TruncatedKMeans(5, **params, n_init=6, random_state=seed).fit(uneven)
    assert_allclose(model.lower_bound_, slow_bound(model, uneven, None))
    mass = model.predict_proba(uneven).mean(axis=0)
    assert_allclose(model.weights_, mass, atol=0.05)


@pytest.mark.parametrize("n_active", [1, 3])
def test_shares_at_temperature_zero(uneven, n_active, seed):
    params = {"n_active": n_active, "temperature": 0, "random_state": seed, "tol": 0}
    model = TruncatedKMeans(5, learn_weights=True, **params).fit(uneven)
    without = TruncatedKMeans(5, **params).fit(uneven)
    assert_array_equal(model.cluster_centers_, without.cluster_centers_)
    assert_nearest(model, uneven)
    assert_allclose(model.weights_, np.bincount(model.labels_) / len(uneven))
    assert np.isfinite(model.score(uneven))


@pytest.mark.parametrize("learn_weights", [False, True])
def test_a_refit_has_what_its_parameters_say(uneven, learn_weights):
    model = TruncatedKMeans(5, learn_weights=not learn_weights, random_state=0)
    model.fit(uneven)
    n_parameters = model._n_parameters
    model.set_params(learn_weights=learn_weights).fit(uneven)
    assert hasattr(model, "weights_") == learn_weights
    assert model._n_parameters - n_parameters == (4 if learn_weights else -4)


@pytest.mark.parametrize("alpha", [1.001, 1.5, 2])
def test_shares_are_for_softmax_only(blobs, alpha):
    model = TruncatedKMeans(5, alpha=alpha, learn_weights=True)
    with pytest.raises(ValueError, match="learn_weights must be False when alpha > 1"):
        model.fit(blobs)


# Memberships


@pytest.mark.parametrize(("n_active", "n_neighbors"), [(3, 2), (3, 1), (1000, 149)])
def test_too_few_neighbours(blobs, n_active, n_neighbors):
    model = TruncatedKMeans(150, n_active=n_active, n_neighbors=n_neighbors)
    with pytest.raises(
        ValueError, match="n_neighbors must be 'auto' or at least n_act"
    ):
        model.fit(blobs)


@pytest.mark.parametrize("alpha", [1, 1.5])
@pytest.mark.parametrize("temperature", ["auto", 0, 5.0])
@pytest.mark.parametrize("n_active", [1, 2, 3])
def test_sparse_output_is_the_dense_one(blobs, alpha, temperature, n_active, dtype):
    X, params = blobs.astype(dtype), {"alpha": alpha, "temperature": temperature}
    model = TruncatedKMeans(5, n_active=n_active, random_state=0, **params).fit(X)
    expected = model.predict_proba(X)
    sparse = model.set_params(sparse_output=True).predict_proba(X)
    assert isinstance(sparse, csr_matrix)
    assert sparse.dtype == dtype
    assert_array_equal(sparse.toarray(), expected)
    n_entries = np.diff(sparse.indptr)
    assert n_entries.max() <= n_active
    assert sparse.nnz == np.count_nonzero(expected)
    if alpha == 1 and temperature and dtype == np.float64:
        assert_array_equal(n_entries, n_active)
    assert_allclose(expected.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.skipif(
    "sparse_interface" not in sklearn.get_config(), reason="an older scikit-learn"
)
def test_sparse_output_can_be_an_array(blobs):
    model = TruncatedKMeans(5, sparse_output=True, random_state=0).fit(blobs)
    with sklearn.config_context(sparse_interface="sparray"):
        assert isinstance(model.predict_proba(blobs), csr_array)


@pytest.mark.parametrize("learn_weights", [False, True])
@pytest.mark.parametrize("temperature", ["auto", 1e-3, 100.0])
@pytest.mark.parametrize("n_active", [1, 2, 3])
def test_logarithms_are_infinite_where_clusters_are_not_active(
    blobs, learn_weights, temperature, n_active
):
    model = TruncatedKMeans(
        5,
        n_active=n_active,
        learn_weights=learn_weights,
        temperature=temperature,
        init=blobs[:5],
        max_iter=3,
    )
    fit_quietly(model, blobs)
    log = model.predict_log_proba(blobs)
    # Others are finite, be they ever so small.
    assert_array_equal(np.isfinite(log).sum(axis=1), n_active)
    assert (log[~np.isfinite(log)] == -np.inf).all()
    assert_allclose(np.exp(log), model.predict_proba(blobs), atol=1e-12)
    assert_array_equal(log.argmax(axis=1), model.labels_)


# Many clusters


@pytest.mark.parametrize("alpha", [1, 1.5])
@pytest.mark.parametrize("n_neighbors", [5, 16])
def test_lists_cost_little(many, n_neighbors, alpha):
    X, init = many
    params = {"alpha": alpha, "temperature": 0.5, "init": init}
    model = TruncatedKMeans(150, n_neighbors=n_neighbors, **params).fit(X)
    exact = TruncatedKMeans(150, n_neighbors=150, **params).fit(X)
    assert np.isfinite(model.cluster_centers_).all()
    slack = 0.05 if n_neighbors == 5 else 0.01
    assert model.free_energy_ <= (1 + slack) * exact.free_energy_
    assert_nearest(model, X)


@pytest.mark.parametrize("params", [{}, {"n_active": 1, "n_neighbors": 4}])
def test_lists_follow_centers_that_go_far(seed, params):
    # From samples of a corner the centers have to spread.
    X, _ = make_many(seed)
    init = X[np.argsort(X.sum(axis=1))[:150]]
    model = TruncatedKMeans(150, init=init, temperature=0.5, **params)
    exact = TruncatedKMeans(150, n_active=model.n_active, n_neighbors=150, init=init)
    fit_quietly(model, X)
    fit_quietly(exact.set_params(temperature=0.5), X)
    assert model.free_energy_ <= 1.2 * exact.free_energy_
    assert_nearest(model, X)


VARIANTS = pytest.mark.parametrize(
    "params",
    [
        {},
        {"n_active": 1, "n_neighbors": 8},
        pytest.param(
            {"n_active": 2, "temperature": "ml", "learn_weights": True},
            # One may lose its share.
            marks=pytest.mark.filterwarnings("ignore:Number of distinct clusters"),
        ),
        {"alpha": 1.5, "n_neighbors": 12, "temperature": 1.0},
        {"n_active": 10, "temperature": "ml"},
    ],
    ids=["default", "hard", "shares", "entmax", "ten"],
)


@VARIANTS
def test_what_is_said_of_samples_is_exact(many, params, dtype):
    X, init = many[0].astype(dtype), many[1]
    model = TruncatedKMeans(150, init=init, **params).fit(X)
    assert model.cluster_centers_.dtype == dtype
    assert_array_equal(model.predict(X), model.labels_)
    d = cdist(X.astype(float), model.cluster_centers_.astype(float), "sqeuclidean")
    rtol = 1e-10 if dtype == np.float64 else 1e-5
    assert_allclose(model.inertia_, d.min(axis=1).sum(), rtol=rtol)
    if "learn_weights" in params:
        d -= model.temperature_ * np.log(model.weights_)
    own = d[np.arange(len(X)), model.labels_]
    atol = 1e-12 if dtype == np.float64 else 1e-4
    assert_allclose(own, d.min(axis=1), atol=atol)
    assert model.n_iter_ == len(model.free_energies_) == len(model.temperatures_)


@VARIANTS
def test_the_same_bytes_for_any_number_of_threads(params, dtype):
    X, init = make_many(0)
    results = []
    for limit in (1, 2):
        with threadpool_limits(limit):
            model = TruncatedKMeans(150, init=init, **params).fit(X.astype(dtype))
        fitted = {k: np.asarray(v) for k, v in vars(model).items() if k[-1] == "_"}
        results.append({name: value.tobytes() for name, value in fitted.items()})
    assert results[0] == results[1]


def assert_same_model(result, expected, scale=1.0, rtol=1e-6):
    assert result.n_iter_ == expected.n_iter_
    size = abs(expected.cluster_centers_).max()
    assert_allclose(
        result.cluster_centers_ / scale, expected.cluster_centers_, atol=rtol * size
    )
    for name in ("inertia_", "soft_inertia_", "free_energy_", "temperature_"):
        value = getattr(result, name) / scale**2
        assert_allclose(value, getattr(expected, name), rtol=rtol, err_msg=name)


@VARIANTS
def test_many_clusters_weights_are_repetition(many, params):
    # Both have samples enough for all lists to be renewed in each iteration.
    X, init = many
    weights = np.random.default_rng(0).integers(1, 3, size=len(X))
    model = TruncatedKMeans(150, init=init, **params)
    repeated = TruncatedKMeans(150, init=init, **params)
    model.fit(X, sample_weight=weights)
    repeated.fit(np.repeat(X, weights, axis=0))
    assert_same_model(model, repeated)
    assert_array_equal(np.repeat(model.labels_, weights), repeated.labels_)


@VARIANTS
def test_many_clusters_permuted_samples(many, params, seed):
    X, init = many
    order = np.random.default_rng(seed).permutation(len(X))
    expected = TruncatedKMeans(150, init=init, **params).fit(X)
    result = TruncatedKMeans(150, init=init, **params).fit(X[order])
    assert_same_model(result, expected)
    assert_array_equal(result.labels_, expected.labels_[order])


@pytest.mark.parametrize("exponent", [-6, 6])
def test_many_clusters_in_other_units(many, exponent, dtype):
    a = 10.0 ** (exponent if dtype == np.float64 else exponent / 2)
    X, init = many[0].astype(dtype), many[1]
    expected = TruncatedKMeans(150, init=init).fit(X)
    result = TruncatedKMeans(150, init=a * init).fit((a * X).astype(dtype))
    if dtype == np.float64:
        assert_same_model(result, expected, scale=a)
    else:
        # Rounding may let some sample share itself between other clusters.
        assert_allclose(result.inertia_ / a**2, expected.inertia_, rtol=2e-3)
    assert result.cluster_centers_.dtype == dtype


@VARIANTS
def test_clusters_that_start_empty_get_samples(many, params, assert_finite_attributes):
    X, init = many
    init = init.copy()
    init[::15] = 1e3 + np.arange(10)[:, np.newaxis]
    model = TruncatedKMeans(150, init=init, **params)
    fit_quietly(model, X)
    assert_finite_attributes(model)
    assert (model.cluster_centers_ <= X.max(axis=0)).all()
    mass = model.predict_proba(X).sum(axis=0)
    if "learn_weights" in params:
        # A few lose their share again.
        assert (mass > 0.1).sum() > 140
    else:
        assert mass.min() > 0.1


@VARIANTS
def test_a_huge_cluster_tiny_ones_and_copies(seed, params, assert_finite_attributes):
    rng = np.random.default_rng(seed)
    tiny = rng.uniform(-50, 50, size=(130, 2))
    X = np.concatenate(
        [
            0.1 * rng.normal(size=(4000, 2)),
            np.repeat(tiny[:100], 7, axis=0),
            tiny[100:],
        ]
    )
    init = np.concatenate([tiny, X[:20]])
    model = TruncatedKMeans(150, init=init, **params)
    fit_quietly(model, X)
    assert_finite_attributes(model)
    assert_array_equal(model.predict(X), model.labels_)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    d = cdist(X, model.cluster_centers_, "sqeuclidean")
    assert_allclose(model.inertia_, d.min(axis=1).sum(), rtol=1e-9)


@VARIANTS
@pytest.mark.parametrize("temperature", [0, "auto", 1e-3])
def test_as_many_clusters_as_distinct_samples(params, temperature):
    # At no distance nothing is gained, nor lost to a quotient of zeros.
    points = np.random.default_rng(0).normal(size=(200, 2)) / 3
    X = np.repeat(points, 20, axis=0)
    params = params | {"temperature": temperature, "init": points}
    model = fit_quietly(TruncatedKMeans(200, **params), X)
    assert np.isfinite(model.cluster_centers_).all()
    assert np.isfinite(model.free_energies_).all()
    if temperature == 0:
        assert_allclose(model.cluster_centers_, points)


def test_constant_samples_and_many_clusters(assert_finite_attributes):
    X = np.full((4000, 2), 0.1)
    model = TruncatedKMeans(100, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    assert_finite_attributes(model)
    assert_allclose(model.cluster_centers_, 0.1)


def test_samples_on_disk_are_only_read(tmp_path):
    X, init = make_many(0)
    expected = TruncatedKMeans(150, init=init).fit(X)
    on_disk = np.memmap(tmp_path / "X", dtype=X.dtype, mode="w+", shape=X.shape)
    on_disk[:] = X
    on_disk.flush()
    on_disk = np.memmap(tmp_path / "X", dtype=X.dtype, mode="r", shape=X.shape)
    model = TruncatedKMeans(150, init=init).fit(on_disk)
    assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
    assert_array_equal(on_disk, X)


def test_samples_and_centers_are_not_written():
    X, init = make_many(0)
    before = X.copy(), init.copy()
    for a in (X, init):
        a.flags.writeable = False
    model = TruncatedKMeans(150, init=init).fit(X)
    model.predict_proba(X)
    assert_array_equal(X, before[0])
    assert_array_equal(init, before[1])


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_order_does_not_matter(order):
    X, init = make_many(0)
    expected = TruncatedKMeans(150, init=init).fit(X)
    result = TruncatedKMeans(150, init=init).fit(np.asarray(X, order=order))
    assert_array_equal(result.cluster_centers_, expected.cluster_centers_)


def test_sparse_samples_have_no_lists(many):
    X, init = many
    params = {"init": init, "temperature": 0.5, "max_iter": 5, "tol": 0}
    sparse = fit_quietly(TruncatedKMeans(150, **params), csr_array(X))
    exact = fit_quietly(TruncatedKMeans(150, n_neighbors=150, **params), X)
    assert_allclose(sparse.cluster_centers_, exact.cluster_centers_, atol=1e-9)


@pytest.mark.parametrize("n_active", [1, 2, 3])
@pytest.mark.parametrize("temperature", [0.3, 3.0])
def test_exact_runs_never_raise_the_free_energy(many, n_active, temperature):
    X, init = many
    model = TruncatedKMeans(
        150, n_active=n_active, n_neighbors=150, temperature=temperature, init=init
    )
    fit_quietly(model, X)
    energies = [*model.free_energies_, model.free_energy_]
    scatter = ((X - X.mean(axis=0)) ** 2).sum()
    assert all(b - a <= 1e-12 * (a + scatter) for a, b in pairwise(energies))
