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
from unittest import mock

import numpy as np
from _common import load_data, make_parser, print_table, print_versions, write_csv
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


def own_value(module, name):
    """Return the value that a constant or parameter has."""
    if module is None:
        return AnnealedRBFKMeans().get_params()[name]
    return getattr(module, name)


def fit_all(module, name, value, seeds):
    """Return {set: list of (inertia, iterations)} with another value."""
    results = {}
    for label, (load, n_clusters) in SETS.items():
        X, results[label] = load(), []
        if X is None:
            del results[label]
            continue
        for seed in range(seeds):
            model = AnnealedRBFKMeans(n_clusters, random_state=seed)
            if module is None:
                model.set_params(**{name: value}).fit(X)
            else:
                with mock.patch.object(module, name, value):
                    model.fit(X)
            n_iter = model.n_iter_ + model.path_.n_trial_iter.sum()
            results[label].append((model.inertia_, n_iter))
    return results


HEADER = ["constant", "value", "mean excess", "largest", "of set", "iterations"]


def main():
    """Vary and print."""
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    args = parser.parse_args()
    cases = [(None, "relocate", True), (None, "relocate", False)]
    for (module, name), others in CONSTANTS.items():
        values = {own_value(module, name), *others}
        cases += [(module, name, value) for value in sorted(values, key=str)]
    with ProcessPoolExecutor() as executor:
        # Modules cannot be sent to a process, but their names can.
        futures = [
            executor.submit(_named, module and module.__name__, name, value, args.seeds)
            for module, name, value in cases
        ]
        results = [future.result() for future in futures]
    best = {
        label: min(inertia for result in results for inertia, _ in result[label])
        for label in results[0]
    }
    table = []
    for (module, name, value), result in zip(cases, results, strict=True):
        excess = {
            label: 1e4 * (statistics.fmean(J for J, _ in runs) / best[label] - 1)
            for label, runs in result.items()
        }
        worst = max(excess, key=excess.get)
        n_iter = statistics.fmean(n for runs in result.values() for _, n in runs)
        own = " (own)" if value == own_value(module, name) else ""
        mean = statistics.fmean(excess.values())
        table.append(
            [name, f"{value}{own}", f"{mean:.1f}", f"{excess[worst]:.1f}", worst]
            + [f"{n_iter:.0f}"]
        )
    print_table(HEADER, table)
    print_versions()
    write_csv(args.output, HEADER, table)


def _named(module, name, value, seeds):
    modules = {m.__name__: m for m in (_annealed, _annealing, _relocation)}
    return fit_all(modules.get(module), name, value, seeds)


if __name__ == "__main__":
    main()
