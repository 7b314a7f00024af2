"""How fast is entmax beside the published one, and EntmaxKMeans beside SoftKMeans?

Maps: sk_softkmeans.entmax beside the functions of the package `entmax` for PyTorch,
without a gradient and with its defaults (k=None: it sorts whole rows), on standard
normal logits times a scale. The larger the scale, the lower the temperature and the
smaller the support, which is the mean number of probabilities in a row that are not
zero; the share is that number over all. The difference is the largest one between the
two results.

Iterations: EntmaxKMeans beside SoftKMeans(1) in the sizes and by the protocol of
bench_iteration.py. The number in brackets is the temperature; alpha is 1.5 where it is
not given. The support is that after the last iteration.

All of one row take turns, with the same number of threads, and a ratio is the median
over the turns; of maps, the first call of a turn is not counted. Rows without a bound
are for information.

    pip install torch entmax
"""

import warnings
from functools import partial
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
    select,
)
from bench_iteration import (
    MANY,
    SIZES,
    Problem,
    Row,
    draw_ratios,
    fit_soft,
    in_process,
    iteration_time,
)
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sk_softkmeans import EntmaxKMeans, entmax

PUBLISHED = {1.5: "entmax.entmax15", 2.0: "entmax.sparsemax"}
OURS, SOFT = "entmax", "SoftKMeans(1)"
# Scales of the logits: near hard, a few, dense.
HARD, FEW, DENSE = 10.0, 2.0, 0.2


class Logits(NamedTuple):
    """Standard normal logits times a scale, and the order of the map."""

    n_rows: int
    width: int
    dtype: str
    scale: float
    alpha: float

    def __str__(self):
        return f"({self.n_rows}, {self.width}) {self.dtype} x {self.scale:g}"

    def data(self, n_rows=None):
        """Return the logits, with another number of rows if that is given."""
        shape = n_rows or self.n_rows, self.width
        z = self.scale * np.random.default_rng(0).standard_normal(shape)
        return z.astype(self.dtype)


class Result(NamedTuple):
    """The two times and their ratio, the support of so many, and the difference."""

    above: float
    below: float
    ratio: float
    support: float
    width: int
    difference: float | None = None


# A bound of None: for information.
MAP_ROWS = [
    Row(Logits(20_000, width, dtype, scale, alpha), PUBLISHED[alpha], OURS, bound, True)
    for width in (64, 256)
    for dtype, scale, alpha, bound in (
        ("float32", HARD, 1.5, 5.0),
        ("float32", FEW, 1.5, 5.0),
        ("float32", DENSE, 1.5, 5.0),
        ("float64", FEW, 1.5, None),
        ("float32", FEW, 2.0, None),
    )
]
# Temperature and alpha by name.
FITS = {
    "EntmaxKMeans(1)": (1.0, 1.5),
    "EntmaxKMeans(4)": (4.0, 1.5),
    "EntmaxKMeans(16)": (16.0, 1.5),
    "EntmaxKMeans(1, alpha=2)": (1.0, 2.0),
}
FIT_BOUNDS = {"float32": 1.5, "float64": 1.0}
FIT_ROWS = [
    Row(Problem(*size, dtype), name, SOFT, bound if how == (1.0, 1.5) else None)
    for dtype, bound in FIT_BOUNDS.items()
    for size in SIZES
    for name, how in FITS.items()
]


def seconds(call):
    """Return the time of a call, not the first one after something else.

    PyTorch's threads go on spinning for a while after its calls.
    """
    call()
    start = perf_counter()
    call()
    return perf_counter() - start


def measure_map(row, args, report):
    """Return the result of a row, or None without the published package."""
    if not (installed("torch") and installed("entmax")):
        return None
    import entmax as published
    import torch

    report.ran("torch")
    report.ran("entmax")
    torch.set_num_threads(args.threads)
    z = row.problem.data(args.samples)
    tensor = torch.from_numpy(z)
    theirs = getattr(published, row.above.split(".")[1])
    calls = {
        row.above: lambda: theirs(tensor, dim=-1),
        row.below: lambda: entmax(z, row.problem.alpha),
    }
    above, below = (np.asarray(call()) for call in calls.values())
    measures = {name: partial(seconds, call) for name, call in calls.items()}
    times = interleave(measures, args.calls).values()
    return Result(
        *map(median, times),
        median_ratio(*times),
        (below > 0).sum(axis=1).mean(),
        row.problem.width,
        abs(above - below).max(),
    )


def mean_support(X, n_clusters, temperature, alpha):
    """Return how many clusters share a sample after the last iteration."""
    model = EntmaxKMeans(
        n_clusters,
        alpha=alpha,
        sparse_output=True,
        temperature=temperature,
        init=X[:n_clusters],
        max_iter=MANY,
        tol=0,
    )
    return model.fit(X).predict_proba(X).count_nonzero() / len(X)


def measure_fits(problem, rows, args):
    """Yield the result of each row of a problem."""
    X = problem.data(args.samples)
    fits = {SOFT: fit_soft}
    for row in rows:
        temperature, alpha = FITS[row.above]
        estimator = partial(EntmaxKMeans, alpha=alpha)
        fits[row.above] = partial(
            fit_soft, temperature=temperature, estimator=estimator
        )
    measures = {
        name: partial(iteration_time, name, in_process(fit, X, problem.n_clusters))
        for name, fit in fits.items()
    }
    times = interleave(measures, args.repeats)
    for row in rows:
        above, below = times[row.above], times[row.below]
        support = mean_support(X, problem.n_clusters, *FITS[row.above])
        ratio = median_ratio(above, below)
        yield Result(median(above), median(below), ratio, support, problem.n_clusters)


def measure_rows(rows, args, report):
    """Yield each row with its result, or with None."""
    for row in rows:
        if row in MAP_ROWS:
            yield row, measure_map(row, args, report)
    for problem in dict.fromkeys(row.problem for row in rows if row in FIT_ROWS):
        own = [row for row in rows if row.problem == problem]
        yield from zip(own, measure_fits(problem, own, args), strict=True)


HEADER = ["times", "support", "share", "first, ms", "second, ms", "ratio", "bound"]
HEADER += ["holds", "difference"]


def cells(row, result):
    """Return the row as text."""
    bound = holds = ""
    if row.bound is not None:
        bound = f"{'>=' if row.at_least else '<='} {row.bound:.1f}"
    if result is None:
        return [str(row), "", "", "", "", "not run", bound, "", ""]
    if row.bound is not None:
        holds = "yes" if row.holds(result.ratio) else "NO"
    support = f"{result.support:.2f}", f"{result.support / result.width:.3f}"
    times = (f"{1000 * time:.2f}" for time in (result.above, result.below))
    difference = "" if result.difference is None else f"{result.difference:.1e}"
    ratio = f"{result.ratio:.2f}"
    return [str(row), *support, *times, ratio, bound, holds, difference]


def main():
    """Measure and print."""
    parser = make_parser(__doc__)
    add = parser.add_argument
    add("--repeats", type=int, default=7, help="turns per size of fits (7)")
    add("--calls", type=int, default=30, help="turns per row of maps (30)")
    add("--threads", type=int, default=2, help="threads of everything (2)")
    add("--samples", type=int, help="as many rows at every size, for a rehearsal")
    args = parser.parse_args()
    report = Report(parser, args, range(1), args.threads)
    rows = select(MAP_ROWS + FIT_ROWS, parser, args)
    # Without tolerance no fit converges.
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(args.threads):
        results = list(measure_rows(rows, args, report))
    table = report.table(HEADER, [cells(*result) for result in results])
    if any(result is None for _, result in results):
        print("The published maps were not run. They need pip install torch entmax")
    print(f"Turns: {args.repeats} of fits, {args.calls} of maps")
    if args.samples:
        print(f"A rehearsal with {args.samples} samples: the bounds are for all.")
    draw_ratios(report, table)
    report.finish()


if __name__ == "__main__":
    main()
