"""The search for centers with truncated memberships: runs with longer and longer lists.

As few candidates as `_FIRST` are enough for the most part. When the centers have
settled, longer lists show whether they have missed any that matter.
"""

from functools import partial

import numpy as np
from scipy.sparse import issparse

from sk_softkmeans._acceleration import Means
from sk_softkmeans._candidates import (
    NearestStep,
    Neighbours,
    TruncatedStep,
    lists_pay,
)
from sk_softkmeans._em import enter, hard_inertia, run
from sk_softkmeans._steps import Steps

# The length of the first lists, and by what share the free energy has to fall for still
# longer ones to be tried. Before that an iteration gains no more than `_SETTLED`.
_FIRST, _GAIN, _SETTLED = 16, 5e-3, 2e-4
# The number of iterations over which gains are compared, and the largest ratio of
# shifts that is believed.
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
    max_rate : float, default=0.9
        The largest ratio of two shifts that is believed.
    """

    def __init__(self, moments, dtype, assignment, max_rate=_MAX_RATE):
        super().__init__(moments, dtype)
        self._assignment, self._max_rate = assignment, max_rate

    def means(self, centers, stats):
        """Return the centers after those of an E-step, and learn the shares."""
        if not self._assignment.nearest_first:
            self._assignment.learn(stats.mass)
        return super().means(centers, stats)

    def forget(self):
        """Start anew: what comes is not the continuation of what was."""
        super().forget()
        self._gains = []

    def advance(self, point, image, stats, heat):
        """Return what is left, and the image.

        The mean squared shift over all samples is compared to the distortion, and what
        is left is the way if shifts go on to shrink as they did over some iterations.
        """
        super().advance(point, image, stats, heat)
        if self._is_noise or stats.distortion <= 0:
            return 0.0, image
        gain = stats.mass @ ((image.centers - point.centers) ** 2).sum(axis=1)
        share = float(gain / stats.distortion)
        self._gains = [*self._gains[-_N_GAINS:], share]
        rate = self._max_rate
        if len(self._gains) > _N_GAINS and share < self._gains[0]:
            rate = min((share / self._gains[0]) ** (0.5 / _N_GAINS), rate)
        return self._unit * share**0.5 / (1 - rate), image


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
        self._max_iter, self._tol = max_iter, tol
        # Without shares one active cluster is k-means, exactly.
        is_hard = assignment.n_active == 1 and assignment.nearest_first
        self._grows = n_neighbors == "auto"
        self._first = n_neighbors
        if self._grows:
            self._first = max(_FIRST, 2 * assignment.n_active)
        self._sees_all = issparse(chunks.X) or (is_hard and self._grows)
        soft = TruncatedStep
        if is_hard and not self._lists(self._first):
            soft = NearestStep
        soft = partial(soft, n_samples=self._shape[0])
        self._steps = Steps(self._shape[0], assignment, with_distortion=True, soft=soft)

    def __call__(self, centers, monitor):
        """Return the result from initial centers."""
        step = self._steps.soft
        if not self._assignment.nearest_first:
            self._assignment.begin()
        lists = self._lists(self._first)
        if not lists or self._is_hard(centers):
            step.begin()
            return self._run(centers, None, self._max_iter, monitor)
        inertia = hard_inertia(self._chunks, self._moments, centers, step.labels)
        first = self._schedule.first(lambda: inertia)
        step.begin(lists)
        result = self._run(centers, first, self._max_iter, monitor, self._grows)
        if not self._grows:
            return result
        while step.neighbours and self._may_go_on(result, monitor):
            shorter = step.neighbours
            step.begin(self._lists(2 * shorter.length))
            before, n_before = result.free_energies[-1], len(result.free_energies)
            result = self._go_on(result, monitor, settles=True)
            if before - result.free_energies[n_before] <= _GAIN * before:
                # The shorter ones are enough, and quicker.
                step.begin(shorter)
                break
        if self._may_go_on(result, monitor):
            result = self._go_on(result, monitor)
        return result

    def _is_hard(self, centers):
        """Return whether a temperature that is given is 0, if only for these data."""
        temperature = getattr(self._schedule, "temperature", np.inf)
        return enter(self._chunks, self._moments, centers, temperature)[1]

    def _lists(self, length):
        """Return lists of this length, None if they are no use."""
        if self._sees_all or not lists_pay(*self._shape, length):
            return None
        return Neighbours(length)

    def _may_go_on(self, result, monitor):
        left = self._max_iter - len(result.free_energies)
        return left and result.reason and not monitor.stopped

    def _go_on(self, result, monitor, settles=False):
        """Return the result of a run and of one more from its end."""
        left = self._max_iter - len(result.free_energies)
        more = self._run(result.centers, result.temperature, left, monitor, settles)
        return result.then(more)

    def _run(self, centers, first, max_iter, monitor, settles=False):
        """Return the result of a run, to its end or until the centers have settled."""
        tol = max(self._tol, _SETTLED) if settles else self._tol
        update = TruncatedMeans(
            self._moments,
            self._chunks.X.dtype,
            self._assignment,
            0.0 if settles else _MAX_RATE,
        )
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
            update=update,
        )
