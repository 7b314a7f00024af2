"""Does a fit take as long whatever the units of X are?

Whole fits of at most 30 iterations, from the first samples in a random order as
centers: pixels in [0, 1] (usps and the test set of MNIST, from the folder of data sets)
and words of texts weighted by TF-IDF (CSR: 4000 texts on 20 subjects, of 20,000 words
with Zipf's frequencies), as they are and times 255. Numbers below the smallest normal
one, as products of small memberships and small pixels can be, slow processors down many
times. All fits of one data set take turns, with the same number of threads, and a ratio
is the median over the turns. At last, with every other sample of a weight of 1e-300.
"""

import warnings
from statistics import median

import numpy as np
from _common import DATA, Report, interleave, make_parser, median_ratio, select, timed
from _pictures import draw_dots, numbers
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfTransformer

from sk_softkmeans import EntmaxKMeans, SoftKMeans, TruncatedKMeans

SCALE = 255
MODELS = {
    "SoftKMeans": SoftKMeans,
    "EntmaxKMeans(alpha=1.1)": lambda k, **params: EntmaxKMeans(k, alpha=1.1, **params),
    "TruncatedKMeans": TruncatedKMeans,
}


def pixels(name):
    """Return images in [0, 1], or None where the file is missing."""
    path = DATA / f"{name}.npz"
    if not path.exists():
        return None
    X = np.load(path)["X"].astype(np.float64)
    X = X.reshape(len(X), -1)
    return X / X.max()


def texts(n_texts=4000, n_words=20_000, n_subjects=20):
    """Return texts as TF-IDF, half of the words of each from those of its subject."""
    rng = np.random.default_rng(0)
    frequencies = 1 / np.arange(1, n_words + 1)
    frequencies /= frequencies.sum()
    orders = [rng.permutation(n_words) for _ in range(n_subjects)]
    counts = rng.poisson(80, n_texts)
    rows = np.repeat(np.arange(n_texts), counts)
    words = rng.choice(n_words, len(rows), p=frequencies)
    own = rng.random(len(rows)) < 0.5
    subjects = rng.integers(n_subjects, size=n_texts)[rows]
    words = np.where(own, np.array(orders)[subjects, words], words)
    # KMeans takes indices of 32 bits only.
    places = rows.astype(np.int32), words.astype(np.int32)
    X = csr_array((np.ones(len(rows)), places), shape=(n_texts, n_words))
    return csr_array(TfidfTransformer().fit_transform(X))


SETS = {
    "usps": (lambda: pixels("usps"), 100),
    "mnist_test": (lambda: pixels("mnist_test"), 100),
    "TF-IDF": (texts, 20),
}


def fits(X, n_clusters, make, **params):
    """Return what gives the seconds and iterations of a fit, by the factor of X."""
    chosen = np.random.default_rng(0).permutation(X.shape[0])[:n_clusters]

    def of(factor):
        scaled = X * X.dtype.type(factor)
        init = scaled[chosen]
        init = init if isinstance(init, np.ndarray) else init.toarray()
        model = make(n_clusters, init=init, max_iter=30, tol=1e-7, **params)

        def run():
            seconds, fitted = timed(model, scaled)
            return seconds, fitted.n_iter_

        return run

    return {factor: of(factor) for factor in (1, SCALE)}


class Weighted:
    """An estimator that is fitted with every other weight of 1e-300."""

    def __init__(self, model):
        self._model = model

    def fit(self, X):
        """Fit it."""
        weights = np.where(np.arange(X.shape[0]) % 2, 1.0, 1e-300)
        self.n_iter_ = self._model.fit(X, sample_weight=weights).n_iter_
        return self


def measure(name, dtype, repeats):
    """Return the rows of a data set, or none where it is missing."""
    load, n_clusters = SETS[name]
    X = load()
    if X is None:
        return []
    X = X.astype(dtype)
    hard = {"n_init": 1, "algorithm": "lloyd"}
    runs = {"KMeans": fits(X, n_clusters, KMeans, **hard)}
    for model, make in MODELS.items():
        runs[model] = fits(X, n_clusters, make)
    runs["SoftKMeans, weights of 1e-300"] = fits(
        X, n_clusters, lambda k, **params: Weighted(SoftKMeans(k, **params))
    )
    calls = {(m, f): call for m, by in runs.items() for f, call in by.items()}
    found = interleave(calls, repeats)
    times = {call: [seconds for seconds, _ in found[call]] for call in calls}
    rows = []
    for model in runs:
        once, scaled = times[model, 1], times[model, SCALE]
        ratio = median_ratio(once, scaled)
        over = median_ratio(once, times["KMeans", 1])
        size = f"{X.shape[0]} x {X.shape[1]}, {n_clusters}"
        seconds = (f"{median(values):.3f}" for values in (once, scaled))
        n_iter = str(found[model, 1][0][1])
        ratios = f"{ratio:.2f}", f"{over:.2f}"
        rows.append([name, size, dtype, model, n_iter, *seconds, *ratios])
    return rows


HEADER = [
    "data",
    "samples, clusters",
    "dtype",
    "estimator",
    "iterations",
    "seconds",
    f"seconds, X times {SCALE}",
    "ratio",
    "/ KMeans",
]


def draw(figure, ax, rows):
    """Draw both times of each fit."""
    labels = [f"{row['estimator']}, {row['data']}, {row['dtype']}" for row in rows]
    columns = {"as it is": "seconds", f"times {SCALE}": f"seconds, X times {SCALE}"}
    draw_dots(ax, labels, {name: numbers(rows, c) for name, c in columns.items()})
    ax.set_xlim(left=0)
    ax.xaxis.grid(color="0.85", linewidth=0.6)
    ax.set_xlabel("seconds of a fit of at most 30 iterations")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)


def main():
    """Measure and print."""
    parser = make_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="(5)")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    report = Report(parser, args, range(1))
    cases = [(name, dtype) for name in SETS for dtype in ("float32", "float64")]
    table = []
    for name, dtype in select(cases, parser, args):
        table += measure(name, dtype, args.repeats)
    rows = report.table(HEADER, table)
    worst = max(max(r, 1 / r) for r in numbers(rows, "ratio"))
    print(f"The largest difference is {100 * (worst - 1):.0f} %.")
    report.picture(draw, rows, size=(7, 1 + 0.25 * len(rows)))
    report.finish()


if __name__ == "__main__":
    main()
