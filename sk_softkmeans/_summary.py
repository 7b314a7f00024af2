"""What the command prints of a clustering."""

import numpy as np
from sklearn.preprocessing import StandardScaler

# Of so many features it is said how they set a cluster apart.
_FEATURES = 3
# Differences that are printed as 0.
_NONE = 0.005


def table_line(path, table):
    """Return the line about the data."""
    counts = zip(table.X.shape, ("row", "column"), strict=True)
    size = ", ".join(f"{n} {name}{'s' if n != 1 else ''}" for n, name in counts)
    left_out = f" (left out: {', '.join(table.left_out)})" if table.left_out else ""
    note = f"; {table.note}" if table.note else ""
    return f"{path}: {size}{left_out}{note}"


def model_lines(model, X, seconds):
    """Return the lines about a pipeline that was fitted to X."""
    estimator = model[-1]
    columns = "the scaled columns" if len(model) > 1 else "the columns"
    unit = f"squared units of {columns}"
    numbers = [
        ("temperature", estimator.temperature_, unit),
        ("log-density", model.score(X), f"nats, mean over rows, of {columns}"),
        ("free energy", estimator.free_energy_, f"{unit}, sum over rows"),
        ("iterations", estimator.n_iter_, ""),
        ("seconds", seconds, "of the fit"),
    ]
    return [
        f"{name:<11} {value:>10.4g}  {note}".rstrip() for name, value, note in numbers
    ]


def cluster_lines(model, labels, certainties):
    """Return the lines of names and of clusters: number, size, mean certainty.

    Parameters
    ----------
    model : Pipeline
        A fitted soft k-means, behind a scaler or not.
    labels : ndarray of shape (n_samples,)
        The cluster of each sample.
    certainties : ndarray of shape (n_samples,)
        The membership of each sample in its cluster.

    Returns
    -------
    lines : list of str
        All of the same length.
    """
    n_clusters = len(model[-1].cluster_centers_)
    sizes = np.bincount(labels, minlength=n_clusters)
    sums = np.bincount(labels, weights=certainties, minlength=n_clusters)
    lines = [f"cluster {'size':>9} {'certainty':>10}"]
    for k in range(n_clusters):
        certainty = f"{sums[k] / sizes[k]:.3f}" if sizes[k] else "-"
        lines.append(f"{k:>7} {sizes[k]:>9} {certainty:>10}")
    return lines


def apart_lines(model, X, names):
    """Return the lines of what sets clusters apart, the first a heading.

    That are the features in which the center is farthest from the mean of X, in
    standard deviations of the feature.
    """
    centers = model[-1].cluster_centers_
    X = np.asarray(X)
    if len(model) == 1:
        centers = StandardScaler().fit(X).transform(centers)
    # Of a constant column rounding makes a small deviation, and large differences.
    centers = np.where(np.ptp(X, axis=0) > 0, centers, 0)
    lines = ["set apart by (standard deviations from the mean of all rows)"]
    for center in centers:
        largest = np.argsort(-abs(center), kind="stable")[:_FEATURES]
        lines.append(
            ", ".join(
                f"{names[j]} {center[j]:+.2f}"
                for j in largest
                if abs(center[j]) >= _NONE
            )
        )
    return lines
