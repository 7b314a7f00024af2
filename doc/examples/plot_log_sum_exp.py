"""
==============================================
Log-sum-exp, entropy, and what the start knows
==============================================

K. Inoue and K. Hara ("An equivalence between log-sum-exp approximation and entropy
regularization in K-means clustering", NOLTA 11(4), 2020) cluster points in the plane
into 15 groups, from memberships by the order of the file. This is the experiment on
data of the same kind, with two questions. Are the formulations one? And what is that
start worth?
"""

# %%
# Three formulations
# ------------------
#
# Fifteen Gaussians, sorted by cluster, as the file was. The initial memberships are the
# first fifteenth of the samples in one cluster, the next in another, and so on.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import entr, logsumexp, softmax
from sklearn.datasets import make_blobs
from sklearn.metrics.cluster import contingency_matrix

from sk_softkmeans import MaxEntropyKMeans, SoftKMeans

BLUE, ORANGE = "#0072B2", "#D55E00"  # of Okabe and Ito
K, T = 15, 2.5
rng = np.random.default_rng(3)
grid = np.stack(np.divmod(np.arange(K), 4), axis=1)
means = 10.0 * grid + rng.uniform(-2.5, 2.5, (K, 2))
sizes = rng.integers(85, 116, K)
X, truth = make_blobs(
    sizes, centers=means, cluster_std=1.5, shuffle=False, random_state=0
)
n = len(X)
by_order = np.eye(K)[np.arange(n) * K // n]
exact = {"tol": 1e-20, "max_iter": 5000}


def alternate(u, n_iter=60):
    """Minimise sum u d - T H(u) over means and memberships, by turns."""
    course = []
    for _ in range(n_iter):
        centers = u.T @ X / u.sum(axis=0)[:, np.newaxis]
        d = cdist(X, centers, "sqeuclidean")
        u = softmax(-d / T, axis=1)
        course.append(((u * d).sum() - T * entr(u).sum(), entr(u).sum(), centers))
    return course


def log_sum_exp(centers):
    """Return the smooth minimum of the squared distances, summed over the samples."""
    d = cdist(X, centers, "sqeuclidean")
    return -T * logsumexp(-d / T, axis=1).sum()


soft = SoftKMeans(K, temperature=T, init=by_order, **exact).fit(X)
course = alternate(by_order)
entropic = MaxEntropyKMeans(
    K,
    distortion=soft.soft_inertia_,
    distortion_unit="absolute",
    init=by_order,
    tol=1e-10,
).fit(X)

# %%
# *Log-sum-exp* replaces the smallest distance of a sample by a smooth minimum: this is
# the free energy of :class:`~sk_softkmeans.SoftKMeans`, but for a constant. *Entropy
# regularisation* minimises the distortion less T times the entropy, over memberships as
# well: a few lines above. *Maximum entropy* has no temperature, but is given the
# distortion: :class:`~sk_softkmeans.MaxEntropyKMeans`, given that of the first. It
# finds the temperature.

fits = {
    "log-sum-exp": (soft.cluster_centers_, soft.temperature_),
    "entropy regularisation": (course[-1][2], T),
    "maximum entropy": (entropic.cluster_centers_, entropic.temperature_),
}
for name, (centers, temperature) in fits.items():
    d = cdist(centers, soft.cluster_centers_)
    apart = d[linear_sum_assignment(d)].max()
    print(
        f"{name:22}  T = {temperature:.9f}, objective {log_sum_exp(centers):.6f}, "
        f"centers apart {apart:.0e}"
    )

# %%
# What falls, and what need not
# -----------------------------
#
# At a fixed temperature it is the objective that never rises. The entropy of the
# memberships is only a part of it, and may fall, as it does here. At a fixed distortion
# the entropy is what is maximised. As long as the centers are too bad for that
# distortion, memberships are hard and have none; from then on it never falls, but for
# rounding.

objectives, entropies, _ = (np.array(part) for part in zip(*course, strict=True))
fig, axes = plt.subplots(1, 2, figsize=(8, 3.7), layout="constrained")
above = (objectives - log_sum_exp(soft.cluster_centers_)) / n
axes[0].semilogy(above[:8], "o-", color=BLUE)
axes[0].set(
    xlabel="iteration",
    ylabel="objective above its end, per sample\n(squared data units)",
)
axes[1].plot(entropies[:8], "o-", color=BLUE, label="temperature fixed")
axes[1].plot(entropic.entropies_[:8], "^--", color=ORANGE, label="distortion fixed")
axes[1].set(xlabel="iteration", ylabel="entropy of all memberships (nats)")
axes[1].legend(loc="upper right")
plt.show()

is_soft = entropic.temperatures_ > 0
print(
    f"T fixed: largest rise of the objective {max(np.diff(objectives).max(), 0):.0e},"
)
print(f"    largest fall of the entropy {-np.diff(entropies).min():.1f}")
falls = -np.diff(entropic.entropies_[is_soft])
print(f"distortion fixed: hard in {np.count_nonzero(~is_soft)} iterations,")
print(f"    largest fall of the entropy thereafter {max(falls.max(), 0):.0e}")

# %%
# What the start is worth
# -----------------------
#
# The same memberships are shuffled, as they would be if the file were in another order.
# For comparison, k-means++, from the samples in that order.


def share_right(labels):
    """Return the share of samples in the right cluster, by the best matching."""
    counts = contingency_matrix(truth, labels)
    return counts[linear_sum_assignment(counts, maximize=True)].sum() / n


def fit(init, X=X, seed=None):
    """Return the fit from a start."""
    return SoftKMeans(K, temperature=T, init=init, random_state=seed, **exact).fit(X)


def ends(models):
    """Return the objectives where fits end."""
    return np.array([log_sum_exp(model.cluster_centers_) for model in models])


orders = [np.random.default_rng(seed).permutation(n) for seed in range(10)]
starts = [by_order[order] for order in orders]
shuffled = [fit(start) for start in starts]
seeded = [fit("k-means++", X[order], seed) for seed, order in enumerate(orders)]

fig, axes = plt.subplots(
    1, 2, figsize=(8, 4), sharex=True, sharey=True, layout="constrained"
)
panels = {"file order": (by_order, soft), "shuffled": (starts[0], shuffled[0])}
for ax, (name, (start, model)) in zip(axes, panels.items(), strict=True):
    first = start.T @ X / start.sum(axis=0)[:, np.newaxis]
    last = model.cluster_centers_
    ax.plot(*X.T, ".", color="0.8", ms=3)
    ax.plot(*first.T, "s", color=BLUE, mfc="none", mew=1.5, label="first centers")
    ax.plot(*last.T, "X", color=ORANGE, mec="white", ms=10, label="last centers")
    ax.set_xlabel(f"first coordinate (data units)\nmemberships: {name}")
axes[0].set_ylabel("second coordinate (data units)")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
plt.show()

# %%
# In file order the start is right for most of the samples before anything is fitted,
# because the file is sorted and its clusters are of nearly the same size. That is all
# it is worth: shuffled, it knows nothing, its means are all near the mean of the data,
# and in none of ten orders does it lead to the best end. So the experiment shows that
# the formulations are one, and not that memberships are a good start. k-means++ knows
# no order either, and leads there in most of its runs; ``n_init`` makes several.

shares = [share_right(start.argmax(axis=1)) for start in starts]
print(f"right in file order: {share_right(by_order.argmax(axis=1)):.0%}")
print(f"right when shuffled: {np.mean(shares):.0%} in the mean")
found = {"file order": [soft], "shuffled": shuffled, "k-means++": seeded}
best = min(ends(models).min() for models in found.values())
for name, models in found.items():
    ratio = ends(models) / best
    print(
        f"{name:10}   {(ratio < 1 + 1e-6).sum():2} of {len(ratio):2} reach the best "
        f"end, objective / best {ratio.mean():.3f} in the mean"
    )
