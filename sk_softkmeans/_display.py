"""The picture of a path: what happens to the centers at falling temperatures."""

from numbers import Integral

import numpy as np
from sklearn.base import clone

from sk_softkmeans._annealed import AnnealedRBFKMeans
from sk_softkmeans._base import BaseSoftKMeans
from sk_softkmeans._path import temperature_path
from sk_softkmeans._schedules import critical_temperature
from sk_softkmeans._validation import check_data, check_matplotlib_support

# What is drawn of a path.
_COLUMNS = {"temperature", "free_energy", "inertia", "n_distinct", "centers"}
# Those of Okabe and Ito, which the colour-blind can tell apart.
_BLUE, _ORANGE = "#0072B2", "#D55E00"
# Viridis ends in a yellow that is hard to see on white.
_BRIGHTEST = 0.9


class TemperaturePathDisplay:
    """Picture of the centers of a soft k-means against temperature.

    Use `from_estimator` or `from_path` to make one. The temperature axis is
    logarithmic, so that a row at temperature 0 is left out. Dashed lines mark the
    temperatures of the path at which the number of distinct centers rises, and a dotted
    line the `critical_temperature` of the data, where it is known.

    Parameters
    ----------
    path : recarray of shape (n_temperatures,)
        What `temperature_path` returns or `AnnealedRBFKMeans` has as ``path_``.
    critical_temperature : float, default=None
        The critical temperature of the data; not marked if None.
    feature_names : array-like of shape (n_features,), default=None
        The names of the features.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes that were drawn on.
    figure_ : matplotlib Figure
        Their figure.
    lines_ : list of matplotlib Line2D
        The curves.
    transition_lines_ : list of matplotlib Line2D
        The dashed vertical lines.
    critical_line_ : matplotlib Line2D or None
        The dotted vertical line.

    See Also
    --------
    temperature_path : The numbers behind the picture.
    critical_temperature : Where the centers first separate.

    References
    ----------
    K. Rose, "Deterministic annealing for clustering, compression, classification,
    regression, and related optimization problems", Proceedings of the IEEE 86(11),
    1998, :doi:`10.1109/5.726788`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sk_softkmeans import SoftKMeans, TemperaturePathDisplay
    >>> X = load_iris().data
    >>> model = SoftKMeans(n_clusters=3, random_state=0)
    >>> display = TemperaturePathDisplay.from_estimator(model, X)
    >>> len(display.lines_)
    3
    >>> display.plot(kind="n_distinct").ax_.get_ylabel()
    'number of distinct centers'
    """

    def __init__(self, *, path, critical_temperature=None, feature_names=None):
        self.path = path
        self.critical_temperature = critical_temperature
        self.feature_names = feature_names

    def plot(self, ax=None, *, kind="centers", feature=None, line_kw=None):
        """Draw the path.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on; those of a new figure if None.
        kind : {"centers", "free_energy", "n_distinct"}, default="centers"
            What to draw against temperature: a coordinate of each center, the free
            energy and the inertia, or the number of centers that do not coincide.
        feature : int or str, default=None
            The coordinate of ``kind="centers"``, by the index or name of a feature. If
            None, it is the first principal component of all centers of the path.
        line_kw : dict, default=None
            Arguments of matplotlib's ``plot`` for the curves.

        Returns
        -------
        display : TemperaturePathDisplay
            This object.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        if kind not in _KINDS:
            names = ", ".join(map(repr, _KINDS))
            raise ValueError(f"kind must be one of {names}, got {kind!r}.")
        path = self.path[self.path["temperature"] > 0]
        label, curves = _KINDS[kind](path, feature, self.feature_names)
        if ax is None:
            _, ax = plt.subplots()
        line_kw = normalize_kwargs(line_kw, Line2D)
        self.lines_ = [
            ax.plot(path["temperature"], values, **(style | line_kw))[0]
            for values, style in curves
        ]
        self._mark(ax, path)
        ax.set(xscale="log", xlabel="temperature (squared data units)", ylabel=label)
        if kind == "n_distinct":
            ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if ax.get_legend_handles_labels()[1]:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _mark(self, ax, path):
        """Draw the vertical lines."""
        rises = np.flatnonzero(np.diff(path["n_distinct"]) > 0) + 1
        style = {"color": "gray", "linewidth": 0.8, "zorder": 0}
        self.transition_lines_ = [
            ax.axvline(temperature, linestyle="--", **style)
            for temperature in path["temperature"][rises]
        ]
        for line in self.transition_lines_[:1]:
            line.set_label("more distinct centers")
        self.critical_line_ = None
        if self.critical_temperature:
            self.critical_line_ = ax.axvline(
                self.critical_temperature,
                label="critical temperature",
                linestyle=":",
                **(style | {"color": "black"}),
            )

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        sample_weight=None,
        kind="centers",
        feature=None,
        ax=None,
        line_kw=None,
    ):
        """Draw the path of an estimator.

        Parameters
        ----------
        estimator : estimator of this package
            The path is that of an `AnnealedRBFKMeans`, which has to be fitted. Of any
            other estimator, fitted or not, it is the `temperature_path` with its
            `n_clusters`, `alpha`, `init` and `random_state`; `max_iter` and `tol` are
            those of a path, not of an estimator, whose centers end too far apart to
            tell which of them coincide.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples, which tell the critical temperature.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the samples; all 1 if None.
        kind : {"centers", "free_energy", "n_distinct"}, default="centers"
            What to draw, as in `plot`.
        feature : int or str, default=None
            The coordinate of ``kind="centers"``, as in `plot`; by name if X is a frame.
        ax : matplotlib Axes, default=None
            The axes to draw on; those of a new figure if None.
        line_kw : dict, default=None
            Arguments of matplotlib's ``plot`` for the curves.

        Returns
        -------
        display : TemperaturePathDisplay
            The picture.

        Raises
        ------
        TypeError
            If `estimator` is not one of this package.
        NotFittedError
            If `estimator` is an `AnnealedRBFKMeans` that is not fitted.
        ValueError
            If a parameter, X or `sample_weight` is not valid.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not isinstance(estimator, BaseSoftKMeans):
            raise TypeError(
                f"estimator must be one of sk_softkmeans, got {type(estimator)}."
            )
        order = {
            "n_clusters": estimator.n_clusters,
            "alpha": getattr(estimator, "alpha", 1.0),
            "sample_weight": sample_weight,
        }
        if isinstance(estimator, AnnealedRBFKMeans):
            X = estimator._check_new(X)
            path = estimator.path_
        else:
            estimator = clone(estimator)
            X = check_data(X, estimator)
            start = {"init": estimator.init, "random_state": estimator.random_state}
            path = temperature_path(X, **order, **start)
        return cls.from_path(
            path,
            critical_temperature=critical_temperature(X, **order),
            feature_names=getattr(estimator, "feature_names_in_", None),
            kind=kind,
            feature=feature,
            ax=ax,
            line_kw=line_kw,
        )

    @classmethod
    def from_path(
        cls,
        path,
        *,
        critical_temperature=None,
        feature_names=None,
        kind="centers",
        feature=None,
        ax=None,
        line_kw=None,
    ):
        """Draw a path.

        Parameters
        ----------
        path : recarray of shape (n_temperatures,)
            What `temperature_path` returns or `AnnealedRBFKMeans` has as ``path_``.
        critical_temperature : float, default=None
            The critical temperature of the data; not marked if None.
        feature_names : array-like of shape (n_features,), default=None
            The names of the features.
        kind : {"centers", "free_energy", "n_distinct"}, default="centers"
            What to draw, as in `plot`.
        feature : int or str, default=None
            The coordinate of ``kind="centers"``, as in `plot`.
        ax : matplotlib Axes, default=None
            The axes to draw on; those of a new figure if None.
        line_kw : dict, default=None
            Arguments of matplotlib's ``plot`` for the curves.

        Returns
        -------
        display : TemperaturePathDisplay
            The picture.

        Raises
        ------
        ValueError
            If `path` has not the columns of a path or no positive temperature, or
            another parameter is not valid.
        """
        check_matplotlib_support(f"{cls.__name__}.from_path")
        columns = getattr(getattr(path, "dtype", None), "names", None) or ()
        if not _COLUMNS.issubset(columns):
            raise ValueError(
                f"path must be what temperature_path returns, with the columns "
                f"{', '.join(sorted(_COLUMNS))}, got {type(path)} with {columns}."
            )
        n_features = path["centers"].shape[-1]
        if feature_names is not None and len(feature_names) != n_features:
            raise ValueError(
                f"feature_names must have a name for each of {n_features} features, got"
                f" {len(feature_names)}."
            )
        if not (path["temperature"] > 0).any():
            raise ValueError("path must have a positive temperature, got none.")
        display = cls(
            path=path,
            critical_temperature=critical_temperature,
            feature_names=feature_names,
        )
        return display.plot(ax, kind=kind, feature=feature, line_kw=line_kw)


def _center_curves(path, feature, feature_names):
    """Return a coordinate of each center, brighter the higher it ends."""
    from matplotlib import colormaps

    label, values = _coordinate(path["centers"], feature, feature_names)
    rank = np.argsort(np.argsort(values[-1], kind="stable"))
    shade = _BRIGHTEST * rank / max(len(rank) - 1, 1)
    colors = colormaps["viridis"](shade)
    return label, [(v, {"color": c}) for v, c in zip(values.T, colors, strict=True)]


def _coordinate(centers, feature, feature_names):
    """Return the name of a coordinate, and its values in the centers of each row."""
    if feature is None:
        points = centers.reshape(-1, centers.shape[-1]).astype(np.float64)
        points -= points.mean(axis=0)
        axis = np.linalg.svd(points, full_matrices=False)[2][0]
        # Either sign would do.
        axis *= np.sign(axis[np.abs(axis).argmax()])
        values = (points @ axis).reshape(centers.shape[:-1])
        return "first principal component (data units)", values
    names = [] if feature_names is None else list(feature_names)
    named = isinstance(feature, str) and feature in names
    index, n_features = names.index(feature) if named else feature, centers.shape[-1]
    is_index = isinstance(index, Integral) and not isinstance(index, bool)
    if not (is_index and 0 <= index < n_features):
        raise ValueError(
            f"feature must be an index below {n_features} or a name of a feature (known"
            f" names: {names}), got {feature!r}."
        )
    name = names[index] if names else f"feature {index}"
    return f"{name} of the centers (data units)", centers[..., index]


def _energy_curves(path, feature, feature_names):
    """Return the free energy and the inertia."""
    return "free energy and inertia (squared data units)", [
        (path["free_energy"], {"label": "free energy", "color": _BLUE}),
        (path["inertia"], {"label": "inertia", "color": _ORANGE, "linestyle": "-."}),
    ]


def _count_curves(path, feature, feature_names):
    """Return the number of distinct centers, in steps."""
    style = {"color": _BLUE, "drawstyle": "steps-post"}
    return "number of distinct centers", [(path["n_distinct"], style)]


# By the names of the parameter.
_KINDS = {
    "centers": _center_curves,
    "free_energy": _energy_curves,
    "n_distinct": _count_curves,
}
