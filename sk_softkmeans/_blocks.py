"""Samples in blocks that share a list of candidates: the clusters that may matter.

The samples of a block are close together, so that what is far from one of them is far
from all. Their logits are one small matrix product per block, with a list of centers
instead of all of them.
"""

from typing import NamedTuple

import numpy as np

# The sizes of a block, and the bytes of the largest array for those that are worked on
# at once.
# Small parts lose to threads that wait for the interpreter.
_MIN_SIZE, _MAX_SIZE, _PART_BYTES = 8, 64, 2**21
# What a sample costs in a block beside its candidates, in units of one of these.
OVERHEAD = 16


def block_size(n_samples, n_clusters):
    """Return a power of two that a mean cluster fills."""
    size = 1 << max(n_samples // n_clusters, 1).bit_length() - 1
    return min(max(size, _MIN_SIZE), _MAX_SIZE)


class Blocks:
    """The samples in blocks of one size, the samples of a block of one label.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        The labels.
    n_clusters : int
        Their number.
    position : ndarray of shape (n_samples,), default=None
        What the samples of a label are ordered by.

    Attributes
    ----------
    size : int
        The number of rows of a block. Those of a block that is not full are repeated.
    labels : ndarray of shape (n_blocks,)
        The labels of the blocks.
    """

    def __init__(self, labels, n_clusters, position=None):
        self.size = block_size(len(labels), n_clusters)
        # Radix sort, as long as there are not more than 2^16 clusters.
        small = labels.astype(np.min_scalar_type(n_clusters))
        if position is None:
            self._order = np.argsort(small, kind="stable")
        else:
            self._order = np.lexsort((position, small))
        counts = np.bincount(labels, minlength=n_clusters)
        n_blocks = -(-counts // self.size)
        ends, last = np.cumsum(counts), np.cumsum(n_blocks)
        self.labels = np.repeat(np.arange(n_clusters), n_blocks)
        number = np.arange(len(self.labels)) - np.repeat(last - n_blocks, n_blocks)
        self._starts = (ends - counts)[self.labels] + self.size * number
        self._stops = ends[self.labels]

    def __len__(self):
        return len(self.labels)

    def rows(self, some):
        """Return the rows of some blocks, and which of them are no repetition."""
        position = self._starts[some, np.newaxis] + np.arange(self.size)
        stops = self._stops[some, np.newaxis]
        rows = self._order[np.minimum(position, stops - 1)]
        return rows.ravel(), (position < stops).ravel()

    def at_once(self, n_candidates, centers):
        """Return how many blocks with so many candidates are worked on at once."""
        width = centers.lifted.shape[1]
        largest = max(self.size * max(n_candidates, width), n_candidates * width)
        return max(_PART_BYTES // (largest * centers.dtype.itemsize), 1)


class Candidates(NamedTuple):
    """Blocks with their lists.

    `parts` are sets of blocks that together are all. ``lists(part)`` are the lists of
    one of them, an array of shape (n_blocks, length) of ascending clusters. Some may be
    filled at the end with n_clusters, which is none, and has the logit `lowest`.
    """

    blocks: Blocks
    parts: list
    lists: object
    lowest: float = 0.0

    def reduce(self, chunks, centers, work):
        """Return the sum of ``work(block, weights, z, lists, inertia)`` over all parts.

        z are the logits less the largest ones, with a row for each place in the lists,
        and `inertia` is sum w d_min.
        """
        none = np.zeros_like(centers.lifted[:1])
        none[:, -1] = self.lowest
        lifted = np.concatenate((centers.lifted, none))

        def _work(block, part):
            rows, counts = self.blocks.rows(part)
            weights = chunks.sample_weight[rows] * counts
            lists = self.lists(part)
            block.gather(rows)
            z = block.logits_by_list(lifted, lists)
            top = z.max(axis=0)
            inertia = max(weights @ (block.norms() - top), 0.0)
            z -= top
            return work(block, weights, z, lists, inertia)

        return chunks.reduce_parts(_work, self.parts, centers.origin, centers.dtype)


def nearest_listed(z, lists):
    """Return the first cluster of each column's list whose logit is the largest, 0."""
    is_nearest = z == 0
    if np.count_nonzero(is_nearest) > z.shape[1]:
        place = is_nearest.argmax(axis=0)
    else:
        # Faster where there is but one.
        places = np.arange(len(z), dtype=np.float32)
        place = (places @ is_nearest.astype(np.float32)).astype(np.intp)
    of_blocks = place.reshape(len(lists), -1)
    return np.take_along_axis(lists, of_blocks, axis=1).ravel().astype(np.int32)
