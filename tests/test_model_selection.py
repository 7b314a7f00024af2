"""The default score chooses the temperature of the data, where it means something."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold

from sk_softkmeans import SoftKMeans


def gaussians(n_features, deviation, side, seed):
    """Return four Gaussians of 400 samples on a square of the first two features."""
    rng = np.random.default_rng(seed)
    corners = np.zeros((4, n_features))
    corners[:, :2] = side * deviation * np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    noise = deviation * rng.standard_normal((1600, n_features))
    return np.repeat(corners, 400, axis=0) + noise


def search(estimator_class, X, temperatures):
    model = estimator_class(4, n_init=5, random_state=0)
    folds = KFold(4, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # The grid goes on above the critical temperature, and slow ones below it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GridSearchCV(model, {"temperature": temperatures}, cv=folds).fit(X)


@pytest.mark.parametrize(("n_features", "deviation"), [(2, 1.0), (8, 3.0)])
@pytest.mark.parametrize("seed", range(10))
def test_temperature_of_gaussians_is_found(n_features, deviation, seed):
    X = gaussians(n_features, deviation, 3, seed)
    true = 2 * deviation**2
    grid = true * np.geomspace(0.1, 10, 21)
    found = search(SoftKMeans, X, grid).best_params_["temperature"]
    assert true / 1.5 <= found <= true * 1.5
    learned = SoftKMeans(4, temperature="ml", n_init=5, random_state=0).fit(X)
    assert true * 0.85 <= learned.temperature_ <= true * 1.15


@pytest.mark.with_temperature
def test_score_is_flat_where_clusters_do_not_overlap(estimator_class):
    X = gaussians(2, 1.0, 30, seed=0)
    results = search(estimator_class, X, [0, 0.2, 0.6, 2, 6]).cv_results_
    scores = results["mean_test_score"]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-6)
