"""
=====================
Thousands of clusters
=====================

An iteration of :class:`~sklearn.cluster.KMeans` computes the distance of every sample
to every center. With thousands of centers nearly all of them are of no use.
:class:`~sk_softkmeans.TruncatedKMeans` shares a sample between its three nearest
centers (``n_active``), and looks for these among the neighbours of the one that was
nearest so far.
"""

# %%
# The time of an iteration
# ------------------------
#
# Samples are a mixture of as many Gaussians as there are clusters. The time of a fit of
# two iterations is subtracted from that of seven: what is done only once, at the
# beginning and the end, is left out. Times are of one thread, and ``SoftKMeans`` is
# spared the larger numbers.

import warnings
from time import process_time

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sk_softkmeans import SoftKMeans, TruncatedKMeans

N_SAMPLES, N_FEATURES = 30_000, 6
STYLES = {
    KMeans: ("#0072B2", "o-"),  # Colours of Okabe and Ito.
    SoftKMeans: ("#009E73", "s-."),
    TruncatedKMeans: ("#D55E00", "^--"),
}
rng = np.random.default_rng(0)


def make_data(n_clusters):
    """Return samples of a mixture, and some of them to start from."""
    means = rng.uniform(0, 10, (n_clusters, N_FEATURES))
    X = means[rng.integers(n_clusters, size=N_SAMPLES)]
    X = (X + rng.standard_normal(X.shape)).astype(np.float32)
    return X, X[rng.choice(N_SAMPLES, n_clusters, replace=False)]


def run(estimator, X, start, **params):
    """Return the fitted model and its seconds."""
    model = estimator(len(start), init=start, n_init=1, **params)
    with threadpool_limits(1), warnings.catch_warnings():
        # Of fits that are cut short to time an iteration.
        warnings.simplefilter("ignore", ConvergenceWarning)
        begin = process_time()
        model.fit(X)
        return model, process_time() - begin


def per_iteration(estimator, X, start):
    """Return the seconds of an iteration."""
    short, long = (
        run(estimator, X, start, max_iter=n_iter, tol=0)[1] for n_iter in (2, 7)
    )
    return (long - short) / 5


numbers = [100, 400, 1600, 4000]
seconds = {estimator: [] for estimator in STYLES}
for k in numbers:
    X, start = make_data(k)
    for estimator, found in seconds.items():
        if estimator is not SoftKMeans or k <= 400:
            found.append(per_iteration(estimator, X, start))

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for estimator, (color, style) in STYLES.items():
    ms = 1e3 * np.array(seconds[estimator])
    ax.loglog(numbers[: len(ms)], ms, style, color=color, label=estimator.__name__)
ax.set(xlabel="number of clusters", ylabel="time of an iteration (ms)")
ax.set_xticks(numbers, numbers)
ax.minorticks_off()
ax.legend()
plt.show()

# %%
# Times are those of the machine that built this page. With a hundred clusters
# ``KMeans`` is the quicker one; with thousands an iteration of ``TruncatedKMeans``
# takes a small part of its time.

for i, k in enumerate(numbers):
    ratio = seconds[TruncatedKMeans][i] / seconds[KMeans][i]
    print(f"{k:4} clusters: TruncatedKMeans / KMeans = {ratio:.2f}")

# %%
# The time of a fit
# -----------------
#
# The soft fit goes on for more iterations than k-means here, and ends lower. So its
# time depends on where one stops. This is ``TruncatedKMeans`` with several
# ``max_iter``, against ``KMeans`` from the same start to its end.

k = 1000
X, start = make_data(k)
hard, hard_seconds = run(KMeans, X, start)
print(f"KMeans: {hard.n_iter_} iterations")
for max_iter in (20, 60):
    model, model_seconds = run(TruncatedKMeans, X, start, max_iter=max_iter)
    print(
        f"TruncatedKMeans: {model.n_iter_} iterations, "
        f"{model_seconds / hard_seconds:.2f} of the time, "
        f"{model.inertia_ / hard.inertia_:.4f} of the inertia, "
        f"{'at its end' if model.converged_ else 'not at its end'}"
    )

# %%
# It is below the end of ``KMeans`` early on. After more iterations than that needs it
# is lower still, but not yet at its own end: a whole fit need not be quicker. Where
# time counts, stop it with ``max_iter``.

# %%
# What is left out
# ----------------
#
# Memberships are those of three clusters. With ``sparse_output=True`` nothing is stored
# for the others. Had all clusters a share, at the same temperature and the same
# centers, this is how much of a sample those beyond the third would have:

P = model.set_params(sparse_output=True).predict_proba(X)
d = cdist(X[:2000], model.cluster_centers_, "sqeuclidean")
shares = np.sort(softmax(-d / model.temperature_, axis=1), axis=1)[:, ::-1]
stored = P.data.nbytes + P.indices.nbytes + P.indptr.nbytes
print(f"stored: {P.nnz / len(X):.2f} per sample, {stored / 1e6:.1f} MB")
print(f"a dense array would have {X.shape[0] * k * 4 / 1e6:.0f} MB")
for j in (3, 5, 10):
    print(f"share beyond the nearest {j}: {shares[:, j:].sum(axis=1).mean():.4f}")
