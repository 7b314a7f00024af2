"""Density, criteria and draws, against scikit-learn's mixture of the same kind."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.mixture import GaussianMixture

from sk_softkmeans import SoftKMeans

TEMPERATURES = pytest.mark.temperatures(0, "auto", "ml", 1.0)


@pytest.fixture
def model(estimator_class, temperature, blobs, dtype):
    """Return a model of the blobs."""
    model = estimator_class(5, temperature=temperature, random_state=0)
    return model.fit(blobs.astype(dtype))


def mixture_of(centers, variance):
    """Return the isotropic mixture of equal shares."""
    k = len(centers)
    mixture = GaussianMixture(k, covariance_type="spherical", random_state=0)
    mixture.weights_, mixture.means_ = np.full(k, 1 / k), centers
    mixture.covariances_ = np.full(k, variance)
    mixture.precisions_cholesky_ = mixture.covariances_**-0.5
    return mixture


@pytest.fixture
def mixture(model):
    """Return the mixture that the model stands for."""
    return mixture_of(model.cluster_centers_, model.variance_)


@pytest.fixture
def rtol(dtype):
    """Return the tolerance."""
    return 1e-12 if dtype == np.float64 else 1e-5


@TEMPERATURES
def test_density(model, mixture, blobs, dtype, rtol):
    # Between and outside the clusters too.
    X = np.concatenate([blobs, 3 * blobs, np.zeros((1, 4))]).astype(dtype)
    assert_allclose(model.score_samples(X), mixture.score_samples(X), rtol=rtol)
    assert model.score(X) == pytest.approx(mixture.score(X), rel=rtol)


@TEMPERATURES
def test_criteria(model, mixture, blobs, dtype, rtol):
    k, d = model.cluster_centers_.shape
    X = blobs.astype(dtype)
    # One variance and equal shares are k - 1 variances and k - 1 shares less.
    more = mixture._n_parameters() - (k * d + 1)
    assert more == 2 * (k - 1)
    expected = mixture.bic(X) - more * np.log(len(X))
    assert model.bic(X) == pytest.approx(expected, rel=rtol)
    assert model.aic(X) == pytest.approx(mixture.aic(X) - 2 * more, rel=rtol)


@TEMPERATURES
@pytest.mark.parametrize("n_samples", [1, 2, 1000])
def test_sample(model, mixture, n_samples, seed, dtype):
    X, y = model.set_params(random_state=seed).sample(n_samples)
    X_mixture, y_mixture = mixture.set_params(random_state=seed).sample(n_samples)
    # The same draws in the same order.
    assert_array_equal(X, X_mixture.astype(dtype))
    assert_array_equal(y, y_mixture)


@pytest.mark.parametrize("temperature", ["auto", "ml", 1.0])
def test_responsibilities_are_posteriors(blobs, temperature):
    model = SoftKMeans(5, temperature=temperature, random_state=0).fit(blobs)
    mixture = mixture_of(model.cluster_centers_, model.temperature_ / 2)
    expected = mixture.predict_proba(blobs)
    assert_allclose(model.predict_proba(blobs), expected, rtol=1e-10, atol=1e-30)
    assert_array_equal(model.predict(blobs), mixture.predict(blobs))
