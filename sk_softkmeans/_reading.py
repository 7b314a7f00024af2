"""Reading a model: one E-step about its centers, for all that is said of samples.

`fit` and the methods of a fitted estimator use the same functions with nothing but
``cluster_centers_`` and a temperature, so that they agree to the last bit.
"""

import numpy as np

from sk_softkmeans._distances import Centers
from sk_softkmeans._moments import extent
from sk_softkmeans._steps import Assignment, precision

# Below this share of |x| + |c| a distance is recomputed by direct differences.
_CLOSE = 1e-3
# Entries of the differences that are held at a time for that.
_BATCH = 2**17


def read(chunks, cluster_centers, temperature, assignment, consume):
    """Return the sum over chunks of ``consume(rows, weights, Assignment)``."""
    origin, points, peak = _frame(chunks, cluster_centers)
    temperature, dtype = precision(temperature, peak, chunks.X.dtype)
    centers = Centers(points, origin, dtype, cluster_centers)

    def _work(block, weights):
        read = Assignment(block, centers, temperature, assignment)
        return consume(block.rows, weights, read)

    return chunks.reduce(_work, origin, dtype)


def describe(chunks, moments, cluster_centers, temperature, assignment):
    """Return the fitted attributes that follow from centers and a temperature."""
    labels = np.empty(chunks.X.shape[0], dtype=np.int32)

    def _consume(rows, weights, read):
        labels[rows] = read.labels
        inertia = weights @ read.nearest
        value, excess = weights @ read.value, weights @ read.excess()
        return np.array([inertia, value, excess])

    inertia, value, excess = read(
        chunks, cluster_centers, temperature, assignment, _consume
    )
    soft_inertia = inertia + temperature * excess
    variance = soft_inertia / (moments.weight * chunks.X.shape[1])
    return {
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
    return float(info.eps * moments.variance or info.tiny)


def fill_distances(chunks, cluster_centers, out):
    """Write the Euclidean distances of all samples to all centers."""
    origin, points, _ = _frame(chunks, cluster_centers)
    centers = Centers(points, origin, np.float64, cluster_centers)
    center_norms = np.sqrt(centers.norms)

    def _work(block, _):
        norms = block.norms()
        squared = np.subtract(norms[:, np.newaxis], block.logits(centers))
        limit = _CLOSE * (np.sqrt(norms)[:, np.newaxis] + center_norms)
        rows, clusters = np.nonzero(squared < limit**2)
        n_pairs = max(1, _BATCH // len(origin))
        for start in range(0, len(rows), n_pairs):
            pairs = rows[start : start + n_pairs], clusters[start : start + n_pairs]
            squared[pairs] = block.pairs(centers, *pairs)
        out[block.rows] = np.sqrt(squared)

    chunks.reduce(_work, origin, centers.dtype)


def _frame(chunks, cluster_centers):
    """Return the mean of the centers, the centers about it and the largest square."""
    centers = cluster_centers.astype(np.float64)
    # float64 centers that are out of reach of float32 samples are found by extent.
    with np.errstate(over="ignore", invalid="ignore"):
        origin = centers.mean(axis=0).astype(chunks.X.dtype)
        points = centers - origin
        return origin, points, extent(chunks, origin, points)
