"""Checks of what users pass, and every private import of scikit-learn."""

import re
import warnings
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.base import _fit_context
from sklearn.utils import check_array
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)
from sklearn.utils.validation import (
    _check_sample_weight,
    _is_arraylike_not_scalar,
    _num_samples,
    validate_data,
)

try:  # scikit-learn >= 1.9
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Nothing: this scikit-learn has no callbacks."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method

    # The caller of fit, seen from a function that fit calls.
    FIT_STACKLEVEL = 4
else:
    FIT_STACKLEVEL = 5


__all__ = [
    "FIT_STACKLEVEL",
    "CallbackSupportMixin",
    "Interval",
    "Options",
    "StrOptions",
    "_fit_context",
    "_num_samples",
    "check_centers",
    "check_data",
    "check_init",
    "check_logits",
    "check_matching_centers",
    "check_matplotlib_support",
    "check_memberships",
    "check_temperatures",
    "check_weights",
    "plain_parameters",
    "resolve_n_init",
    "validated",
    "with_callbacks",
]

# The range of weights that is wide, and what makes room for their products: a power of
# two.
_WIDE, _SMALLER = 1e-200, 2.0**-400

_DATA = {
    "accept_sparse": "csr",
    "dtype": [np.float64, np.float32],
}


def plain_parameters(parameters, constraints, owner):
    """Return parameters that meet their constraints, numbers as Python's own.

    Those of NumPy overflow, round, and give their dtype to what is computed with them.
    `owner` is the name of what has the parameters.
    """
    return {
        name: _plain(name, value, constraints.get(name, ()), owner)
        for name, value in parameters.items()
    }


def _plain(name, value, constraints, owner):
    kinds = {getattr(constraint, "type", None) for constraint in constraints}
    if Real in kinds and isinstance(value, Real):
        try:
            plain = float(value)
        except OverflowError:
            plain = np.inf
        if plain == np.inf and value < np.inf:
            raise ValueError(
                f"The {name!r} parameter of {owner} must be at most "
                f"{np.finfo(float).max:.6g}. Got a larger {type(value).__name__} "
                f"instead."
            )
        if plain != value:
            # Rounding may have left the range.
            validate_parameter_constraints({name: constraints}, {name: plain}, owner)
        return plain
    if Integral in kinds and isinstance(value, Integral):
        return int(value)
    return value.item() if isinstance(value, np.generic) else value


def validated(constraints):
    """Decorate a function: its parameters meet constraints, and numbers are plain."""

    def _decorate(function):
        parameters = signature(function)

        @wraps(function)
        def _call(*args, **kwargs):
            given = parameters.bind(*args, **kwargs)
            plain = plain_parameters(given.arguments, constraints, function.__name__)
            given.arguments.update(plain)
            return function(*given.args, **given.kwargs)

        return validate_params(constraints, prefer_skip_nested_validation=True)(_call)

    return _decorate


@contextmanager
def _naming(argument):
    """Let every error of scikit-learn's checks name the argument."""
    try:
        # What is too large for a float64 becomes infinite, and the sum by which finite
        # numbers are told from others may overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except OverflowError as error:
        raise ValueError(f"Invalid {argument}: {error}") from error
    except (ValueError, TypeError) as error:
        named = re.search(rf"\b{argument}\b", str(error))
        if named or type(error) not in (ValueError, TypeError):
            raise
        raise type(error)(f"Invalid {argument}: {error}") from error


def check_data(X, estimator=None, reset=True, name="X"):
    """Return X as a float array in any memory order, or as CSR.

    With an estimator, also set (`reset`) or compare its number and names of features.
    """
    with _naming(name):
        if estimator is None:
            X = check_array(X, input_name=name, **_DATA)
        else:
            X = validate_data(estimator, X, reset=reset, **_DATA)
    if issparse(X) and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def check_logits(logits):
    """Return logits as a float array of any shape; they need not be finite."""
    with _naming("logits"):
        return check_array(
            logits,
            dtype=_DATA["dtype"],
            ensure_all_finite=False,
            ensure_2d=False,
            allow_nd=True,
            ensure_min_samples=0,
            ensure_min_features=0,
            input_name="logits",
        )


def check_weights(sample_weight, X):
    """Return float64 weights scaled to a largest one in [1, 2), and their unit.

    They are larger where their range is so wide that products with the smallest would
    leave that of float64. The unit is a power of two: scaling all weights changes no
    digit of a fit.
    """
    if sample_weight is None:
        # One number seen as many: no array as long as X.
        return np.broadcast_to(1.0, X.shape[0]), 1.0
    with _naming("sample_weight"):
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if not (weights >= 0).all() or weights.max() == np.inf:
        worst = weights[~(weights >= 0) | (weights == np.inf)][0]
        raise ValueError(f"sample_weight must be finite and not negative, got {worst}.")
    if not weights.any():
        raise ValueError("sample_weight must hold a positive weight, got only zeros.")
    unit = float(2.0 ** np.floor(np.log2(weights.max())))
    if weights[weights > 0].min() < _WIDE * unit:
        # Shares of the smallest have to be numbers as well.
        unit *= _SMALLER
    return weights / unit, unit


def check_temperatures(temperatures, unit):
    """Return a grid of temperatures times their unit, in falling order."""
    with _naming("temperatures"):
        grid = check_array(
            temperatures, dtype=np.float64, ensure_2d=False, input_name="temperatures"
        )
    if grid.ndim != 1:
        raise ValueError(
            f"temperatures must have one dimension, got the shape {grid.shape}."
        )
    if grid.min() < 0:
        raise ValueError(f"temperatures must not be negative, got {grid.min()}.")
    grid = np.sort(grid)[::-1]
    twice = grid[1:][grid[1:] == grid[:-1]]
    if len(twice):
        raise ValueError(f"temperatures must differ, got {twice[0]} more than once.")
    with np.errstate(over="ignore"):
        absolute = grid * unit
    if absolute[0] == np.inf:
        raise ValueError(
            f"temperatures times the critical temperature {unit:.3g} must be finite, "
            f"got {grid[0]}."
        )
    return absolute


def check_init(init, X, n_clusters):
    """Return init as it is, or checked as an array of centers or of memberships."""
    if not _is_arraylike_not_scalar(init):
        return init
    with _naming("init"):
        init = check_array(init, dtype=np.float64, input_name="init")
    if init.shape == (n_clusters, X.shape[1]):
        return check_centers(init, X, n_clusters)
    if init.shape != (X.shape[0], n_clusters):
        _raise_center_shape(init, X, n_clusters)
    _check_simplex(init, "init must have rows on the simplex when it holds memberships")
    return init


def check_memberships(P):
    """Return memberships as a float array, or as a CSR array."""
    P = check_data(P, name="P")
    if issparse(P):
        P = csr_array(P)
    _check_simplex(P, "P must have rows on the simplex: not negative, of sum 1")
    return P


def _check_simplex(P, requirement):
    # Shares as they are rounded in a file or computed in float32.
    tolerance = max(1e-6, np.sqrt(np.finfo(P.dtype).eps))
    with np.errstate(over="ignore", invalid="ignore"):
        sums = P.sum(axis=1, dtype=np.float64)
    off = np.flatnonzero(((P < 0).sum(axis=1) > 0) | (abs(sums - 1) > tolerance))
    if len(off):
        row = P[off[:1]]
        row = row.toarray() if issparse(row) else row
        raise ValueError(
            f"{requirement}, got {row[0]} in row {off[0]} ({len(off)} such rows)."
        )


def check_matching_centers(centers, n_clusters, n_features):
    """Return centers as a float64 array of this shape."""
    with _naming("centers"):
        centers = check_array(centers, dtype=np.float64, input_name="centers")
    if centers.shape != (n_clusters, n_features):
        raise ValueError(
            f"centers must have the shape (n_clusters, n_features) = "
            f"{(n_clusters, n_features)}, got {centers.shape}."
        )
    return centers


def check_centers(centers, X, n_clusters):
    """Return initial centers as a new float64 array of the right shape."""
    with _naming("init"):
        centers = check_array(centers, dtype=np.float64, copy=True, input_name="init")
    if centers.shape != (n_clusters, X.shape[1]):
        _raise_center_shape(centers, X, n_clusters)
    # A column of X may be far from 0, or the first sample from others.
    first = X[[0]].toarray() if issparse(X) else X[:1]
    with np.errstate(over="ignore"):
        near = np.minimum(abs(centers), abs(centers - first))
        largest = (near**2).sum(axis=1).max()
    if largest > np.finfo(X.dtype).max:
        raise ValueError(
            f"init must hold centers whose squared distances to X are {X.dtype} "
            f"numbers, got {largest:.3g}."
        )
    return centers


def _raise_center_shape(init, X, n_clusters):
    if init.shape[0] != n_clusters:
        other = f"number of clusters {n_clusters}"
    else:
        other = f"number of features of the data {X.shape[1]}"
    raise ValueError(
        f"The shape of the initial centers {init.shape} does not match the {other}. "
        f"An init of memberships would have the shape {(X.shape[0], n_clusters)}."
    )


def resolve_n_init(n_init, init, name):
    """Return the number of runs, as KMeans does; `init` is checked already."""
    given = isinstance(init, np.ndarray)
    if n_init == "auto":
        return 1 if given or init == "k-means++" else 10
    if given and n_init != 1:
        warnings.warn(
            f"Explicit initial center position passed: performing only one init in "
            f"{name} instead of n_init={n_init}.",
            RuntimeWarning,
            stacklevel=FIT_STACKLEVEL,
        )
        return 1
    return n_init
