"""How long does an iteration of SoftKMeans take, beside KMeans and other soft ones?

Standard normal samples, the first rows as initial centers, temperature 1, no tolerance.
The time of one iteration is that of a fit of 23 iterations less that of a fit of 3,
divided by 20; how many were run is checked, and fits are not accelerated, so that each
iteration has one E-step. All estimators of one size take turns, with the same number of
threads, and a ratio is the median over the turns. At last, whole fits of iris from
given centers.

fuzzy-c-means 2.3.1 needs numpy < 2, so it runs in an environment of its own:

    python -m venv old
    old/bin/pip install "numpy<2" "fuzzy-c-means==2.3.1"
    python doc/benchmarks/bench_iteration.py --old-python old/bin/python
"""

import warnings
from contextlib import ExitStack
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
from _common import (
    Report,
    installed,
    interleave,
    make_parser,
    median_ratio,
    plain_em,
    select,
    worker,
)
from _pictures import BLUE, SKY, VERMILION, draw_rows, number, numbers, plain_log
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from sk_softkmeans import SoftKMeans

FEW, MANY = 3, 23
FCM, FCM_VERSION = "fuzzy-c-means", "2.3.1"


class Problem(NamedTuple):
    """Standard normal data and the number of clusters to look for."""

    n_samples: int
    n_features: int
    n_clusters: int
    dtype: str

    def __str__(self):
        sizes = f"({self.n_samples}, {self.n_features}, {self.n_clusters})"
        return f"{sizes} {self.dtype}"

    def data(self, n_samples=None):
        """Return X, with another number of samples if that is given."""
        shape = n_samples or self.n_samples, self.n_features
        X = np.random.default_rng(0).standard_normal(shape)
        return X.astype(self.dtype)


class Row(NamedTuple):
    """A ratio of two times, `above` over `below`, and what it should be, if known."""

    problem: Problem | str
    above: str
    below: str
    bound: float | None
    at_least: bool = False

    def __str__(self):
        return f"{self.above} / {self.below}, {self.problem}"

    def holds(self, ratio):
        """Return whether the ratio is within its bound."""
        return ratio >= self.bound if self.at_least else ratio <= self.bound


SIZES = [(200_000, 32, 64), (100_000, 64, 256)]
SMALL = Problem(50_000, 32, 64, "float64")
SOFT, HARD, AUTO, KMEANS = "SoftKMeans(1)", "SoftKMeans(0)", "SoftKMeans()", "KMeans"
ROWS = [
    *(
        Row(Problem(*size, dtype), name, KMEANS, bound)
        for dtype, soft_bound in (("float32", 2.0), ("float64", 3.0))
        for size in SIZES
        for name, bound in ((SOFT, soft_bound), (HARD, 1.5))
    ),
    Row(SMALL, "GaussianMixture", SOFT, 4.0, at_least=True),
    Row(SMALL, "scikit-fuzzy", SOFT, 6.0, at_least=True),
    Row(SMALL, "sklekmeans", SOFT, 8.0, at_least=True),
    Row(SMALL, FCM, SOFT, 2.0, at_least=True),
    Row("iris", HARD, KMEANS, 3.0),
    Row("iris", AUTO, KMEANS, 8.0),
]


# Each of these returns the number of iterations that it has made.


def fit_soft(X, n_clusters, max_iter, temperature=1.0, estimator=SoftKMeans):
    """Fit SoftKMeans, or another estimator with its parameters."""
    init = X[:n_clusters]
    model = estimator(
        n_clusters, temperature=temperature, init=init, max_iter=max_iter, tol=0
    )
    return model.fit(X).n_iter_


def fit_hard(X, n_clusters, max_iter):
    """Fit SoftKMeans at temperature 0."""
    return fit_soft(X, n_clusters, max_iter, temperature=0.0)


def fit_kmeans(X, n_clusters, max_iter):
    """Fit KMeans by Lloyd's algorithm."""
    model = KMeans(
        n_clusters,
        init=X[:n_clusters],
        n_init=1,
        max_iter=max_iter,
        tol=0,
        algorithm="lloyd",
    )
    return model.fit(X).n_iter_


def fit_mixture(X, n_clusters, max_iter):
    """Fit GaussianMixture with a variance per component."""
    model = GaussianMixture(
        n_clusters,
        covariance_type="spherical",
        weights_init=np.full(n_clusters, 1 / n_clusters),
        means_init=X[:n_clusters],
        precisions_init=np.ones(n_clusters),
        init_params="random_from_data",
        max_iter=max_iter,
        tol=0,
        random_state=0,
    )
    return model.fit(X).n_iter_


def fit_skfuzzy(X, n_clusters, max_iter):
    """Fit the fuzzy c-means of scikit-fuzzy, from memberships in the first rows."""
    from skfuzzy.cluster import cmeans

    closeness = 1 / np.maximum(cdist(X[:n_clusters], X, "sqeuclidean"), 1e-12)
    memberships = closeness / closeness.sum(axis=0)
    return cmeans(X.T, n_clusters, 2.0, 0.0, max_iter, init=memberships)[5]


def fit_sklekmeans(X, n_clusters, max_iter):
    """Fit equilibrium k-means, with the same exponent as at temperature 1."""
    from sklekmeans import EKMeans

    # tol must be positive: the smallest number, which stops it only at rest.
    model = EKMeans(
        n_clusters,
        alpha=1.0,
        init=X[:n_clusters],
        max_iter=max_iter,
        tol=np.finfo(float).tiny,
    )
    # Its n_iter_ is the index of the last iteration.
    return model.fit(X).n_iter_ + 1


FITS = {
    SOFT: (fit_soft, "sk-softkmeans"),
    HARD: (fit_hard, "sk-softkmeans"),
    KMEANS: (fit_kmeans, "scikit-learn"),
    "GaussianMixture": (fit_mixture, "scikit-learn"),
    "scikit-fuzzy": (fit_skfuzzy, "scikit-fuzzy"),
    "sklekmeans": (fit_sklekmeans, "sklekmeans"),
}


def in_process(fit, X, n_clusters):
    """Return ``run(max_iter) -> seconds, n_iter``."""

    def run(max_iter):
        start = perf_counter()
        n_iter = fit(X, n_clusters, max_iter)
        return perf_counter() - start, n_iter

    return run


def iteration_time(name, run):
    """Return the seconds of one iteration."""
    seconds = {}
    # What was run before leaves memory and caches in its own state: not counted.
    for max_iter in (FEW, FEW, MANY):
        with plain_em():
            seconds[max_iter], n_iter = run(max_iter)
        if n_iter != max_iter:
            message = f"{name} made {n_iter} iterations instead of {max_iter}."
            raise RuntimeError(f"{message} Use more samples.")
    return (seconds[MANY] - seconds[FEW]) / (MANY - FEW)


def time_problem(problem, names, args, report):
    """Return the times of an iteration by name, for the names that can be run."""
    X, runs = problem.data(args.samples), {}
    with ExitStack() as stack:
        for name in names:
            if name == FCM:
                if args.old_python:
                    how = (X, problem.n_clusters, args.threads)
                    asked = worker(args.old_python, "_fcm_worker.py", *how)
                    versions, runs[name] = stack.enter_context(asked)
                    report.ran(versions)
            elif installed(FITS[name][1]):
                runs[name] = in_process(FITS[name][0], X, problem.n_clusters)
                if FITS[name][1] == name:
                    report.ran(name)
        measures = {
            item[0]: lambda item=item: iteration_time(*item) for item in runs.items()
        }
        return interleave(measures, args.repeats)


def time_iris(names, args):
    """Return the times of whole fits of iris by name."""
    X, y = load_iris(return_X_y=True)
    init = X[[0, 50, 100]]
    models = {
        HARD: SoftKMeans(3, temperature=0, init=init),
        AUTO: SoftKMeans(3, init=init),
        KMEANS: KMeans(3, init=init, n_init=1, algorithm="lloyd"),
    }

    def measure(model):
        start = perf_counter()
        model.fit(X)
        return perf_counter() - start

    measures = {name: lambda name=name: measure(models[name]) for name in names}
    return interleave(measures, args.fits)


def measure_rows(rows, args, report):
    """Yield each row with its two times and its ratio, or with None."""
    for problem in dict.fromkeys(row.problem for row in rows):
        own = [row for row in rows if row.problem == problem]
        names = list(dict.fromkeys(name for row in own for name in row[1:3]))
        if problem == "iris":
            times = time_iris(names, args)
        else:
            times = time_problem(problem, names, args, report)
        for row in own:
            if row.above in times and row.below in times:
                above, below = times[row.above], times[row.below]
                ratio = median_ratio(above, below)
                yield row, (median(above), median(below), ratio)
            else:
                yield row, None


def how_to_run(row):
    """Say what a row that was not run needs."""
    if row.above == FCM:
        return (
            f"--old-python PYTHON, with PYTHON of an environment made by: pip install "
            f'"numpy<2" "{FCM}=={FCM_VERSION}"'
        )
    return f"pip install {FITS[row.above][1]}"


def cells(row, result):
    """Return the row as text."""
    bound = f"{'>=' if row.at_least else '<='} {row.bound:.1f}"
    if result is None:
        return [str(row), "", "", "not run", bound, ""]
    above, below, ratio = result
    times = (f"{1000 * seconds:.2f}" for seconds in (above, below))
    return [
        str(row),
        *times,
        f"{ratio:.2f}",
        bound,
        "yes" if row.holds(ratio) else "NO",
    ]


HEADER = ["times", "first, ms", "second, ms", "ratio", "bound", "holds"]


def draw(figure, ax, rows):
    """Draw the ratios of the rows that were run, within what is asked for."""
    draw_rows(ax, [row["times"].replace(", (", "\n(") for row in rows])
    ratios, y = numbers(rows, "ratio"), np.arange(len(rows))
    bounds = np.array([number(row["bound"].lstrip("<>=")) for row in rows])
    ends = np.append(ratios, bounds[~np.isnan(bounds)])
    low, high = ends.min() / 1.4, ends.max() * 1.4
    at_least = np.array([row["bound"].startswith(">") for row in rows])
    edges = np.where(at_least, high, low)
    style = {"color": SKY, "alpha": 0.35, "height": 0.6, "label": "asked for"}
    ax.barh(y, edges - bounds, left=bounds, **style)
    missed = np.array([row["holds"] == "NO" for row in rows])
    style = {"color": BLUE, "marker": "o", "ls": "none"}
    ax.plot(ratios[~missed], y[~missed], label="measured", **style)
    if missed.any():
        style = {"color": VERMILION, "marker": "X", "ls": "none", "markersize": 7}
        ax.plot(ratios[missed], y[missed], label="measured, not as asked for", **style)
    ax.set_xlim(low, high)
    plain_log(ax)
    ax.axvline(1, color="0.4", linewidth=1)
    ax.set_xlabel("ratio of the times")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=3)


def draw_ratios(report, rows):
    """Let a report have a picture of the rows that were run."""
    rows = [row for row in rows if row["ratio"] != "not run"]
    if rows:
        report.picture(draw, rows, size=(7, 1.2 + 0.36 * len(rows)))


def main():
    """Measure and print."""
    parser = make_parser(__doc__, old_python=True)
    add = parser.add_argument
    add("--repeats", type=int, default=7, help="turns per size (7)")
    add("--fits", type=int, default=200, help="turns for iris (200)")
    add("--threads", type=int, default=2, help="threads of every estimator (2)")
    add("--samples", type=int, help="as many samples at every size, for a rehearsal")
    args = parser.parse_args()
    report = Report(parser, args, range(1), args.threads)
    rows = select(ROWS, parser, args)
    # Without tolerance no fit converges.
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(args.threads):
        results = list(measure_rows(rows, args, report))
    table = report.table(HEADER, [cells(*result) for result in results])
    for row, result in results:
        if result is None:
            print(f"{row.above} was not run. It needs {how_to_run(row)}")
    print(f"{args.repeats} turns, {args.fits} for iris")
    if args.samples:
        print(f"A rehearsal with {args.samples} samples: the bounds are for all.")
    draw_ratios(report, table)
    report.finish()


if __name__ == "__main__":
    main()
