"""
===================================
Soft against hard on the same blobs
===================================

k-means says to which cluster a sample belongs, and not how sure that is. Soft k-means
says both. Here it can be checked, because the truth is known: three Gaussians in the
plane.
"""

# %%
# Where clusters overlap
# ----------------------
#
# The temperature is learned. With ``"ml"`` it is that of the maximum-likelihood mixture
# of equal Gaussians, which is what these samples are drawn from.

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from sk_softkmeans import SoftKMeans

COLORS = ["#0072B2", "#D55E00", "#009E73"]  # of Okabe and Ito: for the colour-blind
MARKERS = ["o", "^", "s"]
MEANS = np.array([[0.0, 0.0], [3.4, 0.0], [1.7, 2.9]])


class Surface(RegressorMixin, BaseEstimator):
    """A function as an estimator, for the display."""

    def __init__(self, function):
        self.function = function

    def fit(self, X, y=None):
        """Do nothing, but for being fitted."""
        self.is_fitted_ = True
        return self

    def predict(self, X):
        """Return the value of the function for each sample."""
        return self.function(X)


def largest(X):
    """Return the largest membership of each sample."""
    return soft.predict_proba(X).max(axis=1)


X, truth = make_blobs(900, centers=MEANS, cluster_std=1.2, random_state=0)
hard = KMeans(3, n_init=10, random_state=0).fit(X)
soft = SoftKMeans(3, temperature="ml", n_init=10, random_state=0).fit(X)

# %%
# :class:`~sklearn.inspection.DecisionBoundaryDisplay` draws the border of k-means on
# the left, and the largest membership of soft k-means on the right. The class
# ``Surface`` makes it draw any function, in every version of scikit-learn; from 1.9 on
# it also takes ``response_method="predict_proba"`` of a clusterer.

fig, axes = plt.subplots(
    1, 2, figsize=(8, 4), sharex=True, sharey=True, layout="constrained"
)
draw = DecisionBoundaryDisplay.from_estimator
grid = {"response_method": "predict", "grid_resolution": 400, "eps": 0.3}
border = {"plot_method": "contour", "levels": [0.5, 1.5], "colors": "black"}
for ax, model in zip(axes, (hard, soft), strict=True):
    draw(Surface(model.predict).fit(X), X, ax=ax, **grid, **border)
    ax.set_xlabel("first feature (data units)")
    ax.plot(*model.cluster_centers_.T, "kX", ms=11, mec="white", ls="none", zorder=3)
axes[0].set_ylabel("second feature (data units)")
for k, (color, marker) in enumerate(zip(COLORS, MARKERS, strict=True)):
    axes[0].plot(*X[hard.labels_ == k].T, marker, color=color, ms=3)
levels = np.linspace(0.3, 1, 8)
shade = draw(
    Surface(largest).fit(X),
    X,
    ax=axes[1],
    levels=levels,
    cmap="cividis",
    zorder=0,
    **grid,
)
fig.colorbar(shade.surface_, ax=axes[1], label="largest membership")
plt.show()

# %%
# The borders are nearly the same, and so are the labels. What differs is what is said
# of samples near a border.

agreement = adjusted_rand_score(hard.labels_, soft.labels_)
print(f"agreement of the labels (adjusted Rand index): {agreement:.3f}")
print(f"inertia, soft / hard: {soft.inertia_ / hard.inertia_:.4f}")

# %%
# Is it right to be unsure?
# -------------------------
#
# Clusters are matched with the true ones, and samples are grouped by their largest
# membership. If memberships mean what they seem to, a group whose largest membership is
# 0.7 is right in 70 % of its samples.


def calibration(model):
    """Print how often samples are right, by how sure the model is of them."""
    counts = contingency_matrix(truth, model.labels_)
    cluster_of = linear_sum_assignment(counts, maximize=True)[1]
    right = cluster_of[truth] == model.labels_
    sure = model.predict_proba(X).max(axis=1)
    print("largest membership   samples   its mean   share right")
    for low, high in ((0, 0.6), (0.6, 0.8), (0.8, 0.95), (0.95, 1.01)):
        group = (low <= sure) & (sure < high)
        print(
            f"{low:6.2f} to {min(high, 1):.2f}   {group.sum():14}"
            f"   {sure[group].mean():8.2f}   {right[group].mean():11.2f}"
        )
    print(f"all   {len(X):26}   {sure.mean():8.2f}   {right.mean():11.2f}")


calibration(soft)

# %%
# They do, up to the chance of small groups. The default, ``"auto"``, is half of that
# temperature, and nearer to k-means. On Gaussians it is too sure of itself:

calibration(SoftKMeans(3, n_init=10, random_state=0).fit(X))

# %%
# Where clusters lie apart
# ------------------------
#
# With a third of the deviation nothing is in doubt. All that soft k-means adds is then
# zeros and ones, and k-means is the one to use.

X, truth = make_blobs(900, centers=MEANS, cluster_std=0.4, random_state=0)
hard = KMeans(3, n_init=10, random_state=0).fit(X)
soft = SoftKMeans(3, temperature="ml", n_init=10, random_state=0).fit(X)
print(f"samples with no membership above 0.95: {(largest(X) < 0.95).sum()} of {len(X)}")
print(f"same labels: {adjusted_rand_score(hard.labels_, soft.labels_):.3f}")
print(f"inertia, soft / hard: {soft.inertia_ / hard.inertia_:.4f}")
