"""The options of the command."""

import argparse
import csv

from sk_softkmeans._annealed import AnnealedRBFKMeans
from sk_softkmeans._entmax_kmeans import EntmaxKMeans
from sk_softkmeans._max_entropy import MaxEntropyKMeans
from sk_softkmeans._mistakes import CommandError
from sk_softkmeans._soft_kmeans import SoftKMeans
from sk_softkmeans._truncated import TruncatedKMeans

ESTIMATORS = {
    "soft": SoftKMeans,
    "entmax": EntmaxKMeans,
    "annealed": AnnealedRBFKMeans,
    "truncated": TruncatedKMeans,
    "maxent": MaxEntropyKMeans,
}
TRUST = "model files run code when they are loaded: load only those that you trust"


class Parser(argparse.ArgumentParser):
    """Says what is wrong with options as with files: in one line."""

    def error(self, message):
        """Raise what `main` prints."""
        raise CommandError(f"{message} (--help lists the options)")


def column_list(text):
    """Return the names between commas; quotes keep a comma in a name."""
    try:
        fields = next(csv.reader([text], skipinitialspace=True))
    except csv.Error as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    names = [name.strip() for name in fields]
    if not names:
        raise argparse.ArgumentTypeError("no column is named")
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text} names a column more than once")
    return names


def number_or_name(text):
    """Return a float if it is one, else a name, which the estimator knows or not."""
    try:
        return float(text)
    except ValueError:
        return text


def make_parser(usage, description):
    """Return a parser without options."""
    return Parser(
        prog="softkmeans",
        usage=usage,
        description=description,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=25),
        allow_abbrev=False,
    )


def add_output(parser):
    """Add the options that both commands have."""
    parser.add_argument("--output", metavar="FILE", help="write memberships as CSV")
    parser.add_argument(
        "--quiet", action="store_true", help="print warnings and errors only"
    )


def fit_parser():
    """Return the parser of the command that clusters a file."""
    parser = make_parser(
        """softkmeans DATA [options]
       softkmeans predict MODEL DATA [--output FILE] [--quiet]""",
        "Cluster the rows of DATA, a .csv, .tsv, .npy, .npz or .parquet file. Without "
        "any argument: compare estimators on handwritten digits.",
    )
    add = parser.add_argument
    add("data", metavar="DATA", help=argparse.SUPPRESS)
    add(
        "--estimator",
        metavar="NAME",
        choices=ESTIMATORS,
        default="soft",
        help=f"{', '.join(ESTIMATORS)} (default: soft)",
    )
    add(
        "--n-clusters",
        metavar="K",
        type=int,
        default=8,
        help="number of clusters (default: 8)",
    )
    add(
        "--temperature",
        metavar="T",
        type=number_or_name,
        help="0 is k-means, higher is softer (default: auto)",
    )
    add("--temperature-unit", metavar="UNIT", help="absolute (default) or critical")
    add("--scale", action="store_true", help="scale columns to unit variance")
    add(
        "--columns",
        metavar="A,B,...",
        type=column_list,
        help="use these columns only (default: all)",
    )
    add("--seed", metavar="N", type=int, default=0, help="random start (default: 0)")
    add("--save", metavar="FILE", help="write the model, for softkmeans predict")
    add(
        "--plot",
        metavar="FILE",
        help="draw principal components (.png, .pdf, .svg)",
    )
    add_output(parser)
    return parser


def predict_parser():
    """Return the parser of the command that applies a model to a file."""
    parser = make_parser(
        "softkmeans predict MODEL DATA [options]",
        "Give the rows of DATA memberships in the clusters of MODEL, a file that "
        f"--save wrote. Beware: {TRUST}. Without --output, print them.",
    )
    parser.add_argument("model", metavar="MODEL", help=argparse.SUPPRESS)
    parser.add_argument("data", metavar="DATA", help=argparse.SUPPRESS)
    add_output(parser)
    return parser
