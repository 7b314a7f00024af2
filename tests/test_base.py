"""The methods and fitted attributes that all estimators share."""

import copy
import io
import pickle
import re

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, logsumexp
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_softkmeans import SoftKMeans, critical_temperature

TEMPERATURES = pytest.mark.temperatures(0, 1e-300, "auto", "ml", 1e6, "solved")
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
GRID = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), axis=-1).reshape(-1, 2)
DENSE_AND_SPARSE = pytest.mark.parametrize("container", [np.array, csr_array])
# What is warned of has tests of its own.
QUIET = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def distances(model, X):
    """Return the squared distances of dense samples to the centers."""
    centers = model.cluster_centers_.astype(np.float64)
    return cdist(X.astype(np.float64), centers, "sqeuclidean")


def log_density(model, X):
    """Return the log-density of dense samples under the isotropic mixture."""
    v, (k, d) = model.variance_, model.cluster_centers_.shape
    logs = logsumexp(-distances(model, X) / (2 * v), axis=1)
    return logs - np.log(k) - d / 2 * np.log(2 * np.pi * v)


def fitted_bytes(model):
    """Return the fitted attributes as bytes."""
    fitted = {name: value for name, value in vars(model).items() if name[-1] == "_"}
    return {name: np.asarray(value).tobytes() for name, value in fitted.items()}


@pytest.fixture
def model(estimator_class, blobs):
    """Return a model of the blobs."""
    return estimator_class(5, random_state=0).fit(blobs)


@pytest.fixture
def weights():
    """Return weights of the blobs, some of them 0."""
    return 1.5 * np.random.RandomState(0).randint(0, 4, 300)


# Responsibilities and labels


@QUIET
@DENSE_AND_SPARSE
@TEMPERATURES
@pytest.mark.parametrize("ties", [False, True])
def test_labels_are_the_largest_responsibilities(
    estimator_class, blobs, ties, temperature, container, dtype, at
):
    X = container((GRID if ties else blobs).astype(dtype))
    model = estimator_class(5, **at(temperature), random_state=0).fit(X)
    proba = model.predict_proba(X)
    assert proba.dtype == dtype
    assert model.labels_.dtype == np.int32
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    largest = proba[np.arange(len(proba)), model.labels_]
    np.testing.assert_array_equal(largest, proba.max(axis=1))
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
    if not ties and temperature != 1e6:
        np.testing.assert_array_equal(proba.argmax(axis=1), model.labels_)


@QUIET
@DENSE_AND_SPARSE
@pytest.mark.temperatures(1e-300, "auto", "ml", 1e6, "solved")
def test_responsibilities_by_definition(
    estimator_class, definition, blobs, temperature, container, dtype, at
):
    X = blobs.astype(dtype)
    model = estimator_class(5, **at(temperature), random_state=0).fit(container(X))
    expected = definition.responsibilities(distances(model, X), model.temperature_)
    atol = 1e-12 if dtype == np.float64 else 1e-5
    proba = model.predict_proba(container(X))
    np.testing.assert_allclose(proba, expected, rtol=0, atol=atol)
    np.testing.assert_array_equal(model.labels_, expected.argmax(axis=1))


@pytest.mark.temperatures(0)
@DENSE_AND_SPARSE
def test_responsibilities_at_temperature_0(
    estimator_class, temperature, container, blobs, dtype
):
    X = blobs.astype(dtype)
    model = estimator_class(5, temperature=temperature, random_state=0).fit(
        container(X)
    )
    expected = np.eye(5)[distances(model, X).argmin(axis=1)]
    np.testing.assert_array_equal(model.predict_proba(container(X)), expected)
    with np.errstate(divide="ignore"):
        expected = np.log(expected)
    np.testing.assert_array_equal(model.predict_log_proba(container(X)), expected)


@QUIET
@DENSE_AND_SPARSE
@TEMPERATURES
def test_log_responsibilities_are_logarithms(
    estimator_class, blobs, temperature, container, dtype, at
):
    X = container(blobs.astype(dtype))
    model = estimator_class(5, **at(temperature), random_state=0).fit(X)
    log_proba, proba = model.predict_log_proba(X), model.predict_proba(X)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(np.exp(log_proba), proba, rtol=rtol, atol=1e-30)
    assert log_proba.dtype == dtype


@DENSE_AND_SPARSE
@pytest.mark.parametrize("temperature", [0.01, 1.0])
def test_log_responsibilities_do_not_underflow(blobs, temperature, container, dtype):
    X = blobs.astype(dtype)
    model = SoftKMeans(5, temperature=temperature, random_state=0).fit(container(X))
    log_proba = model.predict_log_proba(container(X))
    expected = log_softmax(-distances(model, X) / model.temperature_, axis=1)
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(log_proba, expected, rtol=rtol, atol=100 * rtol)
    assert log_proba.dtype == dtype
    assert (model.predict_proba(container(X)) == 0).any()


@pytest.mark.temperatures(0, 5.0, "auto", "solved")
def test_attributes_by_definition(
    estimator_class, definition, blobs, weights, temperature, at
):
    model = estimator_class(5, **at(temperature), random_state=0)
    model.fit(blobs, sample_weight=weights)
    d, T = distances(model, blobs), model.temperature_
    soft_inertia = weights @ (definition.responsibilities(d, T) * d).sum(axis=1)
    expected = {
        "inertia_": weights @ d.min(axis=1),
        "soft_inertia_": soft_inertia,
        "free_energy_": weights @ definition.free_energies(d, T),
        "variance_": soft_inertia / (4 * weights.sum()),
    }
    got = {name: getattr(model, name) for name in expected}
    assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.temperatures("auto", "ml")
def test_learned_temperatures_by_definition(
    estimator_class, blobs, weights, temperature, factor
):
    parameters = {"temperature": temperature, "tol": 1e-10, "max_iter": 10_000}
    model = estimator_class(5, **parameters, random_state=0)
    model.fit(blobs, sample_weight=weights)
    assert model.temperature_ == pytest.approx(factor * model.variance_, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_types_of_attributes(estimator_class, blobs, weights, weighted, dtype):
    model = estimator_class(5, random_state=0)
    model.fit(blobs.astype(dtype), sample_weight=weights if weighted else None)
    assert model.cluster_centers_.dtype == dtype
    assert model.free_energies_.shape == model.temperatures_.shape == (model.n_iter_,)
    assert model.free_energies_.dtype == model.temperatures_.dtype == np.float64
    assert (type(model.n_iter_), type(model.converged_)) == (int, bool)
    energies = ["inertia_", "soft_inertia_", "free_energy_"]
    for name in [*energies, "temperature_", "variance_"]:
        assert type(getattr(model, name)) is float, name


# transform


@DENSE_AND_SPARSE
def test_transform(estimator_class, blobs, container, dtype):
    X = container(blobs.astype(dtype))
    model = estimator_class(5, random_state=0).fit(X)
    expected = np.sqrt(distances(model, blobs.astype(dtype)))
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-6)
    assert model.transform(X).dtype == dtype
    model.set_params(transform_to="responsibilities")
    np.testing.assert_array_equal(model.transform(X), model.predict_proba(X))


@pytest.mark.temperatures(0)
@DENSE_AND_SPARSE
@pytest.mark.parametrize("n_features", [3, 30])
def test_a_sample_on_its_center_is_at_distance_0(
    estimator_class, temperature, n_features, container, dtype
):
    X = np.random.RandomState(0).standard_normal((12, n_features)).astype(dtype)
    X[X < 0.1] = 0
    model = estimator_class(12, temperature=temperature, init=X).fit(container(X))
    nearest = model.transform(container(X)).min(axis=1)
    # But for the rounding of the center, which is a mean plus a difference.
    assert nearest.max() < 8 * np.finfo(dtype).eps * np.linalg.norm(X, axis=1).max()


@DENSE_AND_SPARSE
@pytest.mark.parametrize("transform_to", ["distances", "responsibilities"])
def test_fit_and_transform_or_predict(
    estimator_class, blobs, weights, container, transform_to
):
    X = container(blobs)
    model = estimator_class(5, transform_to=transform_to, random_state=0)
    expected = model.fit(X, sample_weight=weights).transform(X)
    labels = model.labels_
    transformed = clone(model).fit_transform(X, sample_weight=weights)
    np.testing.assert_array_equal(transformed, expected)
    predicted = clone(model).fit_predict(X, sample_weight=weights)
    np.testing.assert_array_equal(predicted, labels)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("transform_to", ["distances", "responsibilities"])
def test_frames_out(blobs, model, library, transform_to):
    frames = pytest.importorskip(library)
    model = clone(model).set_params(transform_to=transform_to)
    names = [f"{type(model).__name__.lower()}{i}" for i in range(5)]
    assert list(model.fit(blobs).get_feature_names_out()) == names
    expected = model.transform(blobs)
    model.set_output(transform=library)
    for out in (model.transform(blobs), clone(model).fit_transform(blobs)):
        assert isinstance(out, frames.DataFrame)
        assert list(out.columns) == names
        np.testing.assert_array_equal(out, expected)


def test_pandas_index_is_kept(blobs, model):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(blobs, columns=list("abcd")).iloc[::-1]
    out = clone(model).set_output(transform="pandas").fit_transform(frame)
    assert (out.index == frame.index).all()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_in(blobs, model, library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame(dict(zip("abcd", blobs.T, strict=True)))
    framed = clone(model).fit(frame)
    assert list(framed.feature_names_in_) == list("abcd")
    assert set(vars(framed)) - set(vars(model)) == {"feature_names_in_"}
    np.testing.assert_array_equal(framed.cluster_centers_, model.cluster_centers_)
    np.testing.assert_array_equal(framed.predict(frame), model.labels_)
    with pytest.raises(ValueError, match="feature names should match"):
        framed.predict(frame[["b", "a", "c", "d"]])


# score, bic, aic, sample


@QUIET
@DENSE_AND_SPARSE
@pytest.mark.temperatures(0, "auto", "ml", 1e6, "solved")
def test_score_by_definition(
    estimator_class, blobs, weights, temperature, container, dtype, at
):
    X = blobs.astype(dtype)
    model = estimator_class(5, **at(temperature), random_state=0).fit(container(X))
    expected = log_density(model, X)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    score_samples = model.score_samples(container(X))
    np.testing.assert_allclose(score_samples, expected, rtol=rtol)
    assert score_samples.dtype == dtype
    score = model.score(container(X))
    assert score == pytest.approx(expected.mean(), rel=rtol)
    assert type(score) is float
    weighted = model.score(container(X), sample_weight=weights)
    assert weighted == pytest.approx(np.average(expected, weights=weights), rel=rtol)


@pytest.mark.temperatures(0, "auto", "solved")
def test_sample(estimator_class, blobs, seed, dtype, temperature, at):
    model = estimator_class(5, **at(temperature), random_state=seed)
    centers = model.fit(blobs.astype(dtype)).cluster_centers_
    X, y = model.sample(20_000)
    assert X.shape == (20_000, 4)
    assert X.dtype == dtype
    assert (np.diff(y) >= 0).all()
    # All within five standard errors.
    assert abs(np.bincount(y) - 4000).max() < 5 * np.sqrt(4000 * 0.8)
    means = np.array([X[y == i].mean(axis=0) for i in range(5)])
    assert abs(means - centers).max() < 5 * np.sqrt(model.variance_ / 3500)
    variance = (X - centers[y]).var()
    assert abs(variance / model.variance_ - 1) < 5 * np.sqrt(2 / X.size)


def test_sample_repeats_with_an_integer_random_state(model):
    for first, second in zip(model.sample(7), model.sample(7), strict=True):
        np.testing.assert_array_equal(first, second)


# What is left as it was


@DENSE_AND_SPARSE
@pytest.mark.parametrize("method", METHODS)
def test_methods_do_not_change_the_model(blobs, model, method, container):
    before, names = fitted_bytes(model), set(vars(model))
    getattr(model, method)(container(blobs[::3]))
    model.sample(3)
    assert fitted_bytes(model) == before
    assert set(vars(model)) == names


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


LAYOUTS = {
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "strided": lambda X: X[::2, ::-1],
    "integer": lambda X: X.astype(int),
    "bool": lambda X: X > 0,
    "float16": lambda X: X.astype(np.float16),
    "big-endian": lambda X: X.astype(">f8"),
    "longdouble": lambda X: X.astype(np.longdouble),
    "list": lambda X: X.tolist(),
    "float32 Fortran": lambda X: np.asfortranarray(X, np.float32),
    "float32 strided": lambda X: X.astype(np.float32)[::-3, 1:],
}


@pytest.mark.temperatures(0, "auto", "solved")
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_any_array_gives_what_a_plain_one_gives(
    estimator_class, blobs, layout, temperature, at
):
    given = layout(blobs)
    untouched = copy.deepcopy(given)
    dtype = np.float32 if np.asarray(given).dtype == np.float32 else np.float64
    plain = np.array(given, dtype=dtype, order="C")
    model = estimator_class(5, **at(temperature), random_state=0)
    expected = fitted_bytes(clone(model).fit(plain))
    assert fitted_bytes(model.fit(given)) == expected
    np.testing.assert_array_equal(model.predict(given), model.labels_)
    np.testing.assert_array_equal(given, untouched)


def test_memmap(blobs, tmp_path, model):
    np.save(tmp_path / "X.npy", blobs)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert fitted_bytes(clone(model).fit(on_disk)) == fitted_bytes(model)
    np.testing.assert_array_equal(model.predict(on_disk), model.labels_)


@pytest.mark.parametrize("sort", [True, False])
@pytest.mark.with_temperature
def test_sparse_input_is_not_changed(estimator_class, sort):
    # Of scaled counts no two distances are equal.
    scales = np.sqrt([2, 3, 5, 7, 11, 13])
    X = csr_array(np.random.RandomState(0).poisson(0.5, (60, 6)) * scales)
    if not sort:
        for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
            X.indices[start:stop] = X.indices[start:stop][::-1]
            X.data[start:stop] = X.data[start:stop][::-1]
        X.has_sorted_indices = False
    given = X.copy()
    for array in (given.data, given.indices, given.indptr):
        array.flags.writeable = False
    model = estimator_class(4, random_state=0).fit(given)
    model.transform(given)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(given, name), getattr(X, name))
    dense = estimator_class(4, random_state=0).fit(X.toarray())
    # Dense data are centered: a center of zeros is rounded.
    centers = dense.cluster_centers_
    np.testing.assert_allclose(model.cluster_centers_, centers, atol=1e-15)


@pytest.mark.temperatures(0, "auto", "solved")
def test_duplicate_entries_of_csr_are_summed(estimator_class, temperature, at):
    X = csr_array(np.random.RandomState(0).poisson(0.5, (60, 6)).astype(float))
    halves = np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr
    given = csr_array(halves, shape=X.shape)
    model = estimator_class(4, **at(temperature), init=X[:4].toarray()).fit(given)
    expected = estimator_class(4, **at(temperature), init=X[:4].toarray()).fit(X)
    assert model.inertia_ == pytest.approx(expected.inertia_)
    assert model.score(given) == pytest.approx(expected.score(X))
    np.testing.assert_allclose(model.transform(given), expected.transform(X))
    assert given.nnz == 2 * X.nnz


def dumped(model):
    """Return the model after a round trip through joblib."""
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.parametrize(
    "trip",
    [lambda m: pickle.loads(pickle.dumps(m)), dumped, copy.copy, copy.deepcopy],
    ids=["pickle", "joblib", "copy", "deepcopy"],
)
def test_round_trips(blobs, model, trip):
    other = trip(model)
    assert fitted_bytes(other) == fitted_bytes(model)
    for method in METHODS:
        expected = getattr(model, method)(blobs)
        np.testing.assert_array_equal(getattr(other, method)(blobs), expected)


@pytest.mark.parametrize("shape", [(5, 4), (300, 5)], ids=["centers", "memberships"])
def test_fit_changes_no_parameter(estimator_class, blobs, shape):
    init = np.random.RandomState(0).dirichlet(np.ones(shape[1]), shape[0])
    model = estimator_class(5, init=init, random_state=np.random.RandomState(0))
    before, kept = model.get_params(), init.copy()
    model.fit(blobs)
    assert all(before[name] is value for name, value in model.get_params().items())
    np.testing.assert_array_equal(init, kept)
    assert not hasattr(clone(model), "cluster_centers_")


# Inside scikit-learn


# joblib does not compute in the forked process that old polars warns of.
@pytest.mark.filterwarnings("ignore:Using fork:RuntimeWarning")
@pytest.mark.with_temperature
def test_grid_search_over_temperatures(estimator_class, alpha, blobs):
    model = estimator_class(5, temperature_unit="critical", random_state=0)
    pipeline = make_pipeline(StandardScaler(), model)
    name = f"{estimator_class.__name__.lower()}__temperature"
    grid = {name: [0.02, 0.05, 0.1, 0.2]}
    search = GridSearchCV(pipeline, grid, n_jobs=2, cv=3).fit(blobs)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    scaled = search.best_estimator_[0].transform(blobs)
    best = search.best_estimator_[1]
    unit = critical_temperature(scaled, n_clusters=5, alpha=alpha)
    assert best.temperature_ / unit == pytest.approx(search.best_params_[name])
    np.testing.assert_array_equal(search.predict(blobs), best.labels_)


def test_metadata_routing_of_weights(estimator_class, blobs, weights):
    plain = estimator_class(5, random_state=0).fit(blobs, sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        model = estimator_class(5, random_state=0).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(model).fit(blobs, sample_weight=weights)
    assert fitted_bytes(pipeline[-1]) == fitted_bytes(plain)


def test_refit_with_other_features(estimator_class, blobs, model):
    pd = pytest.importorskip("pandas")
    fresh = estimator_class(5, random_state=0).fit(blobs[:, :2])
    model.fit(pd.DataFrame(blobs[:, :3], columns=list("abc"))).fit(blobs[:, :2])
    assert fitted_bytes(model) == fitted_bytes(fresh)


# Starts


def objective(model, X, factor):
    """Return what n_init compares: inertia, F' or G."""
    if not factor:
        return model.inertia_ if model.temperature == 0 else model.free_energy_
    T = model.temperature_
    return model.free_energy_ / T + X.size / factor * np.log(T)


@pytest.mark.one_temperature
@QUIET
@pytest.mark.temperatures(0, 5.0, "auto", "ml")
def test_n_init_keeps_the_best(estimator_class, blobs, temperature, factor, seed):
    parameters = {"temperature": temperature, "init": "random", "max_iter": 1000}
    random_state = np.random.RandomState(seed)
    single = estimator_class(5, **parameters, n_init=1, random_state=random_state)
    runs = [copy.copy(single.fit(blobs)) for _ in range(5)]
    best = min(runs, key=lambda run: objective(run, blobs, factor))
    model = estimator_class(5, **parameters, n_init=5, random_state=seed).fit(blobs)
    assert fitted_bytes(model) == fitted_bytes(best)


@pytest.mark.parametrize(
    ("init", "n_init"),
    [
        ("k-means++", 1),
        ("random", 10),
        (lambda X, n_clusters, random_state: X[:n_clusters], 10),
        (GRID[:3], 1),
        (np.eye(3)[np.arange(64) % 3], 1),
    ],
    ids=["k-means++", "random", "callable", "centers", "memberships"],
)
def test_n_init_auto(estimator_class, init, n_init, capsys):
    estimator_class(3, init=init, verbose=1, random_state=0).fit(GRID)
    assert capsys.readouterr().out.count("Initialization complete") == n_init


@pytest.mark.parametrize(
    "init", [GRID[:3], np.eye(3)[np.arange(64) % 3]], ids=["centers", "memberships"]
)
def test_n_init_of_an_array_is_1(estimator_class, init, capsys):
    with pytest.warns(RuntimeWarning) as ours:
        estimator_class(3, init=init, n_init=4, verbose=1).fit(GRID)
    assert capsys.readouterr().out.count("Initialization complete") == 1
    with pytest.warns(RuntimeWarning) as theirs:
        KMeans(3, init=GRID[:3], n_init=4).fit(GRID)
    expected = str(theirs[0].message).replace("KMeans", estimator_class.__name__)
    assert str(ours[0].message) == expected


@DENSE_AND_SPARSE
@pytest.mark.parametrize("offset", [0, 1e3])
def test_init_callable(estimator_class, blobs, container, offset):
    X, seen = container(blobs + offset), []

    def init(X, n_clusters, random_state):
        seen.append((X, n_clusters, random_state))
        return np.array(blobs[:n_clusters] + offset)

    model = estimator_class(5, init=init, n_init=2, random_state=0).fit(X)
    given = estimator_class(5, init=blobs[:5] + offset).fit(X)
    assert fitted_bytes(model) == fitted_bytes(given)
    assert len(seen) == 2
    for data, n_clusters, random_state in seen:
        assert (data != X).sum() == 0
        assert (n_clusters, type(random_state)) == (5, np.random.RandomState)
    if container is np.array:
        assert not seen[0][0].flags.writeable
        assert X.flags.writeable


@DENSE_AND_SPARSE
@pytest.mark.temperatures(0, 1.0, "auto", "solved")
@pytest.mark.parametrize("weighted", [False, True])
def test_memberships_start_from_their_means(
    estimator_class, blobs, weights, weighted, temperature, container, dtype, at
):
    X, w = blobs.astype(dtype), weights if weighted else np.ones(300)
    P = np.random.RandomState(0).dirichlet(np.full(5, 0.2), 300)
    means = (P.T * w) @ X / (P.T @ w)[:, np.newaxis]
    models = [
        estimator_class(5, **at(temperature), init=init, max_iter=10_000).fit(
            container(X), sample_weight=w if weighted else None
        )
        for init in (P, means)
    ]
    ours, theirs = (model.cluster_centers_ for model in models)
    rtol = 1e-8 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)


@pytest.mark.temperatures(0)
def test_centers_win_where_both_shapes_fit(estimator_class, temperature):
    X = np.array([[0.0, 1.0], [1.0, 0.0]])
    model = estimator_class(2, temperature=temperature, init=X[::-1]).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, X[::-1])


# Words


@pytest.mark.temperatures(0, 5.0, "auto", "solved")
def test_verbose(estimator_class, blobs, temperature, capsys, at):
    model = estimator_class(5, **at(temperature), verbose=1, random_state=0)
    start, *iterations, end = model.fit(blobs) and capsys.readouterr().out.splitlines()
    assert start == "Initialization complete"
    assert end.startswith(f"Converged at iteration {model.n_iter_ - 1}: ")
    pattern = re.compile(r"Iteration (\d+), inertia (.+), free energy (.+)\.")
    numbers = np.array([pattern.fullmatch(line).groups() for line in iterations], float)
    np.testing.assert_array_equal(numbers[:, 0], np.arange(model.n_iter_))
    np.testing.assert_allclose(numbers[:, 2], model.free_energies_, rtol=1e-12)
    assert (numbers[:, 1] <= numbers[:, 2] * (1 + 1e-12)).all()
    silent = clone(model).set_params(verbose=0).fit(blobs)
    assert capsys.readouterr().out == ""
    assert fitted_bytes(silent) == fitted_bytes(model)


@pytest.mark.one_temperature
@pytest.mark.parametrize("tol", [0, 1e-2])
def test_verbose_has_the_lines_of_kmeans(estimator_class, blobs, tol, capsys):
    parameters = {"init": blobs[:5], "n_init": 1, "tol": tol, "verbose": 1}
    KMeans(5, **parameters).fit(blobs)
    theirs = capsys.readouterr().out
    estimator_class(5, temperature=0, **parameters).fit(blobs)
    ours = re.sub(r", free energy \S+\.\n", ".\n", capsys.readouterr().out)
    number = re.compile(r"\d+\.\d+(?:e[+-]\d+)?")
    assert number.sub("#", ours) == number.sub("#", theirs)
    ours, theirs = (np.array(number.findall(text), float) for text in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.collapsing
@pytest.mark.parametrize("unit", ["absolute", "critical"])
def test_collapse_is_warned_of(estimator_class, alpha, blobs, unit):
    critical = critical_temperature(blobs, n_clusters=5, alpha=alpha)
    temperature = 4.0 if unit == "critical" else 4 * critical
    model = estimator_class(5, temperature=temperature, temperature_unit=unit)
    text = f"temperature {4 * critical:.6g} .* critical temperature {critical:.6g}"
    with pytest.warns(ConvergenceWarning, match=text) as warned:
        model.fit(blobs)
    assert len(warned) == 1
    assert model.cluster_centers_ - blobs.mean(axis=0) == pytest.approx(0, abs=0.1)


@pytest.mark.one_temperature
def test_no_collapse_is_warned_of_when_hard(estimator_class):
    X = np.array([[-1, 1e-3], [1, 1e-3], [-1, -1e-3], [1, -1e-3]])
    init = [[0, 1e-3], [0, -1e-3]]
    model = estimator_class(2, temperature=0, init=init).fit(X)
    np.testing.assert_allclose(model.cluster_centers_, init, atol=1e-15)


@pytest.mark.one_temperature
@pytest.mark.temperatures(1.0, "auto", "ml")
def test_max_iter_is_warned_of_when_soft(estimator_class, blobs, temperature):
    model = estimator_class(5, temperature=temperature, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        model.fit(blobs)
    assert (model.n_iter_, model.converged_) == (2, False)


@pytest.mark.one_temperature
def test_max_iter_is_not_warned_of_when_hard(estimator_class, blobs):
    model = estimator_class(5, temperature=0, max_iter=2, random_state=0).fit(blobs)
    assert (model.n_iter_, model.converged_) == (2, False)


@pytest.mark.one_temperature
@pytest.mark.parametrize(("temperature", "more"), [(0, ""), (0.1, " Or centers")])
def test_few_distinct_samples_are_warned_of(estimator_class, temperature, more, at):
    X = np.repeat([[0.0, 0], [5, 0], [0, 5]], 4, axis=0)
    with pytest.warns(ConvergenceWarning) as theirs:
        KMeans(5, random_state=0).fit(X)
    with pytest.warns(ConvergenceWarning) as ours:
        estimator_class(5, **at(temperature), random_state=0).fit(X)
    assert len(ours) == 1
    assert str(ours[0].message).startswith(str(theirs[0].message) + more)
    assert bool(more) or str(ours[0].message) == str(theirs[0].message)


# Degenerate data


@DENSE_AND_SPARSE
@TEMPERATURES
def test_one_cluster(
    estimator_class, blobs, weights, temperature, container, dtype, at
):
    X = container(blobs.astype(dtype))
    model = estimator_class(1, **at(temperature)).fit(X, sample_weight=weights)
    mean = np.average(blobs, axis=0, weights=weights)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(model.cluster_centers_, [mean], rtol=rtol)
    assert (model.labels_ == 0).all()
    assert (model.predict_proba(X) == 1).all()
    assert model.free_energy_ == pytest.approx(model.inertia_)
    assert model.converged_


@QUIET
@DENSE_AND_SPARSE
@pytest.mark.parametrize("n_samples", [1, 12])
@TEMPERATURES
def test_as_many_clusters_as_samples(
    estimator_class, blobs, n_samples, temperature, container, dtype, assert_finite, at
):
    X = container(blobs[:n_samples].astype(dtype))
    model = estimator_class(n_samples, **at(temperature), random_state=0).fit(X)
    if temperature == 0:
        # The centers are rounded, and CSR rows are not centered.
        rounding = 100 * np.finfo(dtype).eps
        assert model.inertia_ < (rounding**2 if container is np.array else rounding)
        assert sorted(model.labels_) == list(range(n_samples))
    assert_finite(model, X)


@QUIET
@DENSE_AND_SPARSE
@pytest.mark.parametrize("n_clusters", [1, 3])
@pytest.mark.parametrize("value", [0, 0.1, 1e10])
@TEMPERATURES
def test_constant_data(
    estimator_class,
    value,
    n_clusters,
    temperature,
    container,
    dtype,
    assert_finite,
    at,
):
    X = container(np.full((20, 2), value, dtype))
    model = estimator_class(n_clusters, **at(temperature), random_state=0).fit(X)
    # CSR rows are not centered.
    rtol = 0.0 if container is np.array else 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(model.cluster_centers_, dtype(value), rtol=rtol)
    objectives = model.inertia_, model.soft_inertia_, model.free_energy_
    assert objectives == pytest.approx((0, 0, 0), abs=40 * rtol * value**2)
    assert_finite(model, X)


@QUIET
@pytest.mark.with_temperature
def test_constant_data_have_no_critical_temperature(estimator_class):
    X = np.full((20, 2), 0.1)
    model = estimator_class(3, temperature=0.5, temperature_unit="critical").fit(X)
    assert model.temperature_ == 0
    assert model.free_energy_ == 0


@pytest.fixture
def assert_finite(assert_finite_attributes):
    """Return what fails if anything about a model is not finite."""

    def check(model, X):
        assert_finite_attributes(model)
        for method in METHODS:
            values = getattr(model, method)(X)
            if method == "predict_log_proba":
                values = np.exp(values)
            assert np.isfinite(values).all(), method
        assert np.isfinite(model.sample(5)[0]).all()

    return check


@pytest.mark.one_temperature
def test_poor_centers_near_the_mean_are_not_blamed_on_the_temperature(estimator_class):
    # Two rows of samples, split along the short side: no temperature helps.
    X = np.array([[-1.0, -1e-3], [-1, 1e-3], [1, -1e-3], [1, 1e-3]])
    model = estimator_class(2, temperature=1e-9, init=[[0, -1e-3], [0, 1e-3]])
    assert abs(model.fit(X).cluster_centers_).max() < 1e-2


@pytest.mark.parametrize("largest", [1e308, 1e300])
def test_weights_whose_sums_overflow_are_named(estimator_class, blobs, largest):
    with pytest.raises(ValueError, match="sample_weight must keep"):
        estimator_class(5).fit(blobs * 1e5, sample_weight=np.full(len(blobs), largest))


@pytest.mark.with_temperature
def test_float32_log_density_far_away_is_minus_infinity(estimator_class, blobs):
    X = blobs[:5].astype(np.float32)
    model = estimator_class(5, init=X).fit(X)
    assert np.isneginf(model.score_samples(X * np.float32(1e17))).any()


def test_score_passes_over_samples_without_weight(estimator_class):
    X = np.zeros((5, 2))
    with pytest.warns(ConvergenceWarning, match="distinct") as record:
        model = estimator_class(2, random_state=0).fit(X)
    # The warning points at the line that called fit.
    assert record[0].filename == __file__
    far = model.score([[0.0, 0], [5, 5]], sample_weight=[1, 0])
    assert far == model.score(X)
