"""The command `softkmeans`: clusters of a file, or a comparison on digits without one.

``python -m sk_softkmeans`` is the same.
"""

import os
import signal
import sys
import warnings
from contextlib import ExitStack, contextmanager
from itertools import combinations
from pathlib import Path
from time import perf_counter

import joblib
import numpy as np
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_softkmeans._base import BaseSoftKMeans
from sk_softkmeans._mistakes import CommandError, printable
from sk_softkmeans._options import ESTIMATORS, TRUST, fit_parser, predict_parser
from sk_softkmeans._outputs import in_place, whole_file, write_memberships
from sk_softkmeans._picture import draw, picture_format
from sk_softkmeans._progress import make_bar
from sk_softkmeans._summary import (
    apart_lines,
    cluster_lines,
    model_lines,
    table_line,
)
from sk_softkmeans._tables import read_table


def make_model(args):
    """Return the pipeline that the options ask for."""
    estimator = ESTIMATORS[args.estimator](args.n_clusters, random_state=args.seed)
    for name in ("temperature", "temperature_unit"):
        value = getattr(args, name)
        if value is None:
            continue
        if name not in estimator.get_params():
            option = name.replace("_", "-")
            raise CommandError(f"--{option} has no meaning for {args.estimator}")
        estimator.set_params(**{name: value})
    scaler = [StandardScaler()] if args.scale else []
    return make_pipeline(*scaler, estimator)


def check_distinct(*paths):
    """Raise if two of the files are one; None is no file."""
    given = [path for path in paths if path is not None]
    for one, other in combinations(given, 2):
        there = os.path.exists(one) and os.path.exists(other)
        if os.path.realpath(one) == os.path.realpath(other) or (
            there and os.path.samefile(one, other)
        ):
            raise CommandError(f"{one} is given twice as a file to read or write")


def check_csv(path):
    """Raise if the suffix of the memberships promises another format.

    Standard output has none, nor have pipes.
    """
    if path is None or (not Path(path).suffix and in_place(path) is not None):
        return
    if not path.lower().endswith(".csv"):
        raise CommandError(
            f"{path} must end in '.csv', in which memberships are written"
        )


@contextmanager
def mistakes():
    """Take what an estimator says of its parameters and of X for the user."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise CommandError(str(error)) from error


@contextmanager
def named(path):
    """Name the file that is written in an error of the system that names none."""
    try:
        yield
    except OSError as error:
        # Who reads a pipe may have enough.
        if path is None or error.filename or isinstance(error, BrokenPipeError):
            raise
        reason = error.strerror or error
        raise CommandError(f"{path} cannot be written: {reason}") from error


def cluster(argv):
    """Cluster a file."""
    args = fit_parser().parse_args(argv)
    model = make_model(args)
    check_distinct(args.data, args.output, args.save, args.plot)
    check_csv(args.output)
    form = None if args.plot is None else picture_format(args.plot)
    with ExitStack() as stack:
        bar = stack.enter_context(make_bar(args.quiet))
        # Before the work, which would be lost where they cannot be written.
        output, saved, picture = (
            None if path is None else stack.enter_context(whole_file(path, mode))
            for path, mode in ((args.output, "w"), (args.save, "wb"), (args.plot, "wb"))
        )
        table = read_table(args.data, args.columns, bar.open)
        if len(table.X) < args.n_clusters:
            raise CommandError(
                f"{args.data} has {len(table.X)} rows, fewer than the "
                f"{args.n_clusters} clusters of --n-clusters"
            )
        start = perf_counter()
        with bar.fitting(model[-1]), mistakes():
            model.fit(table.X)
        seconds = perf_counter() - start
        with named(args.output):
            labels, certainties = write_memberships(model, table.X, output, bar.batches)
        if saved:
            with named(args.save):
                joblib.dump(model, saved)
        if picture:
            with named(args.plot), mistakes():
                draw(picture, form, model, table.X, labels, certainties)
        summary = []
        if not args.quiet:
            # It reads all samples again, which the bar should outlast.
            clusters = zip(
                cluster_lines(model, labels, certainties),
                apart_lines(model, table.X, table.names),
                strict=True,
            )
            summary = [table_line(args.data, table), "", *map("  ".join, clusters), ""]
            summary += model_lines(model, table.X, seconds)
    if summary:
        show(*summary)


def load_model(path):
    """Return the fitted estimator of a file."""
    try:
        model = joblib.load(path)
    except OSError:
        raise
    except MemoryError as error:
        raise CommandError(f"{path} does not fit in memory") from error
    except Exception as error:
        # The bytes of a file that is no pickle can mean anything.
        raise CommandError(f"{path} cannot be loaded as a model ({error!r})") from error
    if isinstance(model, BaseSoftKMeans):
        model = make_pipeline(model)
    last = model[-1] if isinstance(model, Pipeline) and model.steps else None
    if not (isinstance(last, BaseSoftKMeans) and hasattr(last, "cluster_centers_")):
        raise CommandError(f"{path} does not hold a fitted soft k-means")
    return model


def read_for(model, path, opened):
    """Return the columns of a file that a model was fitted to.

    They are those of the same names, or all if the model knows no names.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return read_table(path, names.tolist(), opened)
    table = read_table(path, None, opened)
    n_columns = len(table.names)
    if n_columns != model.n_features_in_:
        raise CommandError(
            f"{path} has {n_columns} columns, and the model is for "
            f"{model.n_features_in_}"
        )
    return table._replace(X=np.asarray(table.X))


def predict(argv):
    """Apply a model to a file."""
    args = predict_parser().parse_args(argv)
    check_distinct(args.model, args.data, args.output)
    check_csv(args.output)
    for path in (args.model, args.data):
        os.stat(path)
    if not args.quiet:
        print(f"softkmeans: {TRUST}", file=sys.stderr)
    model = load_model(args.model)
    printed = args.output is None
    with ExitStack() as stack:
        # On a terminal they would be written over each other.
        hidden = args.quiet or (printed and sys.stdout.isatty())
        bar = stack.enter_context(make_bar(hidden))
        output = sys.stdout
        if not printed:
            output = stack.enter_context(whole_file(args.output, "w"))
        table = read_for(model, args.data, bar.open)
        with named(args.output), mistakes():
            labels, certainties = write_memberships(model, table.X, output, bar.batches)
    if not (printed or args.quiet):
        show(table_line(args.data, table), "")
        show(*cluster_lines(model, labels, certainties))


def show(*lines):
    """Print lines, with escapes for letters that the terminal does not know."""
    encoding = sys.stdout.encoding or "utf-8"
    text = "\n".join(printable(line).rstrip() for line in lines)
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def empty_output():
    """Leave nothing to be flushed at the exit, which would fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(kind, message):
    """Print one line on standard error."""
    line = printable(" ".join(str(message).split()))
    print(f"softkmeans: {kind}: {line}", file=sys.stderr)


@contextmanager
def terminable():
    """Leave like after an error when the system or the terminal ends the command.

    What the caller ignores, as nohup does, stays ignored.
    """
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names]
    numbers = [n for n in numbers if signal.getsignal(n) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def main(argv=None):
    """Run the command, and return its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by who called.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    with warnings.catch_warnings(), terminable():
        warnings.showwarning = lambda message, *_: tell("warning", message)
        try:
            if argv[:1] == ["predict"]:
                predict(argv[1:])
            elif argv:
                cluster(argv)
            else:
                # It imports much that files do not need.
                from sk_softkmeans._comparison import compare

                compare()
            sys.stdout.flush()
        except CommandError as error:
            tell("error", error)
            return 2
        except BrokenPipeError:
            # Who reads has enough.
            empty_output()
            return 1
        except OSError as error:
            empty_output()
            # Standard output has no name.
            where = f"{error.filename}: " if error.filename else ""
            tell("error", f"{where}{error.strerror or error}")
            return 2
        except MemoryError:
            tell("error", "there is not enough memory")
            return 2
        except KeyboardInterrupt:
            tell("error", "interrupted")
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
