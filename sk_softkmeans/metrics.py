"""Indices of soft partitions, and scorers for searches over estimators."""

import numpy as np
from scipy.sparse import csc_array, csr_array, diags_array, issparse
from scipy.spatial import KDTree
from scipy.special import entr
from sklearn.metrics import pairwise_distances_chunked
from sklearn.pipeline import Pipeline
from sklearn.utils.extmath import row_norms
from sklearn.utils.validation import check_is_fitted

from sk_softkmeans._blas import limited
from sk_softkmeans._chunks import for_each_chunk, in_chunks
from sk_softkmeans._distances import CLOSE, batches, full_columns, shift_columns
from sk_softkmeans._reading import read, read_distances
from sk_softkmeans._validation import (
    check_data,
    check_matching_centers,
    check_memberships,
    check_weights,
    validated,
)

__all__ = [
    "neg_inertia_scorer",
    "partition_coefficient",
    "partition_coefficient_scorer",
    "partition_entropy",
    "soft_silhouette",
    "xie_beni",
]

_MATRIX = ["array-like", "sparse matrix"]
_WEIGHTS = ["array-like", None]


@validated({"P": _MATRIX, "sample_weight": _WEIGHTS, "normalized": ["boolean"]})
def partition_coefficient(P, *, sample_weight=None, normalized=False):
    r"""Return the partition coefficient: how near to 0 and 1 memberships are.

    .. math:: F = \frac{1}{W} \sum_i w_i \sum_k p_{ik}^2,
        \qquad W = \sum_i w_i

    It is 1 where every sample belongs to one cluster and 1 / K where all K clusters
    share every sample equally. Higher is crisper, which need not be better: it sees no
    sample.

    Parameters
    ----------
    P : {array-like, sparse matrix} of shape (n_samples, n_clusters)
        The memberships, rows that sum to 1.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the samples; all 1 if None.
    normalized : bool, default=False
        Whether to return (K F - 1) / (K - 1), which is 0 instead of 1 / K at its
        lowest: the modified partition coefficient.

    Returns
    -------
    coefficient : float
        In [1 / K, 1]; if `normalized`, in [0, 1].

    Raises
    ------
    ValueError
        If `P` does not hold memberships, or a single column if `normalized`, or
        `sample_weight` is out of range.
    TypeError
        If `sample_weight` is sparse.

    See Also
    --------
    partition_entropy : The same with the entropy.

    References
    ----------
    J. C. Bezdek, "Cluster validity with fuzzy sets", Journal of Cybernetics 3(3),
    1973, :doi:`10.1080/01969727308546047`.

    R. N. Dave, "Validating fuzzy partitions obtained through c-shells clustering",
    Pattern Recognition Letters 17(6), 1996.

    Examples
    --------
    >>> from sk_softkmeans.metrics import partition_coefficient
    >>> P = [[1.0, 0.0], [0.5, 0.5]]
    >>> partition_coefficient(P)
    0.75
    >>> partition_coefficient(P, normalized=True)
    0.5
    """
    P = check_memberships(P)
    weights, _ = check_weights(sample_weight, P)
    least = 1 / P.shape[1]
    # Memberships sum to 1 up to rounding only.
    coefficient = _clip(_mean(_row_sums(np.square, P), weights), least, 1.0)
    if not normalized:
        return coefficient
    _check_several_clusters(P, " if normalized")
    return (coefficient - least) / (1 - least)


@validated({"P": _MATRIX, "sample_weight": _WEIGHTS, "normalized": ["boolean"]})
def partition_entropy(P, *, sample_weight=None, normalized=False):
    r"""Return the partition entropy: how far from 0 and 1 memberships are.

    .. math:: H = -\frac{1}{W} \sum_i w_i \sum_k p_{ik} \log p_{ik},
        \qquad W = \sum_i w_i

    with 0 log 0 = 0. It is 0 where every sample belongs to one cluster and log K where
    all K clusters share every sample equally. Lower is crisper, which need not be
    better: it sees no sample.

    Parameters
    ----------
    P : {array-like, sparse matrix} of shape (n_samples, n_clusters)
        The memberships, rows that sum to 1.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the samples; all 1 if None.
    normalized : bool, default=False
        Whether to divide by log K.

    Returns
    -------
    entropy : float
        In [0, log K], in natural units (nats); if `normalized`, in [0, 1].

    Raises
    ------
    ValueError
        If `P` does not hold memberships, or a single column if `normalized`, or
        `sample_weight` is out of range.
    TypeError
        If `sample_weight` is sparse.

    See Also
    --------
    partition_coefficient : The same with squares.

    References
    ----------
    J. C. Bezdek, "Cluster validity with fuzzy sets", Journal of Cybernetics 3(3),
    1973, :doi:`10.1080/01969727308546047`.

    Examples
    --------
    >>> from sk_softkmeans.metrics import partition_entropy
    >>> P = [[1.0, 0.0], [0.5, 0.5]]
    >>> round(partition_entropy(P), 3)
    0.347
    >>> partition_entropy(P, normalized=True)
    0.5
    """
    P = check_memberships(P)
    weights, _ = check_weights(sample_weight, P)
    largest = float(np.log(P.shape[1]))
    # Memberships sum to 1 up to rounding only.
    entropy = _clip(_mean(_row_sums(entr, P), weights), 0.0, largest)
    if not normalized:
        return entropy
    _check_several_clusters(P, " if normalized")
    return entropy / largest


@validated(
    {
        "X": _MATRIX,
        "P": _MATRIX,
        "centers": ["array-like"],
        "sample_weight": _WEIGHTS,
    }
)
def xie_beni(X, P, centers, *, sample_weight=None):
    r"""Return the Xie-Beni index: compactness over separation, lower is better.

    .. math:: \frac{\sum_i w_i \sum_k p_{ik}^2 \|x_i - c_k\|^2}
        {W \min_{k \neq l} \|c_k - c_l\|^2},
        \qquad W = \sum_i w_i

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples.
    P : {array-like, sparse matrix} of shape (n_samples, n_clusters)
        The memberships, rows that sum to 1. Of a sparse matrix only the distances
        where it has an entry are computed.
    centers : array-like of shape (n_clusters, n_features)
        The centers, such as ``cluster_centers_``.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the samples; all 1 if None.

    Returns
    -------
    index : float
        Not negative; infinite if two centers coincide, or the square of their distance
        underflows.

    Raises
    ------
    ValueError
        If `P` does not hold memberships or a single column, the shapes do not match,
        the squares of `X` or `centers` overflow, or `sample_weight` is out of range.
    TypeError
        If `centers` or `sample_weight` are sparse.

    References
    ----------
    X. L. Xie and G. Beni, "A validity measure for fuzzy clustering", IEEE Transactions
    on Pattern Analysis and Machine Intelligence 13(8), 1991, :doi:`10.1109/34.85677`.

    Examples
    --------
    >>> from sk_softkmeans.metrics import xie_beni
    >>> X = [[0.0], [2.0], [10.0], [12.0]]
    >>> P = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> xie_beni(X, P, [[1.0], [11.0]])
    0.01
    """
    X, P, weights, _ = _check_samples(X, P, sample_weight)
    _check_several_clusters(P)
    centers = check_matching_centers(centers, P.shape[1], X.shape[1])
    shares = weights / weights.sum()

    def _consume(rows, weights, distances):
        p = P[rows].astype(np.float64)
        if not issparse(p):
            return weights @ np.einsum("ik,ik,ik->i", p, p, distances.to_all())
        p = p.tocoo()
        return weights[p.row] @ (p.data**2 * distances.of_pairs(p.row, p.col))

    def _compactness(chunks):
        return float(read_distances(chunks, centers, _consume))

    compactness = in_chunks(X, shares, len(centers), _compactness)
    separation = float(KDTree(centers).query(centers, k=2)[0][:, 1].min() ** 2)
    return compactness / separation if separation else np.inf


@validated({"X": _MATRIX, "P": _MATRIX, "sample_weight": _WEIGHTS})
def soft_silhouette(X, P, *, sample_weight=None):
    r"""Return the soft silhouette: the silhouette of memberships, higher is better.

    .. math:: S = \frac{1}{W} \sum_i w_i \sum_k p_{ik}
        \frac{b_{ik} - a_{ik}}{\max(a_{ik}, b_{ik})},
        \qquad
        a_{ik} = \frac{\sum_{j \neq i} w_j p_{jk} \|x_i - x_j\|}
        {\sum_{j \neq i} w_j p_{jk}},
        \qquad
        b_{ik} = \min_{l \neq k} a_{il},
        \qquad W = \sum_i w_i

    For memberships that are all 0 or 1 it is scikit-learn's ``silhouette_score``. A
    cluster to which no other sample belongs has the term 0, as a cluster of one sample
    has there, and is passed over by the minimum.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples.
    P : {array-like, sparse matrix} of shape (n_samples, n_clusters)
        The memberships, rows that sum to 1.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the samples; all 1 if None. A weight of 2 is the same as having
        the sample twice: a sample leaves out one copy of itself from both sums over j,
        that is a weight of 1, and stays there with the rest of its weight, at distance
        0. A sample of a weight below 1 leaves out all of it.

    Returns
    -------
    silhouette : float
        In [-1, 1].

    Raises
    ------
    ValueError
        If `P` does not hold memberships or a single column, the shapes do not match or
        `sample_weight` is out of range.
    TypeError
        If `sample_weight` is sparse.

    See Also
    --------
    sklearn.metrics.silhouette_score : The same for labels.

    Notes
    -----
    All pairs of samples are compared, a block of rows at a time: the time grows with
    the square of n_samples, the memory does not. A block of distances has the size of
    ``working_memory`` in scikit-learn's configuration, and a few are held. BLAS has one
    thread, so that the value does not depend on the number of threads.

    References
    ----------
    G. Vardakas, I. Papakostas and A. Likas, "Deep clustering using the soft silhouette
    score: towards compact and well-separated clusters", :arxiv:`2402.00608`.

    P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation
    of cluster analysis", Journal of Computational and Applied Mathematics 20, 1987,
    :doi:`10.1016/0377-0427(87)90125-7`.

    Examples
    --------
    >>> from sk_softkmeans.metrics import soft_silhouette
    >>> X = [[0.0], [2.0], [10.0], [12.0]]
    >>> P = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    >>> round(soft_silhouette(X, P), 3)
    0.798
    >>> P = [[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.0, 1.0]]
    >>> round(soft_silhouette(X, P), 3)
    0.405
    """
    X, P, weights, unit = _check_samples(X, P, sample_weight)
    _check_several_clusters(P)
    X = _in_own_unit(X)
    # About their mean few samples are close in relation to their norms.
    centered = _centered(X)
    norms = row_norms(centered)
    members = _Members(P, weights, 1 / unit)

    def _silhouettes(distances, start):
        rows = slice(start, start + len(distances))
        _recompute_close(distances, rows, X, norms)
        s = _compare(members.mean_distances(distances, rows))
        if issparse(P):
            return P[rows].multiply(s).sum(axis=1)
        return np.einsum("ik,ik->i", P[rows], s)

    def _all(_):
        return list(pairwise_distances_chunked(centered, reduce_func=_silhouettes))

    parts = limited(_all)
    return _mean(np.concatenate(parts), weights)


class _Members:
    """The weighted members of clusters, of which each sample leaves out one copy."""

    def __init__(self, P, weights, copy):
        self._P, self._shares = P, _weighted(P, weights)
        self._left_out = np.minimum(weights, copy)
        self._kept = weights - self._left_out
        self._mass = self._shares.sum(axis=0)
        if issparse(P):
            # It is read by columns.
            self._shares = csc_array(self._shares)

    def mean_distances(self, distances, rows):
        """Return the mean distances from samples to the members of each cluster.

        They are infinite where a cluster has no other member.
        """
        others = self._others(rows)
        means = np.full(others.shape, np.inf)
        # Quotients of numbers that are not normal have no digits.
        exist = others >= np.finfo(np.float64).tiny
        return np.divide(distances @ self._shares, others, out=means, where=exist)

    def _others(self, rows):
        """Return the mass of each cluster but for one copy of each of some samples."""
        others = self._mass - _weighted(self._P[rows], self._left_out[rows])
        samples = np.arange(len(self._kept))
        # Where a sample is most of a cluster the difference would be rounding.
        for i, k in zip(*np.nonzero(others < self._mass / 2), strict=True):
            sample = rows.start + i
            rest = (samples != sample) @ self._shares[:, [k]]
            others[i, k] = rest[0] + self._kept[sample] * self._P[sample, k]
        return others


def _compare(means):
    """Return (b - a) / max(a, b) for each mean distance a and b the least of others.

    It is 0 where one of them is infinite or both are 0.
    """
    nearest, second = np.partition(means, 1, axis=1)[:, :2].T[..., np.newaxis]
    least_other = np.where(means == nearest, second, nearest)
    larger = np.maximum(means, least_other)
    counts = (larger > 0) & (larger < np.inf)
    s = np.subtract(least_other, means, out=np.zeros_like(means), where=counts)
    return np.divide(s, larger, out=s, where=counts)


def _in_own_unit(X):
    """Return float64 X over a power of two, so that no square overflows."""
    exponent = np.frexp(np.float64(max(X.max(), -X.min())))[1]
    if issparse(X):
        data = np.ldexp(X.data.astype(np.float64), -exponent)
        return csr_array((data, X.indices, X.indptr), shape=X.shape)
    return np.ldexp(X.astype(np.float64), -exponent)


def _centered(X):
    """Return X about its mean, sparse X in its full columns only."""
    mean = X.mean(axis=0)
    if issparse(X):
        return shift_columns(X, mean, full_columns(X, np.ones(X.shape[0])))
    return X - mean


def _recompute_close(distances, rows, X, norms):
    """Write small distances as norms of differences: products lose their digits."""
    limit = CLOSE * (norms[rows, np.newaxis] + norms)
    i, j = np.nonzero(distances < limit)
    for batch in batches(len(i), X.shape[1]):
        pairs = i[batch], j[batch]
        distances[pairs] = row_norms(X[rows.start + pairs[0]] - X[pairs[1]])


def neg_inertia_scorer(estimator, X, y=None, sample_weight=None):
    """Return minus the inertia, the score of KMeans, for use as ``scoring``.

    It is the weighted sum of squared distances to the nearest center. As a rule the
    score grows with the number of clusters; it says nothing of how soft memberships
    are.

    Parameters
    ----------
    estimator : object
        A fitted clusterer with ``cluster_centers_``, or a pipeline that ends with one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples, as the estimator takes them; a pipeline transforms them.
    y : Ignored
        Not used, present for API consistency by convention.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the samples; all 1 if None.

    Returns
    -------
    score : float
        Not positive; in squared units of what the clusterer sees.

    Raises
    ------
    AttributeError
        If the estimator has no ``cluster_centers_``.
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If `X` or `sample_weight` are not valid data.

    See Also
    --------
    SoftKMeans.score : The default score, which has its best temperature inside.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_validate
    >>> from sk_softkmeans import SoftKMeans
    >>> from sk_softkmeans.metrics import neg_inertia_scorer
    >>> X = load_iris().data
    >>> model = SoftKMeans(n_clusters=3, random_state=0).fit(X)
    >>> round(neg_inertia_scorer(model, X) + model.inertia_, 9)
    0.0
    >>> scoring = {"inertia": neg_inertia_scorer}
    >>> sorted(cross_validate(model, X, scoring=scoring))
    ['fit_time', 'score_time', 'test_inertia']
    """
    while isinstance(estimator, Pipeline):
        X, estimator = _to_last_step(estimator, X)
    check_is_fitted(estimator)
    _check_attribute(estimator, "cluster_centers_")
    centers = estimator.cluster_centers_
    X = check_data(X, estimator, reset=False)
    weights, unit = check_weights(sample_weight, X)

    def _consume(_, weights, read):
        return weights @ read.nearest

    # As precisely as inertia_ of this package.
    temperature = getattr(estimator, "temperature_", 0.0)

    def _inertia(chunks):
        return float(read(chunks, centers, temperature, None, _consume))

    return -in_chunks(X, weights, len(centers), _inertia) * unit


def partition_coefficient_scorer(estimator, X, y=None, sample_weight=None):
    """Return the partition coefficient of predictions, for use as ``scoring``.

    Parameters
    ----------
    estimator : object
        A fitted estimator with ``predict_proba``, such as `SoftKMeans`, a Gaussian
        mixture, or a pipeline that ends with one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples, as the estimator takes them.
    y : Ignored
        Not used, present for API consistency by convention.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the samples; all 1 if None.

    Returns
    -------
    score : float
        What `partition_coefficient` gives for ``predict_proba(X)``.

    Raises
    ------
    AttributeError
        If the estimator has no ``predict_proba``.
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If `X` or `sample_weight` are not valid data.

    See Also
    --------
    partition_coefficient : The index itself.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_softkmeans import SoftKMeans
    >>> from sk_softkmeans.metrics import partition_coefficient_scorer
    >>> X = load_iris().data
    >>> hard = SoftKMeans(n_clusters=3, temperature=0, random_state=0).fit(X)
    >>> partition_coefficient_scorer(hard, X)
    1.0
    """
    _check_attribute(estimator, "predict_proba")
    return partition_coefficient(
        estimator.predict_proba(X), sample_weight=sample_weight
    )


def _to_last_step(pipeline, X):
    """Return X as the last step of a fitted pipeline sees it, and that step."""
    *transformers, (_, last) = pipeline.steps
    for _, transformer in transformers:
        if transformer is not None and transformer != "passthrough":
            X = transformer.transform(X)
    return X, last


def _check_attribute(estimator, name):
    if not hasattr(estimator, name):
        raise AttributeError(
            f"estimator must have {name}, got a {type(estimator).__name__}."
        )


def _check_samples(X, P, sample_weight):
    """Return checked data, memberships and weights, without samples of weight 0.

    The last one is the unit of the weights.
    """
    X, P = check_data(X), check_memberships(P)
    if P.shape[0] != X.shape[0]:
        raise ValueError(
            f"P must have a row for each of the {X.shape[0]} samples of X, got the "
            f"shape {P.shape}."
        )
    weights, unit = check_weights(sample_weight, X)
    used = weights > 0
    if not used.all():
        X, P, weights = X[used], P[used], weights[used]
    return X, P, weights, unit


def _check_several_clusters(P, condition=""):
    if P.shape[1] == 1:
        raise ValueError(
            f"P must have at least two columns{condition}, got the shape {P.shape}."
        )


def _row_sums(function, P):
    """Return the sums over the rows of P of a function that is 0 at 0, in float64."""
    sums = np.empty(P.shape[0])

    def _work(rows):
        p = P[rows].astype(np.float64)
        if issparse(p):
            p.data = function(p.data)
        else:
            p = function(p)
        sums[rows] = p.sum(axis=1)

    for_each_chunk(P, _work)
    return sums


def _weighted(P, weights):
    """Return P with each row times its weight, in float64."""
    return diags_array(weights, format="csr") @ P


def _clip(value, least, largest):
    return min(max(value, least), largest)


def _mean(values, weights):
    return float((weights * values).sum() / weights.sum())
