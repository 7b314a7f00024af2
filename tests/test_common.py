"""scikit-learn's own checks, for every estimator."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_estimator_sparse_array,
    check_estimator_sparse_matrix,
    estimator_checks_generator,
    parametrize_with_checks,
)

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    MaxEntropyKMeans,
    SoftKMeans,
    TruncatedKMeans,
)

UNIT = {"temperature": 0.3, "temperature_unit": "critical"}
PARAMETERS = {
    SoftKMeans: [{}, {"temperature": 0}, {"temperature": "ml"}, UNIT],
    EntmaxKMeans: [{}, {"temperature": 0}, {"alpha": 2, "sparse_output": True} | UNIT],
    AnnealedRBFKMeans: [{}, {"alpha": 1.5, "solver": "lbfgs", "loss": "distortion"}],
    MaxEntropyKMeans: [{}, {"alpha": 1.5, "distortion": 0.5}],
    TruncatedKMeans: [{}, {"n_active": 2, "learn_weights": True, "temperature": "ml"}],
}
ESTIMATORS = [cls(**params) for cls in PARAMETERS for params in PARAMETERS[cls]]
SPARSE_CHECKS = [check_estimator_sparse_array, check_estimator_sparse_matrix]
FORMATS = ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"]  # codespell:ignore coo


def expected_failed_checks(estimator):
    """Name the checks that no clusterer with predict_proba can pass."""
    reason = (
        "scikit-learn's check reads tags.classifier_tags.multi_class of whatever has "
        "predict_proba; the classifier_tags of a clusterer are None"
    )
    return {check.__name__: reason for check in SPARSE_CHECKS}


def check_names(estimator):
    """Return the names of the checks that scikit-learn runs on an estimator."""
    checks = estimator_checks_generator(estimator)
    return {check.func.__name__ for _, check in checks}


def without_proba(estimator):
    """Hide predict_proba, so that the checks of sparse data can do their work."""

    class WithoutProba(type(estimator)):
        @property
        def predict_proba(self):
            raise AttributeError

    return WithoutProba(**estimator.get_params())


def all_checks():
    """Return a mark: a case for every check of every estimator."""
    mark = parametrize_with_checks(
        ESTIMATORS, expected_failed_checks=expected_failed_checks
    )
    names, cases = mark.args
    # In scikit-learn 1.6 the cases are a generator, of which pytest warns.
    return pytest.mark.parametrize(names, list(cases), **mark.kwargs)


# The data of the checks have too little structure for eight clusters.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@all_checks()
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize("check", SPARSE_CHECKS)
def test_sparse_without_predict_proba(check, estimator):
    check("WithoutProba", without_proba(estimator))


def sparse_data(form, container, large):
    """Return dense data and the same in a sparse format, with large indices or not."""
    X = np.random.RandomState(0).uniform(size=(40, 3))
    X[X < 0.6] = 0
    converted = container(X).asformat(form)
    if large:
        for name in ("row", "col", "indices", "indptr"):
            if hasattr(converted, name):
                setattr(converted, name, getattr(converted, name).astype(np.int64))
    return X, converted


# Two clusters leave more than that.
@pytest.mark.filterwarnings("ignore:distortion=.* was not reached")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize(
    ("form", "large"),
    [(form, False) for form in FORMATS] + [(form, True) for form in FORMATS[1:4]],
)
def test_sparse_predict_proba(estimator, container, form, large):
    X, converted = sparse_data(form, container, large)
    model = clone(estimator).set_params(n_clusters=2, random_state=0).fit(converted)
    proba, expected = model.predict_proba(converted), model.predict_proba(X)
    assert proba.shape == (40, 2)
    # Some are sparse themselves.
    proba, expected = (sparse.csr_array(P).toarray() for P in (proba, expected))
    np.testing.assert_allclose(proba, expected, atol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_tags_are_those_of_kmeans(estimator):
    expected = get_tags(KMeans())
    # scikit-learn 1.6.0 forgot it.
    expected.input_tags.sparse = True
    assert get_tags(estimator) == expected


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_no_check_of_kmeans_is_missing(estimator):
    names = check_names(estimator)
    assert check_names(KMeans()) <= names
    equivalence = "check_sample_weight_equivalence_on_{}_data"
    assert {equivalence.format("dense"), equivalence.format("sparse")} <= names
