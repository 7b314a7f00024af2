"""At temperature 0 the estimators are KMeans.

First scikit-learn's own tests of KMeans, as they are installed, with an estimator in
its place; then comparisons of the two from the same initial centers.
"""

import functools
import importlib.util
import inspect
import sys
from collections import Counter
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, csr_matrix
from sklearn import cluster
from sklearn.datasets import load_digits, make_blobs
from sklearn.exceptions import ConvergenceWarning

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    SoftKMeans,
    TruncatedKMeans,
)

# MaxEntropyKMeans has no temperature to be 0.
pytestmark = pytest.mark.with_temperature

# Part 1: scikit-learn's tests of KMeans.

# Why a test, or in brackets the cases of any test with that parameter, cannot run.
LEFT_OUT = {
    "[MiniBatchKMeans]": "not KMeans",
    "[elkan]": "there is no parameter algorithm",
    "test_euclidean_distance": "a private function",
    "test_inertia": "a private function",
    "test_is_same_clustering": "a private function",
    "test_k_means_function": "the function k_means",
    "test_kmeans_copyx": "there is no parameter copy_x",
    "test_kmeans_elkan_iter_attribute": "there is no parameter algorithm",
    "test_kmeans_elkan_results": "there is no parameter algorithm",
    "test_kmeans_init_auto_with_initial_centroids": "the private attribute _n_init",
    "test_kmeans_plusplus_dataorder": "the function kmeans_plusplus",
    "test_kmeans_plusplus_norms": "the function kmeans_plusplus",
    "test_kmeans_plusplus_output": "the function kmeans_plusplus",
    "test_kmeans_plusplus_wrong_params": "the function kmeans_plusplus",
    "test_minibatch_declared_convergence": "not KMeans",
    "test_minibatch_iter_steps": "not KMeans",
    "test_minibatch_kmeans_init_size": "not KMeans",
    "test_minibatch_kmeans_partial_fit_init": "not KMeans",
    "test_minibatch_kmeans_verbose": "not KMeans",
    "test_minibatch_kmeans_warning_init_size": "not KMeans",
    "test_minibatch_reassign": "not KMeans",
    "test_minibatch_sensible_reassign": "not KMeans",
    "test_minibatch_update_consistency": "not KMeans",
    "test_minibatch_with_many_reassignments": "not KMeans",
    "test_n_init_auto": "the private attribute _n_init",
    "test_relocate_empty_clusters": "a private function",
    "test_sample_weight_init": "the private method _init_centroids",
    "test_sample_weight_zero": "the private method _init_centroids",
    "test_warning_elkan_1_cluster": "there is no parameter algorithm",
}
# The parameters with which each estimator is KMeans: a line each.
AT_ZERO = {
    SoftKMeans: {"temperature": 0},
    EntmaxKMeans: {"temperature": 0},
    AnnealedRBFKMeans: {"temperature_max": 0, "relocate": False, "temperature": 0},
    TruncatedKMeans: {"temperature": 0},
}
# How many cases passed with each estimator, and what lines of the table left one out.
PASSED, MET = Counter(), set()


def _stand_in(estimator_class):
    """Return a KMeans with the default and the parameter that the tests use."""

    class KMeans(estimator_class):
        def __init__(self, *args, algorithm="lloyd", **kwargs):
            super().__init__(*args, **AT_ZERO[estimator_class] | kwargs)
            self.algorithm = algorithm

    # This is where scikit-learn finds the parameters.
    signature = inspect.signature(estimator_class.__init__)
    algorithm = inspect.Parameter("algorithm", inspect.Parameter.KEYWORD_ONLY)
    parameters = [*signature.parameters.values(), algorithm]
    KMeans.__init__.__signature__ = signature.replace(parameters=parameters)
    return KMeans


def _is_left_out(name):
    if name in LEFT_OUT:
        MET.add(name)
    return name in LEFT_OUT


def _keep(case):
    values = case if isinstance(case, tuple) else (case,)
    names = [f"[{getattr(value, '__name__', value)}]" for value in values]
    return not any(_is_left_out(name) for name in names)


def _trim(mark):
    """Return a mark without the cases that are left out."""
    if mark.name != "parametrize":
        return mark
    names, cases = mark.args
    cases = [case for case in cases if _keep(case)]
    return pytest.mark.parametrize(names, cases, **mark.kwargs).mark


def _count(test, estimator_class):
    """Return a test as a static method that counts the cases that pass."""

    @functools.wraps(test)
    def counted(*args, **kwargs):
        test(*args, **kwargs)
        PASSED[estimator_class] += 1

    counted.pytestmark = [_trim(mark) for mark in getattr(test, "pytestmark", [])]
    return staticmethod(counted)


def _load_tests(stand_in):
    """Return the tests in scikit-learn's file by name; none if it is not installed."""
    path = Path(cluster.__file__).with_name("tests") / "test_k_means.py"
    if not path.exists():
        return {}
    spec = importlib.util.spec_from_file_location("_test_k_means", path)
    module = importlib.util.module_from_spec(spec)
    # Decorators hold the class as well: it must be there when they are evaluated.
    with mock.patch.object(cluster, "KMeans", stand_in):
        spec.loader.exec_module(module)
    return {name: test for name, test in vars(module).items() if name[:5] == "test_"}


def _all_tests(estimator_class):
    """Return a class of the tests, with an estimator in the place of KMeans."""
    tests = {
        name: _count(test, estimator_class)
        for name, test in _load_tests(STAND_INS[estimator_class]).items()
        if not _is_left_out(name)
    }
    return type(f"Test{estimator_class.__name__}", (), tests)


STAND_INS = {e: _stand_in(e) for e in AT_ZERO}
SUITES = {e: _all_tests(e) for e in STAND_INS}
# pytest collects them from here.
globals().update({suite.__name__: suite for suite in SUITES.values()})


@pytest.fixture(params=[0, 42, 77])
def global_random_seed(request):
    """Return a seed, as the fixture of that name in scikit-learn."""
    return request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def global_dtype(request):
    """Return a dtype, as the fixture of that name in scikit-learn."""
    return request.param


@pytest.fixture
def scikit_learn_tests():
    """Skip a test of scikit-learn's tests where there are none."""
    if not MET:
        pytest.skip("the installed scikit-learn has no folder of tests")


@pytest.mark.usefixtures("scikit_learn_tests")
def test_only_those_tests_saw_a_stand_in():
    holders = {
        name
        for name, module in list(sys.modules.items())
        if getattr(module, "__dict__", {}).get("KMeans") in STAND_INS.values()
    }
    assert not holders
    assert cluster.KMeans.__module__ == "sklearn.cluster._kmeans"


@pytest.mark.usefixtures("scikit_learn_tests")
def test_every_line_of_the_table_is_needed():
    assert set(LEFT_OUT) == MET


@pytest.mark.usefixtures("scikit_learn_tests")
def test_summary_of_cases(request, capsys):
    counts = {}
    for estimator_class, suite in SUITES.items():
        everything = request.session.items
        items = [item for item in everything if getattr(item, "cls", None) is suite]
        names = {name for name in vars(suite) if name.startswith("test_")}
        complete = {item.originalname for item in items} == names
        if request.config.getoption("keyword") or not complete:
            pytest.skip("only a part of scikit-learn's tests was selected")
        counts[estimator_class.__name__] = PASSED[estimator_class], len(items)
    with capsys.disabled():
        for name, (passed, total) in counts.items():
            sys.stdout.write(
                f"\n{passed} of {total} cases of scikit-learn {sklearn.__version__} "
                f"passed with {name} at temperature 0"
            )
        sys.stdout.write("; left out:\n")
        sys.stdout.writelines(f"  {name}: {why}\n" for name, why in LEFT_OUT.items())
    assert min(passed for passed, _ in counts.values()) >= 150


# Part 2: from the same initial centers both give the same model.


DIGITS = load_digits().data[::4]


def _digits(rng):
    # The zeros stay, no two distances are equal.
    return DIGITS * rng.uniform(0.9, 1.1, DIGITS.shape)


DATA = {
    "blobs": lambda rng: make_blobs(300, 4, centers=5, random_state=rng)[0],
    "normal": lambda rng: rng.normal(rng.choice([-1, 1], (500, 1)), [1, 2, 3]),
    "uniform": lambda rng: rng.uniform(size=(400, 2)),
    "digits": _digits,
}
CONTAINERS = [np.asarray, csr_matrix, csr_array]


@pytest.fixture
def rng(seed):
    """Return a generator."""
    return np.random.RandomState(seed)


@pytest.fixture(params=DATA)
def X(request, rng):
    """Return one of several data sets without ties."""
    return DATA[request.param](rng)


@pytest.fixture(params=CONTAINERS, ids=["dense", "csr_matrix", "csr_array"])
def container(request):
    """Return what holds X."""
    return request.param


def _choose(X, n_clusters, rng, n_empty=0):
    """Return rows of X as initial centers, the first of them too far for any sample."""
    centers = X[rng.permutation(len(X))[:n_clusters]]
    far = np.arange(1, n_empty + 1)[:, np.newaxis]
    centers[:n_empty] = X.max() + 100 * far * np.ptp(X)
    return centers


@pytest.fixture
def pair(estimator_class):
    """Return what gives an estimator and KMeans that start from the same centers."""

    def pair(centers, **params):
        params = {"n_clusters": len(centers), "init": centers, "n_init": 1} | params
        ours = estimator_class(**AT_ZERO[estimator_class], **params)
        return ours, cluster.KMeans(**params)

    return pair


def _assert_same_centers(ours, theirs, rtol=1e-10):
    expected = theirs.cluster_centers_
    atol = rtol * abs(expected).max()
    assert_allclose(ours.cluster_centers_, expected, rtol=rtol, atol=atol)


def _assert_same(ours, theirs, X):
    _assert_same_centers(ours, theirs)
    assert_array_equal(ours.labels_, theirs.labels_)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert_allclose(ours.inertia_, theirs.inertia_, rtol=1e-10)
    assert ours.n_iter_ == theirs.n_iter_


@pytest.fixture
def assert_parity(pair):
    """Return what fits both from the same centers and compares all that is fitted."""

    def assert_parity(X, centers, sample_weight=None, **params):
        ours, theirs = pair(centers, **params)
        ours.fit(X, sample_weight=sample_weight)
        theirs.fit(X, sample_weight=sample_weight)
        _assert_same(ours, theirs, X)
        return ours

    return assert_parity


@pytest.fixture
def assert_repetition(pair):
    """Return what asserts that integer weights and repetition give the same model."""

    def assert_repetition(X, centers, sample_weight, container=np.asarray, **params):
        weighted, repeated = (pair(centers, **params)[0] for _ in range(2))
        weighted.fit(container(X), sample_weight=sample_weight)
        repeated.fit(container(np.repeat(X, sample_weight, axis=0)))
        _assert_same_centers(weighted, repeated)
        labels = np.repeat(weighted.labels_, sample_weight)
        assert_array_equal(labels, repeated.labels_)
        assert_allclose(weighted.inertia_, repeated.inertia_, rtol=1e-10)
        assert weighted.n_iter_ == repeated.n_iter_
        return repeated

    return assert_repetition


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 0])
def test_same_model(assert_parity, X, rng, container, tol):
    assert_parity(container(X), _choose(X, 6, rng), tol=tol)


@pytest.mark.parametrize("n_clusters", [1, 2, 3, 4, 13, 21, 30])
def test_same_model_for_any_number_of_clusters(assert_parity, X, rng, n_clusters):
    assert_parity(X, _choose(X, n_clusters, rng))


@pytest.mark.parametrize("n_empty", [1, 2, 3])
def test_same_model_where_clusters_start_empty(
    assert_parity, X, rng, container, n_empty
):
    centers = _choose(X, 7, rng, n_empty)
    model = assert_parity(container(X), centers)
    assert len(set(model.labels_)) == 7


@pytest.mark.parametrize("max_iter", [1, 2, 5])
def test_same_model_after_some_iterations(assert_parity, X, rng, max_iter):
    assert_parity(X, _choose(X, 5, rng, 1), max_iter=max_iter, tol=0)


@pytest.mark.parametrize("max_iter", [1, 2, 3])
def test_same_model_in_float32_for_three_iterations(pair, X, rng, container, max_iter):
    X = X.astype(np.float32)
    ours, theirs = pair(_choose(X, 6, rng), max_iter=max_iter, tol=0)
    _assert_same_centers(ours.fit(container(X)), theirs.fit(container(X)), 1e-5)
    assert ours.cluster_centers_.dtype == np.float32


def test_same_model_far_from_the_origin(pair, X, rng, dtype):
    # Dense only: the rows of a sparse X are not centered, neither here nor in KMeans.
    X = (1000 + X).astype(dtype)
    ours, theirs = pair(_choose(X, 6, rng), max_iter=3, tol=0)
    rtol = {np.float32: 1e-5, np.float64: 1e-10}[dtype]
    _assert_same_centers(ours.fit(X), theirs.fit(X), rtol)
    assert_array_equal(ours.labels_, theirs.labels_)
    # KMeans's inertia_ is that of its centers before they are rounded to X's dtype.
    assert_allclose(ours.inertia_, theirs.inertia_, rtol=10 * rtol)


def test_same_model_of_many_samples(assert_parity, rng):
    X = rng.uniform(size=(30_000, 3))
    assert_parity(X, _choose(X, 10, rng, 2), max_iter=10)


def test_same_model_with_weights(assert_parity, X, rng, container):
    sample_weight = rng.uniform(size=len(X))
    sample_weight[::10] = 0
    assert_parity(container(X), _choose(X, 6, rng), sample_weight, tol=0)


def test_weights_are_repetition_for_the_tolerance(assert_repetition, pair, X, rng):
    # KMeans's ignores them. Weight near the mean makes the variance much smaller.
    rank = ((X - X.mean(axis=0)) ** 2).sum(axis=1).argsort().argsort()
    sample_weight = np.where(rank < len(X) / 4, 9, rng.randint(0, 2, len(X)))
    centers = _choose(X, 6, rng)
    repeated = assert_repetition(X, centers, sample_weight, tol=1e-2)
    theirs = pair(centers, tol=1e-2)[1].fit(np.repeat(X, sample_weight, axis=0))
    _assert_same(repeated, theirs, X)


@pytest.mark.parametrize("max_iter", [1, 300])
@pytest.mark.parametrize("n_empty", [1, 3])
def test_weights_are_repetition_where_clusters_start_empty(
    assert_repetition, X, rng, container, n_empty, max_iter
):
    sample_weight = rng.randint(0, 4, len(X))
    centers = _choose(X, 7, rng, n_empty)
    assert_repetition(X, centers, sample_weight, container, max_iter=max_iter)


def test_a_sample_without_weight_is_no_center(pair):
    X = np.array([[0.0], [1], [5], [9]])
    model, _ = pair(np.array([[0.0], [100]]), max_iter=1)
    model.fit(X, sample_weight=[1, 1, 1, 0])
    assert_allclose(model.cluster_centers_, [[0.5], [5]])


def test_copies_of_a_sample_are_one_center(pair):
    X = np.array([[0.0], [1], [6], [6], [4]])
    model, _ = pair(np.array([[0.0], [100], [200]]), max_iter=1)
    assert_allclose(np.sort(model.fit(X).cluster_centers_.ravel()), [0.5, 4, 6])


def test_hand_worked_case(assert_parity):
    # Labels 0111, then 0011 with the means 0 and 22 / 3, then the same again.
    X = np.array([[0.0], [1], [10], [11]])
    model = assert_parity(X, X[:2], tol=0)
    assert_array_equal(model.labels_, [0, 0, 1, 1])
    assert_array_equal(model.cluster_centers_, [[0.5], [10.5]])
    assert_allclose(model.free_energies_, [181, 194 / 9, 1])
    assert model.inertia_ == model.free_energy_ == 1
    assert model.n_iter_ == 3
    assert model.converged_


@pytest.mark.one_temperature
@pytest.mark.parametrize("n_empty", [0, 2])
@pytest.mark.parametrize("temperature", [1e-300, 1e-250])
def test_a_tiny_temperature_is_zero(
    pair, estimator_class, X, rng, container, temperature, n_empty
):
    hard, _ = pair(_choose(X, 6, rng, n_empty), tol=0)
    soft = estimator_class(**hard.get_params() | {"temperature": temperature})
    X = container(X)
    _assert_same(soft.fit(X), hard.fit(X), X)


def test_every_sample_its_own_center(pair, X, container):
    X = X[:100]
    ours, theirs = pair(X)
    ours.fit(container(X))
    _assert_same_centers(ours, theirs.fit(container(X)))
    assert_array_equal(ours.labels_, np.arange(100))
    assert_array_equal(ours.predict(container(X)), np.arange(100))
    assert ours.n_iter_ == theirs.n_iter_ == 1
    assert ours.inertia_ <= 1e-14 * (X**2).sum()


def test_labels_are_predictions(estimator_class, rng, dtype, container):
    X = container(rng.normal(size=(20_000, 4)).astype(dtype))
    model = estimator_class(9, temperature=0, max_iter=4, random_state=0).fit(X)
    assert_array_equal(model.labels_, model.predict(X))
    assert model.labels_.dtype == np.int32


def test_transform_is_that_of_kmeans(pair, X, rng, container):
    ours, theirs = pair(_choose(X, 6, rng))
    ours.fit(container(X))
    theirs.fit(container(X))
    expected = theirs.transform(container(X))
    assert_allclose(ours.transform(container(X)), expected, rtol=1e-10)


def test_transform_is_zero_on_a_center(estimator_class, X, rng, container, dtype):
    X = X.astype(dtype)
    centers = _choose(X, 6, rng)
    model = estimator_class(6, temperature=0, init=centers, max_iter=1).fit(X)
    distances = model.transform(container(model.cluster_centers_))
    assert_array_equal(distances.diagonal(), 0)


def _said(models, X, kind):
    """Return the words of the error of each fit; here warnings are errors."""
    words = []
    for model in models:
        with pytest.raises(kind) as error:
            model.fit(X)
        words.append(str(error.value))
    return words


@pytest.mark.parametrize("init", ["k-means++", "random", np.eye(3, 2)])
def test_words_on_fewer_distinct_samples_than_clusters(pair, container, init):
    X = container(np.array([[0.0, 0], [0, 1], [0, 0], [0, 1], [0, 1]]))
    models = pair(np.eye(3, 2), init=init, random_state=0)
    ours, theirs = _said(models, X, ConvergenceWarning)
    assert ours == theirs
    assert ours.startswith("Number of distinct clusters (2) found smaller than")


def test_words_on_several_runs_from_given_centers(pair, blobs):
    models = pair(blobs[:3], n_init=7)
    ours, theirs = _said(models, blobs, RuntimeWarning)
    assert ours == theirs.replace("KMeans", type(models[0]).__name__)


def test_words_on_too_few_samples(pair, blobs):
    ours, theirs = _said(pair(blobs[:3]), blobs[:2], ValueError)
    assert ours == theirs


@pytest.mark.parametrize("shape", [(2, 4), (4, 4), (3, 3), (3, 5), (2, 5)])
@pytest.mark.parametrize("as_callable", [False, True])
def test_words_on_centers_of_the_wrong_shape(pair, blobs, shape, as_callable):
    centers = np.zeros(shape)
    init = (lambda X, n_clusters, random_state: centers) if as_callable else centers
    ours, theirs = _said(pair(blobs[:3], init=init), blobs, ValueError)
    assert ours.startswith(theirs)
