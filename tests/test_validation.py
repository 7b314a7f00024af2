"""Bad input: the type of the error, the name in its text, and what it leaves behind."""

import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    MaxEntropyKMeans,
    SoftKMeans,
    TruncatedKMeans,
    critical_temperature,
)

X = np.random.RandomState(0).standard_normal((20, 3))
CENTERS = np.random.RandomState(1).standard_normal((4, 3))
MEMBERSHIPS = np.random.RandomState(2).dirichlet(np.ones(4), 20)
WEIGHTS = np.ones(20)
NAN, INF = np.nan, np.inf
RAGGED = [[1.0, 2.0], [3.0]]
METHODS = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "transform",
    "score",
    "score_samples",
    "bic",
    "aic",
]


def put(array, value, dtype=float):
    """Return a copy with another first entry."""
    array = array.astype(dtype)
    array.flat[0] = value
    return array


def gives(value):
    """Return an init callable."""
    return lambda X, n_clusters, random_state: value


PARAMETERS = {
    "n_clusters": ["8", 2.0, None, [3], 0, -1, NAN, INF],
    "init": ["k-means", None, 3, NAN, INF],
    "n_init": ["all", None, 1.5, 0, -1, NAN, INF],
    "max_iter": ["10", None, 1.5, 0, -1, NAN, INF],
    "tol": ["small", None, -1e-4, NAN, INF],
    "transform_to": ["labels", None, 1, NAN, INF],
    "verbose": ["yes", None, -1, 1.5, NAN, INF],
    "random_state": ["seed", -1, 1.5, 2**32, NAN, INF],
}
TEMPERATURE = {
    "temperature": ["high", None, [1.0], 1j, -1.0, NAN, INF, -INF],
    "temperature_unit": ["kelvin", None, 1, NAN, INF],
}
# What an estimator has of its own, and values that only others take.
OWN_PARAMETERS = {
    SoftKMeans: TEMPERATURE,
    EntmaxKMeans: {
        "alpha": [0.9, 1.0005, 2.1, 0, -1.5, "x", None, [1.5], 1j, NAN, INF, -INF],
        "sparse_output": ["yes", 2, None, NAN],
        **TEMPERATURE,
        "temperature": [*TEMPERATURE["temperature"], "ml"],
    },
    AnnealedRBFKMeans: {
        **TEMPERATURE,
        "alpha": [0.9, 1.0005, 2.1, "x", None, NAN, INF],
        "temperature_max": ["hot", None, [1.0], 1j, -1.0, NAN, INF],
        "temperature_min": ["auto", None, [1.0], 1j, -1.0, NAN, INF],
        "cooling_rate": ["slow", None, 1j, 0, 1, -0.5, NAN, INF, [1, 2], [-1], ["a"]],
        "max_iter_per_temperature": ["10", None, 1.5, 0, -1, NAN, INF],
        "solver": ["adam", None, 1],
        "loss": ["inertia", None, "distortion"],
        "relocate": ["yes", None, 2],
    },
    MaxEntropyKMeans: {
        "alpha": [0.9, 1.0005, 2.1, "x", None, NAN, INF],
        "distortion": ["low", None, [1.0], 1j, 0.0, -0.5, 1.0, 1.5, NAN, INF],
        "distortion_unit": ["critical", None, 1, NAN],
    },
    TruncatedKMeans: {
        **TEMPERATURE,
        "alpha": [0.9, 1.0005, 2.1, "x", None, NAN, INF],
        "n_active": ["all", None, 0, -1, 1.5, [3], NAN, INF],
        "n_neighbors": ["all", None, 0, -1, 2, 3.5, [16], NAN, INF],
        "learn_weights": ["yes", 2, None, NAN],
        "sparse_output": ["yes", 2, None, NAN],
    },
}
BAD_X = {
    "1-D": X[:, 0],
    "3-D": X[np.newaxis],
    "scalar": 3.0,
    "None": None,
    "ragged": RAGGED,
    "no samples": np.empty((0, 3)),
    "no features": np.empty((5, 0)),
    "strings": [["a", "b"], ["c", "d"]],
    "complex": X + 1j,
    "object": put(X, "a", object),
    "None inside": put(X, None, object),
    "NaN": put(X, NAN),
    "inf": put(X, INF),
    "sparse NaN": sparse.csr_array(put(X, NAN)),
    "sparse complex": sparse.csr_array(X + 1j),
    "sparse without samples": sparse.csr_array((0, 3)),
}
BAD_WEIGHTS = {
    "too few": WEIGHTS[1:],
    "2-D": WEIGHTS[:, np.newaxis],
    "3-D": WEIGHTS[:, np.newaxis, np.newaxis],
    "ragged": [[1.0, 2.0]] + 19 * [[1.0]],
    "empty": [],
    "strings": 20 * ["a"],
    "complex": WEIGHTS + 1j,
    "object": np.full(20, None),
    "NaN": put(WEIGHTS, NAN),
    "inf": put(WEIGHTS, INF),
    "negative": put(WEIGHTS, -1),
    "zeros": np.zeros(20),
    "scalar NaN": NAN,
    "scalar inf": INF,
    "scalar -1": -1.0,
    "scalar 0": 0.0,
}
SPARSE_WEIGHTS = sparse.csr_array(WEIGHTS[np.newaxis])
BAD_INIT = {
    "1-D": CENTERS[0],
    "3-D": CENTERS[np.newaxis],
    "ragged": RAGGED,
    "empty": [],
    "strings": 4 * [3 * ["a"]],
    "complex": CENTERS + 1j,
    "object": np.full((4, 3), None),
    "NaN": put(CENTERS, NAN),
    "inf": put(CENTERS, INF),
    "square overflows": 1e200 * CENTERS,
    "negative share": put(MEMBERSHIPS, -0.1),
    "rows not 1": put(MEMBERSHIPS, 0.9),
    "NaN share": put(MEMBERSHIPS, NAN),
    "column without weight": np.eye(4)[np.arange(20) % 3],
    "callable gives 1-D": gives(CENTERS[0]),
    "callable gives NaN": gives(put(CENTERS, NAN)),
    "callable gives None": gives(None),
    "callable gives strings": gives(4 * [3 * ["a"]]),
    "callable gives complex": gives(CENTERS + 1j),
}
FEW_CENTERS, NARROW_CENTERS = CENTERS[:3], CENTERS[:, :2]
OTHER_SHAPES = [FEW_CENTERS, NARROW_CENTERS, MEMBERSHIPS[1:], MEMBERSHIPS[:, 1:]]
SCALES = [(np.float64, 1e200), (np.float64, 1e-200), (np.float32, 1e30)]
SCALES += [(np.float32, 1e-30)]
SCALED = {
    f"{container.__name__} {scale} {dtype.__name__}": container(
        (X * scale).astype(dtype)
    )
    for container in (np.array, sparse.csr_array)
    for dtype, scale in SCALES
}


def table():
    """Give cases: a name, parameters, what goes to fit, the error and its text."""
    for name, values in PARAMETERS.items():
        text = f"The '{name}' parameter of ESTIMATOR must be"
        for value in values:
            yield f"{name}={value!r}", {name: value}, {}, (ValueError, text)
    text = "The 'init' parameter of ESTIMATOR must be"
    yield "init sparse", {"init": sparse.csr_array(CENTERS)}, {}, (TypeError, text)
    for name, value in BAD_X.items():
        yield f"X {name}", {}, {"X": value}, (ValueError, r"\bX\b")
    yield "X few", {}, {"X": X[:3]}, (ValueError, "n_samples=3 .* n_clusters=4")
    few = {"sample_weight": np.arange(20) < 3}
    yield "X few weighted", {}, few, (ValueError, "n_samples=3 .* n_clusters=4")
    for name, value in SCALED.items():
        yield f"X {name}", {}, {"X": value}, (ValueError, "scale of X")
    text = r"\bsample_weight\b"
    for name, value in BAD_WEIGHTS.items():
        given = {"sample_weight": value}
        yield f"sample_weight {name}", {}, given, (ValueError, text)
    given = {"sample_weight": SPARSE_WEIGHTS}
    yield "sample_weight sparse", {}, given, (TypeError, text)
    for name, value in BAD_INIT.items():
        yield f"init {name}", {"init": value}, {}, (ValueError, r"\binit\b")
    for value in OTHER_SHAPES:
        start = f"The shape of the initial centers {value.shape} does not match the "
        error = ValueError, "^" + re.escape(start) + r".* memberships .*\(20, 4\)"
        yield f"init shape {value.shape}", {"init": value}, {}, error
        yield f"callable gives {value.shape}", {"init": gives(value)}, {}, error
    given = {"init": gives(sparse.csr_array(CENTERS))}
    yield "callable gives sparse", given, {}, (TypeError, r"\binit\b")
    weighted = {"sample_weight": np.arange(20) % 4 > 0}
    one_hot = {"init": np.eye(4)[np.arange(20) % 4]}
    yield "init column weighs 0", one_hot, weighted, (ValueError, r"\binit\b.*column 0")


@pytest.mark.parametrize(
    ("parameters", "given", "error"), [pytest.param(*c, id=i) for i, *c in table()]
)
def test_bad_input(estimator_class, parameters, given, error):
    model = estimator_class(**{"n_clusters": 4} | parameters)
    expected, text = error
    text = text.replace("ESTIMATOR", estimator_class.__name__)
    assert_refused(model, {"X": X} | given, expected, text)


def assert_refused(model, given, expected, text):
    """Assert that fit raises an error and leaves the model as it was."""
    before = dict(vars(model))
    with pytest.raises(expected, match=text):
        model.fit(**given)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    assert vars(model) == before


OWN_CASES = [
    pytest.param(
        estimator_class(4, **{name: value}),
        name,
        id=f"{estimator_class.__name__}-{name}={value!r}",
    )
    for estimator_class, parameters in OWN_PARAMETERS.items()
    for name, values in parameters.items()
    for value in values
]


@pytest.mark.parametrize(("model", "name"), OWN_CASES)
def test_bad_parameters_of_their_own(model, name):
    assert_refused(model, {"X": X}, ValueError, rf"\b{name}\b")


@pytest.mark.with_temperature
def test_a_temperature_that_overflows(estimator_class):
    model = estimator_class(4, temperature=1e308, temperature_unit="critical")
    assert_refused(model, {"X": X}, ValueError, r"\btemperature\b")


def test_a_temperature_is_refused_with_the_parameter_that_excludes_it():
    model = EntmaxKMeans(4, alpha=2, temperature="ml")
    text = r"^temperature must be .* got 'ml' with alpha=2"
    assert_refused(model, {"X": X}, ValueError, text)


def interrupt(X, n_clusters, random_state):
    """Behave as a user who loses patience."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("parameters", "given"),
    [
        ({}, {"X": X[:, :2], "sample_weight": -WEIGHTS}),
        ({}, {"X": X[:3, :2]}),
        ({}, {"X": 1e200 * X[:, :2]}),
        ({"init": CENTERS}, {"X": X[:, :2]}),
        ({"init": gives(CENTERS)}, {"X": X[:, :2]}),
        ({"init": interrupt}, {"X": X[:, :2]}),
        ({"tol": -1}, {"X": X[:, :2]}),
    ],
    ids=["weights", "few", "scale", "init", "callable", "interrupt", "parameter"],
)
def test_a_failed_second_fit_leaves_the_first(estimator_class, parameters, given):
    model = estimator_class(4, random_state=0).fit(X)
    fitted = {name: value for name, value in vars(model).items() if name[-1] == "_"}
    labels = model.predict(X)
    with pytest.raises((ValueError, KeyboardInterrupt)):
        model.set_params(**parameters).fit(**given)
    for name, value in fitted.items():
        assert getattr(model, name) is value
    assert {name for name in vars(model) if name[-1] == "_"} == set(fitted)
    np.testing.assert_array_equal(model.predict(X), labels)


def test_a_failed_second_fit_leaves_feature_names(estimator_class):
    pd = pytest.importorskip("pandas")
    model = estimator_class(4, random_state=0).fit(pd.DataFrame(X, columns=list("abc")))
    with pytest.raises(ValueError, match="sample_weight"):
        model.fit(pd.DataFrame(X, columns=list("xyz")), sample_weight=-WEIGHTS)
    assert list(model.feature_names_in_) == list("abc")


@pytest.mark.parametrize("method", METHODS)
def test_methods_of_an_unfitted_model(estimator_class, method):
    text = f"{estimator_class.__name__} instance is not fitted"
    with pytest.raises(NotFittedError, match=text):
        getattr(estimator_class(), method)(X)


@pytest.mark.parametrize("method", ["sample", "get_feature_names_out"])
def test_methods_without_data_of_an_unfitted_model(estimator_class, method):
    text = f"{estimator_class.__name__} instance is not fitted"
    with pytest.raises(NotFittedError, match=text):
        getattr(estimator_class(), method)()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (X[:, :2], "X has 2 features, but ESTIMATOR is expecting 3 features"),
        (put(X, NAN), r"\bX\b"),
        (X[0], r"\bX\b"),
        (1e200 * X, "scale of X"),
        (sparse.csr_array(1e200 * X), "scale of X"),
    ],
    ids=["features", "NaN", "1-D", "scale", "sparse scale"],
)
@pytest.mark.parametrize("method", METHODS)
def test_methods_on_bad_data(estimator_class, method, value, text):
    model = estimator_class(4, random_state=0).fit(X)
    text = text.replace("ESTIMATOR", estimator_class.__name__)
    with pytest.raises(ValueError, match=text):
        getattr(model, method)(value)


@pytest.mark.parametrize("weights", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS.keys())
def test_score_with_bad_weights(estimator_class, weights):
    model = estimator_class(4, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"\bsample_weight\b"):
        model.score(X, sample_weight=weights)


@pytest.mark.parametrize("n_samples", [0, -1, 1.5, "2", None, NAN])
def test_sample_of_a_bad_size(estimator_class, n_samples):
    model = estimator_class(4, random_state=0).fit(X)
    with pytest.raises(ValueError, match="n_samples must be an int"):
        model.sample(n_samples)


def critical_table():
    """Give cases: a name, X, keywords and the text of the error."""
    for alpha in (0.5, 3.0, "1", None, NAN, INF):
        yield f"alpha={alpha!r}", X, {"alpha": alpha, "n_clusters": 4}, "'alpha'"
    yield "n_clusters missing", X, {"alpha": 1.5}, "n_clusters"
    for n_clusters in (0, 2.5, "4", NAN):
        yield f"n_clusters={n_clusters}", X, {"n_clusters": n_clusters}, "'n_clusters'"
    for name, value in (BAD_X | SCALED).items():
        yield f"X {name}", value, {}, r"\bX\b"
    for name, value in BAD_WEIGHTS.items():
        given = {"sample_weight": value}
        yield f"sample_weight {name}", X, given, r"\bsample_weight\b"


@pytest.mark.parametrize(
    ("data", "given", "text"), [pytest.param(*c, id=i) for i, *c in critical_table()]
)
def test_bad_input_of_critical_temperature(data, given, text):
    with pytest.raises(ValueError, match=text):
        critical_temperature(data, **given)


@pytest.mark.parametrize("container", [np.array, sparse.csr_array])
@pytest.mark.parametrize("method", ["predict", "transform", "score"])
def test_float32_samples_out_of_reach_of_float64_centers(
    estimator_class, method, container
):
    model = estimator_class(4, random_state=0).fit(1e100 * X)
    with pytest.raises(ValueError, match="scale of X"):
        getattr(model, method)(container(X.astype(np.float32)))


@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(1e-150, "d"), (1e150, "d"), (1e-15, "f"), (1e15, "f")],
)
def test_scales_up_to_the_limit(estimator_class, scale, dtype):
    data = (scale * X).astype(dtype)
    model = estimator_class(4, init=scale * CENTERS).fit(data)
    unscaled = estimator_class(4, init=CENTERS).fit(X.astype(dtype))
    centers = model.cluster_centers_ / data.dtype.type(scale)
    np.testing.assert_allclose(centers, unscaled.cluster_centers_, atol=1e-5)
    np.testing.assert_array_equal(model.predict(data), unscaled.labels_)
