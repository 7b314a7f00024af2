r"""What follows an E-step: the weighted means, or a point beyond them.

EM goes from centers c to the means m, a step down the gradient of the objective,
:math:`m_k - c_k = -\nabla_{c_k} F / (2 N_k)` with N_k the masses. In the inner product
with weights N_k the derivative of that step is therefore symmetric, with eigenvalues
that are all negative at a minimum. The smallest in size, :math:`\mu`, makes the last
iterations slow: each leaves :math:`1 - \mu` of the way.
"""

from typing import NamedTuple

import numpy as np

from sk_softkmeans._steps import m_step

# The largest ratio of two successive shifts that is believed.
_MAX_RATE = 0.999
# Where acceleration begins: after so many ratios that are at least `_SLOW`, the last
# two of which differ by at most `_STEADY` of what is missing to 1.
_N_RATES, _SLOW, _STEADY = 3, 0.7, 0.2
# Of the mean softness of the samples: below it the memberships are those of k-means,
# which does not get slower and slower but stops.
_SOFT = 1e-4
# A step is lengthened at most by this where the slope grows steeper.
_MAX_GROWTH = 30.0
# Anywhere it is lengthened at most as the last one was, times this after a point that
# was kept, or divided by the other one after a point that was given up.
_LONGER, _SHORTER = 2, 4
# A temperature goes no farther beyond the next one, in its logarithm.
_FARTHEST = 1.0
# What accelerated iterations estimate to be left has to be smaller by this, and to stay
# so in this many iterations of plain EM: those show directions that were not seen.
_CAUTION, _N_LOOKS = 0.3, 2
# In units of the rounding of X: a rise of the objective that is none, and a relative
# change that is none, of the temperature or of the centers.
_SLACK, NOISE = 4, 10
# Sums of thousands of equal samples have many roundings. Shifts of a coordinate by up
# to so many are no change either, if none was the smallest in so many iterations.
_LARGEST_NOISE, _STALE = 60, 10
# A difference depends on those after it if less than this is left without them.
_DEPENDENT = 1e-8


class Point(NamedTuple):
    """Centers about the origin, and their temperature."""

    centers: np.ndarray
    temperature: float


class Means:
    """EM: from point to point by E-step and M-step.

    Parameters
    ----------
    moments : Moments
        The moments of the samples.
    dtype : dtype
        That of the samples.
    """

    def __init__(self, moments, dtype):
        self._unit = np.sqrt(moments.variance) or 1.0
        self._eps = float(np.finfo(dtype).eps)
        self.forget()

    def forget(self):
        """Start anew: what comes is not the continuation of what was."""
        self._rates, self._shift = [], None
        self._least, self._n_stale = np.inf, 0

    def means(self, centers, stats):
        """Return the centers after those of an E-step."""
        return m_step(stats)

    def keeps(self, objective, scale):
        """Keep the point that was evaluated, or give it up; return which.

        Parameters
        ----------
        objective : float
            What the iterations lower, at that point.
        scale : float
            What its rounding is relative to.

        Returns
        -------
        kept : bool
            If not, the next point to evaluate has to be the last image.
        """
        return True

    def advance(self, point, image, stats, heat):
        """Return where to go from a point that EM would take to its image.

        Parameters
        ----------
        point : Point
            The centers and temperature of an E-step.
        image : Point
            Those after it.
        stats : Stats
            What that E-step gave.
        heat : float
            For the logarithm of the temperature, what the masses are for the centers.

        Returns
        -------
        left : float
            How far the centers are estimated to be from where the iterations end, if
            shifts go on shrinking at the rate of the last two.
        next : Point
            Where to evaluate next.
        """
        shift = np.linalg.norm((image.centers - point.centers) / self._unit)
        self._n_stale = 0 if shift < self._least else self._n_stale + 1
        self._least = min(shift, self._least)
        some = _LARGEST_NOISE * self._eps * np.sqrt(point.centers.size)
        self._is_noise = shift <= NOISE * self._eps or (
            shift <= some and self._n_stale >= _STALE
        )
        self._rates.append(shift / self._shift if self._shift else np.inf)
        self._shift = shift
        return self._way(self._rates[-1]), image

    def _way(self, rate):
        if self._is_noise:
            # A tolerance of 0 is met as well.
            return 0.0
        rate = min(max(rate, 0.0), _MAX_RATE)
        return self._unit * self._shift / (1 - rate)

    def settle(self, centers):
        """Return the centers that a run ends with, given the last means."""
        return centers


class Anderson(Means):
    """Anderson acceleration of EM, safeguarded by the objective.

    Once successive shifts shrink slowly and steadily, the differences of the last
    points and of their shifts show the derivative of a step in the directions they
    span. There the step is divided by its eigenvalues: Anderson's method, made
    symmetric in the inner product of the masses (Rayleigh-Ritz). It goes no farther
    than it is known to help, and up no slope that falls: a step is divided by the size
    of an eigenvalue of the wrong sign, which belongs to a saddle, and leads away from
    it. A point where the objective is higher, by more than its rounding, than at the
    lowest so far is given up for the last means.

    Parameters
    ----------
    moments : Moments
        The moments of the samples.
    dtype : dtype
        That of the samples.
    tol : float
        The tolerance of the run.
    depth : int, default=5
        The number of differences.

    References
    ----------
    D. G. Anderson, "Iterative procedures for nonlinear integral equations", Journal of
    the ACM 12(4), 1965, :doi:`10.1145/321296.321305`.
    """

    def __init__(self, moments, dtype, tol, depth=5):
        self._depth, self._goal = depth, np.sqrt(tol * moments.variance)
        super().__init__(moments, dtype)

    def forget(self):
        """Start anew: what comes is not the continuation of what was."""
        super().forget()
        self._points, self._steps = [], []
        self._begun = self._on_trial = False
        self._reach = self._lowest = np.inf
        self._looks = 0

    def keeps(self, objective, scale):
        """Keep the point that was evaluated, or give it up; return which."""
        if self._on_trial:
            # Not a number is higher as well.
            if not objective <= self._lowest + _SLACK * self._eps * scale:
                self._on_trial = False
                self._reach = max(self._reach / _SHORTER, 1.0)
                del self._points[:-1], self._steps[:-1]
                return False
            self._reach *= _LONGER
        self._lowest = min(self._lowest, objective)
        return True

    def advance(self, point, image, stats, heat):
        """Return what is left, and where to go: the image, or a point beyond it."""
        left, _ = super().advance(point, image, stats, heat)
        self._points.append(self._pack(point))
        self._steps.append(self._pack(image) - self._points[-1])
        kept = self._depth + 1
        is_soft = stats.softness > _SOFT * stats.mass.sum()
        if not self._begun and is_soft and self._is_steady():
            self._begun, kept = True, 2
        del self._points[:-kept], self._steps[:-kept]
        self._on_trial = (
            self._begun and is_soft and len(self._points) > 1 and not self._is_noise
        )
        if not self._on_trial:
            return left, image
        weights = np.repeat(stats.mass, point.centers.shape[1])
        weights = np.append(weights, heat / self._unit**2)
        beyond, slowest = self._extrapolate(np.sqrt(weights))
        left = self._way(1 - slowest) / _CAUTION
        if left <= self._goal:
            self._on_trial = False
            self._looks += 1
            return (left if self._looks > _N_LOOKS else np.inf), image
        self._looks = 0
        return left, self._unpack(beyond, image)

    def _is_steady(self):
        rates = self._rates[-_N_RATES:]
        return (
            len(self._rates) > _N_RATES
            and min(rates) > _SLOW
            and abs(rates[-1] - rates[-2]) < _STEADY * abs(1 - rates[-1])
        )

    def _extrapolate(self, weights):
        """Return the next point, and the smallest eigenvalue that was seen."""
        # The newest differences first: those that depend on them are left out.
        moves = np.diff(self._points, axis=0)[::-1].T
        turns = np.diff(self._steps, axis=0)[::-1].T
        step = self._steps[-1]
        basis, triangle = np.linalg.qr(weights[:, np.newaxis] * moves)
        sizes = abs(np.diag(triangle))
        n = np.append(sizes > _DEPENDENT * sizes.max(), False).argmin()
        if n == 0:
            return self._points[-1] + step, 0.0
        basis, triangle = basis[:, :n], triangle[:n, :n]
        moves, turns = moves[:, :n], turns[:, :n]

        def _along(vector):
            return basis.T @ (weights * vector)

        def _solve(y):
            return np.linalg.solve(triangle, y)

        derivative = -basis.T @ (weights[:, np.newaxis] * turns) @ _solve(np.eye(n))
        mu, axes = np.linalg.eigh((derivative + derivative.T) / 2)
        factor = 1 / np.clip(abs(mu), 1 - _MAX_RATE, 1)
        factor = np.minimum(factor, self._reach)
        self._reach = factor.max()
        factor[mu < 0] = np.minimum(factor[mu < 0], _MAX_GROWTH)
        y = _solve(axes @ (factor * (axes.T @ _along(step))))
        rest = step + turns @ y
        if mu.min() < 0:
            rest = rest - moves @ _solve(_along(rest))
        return self._points[-1] + moves @ y + rest, mu.min()

    def _pack(self, point):
        scaled = point.centers.ravel() / self._unit
        return np.append(scaled, np.log(point.temperature))

    def _unpack(self, packed, image):
        centers = self._unit * packed[:-1].reshape(image.centers.shape)
        expected = np.log(image.temperature)
        if packed[-1] == expected:
            # The exponential of the logarithm is another number.
            return Point(centers, image.temperature)
        log_temperature = np.clip(
            packed[-1], expected - _FARTHEST, expected + _FARTHEST
        )
        return Point(centers, float(np.exp(log_temperature)))
