"""Does one annealed fit beat ten restarts of KMeans, and in less time?

On each data set, with ten seeds: one fit of AnnealedRBFKMeans with its defaults, KMeans
with n_init=10 and n_init=1 and, where they are installed, breathing k-means and FLS++.
The package flspp needs NumPy 1, and so an environment of its own:

    python -m venv fls
    fls/bin/pip install "numpy<2" flspp scikit-learn
    python doc/benchmarks/bench_annealed.py --flspp-python fls/bin/python

All get the same array and number of threads, and take turns, in the reverse order for
odd seeds. Inertia is a ratio to the best one known, which is the lowest of those in the
script and of this run; its worst seed is in brackets. Seconds are medians.

Sets from the data folder are left out where it is missing. All are as they are loaded:
usps in float32, china.jpg (the 273,280 colours of a photograph) and the others in
float64, unless --dtype says otherwise.
"""

import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from _common import (
    load_data,
    make_parser,
    print_table,
    print_versions,
    select,
    write_csv,
)
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


class FLSpp:
    """FLS++ in another Python: a worker that is asked for one fit at a time."""

    def __init__(self, python, X, n_clusters, folder):
        path = Path(folder, "X.npy")
        np.save(path, X)
        script = Path(__file__).with_name("_flspp_worker.py")
        self._process = subprocess.Popen(
            [python, script, path, str(n_clusters)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, seed):
        """Return the seconds and the inertia of a fit."""
        print(seed, file=self._process.stdin, flush=True)
        return tuple(map(float, self._process.stdout.readline().split()))

    def end(self):
        """Let the process end."""
        self._process.stdin.close()
        self._process.wait()


def fit(make, X, n_clusters, seed):
    """Return the seconds and the inertia of a fit."""
    model = make(n_clusters, seed)
    start = perf_counter()
    model.fit(X)
    return perf_counter() - start, model.inertia_


def run_all(X, n_clusters, python):
    """Return {name: list of (seconds, inertia)}, one for each seed."""
    names = [name for name in MODELS if name != "bkmeans" or BKMeans]
    results = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        worker = FLSpp(python, X, n_clusters, folder) if python else None
        measures = {
            name: lambda seed, make=MODELS[name]: fit(make, X, n_clusters, seed)
            for name in names
        }
        if worker:
            measures["FLS++"], results["FLS++"] = worker, []
        fit(MODELS["annealed"], X[:1000], n_clusters, 0)
        for seed in SEEDS:
            order = list(measures) if seed % 2 == 0 else list(measures)[::-1]
            for name in order:
                results[name].append(measures[name](seed))
        if worker:
            worker.end()
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
    HEADER += [f"{name}: mean", "(worst)", "s"]
HEADER += ["time / x10", "time / x1"]


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


def main():
    """Compare and print."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--only", nargs="+", metavar="TEXT", help="sets whose name has a TEXT")
    add("--flspp-python", metavar="PYTHON", help="interpreter that has flspp")
    add("--dtype", choices=["float32", "float64"], help="that of all sets")
    add("--threads", type=int, default=os.cpu_count(), help="of every fit")
    args = parser.parse_args()
    # Of the other Python as well.
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    table, missing, failed = [], [], {}
    with threadpool_limits(args.threads):
        for label, n_clusters in select(list(BEST), parser, args):
            X = load(label)
            if X is None:
                missing.append(label)
                continue
            X = X.astype(args.dtype or X.dtype)
            results = run_all(X, n_clusters, args.flspp_python)
            found = min(inertia for runs in results.values() for _, inertia in runs)
            best = min(BEST[label, n_clusters], found)
            summary = summarise(results, best)
            table.append(cells(label, n_clusters, best, summary))
            failed[f"{label} k={n_clusters}"] = failures(summary)
            print("  ".join(table[-1]), flush=True)
    print()
    print_table(HEADER, table)
    if missing:
        print(f"\nLeft out, not in the data folder: {', '.join(missing)}")
    for label, found in failed.items():
        print(f"{label}: {'; '.join(found) or 'all bounds hold'}")
    print_versions("bkmeans")
    write_csv(args.output, HEADER, table)


if __name__ == "__main__":
    main()
