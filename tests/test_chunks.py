"""Chunks: their plan, their sum and its bytes for any number of threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from helpers import chunked
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import make_blobs
from threadpoolctl import threadpool_info, threadpool_limits

from sk_softkmeans._chunks import even_slices, plan

FLOAT64 = np.dtype(np.float64)


@pytest.mark.parametrize("shape", [(1, 1), (255, 3), (40_000, 2), (9_000, 700)])
@pytest.mark.parametrize("n_clusters", [1, 64, 5000])
def test_plan_covers_every_row_once(shape, n_clusters, dtype):
    X = np.broadcast_to(np.zeros(1, dtype), shape)
    slices = plan(X, n_clusters)
    rows = np.concatenate([np.arange(shape[0])[s] for s in slices])
    assert_array_equal(rows, np.arange(shape[0]))
    lengths = [s.stop - s.start for s in slices]
    assert set(lengths[:-1]) <= {max(lengths)}
    row = max(n_clusters, shape[1]) * X.itemsize
    assert max(lengths) * row <= max(2**21, 256 * row)


def test_plan_of_sparse_rows_ignores_the_number_of_features():
    X = csr_array((20_000, 100_000))
    assert len(plan(X, 8)) == 4


def sum_rows(X, limit):
    """Return the sum of the rows and which rows were seen."""
    seen = np.zeros(len(X), dtype=int)

    def work(block, weights):
        seen[block.rows] += 1
        return weights @ block.x

    with threadpool_limits(limit, "blas"):
        before = threadpool_info()
        with chunked(X, np.ones(len(X)), 3) as chunks:
            total = chunks.reduce(work, np.zeros(X.shape[1]), FLOAT64)
        assert threadpool_info() == before
    return total, seen


def test_reduce_has_the_same_bytes_for_any_number_of_threads():
    X = np.random.default_rng(0).normal(size=(50_000, 3))
    expected, seen = sum_rows(X, 1)
    assert (seen == 1).all()
    for limit in (2, 3, 4):
        total, seen = sum_rows(X, limit)
        assert (seen == 1).all()
        assert total.tobytes() == expected.tobytes()


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 1000, 12_345])
def test_even_slices_cover_everything_once(n, size):
    slices = even_slices(n, size)
    everything = np.concatenate([np.arange(n)[s] for s in slices])
    assert_array_equal(everything, np.arange(n))
    lengths = [s.stop - s.start for s in slices]
    assert max(lengths) <= size
    assert set(lengths[:-1]) <= {max(lengths)}


@pytest.mark.parametrize(("n", "size", "expected"), [(9, 9, 1), (1000, 100, 12)])
def test_two_or_four_threads_have_the_same_number_of_slices(n, size, expected):
    assert len(even_slices(n, size)) == expected


def test_other_parts_are_summed_in_their_order():
    X = np.random.default_rng(0).normal(size=(50_000, 3))
    order = np.random.default_rng(1).permutation(50_000)
    parts = np.array_split(order, 23)

    def work(block, rows):
        block.gather(rows)
        return [block.x.sum()]

    for limit in (1, 2):
        with threadpool_limits(limit, "blas"), chunked(X, np.ones(50_000), 3) as chunks:
            sums = chunks.reduce_parts(work, parts, np.zeros(3), FLOAT64)
        assert_array_equal(sums, [X[rows].sum() for rows in parts])


@pytest.mark.parametrize("failing_row", [0, 49_999])
def test_an_error_in_a_chunk_comes_out(failing_row):
    X = np.zeros((50_000, 2))

    def work(block, weights):
        if block.rows.start <= failing_row < block.rows.stop:
            raise RuntimeError("in a chunk")

    with (
        pytest.raises(RuntimeError, match="in a chunk"),
        chunked(X, np.ones(len(X)), 3) as chunks,
    ):
        chunks.reduce(work, np.zeros(2), FLOAT64)


def fitted_bytes(estimator_class, X, params, limit):
    """Return all fitted attributes as bytes, of a fit within a thread budget."""
    with threadpool_limits(limit):
        model = estimator_class(7, **params, random_state=0).fit(X)
    return {k: np.asarray(v).tobytes() for k, v in vars(model).items() if k[-1] == "_"}


@pytest.fixture(scope="module")
def many_blobs():
    """Return enough samples for several chunks."""
    return make_blobs(40_000, 5, centers=7, random_state=0)[0]


@pytest.mark.temperatures(0, 1.0, "auto", "solved")
@pytest.mark.parametrize("container", [np.array, csr_array], ids=["dense", "csr"])
def test_fit_has_the_same_bytes_for_any_number_of_threads(
    estimator_class, temperature, container, dtype, many_blobs, at
):
    X, params = container(many_blobs.astype(dtype)), at(temperature)
    expected = fitted_bytes(estimator_class, X, params, 1)
    for limit in (2, 3, 4):
        assert fitted_bytes(estimator_class, X, params, limit) == expected


@pytest.mark.temperatures(1.0, "solved")
def test_fit_has_the_same_bytes_in_a_worker(
    estimator_class, temperature, many_blobs, at
):
    params = at(temperature)
    [there] = joblib.Parallel(n_jobs=2, backend="loky")(
        [joblib.delayed(fitted_bytes)(estimator_class, many_blobs, params, None)]
    )
    assert there == fitted_bytes(estimator_class, many_blobs, params, None)


def test_the_budget_is_that_of_blas():
    # One thread allowed: the work is done by the calling thread alone.
    names = set()

    def work(block, weights):
        names.add(threading.current_thread().name)

    with (
        threadpool_limits(1, "blas"),
        chunked(np.zeros((50_000, 2)), np.ones(50_000), 3) as chunks,
    ):
        chunks.reduce(work, np.zeros(2), FLOAT64)
    assert names == {threading.current_thread().name}


@pytest.mark.temperatures(0, "solved")
def test_fits_in_threads_of_the_caller_have_the_same_bytes(
    estimator_class, temperature, many_blobs, at
):
    budget = [library["num_threads"] for library in threadpool_info()]
    expected = fitted_bytes(estimator_class, many_blobs, at(temperature), None)
    with ThreadPoolExecutor(4) as executor:
        tasks = [
            executor.submit(
                estimator_class(7, **at(temperature), random_state=0).fit, many_blobs
            )
            for _ in range(4)
        ]
    for task in tasks:
        centers = task.result().cluster_centers_
        assert centers.tobytes() == expected["cluster_centers_"]
    assert [library["num_threads"] for library in threadpool_info()] == budget
