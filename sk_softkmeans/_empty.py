"""Empty clusters, and the samples that become their centers."""

import numpy as np

from sk_softkmeans._distances import row_keys
from sk_softkmeans._steps import Assignment

# A cluster is empty when its mass is at most this share of the smallest weight.
_EMPTY = 1e-12


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

    def _measure(block, _):
        distances[block.rows] = Assignment(block, centers, 0.0, assignment).nearest

    chunks.reduce(_measure, centers.origin, centers.dtype)
    distances[weights == 0] = -1
    if distances.max() <= 0:
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


def _farthest_distinct(X, distances, weights, count):
    """Return up to `count` distinct samples, the farthest first, and their weights.

    The weight is that of all copies of a sample. Ties are broken by content: neither
    repetition nor the order of the samples makes a difference.
    """
    wanted = count
    while True:
        cut = np.partition(distances, -wanted)[-wanted]
        far = np.flatnonzero(distances >= max(cut, 0))
        _, first, group = np.unique(
            row_keys(X, far), return_index=True, return_inverse=True
        )
        if len(first) >= count or wanted == len(distances):
            best = np.argsort(-distances[far[first]], kind="stable")[:count]
            return far[first[best]], np.bincount(group.ravel(), weights[far])[best]
        wanted = min(2 * wanted, len(distances))
