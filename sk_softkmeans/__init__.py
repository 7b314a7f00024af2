"""Soft k-means for scikit-learn: clusters with memberships at a temperature."""

from sk_softkmeans._schedules import critical_temperature
from sk_softkmeans._soft_kmeans import SoftKMeans

__all__ = ["SoftKMeans", "critical_temperature"]

__version__ = "0.1.0"
