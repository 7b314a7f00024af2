"""One BLAS thread while anyone fits, and afterwards what there was, whoever sets it."""

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn import get_config, set_config
from sklearn.base import clone
from threadpoolctl import ThreadpoolController, threadpool_limits

from sk_softkmeans import SoftKMeans, _blas
from sk_softkmeans._blas import Limit, limited
from sk_softkmeans._chunks import in_chunks

BLAS = ThreadpoolController().select(user_api="blas")


def n_threads():
    """Return the numbers of threads of all BLAS libraries."""
    return [library.num_threads for library in BLAS.lib_controllers]


def in_thread(work):
    """Return ``work()``, called in another thread that ends then."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(work).result()


@pytest.fixture(autouse=True)
def as_before():
    """Begin with three threads, and let nobody leave another number or control."""
    with threadpool_limits(3, "blas"):
        pass
    with threadpool_limits(3, "blas"):
        yield
        assert set(n_threads()) == {3}
    # Who is not in control sets nothing, since threadpoolctl 3.8.
    assert in_thread(lambda: settable(2))


def settable(n):
    """Return whether this thread can set limits, and gets back what there was."""
    before = n_threads()
    with threadpool_limits(n, "blas"):
        inside = n_threads()
    return set(inside) == {n} and n_threads() == before


def test_blas_has_one_thread_inside_and_the_budget_is_given_back():
    assert limited(lambda limit: (n_threads(), limit.n_threads)) == (
        [1] * len(n_threads()),
        3,
    )
    assert set(n_threads()) == {3}


def test_an_error_inside_gives_the_budget_back():
    with pytest.raises(ZeroDivisionError):
        limited(lambda limit: 1 / 0)
    assert set(n_threads()) == {3}


def test_another_thread_can_fit_after_this_one():
    # In threadpoolctl 3.8 the first thread that set a limit kept control for ever.
    assert set(limited(lambda limit: n_threads())) == {1}
    assert in_thread(lambda: limited(lambda limit: set(n_threads()))) == {1}
    assert set(n_threads()) == {3}


@pytest.mark.parametrize("ends_in", ["this thread", "another"])
def test_the_last_one_out_gives_back_in_whichever_thread(ends_in):
    first, last = Limit(), Limit()
    in_thread(first.hold)
    last.hold()
    first.release()
    assert set(n_threads()) == {1}
    release = last.release
    release() if ends_in == "this thread" else in_thread(release)
    assert set(n_threads()) == {3}


def test_a_hold_is_released_once():
    first, other = Limit(), Limit()
    first.hold()
    other.hold()
    first.release()
    first.release()
    assert set(n_threads()) == {1}
    other.release()
    assert set(n_threads()) == {3}


def test_control_of_a_user_is_borrowed_and_returned():
    def fit():
        return limited(lambda limit: (set(n_threads()), limit.n_threads))

    with threadpool_limits(2, "blas"):
        assert in_thread(fit) == ({1}, 2)
        assert set(n_threads()) == {2}
        # It is still this thread that is in control.
        assert settable(4)


def test_a_user_can_leave_a_limit_while_others_fit():
    limit = Limit()
    with threadpool_limits(2, "blas"):
        in_thread(limit.hold)
        assert set(n_threads()) == {1}
    assert set(n_threads()) == {3}
    # The next pass sets it again, and the end gives back what the user had last.
    limit.hold()
    assert set(n_threads()) == {1}
    limit.release()
    assert set(n_threads()) == {3}


def test_each_pass_has_one_thread_whatever_others_set_meanwhile():
    X, seen = np.zeros((50_000, 2)), []

    def work(block, weights):
        seen.extend(n_threads())

    def passes(chunks):
        for _ in range(2):
            chunks.reduce(work, np.zeros(2), np.dtype(float))
            BLAS.limit(limits=4)

    in_chunks(X, np.ones(len(X)), 3, passes)
    assert set(seen) == {1}
    # What somebody set while nobody else could is theirs to set back.
    BLAS.limit(limits=3)
    getattr(_blas.OpenBLASController, "clear_controlling_thread", lambda **_: 0)(
        force=True
    )


def big_fit():
    """Return the bytes of the centers of a fit of several chunks."""
    X = np.random.default_rng(0).normal(size=(30_000, 20))
    model = SoftKMeans(16, temperature=1.0, max_iter=5, tol=0, random_state=0).fit(X)
    return model.cluster_centers_.tobytes()


@pytest.mark.filterwarnings("ignore:The centers still moved")
@pytest.mark.parametrize("around", [None, 1, 2, 4])
def test_fits_in_workers_have_the_same_bytes_within_any_limit(around):
    expected = big_fit()
    with threadpool_limits(around, "blas"), ThreadPoolExecutor(3) as executor:
        found = [executor.submit(big_fit) for _ in range(6)]
        assert {task.result() for task in found} == {expected}


def interrupted_at(work):
    """Give how often ``work()`` was interrupted, each time at a later place.

    Python looks for signals as functions begin and as those of C have returned.
    """
    settings = get_config()
    for place in range(100_000):
        left = place

        def strike(frame, event, arg):
            nonlocal left
            if event in ("call", "c_return"):
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt

        sys.setprofile(strike)
        try:
            work()
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
            # scikit-learn's own settings do not survive an interrupt of its contexts.
            set_config(**settings)
        if left >= 0:
            return
        yield place


def test_an_interrupt_anywhere_gives_the_budget_back():
    places = []
    for place in interrupted_at(lambda: limited(lambda limit: None)):
        places.append(place)
        assert set(n_threads()) == {3}
    assert len(places) > 30


# One that strikes as a generator of scikit-learn is closed is told of and forgotten.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_anywhere_leaves_the_earlier_fit():
    X = np.array([[0.0], [1.0], [5.0], [6.0]])
    model = SoftKMeans(2, temperature=1.0, init=X[:2], max_iter=2, tol=1e10).fit(X)
    before = dict(vars(model))
    other = clone(model).set_params(init=X[1:3]).fit(X + 1)
    places = []
    for place in interrupted_at(lambda: model.set_params(init=X[1:3]).fit(X + 1)):
        places.append(place)
        assert set(n_threads()) == {3}
        after = vars(model)
        assert after.keys() == before.keys()
        changed = {name for name in before if after[name] is not before[name]}
        # All or nothing.
        assert changed <= {"init"} or "cluster_centers_" in changed
        if "cluster_centers_" in changed:
            assert model.inertia_ == other.inertia_
            model.__dict__ = dict(before)
    assert len(places) > 1000


def test_without_a_blas_that_is_seen_the_budget_is_that_of_openmp(monkeypatch):
    monkeypatch.setattr(_blas, "_libraries", lambda: [])
    with threadpool_limits(2, "openmp"):
        assert limited(lambda limit: limit.n_threads) == min(2, joblib.cpu_count())
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    assert limited(lambda limit: limit.n_threads) == 1


def test_without_any_library_that_is_seen_joblib_counts(monkeypatch):
    class Nothing:
        lib_controllers = ()

        def select(self, user_api):
            return self

    monkeypatch.setattr(_blas, "_libraries", lambda: [])
    monkeypatch.setattr(_blas, "ThreadpoolController", Nothing)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 7)
    assert limited(lambda limit: limit.n_threads) == 7


def test_who_takes_control_meanwhile_keeps_it():
    limit, inside, go_on = Limit(), threading.Event(), threading.Event()
    limit.hold()
    # As a callable of the user may, in the thread of the fit.
    with threadpool_limits(1, "blas"):
        pass

    def other():
        with threadpool_limits(2, "blas"):
            inside.set()
            go_on.wait(10)
            return settable(4)

    with ThreadPoolExecutor(1) as executor:
        task = executor.submit(other)
        inside.wait(10)
        limit.release()
        go_on.set()
        assert task.result()
    # It had noted one thread.
    BLAS.limit(limits=3)
    with threadpool_limits(3, "blas"):
        pass


def run(code):
    """Return what a script prints that ends well."""
    preamble = """
        import atexit, os, sys, threading, time
        import numpy as np
        from threadpoolctl import ThreadpoolController, threadpool_limits
        from sk_softkmeans import SoftKMeans
        X = np.random.default_rng(0).normal(size=(30_000, 20))
        BLAS = ThreadpoolController().select(user_api="blas")
        BLAS.limit(limits=3)
        def n_threads():
            return {library.num_threads for library in BLAS.lib_controllers}
        def fit():
            model = SoftKMeans(8, temperature=50.0, tol=1.0, random_state=0)
            return model.fit(X).predict(X)
    """
    script = textwrap.dedent(preamble) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr, done.stderr
    return done.stdout.split()


def test_a_thread_that_outlives_the_main_one_can_fit_and_predict():
    code = """
        def late():
            threading.main_thread().join()
            print(fit().shape[0], n_threads())
        threading.Thread(target=late).start()
    """
    assert run(code) == ["30000", "{3}"]


def test_fit_and_predict_at_exit():
    assert run("atexit.register(lambda: print(fit().shape[0]))") == ["30000"]


needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system has no fork"
)


@needs_fork
def test_a_child_of_a_process_that_fits_is_free():
    code = """
        from sk_softkmeans._blas import Limit, _holders
        limit = Limit()
        holding = threading.Thread(target=limit.hold)
        holding.start(); holding.join()
        # Another thread is inside, and one is at the lock.
        locked, go_on = threading.Event(), threading.Event()
        def lock():
            with _holders._lock:
                locked.set()
                go_on.wait(.2)
        threading.Thread(target=lock).start()
        locked.wait()
        child = os.fork()
        if not child:
            print(n_threads(), fit().shape[0], n_threads(), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print(n_threads())
        limit.release()
        print(n_threads())
    """
    assert run(code) == ["{3}", "30000", "{3}", "{1}", "{3}"]


@needs_fork
def test_a_child_that_was_forked_inside_goes_on_inside():
    code = """
        from sk_softkmeans._blas import limited
        def work(limit):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
            print(n_threads(), flush=True)
            return child
        child = limited(work)
        print(n_threads(), flush=True)
        if not child:
            os._exit(0)
    """
    assert run(code) == ["{1}", "{3}", "{1}", "{3}"]


@pytest.mark.filterwarnings("ignore:The centers still moved")
def test_threads_that_cannot_start_leave_the_work_to_those_there_are(monkeypatch):
    expected = big_fit()

    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert big_fit() == expected
