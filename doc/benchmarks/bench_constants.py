"""What do the constants of AnnealedRBFKMeans buy?

Each constant is varied by itself. For each value: how far the inertia ends above the
best that any of them found (mean over the sets of the mean over the seeds, and the set
with the largest mean, in units of 1e-4), and the iterations of a fit, those on moves
included. More iterations can always buy a lower inertia: the constants are a balance.

The standard error of a mean is about 2 in these units with eight seeds, and most of it
is the same for all values, since they share their seeds.
"""

import statistics
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType
from typing import NamedTuple
from unittest import mock

import numpy as np
from _common import Report, load_data, make_parser, select
from _pictures import BLACK, BLUE, draw_rows, numbers, plain_log
from bench_default import china, scaled
from sklearn.datasets import load_breast_cancer, load_digits, load_iris

from sk_softkmeans import AnnealedRBFKMeans, _annealed, _annealing, _relocation

SETS = {
    "digits, 10": (lambda: load_digits().data, 10),
    "digits, 30": (lambda: load_digits().data, 30),
    "digits, 64": (lambda: load_digits().data, 64),
    "s4, 15": (lambda: load_data("s4"), 15),
    "iris, 10": (lambda: load_iris().data, 10),
    "breast_cancer, 10": (lambda: scaled(load_breast_cancer), 10),
    "china.jpg, 32": (china, 32),
    "uniform, 50": (lambda: np.random.default_rng(0).random((4000, 2)), 50),
}
# The module and the constant, or the parameter, with the values to try beside its own.
CONSTANTS = {
    (None, "cooling_rate"): (0.5, 0.6, 0.8),
    (None, "max_iter_per_temperature"): (2, 4),
    (None, "temperature_max"): ("critical",),
    (_annealed, "_AUTO"): (0.1, 0.4),
    (_annealing, "_TRIAL"): (2, 4),
    (_annealing, "_HARD_ENTROPY"): (0.005, 0.05),
    (_annealing, "_APART"): (0.03, 0.3),
    (_relocation, "_PROMISE"): (1.0, 2.0, 4.0),
    (_relocation, "_LESS"): (0.8, 1.0),
    (_relocation, "_BATCH"): (0.1, 0.5),
    (_relocation, "_FAILURES"): (1, 2, 4),
    (_relocation, "_AXIS_PASSES"): (1, 3),
    (_relocation, "_MEANS_PASSES"): (1, 3),
    (_relocation, "_MARGIN"): (1e-8, 1e-3),
}


class Case(NamedTuple):
    """A value of a constant of a module, or of a parameter."""

    module: ModuleType | None
    name: str
    value: object

    def __str__(self):
        return f"{self.name} = {self.value}"


def own_value(module, name):
    """Return the value that a constant or parameter has."""
    if module is None:
        return AnnealedRBFKMeans().get_params()[name]
    return getattr(module, name)


def fit_all(module, name, value, seeds):
    """Return {set: list of (inertia, iterations)} with another value."""
    results = {}
    for data, (load, n_clusters) in SETS.items():
        X, results[data] = load(), []
        if X is None:
            del results[data]
            continue
        for seed in range(seeds):
            model = AnnealedRBFKMeans(n_clusters, random_state=seed)
            if module is None:
                model.set_params(**{name: value}).fit(X)
            else:
                with mock.patch.object(module, name, value):
                    model.fit(X)
            n_iter = model.n_iter_ + model.path_.n_trial_iter.sum()
            results[data].append((model.inertia_, n_iter))
    return results


HEADER = ["constant", "value", "mean excess", "largest", "of set", "iterations"]


def draw(figure, axes, rows):
    """Draw the excess and the iterations by constant and value; those in use filled."""
    constants = [row["constant"] for row in rows]
    labels = [f"{row['constant']} = {row['value']}" for row in rows]
    labels = [text.replace(" (own)", "") for text in labels]
    own = np.array(["(own)" in row["value"] for row in rows])
    y = np.arange(len(rows))
    columns = {
        "mean excess": "inertia above the best, 1e-4\n(mean, and largest of a set)",
        "iterations": "iterations",
    }
    for ax, (column, text) in zip(axes, columns.items(), strict=True):
        draw_rows(ax, labels, constants)
        values = numbers(rows, column)
        style = {"marker": "o", "ls": "none", "color": BLUE, "markersize": 5}
        ax.plot(values[own], y[own], label="value in use", **style)
        style["markerfacecolor"] = "white"
        ax.plot(values[~own], y[~own], label="another value", **style)
        ax.set_xlabel(text)
    style = {"color": BLACK, "marker": "|", "ls": "none", "markersize": 7}
    axes[0].plot(numbers(rows, "largest"), y, label="largest of a set", **style)
    for ax in axes:
        plain_log(ax)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=3)


def main():
    """Vary and print."""
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    args = parser.parse_args()
    report = Report(parser, args, range(args.seeds))
    cases = [Case(None, "relocate", True), Case(None, "relocate", False)]
    for (module, name), others in CONSTANTS.items():
        values = {own_value(module, name), *others}
        cases += [Case(module, name, value) for value in sorted(values, key=str)]
    cases = select(cases, parser, args)
    with ProcessPoolExecutor() as executor:
        # Modules cannot be sent to a process, but their names can.
        futures = [
            executor.submit(_named, module and module.__name__, name, value, args.seeds)
            for module, name, value in cases
        ]
        results = [future.result() for future in futures]
    best = {
        data: min(inertia for result in results for inertia, _ in result[data])
        for data in results[0]
    }
    table = []
    for (module, name, value), result in zip(cases, results, strict=True):
        excess = {
            data: 1e4 * (statistics.fmean(J for J, _ in runs) / best[data] - 1)
            for data, runs in result.items()
        }
        worst = max(excess, key=excess.get)
        n_iter = statistics.fmean(n for runs in result.values() for _, n in runs)
        own = " (own)" if value == own_value(module, name) else ""
        mean = statistics.fmean(excess.values())
        table.append(
            [name, f"{value}{own}", f"{mean:.1f}", f"{excess[worst]:.1f}", worst]
            + [f"{n_iter:.0f}"]
        )
    rows = report.table(HEADER, table)
    size = (7, 1.2 + 0.19 * len(rows))
    report.picture(
        draw, rows, size=size, shape=(1, 2), width_ratios=(3, 2), sharey=True
    )
    report.finish()


def _named(module, name, value, seeds):
    modules = {m.__name__: m for m in (_annealed, _annealing, _relocation)}
    return fit_all(modules.get(module), name, value, seeds)


if __name__ == "__main__":
    main()
