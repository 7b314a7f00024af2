"""
===========================
The colours of a photograph
===========================

Colour quantisation replaces the colours of a picture by a few, the centers of clusters
of pixels. :class:`~sk_softkmeans.AnnealedRBFKMeans` finds them as
:class:`~sklearn.cluster.KMeans` does. Its memberships add another picture, of the same
few colours, in which every pixel is a mixture of those near it.
"""

# %%
# Sixteen colours
# ---------------
#
# Every fourth pixel of every fourth row is enough to find the colours. Errors are root
# mean squares over pixels and channels, whose values are 0 to 255.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_image

from sk_softkmeans import AnnealedRBFKMeans

K = 16
picture = load_sample_image("china.jpg").astype(float)
pixels = picture.reshape(-1, 3)
sample = picture[::4, ::4].reshape(-1, 3)


def anneal(temperature="auto"):
    """Return the fit; the temperature is that of memberships, not of the search."""
    return AnnealedRBFKMeans(K, temperature=temperature, random_state=0).fit(sample)


def nearest(model, colors):
    """Return the nearest center of each colour."""
    return model.cluster_centers_[model.predict(colors)]


def mixed(model, colors):
    """Return the mixture of centers by the memberships of each colour."""
    return model.predict_proba(colors) @ model.cluster_centers_


def error(colors, original):
    """Return the root mean squared error."""
    return np.sqrt(((colors - original) ** 2).mean())


one, ten = (KMeans(K, n_init=n, random_state=0).fit(sample) for n in (1, 10))
annealed = anneal()

# %%
# How far may colours be mixed?
# -----------------------------
#
# The colours are those of the annealed fit throughout, which do not depend on its
# ``temperature``. At a low one each pixel has the colour of its nearest center. As
# memberships get softer, mixtures come nearer to what is between the centers, until
# they are so soft that all pixels become alike.

temperatures = annealed.temperature_ * np.geomspace(0.1, 30, 12)
errors = [error(mixed(anneal(T), sample), sample) for T in temperatures]
best = temperatures[np.argmin(errors)]

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
ax.plot(temperatures, errors, "o-", color="#0072B2", label="mixed by memberships")
ax.axhline(
    error(nearest(annealed, sample), sample),
    color="#D55E00",
    ls="--",
    label="nearest center",
)
ax.axvline(annealed.temperature_, color="0.4", ls=":", label="learned temperature")
ax.set(
    xscale="log",
    xlabel="temperature (squared units of the channels)",
    ylabel="error (units of the channels)",
)
ax.legend()
plt.show()

# %%
# The pictures
# ------------

soft = anneal(best)
pictures = {
    "original": pixels,
    "KMeans, one run": nearest(one, pixels),
    "AnnealedRBFKMeans": nearest(annealed, pixels),
    "the same, mixed": mixed(soft, pixels),
}
fig, axes = plt.subplots(2, 2, figsize=(8, 5.8), layout="constrained")
for ax, (name, colors) in zip(axes.flat, pictures.items(), strict=True):
    ax.imshow(colors.reshape(picture.shape).round().astype(np.uint8))
    ax.set_axis_off()
    ax.text(0.5, 1.01, name, ha="center", va="bottom", transform=ax.transAxes)
plt.show()

# %%
# Between one run of ``KMeans`` and the annealed fit the eye sees no difference in
# quality. Nor are the numbers far apart, and ten runs come to the same: ``KMeans`` is
# as good here. What does differ is the last picture, in the sky, where the edges
# between two colours are gone. The price is that its pixels have many colours, which
# are mixed of sixteen: to store them takes their memberships.

pictures |= {"KMeans, ten runs": nearest(ten, pixels)}
for name, colors in pictures.items():
    n_colors = len(np.unique(colors.round() @ [1, 256, 256**2]))
    print(f"{name:18} {n_colors:6} colours, error {error(colors, pixels):6.3f}")
for name, model in ("one run", one), ("ten runs", ten):
    print(f"inertia of {name} / annealed: {model.inertia_ / annealed.inertia_:.4f}")
