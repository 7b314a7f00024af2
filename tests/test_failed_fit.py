"""What a fit that fails leaves behind: an earlier fit as it was, or nothing."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sk_softkmeans import SoftKMeans


def snapshot(model):
    """Return what the model holds, by identity and by content."""
    held = vars(model)
    return {
        name: (id(value), np.asarray(value).tobytes()) for name, value in held.items()
    }


def collapses(model, X):
    """Fit with a warning that is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.set_params(n_clusters=len(X)).fit(np.ones_like(X))


def overflows(model, X):
    """Fit where the last products leave the range, which the caller forbids."""
    with np.errstate(all="raise"):
        weights = np.full(len(X), 1e300)
        model.fit(1e5 * X, sample_weight=weights)


def fails_at_its_end(model, X):
    """Fit with a callable that fails at the last of several runs."""
    calls = []

    def init(X, n_clusters, random_state):
        calls.append(0)
        if len(calls) == 3:
            raise RuntimeError("the last run")
        return X[:n_clusters]

    model.set_params(init=init, n_init=3).fit(X)


FAILURES = [
    pytest.param(collapses, ConvergenceWarning, id="warning"),
    pytest.param(overflows, (FloatingPointError, ValueError), id="floating point"),
    pytest.param(fails_at_its_end, RuntimeError, id="last run"),
]


@pytest.mark.parametrize(("fail", "error"), FAILURES)
def test_an_earlier_fit_survives(estimator_class, blobs, fail, error):
    model = estimator_class(3, random_state=0).fit(blobs)
    before, parameters = snapshot(model), model.get_params()
    with pytest.raises(error):
        fail(model, blobs)
    model.set_params(**parameters)
    assert snapshot(model) == before


@pytest.mark.parametrize(("fail", "error"), FAILURES)
def test_a_first_fit_leaves_nothing(estimator_class, blobs, fail, error):
    model = estimator_class(3, random_state=0)
    with pytest.raises(error):
        fail(model, blobs)
    assert vars(model).keys() == model.get_params().keys()
    with pytest.raises(NotFittedError):
        model.predict(blobs)


def test_a_fit_takes_the_place_of_an_earlier_one_with_other_attributes(blobs):
    pandas = pytest.importorskip("pandas")
    model = SoftKMeans(3, random_state=0).fit(
        pandas.DataFrame(blobs, columns=[*"abcd"])
    )
    assert hasattr(model, "feature_names_in_")
    other = model.fit(blobs[:, :2])
    assert other is model
    assert model.n_features_in_ == 2
    assert not hasattr(model, "feature_names_in_")
    # What others keep on it stays.
    model._kept = 1
    assert model.fit(blobs)._kept == 1
