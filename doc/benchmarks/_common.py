"""What all benchmarks share: data, timing, and a report of what was measured."""

import argparse
import csv
import os
import platform
import statistics
import subprocess
import tempfile
from contextlib import contextmanager
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from unittest import mock

import numpy as np
from threadpoolctl import threadpool_info

from sk_softkmeans import _acceleration

# Beside the repository.
_DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
DATA = Path(os.environ.get("SK_SOFTKMEANS_DATA", _DEFAULT_DATA))
# The iterations of two fits whose difference tells the time of one.
FEW, MANY = 3, 13


def make_parser(docstring, *, only=True, old_python=False):
    """Return a parser with the options that benchmarks have in common."""
    parser = argparse.ArgumentParser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--output", metavar="FOLDER", help="also write tables and a picture there")
    if only:
        add("--only", nargs="+", metavar="TEXT", help="rows whose name has a TEXT")
    if old_python:
        add(
            "--old-python",
            metavar="PYTHON",
            default=os.environ.get("OLD_PYTHON") or None,
            help="interpreter with NumPy 1 and what needs that; default: $OLD_PYTHON",
        )
    return parser


def label(row):
    """Return the name of a row, which is its values where it has no name."""
    return " ".join(map(str, row)) if type(row) is tuple else str(row)


def select(rows, parser, args):
    """Return the rows whose name contains one of those of --only; all without it."""
    wanted = [text.lower() for text in args.only or [""]]
    chosen = [row for row in rows if any(text in label(row).lower() for text in wanted)]
    if not chosen:
        parser.error("--only leaves no row")
    return chosen


def of_part(rows, part):
    """Return the rows of a part, which is their first value, without it."""
    return [rest for first, *rest in rows if first == part]


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


def plain_em():
    """Return a context whose fits are never accelerated: one E-step an iteration."""
    return mock.patch.object(_acceleration, "_SLOW", np.inf)


def per_iteration(make, X):
    """Return the seconds of an iteration of plain EM, by two fits."""
    with plain_em():
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


@contextmanager
def worker(python, script, X, n_clusters, n_threads):
    """Start a script beside this one in another Python, which lives until the end.

    Gives the versions it runs with, and what asks it with a number for a line of them.
    """
    libraries = ("OMP", "OPENBLAS", "MKL")
    limits = {f"{library}_NUM_THREADS": str(n_threads) for library in libraries}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "X.npy")
        np.save(path, X)
        with subprocess.Popen(
            [python, Path(__file__).with_name(script), path, str(n_clusters)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | limits,
        ) as process:

            def ask(number):
                print(number, file=process.stdin, flush=True)
                return tuple(map(float, process.stdout.readline().split()))

            versions = process.stdout.readline().strip()
            if not versions:
                raise RuntimeError(f"{python} cannot run {script}.")
            yield versions, ask


def print_table(header, rows):
    """Print rows of text, the first column to the left and the others to the right."""
    lines = [header, *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        first, *others = (
            cell.rjust(width) for cell, width in zip(line, widths, strict=True)
        )
        print("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())
    print()


def installed(package):
    """Return the version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def describe_machine():
    """Return the class of the machine, with what NumPy makes use of."""
    found, cpuinfo = [], Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    if "avx2" in flags:
        found.append("AVX2")
    if "avx512f" in flags:
        found.append("AVX-512")
    machine = f"{platform.machine()} with {os.cpu_count()} CPUs"
    return f"{machine} ({', '.join(found)})" if found else machine


def describe_seeds(seeds):
    """Return a range of seeds as text."""
    first, last = min(seeds), max(seeds)
    return f"seed {first}" if first == last else f"seeds {first} to {last}"


def describe_options(parser, args):
    """Return the options that change what is measured, as they were given."""
    said = ("output", "threads", "old_python")
    return " ".join(
        f"--{name.replace('_', '-')} "
        + (" ".join(value) if isinstance(value, list) else str(value))
        for name, value in vars(args).items()
        if name not in said and value != parser.get_default(name)
    )


class Report:
    """What was measured: printed, and with --output written to a folder.

    The files have the name of the script, without ``bench_``: its tables, a picture,
    and a line of reStructuredText on how they were made.
    """

    def __init__(self, parser, args, seeds, threads=None):
        self._name = Path(parser.prog).stem.removeprefix("bench_")
        self._folder = Path(args.output) if args.output else None
        self._seeds, self._peers = describe_seeds(seeds), []
        self._options = describe_options(parser, args)
        number = threads or max(lib["num_threads"] for lib in threadpool_info())
        # Text, where a number does not say it.
        plural = "" if number == 1 else "s"
        self._threads = threads if type(threads) is str else f"{number} thread{plural}"
        if self._folder:
            # Before anything is measured.
            if not installed("matplotlib"):
                parser.error("--output draws a picture, which needs matplotlib")
            self._folder.mkdir(parents=True, exist_ok=True)

    def ran(self, peer):
        """Note a package that was run, by its name, or with the version in the text."""
        text = peer if " " in peer else f"{peer} {installed(peer)}"
        if text not in self._peers:
            self._peers.append(text)

    def table(self, header, rows, name=None):
        """Print a table, write it, and return its rows as dictionaries of text."""
        if len(set(header)) < len(header):
            raise ValueError(f"A name of a column is not unique: {header}.")
        print_table(header, rows)
        if self._folder:
            file = f"{self._name}_{name}.csv" if name else f"{self._name}.csv"
            with open(self._folder / file, "w", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows([header, *rows])
        return [dict(zip(header, row, strict=True)) for row in rows]

    def picture(self, draw, *args, size, shape=(1, 1), **params):
        """Write what ``draw(figure, axes, *args)`` draws, with `params` of the axes."""
        if not self._folder:
            return
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        # On pages pictures are 7 inches wide, 100 pixels each.
        with plt.rc_context({"font.size": 9, "legend.frameon": False}):
            figure, axes = plt.subplots(
                *shape, figsize=size, layout="constrained", **params
            )
            draw(figure, axes, *args)
            figure.savefig(self._folder / f"{self._name}.png", dpi=200)
        plt.close(figure)

    def finish(self):
        """Print how it was measured, and write that."""
        names = ("numpy", "scipy", "scikit-learn", "sk-softkmeans")
        parts = [
            f"Measured on {date.today().isoformat()} on {describe_machine()}",
            self._threads,
            f"Python {platform.python_version()}",
            *(f"{name} {installed(name)}" for name in names),
            *self._peers,
            self._seeds,
        ]
        text = ", ".join(parts)
        text += f"; ``{self._options}``." if self._options else "."
        print(text)
        if self._folder:
            (self._folder / f"{self._name}.txt").write_text(f"{text}\n")
