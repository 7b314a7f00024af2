"""The step of truncated memberships: few candidates for each sample, in blocks.

Samples with the same nearest center look for their active clusters in one list, of that
center's neighbours. Samples are sorted by it and cut into blocks of one size, whose
logits are small matrix products: an iteration costs n_samples x n_neighbors, whatever
the number of clusters.
"""

import numpy as np

from sk_softkmeans._chunks import even_slices
from sk_softkmeans._layouts import Lists
from sk_softkmeans._steps import DenseStep, HardStep

# The sizes of a block, and the bytes of the logits of those that are worked on at once.
_MIN_SIZE, _MAX_SIZE, _PART_BYTES = 8, 64, 2**21
# What a sample costs in a block beside its candidates, in units of one of these.
_OVERHEAD = 16
# The distances between centers that an iteration renews, per sample.
_RENEWED = 8
# The number of centers whose neighbours are looked for at once.
_BATCH = 256


def block_size(n_samples, n_clusters):
    """Return a power of two that a mean cluster fills."""
    size = 1 << max(n_samples // n_clusters, 1).bit_length() - 1
    return min(max(size, _MIN_SIZE), _MAX_SIZE)


def lists_pay(n_samples, n_clusters, n_neighbors):
    """Return whether lists of candidates cost less than all centers.

    Not more than one block of each cluster is partly empty.
    """
    size = block_size(n_samples, n_clusters)
    n_rows = n_samples + n_clusters * size // 2
    return n_rows * (n_neighbors + _OVERHEAD) < n_samples * n_clusters


def n_renewed(n_samples, n_clusters):
    """Return how many lists an iteration can renew, at a small cost per sample."""
    return min(max(_RENEWED * n_samples // n_clusters, 1), n_clusters)


class Blocks:
    """The samples in blocks of one size, the samples of a block of one label."""

    def __init__(self, labels, n_clusters):
        self.size = block_size(len(labels), n_clusters)
        # Radix sort, as long as there are not more than 2^16 clusters.
        small = labels.astype(np.min_scalar_type(n_clusters))
        self._order = np.argsort(small, kind="stable")
        counts = np.bincount(labels, minlength=n_clusters)
        n_blocks = -(-counts // self.size)
        ends, last = np.cumsum(counts), np.cumsum(n_blocks)
        self.labels = np.repeat(np.arange(n_clusters), n_blocks)
        number = np.arange(len(self.labels)) - np.repeat(last - n_blocks, n_blocks)
        self._starts = (ends - counts)[self.labels] + self.size * number
        self._stops = ends[self.labels]

    def __len__(self):
        return len(self.labels)

    def rows(self, part):
        """Return the rows of a slice of blocks, and which are not there to fill one."""
        position = self._starts[part, np.newaxis] + np.arange(self.size)
        stops = self._stops[part, np.newaxis]
        rows = self._order[np.minimum(position, stops - 1)]
        return rows.ravel(), (position < stops).ravel()


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
            points = centers.points[some]
            distances = points @ centers.lifted[:, :-1].T
            distances += centers.lifted[:, -1]
            np.subtract(centers.norms[some, np.newaxis], distances, out=distances)
            distances[np.arange(len(some)), some] = -1
            last = self.n_neighbors - 1
            lists = np.argpartition(distances, last, axis=1)[:, : last + 1]
            lists.sort(axis=1)
            self._lists[some], self._at[some] = lists, points
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

    def __init__(self, assignment, with_distortion, squares, n_samples):
        super().__init__(n_samples, squares)
        self._assignment = assignment

    def __call__(self, block, weights, centers, temperature):
        """Return the statistics of one block."""
        stats = super().__call__(block, weights, centers, temperature)
        uniform = self._assignment.uniform(len(centers))
        stats.value -= temperature * uniform * weights.sum()
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
    squares : dict
        The sums of squares of blocks.
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

    def __init__(self, assignment, with_distortion, squares, n_samples):
        super().__init__(assignment, with_distortion, squares)
        self.labels = np.empty(n_samples, dtype=np.int32)

    def begin(self):
        """Do nothing: labels and lists are set from outside."""

    def reduce(self, chunks, centers, temperature):
        """Return the statistics of all samples."""
        if self.neighbours is None:
            return super().reduce(chunks, centers, temperature)
        n_clusters, lists = len(centers), self.neighbours.of(chunks, centers)
        blocks = Blocks(self.labels, n_clusters)
        n_rows = _PART_BYTES // (lists.shape[1] * centers.dtype.itemsize)
        parts = even_slices(len(blocks), max(n_rows // blocks.size, 1))

        def work(block, part):
            rows, inside = blocks.rows(part)
            weights = chunks.sample_weight[rows] * inside
            listed = lists[blocks.labels[part]]
            block.gather(rows)
            z = block.logits_by_list(centers, listed)
            top = z.max(axis=0)
            nearest = weights @ (block.norms() - top)
            z -= top
            best = _position_of_zero(z)
            self.labels[rows] = np.take_along_axis(listed, best.reshape(len(listed), -1), axis=1).ravel()
            layout = Lists(listed, blocks.size, n_clusters)
            return self._share(
                block, weights, centers, temperature, z, layout, nearest
            )

        return chunks.reduce_parts(work, parts, centers.origin, centers.dtype)


def _position_of_zero(z):
    """Return where the first zero of each column is: where the largest logit was."""
    zero = z == 0
    if np.count_nonzero(zero) > z.shape[1]:
        return zero.argmax(axis=0)
    numbers = np.arange(len(z), dtype=np.float32)
    return (numbers @ zero.astype(np.float32)).astype(np.intp)
