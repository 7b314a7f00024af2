"""Candidates that are proved to be all that matter to a block of samples.

Let b be the mean of a block, rho the largest distance of its samples to b, and a the
center nearest to b. For any sample x of the block and any other center c, ::

    |x - c|^2 - |x - a|^2 = |b - c|^2 - |b - a|^2 - 2 (x - b).(c - a)
                         >= |b - c|^2 - |b - a|^2 - 2 rho |c - a|,

and where that is T times the `margin` of the map, c has nothing of x that is told from
rounding, or nothing at all. Blocks are made once, of samples that are close together
then; what is proved holds for any later centers.
"""

import numpy as np
from scipy.sparse import issparse

from sk_softkmeans._blocks import OVERHEAD, Blocks, Candidates
from sk_softkmeans._chunks import even_slices
from sk_softkmeans._distances import squared_distances
from sk_softkmeans._relocation import longest_axes

# Fewer clusters or samples are never worth a list.
_MIN_CLUSTERS, _MIN_SAMPLES = 64, 2**13
# The number of blocks or centers whose distances are looked at at once.
_BATCH = 256
# What rounding may do to a squared distance, in units of that of the largest one.
_ROUNDINGS = 16


class Pruning:
    """Finds the candidates of a pass, if that is worth it.

    It belongs to one set of chunks and one origin.

    Attributes
    ----------
    spread : float
        The mean squared distance to the nearest center, told by the last pass; None
        before the first one, which looks at all centers.
    """

    def __init__(self):
        self._blocks = self.spread = None
        self._n_refused = self._n_to_skip = 0

    def candidates(self, chunks, centers, margin, price, labels=None):
        """Return the `Candidates`, None if all centers cost no more.

        Parameters
        ----------
        chunks : Chunks
            The samples.
        centers : Centers
            The centers.
        margin : float
            By how much a squared distance has to exceed the smallest not to count.
        price : float
            What a candidate costs, in units of what a center does if all are.
        labels : ndarray of shape (n_samples,), default=None
            Nearest centers, if they are known.
        """
        if self.spread is None or not self._may_help(chunks, centers):
            return None
        if self._n_to_skip:
            self._n_to_skip -= 1
            return None
        if self._blocks is None:
            if not self._promises(centers, margin, price):
                return self._refuse()
            self._make_blocks(chunks, centers, labels)
        counts, clusters = self._near(chunks, centers, margin)
        n_rows = len(counts) * self._blocks.size
        n_candidates = price * (counts.mean() + OVERHEAD)
        if n_rows * n_candidates > chunks.X.shape[0] * len(centers):
            return self._refuse()
        self._n_refused = 0
        return self._lists(centers, margin, counts, clusters)

    def _may_help(self, chunks, centers):
        n_samples, n_clusters = chunks.X.shape[0], len(centers)
        enough = n_clusters >= _MIN_CLUSTERS and n_samples >= _MIN_SAMPLES
        return enough and n_samples >= n_clusters and not issparse(chunks.X)

    def _refuse(self):
        """Do not look again for a while, which gets longer and longer."""
        self._n_to_skip = self._n_refused
        self._n_refused = 2 * self._n_refused + 1

    def _promises(self, centers, margin, price):
        """Return whether few centers are near enough to count for a typical sample."""
        some = slice(None, None, -(-len(centers) // _BATCH))
        d = squared_distances(centers, centers.points[some])
        typical = np.sqrt(self.spread)
        near = d <= (typical + np.sqrt(self.spread + margin)) ** 2
        return price * (near.sum(axis=1).mean() + OVERHEAD) <= len(centers)

    def _make_blocks(self, chunks, centers, labels):
        n_samples, n_features = chunks.X.shape
        if labels is None:
            labels = np.empty(n_samples, dtype=np.int32)

            def _label(block, _):
                labels[block.rows] = block.logits(centers).argmax(axis=1)

            chunks.reduce(_label, centers.origin, centers.dtype)
        direction = np.random.RandomState(0).standard_normal(n_features)
        place = chunks, centers.origin, labels
        axes = longest_axes(*place, centers.points, direction)
        position = np.empty(n_samples, chunks.X.dtype)

        def _project(block, _):
            position[block.rows] = block.along(axes, labels[block.rows])

        chunks.reduce(_project, centers.origin, chunks.X.dtype)
        self._blocks = blocks = Blocks(labels, len(centers), position)
        self._means = np.empty((len(blocks), n_features), chunks.X.dtype)
        self._radii = np.empty(len(blocks))

        def _measure(block, part):
            rows, _ = blocks.rows(part)
            block.gather(rows)
            x = block.x.reshape(-1, blocks.size, n_features)
            self._means[part] = means = x.mean(axis=1)
            offsets = x - means[:, np.newaxis]
            squares = np.einsum("bij,bij->bi", offsets, offsets)
            self._radii[part] = np.sqrt(squares.max(axis=1))

        parts = even_slices(len(blocks), blocks.at_once(n_features, 8))
        chunks.reduce_parts(_measure, parts, centers.origin, chunks.X.dtype)
        # The largest |x|^2.
        lengths = np.sqrt(np.einsum("bj,bj->b", self._means, self._means, dtype=float))
        self._peak = ((lengths + self._radii) ** 2).max()

    def _near(self, chunks, centers, margin):
        """Return how many centers count for each block, and one after the other."""
        counts = np.empty(len(self._blocks), dtype=np.intp)

        def _work(_, part):
            means, radii = self._means[part], self._radii[part, np.newaxis]
            d = squared_distances(centers, means)
            nearest = d.argmin(axis=1)
            gap = squared_distances(centers, centers.points[nearest])
            np.sqrt(gap, out=gap)
            gap *= (-2 * radii).astype(gap.dtype)
            gap += d
            limit = d[np.arange(len(d)), nearest].astype(np.float64) + margin
            slack = _ROUNDINGS * float(np.finfo(centers.dtype).eps)
            limit += slack * (limit + max(self._peak, centers.norms.max()))
            near = gap <= limit[:, np.newaxis].astype(gap.dtype)
            counts[part] = np.count_nonzero(near, axis=1)
            return [np.nonzero(near)[1].astype(np.int32)]

        parts = even_slices(len(counts), _BATCH)
        near = chunks.reduce_parts(_work, parts, centers.origin, centers.dtype)
        return counts, np.concatenate(near)

    def _lists(self, centers, margin, counts, clusters):
        """Return the candidates, in parts with lists of about the same length."""
        starts = np.cumsum(counts) - counts
        by_count = np.argsort(-counts, kind="stable")
        parts, start = [], 0
        while start < len(counts):
            length = counts[by_count[start]]
            n_blocks = self._blocks.at_once(length, centers.dtype.itemsize)
            n_blocks = min(n_blocks, -(-len(counts) // 4))
            parts.append(by_count[start : start + n_blocks])
            start += n_blocks

        def _fill(part):
            length = counts[part[0]]
            places = np.arange(length)
            index = starts[part, np.newaxis] + places
            lists = clusters.take(index, mode="clip")
            lists[places >= counts[part, np.newaxis]] = len(centers)
            return lists

        # No logit is below -(|x| + |c|)^2.
        lowest = -5 * max(self._peak, centers.norms.max()) - 2 * margin
        return Candidates(self._blocks, parts, _fill, lowest)
