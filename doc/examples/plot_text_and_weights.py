"""
==================
Texts, and weights
==================

Texts become long sparse vectors, which :class:`~sk_softkmeans.SoftKMeans` takes as they
are, in CSR format. Texts on two subjects are what soft memberships are for. And a text
that occurs many times needs to be there only once, with that number as its weight.
"""

# %%
# Texts on one subject or two
# ---------------------------
#
# A text has twelve words from the vocabularies of its subjects and eight common ones.
# Most are on one subject. The others are on two, in all proportions.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer

from sk_softkmeans import EntmaxKMeans, SoftKMeans

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # of Okabe and Ito
WORDS = (
    "bread butter flour oven salt soup onion pepper knife bowl dough spice",
    "soil seed rain rose tulip leaf spade root bee shade compost hedge",
    "star moon comet orbit lens planet eclipse galaxy meteor nova dark dust",
    "one day people find time small large many work first long near",
)
KITCHEN, GARDEN, SKY, COMMON = (line.split() for line in WORDS)
rng = np.random.default_rng(0)


def write(subject, n_words, other):
    """Return a text with so many words of a subject, and the rest of another."""
    chosen = [*rng.choice(subject, n_words), *rng.choice(other, 12 - n_words)]
    return " ".join([*chosen, *rng.choice(COMMON, 8)])


subjects = [KITCHEN, GARDEN, SKY]
single = [write(subject, 12, COMMON) for subject in subjects for _ in range(80)]
numbers = np.arange(13).repeat(6)
double = [write(KITCHEN, n_words, GARDEN) for n_words in numbers]
vectorizer = TfidfVectorizer()
X = vectorizer.fit_transform(single + double)
print(f"{X.format} of shape {X.shape}, {X.nnz / X.shape[0]:.0f} different words each")

# %%
# What a cluster is about can be read from its center: the words with the largest
# coordinates.

soft = SoftKMeans(3, n_init=10, random_state=0).fit(X)
names = vectorizer.get_feature_names_out()
for k, center in enumerate(soft.cluster_centers_):
    words = ", ".join(names[np.argsort(-center)[:6]])
    print(f"cluster {k}, {np.sum(soft.labels_ == k)} texts: {words}")

# %%
# Texts have many features, and the squared distances to two centers differ by far more
# than the learned temperature, the variance of one feature. So most memberships are
# near 0 and 1. To see shades, set a higher temperature. The picture has the texts on
# two subjects, by how many of their words are on the first.

fig, axes = plt.subplots(1, 2, figsize=(8, 3.9), sharey=True, layout="constrained")
styles = {"auto": (BLUE, "o-"), 0.3: (ORANGE, "^--"), 0.6: (GREEN, "s:")}
lines = []
for ax, estimator in zip(axes, (SoftKMeans, EntmaxKMeans), strict=True):
    for temperature, (color, style) in styles.items():
        model = estimator(
            3,
            temperature=temperature,
            temperature_unit="critical",
            n_init=10,
            random_state=0,
        ).fit(X)
        kitchen = model.labels_[0]
        P = model.predict_proba(X)
        of_one, of_two = P[: len(single)], P[len(single) :]
        mean = [of_two[numbers == i, kitchen].mean() for i in range(13)]
        label = temperature if temperature == "auto" else f"{temperature} critical"
        ax.plot(mean, style, color=color, mfc="none", label=label)
        lines.append(
            f"{estimator.__name__:12}   {temperature!s:>4}   "
            f"{of_one.max(axis=1).mean():.3f}   {of_two.max(axis=1).mean():.3f}   "
            f"{np.count_nonzero(of_two) / len(of_two):.2f}"
        )
    ax.set_xlabel(f"words on the kitchen, of 12\n{estimator.__name__}")
axes[0].set_ylabel("mean membership of the kitchen")
axes[0].legend(title="temperature")
plt.show()

# %%
# By the temperature: the mean largest membership of texts on one subject and on two,
# and how many clusters share a text on two. Softmax gives a share to all three. With
# ``EntmaxKMeans`` the cluster of the night sky has none, and a text on one subject
# belongs wholly to its own.

print("\n".join(lines))

# %%
# Weights are repetition
# ----------------------
#
# Short texts, such as queries, come again and again. Two words each, from the same
# vocabularies, where some words are more frequent than others:

frequencies = 1 / np.arange(1, 13)
frequencies /= frequencies.sum()
queries = [
    " ".join(sorted(rng.choice(subjects[i], 2, p=frequencies)))
    for i in rng.integers(3, size=3000)
]
unique, counts = np.unique(queries, return_counts=True)
vectorizer.fit(queries)
X_all, X_unique = vectorizer.transform(queries), vectorizer.transform(unique)
print(f"{len(queries)} queries, {len(unique)} different ones")

# %%
# From the same ``random_state`` the different ones with their numbers give the same
# model as all of them, since a weight counts as repetition in the seeding as well.
# ``KMeans`` takes weights too, but draws other samples to start from, and may end
# elsewhere.

for estimator in (SoftKMeans, EntmaxKMeans, KMeans):
    repeated = estimator(8, random_state=0).fit(X_all)
    weighted = estimator(8, random_state=0).fit(X_unique, sample_weight=counts)
    apart = np.abs(repeated.cluster_centers_ - weighted.cluster_centers_).max()
    ratio = weighted.inertia_ / repeated.inertia_
    print(
        f"{estimator.__name__:12} centers apart by {apart:.0e}, "
        f"inertia, weighted / repeated: {ratio:.6f}"
    )
