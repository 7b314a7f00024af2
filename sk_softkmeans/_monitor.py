"""What a fit tells while it runs: verbose lines and scikit-learn callbacks."""


class Monitor:
    """One task per iteration under one per restart, and KMeans's lines.

    Parameters
    ----------
    estimator : estimator
        The callbacks that are set on it are called; without any, nothing is done.
    data : dict
        X, y and metadata, as callbacks receive them.
    n_init, max_iter : int
        The largest numbers of restarts and of iterations in each.
    describe : callable
        Of centers and a temperature, the fitted attributes: only called by callbacks
        that look at the model.
    inertia : callable
        Of centers, their inertia: only called by verbose.
    """

    def __init__(self, estimator, data, n_init, max_iter, describe, inertia):
        self._estimator, self._data = estimator, data
        self._max_iter, self._describe, self._inertia = max_iter, describe, inertia
        self._verbose = estimator.verbose
        self._fit = None
        self.stopped = False
        self._n_iter = 0
        if getattr(estimator, "_skl_callbacks", None):
            self._fit = estimator._init_callback_context(max_subtasks=n_init)
            self._begin(self._fit)

    def begin_restart(self):
        """Start a run from new centers."""
        self._n_iter = 0
        if self._verbose:
            print("Initialization complete")
        if self._fit:
            self._restart = self._begin(
                self._fit.subcontext("restart", max_subtasks=self._max_iter)
            )

    def begin_iteration(self):
        """Start an iteration."""
        if self._fit:
            self._iteration = self._begin(self._restart.subcontext("iteration"))

    def end_iteration(self, entering, free_energy, centers, temperature):
        """End an iteration; set `stopped` if a callback asks to stop."""
        if self._verbose:
            inertia, index = self._inertia(entering), self._n_iter
            print(f"Iteration {index}, inertia {inertia}, free energy {free_energy}.")
        self._n_iter += 1
        if self._fit:
            self.stopped |= self._end(
                self._iteration,
                reconstruction_attributes=lambda: self._describe(centers, temperature),
            )

    def end_restart(self, reason):
        """End a run, for a reason or None; set `stopped` if a callback asks to stop."""
        if self._verbose and reason:
            print(f"Converged at iteration {self._n_iter - 1}: {reason}.")
        if self._fit:
            self.stopped |= self._end(self._restart)

    def end(self):
        """End the fit."""
        if self._fit:
            self._end(self._fit)

    def _begin(self, context):
        context.call_on_fit_task_begin(estimator=self._estimator, **self._data)
        return context

    def _end(self, context, **attributes):
        return context.call_on_fit_task_end(
            estimator=self._estimator, **self._data, **attributes
        )


class Unwatched:
    """Told of iterations that are trials, whose results may be thrown away."""

    stopped = False

    def begin_iteration(self):
        """Do nothing."""

    def end_iteration(self, entering, free_energy, centers, temperature):
        """Do nothing."""


def callback_data(X, y, sample_weight):
    """Return what callbacks receive of the data.

    Without y, X is its own target: ScoringMonitor scores only where a y is given.
    """
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    return {"X": X, "y": X if y is None else y, "metadata": metadata}
