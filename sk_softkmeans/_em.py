"""The loop: temperature, E-step, statistics, M-step, stopping test."""

from typing import NamedTuple

import numpy as np

from sk_softkmeans._distances import Centers
from sk_softkmeans._empty import relocate
from sk_softkmeans._steps import (
    Assignment,
    DenseStep,
    HardStep,
    m_step,
    precision,
)

# The largest ratio of two successive shifts that the stopping test believes.
_MAX_RATE = 0.999


class FitResult(NamedTuple):
    """One run; entry i of the histories belongs to the centers entering iteration i.

    `centers` are about the origin; `temperature` is theirs, for the final E-step.
    """

    centers: np.ndarray
    temperature: float
    free_energies: np.ndarray
    temperatures: np.ndarray
    converged: bool


def run(chunks, moments, centers, schedule, assignment, *, max_iter, tol, monitor):
    """Lower the free energy from initial centers, about the origin of `moments`.

    `schedule` gives the temperatures (see `_schedules`), `assignment` the memberships
    at positive ones. `tol` is relative to the mean variance of the features.
    """
    origin = moments.origin
    peak = max(moments.peak, (centers**2).sum(axis=1).max())
    hard = HardStep(chunks.X.shape[0])
    dense = DenseStep(assignment, with_distortion=schedule.learned)
    stopping = _StoppingTest(tol, moments.variance)
    temperature = schedule.first(lambda: hard_inertia(chunks, origin, centers))
    free_energies, temperatures = [], []
    reason = None

    for iteration in range(max_iter):
        monitor.begin_iteration()
        effective, dtype = precision(temperature, peak, chunks.X.dtype)
        step = dense if effective else hard
        entering = Centers(centers, origin, dtype)
        stats = step.reduce(chunks, entering, effective)
        free_energies.append(stats.value)
        temperatures.append(temperature)
        moved = relocate(chunks, stats, entering, effective, assignment)

        centers, old_centers = m_step(stats), centers
        shifts = ((centers - old_centers) ** 2).sum(axis=1)
        # From sum w p d about the old centers to the new: less by mass times squared
        # shift. A relocated center has its one sample at distance 0.
        gains = stats.mass * shifts
        gains[moved] = 0
        following = schedule.following(stats.distortion - gains.sum())
        drift = abs(following - temperature) / temperature if effective else 0.0
        temperature = following

        monitor.end_iteration(iteration, old_centers, stats.value, centers, temperature)
        reason = stopping.reason(step, np.sqrt(shifts.sum()), drift)
        if reason or monitor.stopped:
            break
    if reason:
        monitor.converged(iteration, reason)
    return FitResult(
        centers,
        temperature,
        np.array(free_energies),
        np.array(temperatures),
        reason is not None,
    )


class _StoppingTest:
    """KMeans's test in hard steps; in soft ones, of the distance that is left to go.

    Near a transition a small shift means slow, not close: if shifts go on shrinking
    at the rate of the last two, what is left to go is ``shift / (1 - rate)``.
    """

    def __init__(self, tol, variance):
        self._tol, self._tolerance = tol, tol * variance
        self._last = None

    def reason(self, step, shift, drift):
        """Return why the run has converged, or None."""
        if not step.changed:
            return "strict convergence"
        rate = 0.0
        if not step.hard:
            ratio = shift / self._last if self._last else np.inf
            rate = min(ratio, _MAX_RATE)
        self._last = shift
        left = (shift / (1 - rate)) ** 2
        if left <= self._tolerance and drift <= self._tol:
            return f"center shift {left} within tolerance {self._tolerance}"
        return None


def hard_inertia(chunks, origin, centers):
    """Return the weighted sum of squared distances to the nearest centers."""
    centers = Centers(centers, origin, chunks.X.dtype)

    def _inertia(block, weights):
        return weights @ Assignment(block, centers, 0.0, None).nearest

    return float(chunks.reduce(_inertia, origin, centers.dtype))
