"""Chunks of rows, worked on by threads and added in order.

The only file that knows of threads. Chunk boundaries follow from the shape and dtype
of the problem, BLAS has one thread inside a chunk, and results are added in chunk
order: the sum has the same bytes for any number of threads.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from functools import cache
from threading import Lock

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from threadpoolctl import ThreadpoolController

from sk_softkmeans._distances import Scratch, full_columns, make_block

# Bytes of the widest buffer of a chunk: about a core's share of the caches. Measured at
# 64 and 256 clusters; smaller chunks lose to the interpreter, larger ones to memory.
_CHUNK_BYTES = 2**21
_MIN_ROWS, _MAX_ROWS = 256, 8192


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


@cache
def _blas():
    return ThreadpoolController().select(user_api="blas")


class _SingleThreadedBlas:
    """BLAS at one thread while anyone is inside; gives the budget that it had.

    Fits in several threads of a process overlap: only the first one in knows the
    budget, and only the last one out may restore it.
    """

    def __init__(self):
        self._lock, self._users = Lock(), 0

    @contextmanager
    def __call__(self):
        with self._lock:
            if not self._users:
                libraries = _blas().lib_controllers
                self._budget = max((lib.num_threads for lib in libraries), default=1)
                self._limiter = _blas().limit(limits=1)
            self._users += 1
        try:
            yield self._budget
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._limiter.restore_original_limits()


single_threaded_blas = _SingleThreadedBlas()


class Chunks:
    """The rows of X with their weights, to be reduced chunk by chunk.

    `shifted` are the columns in which CSR rows lose the origin.
    """

    def __init__(self, X, sample_weight, n_clusters, n_threads, executor):
        self.X, self.sample_weight = X, sample_weight
        self.min_weight = sample_weight[sample_weight > 0].min()
        self._n_clusters, self._executor = n_clusters, executor
        self._shift(full_columns(X, sample_weight) if issparse(X) else ())
        self._scratches = [Scratch() for _ in range(min(n_threads, len(self._slices)))]

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
    futures = [executor.submit(_drain, worker) for worker in others]
    try:
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


@contextmanager
def chunked(X, sample_weight, n_clusters):
    """Give the chunks of X while BLAS has one thread and its budget is ours."""
    with (
        single_threaded_blas() as n_threads,
        ThreadPoolExecutor(n_threads) as executor,
    ):
        yield Chunks(X, sample_weight, n_clusters, n_threads, executor)


def for_each_chunk(X, work):
    """Call ``work(rows)`` for chunks of the rows of an array, in threads."""
    slices = plan(X, X.shape[1])
    with (
        single_threaded_blas() as n_threads,
        ThreadPoolExecutor(n_threads) as executor,
    ):
        _reduce(slices, [work] * min(n_threads, len(slices)), executor)
