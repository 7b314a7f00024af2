"""The loop: temperature, E-step, statistics, M-step, stopping test."""

from functools import partial
from typing import NamedTuple

import numpy as np

from sk_softkmeans._acceleration import NOISE, Anderson, Point
from sk_softkmeans._distances import Centers
from sk_softkmeans._empty import relocate
from sk_softkmeans._steps import Assignment, Stats, is_hard, precision


class FitResult(NamedTuple):
    """One run; entry i of the histories belongs to the centers entering iteration i.

    `centers` are about the origin; `temperature` is theirs, for the final E-step.
    `reason` says why it has converged, None if it has not, `path` tells of the
    temperatures of an annealed run, and `objectives` is the history of what the
    iterations lower.
    """

    centers: np.ndarray
    temperature: float
    free_energies: np.ndarray
    temperatures: np.ndarray
    reason: str | None
    path: np.recarray | None = None
    objectives: np.ndarray | None = None

    def then(self, other):
        """Return the result of this run and another one, which went on from its end."""
        names = ("free_energies", "temperatures", "objectives")
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        joined = {name: np.concatenate(pair) for name, pair in pairs.items()}
        return other._replace(**joined)


def enter(chunks, moments, centers, temperature):
    """Return the centers ready for a pass, and whether it is a hard one."""
    peak = max(moments.peak, (centers**2).sum(axis=1).max())
    hard = is_hard(temperature, peak, chunks.X.dtype)
    dtype = precision(0.0 if hard else temperature, peak, moments.dtype)
    return Centers(centers, moments.origin, dtype, peak=peak), hard


class Expectation(NamedTuple):
    """An E-step: its kind, its centers, the temperature it computed with, its sums."""

    step: object
    entering: Centers
    effective: float
    stats: Stats


def expectation(chunks, moments, steps, centers, temperature):
    """Return the `Expectation` of centers at a temperature."""
    entering, hard = enter(chunks, moments, centers, temperature)
    step, effective = (steps.hard, 0.0) if hard else (steps.soft, temperature)
    return Expectation(
        step, entering, effective, step.reduce(chunks, entering, effective)
    )


def run(
    chunks,
    moments,
    centers,
    schedule,
    steps,
    *,
    max_iter,
    tol,
    monitor,
    first=None,
    update=None,
):
    """Lower the objective of `schedule` from initial centers, about the origin.

    `schedule` gives the temperatures (see `_schedules`) after `first`, or all of them
    if that is None, `steps` the memberships and `update` the centers after them: by
    `Anderson` acceleration if None. `tol` is relative to the mean variance of the
    features.
    """
    update = update or Anderson(moments, chunks.X.dtype, tol)
    steps.hard.begin()
    stopping = _StoppingTest(tol, moments.variance, chunks.X.dtype)
    if first is None:
        first = schedule.first(lambda: hard_inertia(chunks, moments, centers))
    point = image = Point(centers, first)
    free_energies, temperatures, objectives = [], [], []
    reason = None

    def _evaluate():
        at = partial(expectation, chunks, moments, steps, point.centers)
        temperature, found = schedule.expect(at, point.temperature)
        objective = schedule.objective(found.stats, temperature)
        scale = abs(found.stats.value) + moments.scatter
        if schedule.learned and temperature:
            scale /= temperature
        return temperature, found, objective, scale

    for _ in range(max_iter):
        monitor.begin_iteration()
        temperature, found, objective, scale = _evaluate()
        while not update.keeps(objective, scale):
            point = image
            temperature, found, objective, scale = _evaluate()
        step, entering, effective, stats = found
        objectives.append(objective)
        free_energies.append(stats.value)
        temperatures.append(temperature)
        labels = step.labels if step.hard else None
        found = entering, effective, steps.assignment, step.sees_all, labels
        moved = relocate(chunks, stats, *found)

        point, guess = Point(point.centers, temperature), point.temperature
        means = update.means(point.centers, stats)
        shifts = ((means - point.centers) ** 2).sum(axis=1)
        # From sum w p d about the old centers to the new: less by mass times squared
        # shift. A relocated center has its one sample at distance 0.
        gains = stats.mass * shifts
        gains[moved] = 0
        following = schedule.following(temperature, stats.distortion - gains.sum())
        drift = schedule.drift(guess, following)
        image = Point(means, following)

        monitor.end_iteration(point.centers, stats.value, *image)
        if step.hard or len(moved):
            update.forget()
        if step.hard:
            left, point = np.sqrt(shifts.sum()), image
        else:
            heat = schedule.heat(temperature)
            left, point = update.advance(point, image, stats, heat)
        reason = stopping.reason(step, left, drift)
        if reason or monitor.stopped:
            break
    return FitResult(
        update.settle(image.centers),
        image.temperature,
        np.array(free_energies),
        np.array(temperatures),
        reason,
        objectives=np.array(objectives),
    )


class _StoppingTest:
    """KMeans's test, of the distance that is estimated to be left to go.

    Near a transition a small shift means slow, not close.
    """

    def __init__(self, tol, variance, dtype):
        self._distance = np.sqrt(tol * variance)
        self._drift = max(tol, NOISE * float(np.finfo(dtype).eps))

    def reason(self, step, left, drift):
        """Return why the run has converged, or None."""
        if not step.changed:
            return "strict convergence"
        if left <= self._distance and drift <= self._drift:
            return f"center shift {left**2} within tolerance {self._distance**2}"
        return None


def hard_inertia(chunks, moments, centers, labels=None):
    """Return the weighted sum of squared distances to the nearest centers.

    These are written to `labels`, if there is such an array.
    """
    centers = Centers(centers, moments.origin, moments.dtype)

    def _inertia(block, weights):
        read = Assignment(block, centers, 0.0, None)
        if labels is not None:
            labels[block.rows] = read.labels
        return weights @ read.nearest

    return float(chunks.reduce(_inertia, centers.origin, centers.dtype))
