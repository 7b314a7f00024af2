"""What does it save to leave out what provably cannot matter? And what can lists cost?

- Pruned: SoftKMeans and EntmaxKMeans (alpha = 1.5) from k-means++ centers, on clustered
  data in two dimensions (a grid of k Gaussians) and in eight (blobs), at T = 0.1 times
  the mean squared distance of the samples to the nearest initial center, and at 0:
  logits that were computed, the bounds and fillers counted, as a share of n x k (of the
  iterations from the third to the last); time of an iteration over that of the same
  code with pruning switched off; the largest difference of a center between the two,
  relative to the largest coordinate. float64.
- Annealed: AnnealedRBFKMeans(100) beside KMeans(100, n_init=10) on 100,000 samples in
  the plane: whole fits.
- Worst cases of TruncatedKMeans: where lists are no use, as clusters are few or tiny,
  or data have no structure: time of an iteration over that of SoftKMeans, with n_active
  = 3 and all the same.
"""

import statistics
import warnings
from unittest import mock

import numpy as np
from _common import (
    FEW,
    MANY,
    Report,
    interleave,
    make_parser,
    median_ratio,
    of_part,
    per_iteration,
    select,
    timed,
)
from _counting import counted_distances
from _pictures import draw_dots, numbers
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin_min

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    SoftKMeans,
    TruncatedKMeans,
)
from sk_softkmeans._pruning import Pruning

PRUNED = ["data", "k", "estimator", "T", "logits", "time / dense", "difference"]
ANNEALED = ["data", "KMeans", "time / time", "J / J"]
WORST = ["case", "n x d, k", "time / SoftKMeans", "<= 1.3"]


def grid(n_samples, k):
    """Return samples of a square grid of k Gaussians."""
    rng = np.random.default_rng(0)
    side = round(k**0.5)
    means = 4 * 2**0.5 * np.stack(np.divmod(np.arange(k), side), axis=1)
    return means[rng.integers(k, size=n_samples)] + rng.normal(size=(n_samples, 2))


def blobs(n_samples, k):
    """Return k blobs in eight dimensions."""
    return make_blobs(n_samples, 8, centers=k, random_state=0)[0]


def dense(call):
    """Return what a call gives with pruning switched off."""
    with mock.patch.object(Pruning, "candidates", return_value=None):
        return call()


DATA = {"grid": grid, "blobs": blobs}
ESTIMATORS = {"SoftKMeans": SoftKMeans, "EntmaxKMeans": EntmaxKMeans}


def measure_pruning(data, k, name, unit, repeats):
    """Return a row of the first table."""
    X, estimator = DATA[data](100_000, k), ESTIMATORS[name]
    init, _ = kmeans_plusplus(X[: 20 * k], k, random_state=0)
    nearest = pairwise_distances_argmin_min(X, init, metric="sqeuclidean")[1].mean()

    def make(n):
        T = unit * nearest
        return estimator(k, temperature=T, init=init, max_iter=n, tol=0)

    times = interleave(
        {
            "pruned": lambda: per_iteration(make, X),
            "dense": lambda: dense(lambda: per_iteration(make, X)),
        },
        repeats,
    )
    ratio = median_ratio(times["pruned"], times["dense"])
    with counted_distances() as counter:
        few = make(FEW).fit(X).n_iter_
        first, counter.total = counter.total, 0
        model = make(MANY).fit(X)
    share = (counter.total - first) / (model.n_iter_ - few) / X.shape[0] / k
    whole = dense(lambda: make(MANY).fit(X))
    difference = abs(model.cluster_centers_ - whole.cluster_centers_).max()
    difference /= abs(whole.cluster_centers_).max()
    cells = [f"{unit:g}", f"{share:.3f}", f"{ratio:.2f}", f"{difference:.0e}"]
    return [data, str(k), name, *cells]


SAMPLES = {
    "grid of 100": lambda: grid(100_000, 100),
    "uniform": lambda: np.random.default_rng(0).uniform(size=(100_000, 2)),
}


def measure_annealed(name, repeats):
    """Return a row of the second table."""
    X = SAMPLES[name]()
    models = {
        "KMeans": lambda seed: KMeans(100, n_init=10, random_state=seed),
        "Annealed": lambda seed: AnnealedRBFKMeans(100, random_state=seed),
    }
    inertias, times = {name: [] for name in models}, {name: [] for name in models}
    for seed in range(repeats):
        for which, make in models.items():
            time, model = timed(make(seed), X)
            times[which].append(time)
            inertias[which].append(model.inertia_)
    ratio = median_ratio(times["Annealed"], times["KMeans"])
    inertia = median_ratio(inertias["Annealed"], inertias["KMeans"])
    median = statistics.median(times["KMeans"])
    return [name, f"{median:.2f} s", f"{ratio:.2f}", f"{inertia:.4f}"]


def one_huge(n_samples, n_features):
    """Return samples of which most are in one place, the others far apart."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, n_features))
    far = n_samples // 20
    X[:far] *= 100
    return X


CASES = {
    "few clusters": (20_000, 8, 16),
    "some clusters": (20_000, 8, 64),
    "no structure": (20_000, 64, 100),
    "tiny clusters": (2_000, 8, 500),
    "a third are centers": (1_500, 4, 500),
    "one huge cluster": (50_000, 4, 100),
}


def measure_worst(name, repeats):
    """Return a row of the third table."""
    n_samples, n_features, k = CASES[name]
    X = np.random.default_rng(0).normal(size=(n_samples, n_features))
    init = X[:k]
    if name == "one huge cluster":
        X = one_huge(n_samples, n_features)
        init = X[:k]
    measures = {
        estimator.__name__: lambda e=estimator: per_iteration(
            lambda n: e(k, init=init, max_iter=n, tol=0), X
        )
        for estimator in (SoftKMeans, TruncatedKMeans)
    }
    times = interleave(measures, repeats)
    ratio = median_ratio(times["TruncatedKMeans"], times["SoftKMeans"])
    size = f"{n_samples} x {n_features}, {k}"
    return [name, size, f"{ratio:.2f}", "yes" if ratio <= 1.3 else "NO"]


# The part of each row is its table.
ROWS = [
    ("pruned", data, k, name, unit)
    for data in DATA
    for k in (256, 1024)
    for name, unit in (("SoftKMeans", 0.1), ("EntmaxKMeans", 0.1), ("SoftKMeans", 0))
]
ROWS += [("annealed", name) for name in SAMPLES]
ROWS += [("worst", name) for name in CASES]


def draw(figure, ax, rows):
    """Draw what is computed, and the time, both as shares of those of all logits."""
    labels = [
        f"{row['data']}, {row['k']}: {row['estimator']}, T = {row['T']}" for row in rows
    ]
    columns = {
        "logits computed": numbers(rows, "logits"),
        "time of an iteration": numbers(rows, "time / dense"),
    }
    draw_dots(ax, labels, columns, spread=0.4)
    ax.set_xlim(0, max(1.04, 1.04 * columns["time of an iteration"].max()))
    ax.axvline(1, color="0.4", linewidth=1)
    ax.xaxis.grid(color="0.85", linewidth=0.6)
    ax.set_xlabel("share of that without pruning")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)


def main():
    """Measure and print."""
    parser = make_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    report = Report(parser, args, range(args.repeats))
    # Few iterations, and no tolerance.
    warnings.simplefilter("ignore", ConvergenceWarning)
    chosen = select(ROWS, parser, args)
    if pruned := of_part(chosen, "pruned"):
        table = [measure_pruning(*row, args.repeats) for row in pruned]
        rows = report.table(PRUNED, table)
        report.picture(draw, rows, size=(7, 1 + 0.28 * len(rows)))
    if annealed := of_part(chosen, "annealed"):
        table = [measure_annealed(*row, args.repeats) for row in annealed]
        report.table(ANNEALED, table, "annealed")
    if worst := of_part(chosen, "worst"):
        table = [measure_worst(*row, args.repeats) for row in worst]
        report.table(WORST, table, "worst")
    report.finish()


if __name__ == "__main__":
    main()
