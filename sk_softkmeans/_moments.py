"""Mean, variance and extent of weighted data, about which everything is computed."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import min_max_axis

# The squared distance of two samples is at most this times the largest to the mean.
_PAIR = 4
# An origin that is longer than so many times the distance of a sample costs that sample
# digits, until the columns where it is at least this share of its largest entry are
# shifted.
_NEAR, _SHARE = 2, 0.1
# The range of weights, of which the largest is in [1, 2), and of squares that products
# in float32 have room for.
_FLOAT32_WEIGHTS, _FLOAT32_SQUARES = 1e-10, (1e-12, 1e33)


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
    dtype : dtype
        What to compute in: that of X, or float64 if float32 has too small a range.
    """

    origin: np.ndarray
    variance: float
    scatter: float
    peak: float
    weight: float
    dtype: np.dtype


@dataclass(slots=True)
class _Spread:
    scatter: float
    peak: float
    least: float

    def __iadd__(self, other):
        self.scatter += other.scatter
        self.peak = np.maximum(self.peak, other.peak)
        self.least = np.minimum(self.least, other.least)
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
    elif not (_PAIR * scatter < np.inf and smallest <= peak <= largest / _PAIR):
        raise _scale_error(X, peak)
    # About the mean itself, which float32 may be far from.
    scatter = max(scatter - weight * float(((mean - origin) ** 2).sum()), 0.0)
    variance = scatter / weight / X.shape[1]
    dtype = _sufficient_dtype(X, chunks.min_weight, peak)
    return Moments(origin, variance, scatter, peak, weight, dtype)


def _sufficient_dtype(X, min_weight, peak):
    low, high = _FLOAT32_SQUARES
    fits = min_weight >= _FLOAT32_WEIGHTS and (low <= peak <= high or not peak)
    return X.dtype if fits else np.dtype(np.float64)


def extent(chunks, origin, points):
    """Return chunks to see from an origin, and the largest |x - origin|^2.

    That is of samples and points about the origin. A ValueError says that the dtype of
    X cannot hold it. No sample loses digits to the origin, and what is said of one does
    not depend on weights.
    """
    chunks, spread = _without_loss(chunks, origin)
    with np.errstate(over="ignore"):
        peak = max(float(spread.peak), float((points**2).sum(axis=1).max()))
    if not peak <= _normal_range(chunks.X)[1] / _PAIR:
        raise _scale_error(chunks.X, peak)
    return chunks, peak


def _without_loss(chunks, origin):
    """Return chunks that shift as many columns as samples near the origin need."""
    if not issparse(chunks.X):
        return chunks, _spread(chunks, origin)
    rest, columns = np.abs(origin.astype(np.float64)), np.array([], dtype=int)
    while True:
        chunks = chunks.shifting(columns)
        spread = _spread(chunks, origin)
        if np.sqrt(spread.least) * _NEAR >= np.linalg.norm(rest) or not rest.max() > 0:
            return chunks, spread
        columns = np.flatnonzero(abs(origin) >= _SHARE * rest.max())
        rest[columns] = 0


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
    # Differences of infinite sums are no numbers.
    peak = np.inf if np.isnan(peak) else peak
    return ValueError(
        f"The scale of X must let sums of squared distances be {X.dtype} numbers, got a"
        f" largest squared distance of {peak:.3g}. Rescale X, for example by "
        f"StandardScaler."
    )


def _spread(chunks, origin):
    def spread(block, weights):
        norms = block.norms()
        return _Spread(weights @ norms, norms.max(), norms.min())

    return chunks.reduce(spread, origin, np.dtype(np.float64))


def _mean(chunks, weight):
    X = chunks.X
    if issparse(X) and not len(chunks.shifted):
        return X.T @ chunks.sample_weight / weight
    # About a row that counts, an offset costs no digits and the mean of constants is
    # exact.
    first = _row(chunks, (chunks.sample_weight > 0).argmax())

    def total(block, weights):
        return block.combine(weights)

    total = chunks.reduce(total, first, np.dtype(np.float64))
    return first + total / weight


def _row(chunks, i):
    """Return a row as an origin in float64: 0 where CSR rows lose none of it."""
    if not issparse(chunks.X):
        return chunks.X[i].astype(np.float64)
    row, columns = np.zeros(chunks.X.shape[1]), chunks.shifted
    row[columns] = chunks.X[[i]].toarray()[0, columns]
    return row


def _normal_range(X):
    info = np.finfo(X.dtype)
    return float(info.tiny), float(info.max)


def _is_constant(X, peak):
    if issparse(X):
        # Rounding of rows that are not centered looks like an extent.
        low, high = min_max_axis(X, axis=0)
        return np.array_equal(low, high)
    return peak == 0 and not (X[0] != X).any()
