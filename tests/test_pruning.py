"""Pruning: what is left out does not count, and fits are those of all centers."""

import warnings
from unittest import mock

import numpy as np
import pytest
from helpers import chunked
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    SoftKMeans,
    TruncatedKMeans,
    _pruning,
)
from sk_softkmeans._assignments import make_assignment
from sk_softkmeans._distances import Centers
from sk_softkmeans._pruning import Pruning
from sk_softkmeans._steps import DenseStep, HardStep

# The bounds


@pytest.fixture
def small(monkeypatch):
    """Let there be lists for few clusters and samples as well."""
    monkeypatch.setattr(_pruning, "_MIN_CLUSTERS", 1)
    monkeypatch.setattr(_pruning, "_MIN_SAMPLES", 1)


def assert_nothing_that_counts_is_missing(X, all_centers, margin):
    """Check the candidates of centers that move, by all distances in float64."""
    n_left_out, pruning = 0, Pruning()
    exact = X.astype(float) - all_centers[0].origin.astype(float)
    with chunked(X, np.ones(len(X)), len(all_centers[0])) as chunks:
        for centers in all_centers:
            d = cdist(exact, centers.points.astype(float), "sqeuclidean")
            pruning.spread = d.min(axis=1).mean()
            # At no price lists always pay.
            candidates = pruning.candidates(chunks, centers, margin, 0.0)
            counts = d < d.min(axis=1, keepdims=True) + margin
            counts[np.arange(len(X)), d.argmin(axis=1)] = True
            blocks, n_seen = candidates.blocks, 0
            for part in candidates.parts:
                rows, is_own = blocks.rows(part)
                lists = candidates.lists(part)
                assert (np.diff(lists) >= 0).all()
                listed = (lists[:, :, np.newaxis] == np.arange(len(d[0]))).any(axis=1)
                listed = np.repeat(listed, blocks.size, axis=0)
                assert not (counts[rows] & ~listed).any()
                n_seen += is_own.sum()
                n_left_out += np.count_nonzero(~listed)
            assert n_seen == len(X)
    return n_left_out


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("n_features", [1, 2, 8])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize("margin", [0.0, 0.1, 3.0])
def test_nothing_that_counts_is_left_out(
    n_features, scale, offset, margin, dtype, seed
):
    rng = np.random.default_rng(seed)
    X = scale * rng.normal(size=(1000, n_features)).astype(dtype)
    origin = scale * (rng.normal(size=n_features) + offset).astype(dtype)
    points = X[:90] - origin
    moves = scale * rng.normal(size=(2, *points.shape)) * [[[0.03]], [[1.0]]]
    all_centers = [Centers(p, origin, dtype) for p in (points, *(points + moves))]
    n_left_out = assert_nothing_that_counts_is_missing(
        X, all_centers, margin * scale**2
    )
    if n_features < 3 and margin < 1 and not offset:
        assert n_left_out > 1000


@pytest.mark.usefixtures("small")
def test_float32_samples_with_centers_in_float64(seed):
    # As they are at a temperature that float32 distances are not exact enough for.
    # Half of the centers come to where some samples are just nearer to them, by less
    # than what float32 can tell.
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2000, 1)).astype(np.float32)
    origin = rng.normal(size=1).astype(np.float32)
    x = X.astype(float) - origin
    own = x[rng.permutation(2000)[:200]]
    some = x[rng.permutation(2000)[:200]]
    nearest = own[cdist(some, own).argmin(axis=1)]
    beyond = some + (1 - 1e-9) * (some - nearest)
    all_centers = [
        Centers(np.concatenate([own, other]), origin, np.float64)
        for other in (own + 100, beyond)
    ]
    assert assert_nothing_that_counts_is_missing(X, all_centers, 0.0)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("gap", [1e-9, 1e-8, 1e-5, 1e-4, 1e-3])
def test_centers_that_nearly_coincide(gap, dtype, seed):
    # Their distance is lost to rounding, not the side that a sample is on.
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(1000, 2)).astype(dtype)
    directions = rng.normal(size=(2, 20, 2))
    near = X[:20] + gap * directions / np.linalg.norm(directions, axis=2)[..., None]
    centers = Centers(np.concatenate([X[:20], *near]), np.zeros(2), dtype)
    assert_nothing_that_counts_is_missing(X, [centers], 0.0)


# Fits


# So that clusters overlap a little.
STD = {2: 0.25, 8: 1.0}


def make_data(n_features, seed=0):
    """Return 10000 samples of 256 clusters and initial centers."""
    X, _, means = make_blobs(
        10_000,
        n_features,
        centers=256,
        cluster_std=STD[n_features],
        random_state=seed,
        return_centers=True,
    )
    noise = np.random.default_rng(seed).normal(size=means.shape)
    return X, means + STD[n_features] * noise


@pytest.fixture(params=[2, 8])
def data(request):
    """Return clustered samples with few or more features."""
    return make_data(request.param)


class Watch:
    """Counts passes, those with lists, and the logits computed, as a share of all."""

    def __init__(self):
        self.n_passes = self.n_pruned = 0
        self.shares = []

    def __enter__(self):
        candidates = Pruning.candidates

        def watched(pruning, chunks, centers, *args):
            found = candidates(pruning, chunks, centers, *args)
            self.n_passes += 1
            share = 1.0
            if found:
                self.n_pruned += 1
                listed = sum(found.lists(part).size for part in found.parts)
                size = chunks.X.shape[0] * len(centers)
                share = listed * found.blocks.size / size
            self.shares.append(share)
            return found

        self._patch = mock.patch.object(Pruning, "candidates", watched)
        self._patch.start()
        return self

    def __exit__(self, *args):
        self._patch.stop()


def all_centers():
    """Return what computes all logits, as a reference."""
    return mock.patch.object(Pruning, "candidates", return_value=None)


def fit_both(model, X, **fit_params):
    """Return a fit with pruning, one without, and what was computed."""
    with warnings.catch_warnings():
        # Of fits that max_iter cuts short.
        warnings.simplefilter("ignore", ConvergenceWarning)
        with all_centers():
            expected = model.fit(X, **fit_params).__dict__.copy()
        with Watch() as watch:
            model.fit(X, **fit_params)
    return model, expected, watch


def assert_same(model, expected, rtol=1e-12):
    assert model.n_iter_ == expected["n_iter_"]
    size = abs(expected["cluster_centers_"]).max()
    assert_allclose(
        model.cluster_centers_, expected["cluster_centers_"], atol=rtol * size
    )
    names = ("inertia_", "soft_inertia_", "free_energy_", "temperature_", "variance_")
    for name in (*names, "free_energies_", "temperatures_"):
        assert_allclose(getattr(model, name), expected[name], rtol=rtol)
    assert_array_equal(model.labels_, expected["labels_"])


# Temperatures in units of the variance within a cluster.
MODELS = {
    "hard": (SoftKMeans, {"temperature": 0}),
    "cold": (SoftKMeans, {"temperature": 0.2}),
    "auto": (SoftKMeans, {"temperature": "auto"}),
    "one active": (TruncatedKMeans, {"n_active": 1}),
    "1.5": (EntmaxKMeans, {"alpha": 1.5}),
    "2": (EntmaxKMeans, {"alpha": 2, "temperature": 0.8}),
    "1.2": (EntmaxKMeans, {"alpha": 1.2, "temperature": 0.2}),
    "annealed": (
        AnnealedRBFKMeans,
        {"cooling_rate": 0.3, "max_iter_per_temperature": 2, "temperature_max": 0.8},
    ),
}


def make_model(name, init, **params):
    """Return one of the models from initial centers."""
    estimator_class, own = MODELS[name]
    n_features = init.shape[1]
    variance = n_features * STD[n_features] ** 2
    in_units = {
        key: value * variance
        for key, value in own.items()
        if key[:4] == "temp" and value != "auto"
    }
    return estimator_class(256, init=init, tol=0, **own | in_units | params)


@pytest.mark.parametrize("name", MODELS)
def test_fits_are_those_of_all_centers(data, name):
    X, init = data
    weights = np.random.default_rng(0).integers(4, size=len(X))
    model = make_model(name, init, max_iter=8)
    model, expected, watch = fit_both(model, X, sample_weight=weights)
    assert_same(model, expected)
    assert watch.n_pruned >= 3


def test_hard_fits_have_the_same_path(data):
    X, init = data
    model, expected, watch = fit_both(make_model("hard", init), X)
    assert_same(model, expected)
    assert model.converged_
    assert watch.n_pruned >= 3


@pytest.mark.parametrize("name", ["hard", "cold", "1.5"])
def test_float32(data, name):
    X, init = data
    model = make_model(name, init, max_iter=8)
    model, expected, watch = fit_both(model, X.astype(np.float32))
    assert model.cluster_centers_.dtype == np.float32
    assert_same(model, expected, rtol=1e-4)
    assert watch.n_pruned >= 3


@pytest.mark.parametrize("alpha", [1, 1.5])
def test_at_most_half_of_the_logits(data, alpha):
    X, init = data
    d = cdist(X, init, "sqeuclidean").min(axis=1).mean()
    model = EntmaxKMeans(256, alpha=alpha, temperature=0.1 * d, init=init)
    _, _, watch = fit_both(model.set_params(max_iter=8, tol=0), X)
    # The first pass, which looks at all, among them.
    assert np.mean(watch.shares) <= 0.5


def test_pruned_fits_have_the_same_bytes_for_any_number_of_threads(data):
    X, init = data
    results = []
    for limit in (1, 2):
        with threadpool_limits(limit), warnings.catch_warnings():
            # Of fits that max_iter cuts short.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = make_model("cold", init, max_iter=4).fit(X)
        results.append(model.cluster_centers_.tobytes())
    assert results[0] == results[1]


# When there is any


def count_passes(estimator, X):
    with Watch() as watch, warnings.catch_warnings():
        # Of fits that max_iter cuts short.
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(X)
    assert watch.n_passes > 1
    return watch.n_pruned


@pytest.mark.parametrize("temperature", [0, 0.03])
def test_few_samples_few_clusters_and_sparse_samples_are_not_pruned(temperature):
    X, init = make_data(2)
    model = SoftKMeans(256, temperature=temperature, init=init, max_iter=3)
    assert count_passes(model, X) == 2
    assert count_passes(model, csr_array(X)) == 0
    assert count_passes(model, X[:8000]) == 0
    model.set_params(n_clusters=60, init=init[:60])
    assert count_passes(model, X) == 0


@pytest.mark.parametrize("temperature", [50.0, 1e307])
def test_hot_memberships_are_not_pruned(temperature):
    X, init = make_data(2)
    model = SoftKMeans(256, temperature=temperature, init=init, max_iter=3)
    assert count_passes(model, X) == 0


def test_the_first_pass_looks_at_all_centers():
    X, init = make_data(2)
    centers, step = Centers(init, np.zeros(2), np.float64), HardStep(len(X))
    with Watch() as watch, chunked(X, np.ones(len(X)), 256) as chunks:
        for _ in range(3):
            stats = step.reduce(chunks, centers, 0.0)
            # A pass tells the next one how far samples are from their centers.
            spread = cdist(X, init, "sqeuclidean").min(axis=1).mean()
            assert_allclose(step._pruning.spread, spread)
            assert_allclose(stats.inertia / len(X), spread)
    assert watch.shares[0] == 1
    assert max(watch.shares[1:]) < 0.5


def passes_that_look(X, points, n_passes, margin):
    """Return the numbers of the passes that compare what lists would cost."""
    looks, found, pruning = [], [], Pruning()
    pruning.spread = cdist(X, points, "sqeuclidean").min(axis=1).mean()
    centers = Centers(points, np.zeros(points.shape[1]), np.float64)
    promises = Pruning._promises

    def watched(*args):
        looks.append(len(found) + 1)
        return promises(*args)

    with (
        mock.patch.object(Pruning, "_promises", watched),
        chunked(X, np.ones(len(X)), len(points)) as chunks,
    ):
        for _ in range(n_passes):
            found.append(pruning.candidates(chunks, centers, margin, 1.8))
    assert found == [None] * n_passes
    return looks


def test_where_there_is_no_structure_looks_become_rare():
    X = np.random.default_rng(0).normal(size=(8192, 20))
    assert passes_that_look(X, X[:64], 40, 1.0) == [1, 2, 4, 8, 16, 32]


def test_lists_that_turn_out_too_long_are_refused_as_well():
    # Centers promise much, but blocks have samples that are far from each other.
    rng = np.random.default_rng(0)
    X, points = rng.normal(size=(8192, 2)), np.zeros((256, 2))
    points[:, 0] = np.arange(256) * 10
    centers = Centers(points, np.zeros(2), np.float64)
    pruning = Pruning()
    pruning.spread = 1e-6
    X[:, 0] += rng.choice(points[:, 0], size=8192)
    labels = rng.integers(256, size=8192).astype(np.int32)
    found = []
    with chunked(X, np.ones(8192), 256) as chunks:
        for _ in range(9):
            found.append(pruning.candidates(chunks, centers, 0.0, 1.8, labels))
    assert found == [None] * 9
    assert pruning._n_refused == 15


def test_after_lists_that_paid_looks_are_frequent_again():
    X, init = make_data(2)
    centers, pruning = Centers(init, np.zeros(2), np.float64), Pruning()
    pruning.spread = 0.1
    prices = [20, 20, 20, 1, 1, 20, 20, 20, 20]
    with chunked(X, np.ones(len(X)), 256) as chunks:
        found = [pruning.candidates(chunks, centers, 0.1, p) for p in prices]
    # The third pass does not look. After the fourth the next two do.
    assert [i for i, lists in enumerate(found) if lists] == [3, 4]
    assert (pruning._n_refused, pruning._n_to_skip) == (7, 3)


def test_the_price_decides(seed):
    X, init = make_data(2, seed)
    centers = Centers(init, np.zeros(2), np.float64)
    with chunked(X, np.ones(len(X)), 256) as chunks:
        for price, expected in ((1.8, True), (20.0, False)):
            pruning = Pruning()
            pruning.spread = 0.1
            found = pruning.candidates(chunks, centers, 0.1, price)
            assert (found is not None) == expected


def test_steps_are_the_same_with_lists_and_without(data):
    X, init = data
    centers = Centers(init, np.zeros(X.shape[1]), np.float64)
    for alpha in (1, 1.2, 1.5, 2):
        step = DenseStep(make_assignment(alpha), with_distortion=True)
        temperature = 0.2 * X.shape[1] * STD[X.shape[1]] ** 2
        with chunked(X, np.ones(len(X)), 256) as chunks:
            expected = step.reduce(chunks, centers, temperature)
            with Watch() as watch:
                result = step.reduce(chunks, centers, temperature)
        assert watch.n_pruned == 1
        for name in ("mass", "sums", "value", "omega", "distortion", "softness"):
            value = getattr(expected, name)
            # Omega and softness are differences of sums over samples.
            size = len(X) if name in ("omega", "softness") else np.abs(value).max()
            atol = 1e-12 * size
            assert_allclose(getattr(result, name), value, rtol=1e-12, atol=atol)


def test_a_cluster_of_tiny_shares_is_not_left_out():
    # 64 centers in a plane, the first so far away that it has shares of 1e-14 only.
    rng = np.random.default_rng(0)
    points = np.stack(np.divmod(np.arange(64), 8), axis=1) * 8.0
    X = points[rng.integers(1, 64, size=10_000)] + rng.normal(size=(10_000, 2))
    points[0] = -11.0
    weights = np.ones(len(X))
    weights[0] = 1e-6
    step = DenseStep(make_assignment(1), with_distortion=True)
    with chunked(X, weights, 64) as chunks:
        centers = Centers(points, np.zeros(2), np.float64)
        dense = step.reduce(chunks, centers, 2.0)
        looked = step.reduce(chunks, centers, 2.0)
        assert 0 < dense.mass[0] < 1e-9
        assert_allclose(looked.mass, dense.mass, rtol=1e-12)
        # For a while nothing is looked for.
        with mock.patch.object(Pruning, "_count", side_effect=AssertionError):
            for _ in range(10):
                step.reduce(chunks, centers, 2.0)
