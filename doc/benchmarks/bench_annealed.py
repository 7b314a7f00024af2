"""Does one annealed fit beat ten restarts of KMeans, and in less time?

On each data set, with ten seeds: one fit of AnnealedRBFKMeans with its defaults, KMeans
with n_init=10 and n_init=1 and, where they are installed, breathing k-means and FLS++.
The package flspp needs NumPy 1, and so an environment of its own:

    python -m venv old
    old/bin/pip install "numpy<2" flspp scikit-learn
    python doc/benchmarks/bench_annealed.py --old-python old/bin/python

All get the same array and number of threads, and take turns, in the reverse order for
odd seeds. Inertia is a ratio to the best one known, which is the lowest of those in the
script and of this run; that of the worst seed is in brackets. Seconds are medians.

Sets from the data folder are left out where it is missing. All are as they are loaded:
usps in float32, china.jpg (the 273,280 colours of a photograph) and the others in
float64, unless --dtype says otherwise.
"""

import os
import statistics
from contextlib import ExitStack
from time import perf_counter

import numpy as np
from _common import Report, load_data, make_parser, select, worker
from _pictures import LOOKS, draw_rows, numbers, offsets, plain_log
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_sample_image
from threadpoolctl import threadpool_limits

from sk_softkmeans import AnnealedRBFKMeans

try:
    from bkmeans import BKMeans
except ImportError:
    BKMeans = None

SEEDS = range(10)
# The best inertia known of each set.
BEST = {
    ("digits", 10): 1165117.287,
    ("digits", 30): 831755.545,
    ("digits", 64): 646194.565,
    ("usps", 20): 156898.705,
    ("usps", 100): 117594.998,
    ("s1", 15): 8.91760881e12,
    ("s2", 15): 1.32791073e13,
    ("s4", 15): 1.57031799e13,
    ("a1", 20): 1.21462555e10,
    ("a3", 50): 2.89374201e10,
    ("unbalance", 8): 2.14492113e11,
    ("china.jpg", 64): 467.957362,
}
# The bounds of the mean and of the worst seed.
MEAN, WORST = 1.002, 1.006
# How much worse than another's mean is as good.
AS_GOOD = 1e-4
MODELS = {
    "annealed": lambda k, seed: AnnealedRBFKMeans(k, random_state=seed),
    "KMeans x10": lambda k, seed: KMeans(k, n_init=10, random_state=seed),
    "KMeans x1": lambda k, seed: KMeans(k, n_init=1, random_state=seed),
    "bkmeans": lambda k, seed: BKMeans(n_clusters=k, random_state=seed),
}
# Those that a fit must not be worse than, and those that must take longer.
RIVALS, SLOWER = ("KMeans x10", "bkmeans", "FLS++"), ("KMeans x10", "bkmeans")


def load(name):
    """Return a data set, or None where the file is missing."""
    if name == "digits":
        return load_digits().data
    if name == "china.jpg":
        return load_sample_image("china.jpg").reshape(-1, 3) / 255
    return load_data(name)


def fit(make, X, n_clusters, seed):
    """Return the seconds and the inertia of a fit."""
    model = make(n_clusters, seed)
    start = perf_counter()
    model.fit(X)
    return perf_counter() - start, model.inertia_


def run_all(X, n_clusters, args, report):
    """Return {name: list of (seconds, inertia)}, one for each seed."""
    measures = {
        name: lambda seed, make=make: fit(make, X, n_clusters, seed)
        for name, make in MODELS.items()
        if name != "bkmeans" or BKMeans
    }
    with ExitStack() as stack:
        if BKMeans:
            report.ran("bkmeans")
        if args.old_python:
            how = (args.old_python, "_flspp_worker.py", X, n_clusters, args.threads)
            versions, measures["FLS++"] = stack.enter_context(worker(*how))
            report.ran(versions)
        results = {name: [] for name in measures}
        fit(MODELS["annealed"], X[:1000], n_clusters, 0)
        for seed in SEEDS:
            order = list(measures) if seed % 2 == 0 else list(measures)[::-1]
            for name in order:
                results[name].append(measures[name](seed))
    return results


def summarise(results, best):
    """Return {name: (mean ratio, worst ratio, median seconds)}."""
    return {
        name: (
            statistics.fmean(inertia / best for _, inertia in runs),
            max(inertia / best for _, inertia in runs),
            statistics.median(seconds for seconds, _ in runs),
        )
        for name, runs in results.items()
    }


def failures(summary):
    """Return what a set shows that it must not."""
    mean, worst, seconds = summary["annealed"]
    found = []
    if mean > MEAN:
        found.append(f"mean {mean:.4f} > {MEAN}")
    if worst > WORST:
        found.append(f"worst {worst:.4f} > {WORST}")
    for name in RIVALS:
        if name in summary and mean > summary[name][0] + AS_GOOD:
            found.append(f"mean {mean:.4f} > {name}'s {summary[name][0]:.4f}")
    for name in SLOWER:
        if name in summary and seconds > summary[name][2]:
            found.append(f"{seconds / summary[name][2]:.2f} x the time of {name}")
    return found


HEADER = ["data set", "k", "best known"]
for name in (*MODELS, "FLS++"):
    HEADER += [f"{name}: mean", f"{name}: worst", f"{name}: s"]
HEADER += ["time / x10", "time / x1"]
LABELS = {"annealed": "AnnealedRBFKMeans"}


def cells(label, n_clusters, best, summary):
    """Return a line of the table as text."""
    row = [label, str(n_clusters), f"{best:.9g}"]
    for name in (*MODELS, "FLS++"):
        if name in summary:
            mean, worst, seconds = summary[name]
            row += [f"{mean:.4f}", f"({worst:.4f})", f"{seconds:.3f}"]
        else:
            row += [""] * 3
    own = summary["annealed"][2]
    ratios = (own / summary[name][2] for name in ("KMeans x10", "KMeans x1"))
    return row + [f"{ratio:.2f}" for ratio in ratios]


def draw(figure, axes, rows):
    """Draw how far above the best each ends, and its time over that of ten restarts."""
    left, right = axes
    names = (*MODELS, "FLS++")
    labels = [f"{row['data set']}, {row['k']}" for row in rows]
    for ax in axes:
        draw_rows(ax, labels)
        ax.axvline(ax is right, color="0.4", linewidth=1)
    reference = numbers(rows, "KMeans x10: s")
    for name, shift, look in zip(names, offsets(len(names), 0.8), LOOKS, strict=True):
        color, marker = look
        y = np.arange(len(rows)) + shift
        style = {"color": color, "marker": marker, "markersize": 4.5, "ls": "none"}
        mean, worst = (
            # What the table gives as 1.0000 is 0, without rounding errors.
            np.round(100 * (numbers(rows, f"{name}: {which}") - 1), 6)
            for which in ("mean", "worst")
        )
        left.hlines(y, mean, worst, color=color, linewidth=1)
        left.plot(worst, y, **style | {"markerfacecolor": "white"})
        left.plot(mean, y, label=LABELS.get(name, name), **style)
        if name != "KMeans x10":
            right.plot(numbers(rows, f"{name}: s") / reference, y, **style)
    # The smallest number of the table that is not 0 is 0.01 %.
    left.set_xscale("symlog", linthresh=0.01, linscale=0.6)
    left.set_xticks([0, 0.01, 0.1, 1, 10, 100], ["0", "0.01", "0.1", "1", "10", "100"])
    left.set_xlim(-0.004, 200)
    left.set_xlabel(
        "inertia above the best known, %\n(filled: mean, hollow: worst seed)"
    )
    plain_log(right)
    right.set_xlabel("seconds of a fit,\nratio to KMeans x10")
    left.xaxis.grid(color="0.85", linewidth=0.6)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper center", ncols=5
    )


def main():
    """Compare and print."""
    parser = make_parser(__doc__, old_python=True)
    add = parser.add_argument
    add("--dtype", choices=["float32", "float64"], help="that of all sets")
    add("--threads", type=int, default=os.cpu_count(), help="of every fit")
    args = parser.parse_args()
    report = Report(parser, args, SEEDS, args.threads)
    # scikit-learn takes one for each core, if it is not told so.
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    table, missing, failed = [], [], {}
    with threadpool_limits(args.threads):
        for name, n_clusters in select(list(BEST), parser, args):
            X = load(name)
            if X is None:
                missing.append(name)
                continue
            X = X.astype(args.dtype or X.dtype)
            results = run_all(X, n_clusters, args, report)
            found = min(inertia for runs in results.values() for _, inertia in runs)
            best = min(BEST[name, n_clusters], found)
            summary = summarise(results, best)
            table.append(cells(name, n_clusters, best, summary))
            failed[f"{name} k={n_clusters}"] = failures(summary)
            print("  ".join(table[-1]), flush=True)
    print()
    rows = report.table(HEADER, table)
    if missing:
        print(f"Left out, not in the data folder: {', '.join(missing)}")
    for name, found in failed.items():
        print(f"{name}: {'; '.join(found) or 'all bounds hold'}")
    size = (7, 1.4 + 0.5 * len(rows))
    report.picture(
        draw, rows, size=size, shape=(1, 2), width_ratios=(5, 3), sharey=True
    )
    report.finish()


if __name__ == "__main__":
    main()
