"""Annealing: a run at each of falling temperatures, and moves of centers in between."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array  # codespell:ignore coo
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from sk_softkmeans._acceleration import NOISE
from sk_softkmeans._em import FitResult, enter, run
from sk_softkmeans._empty import relocate
from sk_softkmeans._monitor import Unwatched
from sk_softkmeans._relocation import Relocation, halve
from sk_softkmeans._schedules import Constant
from sk_softkmeans._steps import Assignment, Stats, m_step

# The iterations after a move, before it is judged. (doc/benchmarks/bench_constants.py
# varies this and the others.)
_TRIAL = 3
# The share of its largest value below which the entropy ends the cooling: memberships
# are then nearly hard. Ties keep it up, but not its part of the free energy.
_HARD_ENTROPY, _HARD_ENERGY = 1.5e-2, 1e-4
# Centers closer than this coincide, in units of the deviation of the samples, and are
# set apart by that share of the distance between the halves of what they hold.
_COINCIDENT, _APART = 1e-3, 0.1
# What is told of each temperature, apart from the centers.
_COLUMNS = [
    ("temperature", float),
    ("free_energy", float),
    ("inertia", float),
    ("entropy", float),
    ("n_iter", int),
    ("n_trial_iter", int),
    ("n_relocated", int),
    ("n_distinct", int),
]
# A fall of the free energy that is told from rounding.
_FALL = 1e-9


class State(NamedTuple):
    """Centers about the origin, appraised at a temperature.

    `labels` are the nearest centers of the samples, and `costs` what removing each
    center would add to the inertia of its samples. `following` are the weighted means
    that the memberships lead to. `dtype` is what to compute in.
    """

    centers: np.ndarray
    temperature: float
    labels: np.ndarray
    costs: np.ndarray
    free_energy: float
    inertia: float
    entropy: float
    following: np.ndarray
    origin: np.ndarray
    dtype: np.dtype


@dataclass(slots=True)
class _Appraisal:
    """The additive part of a `State`."""

    stats: Stats
    costs: np.ndarray
    inertia: float

    def __iadd__(self, other):
        self.stats += other.stats
        self.costs += other.costs
        self.inertia += other.inertia
        return self


def appraise(chunks, moments, centers, temperature, steps):
    """Return the `State` of centers, by one pass."""
    entering, hard = enter(chunks, moments, centers, temperature)
    effective = 0.0 if hard else temperature
    assignment, n_clusters = steps.assignment, len(centers)
    labels = np.empty(chunks.X.shape[0], dtype=np.int32)
    uniform = assignment.uniform(n_clusters)

    def _work(block, weights):
        read = Assignment(block, entering, effective, assignment, weights)
        labels[block.rows] = read.labels
        costs = np.bincount(read.labels, weights * read.gap, n_clusters)
        inertia = steps.soft.inertia(block, weights, read.top)
        value = weights @ read.value
        excess = weights @ read.excess()
        stats = Stats(
            *read.sums(),
            inertia + effective * value,
            value - excess + uniform * weights.sum() if effective else 0.0,
            inertia + effective * excess,
        )
        return _Appraisal(stats, costs, inertia)

    total = chunks.reduce(_work, entering.origin, entering.dtype)
    free_energy, entropy = total.stats.value, max(-total.stats.omega, 0.0)
    own = labels if hard else None
    relocate(chunks, total.stats, entering, effective, assignment, labels=own)
    return State(
        centers,
        temperature,
        labels,
        total.costs,
        free_energy,
        total.inertia,
        entropy,
        m_step(total.stats),
        moments.origin,
        moments.dtype,
    )


class Annealer:
    """Follows the free energy down a schedule of falling temperatures.

    Parameters
    ----------
    chunks : Chunks
        The samples.
    moments : Moments
        Their moments.
    steps : Steps
        The steps of the map.
    solver : object
        What lowers the loss at a positive temperature (see `_solvers`).
    relocate : bool
        Whether centers move between temperatures.
    n_each, n_last : int
        The largest numbers of iterations at each temperature, and at the last one.
    tol : float
        The tolerance of the runs.
    monitor : Monitor
        Told of every iteration.
    """

    def __init__(
        self, chunks, moments, steps, solver, *, relocate, n_each, n_last, tol, monitor
    ):
        self._chunks, self._moments, self._steps = chunks, moments, steps
        self._solver, self._relocate = solver, relocate
        self._n_each, self._n_last = n_each, n_last
        self._tol, self._monitor = tol, monitor

    def __call__(self, centers, schedule):
        """Return the result from initial centers, with the path to it."""
        path, tol = _Path(self._moments), self._tol
        moves = Relocation(self._chunks, len(centers)) if self._relocate else None
        for temperature in schedule:
            result = self._solve(centers, temperature, self._n_each - 1, self._monitor)
            if self._monitor.stopped:
                state = self._appraise(result.centers, temperature)
                return path.end(state, result._replace(reason=None))
            self._monitor.begin_iteration()
            state = self._appraise(result.centers, temperature)
            hard = schedule.until_hard and self._is_hard(state)
            state = self._improve(state, moves, path)
            path.add(state, [*result.free_energies, state.free_energy])
            centers = self._solver.following(state)
            self._monitor.end_iteration(
                state.centers, state.free_energy, centers, temperature
            )
            if self._monitor.stopped:
                return path.end(None, result._replace(centers=centers, reason=None))
            if hard:
                break
        if schedule.last and (moves or self._coincide(centers)):
            state = self._appraise(centers, schedule.last)
            centers = self._improve(state, moves, path, self._n_last).centers
        if path and not schedule.last:
            # Hard after annealing: to the fixed point, which is near.
            tol = 0.0
        result = self._finish(centers, schedule.last, tol)
        return path.end(self._appraise(result.centers, schedule.last), result)

    def _solve(self, centers, temperature, max_iter, monitor):
        if max_iter == 0:
            return FitResult(centers, temperature, np.empty(0), np.empty(0), None)
        return self._solver.solve(
            self._chunks,
            self._moments,
            centers,
            temperature,
            self._steps,
            max_iter=max_iter,
            tol=self._tol,
            monitor=monitor,
        )

    def _appraise(self, centers, temperature):
        return appraise(self._chunks, self._moments, centers, temperature, self._steps)

    def _finish(self, centers, temperature, tol):
        if temperature:
            return self._solve(centers, temperature, self._n_last, self._monitor)
        return run(
            self._chunks,
            self._moments,
            centers,
            Constant(0.0),
            self._steps,
            max_iter=self._n_last,
            tol=tol,
            monitor=self._monitor,
        )

    def _improve(self, state, moves, path, n_apart=_TRIAL - 1):
        """Set coinciding centers apart, and move centers, where that helps.

        The first is judged after `n_apart` iterations and one more.
        """

        def attempt(centers, max_iter=_TRIAL - 1):
            result = self._solve(centers, state.temperature, max_iter, Unwatched())
            path.n_trial_iter += len(result.free_energies) + 1
            return self._appraise(result.centers, state.temperature)

        if self._coincide(state.centers):
            apart = set_apart(self._chunks, self._moments, state)
            trial = attempt(apart, n_apart)
            if trial.free_energy < (1 - _FALL) * state.free_energy:
                state = trial
        if moves:
            state, n_moved = moves.improve(state, attempt)
            path.n_moved += n_moved
        return state

    def _coincide(self, centers):
        return n_distinct(centers, self._moments) < len(centers)

    def _is_hard(self, state):
        """Return whether cooling further is no use.

        Memberships are nearly hard then, or the samples are where centers are, of which
        some may coincide.
        """
        uniform = self._steps.assignment.uniform(len(state.centers))
        eps = float(np.finfo(self._chunks.X.dtype).eps)
        return (
            state.inertia <= NOISE * eps * self._moments.scatter
            or state.entropy <= _HARD_ENTROPY * -uniform * self._moments.weight
            or state.temperature * state.entropy <= _HARD_ENERGY * state.inertia
        )


def groups(centers, moments):
    """Return for each center the number of its group, which it coincides with."""
    limit = _COINCIDENT * np.sqrt(moments.scatter / moments.weight)
    first, second = KDTree(centers).query_pairs(limit, output_type="ndarray").T
    if not len(first):
        return np.arange(len(centers))
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(centers),) * 2)
    return connected_components(graph, directed=False)[1]


def n_distinct(centers, moments):
    """Return the number of centers that do not coincide."""
    return groups(centers, moments).max() + 1


def set_apart(chunks, moments, state):
    """Return the centers, those of a group in a row along its longest axis."""
    direction = np.random.RandomState(0).standard_normal(state.centers.shape[1])
    halves = halve(chunks, state, direction)
    centers, group = state.centers.copy(), groups(state.centers, moments)
    for number in np.flatnonzero(np.bincount(group) > 1):
        members = np.flatnonzero(group == number)
        # The group's samples are those of the first: ties go to the lowest index.
        reach = _APART * (halves.second - halves.first)[members].sum(axis=0)
        centers[members] += np.linspace(-1, 1, len(members))[:, np.newaxis] * reach
    return centers


class _Path:
    """What is told of a run, temperature by temperature."""

    def __init__(self, moments):
        self._moments = moments
        self._rows, self._free_energies, self._temperatures = [], [], []
        self.n_moved = self.n_trial_iter = 0

    def __len__(self):
        return len(self._rows)

    def add(self, state, free_energies):
        """End a temperature, with the state there and the history that led to it.

        At all but the last, the appraisal is an iteration of its own.
        """
        self._free_energies += free_energies
        self._temperatures += [state.temperature] * len(free_energies)
        self._rows.append(
            (
                state.temperature,
                state.free_energy,
                state.inertia,
                state.entropy,
                len(free_energies),
                self.n_trial_iter,
                self.n_moved,
                n_distinct(state.centers, self._moments),
                state.centers + self._moments.origin,
            )
        )
        self.n_moved = self.n_trial_iter = 0

    def end(self, state, result):
        """Add the last run, and return its result as that of all of them."""
        if state:
            self.add(state, list(result.free_energies))
        centers = self._moments.origin.dtype, result.centers.shape
        columns = [*_COLUMNS, ("centers", *centers)]
        return result._replace(
            free_energies=np.array(self._free_energies),
            temperatures=np.array(self._temperatures),
            path=np.array(self._rows, dtype=columns).view(np.recarray),
        )
