"""The logits of a block, as a map sees them: all, or a list of those that count.

Far centers have responsibilities that are exactly zero in the maps that reach only so
far. Where these are nearly all, listing the others costs less than computing zeros.
"""

import numpy as np
from scipy.sparse import csc_array

# Logits are listed if no more than 1/16 (float32) or 1/8 (float64) of them count.
# Longer lists cost more than all: measured with alpha 1.5 and 2, 64 to 1000 clusters.
_SHARE_PER_BYTE = 1 / 64


class Grid:
    """All entries of an array of shape (n_clusters, n_rows)."""

    def __init__(self, n_clusters):
        self.n_clusters = self.counts = n_clusters

    def sum(self, a):
        """Return the sum of each column."""
        return np.ones(self.n_clusters, a.dtype) @ a

    def dot(self, a, b):
        """Return the sum of products of each column."""
        return np.einsum("km,km->m", a, b)

    def spread(self, v):
        """Return v, one number for each column, as what fits all entries."""
        return v

    def sums(self, block, responsibilities, weights):
        """Return the masses and sums of weighted responsibilities."""
        return block.sums(responsibilities, weights)


class Entries:
    """Some of them, as a list: those of cluster k are ``indptr[k]:indptr[k + 1]``.

    Entry i is in column ``rows[i]``, and `counts` are the numbers in each column.
    """

    def __init__(self, rows, indptr, n_rows):
        self.rows, self.n_clusters = rows, len(indptr) - 1
        shape = n_rows, self.n_clusters
        self._matrix = csc_array((np.ones(len(rows)), rows, indptr), shape)
        self.counts = self.sum(self._matrix.data)

    def sum(self, a):
        """Return the sum of each column."""
        # Other threads can work meanwhile, as they cannot with bincount.
        self._matrix.data = a
        return self._matrix @ np.ones(self.n_clusters, a.dtype)

    def dot(self, a, b):
        """Return the sum of products of each column."""
        return self.sum(a * b)

    def spread(self, v):
        """Return v, one number for each column, as what fits all entries."""
        return v.take(self.rows)

    def sums(self, block, responsibilities, weights):
        """Return the masses and sums of weighted responsibilities."""
        self._matrix.data = responsibilities * weights.take(self.rows)
        return block.matrix_sums(self._matrix.T)


def lay_out(z, top, reach, scratch):
    """Return the logits less their column's largest, `top`, and their layout.

    Only entries less than `reach` below the top count. `z` is spent.
    """
    n_clusters, n_rows = z.shape
    share = _SHARE_PER_BYTE * z.itemsize
    if n_clusters * share > 1 and np.isfinite(reach):
        # Rounding must lose none that counts.
        lowest = top - z.dtype.type(reach)
        lowest -= np.finfo(z.dtype).eps * abs(lowest)
        counts = np.greater_equal(z, lowest, out=scratch("counts", z.shape, bool))
        if np.count_nonzero(counts) <= share * z.size:
            flat = np.flatnonzero(counts)
            starts = np.arange(n_clusters + 1) * n_rows
            indptr = np.searchsorted(flat, starts)
            rows = flat - np.repeat(starts[:-1], np.diff(indptr))
            return z.ravel().take(flat) - top.take(rows), Entries(rows, indptr, n_rows)
    z -= top
    return z, Grid(n_clusters)
