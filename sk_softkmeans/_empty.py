"""Empty clusters, and the samples that become their centers."""

import numpy as np

from sk_softkmeans._distances import any_differ, row_keys
from sk_softkmeans._steps import Assignment

# A cluster is empty when its mass is at most this share of the smallest weight.
_EMPTY = 1e-12
# Of a logit, and of what is summed to a center, in units of the rounding of the dtype.
_ROUNDINGS = 16


def relocate(chunks, stats, centers, temperature, assignment, takes=True):
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
    far, w = _farthest_distinct(chunks.X, distances, weights, len(empty))
    empty = empty[: len(far)]

    block = chunks.block_of(far, centers.origin, centers.dtype)
    read = Assignment(block, centers, temperature, assignment)
    x = block.dense()
    own = read.nearest > -temperature * assignment.uniform(len(centers))
    own &= takes
    taken = read.responsibilities() * (w * own)[:, np.newaxis]
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


def _farthest_distinct(X, distances, weights, count):
    """Return up to `count` distinct samples, the farthest first, and their weights.

    The weight is that of all copies of a sample. Ties are broken by content: neither
    repetition nor the order of the samples makes a difference. A distance of 0 or less
    does not count.
    """
    left, found = distances.copy(), {}
    while (largest := left.max()) > 0:
        rows = np.flatnonzero(left == largest)
        left[rows] = 0
        for key, row, weight in _distinct(X, rows, weights):
            first, before = found.get(key, (row, 0.0))
            found[key] = first, before + weight
        if len(found) >= count:
            break
    rows, weights = zip(*list(found.values())[:count], strict=True)
    return np.array(rows), np.array(weights)


def _distinct(X, rows, weights):
    """Give content, row and weight of distinct samples, ordered by content."""
    if not any_differ(X, rows, np.broadcast_to(rows[:1], rows.shape)):
        # So are copies of one sample, of which there may be many.
        yield bytes(row_keys(X, rows[:1])[0]), rows[0], weights[rows].sum()
        return
    keys, first, group = np.unique(
        row_keys(X, rows), return_index=True, return_inverse=True
    )
    totals = np.bincount(group.ravel(), weights[rows])
    for key, row, weight in zip(keys, rows[first], totals, strict=True):
        yield bytes(key), row, weight
