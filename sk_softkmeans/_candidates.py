"""The steps of truncated memberships, and the lists in which they find candidates.

Samples with the same nearest center look for their active clusters in one list, that of
the center's neighbours: an iteration costs n_samples x n_neighbors, whatever the number
of clusters.
"""

import numpy as np

from sk_softkmeans._blocks import (
    OVERHEAD,
    Blocks,
    Candidates,
    block_size,
    nearest_listed,
)
from sk_softkmeans._chunks import even_slices
from sk_softkmeans._distances import squared_distances
from sk_softkmeans._steps import DenseStep, HardStep

# The distances between centers that an iteration renews: all up to 1024 clusters.
_RENEWED = 2**20
# The number of centers whose neighbours are looked for at once.
_BATCH = 256
# From so many clusters on the largest logits are found one after the other.
_MANY = 64


def lists_pay(n_samples, n_clusters, n_candidates):
    """Return whether lists with so many candidates cost less than all centers.

    As a rule one block of each cluster is half empty.
    """
    n_rows = n_samples + n_clusters * block_size(n_samples, n_clusters) // 2
    cost = n_rows * (n_candidates + OVERHEAD) + 3 * min(n_clusters**2, _RENEWED)
    return cost < n_samples * n_clusters


class Neighbours:
    """For each center the list of those nearest to it, itself among them.

    In each iteration lists are made anew: with many clusters only those of the centers
    that have moved most since theirs were made, or that such a center has come near to.
    Of centers that have left their neighbourhood, as empty ones do, all are.

    Parameters
    ----------
    length : int
        The length of a list.
    """

    def __init__(self, length):
        self.length = length
        self._lists = None

    def of(self, chunks, centers):
        """Return the lists of ascending indices, of shape (n_clusters, length)."""
        points, n_clusters = centers.points, len(centers)
        n_renewed = max(_RENEWED // n_clusters, 1)
        if self._lists is None:
            self._lists = np.empty((n_clusters, self.length), dtype=np.int32)
            self._at, self._urgency = points.copy(), np.zeros(n_clusters)
            self._radii = np.zeros(n_clusters, points.dtype)
        if n_renewed >= n_clusters or not self._radii.any():
            self._renew(chunks, centers, np.arange(n_clusters))
            return self._lists
        moved = ((points - self._at) ** 2).sum(axis=1)
        jumped = moved > self._radii
        urgency = np.maximum(moved, self._urgency)
        urgency[jumped] = np.inf
        first = np.argsort(-urgency, kind="stable")
        first = first[: max(n_renewed, np.count_nonzero(jumped))]
        first = first[urgency[first] > 0]
        self._renew(chunks, centers, first)
        clusters, others = self._missing(first)
        np.maximum.at(self._urgency, others, moved[clusters])
        # Nobody would look for these where they are now.
        self._renew(chunks, centers, np.unique(others[jumped[clusters]]))
        return self._lists

    def _renew(self, chunks, centers, clusters):
        """Make the lists of some clusters anew."""

        def _work(block, part):
            some = clusters[part]
            distances = squared_distances(centers, centers.points[some])
            distances[np.arange(len(some)), some] = -1
            last = self.length - 1
            lists = np.argpartition(distances, last, axis=1)[:, : self.length]
            lists.sort(axis=1)
            self._lists[some], self._at[some] = lists, centers.points[some]
            near = np.take_along_axis(distances, lists, axis=1)
            self._radii[some], self._urgency[some] = near.max(axis=1), 0

        if len(clusters):
            parts = even_slices(len(clusters), _BATCH)
            chunks.reduce_parts(_work, parts, centers.origin, centers.dtype)

    def _missing(self, clusters):
        """Return pairs of one of these clusters and one that fails to list it.

        Only those that it lists itself are looked at.
        """
        ours, others = np.repeat(clusters, self.length), self._lists[clusters].ravel()
        n_clusters = len(self._lists)
        # These ascend: lists do, and follow each other.
        listed = np.arange(n_clusters)[:, np.newaxis] * n_clusters + self._lists
        wanted = others.astype(np.int64) * n_clusters + ours
        at = np.searchsorted(listed.ravel(), wanted)
        missing = listed.ravel()[np.minimum(at, listed.size - 1)] != wanted
        ours, others = ours[missing], others[missing]
        near = ((self._at[ours] - self._at[others]) ** 2).sum(axis=1)
        near = near < self._radii[others]
        return ours[near], others[near]


class NearestStep(HardStep):
    """Every sample to its nearest center at a temperature: the only active cluster.

    Its parameters are those of `TruncatedStep`.
    """

    def __init__(self, assignment, with_distortion, squares, pruning, *, n_samples):
        super().__init__(n_samples, squares, pruning)
        self._assignment = assignment

    def reduce(self, chunks, centers, temperature):
        """Return the statistics of all samples."""
        stats = super().reduce(chunks, centers, temperature)
        uniform = self._assignment.uniform(len(centers))
        stats.value -= temperature * uniform * stats.mass.sum()
        return stats


class TruncatedStep(DenseStep):
    """Every sample shared between its active clusters, which are the nearest.

    All centers are candidates as long as there are no lists of `neighbours`.

    Parameters
    ----------
    assignment : Truncated
        The map.
    with_distortion : bool
        Whether to give the distortion as well.
    squares, pruning : dict and Pruning
        Those of the chunks.
    n_samples : int
        The number of samples.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,)
        The nearest center of each sample, to be set at first if there are lists.
    neighbours : Neighbours
        The lists of candidates.
    """

    neighbours = None

    def __init__(self, assignment, with_distortion, squares, pruning, *, n_samples):
        super().__init__(assignment, with_distortion, squares, pruning)
        self.labels = np.empty(n_samples, dtype=np.int32)

    def begin(self, neighbours=None):
        """Set the lists; with them `labels` have to be those of the next centers."""
        self.neighbours = neighbours

    @property
    def sees_all(self):
        """Return whether there are no lists."""
        return self.neighbours is None

    def _candidates(self, chunks, centers, temperature):
        if not self.neighbours:
            return None
        lists = self.neighbours.of(chunks, centers)
        blocks = Blocks(self.labels, len(centers))
        parts = even_slices(len(blocks), blocks.at_once(lists.shape[1], centers))
        return Candidates(blocks, parts, lambda part: lists[blocks.labels[part]])

    def _logits(self, block, centers):
        """Return the logits, a sample's next to each other if they are many.

        That is where the largest of many are found quickly, and those of few elsewhere.
        """
        if len(centers) < _MANY:
            return super()._logits(block, centers)
        return block.logits(centers).T

    def _misses(self, mass):
        """Return False: that the lists leave something out is what they are for."""
        return False

    def _share(self, block, weights, centers, temperature, z, layout, inertia):
        """Return the statistics of a block, and remember its nearest centers."""
        if self.neighbours:
            self.labels[block.rows] = nearest_listed(z, layout.lists)
        return super()._share(block, weights, centers, temperature, z, layout, inertia)
