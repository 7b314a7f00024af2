"""Is the default, temperature="auto", a safe replacement of KMeans on any data?

KMeans(n_init=1), SoftKMeans(temperature="auto"), SoftKMeans(temperature="ml") and
EntmaxKMeans(), whose default is "auto" with alpha=1.5, from the same initial centers,
five times (k-means++ with random_state 0 to 4). The inertia is the hard one in all
four. Ratios, iterations and shares of samples whose largest membership is below 0.9 are
means over the five, clusters in use and distinct centers the fewest of them, warnings
of no convergence their number.

Raw are the photograph, the digits and all data whose features have one unit (iris, the
data sets in the plane, random numbers, diabetes as it comes); wine and breast_cancer
are standardised. a3, s4, unbalance and usps are read from the data folder and left out
where it is missing. The photograph is 20,000 of its pixels.
"""

import statistics
import warnings
from typing import NamedTuple

import numpy as np
from _common import Report, load_data, make_parser, select
from _pictures import BLACK, draw_dots, numbers, plain_log
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_sample_image,
    load_wine,
    make_blobs,
    make_moons,
)
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from sk_softkmeans import EntmaxKMeans, SoftKMeans

SEEDS = range(5)
SURE = 0.9
# Centers this close are one, in standard deviations of the samples about their mean.
MERGED = 0.002

# From the number of clusters and the initial centers.
MODELS = {
    "KMeans": lambda k, init: KMeans(k, init=init, n_init=1),
    "auto": lambda k, init: SoftKMeans(k, temperature="auto", init=init),
    "ml": lambda k, init: SoftKMeans(k, temperature="ml", init=init),
    "entmax": lambda k, init: EntmaxKMeans(k, temperature="auto", init=init),
}
SOFT = [name for name in MODELS if name != "KMeans"]
# Those that must keep the bounds of the mean ratio over the seeds, for every set, and
# of its mean over the sets, with all clusters in use.
BOUNDED = ("auto", "entmax")
SET_BOUND, MEAN_BOUND = 1.01, 1.000


def china():
    """Return colours of a photograph."""
    pixels = load_sample_image("china.jpg").reshape(-1, 3) / 255
    return np.random.default_rng(0).choice(pixels, 20_000, replace=False)


def stretched():
    """Return blobs that are far from round."""
    X, _ = make_blobs(1000, 2, centers=3, random_state=170)
    return X @ [[0.6, -0.6], [-0.4, 0.8]]


def scaled(load):
    """Return a data set with standardised features."""
    return StandardScaler().fit_transform(load().data)


def random_numbers(kind, n_features):
    """Return 2000 samples of independent random numbers."""
    return getattr(np.random.default_rng(0), kind)(size=(2000, n_features))


SETS = {
    "iris": (lambda: load_iris().data, (3, 8)),
    "wine": (lambda: scaled(load_wine), (3, 8)),
    "breast_cancer": (lambda: scaled(load_breast_cancer), (2, 10)),
    "diabetes": (lambda: load_diabetes().data, (8,)),
    "digits": (lambda: load_digits().data, (10, 30)),
    "digits, 2 components": (
        lambda: PCA(2, random_state=0).fit_transform(load_digits().data),
        (10,),
    ),
    "china.jpg": (china, (8, 32)),
    "usps": (lambda: load_data("usps"), (10, 50)),
    "a3": (lambda: load_data("a3"), (50,)),
    "s4": (lambda: load_data("s4"), (15,)),
    "unbalance": (lambda: load_data("unbalance"), (8,)),
    "moons": (lambda: make_moons(1000, noise=0.1, random_state=0)[0], (2, 8)),
    "blobs": (lambda: make_blobs(1000, centers=5, random_state=0)[0], (5,)),
    "blobs, 10 features": (
        lambda: make_blobs(2000, 10, centers=10, cluster_std=3.0, random_state=0)[0],
        (10,),
    ),
    "stretched blobs": (stretched, (3, 8)),
} | {
    f"{kind}, {n_features} features": (
        lambda kind=kind, n_features=n_features: random_numbers(kind, n_features),
        (10,),
    )
    for kind in ("uniform", "standard_normal", "lognormal")
    for n_features in (2, 5, 10)
}


class Fit(NamedTuple):
    """What is kept of one fit; `unsure` is a share of the samples.

    Clusters are `used` if they have samples. Where centers have merged, rounding errors
    still share out labels among them: centers that `distinct` counts lie apart.
    """

    inertia: float
    n_iter: int
    unsure: float
    used: int
    distinct: int
    warned: bool


def count_distinct(centers, X):
    """Return how many centers lie apart."""
    limit = MERGED * np.sqrt(X.var(axis=0).sum())
    kept = []
    for center in centers:
        if all(np.linalg.norm(center - other) > limit for other in kept):
            kept.append(center)
    return len(kept)


def fit(model, X):
    """Fit, counting a ConvergenceWarning instead of showing it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X)
    warned = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    used = len(np.unique(model.labels_))
    distinct = count_distinct(model.cluster_centers_, X)
    unsure = 0.0
    if hasattr(model, "predict_proba"):
        unsure = (model.predict_proba(X).max(axis=1) < SURE).mean()
    return Fit(model.inertia_, model.n_iter_, unsure, used, distinct, warned)


def fit_all(X, n_clusters):
    """Return the fits by name of the model, a list of one per seed for each."""
    fits = {name: [] for name in MODELS}
    for seed in SEEDS:
        init, _ = kmeans_plusplus(X, n_clusters, random_state=seed)
        for name, make in MODELS.items():
            fits[name].append(fit(make(n_clusters, init), X))
    return fits


def mean_ratio(fits, reference):
    """Return the mean ratio of the inertias."""
    pairs = zip(fits, reference, strict=True)
    return statistics.fmean(a.inertia / b.inertia for a, b in pairs)


def mean(fits, name):
    """Return the mean of an entry of the fits."""
    return statistics.fmean(getattr(f, name) for f in fits)


HEADER = ["data set", "samples", "features", "k"]
HEADER += [f"{name}/KMeans" for name in SOFT]
HEADER += [f"iter {name}" for name in MODELS]
for column in ("<0.9", "used", "distinct", "warned"):
    HEADER += [f"{column} {name}" for name in SOFT]


def cells(name, X, n_clusters, fits):
    """Return a line of the table as text."""
    sizes = (str(n) for n in (*X.shape, n_clusters))
    soft = [fits[name] for name in SOFT]
    ratios = (f"{mean_ratio(own, fits['KMeans']):.4f}" for own in soft)
    iterations = (f"{mean(own, 'n_iter'):.0f}" for own in fits.values())
    unsure = (f"{mean(own, 'unsure'):.3f}" for own in soft)
    used = (str(min(f.used for f in own)) for own in soft)
    distinct = (str(min(f.distinct for f in own)) for own in soft)
    warned = (str(sum(f.warned for f in own)) for own in soft)
    return [name, *sizes, *ratios, *iterations, *unsure, *used, *distinct, *warned]


def summarise(results):
    """Print the mean and the worst ratio, and whether they keep their bounds."""
    for name in SOFT:
        ratios = {
            key: mean_ratio(fits[name], fits["KMeans"]) for key, fits in results.items()
        }
        average, worst = statistics.fmean(ratios.values()), max(ratios, key=ratios.get)
        used = all(
            f.used == key[1] for key, fits in results.items() for f in fits[name]
        )
        print(
            f"{name:6}  mean ratio {average:.4f}, worst {ratios[worst]:.4f} "
            f"({worst[0]}, k = {worst[1]}), all in use: "
            f"{'yes' if used else 'no'}"
        )
        if name in BOUNDED:
            good = average <= MEAN_BOUND and ratios[worst] <= SET_BOUND and used
            print(
                f"        mean <= {MEAN_BOUND:.3f}, each row <= {SET_BOUND}, "
                f"all in use: {'holds' if good else 'does NOT hold'}"
            )


def draw(figure, axes, rows):
    """Draw inertia, unsure samples and iterations of each beside those of KMeans."""
    labels = [f"{row['data set']}, {row['k']}" for row in rows]
    columns = {
        "inertia above that\nof KMeans, %": {
            name: np.round(100 * (numbers(rows, f"{name}/KMeans") - 1), 6)
            for name in SOFT
        },
        "share of samples\nless sure than 0.9": {
            name: numbers(rows, f"<0.9 {name}") for name in SOFT
        },
        "iterations\n(bar: KMeans)": {
            name: numbers(rows, f"iter {name}") for name in SOFT
        },
    }
    for ax, (text, values) in zip(axes, columns.items(), strict=True):
        draw_dots(ax, labels, values, size=4)
        ax.set_xlabel(text)
        ax.xaxis.grid(color="0.85", linewidth=0.6)
    inertia, unsure, iterations = axes
    inertia.set_xscale("symlog", linthresh=0.1, linscale=0.5)
    ticks = [-10, -1, 0, 1, 10, 100]
    inertia.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    inertia.minorticks_off()
    inertia.axvline(0, color="0.4", linewidth=1)
    bound = 100 * (SET_BOUND - 1)
    style = {"color": "0.4", "linewidth": 1, "ls": "--"}
    inertia.axvline(bound, **style, label=f"{bound:g} %, the bound of auto and entmax")
    unsure.set_xlim(-0.04, 1.04)
    style = {"color": BLACK, "marker": "|", "ls": "none", "markersize": 8}
    iterations.plot(numbers(rows, "iter KMeans"), range(len(rows)), **style)
    plain_log(iterations)
    figure.legend(
        *inertia.get_legend_handles_labels(), loc="outside upper center", ncols=4
    )


def main():
    """Compare and print."""
    parser = make_parser(__doc__)
    args = parser.parse_args()
    report = Report(parser, args, SEEDS)
    chosen = [(name, k) for name, (_, clusters) in SETS.items() for k in clusters]
    results, table, missing = {}, [], []
    for name, n_clusters in select(chosen, parser, args):
        X = SETS[name][0]()
        if X is None:
            missing.append(name)
            continue
        fits = results[name, n_clusters] = fit_all(X, n_clusters)
        table.append(cells(name, X, n_clusters, fits))
    if not results:
        parser.error("no data set is left")
    rows = report.table(HEADER, table)
    print(f"{len({name for name, _ in results})} data sets, {len(results)} rows")
    if missing:
        print(f"Left out, not in the data folder: {', '.join(dict.fromkeys(missing))}")
    summarise(results)
    size = (7, 1.2 + 0.28 * len(rows))
    report.picture(
        draw, rows, size=size, shape=(1, 3), width_ratios=(4, 3, 3), sharey=True
    )
    report.finish()


if __name__ == "__main__":
    main()
