"""E-step and M-step: additive statistics of chunks, and centers from their sum.

A step is ``step(block, weights, centers, temperature) -> Stats``. It is all that a
chunk contributes to an iteration, so chunks, threads, weights and distributed parts
are only ways to add.
"""

from dataclasses import dataclass, replace

import numpy as np

from sk_softkmeans._assignments import Hard, floors
from sk_softkmeans._blocks import nearest_listed
from sk_softkmeans._layouts import Grid, Lists, lay_out
from sk_softkmeans._pruning import Pruning

# What a candidate in a list costs, in units of what a center does if all are
# candidates: where memberships are hard, soft, or nearly all zero.
_HARD_PRICE, _SOFT_PRICE, _SPARSE_PRICE = 5.0, 1.8, 2.5
# A share of the mean mass that is not less than 1e12 times what pruning leaves out.
_TINY = 1e-7
# Relative to the largest squared distance, temperatures at which no sample is shared:
# no two distances of float32 samples differ by so little, nor those of float64 that are
# told apart.
_HARD = {np.dtype(np.float32): 1e-150, np.dtype(np.float64): np.finfo(float).tiny}
# Of the logits of float32 samples, in the iterations.
_ACCURACY = 1e-2


@dataclass(slots=True)
class Stats:
    """Sums over samples, for weights w, responsibilities p and an origin o.

    Attributes
    ----------
    mass : ndarray of shape (n_clusters,)
        sum w p.
    sums : ndarray of shape (n_clusters, n_features)
        sum w p (x - o).
    value : float
        The normalised free energy.
    omega : float
        sum w Omega(p); only of steps that are asked for it.
    distortion : float
        sum w p d; only of steps that are asked for it.
    softness : float
        By how much less sum w F' is than if memberships were hard, over T.
    inertia : float
        sum w d_min.
    """

    mass: np.ndarray
    sums: np.ndarray
    value: float
    omega: float = 0.0
    distortion: float = 0.0
    softness: float = 0.0
    inertia: float = 0.0

    def __iadd__(self, other):
        """Add the statistics of other samples about the same origin."""
        self.mass += other.mass
        self.sums += other.sums
        self.value += other.value
        self.omega += other.omega
        self.distortion += other.distortion
        self.softness += other.softness
        self.inertia += other.inertia
        return self

    def about(self, shift):
        """Return the same statistics about the origin ``o + shift``."""
        return replace(self, sums=self.sums - np.outer(self.mass, shift))


class Step:
    """What steps share: the pass over all samples, and what it need not compute twice.

    A step belongs to one set of chunks and one origin; `squares` is for the sums of
    squares of its blocks, `pruning` finds the clusters that may matter to samples.
    """

    changed = True
    # Whether memberships are those among all centers.
    sees_all = True

    def __init__(self, squares=None, pruning=None):
        self._squares = {} if squares is None else squares
        self._pruning = pruning or Pruning()

    def reduce(self, chunks, centers, temperature):
        """Return the statistics of all samples."""

        def _work(block, weights):
            return self(block, weights, centers, temperature)

        total = None
        candidates = self._candidates(chunks, centers, temperature)
        if candidates:
            total = self._reduce_lists(chunks, centers, temperature, candidates)
        if total is None:
            total = chunks.reduce(_work, centers.origin, centers.dtype)
        self._pruning.spread = total.inertia / total.mass.sum()
        return total

    def inertia(self, block, weights, top):
        """Return sum w d_min, given the largest logits: |x|^2 less these."""
        key = block.rows.start, block.dtype
        if key not in self._squares:
            self._squares[key] = weights @ block.norms()
        return max(self._squares[key] - weights @ top, 0.0)


class HardStep(Step):
    """Every sample to its nearest center: Lloyd.

    It keeps the labels of the last pass; `changed` tells whether that pass moved any.
    """

    hard = True

    def __init__(self, n_samples, squares=None, pruning=None):
        super().__init__(squares, pruning)
        self.labels = np.empty(n_samples, dtype=np.int32)
        self.begin()

    def begin(self):
        """Forget the labels: the next pass is the first of a run."""
        self.labels.fill(-1)

    def reduce(self, chunks, centers, temperature):
        """Return the statistics of all samples."""
        self.changed = False
        return super().reduce(chunks, centers, temperature)

    def __call__(self, block, weights, centers, temperature):
        """Return the statistics of one block."""
        logits = block.logits(centers)
        labels = logits.argmax(axis=1).astype(np.int32)
        top = logits[np.arange(len(labels)), labels]
        inertia = self.inertia(block, weights, top)
        return self._stats(block, weights, labels, inertia, len(centers))

    def _stats(self, block, weights, labels, inertia, n_clusters):
        if not np.array_equal(self.labels[block.rows], labels):
            self.labels[block.rows] = labels
            self.changed = True
        mass, sums = block.label_sums(labels, weights, n_clusters)
        return Stats(mass, sums, inertia, distortion=inertia, inertia=inertia)

    def _candidates(self, chunks, centers, temperature):
        labels = self.labels if self.labels[0] >= 0 else None
        return self._pruning.candidates(chunks, centers, 0.0, _HARD_PRICE, labels)

    def _reduce_lists(self, chunks, centers, temperature, candidates):
        def work(block, weights, z, lists, inertia):
            labels = nearest_listed(z, lists)
            return self._stats(block, weights, labels, inertia, len(centers))

        return candidates.reduce(chunks, centers, work)


class DenseStep(Step):
    """Every sample shared between all centers by an assignment map."""

    hard = False

    def __init__(self, assignment, with_distortion, squares=None, pruning=None):
        super().__init__(squares, pruning)
        self.assignment, self.with_distortion = assignment, with_distortion
        self._reach = assignment.reach

    def __call__(self, block, weights, centers, temperature):
        """Return the statistics of one block."""
        z = self._logits(block, centers)
        top = z.max(axis=0)
        inertia = self.inertia(block, weights, top)
        z, layout = lay_out(z, top, temperature * self._reach, block.scratch)
        return self._share(block, weights, centers, temperature, z, layout, inertia)

    def _logits(self, block, centers):
        """Return the logits of shape (n_clusters, n_rows), in any memory order."""
        return block.logits_by_cluster(centers)

    def _candidates(self, chunks, centers, temperature):
        # Of Python's numbers, which overflow in silence: no center is left out then.
        margin = float(temperature) * float(self._margin(len(centers), centers.dtype))
        price = _SOFT_PRICE if np.isinf(self._reach) else _SPARSE_PRICE
        return self._pruning.candidates(chunks, centers, margin, price)

    def _margin(self, n_clusters, dtype):
        """Return by how much logits may be lower than the largest and still count."""
        return self.assignment.margin(n_clusters, dtype)

    def _reduce_lists(self, chunks, centers, temperature, candidates):
        def work(block, weights, z, lists, inertia):
            layout = Lists(lists, candidates.blocks.size, len(centers))
            return self._share(block, weights, centers, temperature, z, layout, inertia)

        total = candidates.reduce(chunks, centers, work)
        if self._misses(total.mass):
            # Looked at twice, which has to be rare.
            self._pruning.refuse(at_least=10)
            return None
        return total

    def _misses(self, mass):
        """Return whether what was left out may be most of what a cluster has."""
        return np.isinf(self._reach) and mass.min() < _TINY * mass.mean()

    def _share(self, block, weights, centers, temperature, z, layout, inertia):
        """Return the statistics of a block, given its logits less the largest ones."""
        divide(z, temperature, centers.peak)
        # Some maps may overwrite z, unless the distortion still needs it.
        in_place = self.assignment.in_place and not self.with_distortion
        out = z
        if not in_place:
            # In the same memory order.
            shape = z.shape if z.flags.c_contiguous else z.shape[::-1]
            out = block.scratch("map", shape, z.dtype)
            out = out if z.flags.c_contiguous else out.T
        floor = floors(weights, z.dtype)
        total, value = self.assignment.respond(z, out, layout, floor)
        uniform = self.assignment.uniform(layout.n_clusters)
        weighted = weights @ value
        softness = -uniform * weights.sum() - weighted
        stats = {"softness": softness, "inertia": inertia}
        if self.with_distortion:
            excess = -layout.dot(z, out) / total
            omega = value - excess + uniform
            stats["omega"] = weights @ omega
            stats["distortion"] = inertia + temperature * (weights @ excess)
        mass, sums = self._sums(block, z, out, total, weights, layout, centers)
        return Stats(mass, sums, inertia + temperature * weighted, **stats)

    def _sums(self, block, z, out, total, weights, layout, centers):
        """Return the masses and sums of responsibilities ``out / total``."""
        shares = np.divide(weights, total, dtype=z.dtype, casting="same_kind")
        return layout.sums(block, out, shares)


class Steps:
    """The steps of all runs over the same chunks about the same origin.

    Parameters
    ----------
    n_samples : int
        The number of samples.
    assignment : object
        The map at positive temperatures.
    with_distortion : bool, default=False
        Whether soft steps give the distortion as well.
    soft : callable, default=DenseStep
        What makes the step at positive temperatures.
    """

    def __init__(self, n_samples, assignment, with_distortion=False, soft=DenseStep):
        shared = {}, Pruning()
        self.assignment = assignment
        self.hard = HardStep(n_samples, *shared)
        self.soft = soft(assignment, with_distortion, *shared)


class Assignment:
    """The E-step of one block, to be read: labels and memberships have this source.

    It is read while its block is loaded, and computes only what is asked for.

    Parameters
    ----------
    block : DenseBlock or CSRBlock
        The rows.
    centers : Centers
        The centers, about the origin of the block.
    temperature : float
        The temperature; 0 is hard.
    assignment : object
        The map at positive temperatures.
    weights : ndarray of shape (n_rows,), default=None
        The weights of the rows, if `sums` are asked for.

    Attributes
    ----------
    labels : ndarray of shape (n_rows,)
        The nearest center: the largest logit, the lowest index on ties.
    top : ndarray of shape (n_rows,)
        That logit: |x|^2 less the squared distance to the nearest center.
    nearest : ndarray of shape (n_rows,)
        |x - c|^2 to that center, by direct differences.
    likeliest : ndarray of shape (n_rows,)
        The largest responsibility: another label if clusters have shares.
    value : ndarray of shape (n_rows,)
        The normalised free energy is ``nearest + temperature * value``.
    """

    def __init__(self, block, centers, temperature, assignment, weights=None):
        self._block, self._centers, self._temperature = block, centers, temperature
        self._weights = weights
        if not temperature:
            assignment = Hard(getattr(assignment, "log_shares", None))
        self._assignment = assignment
        self._nearest = self._response = None
        self._logits = block.logits(centers)
        self.labels = self._logits.argmax(axis=1).astype(np.int32)
        self.top = self._logits[np.arange(len(self.labels)), self.labels]

    @property
    def likeliest(self):
        """Return where the largest responsibilities are: at `labels` as a rule."""
        if self._assignment.nearest_first:
            return self.labels
        return self.responsibilities().argmax(axis=1).astype(np.int32)

    @property
    def nearest(self):
        """Return |x - c|^2 to the nearest center of each row."""
        if self._nearest is None:
            self._nearest = self._block.nearest(self._centers, self.labels)
        return self._nearest

    @property
    def gap(self):
        """Return how much farther the second nearest center is, inf without one.

        It has to be asked for before anything that depends on the temperature.
        """
        rows = np.arange(len(self.labels))
        self._logits[rows, self.labels] = -np.inf
        second = self._logits[rows, self._logits.argmax(axis=1)]
        self._logits[rows, self.labels] = self.top
        return self.top - second

    def sums(self):
        """Return the masses and sums of weighted responsibilities."""
        _, shares, total, _ = self._respond()
        return self._block.sums(shares, (self._weights / total).astype(shares.dtype))

    def _respond(self):
        """Return the logits over the temperature, and what the map makes of them."""
        # Not by functools.cached_property, which before Python 3.12 lets but one thread
        # compute, and has others of a forked process wait for ever.
        if self._response is None:
            self._response = self._compute()
        return self._response

    def _compute(self):
        z = self._logits.T
        z -= self.top
        if self._temperature:
            divide(z, self._temperature, self._centers.peak)
        shares = self._block.scratch("map", self._logits.shape, z.dtype).T
        floor = None if self._weights is None else floors(self._weights, z.dtype)
        return z, shares, *self._assignment.respond(z, shares, floor=floor)

    @property
    def value(self):
        """Return what the map says of each row's free energy."""
        return self._respond()[3]

    def responsibilities(self):
        """Return the responsibilities, a row per sample."""
        _, shares, total, _ = self._respond()
        return (shares / total).T

    def log_responsibilities(self):
        """Return their logarithms, a row per sample."""
        z, shares, total, _ = self._respond()
        return self._assignment.log(z, shares, total).T

    def divergence(self):
        """Return by how much the responsibilities of each row tell from the shares."""
        return self._assignment.divergence(*self._respond())

    def excess(self):
        """Return sum p (d - d_min) / T of each row."""
        z, shares, total, _ = self._respond()
        return -Grid(len(z)).dot(z, shares) / total


def divide(z, temperature, peak):
    """Divide logits by the temperature, in place; `peak` is the largest |x|^2."""
    # A product is three times faster, but 1 / T overflows below 1 / max.
    inverse = 1 / temperature
    if np.isfinite(inverse):
        z *= z.dtype.type(inverse)
    else:
        z /= temperature
    largest = float(np.finfo(z.dtype).max)
    # Python's numbers overflow in silence.
    if 4 * float(peak) > largest * float(temperature):
        # -inf times a responsibility of 0 is no number.
        np.maximum(z, -largest, out=z)


def is_hard(temperature, peak, dtype):
    """Return whether a temperature is 0 for samples whose largest |x|^2 is `peak`."""
    return temperature <= _HARD[np.dtype(dtype)] * 4 * peak


def precision(temperature, peak, dtype, accuracy=_ACCURACY):
    """Return the dtype to compute memberships in, by the largest |x|^2, `peak`.

    Those of float32 data are computed in float64 where float32 logits are not exact to
    the accuracy, or their quotients not in its range.
    """
    dtype = np.dtype(dtype)
    if temperature and dtype == np.float32:
        eps = float(np.finfo(dtype).eps)
        exact = eps * peak <= accuracy * temperature and temperature <= 1e30 * peak
        if not exact or not 1e-37 < temperature < 1e37:
            dtype = np.dtype(np.float64)
    return dtype


def m_step(stats):
    """Return the centers about the origin of `stats`: sums over masses.

    A cluster left without mass goes where the heaviest one is, as in KMeans.
    """
    used = stats.mass > 0
    centers = np.empty_like(stats.sums)
    np.divide(
        stats.sums, stats.mass[:, np.newaxis], out=centers, where=used[:, np.newaxis]
    )
    centers[~used] = centers[stats.mass.argmax()]
    return centers
