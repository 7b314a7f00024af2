"""The loop: temperature, E-step, statistics, M-step, stopping test."""

from typing import NamedTuple

import numpy as np

from sk_softkmeans._distances import Centers
from sk_softkmeans._empty import relocate
from sk_softkmeans._steps import Assignment, m_step, precision

# The largest ratio of two successive shifts that the stopping test believes.
_MAX_RATE = 0.999


class FitResult(NamedTuple):
    """One run; entry i of the histories belongs to the centers entering iteration i.

    `centers` are about the origin; `temperature` is theirs, for the final E-step.
    `reason` says why it has converged, None if it has not, and `path` tells of the
    temperatures of an annealed run.
    """

    centers: np.ndarray
    temperature: float
    free_energies: np.ndarray
    temperatures: np.ndarray
    reason: str | None
    path: np.recarray | None = None


class Means:
    """Expectation-maximisation: the next centers are the weighted means."""

    def advance(self, centers, stats):
        """Return the centers after those of an E-step."""
        return m_step(stats)

    def settle(self, centers):
        """Return the centers that a run ends with."""
        return centers


def enter(chunks, moments, centers, temperature):
    """Return the temperature to compute with, and the centers ready for a pass."""
    peak = max(moments.peak, (centers**2).sum(axis=1).max())
    effective, dtype = precision(temperature, peak, chunks.X.dtype)
    return effective, Centers(centers, moments.origin, dtype)


def run(
    chunks, moments, centers, schedule, steps, *, max_iter, tol, monitor, update=None
):
    """Lower the free energy from initial centers, about the origin of `moments`.

    `schedule` gives the temperatures (see `_schedules`), `steps` the memberships and
    `update` the centers after them: `Means` if None. `tol` is relative to the mean
    variance of the features.
    """
    origin, update = moments.origin, update or Means()
    steps.hard.begin()
    stopping = _StoppingTest(tol, moments.variance)
    temperature = schedule.first(lambda: hard_inertia(chunks, origin, centers))
    free_energies, temperatures = [], []
    reason = None

    for _ in range(max_iter):
        monitor.begin_iteration()
        effective, entering = enter(chunks, moments, centers, temperature)
        step = steps.soft if effective else steps.hard
        stats = step.reduce(chunks, entering, effective)
        free_energies.append(stats.value)
        temperatures.append(temperature)
        moved = relocate(chunks, stats, entering, effective, steps.assignment)

        centers, old_centers = update.advance(centers, stats), centers
        shifts = ((centers - old_centers) ** 2).sum(axis=1)
        # From sum w p d about the old centers to the new: less by mass times squared
        # shift. A relocated center has its one sample at distance 0.
        gains = stats.mass * shifts
        gains[moved] = 0
        following = schedule.following(stats.distortion - gains.sum())
        drift = abs(following - temperature) / temperature if effective else 0.0
        temperature = following

        monitor.end_iteration(old_centers, stats.value, centers, temperature)
        reason = stopping.reason(step, np.sqrt(shifts.sum()), drift)
        if reason or monitor.stopped:
            break
    return FitResult(
        update.settle(centers),
        temperature,
        np.array(free_energies),
        np.array(temperatures),
        reason,
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
