"""The search for centers with truncated memberships: runs with longer and longer lists.

As few candidates as `_FIRST` are enough for the most part. When the centers have
settled, longer lists show whether they have missed any that matter.
"""

from functools import partial

import numpy as np
from scipy.sparse import issparse

from sk_softkmeans._acceleration import Means
from sk_softkmeans._blocks import lists_pay
from sk_softkmeans._candidates import (
    Neighbours,
    NearestStep,
    TruncatedStep,
    n_renewed,
)
from sk_softkmeans._em import hard_inertia, run
from sk_softkmeans._steps import Steps

# The length of the first lists, and by what share the free energy has to fall for still
# longer ones to be tried; until then, how many times `tol` is enough.
_FIRST, _GAIN, _LOOSE = 16, 2e-3, 10
# The number of iterations over which gains are compared, and their largest ratio that is
# believed.
_N_GAINS, _MAX_RATE = 5, 0.9


class TruncatedMeans(Means):
    """EM of truncated memberships.

    The ratio of two shifts says little of what is left: samples change their active
    clusters, and lists their members.

    Parameters
    ----------
    moments : Moments
        The moments of the samples.
    dtype : dtype
        That of the samples.
    assignment : Truncated
        The map, which learns the shares of the clusters if it has any.
    """

    def __init__(self, moments, dtype, assignment):
        super().__init__(moments, dtype)
        self._assignment, self._gains = assignment, []

    def means(self, centers, stats):
        """Return the centers after those of an E-step, and learn the shares."""
        if not self._assignment.nearest_first:
            self._assignment.learn(stats.mass)
        return super().means(centers, stats)

    def advance(self, point, image, stats, heat):
        """Return what is left, and the image.

        The mean squared shift over all samples is compared to the distortion, and what
        is left is the way if shifts go on to shrink as they did over some iterations.
        """
        gain = stats.mass @ ((image.centers - point.centers) ** 2).sum(axis=1)
        share = gain / stats.distortion if gain else 0.0
        self._gains = [*self._gains[-_N_GAINS:], share]
        rate = _MAX_RATE
        if len(self._gains) > _N_GAINS and share < self._gains[0]:
            rate = min((share / self._gains[0]) ** (0.5 / _N_GAINS), rate)
        return self._unit * np.sqrt(share) / (1 - rate), image


class TruncatedSearch:
    """Finds centers by truncated variational EM.

    Parameters
    ----------
    chunks : Chunks
        The samples.
    moments : Moments
        Their moments.
    schedule : object
        The temperatures (see `_schedules`).
    assignment : Truncated
        The map.
    n_clusters : int
        The number of clusters.
    n_neighbors : "auto" or int
        The number of candidates; "auto" begins with few.
    max_iter, tol : int, float
        Those of a run.
    """

    def __init__(
        self,
        chunks,
        moments,
        schedule,
        assignment,
        *,
        n_clusters,
        n_neighbors,
        max_iter,
        tol,
    ):
        self._chunks, self._moments = chunks, moments
        self._schedule, self._assignment = schedule, assignment
        self._shape = chunks.X.shape[0], n_clusters
        self._n_neighbors = n_neighbors
        self._max_iter, self._tol = max_iter, tol
        # Without shares one active cluster is k-means, exactly.
        is_hard = assignment.n_active == 1 and assignment.nearest_first
        self._is_exact = issparse(chunks.X) or (is_hard and n_neighbors == "auto")
        soft = NearestStep if is_hard and self._is_exact else TruncatedStep
        soft = partial(soft, n_samples=self._shape[0])
        self._steps = Steps(self._shape[0], assignment, with_distortion=True, soft=soft)

    def __call__(self, centers, monitor):
        """Return the result from initial centers."""
        step, assignment = self._steps.soft, self._assignment
        if not assignment.nearest_first:
            assignment.learn(np.ones(self._shape[1]))
        length, grows = self._n_neighbors, self._n_neighbors == "auto"
        if grows:
            length = max(_FIRST, 2 * assignment.n_active)
        step.begin()
        step.neighbours = self._lists(length)
        first = None
        if step.neighbours:
            origin = self._moments.origin
            inertia = hard_inertia(self._chunks, origin, centers, step.labels)
            first = self._schedule.first(lambda: inertia)
        grows = grows and step.neighbours is not None
        tol = self._tol * (_LOOSE if grows else 1)
        result = self._run(centers, first, self._max_iter, tol, monitor)
        while grows and self._may_go_on(result, monitor):
            length *= 2
            step.neighbours = self._lists(length)
            before, n_before = result.free_energies[-1], len(result.free_energies)
            result = self._go_on(result, tol, monitor)
            fall = before - result.free_energies[n_before]
            grows = fall >= _GAIN * before and step.neighbours is not None
        if tol > self._tol and self._may_go_on(result, monitor):
            result = self._go_on(result, self._tol, monitor)
        return result

    def _may_go_on(self, result, monitor):
        left = self._max_iter - len(result.free_energies)
        return left and result.reason and not monitor.stopped

    def _go_on(self, result, tol, monitor):
        """Return the result of a run and of one more from its end."""
        left = self._max_iter - len(result.free_energies)
        more = self._run(result.centers, result.temperature, left, tol, monitor)
        return result.then(more)

    def _lists(self, length):
        """Return lists of this length, None if they are no use."""
        if self._is_exact or not lists_pay(*self._shape, length):
            return None
        return Neighbours(length, n_renewed(*self._shape))

    def _run(self, centers, first, max_iter, tol, monitor):
        return run(
            self._chunks,
            self._moments,
            centers,
            self._schedule,
            self._steps,
            max_iter=max_iter,
            tol=tol,
            monitor=monitor,
            first=first,
            update=TruncatedMeans(
                self._moments, self._chunks.X.dtype, self._assignment
            ),
        )
