"""BLAS at one thread while anyone computes in chunks, and what it had before, after.

The limit is one of the process, and fits in several threads overlap: the first one in
notes the budget, and the last one out gives it back, in whichever thread that is. All
that is done can be done again: a call that an interrupt cuts short is made good by the
next one.
"""

import os
from functools import cache
from threading import RLock, current_thread, get_ident

import joblib
from threadpoolctl import OpenBLASController, ThreadpoolController


def limited(work):
    """Return ``work(limit)``, where `limit` is held until it returns or raises."""
    limit = Limit()
    try:
        try:
            limit.hold()
            return work(limit)
        finally:
            limit.release()
    finally:
        # An interrupt may strike as the first call begins.
        limit.release()


class Limit:
    """A hold on BLAS at one thread.

    Attributes
    ----------
    n_threads : int
        How many threads BLAS had before: they are the holder's to use.
    """

    n_threads = None

    def hold(self):
        """Set BLAS to one thread, also if someone has set another number meanwhile."""
        budget = _holders.add(self)
        if self.n_threads is None:
            self.n_threads = budget or _unseen_budget()

    def release(self):
        """Give BLAS its threads back, if this is the last hold."""
        _holders.remove(self)


class _Holders:
    """Who holds the limit, and what to do when nobody does any longer."""

    def __init__(self):
        self._begin()
        if hasattr(os, "register_at_fork"):
            # A child has but one thread, and must not have a lock that another held.
            os.register_at_fork(
                before=lambda: self._lock.acquire(),
                after_in_parent=lambda: self._lock.release(),
                after_in_child=self._begin_in_child,
            )

    def _begin(self):
        # `_threads` has the thread of each hold, `_budgets` the numbers of threads
        # that libraries had, `_taker` the thread that took control which nobody had.
        self._lock, self._threads, self._budgets = RLock(), {}, {}
        self._taker = None

    def _begin_in_child(self):
        threads, budgets, taker = self._threads, self._budgets, self._taker
        self._begin()
        own = {
            hold: thread for hold, thread in threads.items() if thread == get_ident()
        }
        self._threads, self._budgets, self._taker = own, budgets, taker
        self._restore_if_free()

    def add(self, hold):
        """Add a hold, and return the budget, 0 where no BLAS is seen."""
        with self._lock:
            self._threads[hold] = get_ident()
            libraries = _libraries()
            several = {library: library.num_threads for library in libraries}
            several = {library: n for library, n in several.items() if n != 1}
            for library, n in several.items():
                self._budgets[library] = max(n, self._budgets.get(library, 1))
            if several:
                self._set(dict.fromkeys(several, 1))
            return max(self._budgets.values(), default=min(len(libraries), 1))

    def remove(self, hold):
        """Remove a hold, if it is there."""
        with self._lock:
            self._threads.pop(hold, None)
            self._restore_if_free()

    def _restore_if_free(self):
        if self._threads:
            return
        # What is no longer 1 was set by someone else since.
        budgets = {
            library: n
            for library, n in self._budgets.items()
            if library.num_threads == 1
        }
        if budgets:
            self._set(budgets)
        self._budgets = {}
        control = _control()
        # Who took control meanwhile, when the taker had given it away, keeps it.
        if self._taker and control.controlling_thread is self._taker:
            OpenBLASController.clear_controlling_thread(force=True)
        self._taker = None

    def _set(self, numbers):
        """Set numbers of threads, although another thread may be in control.

        Since threadpoolctl 3.8 one thread is, from when it sets a number until it gives
        control back, and what others set is ignored. Nobody's control is taken by this
        thread for the time of all holds, so that nobody sets another number; that of
        a thread which has it is borrowed, and it can give back what it has set.
        """
        control = _control()
        owner = control and control.controlling_thread
        if control and not (owner and owner.is_alive()):
            owner, self._taker = None, current_thread()
        try:
            if owner:
                OpenBLASController.clear_controlling_thread(force=True)
            for library, n in numbers.items():
                library.set_num_threads(n)
        finally:
            if owner:
                with control.lock:
                    control.controlling_thread = owner


_holders = _Holders()


def _control():
    """Return what says which thread is in control; None before threadpoolctl 3.8."""
    return getattr(OpenBLASController, "_SHARED_STATE", None)


@cache
def _libraries():
    """Return what controls each BLAS; making it takes longer than a small fit."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _unseen_budget():
    """Return how many threads to use where no BLAS is seen, as on macOS (Accelerate).

    These are the processors that joblib counts (`LOKY_MAX_CPU_COUNT` lowers them), but
    not more than OpenMP is allowed: by `OMP_NUM_THREADS`, by `threadpool_limits`, or
    in joblib's workers.
    """
    openmp = ThreadpoolController().select(user_api="openmp").lib_controllers
    return min([joblib.cpu_count(), *(library.num_threads for library in openmp)])
