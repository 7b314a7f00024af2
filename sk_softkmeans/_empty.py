"""Empty clusters, and the samples that become their centers."""

import numpy as np

from sk_softkmeans._distances import any_differ, row_keys
from sk_softkmeans._steps import Assignment

# A cluster is empty when its mass is at most this share of the smallest weight.
_EMPTY = 1e-12
# Of a logit, and of what is summed to a center, in units of the rounding of the dtype.
_ROUNDINGS = 16


def relocate(chunks, stats, centers, temperature, assignment, takes=True, labels=None):
    """Give empty clusters the distinct samples that are farthest from all centers.

    Their weight is taken from the clusters that had it, as in KMeans, unless being
    shared is worth more to a sample than a center of its own. A cluster whose share has
    been learned keeps none.

    Parameters
    ----------
    chunks : Chunks
        The samples.
    stats : Stats
        What an E-step gave.
    centers : Centers
        The centers of that E-step.
    temperature : float
        The temperature of that E-step.
    assignment : object
        Its map.
    takes : bool, default=True
        Whether the clusters that had the weight are those of all centers.
    labels : ndarray of shape (n_samples,), default=None
        The clusters of the samples, where each has but one: those of the E-step, which
        on ties are others in a block of other rows.

    Returns
    -------
    empty : ndarray of int
        The clusters that were given a sample; `stats` is changed in place.
    """
    weights = chunks.sample_weight
    empty = np.flatnonzero(stats.mass <= _EMPTY * chunks.min_weight)
    if temperature and not assignment.nearest_first:
        empty = assignment.revive(empty)
    if not len(empty):
        return empty
    distances = np.empty(weights.shape[0])
    told_apart = _resolution(centers)

    def _measure(block, _):
        read = Assignment(block, centers, 0.0, assignment)
        near = read.nearest <= told_apart[read.labels]
        distances[block.rows] = np.where(near, 0, read.nearest)

    chunks.reduce(_measure, centers.origin, centers.dtype)
    distances[weights == 0] = 0
    if not distances.any():
        return empty[:0]
    copies = _farthest_distinct(chunks.X, distances, len(empty))
    far, w = np.array([rows[0] for rows in copies]), _totals(weights, copies)
    empty = empty[: len(far)]

    block = chunks.block_of(far, centers.origin, centers.dtype)
    read = Assignment(block, centers, temperature, assignment)
    x = block.dense()
    own = read.nearest > -temperature * assignment.uniform(len(centers))
    own &= takes
    if labels is None:
        taken = read.responsibilities() * w[:, np.newaxis]
    else:
        taken = _totals_by_label(weights, labels, copies, len(centers))
    taken[~own] = 0
    stats.mass -= taken.sum(axis=0)
    stats.sums -= taken.T @ x
    # What rounding leaves of a cluster that has lost all its samples is none.
    left = 8 * np.finfo(centers.dtype).eps * taken.sum(axis=0)
    stats.mass[stats.mass <= left] = 0
    spared = read.nearest + temperature * read.excess()
    stats.distortion -= (w * own) @ spared
    stats.mass[empty] = w
    stats.sums[empty] = w[:, np.newaxis] * x
    return empty


def _resolution(centers):
    """Return for each center the squared distance below which logits see no sample.

    Centers differ from the samples that they are the means of by rounding. A center
    that is put so near to another one gets none of its samples for certain, or all.
    """
    eps = float(np.finfo(centers.dtype).eps)
    return _ROUNDINGS * eps * (centers.norms + _ROUNDINGS * eps * centers.norms.max())


def _totals(weights, copies):
    """Return the weight of all copies of each sample."""
    return np.array([weights[rows].sum() for rows in copies])


def _totals_by_label(weights, labels, copies, n_clusters):
    """Return the weight of the copies of each sample, a row, that a label has."""
    totals = [np.bincount(labels[r], weights[r], n_clusters) for r in copies]
    return np.array(totals)


def _farthest_distinct(X, distances, count):
    """Return the rows of up to `count` distinct samples, the farthest first.

    Each is an array of the rows of all its copies. Ties are broken by content: neither
    repetition nor the order of the samples makes a difference. A distance of 0 or less
    does not count.
    """
    left, found = distances.copy(), {}
    while (largest := left.max()) > 0:
        rows = np.flatnonzero(left == largest)
        left[rows] = 0
        for key, copies in _distinct(X, rows):
            found.setdefault(key, []).append(copies)
        if len(found) >= count:
            break
    return [np.concatenate(copies) for copies in list(found.values())[:count]]


def _distinct(X, rows):
    """Give the content and the rows of distinct samples, ordered by content."""
    if not any_differ(X, rows, np.broadcast_to(rows[:1], rows.shape)):
        # So are copies of one sample, of which there may be many.
        yield bytes(row_keys(X, rows[:1])[0]), rows
        return
    keys, group = np.unique(row_keys(X, rows), return_inverse=True)
    by_group = np.argsort(group.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(group.ravel()))[:-1]
    for key, copies in zip(keys, np.split(rows[by_group], ends), strict=True):
        yield bytes(key), copies
