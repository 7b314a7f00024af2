"""
===================================
Searching the temperature on a grid
===================================

In a :class:`~sklearn.pipeline.Pipeline` behind a scaler,
:class:`~sklearn.model_selection.GridSearchCV` chooses the temperature as it chooses any
parameter. In units of the critical temperature one grid suits data of any scale. What
it compares is ``score``: the mean log-density of samples that were left out, under the
mixture of Gaussians around the centers.
"""

# %%
# Three data sets: four Gaussians that overlap, four that do not, and the measurements
# of iris flowers.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris, make_blobs
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_softkmeans import SoftKMeans, critical_temperature

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # of Okabe and Ito
SQUARE = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TEMPERATURES = np.array([0, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.8])
FOLDS = KFold(5, shuffle=True, random_state=0)

data = {
    "overlapping": make_blobs(1600, centers=2.5 * SQUARE, random_state=0)[0],
    "separate": make_blobs(1600, centers=25.0 * SQUARE, random_state=0)[0],
    "iris": load_iris().data,
}


def make_model(n_clusters):
    """Return the pipeline."""
    soft = SoftKMeans(
        n_clusters,
        temperature_unit="critical",
        n_init=5,
        max_iter=1000,
        random_state=0,
    )
    return make_pipeline(StandardScaler(), soft)


def search(X, n_clusters):
    """Return the scores less those of k-means, a row for each fold."""
    grid = {"softkmeans__temperature": TEMPERATURES}
    found = GridSearchCV(make_model(n_clusters), grid, cv=FOLDS).fit(X).cv_results_
    scores = np.array([found[f"split{i}_test_score"] for i in range(5)])
    return scores - scores[:, [0]]


def error(scores):
    """Return the standard errors of the means over the folds."""
    return scores.std(axis=0, ddof=1) / np.sqrt(len(scores))


n_clusters = {"overlapping": 4, "separate": 4, "iris": 3}
scores = {name: search(X, n_clusters[name]) for name, X in data.items()}

# %%
# The curves
# ----------
#
# Some folds are easier than others, at every temperature. What matters are differences
# within a fold. So the score of k-means, which is temperature 0, is subtracted from the
# others of the same fold. Bars are standard errors over the folds.

fig, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
styles = {
    "overlapping": (BLUE, "o-"),
    "separate": (GREEN, "s:"),
    "iris": (ORANGE, "^--"),
}
for name, ax in zip(styles, axes[[0, 1, 1]], strict=True):
    color, style = styles[name]
    ax.errorbar(
        TEMPERATURES[1:],
        scores[name].mean(axis=0)[1:],
        error(scores[name])[1:],
        fmt=style,
        color=color,
        capsize=3,
        label=name,
    )
X = StandardScaler().fit_transform(data["overlapping"])
true = 2 / data["overlapping"].var() / critical_temperature(X)
axes[0].axvline(true, color="0.4", ls="-.", label="true temperature")
axes[1].set_ylim(-0.2, 0.06)
for ax in axes:
    ax.axhline(0, color="black", lw=0.8)
    ax.set(xscale="log", xlabel="temperature (critical units)")
    ax.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5], ["0.02", "0.05", "0.1", "0.2", "0.5"])
    ax.minorticks_off()
axes[0].set_ylabel("score less that of k-means\n(nats per sample)")
axes[0].legend(loc="upper left")
axes[1].legend(loc="lower left")
plt.show()

# %%
# Where clusters overlap, the curve has its optimum inside, many standard errors above
# k-means, and near the truth: the temperature of a Gaussian is twice its variance.
# Above it, centers merge and the curve falls.
#
# Where clusters lie apart, memberships are hard nearly up to the temperature at which
# clusters merge. The curve is flat up to there, and which temperature is best means
# nothing. So it is for iris, whose optimum is above k-means by less than its error:
# soft memberships describe the flowers no better than hard ones, and no worse. (On the
# right both curves fall out of the picture.)

print(f"true temperature of the overlapping ones: {true:.2f} critical")
for name, values in scores.items():
    mean, best = values.mean(axis=0), values.mean(axis=0).argmax()
    print(
        f"{name:12} best at {TEMPERATURES[best]:4}: {mean[best]:.4f} +- "
        f"{error(values)[best]:.4f} above k-means; at 0.8: {mean[-1]:.2f}"
    )

# %%
# Without a search
# ----------------
#
# A learned temperature needs no grid. ``"ml"`` is the maximum-likelihood one,
# ``"auto"`` half of it.

model = make_model(4)
for temperature in (0, "auto", "ml"):
    model.set_params(softkmeans__temperature=temperature)
    values = cross_val_score(model, data["overlapping"], cv=FOLDS)
    if temperature == 0:
        hard = values
    gain = values - hard
    print(f"{temperature!r:6}: {gain.mean():.4f} +- {error(gain):.4f} above k-means")
