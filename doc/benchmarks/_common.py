"""What all benchmarks share: data, timing, tables, versions."""

import argparse
import csv
import os
import platform
import statistics
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter

import numpy as np

# Beside the repository.
_DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
DATA = Path(os.environ.get("SK_SOFTKMEANS_DATA", _DEFAULT_DATA))
# The iterations of two fits whose difference tells the time of one.
FEW, MANY = 3, 13


def make_parser(docstring):
    """Return a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", metavar="CSV", help="also write the table there")
    return parser


def select(rows, parser, args):
    """Return the rows whose text contains one of those of --only; all without it."""
    wanted = [text.lower() for text in args.only or [""]]
    chosen = [row for row in rows if any(text in str(row).lower() for text in wanted)]
    if not chosen:
        parser.error("--only leaves no row")
    return chosen


def load_data(name):
    """Return X of a data set in the folder, or None where the file is missing."""
    path = DATA / ("usps.npz" if name == "usps" else f"{name}.data.gz")
    if not path.exists():
        return None
    return np.load(path)["X"] if name == "usps" else np.loadtxt(path)


def timed(model, X):
    """Fit and return the seconds and the model."""
    start = perf_counter()
    model.fit(X)
    return perf_counter() - start, model


def per_iteration(make, X):
    """Return the seconds of an iteration, by two fits."""
    short, few = timed(make(FEW), X)
    long, many = timed(make(MANY), X)
    if many.n_iter_ == few.n_iter_:
        return float("nan")
    return (long - short) / (many.n_iter_ - few.n_iter_)


def interleave(measures, repeats):
    """Return {name: list of results}, calling all `measures` in turn, `repeats` times.

    What slows the machine for a while then slows all of them. One more round, the
    first, is not counted.
    """
    results = {name: [] for name in measures}
    for repeat in range(repeats + 1):
        for name, measure in measures.items():
            result = measure()
            if repeat:
                results[name].append(result)
    return results


def median_ratio(numerators, denominators):
    """Return the median of the ratios within each repeat."""
    pairs = zip(numerators, denominators, strict=True)
    return statistics.median(a / b for a, b in pairs)


def print_table(header, rows):
    """Print rows of text, the first column to the left and the others to the right."""
    lines = [header, *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        first, *others = (
            cell.rjust(width) for cell, width in zip(line, widths, strict=True)
        )
        print("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())


def write_csv(path, header, rows):
    """Write the table, if there is a path to write it to."""
    if path:
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([header, *rows])


def installed(package):
    """Return the version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def print_versions(*packages):
    """Print the machine and the versions of the packages, those of all runs first."""
    names = ("numpy", "scipy", "scikit-learn", "sk-softkmeans", *packages)
    found = [f"{name} {installed(name)}" for name in names if installed(name)]
    machine = f"{platform.machine()} with {os.cpu_count()} CPUs"
    print(f"\n{machine}, Python {platform.python_version()}, {', '.join(found)}")
