"""
==================
Sparse memberships
==================

With softmax every cluster has a share of every sample, however small.
:class:`~sk_softkmeans.EntmaxKMeans` shares a sample only between clusters that are
nearly as close as the nearest one: all other memberships are exactly zero. Two things
follow. Memberships can be stored as a sparse matrix, and below some positive
temperature the fit is that of k-means.
"""

# %%
# How many clusters share a sample
# --------------------------------
#
# On the left, centers are at -2, 0 and 2 on a line, and the curves are the membership
# of the one in the middle. On the right are blobs in the plane, and the mean number of
# memberships that are not zero. Softmax has zeros only where it underflows.

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs

from sk_softkmeans import EntmaxKMeans, SoftKMeans, critical_temperature, entmax

# Colours of Okabe and Ito.
STYLES = {1: ("#0072B2", "o-"), 1.5: ("#D55E00", "^--"), 2: ("#009E73", "s-.")}
NAMES = {1: "softmax (alpha = 1)", 1.5: "alpha = 1.5", 2: "sparsemax (alpha = 2)"}
K = 5
X, _ = make_blobs(1000, centers=K, cluster_std=1.0, random_state=1)
hard = SoftKMeans(K, temperature=0, tol=0, n_init=5, random_state=0).fit(X)
temperatures = critical_temperature(X) * np.geomspace(3e-1, 1e-4, 12)


def fit(alpha, temperature):
    """Return the fit that starts from the centers of k-means."""
    model = EntmaxKMeans(
        K,
        alpha=alpha,
        temperature=temperature,
        init=hard.cluster_centers_,
        tol=1e-20,
        max_iter=3000,
    )
    return model.fit(X)


models = {alpha: [fit(alpha, T) for T in temperatures] for alpha in STYLES}
x = np.linspace(-3, 3, 301)
logits = -((x[:, np.newaxis] - [-2, 0, 2]) ** 2) / 2.0

fig, axes = plt.subplots(1, 2, figsize=(8, 3.9), layout="constrained")
for alpha, (color, style) in STYLES.items():
    axes[0].plot(x, entmax(logits, alpha)[:, 1], style[1:], color=color)
    shared = [(m.predict_proba(X) > 0).sum(axis=1).mean() for m in models[alpha]]
    axes[1].plot(temperatures, shared, style, color=color, label=NAMES[alpha])
axes[0].set(xlabel="position (T = 2)", ylabel="membership of the center at 0")
axes[1].set(
    xscale="log",
    xlabel="temperature (squared data units)",
    ylabel="non-zero memberships per sample",
)
fig.legend(loc="outside upper center", ncols=3)
plt.show()

# %%
# Exactly hard, at a positive temperature
# ---------------------------------------
#
# Memberships are zero and one as soon as T is at most alpha - 1 times the smallest
# difference of the squared distances of a sample to its two nearest centers. Then every
# step is one of Lloyd's algorithm, and its fixed points are those of k-means. Thin
# lines mark these temperatures. With softmax the difference only becomes small.

d = np.sort(cdist(X, hard.cluster_centers_, "sqeuclidean"), axis=1)
gap = (d[:, 1] - d[:, 0]).min()
fig, ax = plt.subplots(figsize=(7, 3.9), layout="constrained")
for alpha, (color, style) in STYLES.items():
    apart = [
        np.abs(m.cluster_centers_ - hard.cluster_centers_).max() for m in models[alpha]
    ]
    ax.plot(
        temperatures, np.maximum(apart, 1e-16), style, color=color, label=NAMES[alpha]
    )
    if alpha > 1:
        ax.axvline((alpha - 1) * gap, color=color, ls=style[1:], lw=0.8)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="temperature (squared data units)",
    ylabel="largest distance of a coordinate\nof a center to k-means (data units)",
)
ax.legend()
plt.show()

for alpha in (1.5, 2):
    model = fit(alpha, 0.99 * (alpha - 1) * gap)
    P = model.predict_proba(X)
    print(
        f"alpha = {alpha}: at T = {model.temperature_:.4f} there are"
        f" {np.count_nonzero((P > 0) & (P < 1))} memberships between 0 and 1,\n   "
        f" labels are those of k-means: {bool((model.labels_ == hard.labels_).all())},"
        f" inertia differs by {model.inertia_ / hard.inertia_ - 1:.0e}"
    )

# %%
# Memory
# ------
#
# With many clusters nearly all memberships are zero, and with ``sparse_output=True``
# nothing is stored for them, nor ever made. The learned temperature of each class is
# one of about the same softness.

means = np.random.default_rng(0).uniform(0, 30, (100, 2))
X, _ = make_blobs(10_000, centers=means, random_state=0)
dense = SoftKMeans(100, random_state=0).fit(X)
sparse = EntmaxKMeans(100, sparse_output=True, random_state=0).fit(X)
P, S = dense.predict_proba(X), sparse.predict_proba(X)
stored = S.data.nbytes + S.indices.nbytes + S.indptr.nbytes
largest = S.max(axis=1).toarray()
for name, count, size, sure, model in (
    ("SoftKMeans", np.count_nonzero(P), P.nbytes, P.max(axis=1), dense),
    ("EntmaxKMeans", S.nnz, stored, largest, sparse),
):
    print(
        f"{name:12} {count / len(X):6.2f} non-zero per sample, {size / 1e6:5.2f} MB, "
        f"largest below 0.9 in {(sure < 0.9).mean():.0%}, inertia {model.inertia_:.0f}"
    )

# %%
# Most shares of softmax are tiny, and could be left out by a threshold. But then rows
# would not sum to one, and the threshold would be another parameter.

print(f"of softmax, above 0.001: {(P > 1e-3).sum(axis=1).mean():.2f} per sample")
