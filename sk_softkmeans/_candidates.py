"""The steps of truncated memberships, and the lists in which they find candidates.

Samples with the same nearest center look for their active clusters in one list, that of
the center's neighbours: an iteration costs n_samples x n_neighbors, whatever the number
of clusters.
"""

import numpy as np

from sk_softkmeans._blocks import Blocks, Candidates, nearest_listed
from sk_softkmeans._chunks import even_slices
from sk_softkmeans._distances import squared_distances
from sk_softkmeans._steps import DenseStep, HardStep

# The distances between centers that an iteration renews, per sample.
_RENEWED = 4
# The number of centers whose neighbours are looked for at once.
_BATCH = 256


def n_renewed(n_samples, n_clusters):
    """Return how many lists an iteration can renew, at a small cost per sample."""
    return min(max(_RENEWED * n_samples // n_clusters, 1), n_clusters)


class Neighbours:
    """For each center the list of those nearest to it, itself among them.

    Some lists are made anew in each iteration: those of the centers that have moved
    most since they were made, or that such a center has come near to.

    Parameters
    ----------
    n_neighbors : int
        The length of a list.
    n_renewed : int
        How many lists are renewed at a time.
    """

    def __init__(self, n_neighbors, n_renewed):
        self.n_neighbors, self._n_renewed = n_neighbors, n_renewed
        self._lists = None

    def of(self, chunks, centers):
        """Return the lists of ascending indices, of shape (k, n_neighbors)."""
        points = centers.points
        if self._lists is None:
            shape = len(points), self.n_neighbors
            self._lists = np.empty(shape, dtype=np.int32)
            self._at, self._radii = points.copy(), np.empty(len(points), points.dtype)
            self._urgency = np.zeros(len(points))
            self._renew(chunks, centers, np.arange(len(points)))
            return self._lists
        moved = np.sqrt(((points - self._at) ** 2).sum(axis=1))
        urgency = np.maximum(moved, self._urgency)
        first = np.argsort(-urgency, kind="stable")[: self._n_renewed]
        first = first[urgency[first] > 0]
        if len(first):
            self._renew(chunks, centers, first)
            self._warn_of(first, moved[first])
        return self._lists

    def _renew(self, chunks, centers, clusters):
        """Make the lists of some clusters anew."""

        def work(block, part):
            some = clusters[part]
            distances = squared_distances(centers, centers.points[some])
            distances[np.arange(len(some)), some] = -1
            last = self.n_neighbors - 1
            lists = np.argpartition(distances, last, axis=1)[:, : last + 1]
            lists.sort(axis=1)
            self._lists[some], self._at[some] = lists, centers.points[some]
            near = np.take_along_axis(distances, lists, axis=1)
            self._radii[some] = near.max(axis=1)

        parts = even_slices(len(clusters), _BATCH)
        chunks.reduce_parts(work, parts, centers.origin, centers.dtype)

    def _warn_of(self, clusters, moved):
        """Let others come next whose lists should have one of these that have moved."""
        lists = self._lists[clusters]
        points, others = self._at[clusters, np.newaxis], self._at[lists]
        i, j = np.nonzero(((others - points) ** 2).sum(axis=2) < self._radii[lists])
        others = lists[i, j]
        missing = ~self._are_listed(clusters[i], others)
        self._urgency[clusters] = 0
        np.maximum.at(self._urgency, others[missing], moved[i[missing]])

    def _are_listed(self, clusters, others):
        """Return whether each of some clusters is in the list of another one."""
        n_clusters = len(self._lists)
        # These ascend: lists do, and follow each other.
        listed = np.arange(n_clusters)[:, np.newaxis] * n_clusters + self._lists
        wanted = others.astype(np.int64) * n_clusters + clusters
        at = np.searchsorted(listed.ravel(), wanted)
        return listed.ravel()[np.minimum(at, listed.size - 1)] == wanted


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

    def begin(self):
        """Do nothing: labels and lists are set from outside."""

    def _candidates(self, chunks, centers, temperature):
        if not self.neighbours:
            return None
        lists = self.neighbours.of(chunks, centers)
        blocks = Blocks(self.labels, len(centers))
        n_blocks = blocks.at_once(lists.shape[1], centers.dtype.itemsize)
        parts = even_slices(len(blocks), n_blocks)
        return Candidates(blocks, parts, lambda part: lists[blocks.labels[part]])

    def _share(self, block, weights, centers, temperature, z, layout, inertia):
        """Return the statistics of a block, and remember its nearest centers."""
        if self.neighbours:
            self.labels[block.rows] = nearest_listed(z, layout.lists)
        return super()._share(block, weights, centers, temperature, z, layout, inertia)
