"""Temperatures of the iterations, and the critical temperature of data.

The schedule of a run has ``first(inertia)``, the temperature to begin with, where
calling `inertia` gives the hard inertia of the initial centers; ``expect(at,
temperature)``, the temperature of an iteration and the E-step at it, where `at` makes
the E-step of a temperature, and ``following(temperature, distortion)``, what is
expected of the next one given the distortion after the M-step. The iterations lower its
``objective(stats, temperature)``, and end when its ``drift(before, after)`` is small as
well. `learned` says whether the distortion is needed.
"""

from functools import cache
from itertools import count
from numbers import Integral, Real

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, eigsh

from sk_softkmeans._assignments import ALPHA
from sk_softkmeans._chunks import in_chunks
from sk_softkmeans._moments import data_moments
from sk_softkmeans._validation import (
    Interval,
    check_data,
    check_weights,
    validated,
)

# Above this many features the covariance is applied instead of formed.
_MAX_COVARIANCE = 1024
# Where nothing else ends it, cooling ends at this share of the spread of the samples.
_LEAST = 1e-6
# A distortion is met when it is so near, in units of its rounding.
_ROUNDINGS = 16
# To the root of the distortion: halving the interval alone takes less than 70.
_MAX_STEPS = 1000
# The logarithm of the highest temperature.
_HOTTEST = float(np.log(np.finfo(float).max)) - 1
# Of log T: below this, two points say nothing of a slope, which is taken as at least
# this.
_FLAT = 1e-4


class Schedule:
    """What the schedules of a run share."""

    def expect(self, at, temperature):
        """Return the temperature that was expected, and the E-step at it."""
        return temperature, at(temperature)

    def drift(self, before, after):
        """Return the relative change of the temperature, inf where it is not known."""
        return abs(after - before) / after if after else np.inf

    def heat(self, temperature):
        """Return what the masses are to the centers for log T: half the curvature.

        It is 0 where the centers say what T is, which then only goes along with them.
        """
        return 0.0


class Constant(Schedule):
    """The same temperature throughout."""

    learned = False

    def __init__(self, temperature):
        self.temperature = temperature

    def first(self, inertia):
        """Return the temperature."""
        return self.temperature

    def following(self, temperature, distortion):
        """Return the temperature."""
        return temperature

    def drift(self, before, after):
        """Return 0."""
        return 0.0

    def objective(self, stats, temperature):
        """Return the free energy."""
        return stats.value

    def best(self, free_energy, temperature):
        """Return what the best of several runs has least of: the free energy."""
        return free_energy


class Learned(Schedule):
    """`factor` times the within-cluster variance per feature, after every M-step.

    Iterations lower G = F' / T + (W d / factor) log T (`size` is W d): each of E-step,
    M-step and this temperature minimises it over one block.
    """

    learned = True

    def __init__(self, factor, size, floor):
        self.factor, self.size, self.floor = factor, size, floor

    def first(self, inertia):
        """Return the temperature for hard memberships."""
        return self.following(None, inertia())

    def following(self, temperature, distortion):
        """Return the temperature for a distortion, at least that of the floor."""
        return self.factor * max(distortion / self.size, self.floor)

    def objective(self, stats, temperature):
        """Return G."""
        return self.best(stats.value, temperature)

    def best(self, free_energy, temperature):
        """Return what the best of several runs has least of: G."""
        return free_energy / temperature + self.size / self.factor * np.log(temperature)

    def heat(self, temperature):
        """Return half the curvature of T G in log T."""
        return self.size / self.factor * temperature / 2


class Solved(Schedule):
    """The temperature at which the distortion of the centers is `target`.

    Hard steps come first, until the inertia is below the target. From then on every
    E-step and M-step raises the entropy.

    Parameters
    ----------
    target : float
        The distortion sum w p d.
    size : float
        W d: `target` over this is a first guess at the temperature.
    least : float
        W Omega(u), the negentropy of uniform memberships.
    eps : float
        The relative rounding of distances.
    """

    learned = True

    def __init__(self, target, size, least, eps):
        self.target, self.least = target, least
        self._guess, self._tolerance = target / size, _ROUNDINGS * eps

    def first(self, inertia):
        """Return 0: whether the target can be reached is not known yet."""
        self._slope = 1.0
        return 0.0

    def following(self, temperature, distortion):
        """Return the temperature, as a guess at the next one."""
        return temperature

    def expect(self, at, temperature):
        """Return the temperature that is solved for, and the E-step at it."""
        found = {}

        def _distortion(temperature):
            found[temperature] = at(temperature)
            return found[temperature].stats.distortion

        temperature, self._slope = self.solve(_distortion, temperature, self._slope)
        return temperature, found[temperature]

    def solve(self, distortion, temperature, slope=1.0):
        """Return the temperature whose distortion is the target, by a guess at it.

        The distortion rises with the temperature; it is 0 where the target is too low.
        The root in log T is looked for beyond where it would be by a slope. That of the
        logarithm of the distortion is returned as well.
        """
        if not temperature:
            if distortion(0.0) >= self.target:
                return 0.0, slope
            temperature = self._guess
        if min(self.target, temperature) < np.finfo(float).tiny:
            # What has so few digits is not solved for.
            return 0.0, slope
        least, wanted = np.finfo(float).smallest_subnormal, np.log(self.target)

        @cache
        def _excess(x):
            reached = max(distortion(float(np.exp(x))), least)
            # Near the target this has more digits than the difference of logarithms.
            if self.target / 2 < reached < 2 * self.target:
                excess = np.log1p((reached - self.target) / self.target)
            else:
                excess = np.log(reached) - wanted
            return float(excess) if abs(excess) > self._tolerance else 0.0

        a = b = float(np.log(temperature))
        reach = 2 * _excess(a) / slope
        while _excess(a) * _excess(b) > 0:
            if np.exp(b) == 0:
                return 0.0, slope
            if b == _HOTTEST:
                # Uniform memberships have less than the target, by its rounding.
                return float(np.exp(b)), slope
            a, b = b, min(b - reach, _HOTTEST)
            reach *= 4
        if abs(b - a) > _FLAT:
            slope = max((_excess(b) - _excess(a)) / (b - a), _FLAT)
        return float(
            np.exp(brentq(_excess, a, b, xtol=self._tolerance, maxiter=_MAX_STEPS))
        ), slope

    def objective(self, stats, temperature):
        """Return the negentropy: 0 where memberships are hard."""
        return stats.omega

    def entropy(self, free_energy, distortion, temperature):
        """Return the entropy that these belong to."""
        if not temperature:
            return 0.0
        return max((distortion - free_energy) / temperature - self.least, 0.0)


class Geometric:
    """Temperatures that fall by a rate, to `last` or, if that is 0, until hard.

    Iterating gives those above `last`, from where memberships begin to change. Where
    ties keep memberships soft, they end at a small share of `spread`.

    Parameters
    ----------
    first, rate, last : float
        The first temperature, the ratio of each to the one before, and the last one.
    spread : float
        The mean squared distance of the samples to their mean.
    largest : float
        The largest squared distance of a sample and a center.
    """

    def __init__(self, first, rate, last, spread, largest):
        self.rate, self.last = rate, last
        self.until_hard = last == 0
        # Above it memberships are the same for all clusters, but for rounding.
        hottest = largest / float(np.finfo(float).eps)
        if hottest and first > hottest:
            fall = -np.log(rate)
            n_skipped = np.ceil((np.log(first) - np.log(hottest)) / fall)
            first = float(np.exp(np.log(first) - n_skipped * fall))
        self.first = max(first, last)
        # Constant data have no spread.
        self._least = max(last, _LEAST * min(first, spread or first))

    def __iter__(self):
        """Give the temperatures."""
        temperature = self.first
        while temperature > self._least:
            yield temperature
            temperature *= self.rate


class Given:
    """The temperatures of a sequence or callable, as long as they are above `last`.

    Parameters
    ----------
    temperatures : sequence or callable
        What a callable gives for 0, 1, 2, ... is what a sequence has there.
    unit : float
        What they are multiples of.
    last : float
        The last temperature.
    """

    def __init__(self, temperatures, unit, last):
        self._temperatures, self._unit, self.last = temperatures, unit, last
        self.until_hard = last == 0 and callable(temperatures)

    def __iter__(self):
        """Give the temperatures; a ValueError if they do not fall."""
        if callable(self._temperatures):
            values = map(self._temperatures, count())
        else:
            values = self._temperatures
        before = np.inf
        for value in values:
            temperature = self._checked(value) * self._unit
            if temperature <= self.last:
                break
            if temperature >= before:
                raise ValueError(
                    f"cooling_rate must give temperatures that fall, got {value} after "
                    f"{before / self._unit:.6g}."
                )
            before = temperature
            yield temperature

    def _checked(self, value):
        try:
            temperature = float(value) if isinstance(value, Real) else np.nan
        except OverflowError:
            temperature = np.inf
        if not 0 <= temperature < np.inf:
            raise ValueError(
                f"cooling_rate must give finite temperatures that are not negative, got"
                f" {value!r}."
            )
        return temperature


@validated(
    {
        "X": ["array-like", "sparse matrix"],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": ALPHA,
        "sample_weight": ["array-like", None],
    }
)
def critical_temperature(X, *, n_clusters=None, alpha=1.0, sample_weight=None):
    r"""Return the temperature at which coinciding centers first split.

    .. math:: T_c = 2 \lambda_{\max}(\mathrm{Cov}(X)) \, K^{\alpha - 1}

    Below it, centers that start near the mean of X separate along the first principal
    axis; above it they collapse onto the mean. It is the natural unit of temperature:
    multiplying X by a factor multiplies both by its square. It says where the state
    with all centers at the mean becomes unstable; with heavy tails other states can
    persist a little above it.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The data.
    n_clusters : int, default=None
        The number of clusters K. Required when `alpha` is above 1, without influence
        when it is 1.
    alpha : float, default=1.0
        The order of the entropy, 1 or in [1.001, 2]: 1 for softmax, 1.5 for
        1.5-entmax, 2 for sparsemax.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the samples; all 1 if None.

    Returns
    -------
    temperature : float
        The critical temperature, in squared units of X.

    Raises
    ------
    ValueError
        If `n_clusters` is missing with `alpha` above 1, or X or `sample_weight` are
        not valid data.

    References
    ----------
    K. Rose, "Deterministic annealing for clustering, compression, classification,
    regression, and related optimization problems", Proceedings of the IEEE 86(11),
    1998, :doi:`10.1109/5.726788`.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_softkmeans import critical_temperature
    >>> X = np.array([[-3.0, 0.0], [3.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
    >>> float(critical_temperature(X))
    9.0
    >>> float(critical_temperature(X, n_clusters=4, alpha=1.5))
    18.0
    """
    if alpha > 1 and n_clusters is None:
        raise ValueError(
            f"n_clusters must be an int when alpha > 1, got None with alpha={alpha}."
        )
    X = check_data(X)
    sample_weight, _ = check_weights(sample_weight, X)

    def _critical(chunks):
        return critical(chunks, data_moments(chunks), n_clusters or 1, alpha)

    return in_chunks(X, sample_weight, 1, _critical)


def critical(chunks, moments, n_clusters, alpha):
    """Return the critical temperature of chunks with these moments."""
    return 2 * _largest_variance(chunks, moments) * n_clusters ** (alpha - 1)


def _largest_variance(chunks, moments):
    """Return the largest eigenvalue of the weighted covariance."""
    n_features, float64 = chunks.X.shape[1], np.dtype(np.float64)
    if moments.scatter == 0:
        return 0.0

    # Of data scaled to a mean variance near 1, whatever their units: by a power of two.
    scale = 2.0 ** -np.frexp(np.sqrt(moments.variance))[1]

    def covariance(block, weights):
        x = block.dense() * scale
        weights = weights / moments.weight
        return x.T @ (x * weights[:, np.newaxis])

    def product(vector):
        def times(block, weights):
            weights = weights / moments.weight * scale
            return block.combine(weights * (block.project(vector) * scale))

        return chunks.reduce(times, moments.origin, float64)

    if n_features <= _MAX_COVARIANCE:
        last = [n_features - 1] * 2
        C = chunks.reduce(covariance, moments.origin, float64)
        largest = eigh(C, eigvals_only=True, subset_by_index=last)[0]
    else:
        C = LinearOperator((n_features, n_features), product, dtype=float64)
        start = np.random.RandomState(0).standard_normal(n_features)
        largest = eigsh(C, k=1, v0=start, return_eigenvectors=False)[0]
    return float(largest) / scale / scale
