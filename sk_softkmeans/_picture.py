"""The picture that the command draws of a clustering."""

from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from sk_softkmeans._mistakes import CommandError, listed, require

# Those of Okabe and Ito that can be seen on white: the colour-blind tell them apart.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")
# Their number has no factor in common with that of the colours: thirty pairs.
_MARKERS = ("o", "s", "^", "D", "v")
# The opacity of a row that is shared evenly.
_FAINTEST = 0.15
# More rows hide each other: so many of them are drawn.
_DRAWN = 20_000
# Those that have opacity, and what leaves the time out of them.
_FORMATS = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
# How the numbers of the centers are written beside them.
_NUMBER = {
    "xytext": (5, 5),
    "textcoords": "offset points",
    "fontweight": "bold",
    "bbox": {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.7},
}


def picture_format(path):
    """Return the format that the suffix of a path stands for."""
    require("matplotlib", "--plot")
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise CommandError(f"{path} must end in {listed(_FORMATS)}")
    return suffix


def draw(file, form, model, X, labels, certainties):
    """Draw the samples of a fitted pipeline along their first principal components.

    Parameters
    ----------
    file : binary file
        Where to write.
    form : str
        What `picture_format` gave.
    model : Pipeline
        A fitted soft k-means, behind a scaler or not.
    X : {data frame, ndarray} of shape (n_samples, n_features)
        The samples.
    labels : ndarray of shape (n_samples,)
        The cluster of each sample.
    certainties : ndarray of shape (n_samples,)
        The membership of each sample in its cluster.
    """
    X = np.asarray(model[0].transform(X) if len(model) > 1 else X)
    with np.errstate(invalid="ignore"):
        # The shares of no variance.
        pca = PCA(min(2, *X.shape), random_state=0).fit(X)
    drawn = np.arange(len(X))
    if len(X) > _DRAWN:
        drawn = np.random.default_rng(0).choice(drawn, _DRAWN, replace=False)
    points, centers = (
        _in_the_plane(pca.transform(Y)) for Y in (X[drawn], model[-1].cluster_centers_)
    )
    n_clusters = len(centers)
    opacity = _opacity(certainties[drawn], n_clusters)

    matplotlib = require("matplotlib", "--plot")
    figure = require("matplotlib.figure", "--plot").Figure(
        figsize=(8, 6), dpi=150, layout="constrained"
    )
    axes = figure.add_subplot()
    axes.set_aspect("equal", adjustable="datalim")
    size = np.clip(20_000 / len(drawn), 6, 36)
    n_styles = len(_COLORS) * len(_MARKERS)
    for k in range(min(n_clusters, n_styles)):
        mine = labels[drawn] % n_styles == k
        style = {
            "color": _COLORS[k % len(_COLORS)],
            "marker": _MARKERS[k % len(_MARKERS)],
        }
        if mine.any():
            axes.scatter(*points[mine].T, s=size, alpha=opacity[mine], lw=0, **style)
        axes.scatter([], [], label=k, **style)
    cross = {"marker": "X", "s": 90, "color": "black", "edgecolors": "white"}
    axes.scatter(*centers.T, label="center", **cross)
    if n_clusters <= n_styles:
        figure.legend(title="Cluster", loc="outside right upper")
        for k, center in enumerate(centers):
            axes.annotate(k, center, **_NUMBER)
    axes.set_title(_caption(len(drawn), len(X)), loc="left", fontsize="medium")
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    axes.set_xlabel(f"First principal component ({shares[0]:.0%} of the variance)")
    if len(shares) == 2:
        axes.set_ylabel(f"Second principal component ({shares[1]:.0%})")
    else:
        axes.set_yticks([])
    with matplotlib.rc_context({"svg.hashsalt": "softkmeans"}):
        figure.savefig(file, format=form[1:], metadata=_FORMATS[form])


def _in_the_plane(scores):
    """Return two components, the second 0 if there is but one."""
    return np.pad(scores, ((0, 0), (0, 2 - scores.shape[1])))


def _opacity(certainties, n_clusters):
    """Return an opacity that is the lowest where all memberships are equal."""
    if n_clusters == 1:
        return np.ones(len(certainties))
    even = 1 / n_clusters
    sure = np.clip((certainties - even) / (1 - even), 0, 1)
    return _FAINTEST + (1 - _FAINTEST) * sure


def _caption(n_drawn, n_rows):
    part = "" if n_drawn == n_rows else f" ({n_drawn} of {n_rows} rows)"
    return f"Opaque where the cluster is certain, faint where it is shared{part}"
