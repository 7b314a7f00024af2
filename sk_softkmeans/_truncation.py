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
# longer ones to be tried.
_FIRST, _GAIN = 16, 2e-3
# How many times the last gain may still be ahead.
_CAUTION = 10


class TruncatedMeans(Means):
    """EM of truncated memberships, which ends when the distortion hardly falls.

    Shifts do not shrink at a rate that could be believed: samples change their active
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
        self._assignment = assignment

    def means(self, centers, stats):
        """Return the centers after those of an E-step, and learn the shares."""
        if not self._assignment.nearest_first:
            self._assignment.learn(stats.mass)
        return super().means(centers, stats)

    def advance(self, point, image, stats, heat):
        """Return what is left, and the image.

        That is so far as the variance of the features is to the distortion what it is
        to the gain of the M-step, with caution.
        """
        gain = stats.mass @ ((image.centers - point.centers) ** 2).sum(axis=1)
        share = gain / stats.distortion if gain else 0.0
        return self._unit * np.sqrt(_CAUTION * share), image


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
        length, grows, first = self._n_neighbors, False, None
        if length == "auto":
            length, grows = max(_FIRST, 2 * assignment.n_active), True
        step.begin()
        step.neighbours = self._lists(length)
        if step.neighbours:
            origin = self._moments.origin
            inertia = hard_inertia(self._chunks, origin, centers, step.labels)
            first = self._schedule.first(lambda: inertia)
        result = self._run(centers, first, self._max_iter, monitor)
        while grows and step.neighbours and result.reason:
            length *= 2
            step.neighbours = self._lists(length)
            left = self._max_iter - len(result.free_energies)
            if not left:
                break
            more = self._run(result.centers, result.temperature, left, monitor)
            gain = 1 - more.free_energies[0] / result.free_energies[-1]
            result = result.then(more)
            if gain < _GAIN:
                break
        return result

    def _lists(self, length):
        """Return lists of this length, None if they are no use."""
        if self._is_exact or not lists_pay(*self._shape, length):
            return None
        return Neighbours(length, n_renewed(*self._shape))

    def _run(self, centers, first, max_iter, monitor):
        return run(
            self._chunks,
            self._moments,
            centers,
            self._schedule,
            self._steps,
            max_iter=max_iter,
            tol=self._tol,
            monitor=monitor,
            first=first,
            update=TruncatedMeans(
                self._moments, self._chunks.X.dtype, self._assignment
            ),
        )
