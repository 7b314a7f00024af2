"""Fork, interrupt and overlap fits, 200 times each, and look for what they leave.

    python tests/stress_threads.py [--times 200]

After each of them BLAS has its threads, anybody can set them, fits have the bytes that
they have alone, and an estimator has the attributes of one fit: that before, or a whole
new one. Linux and macOS only (fork and interval timers).
"""

import argparse
import os
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController, threadpool_limits

from sk_softkmeans import SoftKMeans

BLAS = ThreadpoolController().select(user_api="blas")
N_THREADS = 2
RNG = np.random.default_rng(0)
# Several chunks.
X = RNG.normal(size=(20_000, 20))


def model():
    """Return an estimator whose fit takes some hundredths of a second."""
    return SoftKMeans(8, temperature=20.0, max_iter=3, tol=0, random_state=0)


def fitted_bytes(estimator=None):
    """Return the bytes of what a fit gives."""
    estimator = (estimator or model()).fit(X)
    return estimator.cluster_centers_.tobytes() + estimator.labels_.tobytes()


def n_threads():
    """Return the numbers of threads of all BLAS libraries."""
    return {library.num_threads for library in BLAS.lib_controllers}


def as_before():
    """Return what is wrong with the threads, in words, or None."""
    if n_threads() != {N_THREADS}:
        return f"BLAS has {n_threads()} threads"
    with ThreadPoolExecutor(1) as executor:

        def inside():
            with threadpool_limits(3, "blas"):
                return n_threads()

        if executor.submit(inside).result() != {3}:
            return "another thread cannot set limits"
    return None if n_threads() == {N_THREADS} else "a limit was not given back"


def fork(expected):
    """Fork while another thread fits, and fit in the child; return what is wrong."""
    stop = threading.Event()

    def keep_fitting():
        while not stop.is_set():
            model().fit(X)

    thread = threading.Thread(target=keep_fitting)
    thread.start()
    time.sleep(RNG.uniform(0, 0.05))
    child = os.fork()
    if not child:
        # A child that waits for ever is ended by this.
        signal.alarm(60)
        wrong = fitted_bytes() != expected or n_threads() != {N_THREADS}
        os._exit(1 if wrong else 0)
    _, status = os.waitpid(child, 0)
    stop.set()
    thread.join()
    return f"a child ended with status {status}" if status else None


def interrupt(expected):
    """Interrupt a second fit, and return what is wrong."""
    estimator = model().set_params(temperature=5.0).fit(X)
    estimator.set_params(temperature=20.0)
    before = dict(vars(estimator))

    def strike(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, strike)
    try:
        signal.setitimer(signal.ITIMER_REAL, RNG.uniform(1e-4, 0.05))
        estimator.fit(X)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    after = vars(estimator)
    changed = {name for name in before if after[name] is not before[name]}
    if after.keys() != before.keys():
        return f"attributes {sorted(after.keys() ^ before.keys())}"
    if (
        changed
        and estimator.cluster_centers_.tobytes() + (estimator.labels_.tobytes())
        != expected
    ):
        return f"attributes of two fits: {sorted(changed)} are new"
    return None


def overlap(expected):
    """Fit in several threads, within limits or none, and return what is wrong."""

    def work(delay):
        time.sleep(delay)
        return fitted_bytes() == expected

    within = int(RNG.choice([0, 1, 3]))
    with ThreadPoolExecutor(3) as executor:
        delays = RNG.uniform(0, 0.05, 6)
        if within:
            with threadpool_limits(within, "blas"):
                right = list(executor.map(work, delays))
        else:
            right = list(executor.map(work, delays))
    return None if all(right) else "other bytes"


def main():
    """Run all, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=200, help="(200)")
    times = parser.parse_args().times
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    BLAS.limit(limits=N_THREADS)
    # threadpoolctl 3.8 keeps in control whoever sets a limit for good.
    with threadpool_limits(N_THREADS, "blas"):
        pass
    expected, n_wrong = fitted_bytes(), 0
    for attempt in (fork, interrupt, overlap):
        start, found = time.perf_counter(), []
        for _ in range(times):
            for wrong in (attempt(expected), as_before()):
                if wrong:
                    found.append(wrong)
        seconds = time.perf_counter() - start
        n_wrong += len(found)
        print(f"{attempt.__name__}: {times} times in {seconds:.0f} s, wrong: {found}")
    sys.exit(min(n_wrong, 1))


if __name__ == "__main__":
    main()
