"""The picture of a clustering: what is drawn, where and how opaque."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_softkmeans import SoftKMeans, _picture
from sk_softkmeans._mistakes import CommandError
from sk_softkmeans._picture import draw, picture_format

BEGINNINGS = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}
# On a diagonal: the first component is along it, and there is no second.
LINE = np.array([[-6.0], [-4], [4], [6]]) * [0.6, 0.8]


@pytest.fixture
def drawn(monkeypatch):
    """Return what draws, and gives the axes and the bytes of the picture."""
    figures = []

    class Recorded(Figure):
        def __init__(self, *, dpi, **options):
            super().__init__(dpi=dpi / 5, **options)
            figures.append(self)

    monkeypatch.setattr("matplotlib.figure.Figure", Recorded)

    def picture(X, labels, certainties, centers, form=".png", scaler=None):
        estimator = SimpleNamespace(cluster_centers_=np.asarray(centers, dtype=float))
        model = [scaler, estimator] if scaler else [estimator]
        file = io.BytesIO()
        draw(file, form, model, X, np.asarray(labels), np.asarray(certainties))
        return figures[-1].axes[0], file.getvalue()

    return picture


def offsets(collection):
    return np.asarray(collection.get_offsets())


def clusters(axes):
    """Return the collections that hold rows."""
    collections = [c for c in axes.collections if c.get_label() != "center"]
    return [c for c in collections if len(offsets(c))]


def n_points(axes):
    return sum(len(offsets(c)) for c in clusters(axes))


def center_points(axes):
    (collection,) = (c for c in axes.collections if c.get_label() == "center")
    return offsets(collection)


def legend(axes):
    return [text.get_text() for text in axes.figure.legends[0].get_texts()]


def test_rows_and_centers_along_the_first_component(drawn):
    axes, _ = drawn(LINE, [0, 0, 1, 1], [1, 1, 1, 1], [[-3, -4], [3, 4]])
    first, second = map(offsets, clusters(axes))
    sign = np.sign(second[0, 0])
    assert_allclose(sign * first, [[-6, 0], [-4, 0]], atol=1e-12)
    assert_allclose(sign * second, [[4, 0], [6, 0]], atol=1e-12)
    assert_allclose(sign * center_points(axes), [[-5, 0], [5, 0]], atol=1e-12)
    numbers = [(text.get_text(), text.xy) for text in axes.texts]
    assert [number for number, _ in numbers] == ["0", "1"]
    assert_array_equal([xy for _, xy in numbers], center_points(axes))
    assert legend(axes) == ["0", "1", "center"]
    label = "First principal component (100% of the variance)"
    assert axes.get_xlabel() == label
    assert axes.get_ylabel() == "Second principal component (0%)"
    assert axes.get_aspect() == 1
    assert axes.get_title(loc="left").endswith("faint where it is shared")


def test_a_scaled_model_is_drawn_in_its_units(drawn):
    # Four corners: of 17 squared units on one side of 16 + 1, then of two equal ones.
    X = np.array([[-4.0, -1], [-4, 1], [4, -1], [4, 1]])
    axes, _ = drawn(X, [0, 0, 1, 1], np.ones(4), [[-4, 0], [4, 0]])
    assert "94%" in axes.get_xlabel()
    assert_allclose(abs(center_points(axes)), [[4, 0], [4, 0]], atol=1e-12)
    scaler = StandardScaler().fit(X)
    axes, _ = drawn(X, [0, 0, 1, 1], np.ones(4), [[-1, 0], [1, 0]], scaler=scaler)
    assert "50%" in axes.get_xlabel()
    assert_allclose((center_points(axes) ** 2).sum(axis=1), [1, 1])


def test_opacity_is_the_certainty_above_an_even_share(drawn):
    # (c - 1/4) / (3/4) of what is above .15.
    certainties = [0.25, 0.625, 1, 0.2499999]
    axes, _ = drawn(LINE, [0] * 4, certainties, np.zeros((4, 2)))
    (rows,) = clusters(axes)
    assert_allclose(rows.get_alpha(), [0.15, 0.575, 1, 0.15])
    assert_allclose(rows.get_facecolors()[:, 3], rows.get_alpha())


def test_a_cluster_has_a_color_and_a_marker_of_its_own(drawn):
    X = np.random.default_rng(0).normal(size=(60, 2))
    labels = np.arange(60) % 30
    axes, _ = drawn(X, labels, np.ones(60), X[:30])
    styles = {
        (*c.get_facecolors()[0], c.get_paths()[0].vertices.tobytes())
        for c in clusters(axes)
    }
    assert len(styles) == len(clusters(axes)) == 30
    assert [len(offsets(c)) for c in clusters(axes)] == [2] * 30
    assert legend(axes) == [*map(str, range(30)), "center"]
    keys = [c for c in axes.collections if not len(offsets(c))]
    assert len(keys) == 30
    for key, rows in zip(keys, clusters(axes), strict=True):
        assert_array_equal(key.get_facecolors()[0, :3], rows.get_facecolors()[0, :3])


def test_many_clusters_share_styles_and_have_no_legend(drawn):
    X = np.random.default_rng(0).normal(size=(1000, 3))
    axes, _ = drawn(X, np.arange(1000), np.ones(1000), X)
    assert n_points(axes) == len(center_points(axes)) == 1000
    assert len(clusters(axes)) == 30
    assert not axes.figure.legends
    assert not axes.texts


def test_clusters_without_rows(drawn):
    axes, _ = drawn(LINE, [2] * 4, np.ones(4), np.zeros((4, 2)))
    assert n_points(axes) == 4
    assert legend(axes) == ["0", "1", "2", "3", "center"]


@pytest.mark.parametrize("n_rows", [1, 2, 9])
@pytest.mark.parametrize("n_features", [1, 2])
def test_one_cluster(drawn, n_rows, n_features):
    X = np.arange(n_rows * n_features, dtype=float).reshape(n_rows, n_features)
    axes, _ = drawn(X, [0] * n_rows, np.ones(n_rows), X[:1])
    (rows,) = clusters(axes)
    assert n_points(axes) == n_rows
    assert_array_equal(rows.get_alpha(), np.ones(n_rows))


def test_one_column_is_a_line(drawn):
    axes, _ = drawn(LINE[:, :1], [0, 0, 1, 1], np.ones(4), [[-3], [3]])
    assert_array_equal(np.concatenate(list(map(offsets, clusters(axes))))[:, 1], 0)
    assert_array_equal(center_points(axes)[:, 1], [0, 0])
    assert axes.get_ylabel() == ""
    assert len(axes.get_yticks()) == 0


@pytest.mark.parametrize("scaled", [False, True])
def test_constant_data(drawn, scaled):
    X = np.full((5, 2), 0.1)
    scaler = StandardScaler().fit(X) if scaled else None
    center = [[0, 0]] if scaled else X[:1]
    axes, _ = drawn(X, [0] * 5, np.ones(5), center, scaler=scaler)
    assert n_points(axes) == 5
    assert "(0% of the variance)" in axes.get_xlabel()
    assert_allclose(center_points(axes), [[0, 0]], atol=1e-15)


def test_of_many_rows_a_part_is_drawn(drawn, monkeypatch):
    assert _picture._DRAWN == 20_000
    monkeypatch.setattr(_picture, "_DRAWN", 40)
    X = np.random.default_rng(0).normal(size=(50, 2))
    labels, certainties = np.arange(50) % 5, np.linspace(0.2, 1, 50)
    axes, _ = drawn(X, labels, certainties, X[:5])
    assert n_points(axes) == 40
    assert axes.get_title(loc="left").endswith(" (40 of 50 rows)")
    opacities = np.concatenate([c.get_alpha() for c in clusters(axes)])
    # Each one belongs to a row, and no row is drawn twice.
    expected = np.linspace(0.15, 1, 50)
    nearest = abs(expected - opacities[:, np.newaxis]).argmin(axis=1)
    assert_allclose(opacities, expected[nearest])
    assert len(set(nearest)) == 40
    for k, collection in enumerate(clusters(axes)):
        rows = abs(expected - collection.get_alpha()[:, np.newaxis]).argmin(axis=1)
        assert_array_equal(labels[rows], k)
    axes, _ = drawn(X[:40], labels[:40], certainties[:40], X[:5])
    assert "rows" not in axes.get_title(loc="left")


@pytest.mark.parametrize("form", BEGINNINGS)
def test_formats_are_the_same_at_another_time(drawn, form, monkeypatch):
    # What a format would say of the time.
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    _, before = drawn(LINE, [0, 0, 1, 1], [1, 0.75, 0.75, 1], LINE[:2], form)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    _, after = drawn(LINE, [0, 0, 1, 1], [1, 0.75, 0.75, 1], LINE[:2], form)
    assert before.startswith(BEGINNINGS[form])
    assert after == before


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("a.png", ".png"),
        ("b.PDF", ".pdf"),
        ("there/a.b.svg", ".svg"),
    ],
)
def test_suffix_of_a_path_is_its_format(path, form):
    assert picture_format(path) == form


@pytest.mark.parametrize("path", ["png", "a", "a.", ".png", "a.csv", "a.eps"])
def test_other_suffixes(path):
    message = f"^{path} must end in '.png', '.pdf', '.svg'$"
    with pytest.raises(CommandError, match=message):
        picture_format(path)


def test_without_matplotlib_the_error_says_so(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = (
        "--plot needs matplotlib, which is not installed: "
        r'pip install "sk-softkmeans\[cli\]"'
    )
    with pytest.raises(CommandError, match=message):
        picture_format("a.png")


@pytest.mark.parametrize("scale", [1e-150, 1, 1e150])
def test_a_fit_at_any_scale(drawn, blobs, scale):
    soft = SoftKMeans(5, random_state=0)
    model = make_pipeline(soft).fit(scale * blobs)
    P = model.predict_proba(scale * blobs)
    axes, _ = drawn(scale * blobs, soft.labels_, P.max(axis=1), soft.cluster_centers_)
    assert n_points(axes) == len(blobs)
    assert np.isfinite(center_points(axes)).all()
