"""The public function `temperature_path`."""

import warnings
from numbers import Integral, Real

import numpy as np
from numpy.lib.recfunctions import drop_fields
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans._annealed import AnnealedRBFKMeans
from sk_softkmeans._assignments import ALPHA
from sk_softkmeans._schedules import critical_temperature
from sk_softkmeans._validation import (
    Interval,
    StrOptions,
    check_data,
    check_temperatures,
    validated,
)

# Where the default grid starts, in units of the critical temperature, and where it
# ends, in units of that of softmax: the other grows with K, but memberships around two
# neighbouring centers are as soft whatever K is.
_FIRST, _LAST = 1.05, 1e-3


@validated(
    {
        "X": ["array-like", "sparse matrix"],
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "temperatures": ["array-like", None],
        "n_temperatures": [Interval(Integral, 2, None, closed="left")],
        "alpha": ALPHA,
        "temperature_unit": [StrOptions({"absolute", "critical"})],
        "init": [StrOptions({"k-means++", "random"}), callable, "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "sample_weight": ["array-like", None],
    }
)
def temperature_path(
    X,
    n_clusters,
    *,
    temperatures=None,
    n_temperatures=50,
    alpha=1.0,
    temperature_unit="absolute",
    init="k-means++",
    max_iter=1000,
    tol=1e-6,
    random_state=None,
    sample_weight=None,
):
    r"""Fit soft k-means at falling temperatures, each from the centers of the last.

    At each temperature T the free energy of `EntmaxKMeans` (`SoftKMeans` at alpha = 1)

    .. math:: F_T(c) = \min_p \sum_i w_i \Big[ \sum_k p_{ik} \|x_i - c_k\|^2
        + T \frac{\sum_k p_{ik}^\alpha - K^{1 - \alpha}}{\alpha (\alpha - 1)} \Big]

    is lowered to a fixed point of the soft k-means at T. It falls from one temperature
    to the next. At high ones the centers coincide; on the way down they separate, group
    by group, which shows how many clusters there are to see at each scale.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The samples, dense in any memory order or CSR. float32 and float64 are kept,
        everything else becomes float64.
    n_clusters : int
        The number of clusters K.
    temperatures : array-like of shape (n_temperatures,), default=None
        The grid, in `temperature_unit`. It is put into falling order; 0, k-means, may
        be its end. If None, it is geometric, from 1.05 times the
        `critical_temperature`, above which the centers at the mean of X are stable, to
        0.001 times that of alpha = 1, where most memberships are nearly hard.
    n_temperatures : int, default=50
        How many temperatures the grid has, at least 2, if `temperatures` is None.
    alpha : float, default=1.0
        The order of the entropy: 1 for softmax, or in [1.001, 2], as in `EntmaxKMeans`.
    temperature_unit : {"absolute", "critical"}, default="absolute"
        The unit of `temperatures`: squared units of X, or multiples of the
        `critical_temperature` of X for this K and alpha.
    init : {"k-means++", "random"}, callable or array-like, default="k-means++"
        How to start at the first temperature, as in `SoftKMeans`, once. It matters
        little where the centers then coincide.
    max_iter : int, default=1000
        The largest number of iterations at each temperature. Where centers are about
        to separate, many are needed.
    tol : float, default=1e-6
        Relative tolerance: iterations end when the squared distance that the centers
        are estimated to be from their end is at most `tol` times the mean variance of
        the features; at temperature 0, when no label changes. A larger one, such as
        that of the estimators, leaves apart centers that are falling together, and
        spoils `n_distinct`.
    random_state : int, RandomState instance or None, default=None
        Determines the draws of `init`. Nothing else is random.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights of the samples, not negative; all 1 if None.

    Returns
    -------
    path : recarray of shape (n_temperatures,)
        A row for each temperature, in falling order, with the columns `temperature` (in
        squared units of X), `free_energy` (normalised: at least `inertia`), `inertia`,
        `entropy`, `n_iter`, `n_trial_iter` (the iterations on coinciding centers that
        were set apart, to see whether that helps), `n_distinct` (the centers that do
        not coincide) and `centers` (n_clusters x n_features of the dtype of X), by
        ``path.temperature`` or ``path["temperature"]``.

    Raises
    ------
    ValueError
        If a parameter, X or `sample_weight` is out of range, X has fewer samples than
        clusters, or X has no variance and `temperatures` is None or relative to it.
    TypeError
        If `sample_weight` or `init` is sparse.

    Warns
    -----
    ConvergenceWarning
        Once, if the centers still moved after `max_iter` iterations at some
        temperatures.

    See Also
    --------
    TemperaturePathDisplay : The path as a picture.
    AnnealedRBFKMeans : A few iterations at each temperature, to find good centers.
    critical_temperature : Where the centers first separate.

    Notes
    -----
    Centers that coincide would stay together at any temperature. They are set apart
    along the longest axis of their samples where that lowers the free energy. No other
    center is moved but by iterations of expectation-maximisation.

    Just above the critical temperature, centers that start apart can stay so if X is
    skewed, has heavy tails, or alpha is large: at the same temperature, centers at the
    mean and centers apart are both stable.

    References
    ----------
    K. Rose, "Deterministic annealing for clustering, compression, classification,
    regression, and related optimization problems", Proceedings of the IEEE 86(11),
    1998, :doi:`10.1109/5.726788`.

    Examples
    --------
    Two pairs of points. The centers separate below the critical temperature 2 x 26,
    and those of a pair below 2 x 1:

    >>> import numpy as np
    >>> from sk_softkmeans import temperature_path
    >>> X = np.array([[-6.0], [-4.0], [4.0], [6.0]])
    >>> path = temperature_path(X, 4, temperatures=[60, 40, 10, 1], random_state=0)
    >>> path.n_distinct
    array([1, 2, 2, 4])
    >>> np.sort(path.centers[2].ravel()).round(2)
    array([-5., -5.,  5.,  5.])
    """
    X = check_data(X)
    order = {"n_clusters": n_clusters, "alpha": alpha, "sample_weight": sample_weight}
    if temperatures is None:
        first = _FIRST * critical_temperature(X, **order)
        last = _LAST * critical_temperature(X, sample_weight=sample_weight)
        if not last:
            raise ValueError(
                "temperatures must be given when X has no variance, and so no critical "
                "temperature, got None."
            )
        temperatures = np.geomspace(first, last, n_temperatures)
    else:
        critical = temperature_unit == "critical"
        unit = critical_temperature(X, **order) if critical else 1.0
        if not unit:
            raise ValueError(
                "temperature_unit must be 'absolute' when X has no variance, and so no "
                "critical temperature, got 'critical'."
            )
        temperatures = check_temperatures(temperatures, unit)

    rows, converged = [], []
    for temperature in temperatures:
        model = _AtOneTemperature(
            n_clusters,
            alpha=alpha,
            temperature=temperature,
            temperature_min=temperature,
            cooling_rate=(),
            relocate=False,
            init=init,
            n_init=1,
            max_iter=max_iter,
            tol=tol if temperature else 0.0,
            random_state=random_state,
        ).fit(X, sample_weight=sample_weight)
        init = model.cluster_centers_
        rows.append(model.path_)
        converged.append(model.converged_)

    _warn_of(temperatures[~np.array(converged)], len(temperatures), max_iter)
    return drop_fields(np.concatenate(rows), "n_relocated", asrecarray=True)


class _AtOneTemperature(AnnealedRBFKMeans):
    """A fit without warnings: the path has its own, and starts with a collapse."""

    def _warn(self, doubts):
        """Do nothing."""


def _warn_of(moving, n_temperatures, max_iter):
    """Warn of the temperatures at which centers still moved, if there are any."""
    if len(moving):
        warnings.warn(
            f"The centers still moved after max_iter={max_iter} iterations at "
            f"{len(moving)} of {n_temperatures} temperatures, the first of them "
            f"{moving[0]:.6g}. Increase max_iter or tol.",
            ConvergenceWarning,
            stacklevel=5,
        )
