"""Initial centers: a name, a callable or an array becomes checked centers."""

import numpy as np
from scipy.sparse import issparse
from sklearn.cluster import kmeans_plusplus

from sk_softkmeans._distances import any_differ, row_keys, shift_columns
from sk_softkmeans._steps import Stats
from sk_softkmeans._validation import check_centers

# Above these numbers of samples, k-means++ sees a subsample.
_MAX_SAMPLES = 2**17
_MANY_CLUSTERS, _SAMPLES_PER_CLUSTER = 1000, 8


def make_seeding(init, chunks, moments, n_clusters):
    """Return ``draw(random_state)``, which gives centers of shape (k, d) in float64."""
    X = chunks.X
    if isinstance(init, np.ndarray):
        if init.shape == (n_clusters, X.shape[1]):
            return lambda random_state: init
        centers = _membership_means(init, chunks, moments)
        return lambda random_state: centers
    if callable(init):
        view = X
        if not issparse(X):
            view = X.view()
            view.flags.writeable = False

        def call(random_state):
            centers = init(view, n_clusters, random_state=random_state)
            return check_centers(centers, X, n_clusters)

        return call

    order = _canonical_order(chunks, moments)
    if len(order) < n_clusters:
        raise ValueError(
            f"n_samples={len(order)} with a positive sample_weight should be >= "
            f"n_clusters={n_clusters}."
        )
    weights = chunks.sample_weight[order]
    if init == "random":

        def choose(random_state):
            share = weights / weights.sum()
            chosen = random_state.choice(len(order), n_clusters, replace=False, p=share)
            return _rows(X, order[chosen])

        return choose

    limit = _MAX_SAMPLES
    if n_clusters >= _MANY_CLUSTERS:
        limit = min(limit, _SAMPLES_PER_CLUSTER * n_clusters)
    if len(order) <= limit:
        sample = _Sample(chunks, moments, order, weights)
        return lambda random_state: sample.draw(n_clusters, random_state)

    cumulated = np.cumsum(weights)

    def _draw(random_state):
        # Systematic sampling in canonical order: proportional to the weights.
        ticks = (np.arange(limit) + random_state.uniform()) / limit
        chosen = np.searchsorted(cumulated, ticks * cumulated[-1])
        chosen = order[np.minimum(chosen, len(order) - 1)]
        sample = _Sample(chunks, moments, chosen, np.ones(limit))
        return sample.draw(n_clusters, random_state)

    return _draw


class _Sample:
    """Rows for k-means++, copied, about the mean and in units of their extent."""

    def __init__(self, chunks, moments, rows, weights):
        self._X, self._indices, self._weights = chunks.X, rows, weights
        x = chunks.X[rows].astype(moments.dtype, copy=False)
        # A power of two: the digits of the rows do not depend on their units.
        scale = np.frexp(np.sqrt(moments.peak))[1]
        if issparse(x):
            x = shift_columns(x, moments.origin, chunks.shifted)
            x = x.astype(moments.dtype, copy=False)
            x.data = np.ldexp(x.data, -scale)
        else:
            x -= moments.origin
            np.ldexp(x, -scale, out=x)
        self._x = x

    def draw(self, n_clusters, random_state):
        """Return the rows that k-means++ chooses."""
        _, chosen = kmeans_plusplus(
            self._x, n_clusters, sample_weight=self._weights, random_state=random_state
        )
        return _rows(self._X, self._indices[chosen])


def _rows(X, indices):
    rows = X[indices]
    return (rows.toarray() if issparse(X) else rows).astype(np.float64)


def _membership_means(memberships, chunks, moments):
    """Return the means of X under given memberships (Inoue & Hara, Eq. 24)."""

    def sums(block, weights):
        shares = memberships[block.rows].T.copy()
        return Stats(*block.sums(shares, weights), value=0.0)

    total = chunks.reduce(sums, moments.origin, np.dtype(np.float64))
    if not (total.mass > 0).all():
        raise ValueError(
            "init must give weight to every cluster when it holds memberships, got "
            f"none in column {total.mass.argmin()}."
        )
    return moments.origin + total.sums / total.mass[:, np.newaxis]


def _canonical_order(chunks, moments):
    """Return the samples of positive weight, ordered by content and not by position.

    They are sorted along a fixed random direction, ties by the bytes of the row, so
    that neither a permutation nor the repetition of samples changes what is drawn.
    """
    direction = np.random.RandomState(0).standard_normal(chunks.X.shape[1])
    position = np.empty(chunks.X.shape[0])

    def project(block, _):
        position[block.rows] = block.project(direction)

    chunks.reduce(project, moments.origin, np.dtype(np.float64))
    order = np.argsort(position, kind="stable")
    order = order[chunks.sample_weight[order] > 0]
    position = position[order]
    tied = np.flatnonzero(np.diff(position) == 0)
    if not any_differ(chunks.X, order[tied], order[tied + 1]):
        return order
    tied = np.union1d(tied, tied + 1)
    content = row_keys(chunks.X, order[tied])
    by_content = np.argsort(content, kind="stable")
    by_both = by_content[np.argsort(position[tied][by_content], kind="stable")]
    order[tied] = order[tied][by_both]
    return order
