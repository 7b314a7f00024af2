"""
===================================
The dial: one figure, four settings
===================================

The temperature of :class:`~sk_softkmeans.SoftKMeans` goes from k-means to all centers
in one point. In units of the critical temperature, at which they first separate, the
dial is from 0 to 1 for data in any units.
"""

# %%
# Four Gaussians, two pairs of which are nearer to each other, and a fit with four
# centers at each setting. Colours are the largest membership of a sample: 1 where it
# belongs to one cluster, and 1 / 4 where it belongs to all of them alike.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import SoftKMeans, critical_temperature

MEANS = np.array([[0, 0], [0, 3], [8, 1], [8, 4]])
X, _ = make_blobs(800, centers=MEANS, cluster_std=0.8, random_state=0)


def fit(setting, X=X):
    """Return the model at a temperature in units of the critical one."""
    model = SoftKMeans(
        4,
        temperature=setting,
        temperature_unit="critical",
        tol=1e-8,
        max_iter=1000,
        n_init=5,
        random_state=0,
    )
    # Above 1 all centers fall together, which is worth a warning, and wanted here.
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return model.fit(X)


def distinct(model):
    """Return the number of centers that do not coincide."""
    return len(np.unique((model.cluster_centers_ / X.std()).round(2), axis=0))


settings = [0, 0.05, 0.5, 1.05]
models = [fit(setting) for setting in settings]
fig, axes = plt.subplots(
    2, 2, figsize=(8, 6.2), sharex=True, sharey=True, layout="constrained"
)
for ax, setting, model in zip(axes.flat, settings, models, strict=True):
    largest = model.predict_proba(X).max(axis=1)
    points = ax.scatter(*X.T, c=largest, s=8, cmap="viridis", vmin=0.25, vmax=1)
    centers = model.cluster_centers_.T
    ax.plot(*centers, "X", color="#D55E00", mec="white", ms=13, label="centers")
    ax.text(
        0.5,
        0.97,
        f"{setting:g} critical",
        ha="center",
        va="top",
        size=12,
        transform=ax.transAxes,
    )
    ax.set_ylim(-3, 8.5)
axes[0, 0].legend(loc="lower center")
fig.supxlabel("first feature (data units)")
fig.supylabel("second feature (data units)")
fig.colorbar(points, ax=axes, label="largest membership")
plt.show()

# %%
# At 0 it is k-means. At the next setting the borders are soft, and the centers are
# hardly elsewhere. At the third, the pairs have become one cluster each, with two
# centers in one place, between which every sample is shared alike. Above 1 nothing is
# left but the mean.

print(f"critical temperature: {critical_temperature(X):.1f} squared data units")
print("setting   distinct centers   mean largest membership   inertia / k-means")
for setting, model in zip(settings, models, strict=True):
    largest = model.predict_proba(X).max(axis=1).mean()
    ratio = model.inertia_ / models[0].inertia_
    print(f"{setting:7}   {distinct(model):16}   {largest:23.2f}   {ratio:17.3f}")

# %%
# In other units the absolute temperature is another, and the setting is not:

for unit in (1, 1000):
    model = fit(0.5, unit * X)
    largest = model.predict_proba(unit * X).max(axis=1).mean()
    print(f"X * {unit:4}: T = {model.temperature_:.4g}, largest {largest:.6f}")
