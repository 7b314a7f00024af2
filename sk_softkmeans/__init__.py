"""Soft k-means for scikit-learn: clusters with memberships at a temperature."""

from sk_softkmeans import metrics
from sk_softkmeans._annealed import AnnealedRBFKMeans
from sk_softkmeans._display import TemperaturePathDisplay
from sk_softkmeans._entmax import entmax
from sk_softkmeans._entmax_kmeans import EntmaxKMeans
from sk_softkmeans._max_entropy import MaxEntropyKMeans
from sk_softkmeans._path import temperature_path
from sk_softkmeans._schedules import critical_temperature
from sk_softkmeans._soft_kmeans import SoftKMeans
from sk_softkmeans._truncated import TruncatedKMeans

__all__ = [
    "AnnealedRBFKMeans",
    "EntmaxKMeans",
    "MaxEntropyKMeans",
    "SoftKMeans",
    "TemperaturePathDisplay",
    "TruncatedKMeans",
    "critical_temperature",
    "entmax",
    "metrics",
    "temperature_path",
]

__version__ = "0.1.0"
