"""Do soft centers reach those of k-means as the temperature falls, and at what price?

KMeans(tol=0) goes from k-means++ (random_state 0) to its fixed point. Each soft method
is fitted twice at every temperature T: from the initial centers of KMeans, and from its
fixed point. Distances are the largest of a center to the one of the fixed point that it
is matched with, in standard deviations of the data about their mean. From the fixed
point that is what the temperature does by itself. From the same start the method may
also take another way and end at another fixed point, as k-means does from another
start: such a distance says nothing of the temperature's error. The share of rows of
memberships that are one-hot and the iterations are those from the same start.

T is a multiple of the critical temperature T_c of each map, below which centers split.
That is 2 lambda_max(Cov) n_clusters^(alpha - 1), with alpha = 1 for softmax, so the
unit differs by n_clusters^(alpha - 1) between the maps.

The naive softmax is EM with exp(-d / T), where SoftKMeans first subtracts the smallest
d of a sample, and stops when its centers are NaN. A row is one-hot if a single
membership is not zero: by softmax, where all others have underflowed. Fits end when
centers move by some 1e-10 standard deviations, or after 1000 iterations.

The second table is at the fixed point itself, without a fit: the inertia J less the
free energy F = sum p d + T Omega(p), in units of J, and the largest 1 - p_max of a
sample. The unit of T is the smallest gap of a sample, between its squared distances to
the two nearest centers. Entmax should be exactly hard from alpha - 1 of it down, while
softmax errs by about exp(-gap / T).
"""

import warnings
from typing import NamedTuple

import numpy as np
from _common import Report, make_parser, select
from _pictures import LOOKS, numbers
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import EntmaxKMeans, SoftKMeans, critical_temperature, entmax

# With the number of clusters.
SETS = {
    "digits": (lambda: load_digits().data, 10),
    "blobs": (lambda: make_blobs(1000, centers=5, random_state=0)[0], 5),
}
NAIVE, SOFT = "naive softmax", "SoftKMeans"
# With the order of the map.
METHODS = {
    NAIVE: 1.0,
    SOFT: 1.0,
    "EntmaxKMeans(alpha=1.5)": 1.5,
    "EntmaxKMeans(alpha=2)": 2.0,
}
# In units of the critical temperature, and of the smallest gap.
TEMPERATURES = (1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
GAP_TEMPERATURES = (1, 0.5, 0.2, 0.1, 0.05, 0.02)
TOL, MAX_ITER = 1e-20, 1000
# Smaller distances are rounding errors.
REACHED = 1e-12
# The smallest distance in the picture.
FLOOR = 1e-13


class Fit(NamedTuple):
    """What is kept of a fit."""

    centers: np.ndarray
    memberships: np.ndarray
    n_iter: int


class Row(NamedTuple):
    """What the first table says of a method at a temperature."""

    is_nan: bool
    same_start: float
    from_fixed_point: float
    one_hot: float
    n_iter: int


class GapRow(NamedTuple):
    """What the second table says of a map at a temperature."""

    shortfall: float
    error: float


def naive_memberships(X, centers, temperature):
    """Return softmax memberships as the formula has them."""
    P = np.exp(-cdist(X, centers, "sqeuclidean") / temperature)
    # 0 / 0 where all have underflowed: that NaN is in the table.
    with np.errstate(invalid="ignore"):
        return P / P.sum(axis=1, keepdims=True)


def fit_naive(X, centers, temperature):
    """Fit by EM with the naive softmax, until the centers rest or are NaN."""
    tol = TOL * X.var(axis=0).mean()
    n_iter, moving = 0, True
    while moving and n_iter < MAX_ITER:
        P = naive_memberships(X, centers, temperature)
        last, centers = centers, P.T @ X / P.sum(axis=0)[:, np.newaxis]
        # False for NaN.
        moving = ((centers - last) ** 2).sum() > tol
        n_iter += 1
    return Fit(centers, naive_memberships(X, centers, temperature), n_iter)


def fit(name, X, centers, temperature):
    """Fit a method from these centers."""
    if name == NAIVE:
        return fit_naive(X, centers, temperature)
    params = {"init": centers, "tol": TOL, "max_iter": MAX_ITER}
    if name == SOFT:
        model = SoftKMeans(len(centers), temperature=temperature, **params)
    else:
        model = EntmaxKMeans(
            len(centers), alpha=METHODS[name], temperature=temperature, **params
        )
    model.fit(X)
    return Fit(model.cluster_centers_, model.predict_proba(X), model.n_iter_)


def distance(centers, fixed, X):
    """Return the largest distance of matched centers in standard deviations, or NaN."""
    if np.isnan(centers).any():
        return np.nan
    distances = cdist(centers, fixed)
    matched = distances[linear_sum_assignment(distances**2)]
    return matched.max() / np.sqrt(X.var(axis=0).sum())


def compare(name, X, init, fixed, temperature):
    """Return the row of a method, fitted from both."""
    unit = critical_temperature(X, n_clusters=len(init), alpha=METHODS[name])
    same, pure = (
        fit(name, X, centers, temperature * unit) for centers in (init, fixed)
    )
    is_nan = bool(np.isnan(same.centers).any())
    one_hot = ((same.memberships != 0).sum(axis=1) == 1).mean()
    return Row(
        is_nan,
        distance(same.centers, fixed, X),
        distance(pure.centers, fixed, X),
        np.nan if is_nan else one_hot,
        same.n_iter,
    )


def errors(X, fixed, alpha, temperature):
    """Return the row of a map at the fixed point."""
    d = np.sort(cdist(X, fixed, "sqeuclidean"), axis=1)
    inertia, gaps = d[:, 0].sum(), d - d[:, :1]
    temperature *= gaps[:, 1].min()
    z = -gaps / temperature
    p = entmax(z, alpha)
    # J - F is T times this: its terms are small, where J and F would cancel.
    if alpha == 1:
        conjugate = np.log1p(np.exp(z[:, 1:]).sum(axis=1))
    else:
        entropy = ((p**alpha).sum(axis=1) - 1) / (alpha * (alpha - 1))
        conjugate = (p * z).sum(axis=1) - entropy
    # The nearest center is the first.
    error = p[:, 1:].sum(axis=1).max()
    return GapRow(temperature * conjugate.sum() / inertia, error)


def measure(load, n_clusters):
    """Return the rows of both tables by temperature and method."""
    X = load()
    init, _ = kmeans_plusplus(X, n_clusters, random_state=0)
    fixed = KMeans(n_clusters, init=init, n_init=1, tol=0).fit(X).cluster_centers_
    rows = {
        (temperature, name): compare(name, X, init, fixed, temperature)
        for temperature in TEMPERATURES
        for name in METHODS
    }
    gap_rows = {
        (temperature, name): errors(X, fixed, METHODS[name], temperature)
        for temperature in GAP_TEMPERATURES
        for name in METHODS
        if name != NAIVE
    }
    return rows, gap_rows


HEADER = ["data", "T / T_c", "method", "NaN", "distance, same start"]
HEADER += ["from fixed point", "one-hot", "iterations"]
GAP_HEADER = ["data", "T / gap", "method", "(J - F) / J", "largest 1 - p_max"]


def cells(data, temperature, name, row):
    """Return a line of the first table as text."""
    is_nan, same_start, from_fixed_point, one_hot, n_iter = row
    distances = (f"{x:.1e}" for x in (same_start, from_fixed_point))
    first = [data, f"{temperature:g}", name, "NaN" if is_nan else "no"]
    return [*first, *distances, f"{one_hot:.4f}", str(n_iter)]


def gap_cells(data, temperature, name, row):
    """Return a line of the second table as text."""
    numbers = ("0" if x == 0 else f"{x:.1e}" for x in row)
    return [data, f"{temperature:g}", name, *numbers]


def highest(rows, name, holds):
    """Return, as text, from which temperature down all rows of a method hold."""
    found = "no T"
    for temperature in sorted(TEMPERATURES):
        if not holds(rows[temperature, name]):
            break
        found = f"T = {temperature:g} T_c"
    return found


def summarise(data, rows, gap_rows):
    """Say what was seen."""
    print(f"\n{data}:")
    for name in METHODS:
        if any(rows[temperature, name].is_nan for temperature in TEMPERATURES):
            print(f"{name} is NaN from {highest(rows, name, lambda row: row.is_nan)}.")
            continue
        stays = highest(rows, name, lambda row: row.from_fixed_point < REACHED)
        reaches = highest(rows, name, lambda row: row.same_start < REACHED)
        hard = highest(rows, name, lambda row: row.one_hot == 1)
        print(
            f"{name} is never NaN, stays at the fixed point from {stays},\n"
            f"    reaches it from {reaches}, and all rows are one-hot from {hard}."
        )
    exact = [
        row
        for (temperature, name), row in gap_rows.items()
        if name != SOFT and temperature <= METHODS[name] - 1
    ]
    n_exact = sum(row == (0, 0) for row in exact)
    top, bottom = GAP_TEMPERATURES[0], GAP_TEMPERATURES[-1]
    first, last = (gap_rows[temperature, SOFT].error for temperature in (top, bottom))
    print(
        f"J - F and 1 - p_max are exactly 0 in {n_exact} of {len(exact)} rows of "
        f"EntmaxKMeans with\n    T <= (alpha - 1) gap; 1 - p_max of SoftKMeans falls "
        f"from {first:.1e} at T = {top:g} gap\n    to {last:.1e} at T = {bottom:g} gap."
    )


def draw(figure, axes, rows):
    """Draw the distances from the fixed point, and the hard rows, by temperature."""
    sets = list(dict.fromkeys(row["data"] for row in rows))
    axes, sizes = np.reshape(axes, (2, len(sets))), (11, 8, 5, 3)
    for data, (distances, one_hot) in zip(sets, axes.T, strict=True):
        distances.set_title(data)
        # Thinner and smaller one by one: those that coincide are seen.
        for name, (color, marker), size in zip(METHODS, LOOKS, sizes, strict=False):
            own = [row for row in rows if row["data"] == data and row["method"] == name]
            T = numbers(own, "T / T_c")
            style = {"color": color, "marker": marker, "markersize": size}
            style |= {"markerfacecolor": "none", "linewidth": size / 4, "label": name}
            shown = np.maximum(numbers(own, "from fixed point"), FLOOR)
            distances.plot(T, shown, **style)
            one_hot.plot(T, numbers(own, "one-hot"), **style)
            # Above all that is a number.
            is_nan = [row["NaN"] == "NaN" for row in own]
            style = {"color": color, "marker": "x", "ls": "none"}
            style["label"] = f"{name}: NaN" if any(is_nan) else None
            for ax, high in ((distances, 30), (one_hot, 1.15)):
                ax.plot(T[is_nan], np.full(sum(is_nan), high), **style)
        distances.set_yscale("log")
        ticks = [FLOOR, 1e-10, 1e-7, 1e-4, 0.1]
        names = [f"≤{FLOOR:g}", *(f"{tick:g}" for tick in ticks[1:])]
        distances.set_yticks(ticks, names)
        distances.set_ylim(FLOOR / 5, 300)
        one_hot.set_ylim(-0.05, 1.25)
        one_hot.set_yticks([0, 0.5, 1])
        for ax in (distances, one_hot):
            ax.set_xscale("log")
            ax.grid(color="0.9", linewidth=0.6)
            ax.minorticks_off()
        one_hot.set_xlabel("temperature / critical temperature")
    axes[0, 0].set_ylabel("distance from the fixed point,\nstandard deviations")
    axes[1, 0].set_ylabel("share of memberships\nthat are one-hot")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=3)


def main():
    """Compare and print."""
    parser = make_parser(__doc__)
    args = parser.parse_args()
    report = Report(parser, args, range(1))
    # Near T_c centers coincide, or come to rest slowly.
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = {data: measure(*SETS[data]) for data in select(list(SETS), parser, args)}
    table = [
        cells(data, *key, row)
        for data, (rows, _) in results.items()
        for key, row in rows.items()
    ]
    gap_table = [
        gap_cells(data, *key, row)
        for data, (_, gap_rows) in results.items()
        for key, row in gap_rows.items()
    ]
    rows = report.table(HEADER, table)
    report.table(GAP_HEADER, gap_table, "gap")
    for data, both in results.items():
        summarise(data, *both)
    print()
    report.picture(draw, rows, size=(7, 6), shape=(2, len(results)), sharex=True)
    report.finish()


if __name__ == "__main__":
    main()
