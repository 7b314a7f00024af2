"""What EntmaxKMeans adds: exact zeros, exact hardness, sparse output, its own T_c."""

import tracemalloc

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sk_softkmeans import EntmaxKMeans, SoftKMeans, _layouts, critical_temperature

ALPHAS = pytest.mark.parametrize("alpha", [1.05, 1.2, 1.5, 2])
CONTAINERS = pytest.mark.parametrize("container", [np.array, csr_array])


def two_nearest_gap(X, centers):
    """Return how much farther the second center is than the first, squared."""
    d = ((X[:, np.newaxis, :] - centers) ** 2).sum(axis=2)
    nearest = np.partition(d, 1, axis=1)
    return nearest[:, 1] - nearest[:, 0]


def smallest_gap_on_the_way(X, centers):
    """Follow Lloyd's algorithm to its end for the smallest gap of all iterations."""
    smallest, last = np.inf, None
    while True:
        smallest = min(smallest, two_nearest_gap(X, centers).min())
        labels = euclidean_distances(X, centers).argmin(axis=1)
        if last is not None and (labels == last).all():
            return smallest
        centers = np.array([X[labels == k].mean(axis=0) for k in range(len(centers))])
        last = labels


@ALPHAS
@CONTAINERS
@pytest.mark.parametrize("n_clusters", [5, 40])
def test_exactly_hard_where_the_gap_is_wide(blobs, n_clusters, alpha, container):
    init, _ = kmeans_plusplus(blobs, n_clusters, random_state=0)
    gaps = two_nearest_gap(blobs, init)
    # So that half of the samples have a wide gap.
    temperature = np.median(gaps) * (alpha - 1)
    model = EntmaxKMeans(
        n_clusters, alpha=alpha, temperature=temperature, init=init, max_iter=1
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(container(blobs))
    gaps = two_nearest_gap(blobs, model.cluster_centers_)
    P = model.predict_proba(container(blobs))
    limit = temperature / (alpha - 1)
    wide, narrow = gaps > limit * (1 + 1e-9), gaps < limit * (1 - 1e-9)
    assert wide.sum() > 50
    assert narrow.sum() > 50
    assert_array_equal((P[wide] > 0).sum(axis=1), 1)
    assert_array_equal(P[wide].max(axis=1), 1)
    assert ((P[narrow] > 0).sum(axis=1) > 1).all()


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("alpha", [1.05, 1.5, 2])
def test_hardness_begins_at_the_gap(alpha, sign):
    # One sample beside the middle of two: the gap is 4 |offset| when centers are at
    # -1 and 1.
    X = np.array([[-1.0], [1.0]])
    model = EntmaxKMeans(2, alpha=alpha, temperature=0.1 * (alpha - 1), init=X).fit(X)
    assert_array_equal(model.cluster_centers_, X)
    offset = 0.1 / 4 * (1 + sign * 2e-9)
    P = model.predict_proba([[offset], [-offset]])
    assert_array_equal((P > 0).sum(axis=1), 1 if sign > 0 else 2)


@pytest.mark.parametrize("alpha", [1.001, 1.2, 1.5, 2])
@pytest.mark.parametrize("n_clusters", [5, 30])
@CONTAINERS
def test_kmeans_at_a_positive_temperature(n_clusters, alpha, container, seed):
    X, _ = make_blobs(400, 3, centers=6, cluster_std=2.0, random_state=seed)
    init, _ = kmeans_plusplus(X, n_clusters, random_state=seed)
    temperature = 0.9 * (alpha - 1) * smallest_gap_on_the_way(X, init)
    assert temperature > 0
    expected = KMeans(n_clusters, init=init, n_init=1, tol=0).fit(X)
    model = EntmaxKMeans(
        n_clusters, alpha=alpha, temperature=temperature, init=init, tol=0
    ).fit(container(X))
    assert model.temperature_ == temperature
    assert model.n_iter_ == expected.n_iter_
    scale = abs(expected.cluster_centers_).max()
    centers = expected.cluster_centers_
    assert_allclose(model.cluster_centers_, centers, rtol=1e-12, atol=1e-12 * scale)
    assert_array_equal(model.labels_, expected.labels_)
    assert model.soft_inertia_ == model.inertia_
    uniform = (n_clusters ** (1 - alpha) - 1) / (alpha * (alpha - 1))
    free_energy = expected.inertia_ - temperature * len(X) * uniform
    assert_allclose(model.free_energy_, free_energy, rtol=1e-12)


@pytest.mark.parametrize("temperature", [0, 3.0, "auto", "ml"])
def test_alpha_1_is_soft_kmeans(blobs, temperature):
    params = {"n_clusters": 5, "temperature": temperature, "random_state": 0}
    expected = SoftKMeans(**params).fit(blobs)
    model = EntmaxKMeans(alpha=1, **params).fit(blobs)
    assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
    assert_array_equal(model.predict_proba(blobs), expected.predict_proba(blobs))


def test_a_fitted_model_keeps_its_map(blobs):
    model = EntmaxKMeans(5, random_state=0).fit(blobs)
    expected = model.predict_proba(blobs)
    for alpha in (1, 2, 5, "x"):
        model.set_params(alpha=alpha)
        assert_array_equal(model.predict_proba(blobs), expected)


@ALPHAS
def test_temperature_auto(blobs, alpha):
    model = EntmaxKMeans(5, alpha=alpha, tol=1e-8, random_state=0).fit(blobs)
    assert_allclose(model.temperature_, 3 ** (alpha - 1) * model.variance_, rtol=1e-6)
    P = model.predict_proba(blobs)
    assert 0 < ((P > 0).sum(axis=1) > 1).mean() < 0.5


# Below the critical temperature, eight centers need not all part at once.
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("alpha", [1.2, 1.5, 2])
@pytest.mark.parametrize("n_clusters", [2, 3, 8])
@pytest.mark.parametrize("kind", ["uniform", "standard_normal"])
def test_critical_temperature(n_clusters, alpha, kind):
    # Light-tailed data; with heavy tails other states persist above it.
    rng = np.random.default_rng(0)
    X = getattr(rng, kind)(size=(400, 3)) * [3, 2, 1]
    init = X.mean(axis=0) + 1e-3 * X[:n_clusters]
    unit = critical_temperature(X, n_clusters=n_clusters, alpha=alpha)
    largest = np.linalg.eigvalsh(np.cov(X.T, ddof=0))[-1]
    assert_allclose(unit, 2 * largest * n_clusters ** (alpha - 1), rtol=1e-12)
    params = {"alpha": alpha, "init": init, "tol": 1e-12, "max_iter": 3000}
    model = EntmaxKMeans(n_clusters, temperature=0.95 * unit, **params).fit(X)
    scaled = clone(model).set_params(temperature=0.95, temperature_unit="critical")
    assert_allclose(scaled.fit(X).cluster_centers_, model.cluster_centers_)
    spread = np.ptp(model.cluster_centers_, axis=0).max()
    assert spread > 0.05 * np.sqrt(largest)
    model.set_params(temperature=1.05 * unit)
    with pytest.warns(ConvergenceWarning, match="collapsed"):
        model.fit(X)
    assert np.ptp(model.cluster_centers_, axis=0).max() < 1e-4 * np.sqrt(largest)


@pytest.mark.parametrize("temperature", [2.0, "auto"])
@pytest.mark.parametrize("alpha", [1.2, 1.5, 2])
@CONTAINERS
def test_lists_and_grids_give_the_same(temperature, alpha, container, monkeypatch):
    X, _ = make_blobs(500, 3, centers=6, cluster_std=2.0, random_state=0)
    weights = np.random.default_rng(0).random(500)
    model = EntmaxKMeans(20, alpha=alpha, temperature=temperature, random_state=0)
    fits = []
    for share in (0, 1):
        monkeypatch.setattr(_layouts, "_SHARE_PER_BYTE", share)
        fits.append(clone(model).fit(container(X), sample_weight=weights))
    assert fits[0].n_iter_ == fits[1].n_iter_
    assert_allclose(*(fit.cluster_centers_ for fit in fits), rtol=1e-10, atol=1e-10)
    assert_allclose(*(fit.free_energies_ for fit in fits), rtol=1e-12)


@pytest.mark.parametrize("temperature", [1e-3, 5.0, "auto"])
def test_empty_clusters_get_samples(blobs, temperature):
    init = blobs[:5].copy()
    init[[1, 3]] = 1e3
    model = EntmaxKMeans(5, temperature=temperature, init=init).fit(blobs)
    assert_array_equal(np.unique(model.labels_), np.arange(5))
    assert abs(model.cluster_centers_).max() < 100


@pytest.mark.parametrize("temperature", [0, 1.0, 50.0, "auto"])
@pytest.mark.parametrize("alpha", [1, 1.5, 2])
def test_sparse_output_is_the_dense_one(blobs, temperature, alpha, dtype):
    X = blobs.astype(dtype)
    model = EntmaxKMeans(
        5, alpha=alpha, temperature=temperature, random_state=0, sparse_output=True
    )
    P = model.fit(X).predict_proba(X)
    model.set_params(transform_to="responsibilities")
    for result in (P, model.transform(X), model.fit_transform(X)):
        assert isinstance(result, csr_matrix)
        assert result.dtype == dtype
        assert result.has_canonical_format
        assert (result.data > 0).all()
    assert_array_equal(model.transform(X).toarray(), P.toarray())
    assert_allclose(P.sum(axis=1), 1, rtol=1e-6)
    model.set_params(sparse_output=False)
    assert_array_equal(P.toarray(), model.predict_proba(X))
    model.set_params(sparse_output=True, transform_to="distances")
    assert isinstance(model.transform(X), np.ndarray)


@pytest.mark.skipif(
    "sparse_interface" not in sklearn.get_config(),
    reason="this scikit-learn cannot be asked for sparse arrays",
)
def test_sparse_arrays_where_scikit_learn_is_asked_for_them(blobs):
    model = EntmaxKMeans(5, sparse_output=True, random_state=0).fit(blobs)
    with sklearn.config_context(sparse_interface="sparray"):
        assert isinstance(model.predict_proba(blobs), csr_array)


def test_frames_cannot_be_sparse(blobs):
    pytest.importorskip("pandas")
    model = EntmaxKMeans(
        5, sparse_output=True, transform_to="responsibilities", random_state=0
    ).set_output(transform="pandas")
    with pytest.raises(ValueError, match="set_output"):
        model.fit(blobs).transform(blobs)


def test_sparse_output_needs_little_memory():
    rng = np.random.default_rng(0)
    init = rng.random((1000, 2)) * 300
    X = init[rng.integers(0, 1000, 150_000)] + rng.standard_normal((150_000, 2))
    model = EntmaxKMeans(1000, temperature=1.0, init=init, tol=1, sparse_output=True)
    model.fit(X[:20_000])
    tracemalloc.start()
    P = model.predict_proba(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 1 < P.nnz / len(X) < 5
    assert peak < 0.05 * len(X) * 1000 * 8


def test_sparse_features_in_a_pipeline():
    X, y = load_digits(return_X_y=True)
    features = EntmaxKMeans(
        60, sparse_output=True, transform_to="responsibilities", random_state=0
    )
    pipe = make_pipeline(features, LogisticRegression(max_iter=1000, C=10))
    search = GridSearchCV(pipe, {"entmaxkmeans__alpha": [1, 1.5, 2]}, cv=3)
    assert search.fit(X, y).best_score_ > 0.85
