"""
===============================
Choosing the number of clusters
===============================

Three tools answer three versions of the question. At ``temperature="ml"`` a
:class:`~sk_softkmeans.SoftKMeans` is a mixture of equal Gaussians, so that its ``bic``
and its cross-validated ``score`` say how many of them describe the data best. The
temperature path says at how many numbers of clusters there is something to see, and at
which scale: a number that stays the same over a long range of temperatures is a
property of the data, one that changes at once is not.

The recipe:

1. Fit ``SoftKMeans(k, temperature="ml", n_init=5)`` for some k and look at ``bic`` and
   at the score of samples that were left out, with its standard error.
2. Compute one :func:`~sk_softkmeans.temperature_path` with more clusters than there can
   be, and look for the longest plateau below that number.
3. Where they agree, believe them. Where the curves have no optimum and the path no
   plateau, there is no number of clusters in the data, and it is for you to set, by
   the distortion that you can afford.
"""

# %%
# A known truth
# -------------
#
# Four Gaussians, two pairs of which are nearer to each other.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image, make_blobs
from sklearn.model_selection import KFold, cross_val_score

from sk_softkmeans import SoftKMeans, TemperaturePathDisplay, temperature_path

BLUE, ORANGE = "#0072B2", "#D55E00"  # of Okabe and Ito: safe for the colour-blind


def curves(X, numbers):
    """Return the BIC and the scores of left-out samples for numbers of clusters."""
    folds = KFold(5, shuffle=True, random_state=0)
    models = [
        SoftKMeans(k, temperature="ml", n_init=5, max_iter=1000, random_state=0)
        for k in numbers
    ]
    bic = np.array([model.fit(X).bic(X) for model in models])
    scores = np.array([cross_val_score(model, X, cv=folds) for model in models])
    return bic, scores


def plateaus(path):
    """Return {number of distinct centers: decades of temperature that have it}."""
    decades = -np.diff(np.log10(path.temperature))
    numbers = path.n_distinct[:-1]
    return {int(k): decades[numbers == k].sum() for k in np.unique(numbers)}


def draw(X, numbers, n_clusters):
    """Draw the curves and the path; return the curves and the plateaus."""
    bic, scores = curves(X, numbers)
    path = temperature_path(X, n_clusters, random_state=0)
    fig, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained")
    axes[0, 0].plot(numbers, bic / len(X), "o-", color=BLUE)
    axes[0, 0].set(xlabel="number of clusters", ylabel="BIC per sample (nats)")
    error = scores.std(axis=1) / np.sqrt(scores.shape[1])
    axes[0, 1].errorbar(numbers, scores.mean(axis=1), error, fmt="o-", color=ORANGE)
    axes[0, 1].set(
        xlabel="number of clusters", ylabel="score of left-out samples (nats)"
    )
    TemperaturePathDisplay.from_path(path, ax=axes[1, 0])
    TemperaturePathDisplay.from_path(path, ax=axes[1, 1], kind="n_distinct")
    return bic, scores, plateaus(path)


def table(numbers, bic, scores):
    """Print the curves."""
    print(" k   BIC per sample   score of left-out samples")
    for k, b, s in zip(numbers, bic / len(X), scores, strict=True):
        error = s.std() / np.sqrt(len(s))
        print(f"{k:2}   {b:14.3f}   {s.mean():7.3f} +- {error:.3f}")


X, _ = make_blobs(600, 2, centers=4, cluster_std=1.2, random_state=3)
numbers = range(1, 9)
bic, scores, found = draw(X, numbers, n_clusters=10)
plt.show()

# %%
# Both curves have their optimum at the truth. On the path, read from the right, one
# group of centers becomes two, then three and four. Below that the clusters themselves
# dissolve, and the centers separate as fast as they can, up to the ten that there are:
# that last plateau belongs to the ten, not to the data.

table(numbers, bic, scores)
print(f"lowest BIC: {numbers[bic.argmin()]}")
print(f"highest score: {numbers[scores.mean(axis=1).argmax()]}")

# %%

for k, decades in found.items():
    print(f"{k:2} distinct centers over {decades:.2f} decades of temperature")
longest = max((k for k in found if k < 10), key=found.get)
print(f"longest plateau below 10: {longest}")

# %%
# No truth
# --------
#
# The colours of a photograph. There are regions of sky, wood and leaves, but no number
# of colours that would be right.

X = load_sample_image("china.jpg")[::8, ::8].reshape(-1, 3) / 255.0
numbers = [1, 2, 4, 8, 16, 32]
bic, scores, found = draw(X, numbers, n_clusters=32)
plt.show()

# %%
# Both curves go on to improve: more Gaussians always describe the colours better. The
# path has one plateau, at two (sky and the rest), and then its centers separate one
# after another.

table(numbers, bic, scores)

# %%

for k, decades in found.items():
    if decades > 0.1:
        print(f"{k:2} distinct centers over {decades:.2f} decades of temperature")

# %%
# So the number has to come from what the clusters are for. If it is compression, ask
# for the share of the variance that may be lost: the smallest number of clusters whose
# inertia is below it will do.

scatter = ((X - X.mean(axis=0)) ** 2).sum()
for k in numbers:
    lost = SoftKMeans(k, temperature=0, random_state=0).fit(X).inertia_ / scatter
    print(f"{k:2} colours lose {lost:6.1%} of the variance")
