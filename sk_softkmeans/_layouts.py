"""The logits of a block, as a map sees them: all, or a list of those that count.

Far centers have responsibilities that are exactly zero in the maps that reach only so
far. Where these are nearly all, listing the others costs less than computing zeros.
Samples in blocks have candidates in place of all clusters, and the largest logits are
what truncated maps need.
"""

from functools import reduce

import numpy as np
from scipy.sparse import csc_array

# Logits are listed if no more than 1/16 (float32) or 1/8 (float64) of them count.
# Longer lists cost more than all: measured with alpha 1.5 and 2, 64 to 1000 clusters.
_SHARE_PER_BYTE = 1 / 64
# So many largest entries are found one by one; more by partitioning.
_FEW = 8


class Grid:
    """All entries of an array: of all clusters, or of `counts` in each column."""

    def __init__(self, n_clusters, counts=None):
        self.n_clusters, self.counts = n_clusters, counts or n_clusters

    def sum(self, a):
        """Return the sum of each column."""
        return np.ones(len(a), a.dtype) @ a

    def dot(self, a, b):
        """Return the sum of products of each column."""
        return np.einsum("km,km->m", a, b)

    def spread(self, v):
        """Return v, one number for each column, as what fits all entries."""
        return v

    def of_clusters(self, v):
        """Return v, one number for each cluster, as what fits all entries."""
        return v[:, np.newaxis]

    def sums(self, block, responsibilities, weights):
        """Return the masses and sums of weighted responsibilities."""
        return block.sums(responsibilities, weights)


class Lists(Grid):
    """Entries of parts of the columns, as many to each, that have a list of clusters.

    Entry i of a column is of the i-th cluster of its part's list.

    Parameters
    ----------
    lists : ndarray of shape (n_parts, length)
        The clusters of each part.
    n_columns : int
        The number of columns of each part.
    n_clusters : int
        The number of clusters.
    """

    def __init__(self, lists, n_columns, n_clusters):
        super().__init__(n_clusters, lists.shape[1])
        self.lists, self._n_columns = lists, n_columns

    def of_clusters(self, v):
        """Return v, one number for each cluster, as what fits all entries."""
        return np.repeat(v[self.lists].T, self._n_columns, axis=1)

    def sums(self, block, responsibilities, weights):
        """Return the masses and sums of weighted responsibilities."""
        return block.sums_by_list(
            responsibilities, weights, self.lists, self.n_clusters
        )


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


def largest(z, n):
    """Return where the n largest of each column are, the lowest index on ties.

    Parameters
    ----------
    z : ndarray of shape (n_entries, n_rows)
        The columns; changed meanwhile.
    n : int
        How many, at most n_entries.

    Returns
    -------
    index : ndarray of shape (n, n_rows)
        Their indices, in no certain order.
    """
    n_entries, n_rows = z.shape
    if n == n_entries:
        return np.broadcast_to(np.arange(n)[:, np.newaxis], z.shape)
    if n <= _FEW and not z.flags.c_contiguous:
        return _by_turns(z.T, n)
    flat = np.flatnonzero(are_largest(z, n))
    entries = flat // n_rows
    rows = flat - entries * n_rows
    # The entries of a column together: by a radix sort where rows are few.
    by_row = np.argsort(rows.astype(np.min_scalar_type(n_rows)), kind="stable")
    return entries[by_row].reshape(n_rows, n).T


def are_largest(z, n):
    """Return whether each entry is one of the n largest of its column."""
    if n > _FEW:
        rows, last = np.ascontiguousarray(z.T), len(z) - n
        least = np.partition(rows, last, axis=1)[:, last]
    else:
        least = _tops(z, n)[-1]
    found = np.greater_equal(z, least, order="C")
    if np.count_nonzero(found) > n * z.shape[1]:
        tied = np.flatnonzero(np.count_nonzero(found, axis=0) > n)
        others = np.argsort(-z[:, tied], axis=0, kind="stable")[n:]
        found[others, tied] = False
    return found


def _by_turns(rows, n):
    """Return the same of rows that are contiguous, one largest after the other."""
    number, index = np.arange(len(rows)), np.empty((n, len(rows)), dtype=np.intp)
    values = np.empty((n, len(rows)), rows.dtype)
    for i in range(n):
        index[i] = rows.argmax(axis=1)
        values[i] = rows[number, index[i]]
        rows[number, index[i]] = -np.inf
    rows[number, index] = values
    return index


def _tops(z, n):
    """Return the n largest values of each column, in their order, by a tournament."""
    lists, odd = [z], None
    while (half := len(lists[0]) // 2) > 0:
        if len(lists[0]) % 2:
            last = [a[-1:] for a in lists]
            odd = _merge(odd, last, n) if odd else last
        lists = _merge(
            [a[:half] for a in lists], [a[half : 2 * half] for a in lists], n
        )
    return _merge(lists, odd, n) if odd else lists


def _merge(a, b, n):
    """Return the n largest of two descending lists of arrays.

    The r-th is the largest over i of the smaller of the i-th of one and the (r - i)-th
    of the other.
    """
    merged = []
    for r in range(1, min(n, len(a) + len(b)) + 1):
        i = range(max(0, r - len(b)), min(r, len(a)) + 1)
        pairs = (a[j - 1 : j] + b[r - j - 1 : r - j] for j in i if 0 < j < r)
        alone = [x[r - 1] for x in (a, b) if len(x) >= r]
        merged.append(
            reduce(np.maximum, [*alone, *(np.minimum(*pair) for pair in pairs)])
        )
    return merged
