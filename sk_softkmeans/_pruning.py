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
from sklearn.utils import gen_batches

from sk_softkmeans._blocks import OVERHEAD, Blocks, Candidates
from sk_softkmeans._chunks import even_slices
from sk_softkmeans._distances import squared_distances
from sk_softkmeans._relocation import longest_axes

# Fewer clusters or samples are never worth a list.
_MIN_CLUSTERS, _MIN_SAMPLES = 64, 2**13
# The number of blocks or centers whose distances are looked at at once.
_BATCH = 256
# Roundings of a squared distance, relative to the largest one.
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
        """Find the candidates of a pass.

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

        Returns
        -------
        candidates : Candidates or None
            None if all centers cost no more.
        """
        if self.spread is None or not self._may_help(chunks, centers):
            return None
        if not np.isfinite(margin):
            return None
        if self._n_to_skip:
            self._n_to_skip -= 1
            return None
        if self._blocks is None:
            if not self._promises(centers, margin, price):
                return self.refuse()
            self._make_blocks(chunks, centers, labels)
        counts = self._count(chunks, centers, margin)
        n_rows = len(counts) * self._blocks.size
        n_candidates = price * (counts.mean() + OVERHEAD)
        if n_rows * n_candidates > chunks.X.shape[0] * len(centers):
            return self.refuse()
        self._n_refused = 0
        return self._listed(centers, margin, counts)

    def _may_help(self, chunks, centers):
        n_samples, n_clusters = chunks.X.shape[0], len(centers)
        enough = n_clusters >= _MIN_CLUSTERS and n_samples >= _MIN_SAMPLES
        return enough and n_samples >= n_clusters and not issparse(chunks.X)

    def refuse(self, at_least=0):
        """Do not look again for some passes, for more and more of them."""
        self._n_to_skip = max(self._n_refused, at_least)
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
        axes = longest_axes(
            chunks, centers.origin, centers.dtype, labels, centers.points, direction
        )
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
            self._means[part] = x.mean(axis=1)
            # From what is kept of them, which may be rounded.
            offsets = x - self._means[part][:, np.newaxis]
            squares = np.einsum("bij,bij->bi", offsets, offsets)
            self._radii[part] = np.sqrt(squares.max(axis=1))

        parts = even_slices(len(blocks), blocks.at_once(n_features, centers))
        # Exactly: it has to hold for passes in float64 as well.
        chunks.reduce_parts(_measure, parts, centers.origin, np.dtype(np.float64))
        # The largest |x|^2.
        lengths = np.sqrt(np.einsum("bj,bj->b", self._means, self._means, dtype=float))
        self._peak = float(((lengths + self._radii) ** 2).max())

    def _count(self, chunks, centers, margin):
        """Return how many centers count for each block."""
        counts = np.empty(len(self._blocks), dtype=np.intp)

        def _work(_, part):
            near = self._are_near(centers, margin, part)
            counts[part] = np.count_nonzero(near, axis=1)

        parts = even_slices(len(counts), _BATCH)
        chunks.reduce_parts(_work, parts, centers.origin, centers.dtype)
        return counts

    def _are_near(self, centers, margin, part):
        """Return which centers count for some blocks, of shape (n_blocks, k)."""
        # What rounding may do to a squared distance.
        slack = _ROUNDINGS * float(np.finfo(centers.dtype).eps)
        slack *= max(self._peak, float(centers.norms.max()))
        d = squared_distances(centers, self._means[part])
        nearest = d.argmin(axis=1)
        gaps = squared_distances(centers, centers.points[nearest])
        gaps += centers.dtype.type(slack)
        np.sqrt(gaps, out=gaps)
        gaps *= (2 * self._radii[part, np.newaxis]).astype(gaps.dtype)
        limit = d[np.arange(len(d)), nearest].astype(np.float64) + margin + slack
        return d <= gaps + limit[:, np.newaxis].astype(gaps.dtype)

    def _listed(self, centers, margin, counts):
        """Return the candidates, in parts with lists of about the same length."""
        by_count = np.argsort(-counts, kind="stable")
        parts, start = [], 0
        while start < len(counts):
            n_blocks = self._blocks.at_once(counts[by_count[start]], centers)
            n_blocks = min(n_blocks, -(-len(counts) // 4))
            parts.append(by_count[start : start + n_blocks])
            start += n_blocks

        def _fill(part):
            near = [
                self._are_near(centers, margin, part[batch])
                for batch in gen_batches(len(part), _BATCH)
            ]
            own = np.concatenate([np.count_nonzero(some, axis=1) for some in near])
            lists = np.full((len(part), own.max()), len(centers), dtype=np.int32)
            filled = np.arange(lists.shape[1]) < own[:, np.newaxis]
            lists[filled] = np.concatenate([np.nonzero(some)[1] for some in near])
            return lists

        # Below all logits, which are at least -(|x| + |c|)^2, by more than the margin.
        lowest = -5 * max(self._peak, float(centers.norms.max())) - 2 * margin
        return Candidates(self._blocks, parts, _fill, lowest)
