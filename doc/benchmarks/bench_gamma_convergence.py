"""Do minimisers at falling temperature converge to k-means, and within the bounds?

The free energy F_T converges uniformly to the inertia J as T falls (so it
Gamma-converges, and its minimisers converge to minimisers of J), because for all
centers of n samples in K clusters

    0 <= J - F <= -T n Omega(u), -Omega(u) = log K, (4/3)(1 - K^-1/2), (1 - 1/K) / 2,
    0 <= D - J <= T n kappa, kappa = W((K - 1) / e), found numerically, (K - 1) / (4 K)

for the maps of order alpha = 1, 1.5, 2, with the distortion D = sum p d, u uniform and
W Lambert's function.

The first table goes from the fixed point of KMeans (n_init=10, tol=0) to the local
minimum of F that EM finds from there, at each T. Its unit is the mean squared distance
to the nearest center at the fixed point. The distance is the largest of a center to the
one of the fixed point that it is matched with, in root mean squared distances to the
nearest center. J - F and D - J are per sample, in units of T, beside their bounds. EM
"moves" where it did not come to rest. "Lloyd's J" is the inertia where Lloyd's
iterations lead from the minimum, relative to that of the fixed point: below 0 where
EM, as it went from the fixed point, has crossed to a better one. Fixed points of
k-means that differ in a few samples are common. A local minimum of J away from ties is
a limit of minimisers, so that the distance ends at 0, but only once T is small enough
for the samples nearest to a border.

The second table is of training: Lloyd's iterations, and the gradient descent of an RBF
network on the free energy and on the distortion at a constant T of a tenth of the unit,
all from the same k-means++ start. It has the inertia where each ends, relative to
Lloyd's, and where Lloyd's iterations then lead from there. At a positive T the first
need not be 0: the minimum is another. Descent on the distortion ends with centers whose
loss is known, so that its curve is one step late.

The third table is the largest relative rise of the free energy from one temperature to
the next (`path_`), and from one iteration to the next, while AnnealedRBFKMeans cools
without relocating: there should be none but rounding.
"""

import warnings
from typing import NamedTuple

import numpy as np
from _common import Report, make_parser, select
from _pictures import BLUE, GREEN, VERMILION
from scipy.optimize import linear_sum_assignment, minimize_scalar
from scipy.spatial.distance import cdist
from scipy.special import lambertw
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits, make_blobs, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import AnnealedRBFKMeans, EntmaxKMeans, SoftKMeans, entmax


def anisotropic():
    """Return blobs that are stretched along one direction."""
    X, _ = make_blobs(500, centers=3, random_state=170)
    return X @ [[0.6, -0.6], [-0.4, 0.8]]


def unbalanced():
    """Return blobs of very different sizes."""
    centers = [[-4.0, 0.0], [0.0, 3.0], [4.0, 0.0]]
    return make_blobs([400, 80, 20], centers=centers, random_state=0)[0]


# With the number of clusters.
SETS = {
    "blobs": (lambda: make_blobs(500, centers=5, random_state=0)[0], 5),
    "moons": (lambda: make_moons(500, noise=0.05, random_state=0)[0], 2),
    "circles": (
        lambda: make_circles(500, factor=0.5, noise=0.05, random_state=0)[0],
        2,
    ),
    "anisotropic": (anisotropic, 3),
    "unbalanced": (unbalanced, 3),
    "digits": (lambda: load_digits().data, 10),
}
ALPHAS = (1.0, 1.5, 2.0)
# In units of the mean squared distance to the nearest center.
TEMPERATURES = (2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)
TRAINING = 0.1
TOL, MAX_ITER, N_STEPS = 1e-20, 5000, 15
LLOYD = "Lloyd"
LOSSES = {"free energy": "free_energy", "distortion": "distortion"}
# What is 0, of distances, and what is rounding, of bounds and rises.
REACHED, ROUNDING = 1e-6, 1e-10
COLORS = (BLUE, VERMILION, GREEN)
MARKERS, SIZES = ("o", "s", "^"), (4, 8, 4)


class Row(NamedTuple):
    """What the first table says of a minimiser; all but the distance in units of T."""

    distance: float
    energy_gap: float
    energy_bound: float
    distortion_gap: float
    distortion_bound: float
    rounding: float
    hardened: float
    converged: bool


class Training(NamedTuple):
    """The inertia by step, where it ends, and where Lloyd's iterations then lead."""

    by_step: np.ndarray
    end: float
    hardened: float


def largest_entropy(alpha, n_clusters):
    """Return -Omega(u), the bound of (J - F) / (T n)."""
    if alpha == 1:
        return np.log(n_clusters)
    return (1 - n_clusters ** (1 - alpha)) / (alpha * (alpha - 1))


def largest_excess(alpha, n_clusters):
    """Return kappa, the bound of (D - J) / (T n)."""
    if alpha == 1:
        return lambertw((n_clusters - 1) / np.e).real
    if alpha == 2:
        return (n_clusters - 1) / (4 * n_clusters)

    def loss(t):
        d = np.append(0.0, np.full(n_clusters - 1, t))
        return -(entmax(-d[np.newaxis], alpha) @ d)[0]

    # Farther centers have no share.
    limits = (0, 1 / (alpha - 1))
    return -minimize_scalar(loss, bounds=limits, options={"xatol": 1e-9}).fun


def find_fixed_point(X, n_clusters):
    """Return the best of ten k-means fixed points."""
    params = {"n_init": 10, "tol": 0, "max_iter": 10000, "random_state": 0}
    return KMeans(n_clusters, **params).fit(X)


def harden(X, centers):
    """Fit by Lloyd's iterations from these centers to their end."""
    params = {"init": centers, "max_iter": MAX_ITER, "tol": 0.0}
    return SoftKMeans(len(centers), temperature=0, **params).fit(X)


def minimise(X, fixed, alpha, temperature):
    """Return the row of the minimiser that EM finds from the fixed point."""
    n_clusters, unit = fixed.n_clusters, fixed.inertia_ / len(X)
    scale = temperature * unit * len(X)
    model = EntmaxKMeans(
        n_clusters,
        alpha=alpha,
        temperature=temperature * unit,
        init=fixed.cluster_centers_,
        tol=TOL,
        max_iter=MAX_ITER,
    ).fit(X)
    distances = cdist(model.cluster_centers_, fixed.cluster_centers_)
    matched = distances[linear_sum_assignment(distances**2)]
    entropy = largest_entropy(alpha, n_clusters)
    # That of the package is normalised: F - T n Omega(u).
    free_energy = model.free_energy_ - scale * entropy
    return Row(
        matched.max() / np.sqrt(unit),
        (model.inertia_ - free_energy) / scale,
        entropy,
        (model.soft_inertia_ - model.inertia_) / scale,
        largest_excess(alpha, n_clusters),
        ROUNDING * model.inertia_ / scale,
        harden(X, model.cluster_centers_).inertia_ / fixed.inertia_ - 1,
        model.converged_,
    )


def fit_steps(X, init, temperature, name, max_iter, tol=0.0):
    """Fit by Lloyd's iterations, or by gradient descent on a loss."""
    params = {"init": init, "max_iter": max_iter, "tol": tol}
    if name == LLOYD:
        return SoftKMeans(len(init), temperature=0, **params).fit(X)
    return AnnealedRBFKMeans(
        len(init),
        solver="gradient",
        loss=LOSSES[name],
        relocate=False,
        temperature_max=temperature,
        temperature_min=temperature,
        **params,
    ).fit(X)


def train(X, fixed):
    """Return what each training does from the same start."""
    n_clusters = fixed.n_clusters
    init, _ = kmeans_plusplus(X, n_clusters, random_state=0)
    temperature = TRAINING * fixed.inertia_ / len(X)
    results = {}
    for name in (LLOYD, *LOSSES):
        # The first is that of the start.
        by_step = [cdist(X, init, "sqeuclidean").min(axis=1).sum()]
        for m in range(1, N_STEPS + 1):
            by_step.append(fit_steps(X, init, temperature, name, m).inertia_)
        model = fit_steps(X, init, temperature, name, MAX_ITER, tol=1e-12)
        hardened = harden(X, model.cluster_centers_).inertia_
        results[name] = Training(np.array(by_step), model.inertia_, hardened)
    return results


def largest_rise(values):
    """Return the largest relative rise, negative where all fall."""
    return (np.diff(values) / values[:-1]).max()


def cool(X, n_clusters, alpha):
    """Return the largest rises by temperature and by iteration of an annealing."""
    params = {"alpha": alpha, "relocate": False, "random_state": 0}
    model = AnnealedRBFKMeans(n_clusters, **params).fit(X)
    return largest_rise(model.path_.free_energy), largest_rise(model.free_energies_)


HEADER = ["data", "alpha", "T / unit", "distance", "(J - F) / nT", "bound of J - F"]
HEADER += ["(D - J) / nT", "bound of D - J", "Lloyd's J", "EM"]
TRAINING_HEADER = ["data", "training", f"J after {N_STEPS} steps", "at the end"]
TRAINING_HEADER += ["hardened"]
RISE_HEADER = ["data", "alpha", "by temperature", "by iteration"]


def cells(data, alpha, temperature, row):
    """Return a line of the first table as text."""
    # Not -0.
    numbers = [f"{round(x, 6) + 0:.6f}" for x in row[1:5]]
    numbers.append(f"{row.hardened:+.1e}" if abs(row.hardened) > ROUNDING else "0")
    first = [data, f"{alpha:g}", f"{temperature:g}", f"{row.distance:.1e}"]
    return [*first, *numbers, "rests" if row.converged else "moves"]


def training_cells(data, name, result, reference):
    """Return a line of the second table: relative to where Lloyd's iterations end."""
    values = (result.by_step[-1], result.end, result.hardened)
    return [data, name, *(f"{value / reference - 1:+.1e}" for value in values)]


def exceeded(rows):
    """Return the keys of rows that are beyond a bound."""
    return [
        key
        for key, row in rows.items()
        for gap, bound in (row[1:3], row[3:5])
        if not -row.rounding <= gap <= bound + row.rounding
    ]


def summarise_training(name, trainings):
    """Say where descent on a loss ends."""
    ends, hardened = np.transpose(
        [
            np.array(results[name][1:]) / results[LLOYD].end - 1
            for results in trainings.values()
        ]
    )
    n_same = np.sum(abs(hardened) <= REACHED)
    print(
        f"Descent on the {name} ends at inertias of {ends.min():+.1e} to "
        f"{ends.max():+.1e} relative to\n    Lloyd's, hardened at "
        f"{hardened.min():+.1e} to {hardened.max():+.1e}: the same within "
        f"{REACHED:g} in {n_same} of {len(ends)} sets."
    )


def describe(keys):
    """Return rows as text."""
    return "; ".join(f"{data} alpha={a:g} T={t:g}" for data, a, t in keys)


def summarise(rows, trainings, rises):
    """Say what was seen."""
    bad = exceeded(rows)
    all_hold = f"no, not {describe(bad)}" if bad else f"yes, in all {len(rows)} rows"
    print(f"Do both bounds hold? {all_hold}.")
    last = {key: row for key, row in rows.items() if key[-1] == TEMPERATURES[-1]}
    far = [key for key, row in last.items() if not row.distance <= REACHED]
    all_reach = f"no, not {describe(far)}" if far else f"yes, in all {len(last)} rows"
    print(f"Is the distance at most {REACHED:g} at the smallest T? {all_reach}.")
    for key in far:
        distance, hardened = rows[key].distance, rows[key].hardened
        print(f"    {describe([key])}: {distance:.1e}, Lloyd's J {hardened:+.1e}.")
    moving = [key for key, row in rows.items() if not row.converged]
    print(f"Did EM come to rest? {f'not {describe(moving)}' if moving else 'always'}.")
    for name in LOSSES:
        summarise_training(name, trainings)
    for alpha in ALPHAS:
        both = [rise for key, rise in rises.items() if key[1] == alpha]
        path, iterations = np.max(both, axis=0)
        print(
            f"The largest relative rise of the free energy at alpha = {alpha:g} is "
            f"{max(path, 0):.1e} by temperature, {max(iterations, 0):.1e} by iteration."
        )


def draw(figure, axes, rows, trainings):
    """Draw the distances by temperature, and the inertia by step of training."""
    axes = np.reshape(axes, (len(trainings), 2))
    for data, (left, right) in zip(trainings, axes, strict=True):
        draw_distances(left, data, rows)
        draw_training(right, data, trainings[data])
        left.set_ylabel("center distance\n/ rms distance")
        right.set_ylabel("J / J of Lloyd - 1")
    left.set_xlabel("temperature / mean squared distance")
    right.set_xlabel("steps from the same start")
    for ax in axes[0]:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1))


def draw_distances(ax, data, rows):
    """Draw one set's distances to the fixed point; 0 is at the lower edge."""
    for how in zip(ALPHAS, COLORS, MARKERS, SIZES, strict=True):
        alpha, color, marker, size = how
        distances = [rows[data, alpha, t].distance for t in TEMPERATURES]
        shown = np.maximum(distances, 1e-10)
        style = {"color": color, "marker": marker, "markersize": size}
        # Hollow: points that coincide are seen.
        style |= {"markerfacecolor": "none"} if marker == "s" else {}
        ax.loglog(TEMPERATURES, shown, label=f"alpha = {alpha:g}", **style)
    ax.set_ylim(5e-11, 20)
    ticks = [1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1]
    ax.set_yticks(ticks, ["≤1e-10", "1e-8", "1e-6", "1e-4", "0.01", "1"])
    ax.minorticks_off()
    ax.text(0.97, 0.05, data, transform=ax.transAxes, ha="right", weight="bold")


def draw_training(ax, data, results):
    """Draw one set's inertia by step, relative to where Lloyd's iterations end."""
    reference = results[LLOYD].end
    widths = (4, 2, 1.5)
    styles = ("-", "--", ":")
    for how in zip(results.items(), COLORS, widths, styles, strict=True):
        (name, result), color, width, style = how
        label = name if name == LLOYD else f"gradient of the {name}"
        look = {"color": color, "linewidth": width, "linestyle": style}
        ax.plot(result.by_step / reference - 1, label=label, **look)
    ax.set_yscale("symlog", linthresh=1e-3)
    ax.set_xticks(range(0, N_STEPS + 1, 5))
    ax.text(0.97, 0.6, data, transform=ax.transAxes, ha="right", weight="bold")


def main():
    """Fit, print and draw."""
    parser = make_parser(__doc__)
    args = parser.parse_args()
    report = Report(parser, args, range(1))
    # High temperatures merge centers, and single steps do not converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows, trainings, rises = {}, {}, {}
    for data in select(list(SETS), parser, args):
        load, n_clusters = SETS[data]
        X = load()
        fixed = find_fixed_point(X, n_clusters)
        for alpha in ALPHAS:
            for temperature in TEMPERATURES:
                row = minimise(X, fixed, alpha, temperature)
                rows[data, alpha, temperature] = row
            rises[data, alpha] = cool(X, n_clusters, alpha)
        trainings[data] = train(X, fixed)
    report.table(HEADER, [cells(*key, row) for key, row in rows.items()])
    training_table = [
        training_cells(data, name, result, results[LLOYD].end)
        for data, results in trainings.items()
        for name, result in results.items()
    ]
    report.table(TRAINING_HEADER, training_table, "training")
    rise_table = [
        [data, f"{alpha:g}", *(f"{rise:.1e}" for rise in both)]
        for (data, alpha), both in rises.items()
    ]
    report.table(RISE_HEADER, rise_table, "rises")
    summarise(rows, trainings, rises)
    n_sets = len(trainings)
    size = (7, 1.3 + 1.7 * n_sets)
    report.picture(draw, rows, trainings, size=size, shape=(n_sets, 2), sharex="col")
    report.finish()


if __name__ == "__main__":
    main()
