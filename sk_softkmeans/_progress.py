"""The progress bar of the command."""

import sys
from contextlib import contextmanager, nullcontext
from threading import Timer

from sklearn.utils import gen_batches

try:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
except ImportError:
    Progress = None

# Work of fewer seconds has no bar.
_PATIENCE = 1.0


class Silence:
    """No bar: work that is not watched."""

    open = staticmethod(open)

    def __enter__(self):
        """Return what the work is told to use."""
        return self

    def __exit__(self, *error):
        """Do nothing."""

    def batches(self, n, size, name):
        """Return slices of n items."""
        return gen_batches(n, size)

    def fitting(self, estimator):
        """Return a context in which nothing is watched."""
        return nullcontext()


class Bar(Silence):
    """One line for each piece of work, on standard error, until all is done.

    Parameters
    ----------
    patience : float
        The seconds before anything is shown.
    """

    def __init__(self, patience=_PATIENCE):
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._start = Timer(patience, self._progress.start)
        self._start.daemon = True

    def __enter__(self):
        """Begin to wait."""
        self._start.start()
        return self

    def __exit__(self, *error):
        """Remove the lines."""
        self._start.cancel()
        self._start.join()
        if self._progress.live.is_started:
            self._progress.stop()

    def open(self, path, **options):
        """Open a file of text, whose reading moves the bar."""
        name = f"Reading {path.name}"
        return self._progress.open(path, "r", description=name, **options)

    def batches(self, n, size, name):
        """Return slices of n items; their work moves the bar."""
        task = self._progress.add_task(name, total=n)
        for rows in gen_batches(n, size):
            yield rows
            self._progress.update(task, completed=rows.stop)

    @contextmanager
    def fitting(self, estimator):
        """Count the iterations of a fit, whose number is not known before."""
        task = self._progress.add_task("Fitting", total=None)
        counter = IterationCounter(
            lambda n: self._progress.update(task, description=f"Fitting, iteration {n}")
        )
        # Before scikit-learn 1.9 nothing tells of them.
        watched = hasattr(estimator, "set_callbacks")
        if watched:
            estimator.set_callbacks(counter)
        try:
            yield
        finally:
            if watched:
                estimator.set_callbacks()
        self._progress.update(task, total=1, completed=1)


class IterationCounter:
    """A callback of scikit-learn that tells how many iterations have ended.

    Parameters
    ----------
    tell : callable
        It is given the number.
    """

    def __init__(self, tell):
        self._tell = tell
        self._n_iter = 0

    def setup(self, estimator, context):
        """Do nothing at the beginning of a fit."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing at the beginning of an iteration."""

    def on_fit_task_end(self, estimator, context):
        """Count an iteration."""
        if context.task_name == "iteration":
            self._n_iter += 1
            self._tell(self._n_iter)

    def teardown(self, estimator, context):
        """Do nothing at the end of a fit."""


def make_bar(quiet):
    """Return a bar if there is a terminal to show it, and the library for it."""
    shown = Progress and sys.stderr.isatty() and not quiet
    return Bar() if shown else Silence()
