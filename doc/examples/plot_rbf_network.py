r"""
=================================================
A normalised RBF network from k-means and a ridge
=================================================

A radial basis function (RBF) network is a linear model of bumps around centers.
The classical way to train one is in two stages: find centers with k-means, then fit
the linear output layer. Its normalised form has the basis functions

.. math:: \phi_k(x) = \frac{\exp(-\|x - c_k\|^2 / T)}{\sum_j \exp(-\|x - c_j\|^2 / T)},

which are Gaussians of variance :math:`T / 2` per feature divided by their sum. They
are also the responsibilities of soft k-means at temperature :math:`T`, hence
:class:`~sk_softkmeans.AnnealedRBFKMeans` with ``transform_to="responsibilities"`` and
a linear model after it *is* a normalised RBF network. The estimator anneals to find
the centers; ``temperature`` is that of the responsibilities after the fit, so that it
sets the width of the basis functions and leaves the centers as they are.
"""

# %%
# The basis functions
# -------------------
#
# In one dimension the basis functions can be drawn. At a low temperature each is
# almost 1 in the cell of its center and 0 elsewhere: the fitted function is a
# staircase with one level for each cluster. At a higher one they overlap and the
# function is smooth. Both columns have the same centers.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from sk_softkmeans import AnnealedRBFKMeans

BLUE, ORANGE = "#0072B2", "#D55E00"  # of Okabe and Ito: safe for the colour-blind

rng = np.random.RandomState(0)
x = np.sort(rng.uniform(size=150))[:, np.newaxis]
y = np.sin(2 * np.pi * x[:, 0] ** 1.5) + 0.2 * rng.standard_normal(len(x))
grid = np.linspace(0, 1, 500)[:, np.newaxis]

fig, axes = plt.subplots(
    2, 2, figsize=(8, 5), sharex=True, sharey="row", layout="constrained"
)
for (above, below), temperature in zip(axes.T, (0.002, 0.2), strict=True):
    network = make_pipeline(
        AnnealedRBFKMeans(
            8,
            temperature=temperature,
            temperature_unit="critical",
            transform_to="responsibilities",
            random_state=0,
        ),
        LinearRegression(),
    ).fit(x, y)
    centers = network[0].cluster_centers_[:, 0]
    phi = network[:-1].transform(grid)
    for k, i in enumerate(np.argsort(centers)):
        above.plot(grid, phi[:, i], color=BLUE, ls=("-", "--")[k % 2], lw=1.5)
    above.plot(
        centers,
        np.zeros_like(centers),
        "^",
        color="black",
        ms=7,
        clip_on=False,
        label="centers",
    )
    above.text(
        0.5,
        1.05,
        f"temperature = {temperature} critical",
        ha="center",
        va="bottom",
        transform=above.transAxes,
    )
    below.plot(x, y, ".", color="0.6", label="samples")
    below.plot(grid, network.predict(grid), color=ORANGE, lw=2.5, label="RBF network")
    below.set_xlabel("x")
axes[0, 0].set_ylabel("responsibility")
axes[1, 0].set_ylabel("y")
axes[0, 1].legend(loc="upper right")
axes[1, 1].legend(loc="upper right")
plt.show()

# %%
# Three models of the same data
# -----------------------------
#
# The same linear model is fitted to the features themselves, to the distances to the
# centers of :class:`~sklearn.cluster.KMeans`, and to responsibilities. Both kinds of
# k-means have the same number of clusters. All three inputs are standardised before
# the linear model, to be penalised alike.
#
# The temperature is the only hyperparameter that is searched, by
# :class:`~sklearn.model_selection.GridSearchCV` inside of each training fold, so that
# no score comes from samples that chose it. (The ridge chooses its penalty itself, in
# all three models; the logistic regression has its default one.) In units of the
# critical temperature one grid suits any scale of the data. Above 1 it is still of use:
# centers collapse there only where they are fitted at that temperature, and these are
# not. With many features, which all add to the squared distances while the critical
# temperature is that of one direction, it takes such temperatures for several basis
# functions to be active at once. In the limit of a high temperature responsibilities
# become linear in the features, and the network becomes a linear model, of at most as
# many directions as there are clusters less one.

from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_digits, make_friedman1, make_regression
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits


def models(n_clusters, linear, temperatures, scale):
    """Return the three models by name; `scale` is what comes before clustering."""
    rbf = AnnealedRBFKMeans(
        n_clusters,
        temperature_unit="critical",
        transform_to="responsibilities",
        random_state=0,
    )
    network = make_pipeline(scale, rbf, StandardScaler(), linear)
    grid = {"annealedrbfkmeans__temperature": temperatures}
    return {
        "linear": make_pipeline(StandardScaler(), linear),
        "KMeans distances": make_pipeline(
            scale, KMeans(n_clusters, random_state=0), StandardScaler(), linear
        ),
        "RBF network": GridSearchCV(network, grid, cv=2),
    }


ridge = RidgeCV(np.logspace(-4, 4, 17))
logistic = LogisticRegression(max_iter=1000)
folds = KFold(5, shuffle=True, random_state=0)
stratified = StratifiedKFold(3, shuffle=True, random_state=0)
digits = load_digits(return_X_y=True)
diabetes = load_diabetes(return_X_y=True)
friedman = make_friedman1(500, noise=1.0, random_state=0)
plane = make_regression(500, 10, noise=50.0, random_state=0)
tasks = {
    "digits (accuracy)": (
        digits,
        models(100, logistic, [0.1, 0.4, 1.6], "passthrough"),
        stratified,
    ),
    "diabetes (R2)": (
        diabetes,
        models(20, ridge, [0.4, 1.6, 6.4], StandardScaler()),
        folds,
    ),
    "friedman1 (R2)": (
        friedman,
        models(50, ridge, [6.4, 25.6, 102.4], StandardScaler()),
        folds,
    ),
    "linear target (R2)": (
        plane,
        models(50, ridge, [6.4, 25.6, 102.4], StandardScaler()),
        folds,
    ),
}
# In fits as small as these, threads cost more than they save.
with threadpool_limits(1):
    scores = {
        task: {name: cross_val_score(m, *data, cv=cv) for name, m in compared.items()}
        for task, (data, compared, cv) in tasks.items()
    }

# %%
# The mean and the standard deviation over the folds. The last column is the difference
# of the network to the linear model, fold by fold.

for row in scores.values():
    row["network - linear"] = row["RBF network"] - row["linear"]
lines = [f"{'':18}" + "".join(f"{name:>18}" for name in row)]
for task, row in scores.items():
    cells = (f"{s.mean():.3f} +- {s.std():.3f}" for s in row.values())
    lines.append(f"{task:18}" + "".join(f"{cell:>18}" for cell in cells))
print("\n".join(lines))

# %%
# The network is the best of the three on digits, where classes are not separated by
# hyperplanes of the pixels but samples near each other mostly have one class. On
# diabetes no model has an advantage worth the name: the differences change sign from
# fold to fold, and a plain linear model, which is fast and has coefficients that can
# be read, is the one to prefer. On the nonlinear friedman1 both kinds of features from
# clusters improve on the linear model in the mean, though responsibilities not in every
# fold, and distances do at least as well as responsibilities.
# Where the target is linear in the features, the plain linear model is better than
# distances, and the network only comes up to it by choosing a high temperature, at
# which it is nearly linear itself: then there is nothing to gain by clusters.
