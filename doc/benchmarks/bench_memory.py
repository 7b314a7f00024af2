"""How much memory do fit, score and predict take beyond X, in memory or on disk?

The largest growth of a process's own memory (RssAnon, sampled every two milliseconds)
during one call on 1,000,000 x 16 float32 samples with 256 clusters, from given centers
and with 5 iterations. X is an array, or a numpy.memmap, whose pages do not count. Every
call has a process of its own, in which the estimator was fitted to the first few
samples before. KMeans copies X in fit. Linux only.
"""

import multiprocessing
import sys
import tempfile
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from _common import Report, make_parser, select
from _pictures import draw_dots, numbers
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    SoftKMeans,
    TruncatedKMeans,
)

N_FEATURES, N_CLUSTERS, N_WARM_UP = 16, 256, 4000
BOUND = 64
STATUS = Path("/proc/self/status")
ESTIMATORS = {
    "SoftKMeans()": lambda init: SoftKMeans(N_CLUSTERS, init=init, max_iter=5),
    "SoftKMeans(1)": lambda init: SoftKMeans(
        N_CLUSTERS, temperature=1.0, init=init, max_iter=5
    ),
    "SoftKMeans(0)": lambda init: SoftKMeans(
        N_CLUSTERS, temperature=0, init=init, max_iter=5
    ),
    "EntmaxKMeans()": lambda init: EntmaxKMeans(N_CLUSTERS, init=init, max_iter=5),
    "EntmaxKMeans(1)": lambda init: EntmaxKMeans(
        N_CLUSTERS, temperature=1.0, init=init, max_iter=5
    ),
    "EntmaxKMeans(4)": lambda init: EntmaxKMeans(
        N_CLUSTERS, temperature=4.0, init=init, max_iter=5
    ),
    "TruncatedKMeans()": lambda init: TruncatedKMeans(
        N_CLUSTERS, init=init, max_iter=5
    ),
    "KMeans": lambda init: KMeans(N_CLUSTERS, init=init, n_init=1, max_iter=5),
    "AnnealedRBFKMeans()": lambda init: AnnealedRBFKMeans(
        N_CLUSTERS, init=init, max_iter=5, cooling_rate=0.1
    ),
}


def anonymous_megabytes():
    """Return the private memory of this process that is not a file's."""
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def peak_growth(call):
    """Return by how many megabytes the memory grows at most during a call."""
    start = peak = anonymous_megabytes()
    done = threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, anonymous_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        # Held until the last look, as a user would hold it.
        result = call()
        peak = max(peak, anonymous_megabytes())
        del result
    finally:
        done.set()
        watcher.join()
    return peak - start


def measure(name, method, path, mmap_mode):
    """Return the growth of one method of one estimator; run in a fresh process."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    X = np.load(path, mmap_mode=mmap_mode)
    few = np.array(X[:N_WARM_UP])
    model = ESTIMATORS[name](few[:N_CLUSTERS]).fit(few)
    model.score(few)
    model.predict(few)
    call = getattr(model, method)
    return peak_growth(lambda: call(X))


def measure_afresh(*args):
    """Return what `measure` does, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        return executor.submit(measure, *args).result()


def save_data(path, n_samples):
    """Write the samples in parts, so that this process does not need much memory."""
    rng = np.random.default_rng(0)
    shape = (n_samples, N_FEATURES)
    X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, n_samples, 100_000):
        part = X[start : start + 100_000]
        part[...] = rng.standard_normal(part.shape, dtype=np.float32)
    X.flush()


METHODS = ("fit", "score", "predict")
HEADER = ["growth in MB", "X", *METHODS, f"all <= {BOUND}"]


def draw(figure, ax, rows):
    """Draw the growth of each call beside the bound."""
    labels = [f"{row['growth in MB']}, {row['X']}" for row in rows]
    draw_dots(ax, labels, {name: numbers(rows, name) for name in METHODS})
    style = {"color": "0.4", "linewidth": 1, "ls": "--"}
    ax.axvline(BOUND, **style, label=f"{BOUND} MB, the bound of all but KMeans")
    ax.set_xlim(left=-1.5)
    ax.xaxis.grid(color="0.85", linewidth=0.6)
    ax.set_xlabel("growth of the memory during the call, MB")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=4)


def main():
    """Measure and print."""
    parser = make_parser(__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000, help="(1,000,000)")
    args = parser.parse_args()
    report = Report(parser, args, range(1))
    if not STATUS.exists():
        sys.exit("This benchmark reads /proc/self/status, which only Linux has.")
    table = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        save_data(path, args.samples)
        for name in select(list(ESTIMATORS), parser, args):
            for kind, mmap_mode in (("array", None), ("memmap", "r")):
                growths = [
                    measure_afresh(name, method, path, mmap_mode) for method in METHODS
                ]
                holds = "yes" if max(growths) <= BOUND else "NO"
                if name == "KMeans":
                    holds = ""
                table.append([name, kind, *(f"{x:.1f}" for x in growths), holds])
    rows = report.table(HEADER, table)
    size, of_all = (args.samples * n * 4 / 2**20 for n in (N_FEATURES, N_CLUSTERS))
    print(f"X has {size:.0f} MB, all memberships would have {of_all:.0f} MB")
    report.picture(draw, rows, size=(7, 1 + 0.25 * len(rows)))
    report.finish()


if __name__ == "__main__":
    main()
