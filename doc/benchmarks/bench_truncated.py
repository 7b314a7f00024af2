"""What does an iteration of TruncatedKMeans cost with many clusters, beside KMeans?

Samples of k Gaussians (200,000 x 16, float32, unit variance, the means with variance 4)
and of a grid of k Gaussians in the plane (birch-like, unit variance, 4 sqrt(2) apart),
from the same k-means++ centers, which a subsample of 8 k samples gives.

- Iterations: a fit of 13 iterations less one of 3, divided by 10, of KMeans ("lloyd",
  float32), of TruncatedKMeans, and of SoftKMeans, all in turn and with the same number
  of threads; the ratio is the median over the turns. No tolerance. Birch-like fits are
  shorter, since Lloyd's iterations end. Distances are those of the iterations between,
  per sample and iteration: to candidates, those that fill blocks counted, and between
  centers.
- Whole fits with the default tolerance: how long, seeding apart, and the inertia as a
  ratio. And the time that each needs for an inertia that is at most 0.5 % above that of
  KMeans: that of the shortest fit that ends there, with everything that belongs to it,
  or "never".
- Quality: the free energy of TruncatedKMeans over that of SoftKMeans from the same
  centers, over five seeds.

Where a data set is not found it is left out.
"""

import statistics
import warnings
from functools import cache
from time import perf_counter

import numpy as np
from _common import (
    FEW,
    MANY,
    Report,
    interleave,
    load_data,
    make_parser,
    median_ratio,
    of_part,
    per_iteration,
    select,
    timed,
)
from _counting import counted_distances
from _pictures import BLUE, GREEN, VERMILION, numbers, plain_log
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import SoftKMeans, TruncatedKMeans

N_SAMPLES, N_FEATURES, N_SEEDS = 200_000, 16, 5
# The largest ratio to KMeans per iteration that is asked for, and for a whole fit.
BOUNDS = {400: 0.8, 1600: 0.3, 6400: 0.15}
WHOLE_BOUND, WITHIN = 0.5, 1.005
ITERATIONS = ["data", "k", "KMeans", "Truncated", "SoftKMeans", "T / K", "bound"]
ITERATIONS += ["distances"]
WHOLE = ["data", "k", "KMeans", "T / K", "iterations", "inertia", "to 0.5 %"]
WHOLE += ["to 0.5 %: T / K"]
QUALITY = ["data", "k", "mean F / F", "largest", "mean J / J", "time / time"]


@cache
def mixture(k):
    """Return samples of k Gaussians in 16 dimensions."""
    rng = np.random.default_rng(0)
    means = 2 * rng.standard_normal((k, N_FEATURES))
    X = means[rng.integers(k, size=N_SAMPLES)]
    return (X + rng.standard_normal(X.shape)).astype(np.float32)


@cache
def birch(k):
    """Return samples of a square grid of k Gaussians."""
    rng = np.random.default_rng(0)
    side = round(k**0.5)
    means = 4 * 2**0.5 * np.stack(np.divmod(np.arange(k), side), axis=1)
    X = means[rng.integers(k, size=N_SAMPLES)]
    return (X + rng.standard_normal(X.shape)).astype(np.float32)


DATA = {"mixture": mixture, "birch": birch}
PROBLEMS = [("mixture", 100), ("mixture", 400), ("mixture", 1600), ("mixture", 6400)]
PROBLEMS += [("birch", 100), ("birch", 1024)]


@cache
def seeds(data, k, random_state=0):
    """Return k-means++ centers of a subsample, and the seconds they took."""
    X = DATA[data](k)
    rng = np.random.default_rng(random_state)
    start = perf_counter()
    some = X[rng.choice(len(X), min(8 * k, len(X)), replace=False)]
    centers, _ = kmeans_plusplus(some, k, random_state=random_state)
    return centers, perf_counter() - start


def makers(k, init, **params):
    """Return what makes each estimator, given the number of iterations."""
    common = {"init": init, "n_init": 1} | params
    return {
        "KMeans": lambda n: KMeans(k, algorithm="lloyd", max_iter=n, **common),
        "Truncated": lambda n: TruncatedKMeans(k, max_iter=n, **common),
        "SoftKMeans": lambda n: SoftKMeans(k, max_iter=n, **common),
    }


def measure_iterations(data, k, repeats):
    """Return a row of the first table."""
    X, (init, _) = DATA[data](k), seeds(data, k)
    make = makers(k, init, tol=0)
    if k > 2000:
        # Minutes, for a number that is known to be larger.
        del make["SoftKMeans"]
    measures = {name: lambda m=m: per_iteration(m, X) for name, m in make.items()}
    times = interleave(measures, repeats)
    medians = {name: statistics.median(ts) for name, ts in times.items()}
    ratio = median_ratio(times["Truncated"], times["KMeans"])
    with counted_distances() as counter:
        few = make["Truncated"](FEW).fit(X).n_iter_
        first, counter.total = counter.total, 0
        many = make["Truncated"](MANY).fit(X).n_iter_
    distances = (counter.total - first) / (many - few) / len(X)
    bound = BOUNDS.get(k) if data == "mixture" else None
    holds = "" if bound is None else f"{'yes' if ratio <= bound else 'NO'} ({bound})"
    row = [data, str(k)]
    row += [
        f"{1e3 * medians[name]:.1f} ms" if name in medians else ""
        for name in ("KMeans", "Truncated", "SoftKMeans")
    ]
    return [*row, f"{ratio:.2f}", holds, f"{distances:.1f}"]


def time_within(make, X, inertia, n_iter):
    """Return the seconds of the shortest fit that ends near an inertia, or None."""
    low, high = 0, n_iter
    if make(high).fit(X).inertia_ > WITHIN * inertia:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if make(middle).fit(X).inertia_ <= WITHIN * inertia:
            high = middle
        else:
            low = middle
    times = [timed(make(high), X)[0] for _ in range(3)]
    return statistics.median(times)


def measure_whole(data, k):
    """Return a row of the second table."""
    X, (init, seeding) = DATA[data](k), seeds(data, k)
    make = makers(k, init)
    kmeans_time, kmeans = timed(make["KMeans"](300), X)
    time, model = timed(make["Truncated"](300), X)
    inertia = kmeans.inertia_
    own = time_within(make["Truncated"], X, inertia, model.n_iter_)
    theirs = time_within(make["KMeans"], X, inertia, kmeans.n_iter_)
    print(f"{data}, {k}: seeding {seeding:.2f} s", flush=True)
    within = "never" if own is None else f"{own:.2f}"
    return [
        data,
        str(k),
        f"{kmeans_time:.2f} s",
        f"{time / kmeans_time:.2f}",
        f"{model.n_iter_} / {kmeans.n_iter_}",
        f"{model.inertia_ / inertia:.4f}",
        f"{within} / {theirs:.2f} s",
        "" if own is None else f"{own / kmeans_time:.2f}",
    ]


def blobs(n_features):
    """Return what gives overlapping blobs, 40 of them."""
    return make_blobs(20_000, n_features, centers=40, cluster_std=1.5, random_state=0)[
        0
    ]


SETS = {
    "digits": (64, lambda: load_digits().data),
    "usps": (100, lambda: load_data("usps")),
    "a3": (50, lambda: load_data("a3")),
    "s1": (15, lambda: load_data("s1")),
    "s4": (15, lambda: load_data("s4")),
    "unbalance": (8, lambda: load_data("unbalance")),
    "blobs 4": (40, lambda: blobs(4)),
    "blobs 16": (40, lambda: blobs(16)),
    "birch": (100, lambda: birch(100)[:50_000]),
    "mixture": (400, lambda: mixture(400)[:50_000]),
}


def measure_quality(name):
    """Return a row of the third table, None where there are no data."""
    k, load = SETS[name]
    X = load()
    if X is None:
        return None
    energies, inertias, times = [], [], []
    for seed in range(N_SEEDS):
        init, _ = kmeans_plusplus(X, k, random_state=seed)
        time, model = timed(TruncatedKMeans(k, init=init), X)
        full_time, full = timed(SoftKMeans(k, init=init), X)
        energies.append(model.free_energy_ / full.free_energy_)
        inertias.append(model.inertia_ / full.inertia_)
        times.append(time / full_time)
    return [
        name,
        str(k),
        f"{statistics.fmean(energies):.4f}",
        f"{max(energies):.4f}",
        f"{statistics.fmean(inertias):.4f}",
        f"{statistics.median(times):.2f}",
    ]


# The part of each row is its table.
ROWS = [(part, *problem) for part in ("iterations", "whole") for problem in PROBLEMS]
ROWS += [("quality", name) for name in SETS]


def draw(figure, axes, rows):
    """Draw times and distances by the number of clusters."""
    left, right = axes
    clusters = numbers(rows, "k")
    looks = {
        "KMeans": {"color": VERMILION, "marker": "s"},
        "SoftKMeans": {"color": GREEN, "marker": "^"},
        "Truncated": {"color": BLUE, "marker": "o", "label": "TruncatedKMeans"},
    }
    for name, look in looks.items():
        left.plot(clusters, numbers(rows, name), **{"label": name} | look)
    right.plot(clusters, clusters, label="KMeans", **looks["KMeans"])
    right.plot(clusters, numbers(rows, "distances"), **looks["Truncated"])
    left.set_ylabel("milliseconds per iteration")
    right.set_ylabel("distances per sample and iteration")
    for ax in axes:
        plain_log(ax, "y")
        ax.set_xscale("log")
        ax.set_xticks(clusters, [f"{k:g}" for k in clusters])
        ax.minorticks_off()
        ax.set_xlabel("number of clusters")
        ax.legend()


def main():
    """Measure and print."""
    parser = make_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    report = Report(parser, args, range(N_SEEDS))
    # Few iterations, and no tolerance.
    warnings.simplefilter("ignore", ConvergenceWarning)
    chosen = select(ROWS, parser, args)
    if iterations := of_part(chosen, "iterations"):
        table = [measure_iterations(*row, args.repeats) for row in iterations]
        rows = report.table(ITERATIONS, table)
        rows = [row for row in rows if row["data"] == "mixture"]
        by_k = dict(zip(numbers(rows, "k"), numbers(rows, "distances"), strict=True))
        if {400, 6400} <= by_k.keys():
            growth = by_k[6400] / by_k[400]
            print(f"Distances at 6400 clusters over those at 400: {growth:.2f}\n")
        if rows:
            report.picture(draw, rows, size=(7, 3.2), shape=(1, 2))
    if whole := of_part(chosen, "whole"):
        table = [measure_whole(*row) for row in whole]
        report.table(WHOLE, table, "whole")
    if quality := of_part(chosen, "quality"):
        table = [row for row in (measure_quality(*row) for row in quality) if row]
        report.table(QUALITY, table, "quality")
    report.finish()


if __name__ == "__main__":
    main()
