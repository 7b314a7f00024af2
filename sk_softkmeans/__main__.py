"""The command `softkmeans`: clusters of a file, or a comparison on digits without one.

``python -m sk_softkmeans`` is the same.
"""

import os
import sys
import warnings
from contextlib import ExitStack, contextmanager
from time import perf_counter

import joblib
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_softkmeans._base import BaseSoftKMeans
from sk_softkmeans._comparison import compare
from sk_softkmeans._formats import default_names
from sk_softkmeans._mistakes import CommandError
from sk_softkmeans._options import ESTIMATORS, TRUST, fit_parser, predict_parser
from sk_softkmeans._outputs import whole_file, write_memberships
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
    real = [os.path.realpath(path) for path in paths if path]
    if len(set(real)) < len(real):
        twice = next(path for path in real if real.count(path) > 1)
        raise CommandError(f"{twice} is given twice as a file to read or write")


def check_csv(path):
    """Raise if the suffix of the memberships promises another format."""
    if path and not path.lower().endswith(".csv"):
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


def fit(model, table):
    """Fit a pipeline, and return the seconds that it took."""
    start = perf_counter()
    with mistakes():
        model.fit(table.X)
    return perf_counter() - start


def cluster(argv):
    """Cluster a file."""
    args = fit_parser().parse_args(argv)
    model = make_model(args)
    check_distinct(args.data, args.output, args.save, args.plot)
    check_csv(args.output)
    form = picture_format(args.plot) if args.plot else None
    with ExitStack() as stack:
        bar = stack.enter_context(make_bar(args.quiet))
        # Before the work, which would be lost where they cannot be written.
        output, saved, picture = (
            stack.enter_context(whole_file(path, mode)) if path else None
            for path, mode in ((args.output, "w"), (args.save, "wb"), (args.plot, "wb"))
        )
        table = read_table(args.data, args.columns, bar.open)
        if len(table.X) < args.n_clusters:
            raise CommandError(
                f"{args.data} has {len(table.X)} rows, fewer than the "
                f"{args.n_clusters} clusters of --n-clusters"
            )
        with bar.fitting(model[-1]):
            seconds = fit(model, table)
        labels, certainties = write_memberships(model, table.X, output, bar.batches)
        if saved:
            joblib.dump(model, saved)
        if picture:
            draw(picture, form, model, table.X, labels, certainties)
    if not args.quiet:
        clusters = zip(
            cluster_lines(model, labels, certainties),
            apart_lines(model, table.X, table.names),
            strict=True,
        )
        show(table_line(args.data, table), "")
        show(*map("  ".join, clusters), "")
        show(*model_lines(model, table.X, seconds))


def load_model(path):
    """Return the fitted estimator of a file."""
    try:
        model = joblib.load(path)
    except OSError:
        raise
    except Exception as error:
        raise CommandError(f"{path} cannot be loaded as a model ({error!r})") from error
    if isinstance(model, BaseSoftKMeans):
        model = make_pipeline(model)
    kind = model[-1] if isinstance(model, Pipeline) else model
    if not (isinstance(kind, BaseSoftKMeans) and hasattr(model, "n_features_in_")):
        raise CommandError(f"{path} does not hold a fitted soft k-means")
    return model


def predict(argv):
    """Apply a model to a file."""
    args = predict_parser().parse_args(argv)
    check_distinct(args.model, args.data, args.output)
    check_csv(args.output)
    if not args.quiet:
        print(f"softkmeans: {TRUST}", file=sys.stderr)
    model = load_model(args.model)
    with ExitStack() as stack:
        bar = stack.enter_context(make_bar(args.quiet or not args.output))
        output = sys.stdout
        if args.output:
            output = stack.enter_context(whole_file(args.output, "w"))
        names = list(getattr(model, "feature_names_in_", ()))
        names = names or default_names(model.n_features_in_)
        table = read_table(args.data, names, bar.open)
        with mistakes():
            labels, certainties = write_memberships(model, table.X, output, bar.batches)
    if args.output and not args.quiet:
        show(table_line(args.data, table), "")
        show(*cluster_lines(model, labels, certainties))


def show(*lines):
    """Print lines, with escapes for letters that the terminal does not know."""
    encoding = sys.stdout.encoding or "utf-8"
    text = "\n".join(line.rstrip() for line in lines)
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def tell(kind, message):
    """Print one line on standard error."""
    print(f"softkmeans: {kind}: {' '.join(str(message).split())}", file=sys.stderr)


def main(argv=None):
    """Run the command, and return its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: tell("warning", message)
        try:
            if argv[:1] == ["predict"]:
                predict(argv[1:])
            elif argv:
                cluster(argv)
            else:
                compare()
            sys.stdout.flush()
        except BrokenPipeError:
            # Who reads has enough. What is left must not be flushed at the exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except CommandError as error:
            tell("error", error)
            return 2
        except OSError as error:
            # What fails while it writes to an open file knows of no name.
            where = f"{error.filename}: " if error.filename else ""
            tell("error", f"{where}{error.strerror or error}")
            return 2
        except KeyboardInterrupt:
            tell("error", "interrupted")
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
