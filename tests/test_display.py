"""TemperaturePathDisplay: what it draws, from what, and its errors."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from sk_softkmeans import (
    AnnealedRBFKMeans,
    EntmaxKMeans,
    SoftKMeans,
    TemperaturePathDisplay,
    critical_temperature,
    temperature_path,
)

KINDS = ["centers", "free_energy", "n_distinct"]
NAMES = ["north", "east", "up", "time"]


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def path():
    """Return a path that ends at 0: two clusters, each of two points, on a diagonal."""
    X = np.array([[-6.0], [-4.0], [4.0], [6.0]]) * [0.6, 0.8]
    grid = [60, 40, 10, 1, 0]
    path = temperature_path(X, 4, temperatures=grid, random_state=0)
    path.centers = path.centers[:, [2, 0, 3, 1]]
    return path


def data(line):
    x, y = line.get_data()
    return np.asarray(x), np.asarray(y)


def marked(lines):
    """Return where vertical lines are."""
    return [line.get_xdata()[0] for line in lines]


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_on_a_logarithmic_axis(path, kind):
    display = TemperaturePathDisplay.from_path(path, kind=kind)
    assert isinstance(display, TemperaturePathDisplay)
    assert display.path is path
    assert display.figure_ is display.ax_.figure
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_xlabel() == "temperature (squared data units)"
    for line in display.lines_:
        assert line in display.ax_.lines
        assert_array_equal(data(line)[0], [60, 40, 10, 1])
    assert marked(display.transition_lines_) == [40, 1]
    assert display.critical_line_ is None
    assert "more distinct centers" in legend(display)
    display.figure_.canvas.draw()


def test_centers_are_drawn_along_their_principal_axis(path):
    display = TemperaturePathDisplay.from_path(path)
    values = np.stack([data(line)[1] for line in display.lines_])
    assert len(values) == 4
    assert_allclose(values[:, 0], 0, atol=1e-2)
    assert_allclose(np.sort(values[:, 2]), [-5, -5, 5, 5], atol=0.1)
    assert_allclose(np.sort(values[:, 3]), [-6, -4, 4, 6], atol=0.1)
    assert not (np.diff(values[:, 3]) > 0).all()
    colors = [line.get_color() for line in display.lines_]
    brightness = [np.dot(to_rgba(c)[:3], [0.3, 0.6, 0.1]) for c in colors]
    assert_array_equal(np.argsort(brightness), np.argsort(values[:, 3]))
    label = "first principal component (data units)"
    assert display.ax_.get_ylabel() == label


def test_the_principal_axis_has_one_sign(path):
    mirrored = path.copy()
    mirrored["centers"] *= -1
    first, second = map(TemperaturePathDisplay.from_path, (path, mirrored))
    for a, b in zip(first.lines_, second.lines_, strict=True):
        assert_allclose(data(a)[1], -data(b)[1], atol=1e-12)


@pytest.mark.parametrize("feature", [1, np.int64(1), "east"])
def test_a_feature_by_index_or_name(path, feature):
    display = TemperaturePathDisplay.from_path(
        path, feature=feature, feature_names=["north", "east"]
    )
    for k, line in enumerate(display.lines_):
        assert_array_equal(data(line)[1], path.centers[:-1, k, 1])
    assert display.ax_.get_ylabel() == "east of the centers (data units)"


def test_a_feature_without_names(path):
    display = TemperaturePathDisplay.from_path(path, feature=0)
    assert display.ax_.get_ylabel() == "feature 0 of the centers (data units)"


def test_free_energy_and_inertia(path):
    display = TemperaturePathDisplay.from_path(path, kind="free_energy")
    free_energy, inertia = (data(line)[1] for line in display.lines_)
    assert_array_equal(free_energy, path.free_energy[:-1])
    assert_array_equal(inertia, path.inertia[:-1])
    assert legend(display) == ["free energy", "inertia", "more distinct centers"]
    label = "free energy and inertia (squared data units)"
    assert display.ax_.get_ylabel() == label


def test_the_number_of_distinct_centers_in_steps(path):
    display = TemperaturePathDisplay.from_path(path, kind="n_distinct")
    (line,) = display.lines_
    assert_array_equal(data(line)[1], [1, 2, 2, 4])
    # A number holds down to the next temperature.
    assert line.get_drawstyle() == "steps-post"
    constant = TemperaturePathDisplay.from_path(path[1:3], kind="n_distinct")
    for ax in (display.ax_, constant.ax_):
        assert_array_equal(ax.get_yticks(), ax.get_yticks().round())


def test_the_users_axes_and_line_arguments(path):
    figure, (left, right) = plt.subplots(1, 2)
    display = TemperaturePathDisplay.from_path(
        path, ax=right, line_kw={"c": "red", "lw": 3, "marker": "."}
    )
    assert display.ax_ is right
    assert display.figure_ is figure
    assert not left.lines
    for line in display.lines_:
        assert line.get_color() == "red"
        assert line.get_linewidth() == 3
        assert line.get_marker() == "."
    assert display.plot(left, kind="n_distinct") is display
    assert display.ax_ is left


def test_a_path_without_a_transition_has_no_legend(path):
    display = TemperaturePathDisplay.from_path(path[1:3])
    assert display.transition_lines_ == []
    assert display.ax_.get_legend() is None


def test_a_plain_structured_array_is_a_path(path):
    display = TemperaturePathDisplay.from_path(path.view(np.ndarray))
    assert len(display.lines_) == 4


@pytest.mark.parametrize("container", [np.array, csr_array])
@pytest.mark.parametrize(
    ("estimator", "alpha"),
    [
        (SoftKMeans(3, random_state=0), 1),
        (EntmaxKMeans(3, random_state=0), 1.5),
        (EntmaxKMeans(3, alpha=2, init="random", random_state=0), 2),
    ],
    ids=str,
)
def test_an_estimator_has_the_path_of_its_parameters(container, estimator, alpha):
    X = container(np.random.default_rng(0).uniform(size=(60, 2)))
    w = np.random.default_rng(1).uniform(size=60)
    before = dict(vars(estimator))
    display = TemperaturePathDisplay.from_estimator(estimator, X, sample_weight=w)
    assert vars(estimator) == before
    params = {"alpha": alpha, "sample_weight": w}
    init = {"init": estimator.init, "random_state": 0}
    expected = temperature_path(X, 3, **params, **init)
    assert_array_equal(display.path.centers, expected.centers)
    critical = critical_temperature(X, n_clusters=3, **params)
    assert marked([display.critical_line_]) == [critical]
    assert display.critical_temperature == critical
    assert "critical temperature" in legend(display)


def test_a_fitted_estimator_has_the_same_path():
    X = np.random.default_rng(0).uniform(size=(60, 2))
    estimator = SoftKMeans(3, temperature=0.1, random_state=0)
    expected = TemperaturePathDisplay.from_estimator(estimator, X).path
    result = TemperaturePathDisplay.from_estimator(estimator.fit(X), X).path
    assert_array_equal(result.centers, expected.centers)


@pytest.mark.parametrize("kind", KINDS)
def test_an_annealed_model_has_its_own_path(blobs, kind):
    model = AnnealedRBFKMeans(5, random_state=0).fit(blobs)
    display = TemperaturePathDisplay.from_estimator(model, blobs, kind=kind)
    assert display.path is model.path_
    assert marked([display.critical_line_]) == [critical_temperature(blobs)]
    again = TemperaturePathDisplay.from_path(model.path_, kind=kind)
    for a, b in zip(display.lines_, again.lines_, strict=True):
        assert_array_equal(data(a), data(b))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_features_of_a_frame_have_names(blobs, library):
    frames = pytest.importorskip(library)
    X = frames.DataFrame(dict(zip(NAMES, blobs.T, strict=True)))
    annealed = AnnealedRBFKMeans(2, random_state=0).fit(X)
    for estimator in (annealed, SoftKMeans(2, random_state=0)):
        display = TemperaturePathDisplay.from_estimator(estimator, X, feature="up")
        assert display.ax_.get_ylabel() == "up of the centers (data units)"
        assert_array_equal(data(display.lines_[0])[1][-1], _last(display, 0, 2))


def _last(display, center, feature):
    path = display.path
    return path.centers[path.temperature > 0][-1, center, feature]


def test_an_annealed_model_must_be_fitted(blobs):
    with pytest.raises(NotFittedError):
        TemperaturePathDisplay.from_estimator(AnnealedRBFKMeans(3), blobs)


def test_the_estimator_must_be_of_this_package(blobs):
    with pytest.raises(TypeError, match="estimator must be one of"):
        TemperaturePathDisplay.from_estimator(object(), blobs)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("kind", {"kind": "labels"}),
        ("feature", {"feature": 2}),
        ("feature", {"feature": -1}),
        ("feature", {"feature": "up"}),
        ("feature", {"feature": 0.5}),
    ],
)
def test_errors_name_the_parameter_and_open_no_figure(path, name, params):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        TemperaturePathDisplay.from_path(path, feature_names=NAMES[:2], **params)
    assert not plt.get_fignums()


@pytest.mark.parametrize("bad", [None, np.zeros(3), np.zeros(3, dtype=[("x", float)])])
def test_a_path_has_its_columns(bad):
    with pytest.raises(ValueError, match="path must be what temperature_path returns"):
        TemperaturePathDisplay.from_path(bad)


def test_a_path_has_a_positive_temperature(path):
    with pytest.raises(ValueError, match="path must have a positive temperature"):
        TemperaturePathDisplay.from_path(path[-1:])


def test_without_matplotlib_the_error_says_so(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="from_path requires matplotlib"):
        TemperaturePathDisplay.from_path(path)


def test_the_package_does_not_need_matplotlib():
    code = "import sys, sk_softkmeans; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
