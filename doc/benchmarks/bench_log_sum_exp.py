"""What does the experiment of Inoue and Hara show, and what does its start know?

K. Inoue and K. Hara, "An equivalence between log-sum-exp approximation and entropy
regularization in K-means clustering", NOLTA 11(4), 2020: the data set s1 (5000 samples
in 15 clusters, from the data folder) at T = 1e9, from memberships by file order: the
first 338 samples, the next 333, and so on. The numbers of equations are theirs.

The first table is the course of plain EM, for the centers that enter each iteration:
the log-sum-exp objective of Eq. 6 (the free energy of the package less n T log K), the
inertia, the entropy of the memberships, and the largest distance of a center to the
next. The last two columns are the course of MaxEntropyKMeans, which is given the
distortion where EM ends; iterations at T = 0 are hard.

The second table compares starts, with ten seeds each. What a start knows is the share
of samples in the right cluster, by the best matching with the true ones, and the
adjusted Rand index (ARI) with the labels of the best end; where a start is centers, a
sample is in the cluster of the nearest one. Both are means over the seeds. The
objective where a fit ends is relative to the lowest of all, and has reached that if it
is at most 1e-6 above it. Fits are by SoftKMeans where nothing else is said.
AnnealedRBFKMeans ends at T as well. T is above the temperature where it would start, so
that it does not cool, but only moves centers; from the critical temperature it cools.

The third table has the formulations, each with its own result: log-sum-exp by
SoftKMeans, entropy regularisation (Eq. 10) by an alternate minimisation of a few lines,
maximum entropy by MaxEntropyKMeans, which is given the distortion of the first and not
T. For comparison, with memberships at T, the centers of KMeans (n_init=50) and the
means of the true clusters. Centers differ by the largest distance to those of the first
row that they are matched with, in root mean squared distances to the nearest center.
The ARI is that of the labels with the true clusters.
"""

from typing import NamedTuple

import numpy as np
from _common import DATA, Report, load_data, make_parser
from _pictures import BLUE, GREEN, VERMILION
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import entr, logsumexp, softmax
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from sk_softkmeans import AnnealedRBFKMeans, MaxEntropyKMeans, SoftKMeans

T = 1e9
SIZES = [338] + 14 * [333]
K = len(SIZES)
BY_FILE_ORDER = np.eye(K)[np.repeat(np.arange(K), SIZES)]
SEEDS = range(10)
# Of EM: the last iteration that is shown, and the last where centers visibly move.
N_SHOWN, N_MOVING = 16, 8
# Of the alternate minimisation, which end at rounding, as do the fits.
N_ALTERNATIONS = 60
EXACT = {"tol": 1e-24, "max_iter": 5000}
REACHED = 1e-6
# Of temperatures; of objectives, distortions and inertias.
T_UNIT, UNIT = 1e9, 1e12
# For the picture: a higher distortion, as a share of the scatter.
SHARE = 0.05
# Of the coordinates in the picture.
SPAN = 1e5


class State(NamedTuple):
    """Centers and memberships, by the numbers that a formulation gives them."""

    centers: np.ndarray
    temperature: float
    objective: float
    distortion: float
    entropy: float


class Entry(NamedTuple):
    """The centers that enter an iteration of plain EM, and how far one moves."""

    state: State
    inertia: float
    shift: float


class Runs(NamedTuple):
    """The fits from a kind of start: what that knows, and the objectives they reach."""

    starts: list
    objectives: np.ndarray
    labels: list


def by_file_order(X, seed):
    """Return the initial memberships of the experiment."""
    return BY_FILE_ORDER


def shuffled(X, seed):
    """Return the same, as they would be if the file were in another order."""
    return np.random.default_rng(seed).permutation(BY_FILE_ORDER)


def random_samples(X, seed):
    """Return samples as centers."""
    return np.random.default_rng(seed).choice(X, K, replace=False)


def seeded(X, seed):
    """Return the centers of k-means++, which is not to know the order of the file."""
    samples = np.random.default_rng(seed).permutation(X)
    return kmeans_plusplus(samples, K, random_state=seed)[0]


def soft(init):
    """Return the estimator for a start."""
    return SoftKMeans(K, temperature=T, init=init, **EXACT)


def annealed(init, temperature_max="auto"):
    """Return the estimator that moves centers as well, and ends at T."""
    params = {"temperature_max": temperature_max, "temperature_min": T}
    return AnnealedRBFKMeans(K, init=init, **params, **EXACT)


def cooled(init):
    """Return the same, cooling from where all centers fall together."""
    return annealed(init, "critical")


# How to start, the seeds, and what to fit.
STARTS = {
    "memberships by file order": (by_file_order, [0], soft),
    "memberships, shuffled": (shuffled, SEEDS, soft),
    "random samples": (random_samples, SEEDS, soft),
    "k-means++": (seeded, SEEDS, soft),
    "k-means++, AnnealedRBFKMeans": (seeded, SEEDS, annealed),
    "the same, from the critical T": (seeded, SEEDS, cooled),
}


def means(X, memberships):
    """Return the centers of memberships (Eq. 24)."""
    return memberships.T @ X / memberships.sum(axis=0)[:, np.newaxis]


def evaluate(X, centers):
    """Return the state of centers at T, by the log-sum-exp objective of Eq. 6."""
    d = cdist(X, centers, "sqeuclidean")
    p = softmax(-d / T, axis=1)
    objective = -T * logsumexp(-d / T, axis=1).sum()
    return State(centers, T, objective, (p * d).sum(), entr(p).sum())


def run_em(X, centers):
    """Return the course of plain EM at T."""
    course = []
    for _ in range(N_SHOWN + 1):
        d = cdist(X, centers, "sqeuclidean")
        following = means(X, softmax(-d / T, axis=1))
        shift = np.linalg.norm(following - centers, axis=1).max()
        course.append(Entry(evaluate(X, centers), d.min(axis=1).sum(), shift))
        centers = following
    return course


def regularise(X, centers):
    """Return the end of an alternate minimisation of sum u d + T sum u log u."""
    for _ in range(N_ALTERNATIONS):
        d = cdist(X, centers, "sqeuclidean")
        u = np.exp((d.min(axis=1, keepdims=True) - d) / T)
        u /= u.sum(axis=1, keepdims=True)
        centers = means(X, u)
    distortion, entropy = (u * d).sum(), entr(u).sum()
    return State(centers, T, distortion - T * entropy, distortion, entropy)


def objective(model, X):
    """Return Eq. 6; the free energy of the package has 1 / K in the logarithm."""
    return model.free_energy_ - len(X) * model.temperature_ * np.log(K)


def state(model, X, entropy):
    """Return what a fit says of itself."""
    numbers = (model.temperature_, objective(model, X), model.soft_inertia_)
    return State(model.cluster_centers_, *numbers, entropy)


def labels_of(start, X):
    """Return the labels of memberships, or of the nearest centers."""
    costs = -start if len(start) == len(X) else cdist(X, start, "sqeuclidean")
    return costs.argmin(axis=1)


def run_all(X, make_start, seeds, make_model):
    """Return the fits from a kind of start."""
    starts = [make_start(X, seed) for seed in seeds]
    models = [make_model(start).fit(X) for start in starts]
    return Runs(
        [labels_of(start, X) for start in starts],
        np.array([objective(model, X) for model in models]),
        [model.labels_ for model in models],
    )


def share_right(labels, truth):
    """Return the share of samples in the right cluster, by the best matching."""
    counts = contingency_matrix(truth, labels)
    return counts[linear_sum_assignment(counts, maximize=True)].sum() / len(truth)


def difference(centers, others):
    """Return the largest distance of centers to those that they are matched with."""
    distances = cdist(centers, others)
    return distances[linear_sum_assignment(distances**2)].max()


HEADER = ["iteration", "objective / 1e12", "inertia / 1e12", "entropy", "largest shift"]
HEADER += ["MaxEntropyKMeans: entropy", "T / 1e9"]
STARTS_HEADER = ["start", "runs", "right cluster", "ARI with best"]
STARTS_HEADER += ["objective / best: lowest", "mean", "highest", "reach the best"]
ENDS_HEADER = ["formulation", "given", "T / 1e9", "objective / 1e12"]
ENDS_HEADER += ["distortion / 1e12", "inertia / 1e12", "entropy", "centers differ by"]
ENDS_HEADER += ["ARI"]


def course_cells(course, maximum):
    """Return the first table as text."""
    rows = []
    for i, (at, inertia, shift) in enumerate(course):
        row = [str(i), f"{at.objective / UNIT:.7f}", f"{inertia / UNIT:.7f}"]
        row += [f"{at.entropy:.4f}", f"{shift:.1e}", "", ""]
        if i < maximum.n_iter_:
            entropy, temperature = maximum.entropies_[i], maximum.temperatures_[i]
            row[-2:] = f"{entropy:.4f}", f"{temperature / T_UNIT:.6f}"
            if not temperature:
                row[-2:] = "0", "0"
        rows.append(row)
    return rows


def best_end(runs):
    """Return the lowest objective of all runs, and its labels."""
    best = min(runs.values(), key=lambda found: found.objectives.min())
    return best.objectives.min(), best.labels[best.objectives.argmin()]


def start_cells(name, runs, best, labels, truth):
    """Return a line of the second table as text."""
    known = np.mean([share_right(start, truth) for start in runs.starts])
    agreement = np.mean([adjusted_rand_score(labels, start) for start in runs.starts])
    ratios = runs.objectives / best
    row = [name, str(len(ratios)), f"{known:.1%}", f"{agreement:.3f}"]
    row += [f"{x:.4f}" for x in (ratios.min(), ratios.mean(), ratios.max())]
    return [*row, f"{(ratios <= 1 + REACHED).sum()} of {len(ratios)}"]


def end_cells(name, given, end, first, X, truth):
    """Return a line of the third table as text."""
    d = cdist(X, end.centers, "sqeuclidean")
    labels, nearest = d.argmin(axis=1), d.min(axis=1)
    apart = difference(end.centers, first.centers) / np.sqrt(nearest.mean())
    values = np.array([end.objective, end.distortion, nearest.sum()]) / UNIT
    row = [name, given, f"{end.temperature / T_UNIT:.9f}"]
    row += [*(f"{x:.9f}" for x in values), f"{end.entropy:.6f}"]
    row.append("" if end is first else f"{apart:.1e}")
    return [*row, f"{adjusted_rand_score(truth, labels):.4f}"]


def summarise(truth, course, maximum):
    """Say what was seen."""
    sizes = np.unique(truth, return_counts=True)[1]
    n_blocks = 1 + np.count_nonzero(np.diff(truth))
    right = share_right(BY_FILE_ORDER.argmax(axis=1), truth)
    print(
        f"The file has {len(sizes)} clusters of {sizes.min()} to {sizes.max()} samples "
        f"in {n_blocks} blocks.\nMemberships by file order are right for {right:.2%}."
    )
    entropies = np.array([at.entropy for at, _, _ in course])
    objectives = np.array([at.objective for at, _, _ in course])
    falls = np.flatnonzero(np.diff(entropies) < 0) + 1
    print(f"At a fixed T the entropy falls to iterations {', '.join(map(str, falls))};")
    rise = (np.diff(objectives) / objectives[:-1]).max()
    print(f"    the largest relative rise of the objective is {max(rise, 0):.1e}.")
    # The entropy is a difference of two numbers of that size.
    size = maximum.soft_inertia_ / maximum.temperature_
    fall = -np.diff(maximum.entropies_[maximum.temperatures_ > 0]).min() / size
    print(f"At a fixed distortion D its largest fall is {max(fall, 0):.1e} of D / T.")


def draw(figure, axes, X, true_means, course, maximum, softer, ends):
    """Draw the objective, the entropies, the course of the centers and their end."""
    draw_objective(axes[0, 0], course)
    draw_entropies(axes[0, 1], course, maximum, softer)
    for ax in axes[1]:
        ax.scatter(*X.T / SPAN, s=1, color="0.8", linewidths=0)
        ax.set_aspect("equal")
        ax.set(xlim=(0, 10), ylim=(0, 10))
        ax.set_xlabel("first coordinate / 10⁵")
        ax.set_ylabel("second coordinate / 10⁵")
    draw_course(figure, axes[1, 0], course)
    draw_ends(axes[1, 1], true_means, *ends)
    for ax, letter in zip(axes.flat, "abcd", strict=True):
        ax.set_title(letter, loc="left", weight="bold")


def draw_objective(ax, course):
    """Draw the objective by iteration."""
    ax.semilogy([at.objective / UNIT for at, _, _ in course], "o-", color=BLUE)
    ax.set_ylim(8, 80)
    ax.set_yticks([10, 20, 40, 80], ["10", "20", "40", "80"])
    ax.minorticks_off()
    ax.set_xlabel("iteration of plain EM")
    ax.set_ylabel("log-sum-exp objective / 10¹²")


def draw_entropies(ax, course, maximum, softer):
    """Draw the entropies by iteration, at a fixed T and at a fixed distortion."""
    entropies = [at.entropy for at, _, _ in course]
    ax.semilogy(entropies, "o-", color=BLUE, label="plain EM, fixed T")
    for model, color, marker, name in (
        (maximum, VERMILION, "s", "that of EM's end"),
        (softer, GREEN, "^", f"{SHARE:g} of the scatter"),
    ):
        shown = np.arange(min(model.n_iter_, N_SHOWN + 1))
        shown = shown[model.temperatures_[shown] > 0]
        style = {"color": color, "marker": marker, "markerfacecolor": "none"}
        label = f"fixed distortion, {name}"
        ax.plot(shown, model.entropies_[shown], label=label, **style)
    ax.set_ylim(8, 5e5)
    ax.set_yticks([10, 100, 1000, 1e4])
    ax.minorticks_off()
    ax.set_xlabel("iteration (not drawn where hard)")
    ax.set_ylabel("entropy of the memberships, nats")
    ax.legend(loc="upper right")


def draw_course(fig, ax, course):
    """Draw the ways of the centers, coloured by the iteration."""
    ways = np.array([at.centers for at, _, _ in course[: N_MOVING + 1]]) / SPAN
    ax.plot(*ways[0].T, "ks", markersize=8, markerfacecolor="none", label="start")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 0.98))
    for way in ways.transpose(1, 0, 2):
        ax.plot(*way.T, color="black", linewidth=0.8)
    steps = np.arange(len(ways)).repeat(K)
    style = {"cmap": "viridis", "s": 18, "edgecolors": "black", "linewidths": 0.4}
    points = ax.scatter(*ways.reshape(-1, 2).T, c=steps, zorder=3, **style)
    fig.colorbar(
        points, ax=ax, label="iteration of plain EM", location="bottom", pad=0.01
    )


def draw_ends(ax, true_means, soft_centers, hard_centers):
    """Draw where the centers end."""
    looks = {
        "k-means (best of 50)": (hard_centers, "s", 8, VERMILION),
        "log-sum-exp": (soft_centers, "o", 4.5, BLUE),
        "true means": (true_means, "+", 12, "black"),
    }
    for label, (centers, marker, size, color) in looks.items():
        style = {"color": color, "markersize": size, "markerfacecolor": "none"}
        style |= {"linestyle": "none", "markeredgewidth": 1.2}
        ax.plot(*centers.T / SPAN, marker=marker, label=label, **style)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16))


def main():
    """Fit, print and draw."""
    parser = make_parser(__doc__, only=False)
    args = parser.parse_args()
    report = Report(parser, args, SEEDS)
    X = load_data("s1")
    if X is None:
        parser.error(f"s1 is not in {DATA}")
    truth = np.loadtxt(DATA / "s1.labels.gz", dtype=int)
    true_means = means(X, np.eye(K)[truth - 1])
    log_sum_exp = soft(BY_FILE_ORDER).fit(X)
    distortion = log_sum_exp.soft_inertia_
    entropy = (distortion - objective(log_sum_exp, X)) / T
    given = {"distortion": distortion, "distortion_unit": "absolute", "tol": 1e-10}
    maximum = MaxEntropyKMeans(K, init=BY_FILE_ORDER, **given).fit(X)
    hard = KMeans(K, n_init=50, tol=0, random_state=0).fit(X).cluster_centers_
    course = run_em(X, means(X, BY_FILE_ORDER))
    runs = {name: run_all(X, *how) for name, how in STARTS.items()}
    first = state(log_sum_exp, X, entropy)
    ends = [
        ("log-sum-exp", "T", first),
        ("entropy regularisation", "T", regularise(X, means(X, BY_FILE_ORDER))),
        ("maximum entropy", "distortion", state(maximum, X, maximum.entropy_)),
        ("centers of KMeans", "centers, T", evaluate(X, hard)),
        ("means of the true clusters", "centers, T", evaluate(X, true_means)),
    ]

    best = best_end(runs)
    report.table(HEADER, course_cells(course, maximum))
    start_rows = [start_cells(*item, *best, truth) for item in runs.items()]
    report.table(STARTS_HEADER, start_rows, "starts")
    end_rows = [end_cells(*end, first, X, truth) for end in ends]
    report.table(ENDS_HEADER, end_rows, "formulations")
    summarise(truth, course, maximum)
    softer = MaxEntropyKMeans(K, init=BY_FILE_ORDER, distortion=SHARE).fit(X)
    drawn = (X, true_means, course, maximum, softer, (first.centers, hard))
    report.picture(draw, *drawn, size=(7, 7), shape=(2, 2))
    report.finish()


if __name__ == "__main__":
    main()
