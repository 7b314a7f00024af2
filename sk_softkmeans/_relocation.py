"""Moves of centers between temperatures: from where they do little to where they help.

Annealing keeps wrong allocations (two centers in one cluster, one on two), since no
small step mends them. A move takes a center away and puts two where one cluster was.
"""

from typing import NamedTuple

import numpy as np

# Of the moves whose gain, times this, exceeds their cost, the best are tried: the gain
# and the cost are those before the neighbours adapt, and so too small and too large.
# Each failure lowers it by a factor, until a move is kept.
_PROMISE, _LESS = 3.0, 0.95
# The share of the centers that move together at first, halved by each failure.
_BATCH = 0.25
# The failures that end the moves at a temperature.
_FAILURES = 3
# Passes towards the longest axis of each cluster, and of 2-means from its halves.
_AXIS_PASSES, _MEANS_PASSES = 2, 2
# The relative fall of the free energy for which a move is kept.
_MARGIN = 1e-5


class Halves(NamedTuple):
    """The 2-means of each cluster, and by how much they lower its inertia."""

    gains: np.ndarray
    first: np.ndarray
    second: np.ndarray


class Relocation:
    """The moves of a run, and what it remembers of those that failed.

    Parameters
    ----------
    chunks : Chunks
        The samples.
    n_clusters : int
        The number of centers.
    """

    def __init__(self, chunks, n_clusters):
        self._chunks = chunks
        self._batch = max(1, int(_BATCH * n_clusters))
        self._promise = _PROMISE
        # Always the same directions: all that is random in a fit is its seeding.
        self._random = np.random.RandomState(0)
        # Pairs of a removed center and a split cluster that were tried alone.
        self._failed = set()
        self._settled = n_clusters == 1

    def improve(self, state, attempt):
        """Try moves at a temperature, and keep those that lower the free energy.

        Parameters
        ----------
        state : State
            The centers, appraised at a temperature.
        attempt : callable
            Of centers, the `State` some iterations later.

        Returns
        -------
        state : State
            The last one that a move was kept for, or the one given.
        n_kept : int
            The number of centers that moved.
        """
        n_kept = n_failures = 0
        halves = None
        while n_failures < _FAILURES and not self._settled:
            halves = halves or self._halve(state)
            removed, split = self._propose(state, halves)
            if not removed:
                # Colder temperatures promise no more.
                self._settled = True
                break
            centers = state.centers.copy()
            centers[removed], centers[split] = halves.first[split], halves.second[split]
            trial = attempt(centers)
            if trial.free_energy < (1 - _MARGIN) * state.free_energy:
                state, halves, n_kept = trial, None, n_kept + len(removed)
                self._failed.clear()
                self._promise = _PROMISE
            else:
                n_failures += 1
                self._promise *= _LESS
                if len(removed) == 1:
                    self._failed.add((removed[0], split[0]))
                self._batch = max(1, min(self._batch, len(removed)) // 2)
        return state, n_kept

    def _halve(self, state):
        direction = self._random.standard_normal(state.centers.shape[1])
        return halve(self._chunks, state, direction)

    def _propose(self, state, halves):
        """Return the centers to remove and the clusters to split, the best first.

        A cluster takes part in one move at a time, and the nearest neighbour of a
        removed center in none: it takes over what that leaves.
        """
        by_gain = _ranked(-halves.gains)
        removed, split, busy = [], [], set()
        for center in _ranked(state.costs):
            if len(removed) == self._batch:
                break
            if center in busy:
                continue
            free = (k for k in by_gain if k != center and k not in busy)
            best = next((k for k in free if (center, k) not in self._failed), None)
            if best is None:
                continue
            if self._promise * halves.gains[best] > state.costs[center]:
                removed.append(center)
                split.append(best)
                distances = ((state.centers - state.centers[center]) ** 2).sum(axis=1)
                distances[center] = np.inf
                busy.update((center, best, distances.argmin()))
        return removed, split


def _ranked(values):
    """Return the order of values, by index where they are equal but for rounding."""
    unit = abs(values).max() or 1.0
    return np.argsort(np.round(values / unit, 9), kind="stable")


def halve(chunks, state, direction):
    """Return the two means of each cluster of nearest samples, from a direction.

    The halves lie along the cluster's longest axis at first, found by the power method
    from that direction, and then follow 2-means. All clusters are worked on at once: a
    pass costs n_samples x n_features.
    """
    labels, points = state.labels, state.centers
    n_clusters, dtype = len(points), state.dtype
    axes = longest_axes(chunks, state.origin, dtype, labels, points, direction)
    offsets = np.einsum("kd,kd->k", points, axes)
    for _ in range(1 + _MEANS_PASSES):

        def divide(block, weights, axes=axes, offsets=offsets):
            own = labels[block.rows]
            beyond = block.along(axes, own) > offsets[own]
            return _joined(block.label_sums(2 * own + beyond, weights, 2 * n_clusters))

        total = chunks.reduce(divide, state.origin, dtype)
        mass = total[:, 0].reshape(n_clusters, 2)
        whole = (mass > 0).all(axis=1)
        means = np.repeat(points, 2, axis=0)
        used = total[:, 0] > 0
        means[used] = total[used, 1:] / total[used, :1]
        first, second = means[::2], means[1::2]
        axes = second - first
        offsets = np.einsum("kd,kd->k", axes, (first + second) / 2)

    harmonic = np.zeros(n_clusters)
    np.divide(mass.prod(axis=1), mass.sum(axis=1), out=harmonic, where=whole)
    return Halves(harmonic * (axes**2).sum(axis=1), first, second)


def longest_axes(chunks, origin, dtype, labels, points, direction):
    """Return the longest axis of each cluster, from a direction, by the power method.

    `points` are the centers about the origin.
    """
    n_clusters = len(points)
    axes = np.tile(direction, (n_clusters, 1))
    for _ in range(_AXIS_PASSES):
        offsets = np.einsum("kd,kd->k", points, axes)

        def _stretch(block, weights, axes=axes, offsets=offsets):
            own = labels[block.rows]
            along = block.along(axes, own) - offsets[own]
            return _joined(block.label_sums(own, weights * along, n_clusters))

        total = chunks.reduce(_stretch, origin, dtype)
        axes = total[:, 1:] - total[:, :1] * points
        # The square of the largest may be no number.
        largest = np.abs(axes).max(axis=1, keepdims=True)
        axes /= np.where(largest > 0, largest, 1)
        axes /= np.sqrt(axes.shape[1])
    return axes


def _joined(masses_and_sums):
    mass, sums = masses_and_sums
    return np.column_stack((mass, sums))
