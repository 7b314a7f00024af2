"""What tests of the private parts share."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sk_softkmeans._blas import Limit
from sk_softkmeans._chunks import Chunks


@contextmanager
def chunked(X, sample_weight, n_clusters):
    """Give the chunks of X as `in_chunks` does, for the block of a with statement."""
    limit = Limit()
    try:
        limit.hold()
        with ThreadPoolExecutor(limit.n_threads) as executor:
            yield Chunks(X, sample_weight, n_clusters, limit, executor)
    finally:
        limit.release()
