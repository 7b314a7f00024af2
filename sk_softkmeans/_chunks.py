"""Chunks of rows, worked on by threads and added in order.

The only file that knows of threads. Chunk boundaries follow from the shape and dtype
of the problem, BLAS has one thread inside a chunk, and results are added in chunk
order: the sum has the same bytes for any number of threads.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from threading import Lock

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from sk_softkmeans._blas import limited
from sk_softkmeans._distances import Scratch, full_columns, make_block

# Bytes of the widest buffer of a chunk: about a core's share of the caches. Measured at
# 64 and 256 clusters; smaller chunks lose to the interpreter, larger ones to memory.
_CHUNK_BYTES = 2**21
_MIN_ROWS, _MAX_ROWS = 256, 8192
# The bytes of a chunk however wide its rows are: a thread has a few buffers of them.
_MAX_BYTES = 2**23


def plan(X, n_clusters):
    """Return the slices of the rows of X, from its shape and dtype alone."""
    n_samples, n_features = X.shape
    width = n_clusters if issparse(X) else max(n_clusters, n_features)
    rows = _CHUNK_BYTES // (width * X.dtype.itemsize)
    most = max(_MAX_BYTES // (width * X.dtype.itemsize), 1)
    return even_slices(n_samples, min(max(rows, _MIN_ROWS), _MAX_ROWS, most))


def even_slices(n, size):
    """Return slices of n things, at most `size` each, that threads share evenly."""
    n_slices = -(-n // size)
    if n_slices > 1:
        # A multiple of four, so that two or four threads have the same work.
        n_slices = -(-n_slices // 4) * 4
    return list(gen_batches(n, -(-n // n_slices)))


class Chunks:
    """The rows of X with their weights, to be reduced chunk by chunk.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        The samples.
    sample_weight : ndarray of shape (n_samples,)
        Their weights.
    n_clusters : int
        The number of clusters, for which chunks are planned.
    limit : Limit
        Held while the chunks live.
    executor : Executor
        The threads beside the calling one.

    Attributes
    ----------
    min_weight : float
        The smallest weight that is positive.
    shifted : ndarray of int
        The columns in which CSR rows lose the origin.
    """

    def __init__(self, X, sample_weight, n_clusters, limit, executor):
        self.X, self.sample_weight = X, sample_weight
        self.min_weight = sample_weight[sample_weight > 0].min()
        self._n_clusters, self._limit, self._executor = n_clusters, limit, executor
        self._shift(full_columns(X, sample_weight) if issparse(X) else ())
        n_workers = min(limit.n_threads, len(self._slices))
        self._scratches = [Scratch() for _ in range(n_workers)]

    def _shift(self, columns):
        self.shifted = columns
        self._slices = plan(self.X, max(self._n_clusters, len(columns)))

    def shifting(self, columns):
        """Return the same chunks with other columns shifted."""
        chunks = copy(self)
        chunks._shift(columns)
        return chunks

    def reduce(self, work, origin, dtype):
        """Return the sum of ``work(block, weights)`` over all chunks, in their order.

        `work` may return None and write to arrays of its own instead.
        """

        def _load(block, rows):
            block.load(rows)
            return work(block, self.sample_weight[rows])

        return self.reduce_parts(_load, self._slices, origin, dtype)

    def reduce_parts(self, work, parts, origin, dtype):
        """Return the sum of ``work(block, part)`` over other parts, in their order.

        `work` has to load the block.
        """

        def _worker(scratch):
            block = make_block(self.X, origin, dtype, scratch, self.shifted)
            return lambda part: work(block, part)

        # Someone else may have set the threads of BLAS since the last pass.
        self._limit.hold()
        workers = [_worker(scratch) for scratch in self._scratches]
        return _reduce(parts, workers, self._executor)

    def block_of(self, rows, origin, dtype):
        """Return a block of its own that holds these few rows."""
        block = make_block(self.X[rows], origin, dtype, Scratch(), self.shifted)
        block.load(slice(0, len(rows)))
        return block


def _reduce(slices, workers, executor):
    """Return the sum of ``worker(rows)`` over slices, each worker in its own thread."""
    queue, lock = itertools.count(), Lock()
    waiting, result = {}, _OrderedSum()

    def _drain(worker):
        # Underflow of exp is what makes a small temperature hard; data that overflow
        # are found by their moments, which end as inf or NaN.
        with np.errstate(under="ignore", over="ignore", invalid="ignore"):
            while (i := next(queue)) < len(slices):
                part = worker(slices[i])
                with lock:
                    waiting[i] = part
                    while result.n_parts in waiting:
                        result.add(waiting.pop(result.n_parts))

    first, *others = workers
    futures = []
    try:
        for worker in others:
            try:
                futures.append(executor.submit(_drain, worker))
            except RuntimeError:
                # The interpreter ends, or there are too many: with those there are.
                break
        _drain(first)
    finally:
        # After an error no thread starts another chunk.
        queue = itertools.repeat(len(slices))
        for future in futures:
            future.result()
    return result.total


class _OrderedSum:
    """A sum that knows how many parts it has."""

    total, n_parts = None, 0

    def add(self, part):
        if self.total is None:
            self.total = part
        else:
            self.total += part
        self.n_parts += 1


def in_chunks(X, sample_weight, n_clusters, work):
    """Return ``work(chunks)`` of the chunks of X, while BLAS has one thread."""

    def _work(limit):
        with ThreadPoolExecutor(limit.n_threads) as executor:
            return work(Chunks(X, sample_weight, n_clusters, limit, executor))

    return limited(_work)


def for_each_chunk(X, work):
    """Call ``work(rows)`` for chunks of the rows of an array, in threads."""
    slices = plan(X, X.shape[1])

    def _work(limit):
        with ThreadPoolExecutor(limit.n_threads) as executor:
            _reduce(slices, [work] * min(limit.n_threads, len(slices)), executor)

    limited(_work)
