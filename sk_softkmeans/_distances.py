"""Blocks of rows, dense or CSR, and their products with centers.

A block is one chunk of X seen from an origin: centers, norms and sums all refer to
``x - origin``. A dense block is centered in a buffer of its own and carries a last
column of ones, so that one product gives ``2 x.c - |c|^2`` and one gives the sums
together with the masses. CSR rows lose the origin only in columns where it would cost
digits, as `full_columns`. In the others they stay as they are: what is left of the
origin goes into the centers and a constant per cluster.
"""

import numpy as np
from scipy.sparse import csc_array, csr_array, issparse, vstack
from sklearn.utils import gen_batches

# Below this share of what it is computed from a distance is recomputed by direct
# differences.
CLOSE = 1e-3
# Entries of the differences that are held at a time for that.
_BATCH = 2**17
# A column is full if more than this share of its entries is stored. To hold them all is
# at most twice as many; and in other columns the deviation is no less than the mean.
_FULL = 0.5
# The rows whose entries are counted at a time, and the entries that are shifted at a
# time: no fewer than those of a chunk.
_COUNTED, _SHIFTS = 2**13, 2**19


def batches(n_pairs, n_features):
    """Give slices of pairs, of which there may be none, for direct differences."""
    size = max(1, _BATCH // n_features)
    for start in range(0, n_pairs, size):
        yield slice(start, start + size)


def full_columns(X, weights):
    """Return the columns of CSR rows of which most is stored, by the rows' weights."""
    stored = np.zeros(X.shape[1])
    for rows in gen_batches(X.shape[0], _COUNTED):
        starts = X.indptr[rows.start : rows.stop + 1]
        entries = X.indices[starts[0] : starts[-1]]
        of_entries = np.repeat(weights[rows], np.diff(starts))
        stored += np.bincount(entries, of_entries, X.shape[1])
    return np.flatnonzero(stored > _FULL * weights.sum())


def shift_columns(x, origin, columns):
    """Return CSR rows in float64 and less the origin in some columns; none: as is."""
    if not len(columns):
        return x
    n_rows, length = x.shape[0], len(columns)
    size = max(_SHIFTS // length, 256)
    if n_rows > size:
        # A difference has room for the entries of both until it is copied.
        parts = [
            shift_columns(x[rows], origin, columns).copy()
            for rows in gen_batches(n_rows, size)
        ]
        return vstack(parts, format="csr")
    shifts = np.tile(origin[columns].astype(np.float64), n_rows)
    indptr = length * np.arange(n_rows + 1)
    shifts = csr_array((shifts, np.tile(columns, n_rows), indptr), shape=x.shape)
    return csr_array(x, dtype=np.float64) - shifts


class Scratch:
    """Buffers of one thread, kept from chunk to chunk."""

    def __init__(self):
        self._buffers, self._indicator, self._contents = {}, None, {}

    def __call__(self, name, shape, dtype):
        """Return an uninitialised array that is valid until the next call of `name`."""
        size = int(np.prod(shape))
        buffer = self._buffers.get((name, dtype))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name, dtype] = np.empty(size, dtype)
        return buffer[:size].reshape(shape)

    def is_new(self, name, key, origin):
        """Return whether a buffer holds something else, and remember what it will."""
        last, self._contents[name] = self._contents.get(name), (key, origin)
        return last is None or last[0] != key or last[1] is not origin

    def forget(self, name):
        """Forget what a buffer holds."""
        self._contents.pop(name, None)

    def indicator(self, labels, weights, n_clusters, dtype):
        """Return the (n_clusters, n_rows) matrix with weights[i] at (labels[i], i)."""
        key = len(labels), n_clusters, dtype
        if self._indicator is None or self._indicator[0] != key:
            n_rows = np.arange(len(labels) + 1, dtype=np.int32)
            entries = np.ones(len(labels), dtype), np.zeros(len(labels), np.int32)
            matrix = csc_array((*entries, n_rows), shape=(n_clusters, len(labels)))
            self._indicator = key, matrix
        # Making one is most of the time of a small step: only its entries change.
        matrix = self._indicator[1]
        matrix.indices[:], matrix.data[:] = labels, weights
        return matrix


class Centers:
    """Centers about an origin, ready for products with blocks of one dtype.

    Parameters
    ----------
    points : ndarray of shape (n_clusters, n_features)
        The centers about the origin.
    origin : ndarray of shape (n_features,)
        The origin.
    dtype : dtype
        That of the products.
    absolute : ndarray of shape (n_clusters, n_features), default=None
        Where the centers are, to the last digit if they are cluster_centers_.
    peak : float, default=0
        The largest |x|^2 of samples and centers, about the origin.
    """

    def __init__(self, points, origin, dtype, absolute=None, peak=0.0):
        self.peak = peak
        self.absolute = points + origin if absolute is None else absolute
        self.points = points.astype(dtype)
        self.origin, self.dtype = origin, self.points.dtype
        exact = self.points.astype(np.float64)
        self.norms = np.einsum("kd,kd->k", exact, exact)
        # Columns 2 c and -|c|^2, the counterpart of a block's column of ones.
        self.lifted = np.column_stack((2 * exact, -self.norms)).astype(dtype)

    def __len__(self):
        return len(self.points)


def squared_distances(centers, points):
    """Return the squared distances of points about the origin, a row each."""
    points = points.astype(centers.dtype, copy=False)
    d = points @ centers.lifted[:, :-1].T
    d += centers.lifted[:, -1]
    np.subtract(np.einsum("ij,ij->i", points, points)[:, np.newaxis], d, out=d)
    return np.maximum(d, 0, out=d)


def make_block(X, origin, dtype, scratch, shifted=()):
    """Return the block class that fits X, ready to load rows.

    `shifted` are the columns in which CSR rows lose the origin.
    """
    if issparse(X):
        return CSRBlock(X, origin, dtype, scratch, shifted)
    return DenseBlock(X, origin, dtype, scratch)


class DenseBlock:
    """Rows of an array."""

    def __init__(self, X, origin, dtype, scratch):
        self.X, self.origin, self.dtype, self.scratch = X, origin, dtype, scratch
        self._tile = None

    def load(self, rows):
        """Center the rows of this slice into the block's buffer, if they are not."""
        n_rows, n_features = rows.stop - rows.start, self.X.shape[1]
        self.rows = rows
        self.lifted = self.scratch("lifted", (n_rows, n_features + 1), self.dtype)
        self.x = self.lifted[:, :-1]
        if not self.scratch.is_new("lifted", (rows.start, self.dtype), self.origin):
            return
        self._center(self.X[rows])

    def _center(self, raw):
        n_rows = len(raw)
        if self._tile is None or len(self._tile) < n_rows:
            self._tile = np.tile(self.origin, (n_rows, 1))
        # Of two arrays of one shape NumPy subtracts faster than of rows and one row.
        np.subtract(raw, self._tile[:n_rows], out=self.x, dtype=self.dtype)
        self.lifted[:, -1] = 1

    def gather(self, rows):
        """Center rows of an array of indices into the block's buffer."""
        n_features = self.X.shape[1]
        self.rows = rows
        self.lifted = self.scratch("lifted", (len(rows), n_features + 1), self.dtype)
        self.x = self.lifted[:, :-1]
        self.scratch.forget("lifted")
        if not self.X.flags.c_contiguous:
            # take would copy all of X.
            return self._center(self.X[rows])
        raw = self.scratch("gathered", (len(rows), n_features), self.X.dtype)
        np.take(self.X, rows, axis=0, out=raw, mode="clip")
        return self._center(raw)

    def norms(self):
        """Return |x|^2."""
        return np.einsum("ij,ij->i", self.x, self.x)

    def logits_by_list(self, lifted, lists):
        """Return 2 x.c - |c|^2 for parts of the rows that have a list of centers each.

        Row i of the result is about the i-th center of each list, of which `lifted` has
        the rows.
        """
        n_parts, length = lists.shape
        parts = self.lifted.reshape(n_parts, -1, self.lifted.shape[1])
        listed = lifted.take(lists, axis=0)
        out = self.scratch("logits", (length, n_parts, parts.shape[1]), self.dtype)
        np.matmul(listed, parts.transpose(0, 2, 1), out=out.transpose(1, 0, 2))
        return out.reshape(length, -1)

    def logits(self, centers):
        """Return 2 x.c - |c|^2, a row per sample."""
        out = self.scratch("logits", (len(self.x), len(centers)), self.dtype)
        return np.dot(self.lifted, centers.lifted.T, out=out)

    def logits_by_cluster(self, centers):
        """Return 2 x.c - |c|^2, a row per cluster."""
        out = self.scratch("logits", (len(centers), len(self.x)), self.dtype)
        return np.dot(centers.lifted, self.lifted.T, out=out)

    def dense(self):
        """Return x as an array."""
        return self.x

    def project(self, vector):
        """Return x @ vector, each row in the same order of operations."""
        return np.einsum("ij,j->i", self.x, vector)

    def combine(self, weights):
        """Return the sum of the rows times weights."""
        return weights @ self.x

    def sums(self, responsibilities, weights):
        """Return the masses and sums of weighted responsibilities, a row per cluster.

        It may spend these.
        """
        weights = weights.astype(self.dtype, copy=False)
        # To the smaller of the two.
        if len(responsibilities) < self.lifted.shape[1]:
            responsibilities *= weights
            return _split(responsibilities @ self.lifted)
        weighted = self.scratch("weighted", self.lifted.shape, self.dtype)
        np.multiply(self.lifted, weights[:, np.newaxis], out=weighted)
        return _split(responsibilities @ weighted)

    def sums_by_list(self, responsibilities, weights, lists, n_clusters):
        """Return the same of responsibilities for a list of clusters for each part.

        What has the number n_clusters is of none.
        """
        n_parts, length = lists.shape
        weighted = self.scratch("weighted", self.lifted.shape, self.dtype)
        np.multiply(self.lifted, weights[:, np.newaxis], out=weighted)
        n_columns = self.lifted.shape[1]
        parts = self.scratch("sums", (n_parts, length, n_columns), self.dtype)
        shares = responsibilities.reshape(length, n_parts, -1).transpose(1, 0, 2)
        np.matmul(shares, weighted.reshape(n_parts, -1, n_columns), out=parts)
        ones = np.broadcast_to(self.dtype.type(1), lists.size)
        to = self.scratch.indicator(lists.ravel(), ones, n_clusters + 1, self.dtype)
        return _split((to @ parts.reshape(-1, n_columns))[:-1])

    def label_sums(self, labels, weights, n_clusters):
        """Return the masses and sums of weighted samples by label."""
        return self.matrix_sums(
            self.scratch.indicator(labels, weights, n_clusters, self.dtype)
        )

    def matrix_sums(self, shares):
        """Return the same of a sparse matrix of weighted shares, a row per cluster."""
        return _split(shares @ self.lifted)

    def nearest(self, centers, labels):
        """Return |x - c|^2 to the center of each label, by direct differences."""
        x = self.scratch("differences", self.x.shape, self.dtype)
        np.subtract(self.x, centers.points[labels], out=x)
        return np.einsum("ij,ij->i", x, x)

    def along(self, vectors, labels):
        """Return the product of each row with the vector of its label."""
        v = self.scratch("differences", self.x.shape, self.dtype)
        np.take(vectors.astype(self.dtype), labels, axis=0, out=v, mode="clip")
        return np.einsum("ij,ij->i", self.x, v)

    def pairs(self, centers, rows, clusters):
        """Return |x - c|^2 of some pairs, by direct differences."""
        x = self.x[rows] - centers.points[clusters]
        return np.einsum("ij,ij->i", x, x)


class CSRBlock:
    """Rows of a CSR matrix.

    Its entries are those of X, in some columns less the origin. `_rest` is the origin
    of what it holds: 0 in these columns.
    """

    def __init__(self, X, origin, dtype, scratch, shifted=()):
        self.X, self.origin, self.dtype, self.scratch = X, origin, dtype, scratch
        self._shifted, self._rest = shifted, origin
        if len(shifted):
            self._rest = origin.copy()
            self._rest[shifted] = 0

    def load(self, rows):
        """Take the rows of this slice."""
        self.rows = rows
        x = shift_columns(self.X[rows], self.origin, self._shifted)
        self.x = x.astype(self.dtype, copy=False)

    def norms(self):
        """Return |x|^2."""
        rest = self._rest.astype(np.float64)
        raw = np.asarray(self.x.multiply(self.x).sum(axis=1), dtype=np.float64).ravel()
        norms = raw - 2 * (self.x @ rest) + rest @ rest
        return np.maximum(norms, 0).astype(self.dtype)

    def _shift(self, centers):
        points = centers.points.astype(np.float64)
        return (2 * (points @ self._rest) + centers.norms).astype(self.dtype)

    def logits(self, centers):
        """Return 2 x.c - |c|^2, a row per sample."""
        out = self.x @ (2 * centers.points.T)
        out -= self._shift(centers)
        return out

    def logits_by_cluster(self, centers):
        """Return 2 x.c - |c|^2, a row per cluster."""
        out = self.scratch("logits", (len(centers), self.x.shape[0]), self.dtype)
        out[...] = self.logits(centers).T
        return out

    def dense(self):
        """Return x as an array."""
        return self.x.toarray() - self._rest

    def project(self, vector):
        """Return x @ vector."""
        return self.x @ vector - self._rest @ vector

    def combine(self, weights):
        """Return the sum of the rows times weights."""
        return self.x.T @ weights - weights.sum() * self._rest

    def sums(self, responsibilities, weights):
        """Return the masses and sums of weighted responsibilities."""
        weighted = np.multiply(responsibilities, weights, out=responsibilities)
        return self._about_origin(weighted.sum(axis=1), (self.x.T @ weighted.T).T)

    def label_sums(self, labels, weights, n_clusters):
        """Return the masses and sums of weighted samples by label."""
        return self.matrix_sums(
            self.scratch.indicator(labels, weights, n_clusters, self.dtype)
        )

    def matrix_sums(self, shares):
        """Return the same of a sparse matrix of weighted shares, a row per cluster."""
        mass = shares @ np.ones(shares.shape[1])
        return self._about_origin(mass, (shares @ self.x).toarray())

    def _about_origin(self, mass, sums):
        mass = mass.astype(np.float64)
        return mass, sums - np.outer(mass, self._rest)

    def nearest(self, centers, labels):
        """Return |x - c|^2 to the center of each label, over the entries of x.

        Small ones are direct differences.
        """
        points, row = self._points(centers), self._row_of_entries()
        c = points[labels[row], self.x.indices]
        # |x - c|^2 = |c|^2 + the sum over the entries of x of (x - c)^2 - c^2
        change = np.bincount(row, (self.x.data - c) ** 2 - c**2, len(labels))
        norms = np.einsum("kd,kd->k", points, points)[labels]
        squared = norms + change
        squares = np.bincount(row, self.x.data.astype(np.float64) ** 2, len(labels))
        limit = CLOSE * (np.sqrt(squares) + np.sqrt(norms))
        close = np.flatnonzero(squared < limit**2)
        for batch in batches(len(close), points.shape[1]):
            rows = close[batch]
            squared[rows] = self.pairs(centers, rows, labels[rows])
        return squared.astype(self.dtype)

    def _points(self, centers, clusters=slice(None)):
        """Return some centers as the entries see them, to the last digit in float64."""
        points = centers.absolute[clusters].astype(np.float64, copy=False)
        if len(self._shifted):
            points = points.copy()
            points[:, self._shifted] = centers.points[clusters][:, self._shifted]
        return points

    def along(self, vectors, labels):
        """Return the product of each row with the vector of its label."""
        row = self._row_of_entries()
        products = self.x.data * vectors[labels[row], self.x.indices]
        offsets = vectors @ self._rest.astype(np.float64)
        return np.bincount(row, products, len(labels)) - offsets[labels]

    def _row_of_entries(self):
        return np.repeat(np.arange(self.x.shape[0]), np.diff(self.x.indptr))

    def pairs(self, centers, rows, clusters):
        """Return |x - c|^2 of some pairs, by direct differences."""
        x = self.x[rows].toarray() - self._points(centers, clusters)
        return np.einsum("ij,ij->i", x, x)


def _split(sums):
    """Part the masses in the last column from the sums, in float64."""
    sums = sums.astype(np.float64)
    return sums[:, -1], sums[:, :-1]


def row_keys(X, rows):
    """Return for each of some rows a key that orders and compares its content."""
    x = X[rows]
    if issparse(x):
        x.eliminate_zeros()
        x.sort_indices()
        keys = [
            x.indices[a:b].tobytes() + x.data[a:b].tobytes()
            for a, b in zip(x.indptr[:-1], x.indptr[1:], strict=True)
        ]
        return np.array(keys, dtype=object)
    # Adding 0 makes the two zeros one.
    x = np.ascontiguousarray(x) + x.dtype.type(0)
    return x.view(np.dtype((np.void, x.dtype.itemsize * x.shape[1]))).ravel()


def any_differ(X, rows, others):
    """Return whether any of some rows differs from its counterpart, a few at a time."""
    for start in range(0, len(rows), 4096):
        batch = slice(start, start + 4096)
        unequal = X[rows[batch]] != X[others[batch]]
        if unequal.nnz if issparse(X) else unequal.any():
            return True
    return False
