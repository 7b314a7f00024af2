"""Mean, variance and extent of weighted data, about which everything is computed."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import min_max_axis

# The squared distance of two samples is at most this times the largest to the mean.
_PAIR = 4


class Moments(NamedTuple):
    """What a fit knows of X before its first iteration.

    Attributes
    ----------
    origin : ndarray of shape (n_features,)
        The weighted mean, rounded to the dtype of X.
    variance : float
        The mean over the features of the weighted variance.
    scatter : float
        The weighted sum of squared distances to the mean.
    peak : float
        The largest |x - origin|^2.
    weight : float
        The sum of the weights.
    """

    origin: np.ndarray
    variance: float
    scatter: float
    peak: float
    weight: float


@dataclass(slots=True)
class _Spread:
    scatter: float
    peak: float

    def __iadd__(self, other):
        self.scatter += other.scatter
        self.peak = np.maximum(self.peak, other.peak)
        return self


def data_moments(chunks):
    """Return the `Moments` of X; a ValueError names a scale that cannot be squared."""
    X = chunks.X
    weight = float(chunks.sample_weight.sum())
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _mean(chunks, weight)
        origin = mean.astype(X.dtype)
    spread = _spread(chunks, origin)
    scatter, peak = float(spread.scatter), float(spread.peak)
    smallest, largest = _normal_range(X)
    if _is_constant(X, peak):
        scatter = peak = 0.0
    elif not (np.isfinite(scatter) and smallest <= peak <= largest / _PAIR):
        raise _scale_error(X, peak)
    # About the mean itself, which float32 may be far from.
    scatter = max(scatter - weight * float(((mean - origin) ** 2).sum()), 0.0)
    variance = scatter / weight / X.shape[1]
    return Moments(origin, variance, scatter, peak, weight)


def extent(chunks, origin, points):
    """Return the largest |x - origin|^2 of samples and points about the origin.

    A ValueError says that the dtype of X cannot hold it.
    """
    peak = float(_spread(chunks, origin).peak)
    with np.errstate(over="ignore"):
        peak = max(peak, float((points**2).sum(axis=1).max()))
    if not peak <= _normal_range(chunks.X)[1] / _PAIR:
        raise _scale_error(chunks.X, peak)
    return peak


def check_start(chunks, moments, unit, points):
    """Raise a ValueError if initial centers about the origin are out of reach."""
    with np.errstate(over="ignore", invalid="ignore"):
        farthest = float((points**2).sum(axis=1).max())
        inertia = _PAIR * farthest * moments.weight * unit
    if not (_PAIR * farthest <= _normal_range(chunks.X)[1] and inertia < np.inf):
        raise ValueError(
            f"init must hold centers whose weighted sum of squared distances to X is a "
            f"{chunks.X.dtype} number, got a squared distance to the mean of X of "
            f"{farthest:.3g}."
        )


def _scale_error(X, peak):
    return ValueError(
        f"The scale of X must let sums of squared distances be {X.dtype} numbers, got a"
        f" largest squared distance of {peak:.3g}. Rescale X, for example by "
        f"StandardScaler."
    )


def _spread(chunks, origin):
    def spread(block, weights):
        norms = block.norms()
        return _Spread(weights @ norms, norms.max())

    return chunks.reduce(spread, origin, np.dtype(np.float64))


def _mean(chunks, weight):
    X = chunks.X
    if issparse(X):
        return X.T @ chunks.sample_weight / weight
    # About a row that counts, an offset costs no digits and the mean of constants is
    # exact.
    first = X[(chunks.sample_weight > 0).argmax()].astype(np.float64)

    def total(block, weights):
        return block.combine(weights)

    total = chunks.reduce(total, first, np.dtype(np.float64))
    return first + total / weight


def _normal_range(X):
    info = np.finfo(X.dtype)
    return float(info.tiny), float(info.max)


def _is_constant(X, peak):
    if issparse(X):
        # Rounding of rows that are not centered looks like an extent.
        low, high = min_max_axis(X, axis=0)
        return np.array_equal(low, high)
    return peak == 0 and not (X[0] != X).any()
