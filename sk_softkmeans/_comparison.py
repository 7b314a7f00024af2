"""What the command prints without a file: estimators compared on handwritten digits.

The 1797 digits that scikit-learn ships, 70 % to fit and 30 % to test, in 10 clusters.
"""

import textwrap
from time import perf_counter
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import normalized_mutual_info_score, pairwise_distances_argmin_min
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from sk_softkmeans import AnnealedRBFKMeans, EntmaxKMeans, SoftKMeans
from sk_softkmeans._progress import make_bar

# A sample is in doubt when its largest membership is below this.
SURE = 0.9
# Shares that differ by less are called equal: they may be printed as the same.
CLEAR = 0.0005
# Of so many equal fits the faster one counts: the first one loads libraries.
FITS = 2


def estimators():
    """Return the estimators of the table by name; the first is the reference."""
    return {
        "KMeans (n_init=1)": KMeans(10, n_init=1, random_state=0),
        "KMeans (n_init=10)": KMeans(10, n_init=10, random_state=0),
        "GaussianMixture (spherical)": GaussianMixture(
            10, covariance_type="spherical", random_state=0
        ),
        "SoftKMeans": SoftKMeans(10, random_state=0),
        "EntmaxKMeans": EntmaxKMeans(10, random_state=0),
        "AnnealedRBFKMeans": AnnealedRBFKMeans(10, random_state=0),
    }


class Row(NamedTuple):
    """A line of the table; None where an estimator has no such number."""

    name: str
    train_inertia: float
    test_inertia: float
    log_density: float | None
    nmi: float
    in_doubt: float | None
    seconds: float


class Doubt(NamedTuple):
    """Numbers of samples: in doubt or not, and how many of each are errors.

    An error is a sample whose digit is not the commonest one of its cluster.
    """

    doubtful: int
    doubtful_errors: int
    others: int
    other_errors: int


HEADER = (
    ("", "train", "test", "test log-", "test", "largest mem-", "seconds"),
    ("", "inertia", "inertia", "density", "NMI", f"bership < {SURE:g}", "of the fit"),
)
FORMATS = ("{}", "{:.0f}", "{:.0f}", "{:.2f}", "{:.3f}", "{:.1%}", "{:.3f}")


def load_split():
    """Return X_train, X_test, y_train and y_test of the digits."""
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)


def centers_of(model):
    """Return the centers of a fitted estimator, whatever it calls them."""
    return model.means_ if hasattr(model, "means_") else model.cluster_centers_


def hard_inertia(model, X):
    """Return the sum of squared distances to the nearest centers."""
    return (pairwise_distances_argmin_min(X, centers_of(model))[1] ** 2).sum()


def doubtful(model, X):
    """Return which samples have no membership that is nearly 1."""
    return model.predict_proba(X).max(axis=1) < SURE


def seconds_of_fit(model, X):
    """Fit, and return the seconds that it took."""
    start = perf_counter()
    model.fit(X)
    return perf_counter() - start


def make_row(name, model, X_train, X_test, y_test):
    """Fit an estimator and return its line of the table."""
    seconds = min(seconds_of_fit(model, X_train) for _ in range(FITS))
    density = hasattr(model, "score_samples")
    soft = hasattr(model, "predict_proba")
    return Row(
        name=name,
        train_inertia=hard_inertia(model, X_train),
        test_inertia=hard_inertia(model, X_test),
        log_density=model.score(X_test) if density else None,
        nmi=normalized_mutual_info_score(y_test, model.predict(X_test)),
        in_doubt=doubtful(model, X_test).mean() if soft else None,
        seconds=seconds,
    )


def make_doubt(model, X_train, X_test, y_train, y_test):
    """Return how many errors a fitted estimator makes where it is in doubt or not."""
    counts = np.zeros((len(centers_of(model)), y_train.max() + 1))
    np.add.at(counts, (model.predict(X_train), y_train), 1)
    wrong = counts.argmax(axis=1)[model.predict(X_test)] != y_test
    doubt = doubtful(model, X_test)
    parts = wrong[doubt], wrong[~doubt]
    return Doubt(*(int(n) for part in parts for n in (len(part), part.sum())))


def format_table(rows):
    """Return the lines of the table, numbers aligned to the right."""
    cells = list(HEADER)
    for row in rows:
        pairs = zip(FORMATS, row, strict=True)
        cells.append(["" if v is None else form.format(v) for form, v in pairs])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            [line[0].ljust(widths[0])]
            + [c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)]
        ).rstrip()
        for line in cells
    ]


def compare_inertia(rows):
    """Say which estimator has the lowest test inertia, against that of the first."""
    best = min(rows, key=lambda row: row.test_inertia)
    gain = 1 - best.test_inertia / rows[0].test_inertia
    if gain < CLEAR:
        return f"no estimator has a clearly lower test inertia than {rows[0].name}"
    return f"{best.name} has the lowest test inertia, {gain:.1%} below {rows[0].name}"


def compare_doubt(doubt):
    """Say how many digits are in doubt, and whether the errors are among them."""
    total = doubt.doubtful + doubt.others
    if not doubt.doubtful:
        return f"SoftKMeans is in doubt about none of the {total} test digits"
    if not doubt.others:
        return f"SoftKMeans is in doubt about all of the {total} test digits"
    share = doubt.doubtful_errors / doubt.doubtful
    elsewhere = doubt.other_errors / doubt.others
    if abs(share - elsewhere) < CLEAR:
        often = f"as often as elsewhere ({share:.1%})"
    else:
        more = "more" if share > elsewhere else "less"
        often = f"{more} often than elsewhere ({share:.1%} against {elsewhere:.1%})"
    return (
        f"SoftKMeans is in doubt about {doubt.doubtful} of the {total} test digits, "
        f"where it takes one digit for another {often}"
    )


def sentence(rows, doubt):
    """Return the one sentence that says what the table shows."""
    text = f"{compare_inertia(rows)}, and {compare_doubt(doubt)}."
    return text[0].upper() + text[1:]


def compare():
    """Print the table and the sentence."""
    X_train, X_test, y_train, y_test = load_split()
    models = estimators()
    names = list(models)
    with make_bar(quiet=False) as bar:
        rows = [
            make_row(name, models[name], X_train, X_test, y_test)
            for batch in bar.batches(len(names), 1, "Comparing estimators")
            for name in names[batch]
        ]
    doubt = make_doubt(models["SoftKMeans"], X_train, X_test, y_train, y_test)
    print(
        f"{len(X_train)} digits to fit, {len(X_test)} to test, 10 clusters", end="\n\n"
    )
    print(*format_table(rows), sep="\n", end="\n\n")
    print(textwrap.fill(sentence(rows, doubt), 88))
