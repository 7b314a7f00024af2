"""Indices of soft partitions, by hand and by slow loops, and scorers in searches."""

import tracemalloc

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from scipy import sparse
from scipy.sparse import csr_array, csr_matrix
from scipy.spatial.distance import cdist
from scipy.special import entr
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_softkmeans import EntmaxKMeans, SoftKMeans
from sk_softkmeans.metrics import (
    neg_inertia_scorer,
    partition_coefficient,
    partition_coefficient_scorer,
    partition_entropy,
    soft_silhouette,
    xie_beni,
)

# Two pairs on a line, and memberships whose sums are short numbers.
LINE = np.array([[0.0], [2.0], [10.0], [12.0]])
HARD = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
SOFT = np.array([[0.75, 0.25], [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
ENDS = np.array([[1.0], [11.0]])

OF_P = [partition_coefficient, partition_entropy]
CONTAINERS = [np.array, csr_array, csr_matrix]
FORMATS = ["bsr", "coo", "csc", "dia", "dok", "lil"]  # codespell:ignore coo
QUIET = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def call(function, data, sample_weight=None):
    """Return the index of (X, P, centers), whichever it takes."""
    X, P, centers = data
    others = {xie_beni: (X, P, centers), soft_silhouette: (X, P)}
    return function(*others.get(function, (P,)), sample_weight=sample_weight)


def take(data, rows):
    """Return some rows of (X, P, centers)."""
    X, P, centers = data
    return X[rows], P[rows], centers


@pytest.fixture(params=[*OF_P, xie_beni, soft_silhouette], ids=lambda f: f.__name__)
def index(request):
    """Return each index."""
    return request.param


@pytest.fixture
def data(seed):
    """Return samples, memberships of which a third are zero, and centers."""
    return make_data(seed)


def make_data(seed, n_samples=90, n_features=3, n_clusters=4):
    """Return samples, memberships of which about a third are zero, and centers."""
    rng = np.random.default_rng(seed)
    centers = 3 * rng.standard_normal((n_clusters, n_features))
    P = rng.dirichlet(np.full(n_clusters, 0.4), size=n_samples)
    P[P < 0.05] = 0
    P /= P.sum(axis=1, keepdims=True)
    X = P @ centers + rng.standard_normal((n_samples, n_features))
    return X, P, centers


@pytest.fixture
def weights(seed):
    """Return weights of the samples, some of them 0."""
    return np.random.default_rng(seed + 1).integers(0, 4, 90) * 0.75


# By hand


@pytest.mark.parametrize("container", CONTAINERS)
def test_partition_coefficient_by_hand(container):
    P = container(SOFT)
    # (9/16 + 1/16 + 1 + 1 + 1/4 + 1/4) / 4 = 3.125 / 4
    assert partition_coefficient(P) == 0.78125
    assert partition_coefficient(P, normalized=True) == 0.5625
    # (0.625 + 2 + 0 + 4 * 0.5) / 7
    weighted = partition_coefficient(P, sample_weight=[1, 2, 0, 4])
    assert weighted == pytest.approx(4.625 / 7, rel=1e-14)


@pytest.mark.parametrize("container", CONTAINERS)
def test_partition_entropy_by_hand(container):
    P = container(SOFT)
    # In bits: 2 - 3/4 log2 3 for the first sample, 1 for the last.
    bits = 2 - 0.75 * np.log2(3)
    expected = (bits + 1) * np.log(2) / 4
    assert partition_entropy(P) == pytest.approx(expected, rel=1e-14)
    normalized = partition_entropy(P, normalized=True)
    assert normalized == pytest.approx((bits + 1) / 4, rel=1e-14)
    weighted = partition_entropy(P, sample_weight=[1, 2, 0, 4], normalized=True)
    assert weighted == pytest.approx((bits + 4) / 7, rel=1e-14)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("memberships", CONTAINERS)
def test_xie_beni_by_hand(container, memberships):
    X = container(LINE)
    # All at distance 1 from their centers, which are 10 apart.
    assert xie_beni(X, memberships(HARD), ENDS) == pytest.approx(0.01, rel=1e-14)
    # 9/16 * 1 + 1/16 * 121 + 1 + 1 + 1/4 * 121 + 1/4 * 1
    soft = xie_beni(X, memberships(SOFT), ENDS)
    assert soft == pytest.approx((0.5625 + 7.5625 + 2 + 30.25 + 0.25) / 400, rel=1e-14)
    weighted = xie_beni(X, memberships(SOFT), ENDS, sample_weight=[1, 2, 0, 4])
    assert weighted == pytest.approx((8.125 + 2 + 4 * 30.5) / 700, rel=1e-14)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("memberships", CONTAINERS)
def test_soft_silhouette_by_hand(container, memberships):
    X = container(LINE)
    # Outside, a = 2 and b = 11; inside, a = 2 and b = 9.
    expected = (9 / 11 + 7 / 9) / 2
    assert soft_silhouette(X, memberships(HARD)) == pytest.approx(expected, rel=1e-14)
    # Mean distances to the other members of both clusters, for example from 0 to the
    # first one (1 * 2 + 0.5 * 12) / 1.5; the first sample alone has a share of both.
    a = [
        [16 / 3, (10 + 6) / 1.5],
        [(0.75 * 2 + 0.5 * 10) / 1.25, (0.25 * 2 + 8 + 0.5 * 10) / 1.75],
        [(0.75 * 10 + 8 + 0.5 * 2) / 2.25, (0.25 * 10 + 0.5 * 2) / 0.75],
        [(0.75 * 12 + 10) / 1.75, (0.25 * 12 + 2) / 1.25],
    ]
    s = [1 - first / second for first, second in a[:2]]
    s += [1 - second / first for first, second in a[2:]]
    expected = (0.75 - 0.25) * s[0] + s[1] + s[2] + (0.5 - 0.5) * s[3]
    soft = soft_silhouette(X, memberships(SOFT))
    assert soft == pytest.approx(expected / 4, rel=1e-14)


# Limits


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("n_clusters", [1, 2, 7])
def test_one_hot_memberships_are_crisp(container, n_clusters):
    P = container(np.eye(n_clusters)[np.arange(50) % n_clusters])
    assert partition_coefficient(P) == 1
    assert str(partition_entropy(P)) == "0.0"
    if n_clusters > 1:
        assert partition_coefficient(P, normalized=True) == 1
        assert partition_entropy(P, normalized=True) == 0


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("n_clusters", [2, 7, 1000])
def test_equal_memberships_are_not(container, n_clusters, dtype):
    P = container(np.full((50, n_clusters), 1 / n_clusters, dtype))
    rel = 1e-12 if dtype == np.float64 else 1e-6
    assert partition_coefficient(P) == pytest.approx(1 / n_clusters, rel=rel)
    assert partition_entropy(P) == pytest.approx(np.log(n_clusters), rel=rel)
    assert partition_coefficient(P, normalized=True) == pytest.approx(0, abs=rel)
    assert partition_entropy(P, normalized=True) == pytest.approx(1, rel=rel)


def test_xie_beni_of_equal_memberships(data):
    X, _, centers = data
    # sum_k p^2 |x - c_k|^2 = (|x - mean|^2 + the variance of the centers) / K
    P, mean = np.full((90, 4), 0.25), centers.mean(axis=0)
    spread = ((X - mean) ** 2).sum(axis=1).mean() + ((centers - mean) ** 2).sum() / 4
    expected = spread / 4 / separation(centers)
    assert xie_beni(X, P, centers) == pytest.approx(expected, rel=1e-12)


def test_soft_silhouette_of_equal_memberships_is_zero(data):
    assert soft_silhouette(data[0], np.full((90, 4), 0.25)) == pytest.approx(
        0, abs=1e-15
    )


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("memberships", CONTAINERS)
def test_one_hot_soft_silhouette_is_that_of_scikit_learn(seed, container, memberships):
    X, labels = make_blobs(200, 3, centers=5, cluster_std=3.0, random_state=seed)
    # Two clusters of one sample, and one without.
    labels[:2] = 5, 6
    P = np.eye(8)[labels]
    expected = silhouette_score(X, labels)
    value = soft_silhouette(container(X), memberships(P))
    assert value == pytest.approx(expected, rel=1e-12)


# Slow references


def separation(centers):
    """Return the least squared distance between two centers."""
    return min(((a - b) ** 2).sum() for i, a in enumerate(centers) for b in centers[:i])


def slow_xie_beni(X, P, centers, w):
    """Return the Xie-Beni index by a loop over pairs."""
    total = 0.0
    for i in range(len(X)):
        for k in range(len(centers)):
            total += w[i] * P[i, k] ** 2 * np.linalg.norm(X[i] - centers[k]) ** 2
    return total / w.sum() / separation(centers)


def slow_soft_silhouette(X, P, w):
    """Return the soft silhouette by a loop over samples and clusters."""
    total = 0.0
    for i in range(len(X)):
        others = w.copy()
        others[i] -= min(w[i], 1)
        d = np.array([np.linalg.norm(X[i] - x) for x in X])
        mass, sums = others @ P, (others * d) @ P
        for k in range(P.shape[1]):
            rest = [sums[l] / mass[l] for l in range(len(mass)) if l != k and mass[l]]
            if mass[k] and rest:
                a, b = sums[k] / mass[k], min(rest)
                total += w[i] * P[i, k] * (b - a) / max(a, b)
    return total / w.sum()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("memberships", CONTAINERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_against_slow_loops(data, weights, container, memberships, weighted):
    X, P, centers = data
    w, given = (weights, weights) if weighted else (np.ones(90), None)
    X_given, P_given = container(X), memberships(P)
    value = xie_beni(X_given, P_given, centers, sample_weight=given)
    assert value == pytest.approx(slow_xie_beni(X, P, centers, w), rel=1e-12)
    value = soft_silhouette(X_given, P_given, sample_weight=given)
    assert value == pytest.approx(slow_soft_silhouette(X, P, w), rel=1e-12)


@pytest.mark.parametrize("container", CONTAINERS)
def test_more_samples_than_a_chunk(container):
    X, P, centers = make_data(0, n_samples=9000)
    w = np.random.default_rng(1).random(9000)
    shares = w / w.sum()
    P_given = container(P)
    value = partition_coefficient(P_given, sample_weight=w)
    assert value == pytest.approx(shares @ (P**2).sum(axis=1), rel=1e-12)
    value = partition_entropy(P_given, sample_weight=w)
    assert value == pytest.approx(shares @ entr(P).sum(axis=1), rel=1e-12)
    d = ((X[:, np.newaxis] - centers) ** 2).sum(axis=2)
    expected = shares @ (P**2 * d).sum(axis=1) / separation(centers)
    value = xie_beni(X, P_given, centers, sample_weight=w)
    assert value == pytest.approx(expected, rel=1e-12)


def test_partition_coefficient_is_that_of_scikit_fuzzy(blobs):
    reason = "scikit-fuzzy is not installed"
    skfuzzy = pytest.importorskip("skfuzzy", reason=reason)
    result = skfuzzy.cmeans(blobs.T, 5, m=2, error=1e-6, maxiter=100, seed=0)
    u, fpc = result[1], result[-1]
    assert partition_coefficient(u.T) == pytest.approx(fpc, rel=1e-12)


# What must not matter


@pytest.mark.parametrize("format", FORMATS)
def test_sparse_formats(index, data, format):
    X, P, centers = data
    expected = call(index, data)
    given = csr_array(X).asformat(format), csr_array(P).asformat(format), centers
    assert call(index, given) == pytest.approx(expected, rel=1e-12)


def test_duplicates_and_explicit_zeros(index, data):
    X, P, centers = data
    expected = call(index, data)
    rows, columns = np.indices(P.shape).reshape(2, -1)
    # Every entry in two parts, the zeros among them, in reverse order.
    entries = np.concatenate([0.25 * P.ravel(), 0.75 * P.ravel()])[::-1]
    rows, columns = np.tile(rows, 2)[::-1], np.tile(columns, 2)[::-1]
    order = np.argsort(rows, kind="stable")
    indptr = np.arange(91) * 8
    given = csr_array((entries[order], columns[order], indptr), shape=P.shape)
    before = given.data.copy(), given.indices.copy()
    assert call(index, (X, given, centers)) == pytest.approx(expected, rel=1e-12)
    assert_array_equal(given.data, before[0])
    assert_array_equal(given.indices, before[1])


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_weight_is_a_repetition(index, data, container):
    X, P, centers = data
    times = np.random.default_rng(0).integers(0, 4, 90)
    rows = np.repeat(np.arange(90), times)
    given = container(X), container(P), centers
    weighted = call(index, given, sample_weight=times)
    assert weighted == pytest.approx(call(index, take(given, rows)), rel=1e-12)


def test_soft_silhouette_leaves_out_one_copy():
    # A cluster that is one sample of weight 2: the other copy is at distance 0.
    X, P = np.array([[0.0], [3.0], [5.0]]), np.eye(2)[[0, 1, 1]]
    once = soft_silhouette(X, P)
    assert once == pytest.approx((0 + (3 - 2) / 3 + (5 - 2) / 5) / 3, rel=1e-14)
    twice = soft_silhouette(X, P, sample_weight=[2, 1, 1])
    assert twice == pytest.approx((2 * 1 + 1 / 3 + 3 / 5) / 4, rel=1e-14)
    # Half a sample is left, at distance 0.
    more = soft_silhouette(X, P, sample_weight=[1.5, 1, 1])
    assert more == pytest.approx((1.5 * 1 + 1 / 3 + 3 / 5) / 3.5, rel=1e-14)
    # Weights of at most 1 leave out all of a sample, whatever their unit.
    halves = soft_silhouette(X, P, sample_weight=[0.5, 0.5, 0.5])
    assert halves == pytest.approx(once, rel=1e-14)


def test_the_unit_of_weights(index, data, weights):
    # At most 1, so that the silhouette leaves out all of a sample: it counts copies.
    weights = weights / weights.max()
    expected = call(index, data, sample_weight=weights)
    for scale in (1e-200,) if index is soft_silhouette else (1e-200, 3.0, 1e200):
        value = call(index, data, sample_weight=weights * scale)
        assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("container", CONTAINERS)
def test_samples_without_weight(index, data, weights, container):
    X, P, centers = data
    used = weights > 0
    X, P = X.copy(), P.copy()
    expected = call(index, take((X, P, centers), used), weights[used])
    X[~used], P[~used] = 1e200, 0.25
    given = container(X), container(P), centers
    value = call(index, given, sample_weight=weights)
    assert value == pytest.approx(expected, rel=1e-12)


def test_order_of_samples_and_clusters(index, data, weights, seed):
    X, P, centers = data
    expected = call(index, data, sample_weight=weights)
    rng = np.random.default_rng(seed)
    rows, clusters = rng.permutation(90), rng.permutation(4)
    moved = X, P[:, clusters], centers[clusters]
    value = call(index, take(moved, rows), weights[rows])
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("container", CONTAINERS)
def test_float32(index, data, container):
    X, P, centers = (part.astype(np.float32) for part in data)
    exact = X.astype(float), P.astype(float), centers.astype(float)
    value = call(index, (container(X), container(P), centers))
    assert type(value) is float
    # Computed in float64: nothing but the input is rounded.
    assert value == pytest.approx(call(index, exact), rel=1e-12)


@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, np.ndarray.tolist])
def test_layouts(index, data, make):
    expected = call(index, data)
    value = call(index, tuple(make(part) for part in data))
    assert value == pytest.approx(expected, rel=1e-12)


def test_integer_memberships(index):
    data = LINE.astype(int), HARD.astype(int), ENDS.astype(int)
    assert call(index, data) == call(index, (LINE, HARD, ENDS))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(index, data, library):
    frames = pytest.importorskip(library)
    framed = tuple(
        frames.DataFrame({f"c{j}": column for j, column in enumerate(part.T)})
        for part in data
    )
    value = call(index, framed)
    assert value == pytest.approx(call(index, data), rel=1e-12)


@pytest.mark.parametrize("container", CONTAINERS)
def test_nothing_is_written(index, data, weights, container):
    X, P, centers = container(data[0]), container(data[1]), data[2].copy()
    for part in (X, P, centers, weights):
        array = part.data if sparse.issparse(part) else part
        array.flags.writeable = False
    call(index, (X, P, centers), sample_weight=weights)
    assert_array_equal(X.toarray() if sparse.issparse(X) else X, data[0])


# Numbers that are far from 1


@pytest.mark.parametrize("offset", [1e4, 1e7])
@pytest.mark.parametrize("memberships", CONTAINERS)
@pytest.mark.parametrize("index", [xie_beni, soft_silhouette])
def test_an_offset(index, data, memberships, offset):
    X, P, centers = data
    # To multiples of 2^-20, to which an offset can be added without rounding.
    X, centers = np.round(X * 2**20) / 2**20, np.round(centers * 2**20) / 2**20
    expected = call(index, (X, P, centers))
    value = call(index, (X + offset, memberships(P), centers + offset))
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("memberships", CONTAINERS)
@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e100, 1e150])
@pytest.mark.parametrize("index", [xie_beni, soft_silhouette])
def test_scales(index, data, container, memberships, scale):
    X, P, centers = data
    value = call(index, (container(X * scale), memberships(P), centers * scale))
    assert value == pytest.approx(call(index, data), rel=1e-10)


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e300])
def test_soft_silhouette_of_any_scale(data, scale):
    X, P, _ = data
    expected = soft_silhouette(X * scale / scale, P)
    rel = 1e-2 if scale < 1e-308 else 1e-12
    assert soft_silhouette(X * scale, P) == pytest.approx(expected, rel=rel)


def test_xie_beni_out_of_scale(data):
    X, P, centers = data
    with pytest.raises(ValueError, match="scale of X must let"):
        xie_beni(X * 1e200, P, centers * 1e200)


@pytest.mark.parametrize("container", CONTAINERS)
def test_tight_clusters_far_apart(container):
    rng = np.random.default_rng(0)
    centers = 1e6 * rng.standard_normal((3, 5))
    labels = np.arange(60) % 3
    noise = np.round(1e-3 * rng.standard_normal((60, 5)) * 2**30) / 2**30
    centers = np.round(centers * 2**10) / 2**10
    X, P = centers[labels] + noise, np.eye(3)[labels]
    expected = (noise**2).sum(axis=1).mean() / separation(centers)
    value = xie_beni(X, container(P), centers)
    assert value == pytest.approx(expected, rel=1e-10, abs=0)
    # The third cluster is far: it takes no digits from the other two.
    X = np.where(labels[:, np.newaxis] == 2, 1e9, noise)
    X[labels == 1] += 2**-8
    near = np.flatnonzero(labels < 2)
    expected = silhouette_score(X[near] * 2**10, labels[near])
    w = np.where(labels < 2, 1.0, 1e-300)
    value = soft_silhouette(X, container(P), sample_weight=w)
    assert value == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("container", CONTAINERS)
def test_many_close_pairs(container):
    # Two tight groups far apart, each with two clusters: 320 000 close pairs.
    rng = np.random.default_rng(0)
    labels = np.arange(800) % 4
    X = (labels % 2)[:, np.newaxis] + 1e-5 * rng.standard_normal((800, 2))
    X[labels < 2] += 1e-5
    expected = silhouette_score(cdist(X, X), labels, metric="precomputed")
    value = soft_silhouette(container(X), np.eye(4)[labels])
    assert value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("container", CONTAINERS)
def test_coinciding_centers(container):
    assert xie_beni(LINE, container(SOFT), [[1.0], [1.0]]) == np.inf
    assert xie_beni(np.ones((4, 1)), container(SOFT), [[1.0], [1.0]]) == np.inf


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e150, -3e7])
def test_constant_samples_have_silhouette_zero(container, value):
    X = np.full((7, 3), value)
    P = np.random.default_rng(0).dirichlet(np.ones(3), 7)
    assert soft_silhouette(container(X), P) == 0


def test_one_cluster_that_has_members():
    assert soft_silhouette(LINE, np.eye(3)[[1, 1, 1, 1]]) == 0
    assert soft_silhouette(LINE[:1], [[0.5, 0.5]]) == 0


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("share", [1e-8, 1e-20, 1e-200])
def test_a_cluster_that_is_nearly_one_sample(container, share):
    # What the others have of the first cluster is lost beside 1, yet says where it is.
    X = np.array([[0.0], [1.0], [4.0]])
    P = np.array([[1.0, 0.0], [share, 1 - share], [share, 1 - share]])
    # From 0 the others of both clusters are as far: (1 + 4) / 2. From the other two
    # those of the first cluster are this far, those of the second 4 - 1.
    near, far = (1 + 3 * share) / (1 + share), (4 + 3 * share) / (1 + share)
    expected = (1 - 2 * share) * ((near - 3) / 3 + (far - 3) / far) / 3
    value = soft_silhouette(X, container(P))
    assert value == pytest.approx(expected, rel=1e-12)
    # A copy at 0 changes that: the first cluster is now next to it.
    P = np.array([[1.0, 0.0], [0.0, 1.0], [share, 1 - share]])
    value = soft_silhouette(X, container(P))
    expected = slow_soft_silhouette(X, P, np.ones(3))
    assert value == pytest.approx(expected, rel=1e-12)


def test_members_of_no_digits_are_none():
    X = np.array([[0.0], [1.0], [4.0]])
    P = np.array([[1.0, 0.0], [5e-324, 1.0], [5e-324, 1.0]])
    # The first sample is alone in its cluster: 0, (1 - 3) / 3 and (4 - 3) / 4.
    expected = (0 - 2 / 3 + 1 / 4) / 3
    assert soft_silhouette(X, P) == pytest.approx(expected, rel=1e-14)


# Memory


def peak_bytes(function, *arguments, **keywords):
    """Return the most memory that a call holds at a time."""
    tracemalloc.start()
    try:
        function(*arguments, **keywords)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("container", CONTAINERS)
def test_soft_silhouette_obeys_working_memory(container):
    X, P, _ = make_data(0, n_samples=3000)
    P = container(P)
    expected = soft_silhouette(X, P)
    with sklearn.config_context(working_memory=2):
        # Of 72 MB for all distances.
        assert peak_bytes(soft_silhouette, X, P) < 7e6
        # Of an offset not all of them are recomputed.
        assert peak_bytes(soft_silhouette, X + 1e7, P) < 7e6
        assert soft_silhouette(X, P) == pytest.approx(expected, rel=1e-12)


def test_sparse_memberships_stay_sparse():
    n_samples, n_clusters = 2000, 50_000
    rng = np.random.default_rng(0)
    X, centers = rng.random((n_samples, 2)), rng.random((n_clusters, 2))
    entries = np.full(2 * n_samples, 0.5), rng.integers(0, n_clusters, 2 * n_samples)
    P = csr_array((*entries, 2 * np.arange(n_samples + 1)), (n_samples, n_clusters))
    # Of 800 MB as an array.
    assert peak_bytes(partition_coefficient, P, normalized=True) < 10e6
    assert peak_bytes(partition_entropy, P) < 10e6
    assert peak_bytes(xie_beni, X, P, centers) < 40e6


# Bad input


def put(array, value):
    """Return a copy with another first entry."""
    array = array.astype(float)
    array.flat[0] = value
    return array


ON_THE_SIMPLEX = "P must have rows on the simplex"
BAD_P = {
    "negative": (put(HARD, -1) + [[0, 2], *3 * [[0, 0]]], ON_THE_SIMPLEX),
    "sum of 2": (2 * HARD, rf"{ON_THE_SIMPLEX}.*got \[2. 0.\] in row 0 \(4 such rows"),
    "sum of 1.00001": (put(HARD, 1.00001), ON_THE_SIMPLEX),
    "float32 sum of 1.001": (put(HARD, 1.001).astype(np.float32), ON_THE_SIMPLEX),
    "sum that overflows": (np.full((4, 2), 1.7e308), ON_THE_SIMPLEX),
    "row of zeros": (put(HARD, 0), ON_THE_SIMPLEX),
    "NaN": (put(HARD, np.nan), "P contains NaN"),
    "inf": (put(HARD, np.inf), "P contains infinity"),
    "1-D": (HARD[0], "Invalid P: Expected 2D array"),
    "3-D": (HARD[np.newaxis], "P.* dim 3"),
    "no samples": (HARD[:0], "Invalid P: Found array with 0 sample"),
    "no clusters": (HARD[:, :0], "Invalid P: Found array with 0 feature"),
    "strings": ([["a", "b"]], "Invalid P: could not convert string to float"),
    "complex": (HARD + 1j, "Invalid P: Complex data not supported"),
    "ragged": ([[1.0], [0.5, 0.5]], "Invalid P"),
    "scalar": (1.0, "'P' parameter"),
    "None": (None, "'P' parameter"),
}


@pytest.mark.parametrize("bad", BAD_P)
def test_bad_memberships(index, bad):
    P, text = BAD_P[bad]
    with pytest.raises(ValueError, match=text):
        call(index, (LINE, P, ENDS))


@pytest.mark.parametrize("bad", ["negative", "sum of 2", "row of zeros", "NaN", "inf"])
def test_bad_sparse_memberships(index, bad):
    P, text = BAD_P[bad]
    with pytest.raises(ValueError, match=text):
        call(index, (LINE, csr_array(P), ENDS))


@pytest.mark.parametrize("container", CONTAINERS)
def test_rounded_memberships(index, container):
    P = put(SOFT, 0.75 + 5e-7)
    expected = pytest.approx(call(index, (LINE, SOFT, ENDS)), abs=1e-5)
    assert call(index, (LINE, container(P), ENDS)) == expected
    P = put(SOFT, 0.75 + 1e-4).astype(np.float32)
    expected = pytest.approx(call(index, (LINE, SOFT, ENDS)), abs=1e-3)
    assert call(index, (LINE, container(P), ENDS)) == expected


def test_entropy_of_memberships_above_1_is_zero():
    assert partition_entropy([[1 + 1e-7, 0.0]]) == 0


@pytest.mark.parametrize(
    ("weights", "error", "text"),
    [
        ([1, 1, 1], ValueError, "sample_weight.shape"),
        ([[1], [1], [1], [1]], ValueError, "sample_weight|Sample weights"),
        ([1, 1, 1, -2], ValueError, "sample_weight must be finite .* got -2.0"),
        ([1, 1, 1, np.nan], ValueError, "sample_weight contains NaN"),
        ([0, 0, 0, 0], ValueError, "sample_weight"),
        (1.0, ValueError, "'sample_weight' parameter"),
        (csr_array([[1.0, 1, 1, 1]]), TypeError, "sample_weight"),
    ],
)
def test_bad_weights(index, weights, error, text):
    with pytest.raises(error, match=text):
        call(index, (LINE, SOFT, ENDS), sample_weight=weights)


@pytest.mark.parametrize("function", [*OF_P, soft_silhouette, xie_beni])
def test_one_cluster(function):
    one = np.ones((4, 1))
    if function in OF_P:
        assert function(one) == (function is partition_coefficient)
        with pytest.raises(ValueError, match=r"P .*two columns if normal.*\(4, 1\)"):
            function(one, normalized=True)
    else:
        with pytest.raises(ValueError, match=r"P must have at least two .*\(4, 1\)"):
            call(function, (LINE, one, ENDS[:1]))


@pytest.mark.parametrize("function", OF_P)
def test_bad_normalized(function):
    with pytest.raises(ValueError, match="'normalized' parameter"):
        function(SOFT, normalized="yes")


@pytest.mark.parametrize("index", [xie_beni, soft_silhouette])
@pytest.mark.parametrize(
    ("X", "text"),
    [
        (LINE[:3], r"P must have a row for each of the 3 samples.*\(4, 2\)"),
        (put(LINE, np.nan), "X contains NaN"),
        (LINE[:, 0], "Invalid X: Expected 2D array"),
        (None, "'X' parameter"),
    ],
)
def test_bad_samples(index, X, text):
    with pytest.raises(ValueError, match=text):
        call(index, (X, SOFT, ENDS))


@pytest.mark.parametrize(
    ("centers", "error", "text"),
    [
        (ENDS.T, ValueError, r"centers must have the shape .*\(2, 1\), got \(1, 2\)"),
        (ENDS[:1], ValueError, r"centers must have the shape .*\(2, 1\), got \(1, 1\)"),
        (put(ENDS, np.inf), ValueError, "centers contains infinity"),
        (ENDS[:, 0], ValueError, "Invalid centers: Expected 2D array"),
        (csr_array(ENDS), TypeError, "centers"),
        (None, ValueError, "'centers' parameter"),
        ([["a"], ["b"]], ValueError, "Invalid centers"),
        (1e200 * ENDS, ValueError, "scale of X must let"),
    ],
)
def test_bad_centers(centers, error, text):
    with pytest.raises(error, match=text):
        xie_beni(LINE, SOFT, centers)


# Scorers


@pytest.fixture
def blob_weights():
    """Return weights of the blobs, some of them 0."""
    return np.random.default_rng(0).integers(0, 4, 300) * 0.75


# KMeans does not center sparse data.
@pytest.mark.parametrize(
    ("container", "offset"), [(np.array, 1e6), *((c, 0) for c in CONTAINERS)]
)
def test_inertia_of_kmeans(blobs, blob_weights, container, offset):
    X = container(blobs + offset)
    for weights in (None, blob_weights):
        model = KMeans(5, random_state=0).fit(X, sample_weight=weights)
        score = neg_inertia_scorer(model, X, sample_weight=weights)
        assert type(score) is float
        assert score == pytest.approx(-model.inertia_, rel=1e-10)
        expected = model.score(X[:50])
        assert neg_inertia_scorer(model, X[:50]) == pytest.approx(expected, rel=1e-10)


def test_inertia_of_our_own(estimator_class, blobs, blob_weights, dtype):
    X = blobs.astype(dtype)
    model = estimator_class(5, random_state=0).fit(X, sample_weight=blob_weights)
    score = neg_inertia_scorer(model, X, sample_weight=blob_weights)
    assert score == -model.inertia_


def test_inertia_of_pipelines(blobs):
    scaled = StandardScaler().fit_transform(blobs)
    model = KMeans(5, random_state=0)
    expected = pytest.approx(-model.fit(scaled).inertia_, rel=1e-10)
    inner = Pipeline([("nothing", None), ("also", "passthrough"), ("model", model)])
    for pipeline in (
        make_pipeline(StandardScaler(), model),
        make_pipeline(StandardScaler(), inner),
        make_pipeline(make_pipeline(StandardScaler()), make_pipeline(inner)),
    ):
        assert neg_inertia_scorer(pipeline.fit(blobs), blobs) == expected


def test_coefficient_of_a_model(estimator_class, blobs, blob_weights):
    model = estimator_class(5, random_state=0).fit(blobs)
    P = model.predict_proba(blobs)
    assert partition_coefficient_scorer(model, blobs) == partition_coefficient(P)
    weighted = partition_coefficient_scorer(model, blobs, sample_weight=blob_weights)
    assert weighted == partition_coefficient(P, sample_weight=blob_weights)


def test_coefficient_of_others(blobs):
    sparse_model = EntmaxKMeans(5, sparse_output=True, random_state=0).fit(blobs)
    dense_model = EntmaxKMeans(5, random_state=0).fit(blobs)
    expected = partition_coefficient_scorer(dense_model, blobs)
    value = partition_coefficient_scorer(sparse_model, blobs)
    assert value == pytest.approx(expected, rel=1e-14)
    mixture = make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0))
    assert 1 / 3 < partition_coefficient_scorer(mixture.fit(blobs), blobs) < 1


@QUIET
def test_search_over_temperatures(blobs):
    model = make_pipeline(StandardScaler(), SoftKMeans(5, n_init=3, random_state=0))
    grid = {"softkmeans__temperature": [0, 0.05, 0.2, 0.8]}
    scoring = {"inertia": neg_inertia_scorer, "crisp": partition_coefficient_scorer}
    search = GridSearchCV(model, grid, scoring=scoring, refit="crisp", cv=3)
    results = search.fit(blobs).cv_results_
    # Both prefer k-means: memberships only become softer, centers only worse.
    assert (np.diff(results["mean_test_crisp"]) < 0).all()
    assert results["mean_test_crisp"][0] == 1
    assert results["mean_test_inertia"].argmax() < 3
    assert search.best_params_ == {"softkmeans__temperature": 0}


@pytest.mark.parametrize("model", [KMeans(random_state=0), SoftKMeans(random_state=0)])
def test_search_over_numbers_of_clusters(blobs, model):
    grid = {"n_clusters": [2, 3, 10]}
    search = GridSearchCV(model, grid, scoring=neg_inertia_scorer, cv=3).fit(blobs)
    assert (np.diff(search.cv_results_["mean_test_score"]) > 0).all()
    assert search.best_params_ == {"n_clusters": 10}
    assert search.score(blobs) == neg_inertia_scorer(search.best_estimator_, blobs)


@pytest.mark.parametrize("routing", [False, True])
def test_cross_validation(estimator_class, blobs, routing):
    scoring = {"inertia": neg_inertia_scorer, "crisp": partition_coefficient_scorer}
    model = make_pipeline(StandardScaler(), estimator_class(5, random_state=0))
    with sklearn.config_context(enable_metadata_routing=routing):
        # scikit-learn 1.6 cannot route its default, None.
        arguments = {"cv": 3, "return_estimator": True, "params": {}}
        results = cross_validate(model, blobs, scoring=scoring, **arguments)
    for fitted, fold in zip(results["estimator"], range(3), strict=True):
        X = blobs[100 * fold : 100 * (fold + 1)]
        score = results["test_inertia"][fold]
        assert score == neg_inertia_scorer(fitted, X)
        assert results["test_crisp"][fold] == partition_coefficient_scorer(fitted, X)


@pytest.mark.parametrize(
    ("scorer", "estimator", "text"),
    [
        (neg_inertia_scorer, GaussianMixture(2), "cluster_centers_, got a GaussianM"),
        (neg_inertia_scorer, make_pipeline(StandardScaler()), "centers_, got a Stand"),
        (partition_coefficient_scorer, KMeans(2), "predict_proba, got a KMeans"),
        (partition_coefficient_scorer, make_pipeline(KMeans(2)), "proba, got a Pipe"),
    ],
)
def test_estimators_without_what_is_needed(scorer, estimator, text):
    with pytest.raises(AttributeError, match=f"estimator must have .*{text}"):
        scorer(estimator.fit(LINE), LINE)


@pytest.mark.parametrize("scorer", [neg_inertia_scorer, partition_coefficient_scorer])
@pytest.mark.parametrize("pipeline", [False, True])
def test_unfitted_estimators(scorer, pipeline):
    model = SoftKMeans(2)
    model = make_pipeline(StandardScaler(), model) if pipeline else model
    with pytest.raises(NotFittedError):
        scorer(model, LINE)


def test_scorers_check_what_they_are_given(blobs):
    model = KMeans(5, random_state=0).fit(blobs)
    with pytest.raises(ValueError, match="X has 3 features, but KMeans is expecting 4"):
        neg_inertia_scorer(model, blobs[:, :3])
    with pytest.raises(ValueError, match="sample_weight"):
        neg_inertia_scorer(model, blobs, sample_weight=np.zeros(300))
