"""Fixtures shared by all tests."""

import numpy as np
import pytest
from hypothesis import settings
from sklearn.datasets import make_blobs

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(params=[0, 42, 77])
def seed(request):
    """Return a seed: no test depends on a lucky one."""
    return request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    """Return a dtype of X."""
    return request.param


@pytest.fixture
def blobs():
    """Return overlapping blobs: 300 samples, 4 features, 5 clusters."""
    X, _ = make_blobs(300, 4, centers=5, cluster_std=2.0, random_state=0)
    return X
