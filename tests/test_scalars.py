"""Parameters that are scalars of NumPy, of any width, or too large for a float."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    MaxEntropyKMeans,
    SoftKMeans,
    TemperaturePathDisplay,
    TruncatedKMeans,
    critical_temperature,
    entmax,
    metrics,
    temperature_path,
)

INTEGERS = [t for kind in "ilqhbILQHB" for t in [np.dtype(kind).type]]
FLOATS = [np.float16, np.float32, np.float64, np.longdouble]
# Of each parameter that is a number, one that every type can hold.
WHOLE = {
    "n_clusters": 3,
    "n_init": 2,
    "max_iter": 100,
    "max_iter_per_temperature": 2,
    "n_active": 2,
    "n_neighbors": 4,
    "random_state": 5,
    "verbose": 0,
}
REAL = {
    "temperature": 2.0,
    "tol": 2.0**-10,
    "alpha": 1.5,
    "cooling_rate": 0.5,
    "temperature_max": 4.0,
    "temperature_min": 0.5,
    "distortion": 0.25,
}
OTHER = {
    "init",
    "transform_to",
    "temperature_unit",
    "distortion_unit",
    "solver",
    "loss",
}
TRUTH = {"sparse_output", "learn_weights", "relocate"}
CLASSES = [
    SoftKMeans,
    EntmaxKMeans,
    AnnealedRBFKMeans,
    MaxEntropyKMeans,
    TruncatedKMeans,
]


def typed(value):
    """Give a number as every scalar of NumPy that can hold it."""
    for scalar in [*INTEGERS, *FLOATS]:
        if scalar(value) == value:
            yield scalar(value)


def cases():
    """Give each estimator with each of its parameters that is a number or a truth."""
    for estimator_class in CLASSES:
        for name in estimator_class().get_params():
            if name not in OTHER:
                yield pytest.param(
                    estimator_class, name, id=f"{estimator_class.__name__}-{name}"
                )


def fitted(estimator_class, X, **params):
    """Return the bytes of all that is fitted, and their types."""
    model = estimator_class(**{"n_clusters": 3, "random_state": 0} | params).fit(X)
    given = model.get_params()
    assert all(given[name] is value for name, value in params.items())
    return {
        name: (type(value), np.asarray(value).dtype, np.asarray(value).tobytes())
        for name, value in vars(model).items()
        if name.endswith("_")
    } | {"memberships": model.predict_proba(X).sum(axis=0).tobytes()}


@pytest.mark.filterwarnings("ignore:distortion=.* was not reached")
@pytest.mark.parametrize(("cls", "name"), list(cases()))
def test_a_scalar_of_numpy_is_the_number(cls, name, blobs, dtype):
    X = blobs[:60].astype(dtype)
    plain = (dict.fromkeys(TRUTH, True) | WHOLE | REAL)[name]
    others = [np.bool_(plain)] if name in TRUTH else typed(plain)
    if name in WHOLE:
        # Real numbers are no counts, even if they are whole.
        others = [other for other in others if isinstance(other, np.integer)]
    expected = fitted(cls, X, **{name: plain})
    for other in others:
        assert fitted(cls, X, **{name: other}) == expected, repr(other)


def same(function, plain):
    """Assert that a function of a number gives the same of every scalar."""
    expected = function(plain)
    for other in typed(plain):
        found = function(other)
        assert type(found) is type(expected)
        assert_array_equal(found, expected, strict=True)


def test_functions_take_scalars_of_numpy_for_numbers(blobs):
    X = blobs[:60]
    same(lambda alpha: critical_temperature(X, n_clusters=3, alpha=alpha), 1.5)
    for dtype in (np.float32, np.float64):
        same(lambda alpha, dtype=dtype: entmax(X.astype(dtype), alpha=alpha), 1.5)
    for integer in INTEGERS:
        k = integer(3)
        assert critical_temperature(X, n_clusters=k, alpha=1.5) == critical_temperature(
            X, n_clusters=3, alpha=1.5
        )
        assert_array_equal(entmax(X, axis=integer(1)), entmax(X, axis=1))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("n_clusters", 3),
        ("n_temperatures", 4),
        ("max_iter", 100),
        ("alpha", 1.5),
        ("tol", 2.0**-10),
        ("random_state", 5),
    ],
)
def test_a_path_takes_scalars_of_numpy(blobs, name, plain):
    X = blobs[:40]
    base = {"n_clusters": 2, "n_temperatures": 3, "tol": 1e-3, "random_state": 0}
    expected = temperature_path(X, **base | {name: plain})
    for other in typed(plain):
        if isinstance(plain, int) and not isinstance(other, np.integer):
            continue
        found = temperature_path(X, **base | {name: other})
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("scalar", FLOATS)
def test_a_given_cooling_takes_scalars_of_numpy(blobs, scalar):
    def fit(rates):
        return AnnealedRBFKMeans(3, cooling_rate=rates, random_state=0).fit(blobs)

    expected = fit([8.0, 4.0, 2.0]).path_.tobytes()
    assert fit([scalar(8), scalar(4), scalar(2)]).path_.tobytes() == expected
    by_index = lambda i: scalar([8, 4, 2, 0][i])
    assert fit(by_index).path_.temperature.max() == 8


def test_samples_indices_and_truths(blobs):
    model = SoftKMeans(3, random_state=0).fit(blobs)
    path = temperature_path(blobs[:40], 2, n_temperatures=3, tol=1e-3, random_state=0)
    P = model.predict_proba(blobs)
    for integer in INTEGERS:
        assert_array_equal(model.sample(integer(9))[0], model.sample(9)[0])
        display = TemperaturePathDisplay(path=path).plot(feature=integer(1))
        assert display.ax_.get_ylabel().startswith("feature 1")
    for function in (metrics.partition_coefficient, metrics.partition_entropy):
        assert function(P, normalized=np.True_) == function(P, normalized=True)


def test_small_integers_do_not_overflow(blobs):
    assert (
        len(SoftKMeans(np.uint8(10), random_state=0).fit(blobs).cluster_centers_) == 10
    )
    model = TruncatedKMeans(np.int64(20), random_state=0).fit(blobs)
    assert model.predict_proba(blobs).shape == (300, 20)
    search = GridSearchCV(
        TruncatedKMeans(random_state=0),
        {"n_clusters": np.arange(2, 5)},
        error_score="raise",
    )
    assert search.fit(blobs).best_params_["n_clusters"] in (2, 3, 4)


def test_half_and_single_precision_do_not_round(blobs):
    X = 100 * blobs
    # .7 in half precision: 1e6 times its powers ended at a temperature that fell no
    # more.
    rate = np.float16(0.7)
    annealed = AnnealedRBFKMeans(
        3, temperature_max=1e6, cooling_rate=rate, random_state=0
    )
    expected = 1e6 * float(rate) ** np.arange(3)
    assert_array_equal(annealed.fit(X).path_.temperature[:3], expected)
    solved = MaxEntropyKMeans(5, distortion=np.float16(0.3), random_state=0).fit(X)
    assert np.isfinite(solved.temperature_)
    far = SoftKMeans(3, tol=np.float32(1e-4), random_state=0).fit(1e20 * blobs)
    assert far.converged_
    assert far.n_iter_ > 3


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (SoftKMeans, "temperature"),
        (SoftKMeans, "tol"),
        (AnnealedRBFKMeans, "temperature_max"),
        (AnnealedRBFKMeans, "temperature_min"),
        (MaxEntropyKMeans, "distortion"),
    ],
)
def test_a_number_too_large_for_a_float_is_an_error_that_names_it(cls, name, blobs):
    model = cls(3, **{name: 10**400})
    with pytest.raises(ValueError, match=f"'{name}' parameter.* must be at most"):
        model.fit(blobs)


HUGE = [10**400, Fraction(10**400), np.longdouble("1e4000")]


@pytest.mark.parametrize(
    ("cls", "name", "value", "message"),
    [
        (SoftKMeans, "temperature", "1e4000", "must be at most"),
        (SoftKMeans, "tol", "1e4000", "must be at most"),
        (AnnealedRBFKMeans, "cooling_rate", "1e-4000", "must be"),
        (AnnealedRBFKMeans, "cooling_rate", "0.99999999999999999994", "must be"),
        (MaxEntropyKMeans, "distortion", "1e-4000", "must be"),
    ],
)
def test_a_long_double_that_rounds_out_of_the_range(cls, name, value, message, blobs):
    value = np.longdouble(value)
    if value == float(value):
        pytest.skip("long doubles are doubles here")
    with pytest.raises(ValueError, match=f"'{name}' parameter.* {message}"):
        cls(3, **{name: value}).fit(blobs)


@pytest.mark.parametrize("huge", HUGE, ids=["int", "fraction", "longdouble"])
def test_temperatures_too_large_for_a_float_are_errors_that_name_them(huge, blobs):
    model = AnnealedRBFKMeans(3, cooling_rate=[huge, 1.0])
    with pytest.raises(ValueError, match="cooling_rate must give finite"):
        model.fit(blobs)
    with pytest.raises(ValueError, match="temperatures"):
        temperature_path(blobs, 3, temperatures=[huge, 1.0])
