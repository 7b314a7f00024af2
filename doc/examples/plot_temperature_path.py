"""
=============================================
How centers separate as the temperature falls
=============================================

At a high temperature all centers of soft k-means are at the mean of the data. As it
falls they separate, group by group. :func:`~sk_softkmeans.temperature_path` fits a grid
of falling temperatures, each from the centers of the last, and
:class:`~sk_softkmeans.TemperaturePathDisplay` draws it. Read from the right, the
picture is a tree of clusters, at every scale that there is.
"""

# %%
# Clusters in clusters
# --------------------
#
# Two groups of three blobs, and nine centers, three more than there are blobs.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris, make_blobs

from sk_softkmeans import (
    SoftKMeans,
    TemperaturePathDisplay,
    critical_temperature,
    temperature_path,
)

MEANS = np.array([[-10, 0], [-6, 0], [-8, 4], [6, 0], [10, 0], [8, 4]])
X, blob = make_blobs(600, centers=MEANS, cluster_std=0.6, random_state=0)
path = temperature_path(X, 9, random_state=0)

fig, axes = plt.subplots(2, 1, figsize=(7, 6.5), sharex=True, layout="constrained")
marked = {"critical_temperature": critical_temperature(X)}
draw = TemperaturePathDisplay.from_path
draw(path, ax=axes[0], feature=0, **marked)
draw(path, ax=axes[1], kind="n_distinct", **marked)
axes[0].set_xlabel("")
axes[1].get_legend().remove()
plt.show()

# %%
# On the right there is one center, the mean. At the critical temperature it becomes
# two, one for each group, then six, one for each blob. These plateaus are long: there
# are clusters at two scales. Below the second one the blobs dissolve as fast as there
# are centers for it, which says nothing of the data.


def table(path):
    """Print the ranges of temperature by the number of distinct centers."""
    for k in np.unique(path.n_distinct):
        high, low = path.temperature[path.n_distinct == k][[0, -1]]
        decades = np.log10(high / low)
        print(f"distinct: {k}, T from {high:6.2f} to {low:6.2f}, {decades:.2f} decades")


table(path)

# %%
# Where they separate can be foretold. The critical temperature is twice the variance of
# the data along their longest axis. That of a part of the data, which one center has to
# itself, is where this center can become several:

print(f"all: {critical_temperature(X):.2f}")
for name, parts in (("group", blob // 3), ("blob", blob)):
    found = [critical_temperature(X[parts == part]) for part in np.unique(parts)]
    print(f"one {name}: {min(found):.2f} to {max(found):.2f}")

# %%
# Flowers
# -------
#
# An estimator can be given in the place of a path. These are the petals of iris
# flowers, the third feature, with five centers.

iris = load_iris().data
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
display = TemperaturePathDisplay.from_estimator(
    SoftKMeans(5, random_state=0), iris, feature=2, ax=ax
)
ax.set_ylabel("petal length of the centers (cm)")
ax.set_xlabel("temperature (cm²)")
ax.legend(loc=(0.02, 0.3))
plt.show()

# %%
# Apart from the last plateau, which has as many centers as there are, the longest one
# is at two: one species lies apart from the other two. The next ones are shorter, and
# that of three, the number of species, is the shortest of them.

table(display.path)
