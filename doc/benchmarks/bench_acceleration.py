"""What does the acceleration save, and does it end as low?

Every fit is made twice from the same k-means++ centers, as it is and by plain EM (the
same code, told never to begin with acceleration), and their E-steps are counted; those
of points that were given up count as well. The temperature is fixed, in units of the
critical one, or learned. A row is the mean over the seeds, with the largest excess of
the objective over that of EM (relative; the free energy, or G where the temperature is
learned). What is asked for, case by case:

- at most 1.1 x the E-steps of EM + 2,
- at most a third of them where EM needs more than 200,
- an objective that is at most 1e-9 above that of EM.

The second table counts the fits in which each holds, and those where EM is slow (more
than 200 E-steps), with the median of their ratios; the last column is the ratio of all
E-steps. The cases where something does not hold follow. An excess far above 1e-9 is
another local optimum; one far below 0 as well. With tol=1e-4 both may stop a little
before the optimum, EM often on the slope of a saddle.
"""

import os
import statistics
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from itertools import product
from unittest import mock

import numpy as np
from _common import Report, label, load_data, make_parser, plain_em, select
from _pictures import LOOKS, numbers, plain_log
from sklearn.cluster import kmeans_plusplus
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import EntmaxKMeans, _em


def in_float64(X):
    """Return X in float64: the objective of float32 is not exact to 1e-9."""
    return None if X is None else X.astype(np.float64)


SETS = {
    "digits": lambda: load_digits().data,
    "s4": lambda: load_data("s4"),
    "blobs": lambda: make_blobs(
        5000, centers=8, n_features=4, cluster_std=2.0, random_state=0
    )[0],
    "usps": lambda: in_float64(load_data("usps")),
}
CLUSTERS = (("digits", 10), ("digits", 30), ("s4", 15), ("blobs", 8), ("usps", 20))
TEMPERATURES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 0.95, "auto", "ml")
TOLERANCES = (1e-4, 1e-8)
CASES = [
    (*case, alpha, temperature, tol)
    for case, alpha, temperature, tol in product(
        CLUSTERS, (1.0, 1.5, 2.0), TEMPERATURES, TOLERANCES
    )
    # usps takes the longest, and softmax is what has "ml".
    if alpha == 1 or not (case[0] == "usps" or temperature == "ml")
]
HEADER = ["set", "k", "alpha", "T", "tol", "EM", "accelerated", "ratio", "excess"]
BOUNDS = ("E-steps", "a third", "objective")
SUMMARY = ["set, k", "fits", *BOUNDS, "slow", "ratio of slow", "ratio of all"]
EXCEPTIONS = ["case", "E-steps", "excess", "does not hold"]
# EM is slow if it needs more E-steps.
SLOW = 200


def fit(X, n_clusters, alpha, temperature, tol, init, *, accelerated):
    """Return the number of E-steps and the objective."""
    counted = mock.Mock(side_effect=_em.expectation)
    model = EntmaxKMeans(
        n_clusters,
        alpha=alpha,
        temperature=temperature,
        temperature_unit="critical",
        tol=tol,
        init=init,
        max_iter=20000,
    )
    with (
        mock.patch.object(_em, "expectation", counted),
        nullcontext() if accelerated else plain_em(),
        # Near the critical temperature centers merge.
        warnings.catch_warnings(action="ignore", category=ConvergenceWarning),
    ):
        model.fit(X)
    objective = model.free_energy_
    if isinstance(temperature, str):
        factor = 2 if temperature == "ml" else 3 ** (alpha - 1)
        T = model.temperature_
        objective = objective / T + X.size / factor * np.log(T)
    return counted.call_count, objective


def measure(case, seeds):
    """Return (E-steps, objective) of EM and of the fit, for each seed."""
    name, n_clusters, *params = case
    X = SETS[name]()
    if X is None:
        return None
    results = []
    for seed in range(seeds):
        init, _ = kmeans_plusplus(X, n_clusters, random_state=seed)
        em, own = (
            fit(X, n_clusters, *params, init, accelerated=accelerated)
            for accelerated in (False, True)
        )
        results.append((em, own))
    return results


def excess(em, own):
    """Return how far the objective is above that of EM, relative to its size."""
    return (own[1] - em[1]) / abs(em[1])


def broken(em, own):
    """Return the bounds that do not hold."""
    holds = (
        own[0] <= 1.1 * em[0] + 2,
        em[0] <= SLOW or own[0] <= em[0] / 3,
        excess(em, own) <= 1e-9,
    )
    return [name for name, held in zip(BOUNDS, holds, strict=True) if not held]


def summarise(name, results, clusters):
    """Return a row of text for one set and number of clusters, None without results."""
    runs = [
        run for case, runs in results.items() if case[:2] == clusters for run in runs
    ]
    if not runs:
        return None
    held = [sum(name not in broken(*run) for run in runs) for name in BOUNDS]
    total, own = (sum(run[i][0] for run in runs) for i in (0, 1))
    slow = [own[0] / em[0] for em, own in runs if em[0] > SLOW]
    ratio = f"{statistics.median(slow):.2f}" if slow else ""
    counts = [str(len(slow)), ratio, f"{own / total:.2f}"]
    return [name, str(len(runs)), *map(str, held), *counts]


def draw(figure, ax, rows):
    """Draw the E-steps of the fit by those of EM, a point for each case."""
    cases = [f"{row['set']}, {row['k']}" for row in rows]
    em, own = numbers(rows, "EM"), numbers(rows, "accelerated")
    for case, (color, marker) in zip(dict.fromkeys(cases), LOOKS, strict=False):
        of_case = np.array([case == other for other in cases])
        style = {"marker": marker, "facecolors": "none", "edgecolors": color}
        ax.scatter(em[of_case], own[of_case], s=20, label=case, **style)
    low, high = 0.8 * own.min(), 1.25 * max(em.max(), SLOW)
    ax.plot([low, high], [low, high], color="0.5", linewidth=1, label="as many")
    x = np.geomspace(low, SLOW)
    x, most = [*x, SLOW, high], [*(1.1 * x + 2), SLOW / 3, high / 3]
    style = {"color": "black", "linewidth": 1, "ls": "--"}
    ax.plot(x, most, label="at most, as asked of each fit", **style)
    ax.set(xlim=(low, high), ylim=(low, high))
    plain_log(ax)
    plain_log(ax, "y")
    ax.set_xlabel("E-steps of EM (mean over the seeds)")
    ax.set_ylabel("E-steps with acceleration")
    ax.legend(title="data, clusters")


def main():
    """Fit, count and print."""
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    n_processes = os.cpu_count()
    threads = f"1 thread in each of {n_processes} processes"
    report = Report(parser, args, range(args.seeds), threads)
    cases = select(CASES, parser, args)
    # A process for each CPU, each with one thread.
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(n_processes) as executor:
        results = executor.map(measure, cases, [args.seeds] * len(cases))
        results = {
            case: runs for case, runs in zip(cases, results, strict=True) if runs
        }
    table, failures = [], []
    for case, runs in results.items():
        em, own = (statistics.fmean(run[i][0] for run in runs) for i in (0, 1))
        worst = max(excess(*run) for run in runs)
        numbers = [f"{em:.0f}", f"{own:.0f}", f"{own / em:.2f}", f"{worst:.1e}"]
        table.append([*map(str, case), *numbers])
        for seed, run in enumerate(runs):
            what = ", ".join(broken(*run))
            if what:
                steps = f"{run[0][0]} -> {run[1][0]}"
                row = [f"{label(case)}, seed {seed}", steps, f"{excess(*run):.1e}"]
                failures.append([*row, what])
    rows = report.table(HEADER, table)
    summary = [summarise(f"{name}, {k}", results, (name, k)) for name, k in CLUSTERS]
    report.table(SUMMARY, [row for row in summary if row], "summary")
    report.table(EXCEPTIONS, failures, "exceptions")
    report.picture(draw, rows, size=(5.5, 5))
    report.finish()


if __name__ == "__main__":
    main()
