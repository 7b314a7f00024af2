"""Assignment maps: from shifted logits to responsibilities.

For one sample with logits ``z_k = (d_min - d_k) / T <= 0``, a map is the maximiser of
``<p, z> - Omega(p)`` over the simplex, ``Omega`` a negentropy that is 0 at the vertices
and least at the uniform point ``u``. All maps work on an array of shape
(n_clusters, n_rows), in any memory order, along its first axis; those with a finite
`reach` also on a list of the entries that matter. They see neither samples nor centers
nor weights.
"""

from functools import cache
from numbers import Real

import numpy as np
from numpy.lib.introspect import opt_func_info
from scipy.special import xlogy

from sk_softkmeans._layouts import Grid, are_largest, largest
from sk_softkmeans._validation import Interval, Options

# Responsibilities times weights that count as 0: the sum of as many as there may be is
# less than a rounding of a mass that is not 0 (see `_empty`), and times an x that is
# smaller by many orders of magnitude it is still a normal number.
_NEGLIGIBLE = {np.dtype(np.float32): 1e-28, np.dtype(np.float64): 1e-278}
# No responsibility above the exponential of this counts as 0, however small the weight.
_HIGHEST = -40
# No chunk tried needed more than 15 (see the tests).
_MAX_STEPS = 20


class Hard:
    """The limit of every map at T = 0: all to the largest logit, the first on ties.

    Parameters
    ----------
    log_shares : ndarray of shape (n_clusters,), default=None
        As in `Truncated`.
    """

    nearest_first = True

    def __init__(self, log_shares=None):
        self.log_shares = log_shares

    def divergence(self, z, out, total, value):
        """Return the Kullback-Leibler divergence of each column from the shares."""
        divergence = np.full(len(total), np.log(len(out)))
        if self.log_shares is not None:
            divergence -= self.log_shares @ out
        return divergence

    def respond(self, z, out, floor=None):
        """Write one-hot responsibilities to `out`; return ``total`` and ``value``."""
        out[...] = 0
        out[z.argmax(axis=0), np.arange(z.shape[1])] = 1
        return np.ones(z.shape[1], z.dtype), np.zeros(z.shape[1], z.dtype)

    def log(self, z, out, total):
        """Return the logarithm of the responsibilities: 0 and -inf."""
        return _log(out)


class Softmax:
    """The Shannon map, ``Omega(p) = sum p log p``: ``p = exp(z) / sum exp(z)``."""

    alpha = 1.0
    nearest_first = True
    # Of some clusters alone, it gives the same divided by their sum.
    renormalises = True
    # Responsibilities are the posterior of a mixture.
    has_likelihood = True
    # No logit is too low to count.
    reach = np.inf
    # `out` may be `z`.
    in_place = True

    def margin(self, n_clusters, dtype):
        """Return how far below the largest logit nothing is told from rounding.

        All clusters together have 1e-4 of a rounding there.
        """
        return np.log(n_clusters / (1e-4 * float(np.finfo(dtype).eps)))

    def uniform(self, n_clusters):
        """Return Omega(u), the least value of the negentropy."""
        return -np.log(n_clusters)

    def respond(self, z, out, layout=None, floor=None):
        """Write the responsibilities times ``total`` to `out`, which may be `z`.

        Parameters
        ----------
        z : ndarray of shape (n_clusters, n_rows)
            The shifted logits.
        out : ndarray of shape (n_clusters, n_rows)
            Where to write.
        layout : Grid, default=None
            Says of how many clusters z has some, if it has not all.
        floor : ndarray of shape (n_rows,), default=None
            The logarithms of what counts as 0 in `out`: see `floors`.

        Returns
        -------
        total : ndarray of shape (n_rows,)
            What each column of `out` has to be divided by: users divide the samples'
            weights instead, which is n_clusters times less work.
        value : ndarray of shape (n_rows,)
            ``-Omega(u) - max_p (<p, z> - Omega(p))``, in [0, -Omega(u)]: the
            normalised free energy is ``d_min + T value``.
        """
        n_clusters = layout.n_clusters if layout else len(z)
        # Where every p is nearly 1 / n_clusters, value is the small difference of two
        # numbers of size log(n_clusters), to be multiplied by a large T: no difference.
        least = z.min()
        if len(z) == n_clusters and least > -1:
            np.expm1(z, out=out)
            excess = out.mean(axis=0)
            out += 1
            return out.sum(axis=0), np.maximum(-np.log1p(excess), 0)
        _exp(z, out, least, floor)
        total = np.ones(len(out), out.dtype) @ out
        return total, np.log(np.maximum(n_clusters / total, 1))

    def log(self, z, out, total):
        """Return the logarithm of the responsibilities, finite where they underflow."""
        return z - np.log(total)

    def divergence(self, z, out, total, value):
        """Return the Kullback-Leibler divergence of each column from the shares."""
        return value + Grid(len(z)).dot(z, out) / total


class Entmax:
    """The Tsallis map of order alpha, ``Omega(p) = (sum p^a - 1) / (a (a - 1))``.

    ``p = [(alpha - 1) z - t]_+^q`` with ``q = 1 / (alpha - 1)`` and the threshold t at
    which p sums to 1: exactly 0 where z is `reach` or more below the largest.
    """

    nearest_first = True
    renormalises = has_likelihood = False
    in_place = False
    # Whether r^q can be too small a number: not the square of a difference.
    _underflows = True

    def __init__(self, alpha):
        self.alpha = alpha
        self.reach = self._q = 1 / (alpha - 1)

    def margin(self, n_clusters, dtype):
        """Return the reach: beyond it is nothing at all."""
        return self.reach

    def uniform(self, n_clusters):
        """Return Omega(u), the least value of the negentropy."""
        return np.expm1((1 - self.alpha) * np.log(n_clusters)) * self._q / self.alpha

    def respond(self, z, out, layout=None, floor=None):
        """Write the responsibilities times ``total`` to `out`.

        Parameters
        ----------
        z : ndarray of shape (n_clusters, n_rows) or (n_entries,)
            The shifted logits.
        out : ndarray of the shape of z
            Where to write; not `z`.
        layout : Grid or Entries, default=None
            Where the entries are if z is a list, of all that are above ``-reach`` and
            possibly others, or of how many clusters z has some.
        floor : ndarray of shape (n_rows,), default=None
            The logarithms of what counts as 0 in `out`: see `floors`.

        Returns
        -------
        total : ndarray of shape (n_rows,)
            What each column of `out` has to be divided by.
        value : ndarray of shape (n_rows,)
            ``-Omega(u) - max_p (<p, z> - Omega(p))``, in [0, -Omega(u)].
        """
        layout = layout or Grid(len(z))
        y, r, radius = self._scaled(z, out)
        # As in Softmax: no small difference of two numbers to be multiplied by a large
        # T. (A list is made only where most logits are far.)
        limit = -0.5 * layout.n_clusters ** (1 - self.alpha)
        is_whole = z.ndim == 2 and len(z) == layout.n_clusters
        if is_whole and z[:, 0].min() > limit and z.min() > limit:
            total, value = self._respond_evenly(y, r, radius)
        else:
            least = lowest(z.dtype) if floor is None else floor
            total, value = self._respond(y, r, radius, layout, least)
        if r is not out:
            out[...] = r
        return total.astype(z.dtype, copy=False), np.maximum(value, 0, dtype=z.dtype)

    def log(self, z, out, total):
        """Return the logarithm of the responsibilities: -inf where they are 0.

        That includes those that have underflowed, where alpha is near 1.
        """
        return _log(out / total)

    def divergence(self, z, out, total, value):
        """Return the Kullback-Leibler divergence of each column from equal shares."""
        p = out / total
        return xlogy(p, len(p) * p).sum(axis=0)

    def _scaled(self, z, out):
        """Return z times a factor, a buffer, and the factor times `reach`."""
        # A large exponent q needs all digits, whatever the dtype of z.
        y = np.multiply(z, self.alpha - 1, dtype=np.float64)
        return y, np.empty_like(y), 1.0

    def _slope(self, r):
        """Return r^(q - 1), and 0 where r is 0."""
        return r ** (self._q - 1)

    def _respond(self, y, r, radius, layout, least):
        """Find t where ``r = [y - t]_+`` has the q-norm `radius`; leave r^q in r.

        It is 0 where its logarithm is below `least`.
        """
        q, counts = self._q, layout.counts
        if self._underflows:
            least = np.exp(least / q)
            least = layout.spread(least) if np.ndim(least) else least
        tolerance = np.finfo(y.dtype).eps * np.maximum(4, np.sqrt(counts))
        limit = (radius * (1 + tolerance)).astype(y.dtype)
        # By Jensen's inequality the threshold is not below that of equal logits.
        t = layout.sum(y) / counts - radius * counts ** (1.0 - self.alpha)
        t = np.maximum(t, -radius).astype(y.dtype)
        step = 0
        for _ in range(_MAX_STEPS):
            t += step
            spread = layout.spread(t)
            np.maximum(y, spread, out=r)
            r -= spread
            if self._underflows:
                r *= r > least
            slope = self._slope(r)
            norm = layout.dot(slope, r) ** (1 / q)
            if (norm <= limit).all():
                break
            # The norm is convex in t, so that Newton's steps rise to its root.
            step = (norm - radius) * norm ** (q - 1) / layout.sum(slope)
        np.multiply(slope, r, out=r)
        total = layout.sum(r)
        # sum r^(q + 1), by which an error of t counts only to second order.
        moment = (layout.dot(r, y) - t * total) / radius ** (q + 1)
        u = layout.n_clusters ** (1 - self.alpha)
        return total, -(u + moment / q + self.alpha / radius * t) * q / self.alpha

    def _respond_evenly(self, y, r, radius):
        """Do the same where every ``r^q`` is nearly the mean, ``(1 + g) / K``."""
        q, u = self._q, len(y) ** (1 - self.alpha)
        y = y / (radius * u)
        tolerance = 4 * np.finfo(y.dtype).eps
        s, step = y.mean(axis=0), 0
        for _ in range(_MAX_STEPS):
            s += step
            e = y - s
            g = np.expm1(q * np.log1p(e))
            error = g.mean(axis=0)
            if (abs(error) <= tolerance).all():
                break
            step = error / (q * ((1 + g) / (1 + e)).mean(axis=0))
        moment = (g + e + g * e).mean(axis=0)
        np.add(g, 1, out=r)
        return r.sum(axis=0), -(moment / q + self.alpha * s) * u * q / self.alpha


class Sparsemax(Entmax):
    """Entmax with alpha = 2: ``r^q`` is r, and needs neither powers nor scaling."""

    _underflows = False

    def _scaled(self, z, out):
        return z, out, self.reach

    def _slope(self, r):
        return (r > 0).astype(r.dtype)


class Entmax15(Sparsemax):
    """Entmax with alpha = 1.5: ``r^q`` is the square of r."""

    def _slope(self, r):
        return r


class Truncated:
    """Another map over the `n_active` largest logits only; 0 for all others.

    Parameters
    ----------
    full : object
        The other map.
    n_active : int
        How many clusters share a sample; all if there are not so many.
    log_shares : ndarray of shape (n_clusters,), default=None
        The logarithms of shares pi that are 1 on the average, if they are not all 1:
        ``log pi + z`` are the logits then. For softmax only, whose Omega they make
        ``sum p log(p / pi)``.
    """

    # No logit is too low to be among the largest.
    reach = np.inf
    in_place = False
    _waits = False

    def __init__(self, full, n_active, log_shares=None):
        self.full, self.n_active, self.log_shares = full, n_active, log_shares
        self.alpha, self.has_likelihood = full.alpha, full.has_likelihood

    def margin(self, n_clusters, dtype):
        """Return inf: any cluster may be active."""
        return np.inf

    def begin(self):
        """Begin with equal shares."""
        self.log_shares = np.zeros(len(self.log_shares))
        self._waits = False

    def learn(self, mass):
        """Take the shares from the masses of clusters."""
        if not self._waits:
            tiny = np.finfo(np.float64).tiny
            self.log_shares = np.log(np.maximum(mass / mass.mean(), tiny))

    def revive(self, empty):
        """Return which of some empty clusters get samples.

        Those that begin empty do, before shares are learned. A share that is lost later
        is lost for good: otherwise it might be lost again and again.
        """
        if self.log_shares.any():
            return empty[:0]
        self._waits = len(empty) > 0
        return empty

    @property
    def shares(self):
        """Return the shares of the clusters, which sum to 1: none is larger."""
        shares = np.exp(self.log_shares)
        return shares / shares.sum()

    @property
    def nearest_first(self):
        """Return whether the nearest center has the largest responsibility."""
        return self.log_shares is None

    def uniform(self, n_clusters):
        """Return Omega(u), the least value of the negentropy."""
        return self.full.uniform(n_clusters)

    def largest_value(self, n_clusters):
        """Return what no value of `respond` is above."""
        lowest = 0.0 if self.log_shares is None else np.log(np.finfo(float).tiny)
        return -self.uniform(n_clusters) - lowest

    def respond(self, z, out, layout=None, floor=None):
        """Write the responsibilities times ``total`` to `out`, which is not `z`."""
        layout = layout or Grid(len(z))
        y, top = self._with_shares(z, layout)
        if self.n_active >= len(z):
            total, value = self.full.respond(y.copy(), out, layout, floor)
        elif self.full.renormalises and z.flags.c_contiguous:
            self.full.respond(y, out, layout, floor)
            out *= are_largest(y, self.n_active)
            total = layout.sum(out)
            value = np.log(layout.n_clusters / total)
        else:
            index = largest(y, self.n_active)
            active = np.take_along_axis(y, index, axis=0)
            shares = np.empty_like(active)
            some = Grid(layout.n_clusters, self.n_active)
            total, value = self.full.respond(active, shares, some, floor)
            out[...] = 0
            np.put_along_axis(out, index, shares, axis=0)
        # Of the logits with shares the largest was `top`.
        return total, np.maximum(value - top, 0)

    def log(self, z, out, total):
        """Return the logarithm of the responsibilities: -inf of those not active."""
        y, _ = self._with_shares(z, Grid(len(z)))
        logs = self.full.log(y, out, total)
        if self.n_active >= len(z):
            return logs
        return np.where(are_largest(y, self.n_active), logs, -np.inf)

    def divergence(self, z, out, total, value):
        """Return the Kullback-Leibler divergence of each column from the shares."""
        return self.full.divergence(z, out, total, value)

    def _with_shares(self, z, layout):
        """Return the logits with shares, less the largest, and the largest."""
        if self.nearest_first:
            return z, 0
        y = z + layout.of_clusters(self.log_shares.astype(z.dtype))
        top = y.max(axis=0)
        y -= top
        return y, top


def _log(p):
    with np.errstate(divide="ignore"):
        return np.log(p)


@cache
def lowest(dtype):
    """Return the logarithm of what counts as 0 where nothing is multiplied by it."""
    # One more than where exp leaves its fast path.
    return dtype.type(np.ceil(np.log(np.finfo(dtype).tiny)) + 1)


def floors(weights, dtype):
    """Return the logarithms of responsibilities that count as 0 in weighted sums.

    Parameters
    ----------
    weights : ndarray of shape (n_rows,)
        The weights of the samples.
    dtype : dtype
        That of the products.

    Returns
    -------
    floor : ndarray of shape (n_rows,)
        Above it responsibilities times weights are normal numbers, also times an x that
        is small, and processors do not crawl. What is below is less than a rounding of
        the smallest cluster that is not empty.
    """
    least = np.log(_NEGLIGIBLE[dtype])
    if not weights.strides[0]:
        # One weight, seen as many.
        return np.full(len(weights), least - np.log(weights[0]), dtype)
    floor = least - np.log(np.maximum(weights, np.finfo(dtype).tiny))
    return np.clip(floor, lowest(dtype), _HIGHEST).astype(dtype)


def _exp(z, out, least, floor):
    """Write exp(z) to `out`, which may be `z`; of the floor where z is lower.

    Exponentials that underflow cost many times as much as others. Without a floor there
    is 0 below the lowest logit. `least` is the smallest of z.
    """
    exact = floor is None
    if exact:
        floor = np.full(z.shape[-1], lowest(z.dtype))
    if least > floor.max():
        return _fast_exp(z, out)
    # A weight so much larger than others that even the lowest exponential counts.
    exact = exact or floor.min() <= lowest(z.dtype)
    counts = z > floor if exact else None
    # Of arrays NumPy takes maxima several times as fast as of one and a number.
    _fast_exp(np.maximum(z, floor, out=out), out)
    if exact:
        out *= counts
    return out


def _fast_exp(z, out):
    """Write exp(z) to `out`, which may be `z`, and return it."""
    if z.dtype == np.float32 and _exp2_is_vectorised():
        np.multiply(z, np.float32(np.log2(np.e)), out=out)
        return np.exp2(out, out=out)
    return np.exp(z, out=out)


@cache
def _exp2_is_vectorised():
    """Return whether float32 exp2 has a vector version here: twice as fast as exp.

    Without one it is half as fast, as on x86 processors without AVX-512.
    """
    versions = opt_func_info(func_name="^exp2$", signature="float32").get("exp2", {})
    found = [version["current"] for version in versions.values()]
    return bool(found) and not any("baseline" in current for current in found)


# What alpha may be, as a constraint of scikit-learn: towards 1, q overflows.
ALPHA = [Options(Real, {1.0}), Interval(Real, 1.001, 2, closed="both")]

_MAPS = {1.0: Softmax(), 1.5: Entmax15(1.5), 2.0: Sparsemax(2.0)}


def make_assignment(alpha):
    """Return the map of order alpha."""
    return _MAPS.get(alpha) or Entmax(float(alpha))
