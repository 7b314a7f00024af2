"""Chunks of rows, worked on by threads and added in order.

The only file that knows of threads. Chunk boundaries follow from the shape and dtype
of the problem, BLAS has one thread inside a chunk, and results are added in chunk
order: the sum has the same bytes for any number of threads.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from sk_softkmeans._blas import limited
from sk_softkmeans._distances import Scratch, make_block

# Bytes of the widest buffer of a chunk: about a core's share of the caches. Measured at
# 64 and 256 clusters; smaller chunks lose to the interpreter, larger ones to memory.
_CHUNK_BYTES = 2**21
_MIN_ROWS, _MAX_ROWS = 256, 8192
# The largest weight is in [1, 2). Shares of smaller ones leave the range of float32.
_MIN_FLOAT32_WEIGHT = 1e-10


def plan(X, n_clusters):
    """Return the slices of the rows of X, from its shape and dtype alone."""
    n_samples, n_features = X.shape
    width = n_clusters if issparse(X) else max(n_clusters, n_features)
    rows = _CHUNK_BYTES // (width * X.dtype.itemsize)
    return even_slices(n_samples, min(max(rows, _MIN_ROWS), _MAX_ROWS))


def even_slices(n, size):
    """Return slices of n things, at most `size` each, that threads share evenly."""
    n_slices = -(-n // size)
    if n_slices > 1:
        # A multiple of four, so that two or four threads have the same work.
        n_slices = -(-n_slices // 4) * 4
    return list(gen_batches(n, -(-n // n_slices)))


class Chunks:
    """The rows of X with their weights, to be reduced chunk by chunk.

    Attributes
    ----------
    min_weight : float
        The smallest weight that is positive.
    dtype : dtype
        What to compute in: that of X, or float64 if weights have a wider range.
    """

    def __init__(self, X, sample_weight, n_clusters, limit, executor):
        self.X, self.sample_weight = X, sample_weight
        self.min_weight = sample_weight[sample_weight > 0].min()
        self.dtype = X.dtype
        if self.min_weight < _MIN_FLOAT32_WEIGHT:
            self.dtype = np.dtype(np.float64)
        self._slices = plan(X, n_clusters)
        self._limit, self._executor = limit, executor
        n_workers = min(limit.n_threads, len(self._slices))
        self._scratches = [Scratch() for _ in range(n_workers)]

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
            block = make_block(self.X, origin, dtype, scratch)
            return lambda part: work(block, part)

        # Someone else may have set the threads of BLAS since the last pass.
        self._limit.hold()
        workers = [_worker(scratch) for scratch in self._scratches]
        return _reduce(parts, workers, self._executor)

    def block_of(self, rows, origin, dtype):
        """Return a block of its own that holds these few rows."""
        block = make_block(self.X[rows], origin, dtype, Scratch())
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
