"""Reading a model: one E-step about its centers, for all that is said of samples.

`fit` and the methods of a fitted estimator use the same functions with nothing but
``cluster_centers_`` and a temperature, so that they agree to the last bit.
"""

import numpy as np

from sk_softkmeans._distances import CLOSE, Centers, batches
from sk_softkmeans._moments import extent
from sk_softkmeans._steps import Assignment, precision

# Of logits that are read: what is said of a float32 sample is the same, to 1e-5, in
# whatever company, and so in float64.
_ACCURACY = 2e-6


def read(chunks, cluster_centers, temperature, assignment, consume):
    """Return the sum over chunks of ``consume(rows, weights, Assignment)``."""
    chunks, origin, points, peak = _frame(chunks, cluster_centers)
    dtype = precision(temperature, peak, chunks.X.dtype, _ACCURACY)
    centers = Centers(points, origin, dtype, cluster_centers, peak)

    def _work(block, weights):
        read = Assignment(block, centers, temperature, assignment)
        return consume(block.rows, weights, read)

    return chunks.reduce(_work, origin, dtype)


def describe(chunks, moments, cluster_centers, temperature, assignment, also=()):
    """Return the fitted attributes that follow from centers and a temperature.

    `also` are methods of `Assignment` whose weighted means are added, by their names.
    """
    labels = np.empty(chunks.X.shape[0], dtype=np.int32)

    def _consume(rows, weights, read):
        labels[rows] = read.likeliest
        inertia = weights @ read.nearest
        value, excess = weights @ read.value, weights @ read.excess()
        others = [weights @ getattr(read, name)() for name in also]
        return np.array([inertia, value, excess, *others])

    inertia, value, excess, *others = read(
        chunks, cluster_centers, temperature, assignment, _consume
    )
    others = {
        name: total / moments.weight for name, total in zip(also, others, strict=True)
    }
    soft_inertia = inertia + temperature * excess
    variance = soft_inertia / (moments.weight * chunks.X.shape[1])
    return others | {
        "cluster_centers_": cluster_centers,
        "labels_": labels,
        "inertia_": float(inertia),
        "soft_inertia_": float(soft_inertia),
        "temperature_": float(temperature),
        "variance_": float(max(variance, variance_floor(moments, chunks.X.dtype))),
        "free_energy_": float(inertia + temperature * value),
    }


def variance_floor(moments, dtype):
    """Return the smallest within-cluster variance that is told from rounding."""
    info = np.finfo(dtype)
    return float(info.eps) * moments.variance or float(info.tiny)


class Distances:
    """Squared distances of the rows of a block to centers, in float64.

    None is lost to cancellation: small ones are direct differences.
    """

    def __init__(self, block, centers):
        self._block, self._centers = block, centers

    def to_all(self):
        """Return those to all centers, a row per sample."""
        norms = self._block.norms()[:, np.newaxis]
        squared = np.subtract(norms, self._block.logits(self._centers))
        limit = CLOSE * (np.sqrt(norms) + np.sqrt(self._centers.norms))
        close = np.nonzero(squared < limit**2)
        squared[close] = self.of_pairs(*close)
        return squared

    def of_pairs(self, rows, clusters):
        """Return those of some pairs of a row and a cluster, by direct differences."""
        squared = np.empty(len(rows))
        for batch in batches(len(rows), len(self._centers.origin)):
            pairs = rows[batch], clusters[batch]
            squared[batch] = self._block.pairs(self._centers, *pairs)
        return squared


def read_distances(chunks, cluster_centers, consume):
    """Return the sum over chunks of ``consume(rows, weights, Distances)``."""
    chunks, origin, points, _ = _frame(chunks, cluster_centers)
    centers = Centers(points, origin, np.float64, cluster_centers)

    def _work(block, weights):
        return consume(block.rows, weights, Distances(block, centers))

    return chunks.reduce(_work, origin, centers.dtype)


def fill_distances(chunks, cluster_centers, out):
    """Write the Euclidean distances of all samples to all centers."""

    def _consume(rows, _, distances):
        out[rows] = np.sqrt(distances.to_all())

    read_distances(chunks, cluster_centers, _consume)


def _frame(chunks, cluster_centers):
    """Return chunks to be read, the mean of the centers, these about it, the extent."""
    centers = cluster_centers.astype(np.float64)
    # float64 centers that are out of reach of float32 samples are found by extent.
    with np.errstate(over="ignore", invalid="ignore"):
        origin = centers.mean(axis=0).astype(chunks.X.dtype)
        points = centers - origin
        chunks, peak = extent(chunks, origin, points)
    return chunks, origin, points, peak
