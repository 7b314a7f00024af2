"""The progress bar: who sees it, what it counts, and that it harms no work."""

import importlib.util
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn import __version__
from sklearn.base import clone
from sklearn.utils.fixes import parse_version

from sk_softkmeans import SoftKMeans, _progress
from sk_softkmeans._progress import Bar, IterationCounter, Silence, make_bar
from sk_softkmeans._tables import read_table

WITH_CALLBACKS = parse_version(__version__) >= parse_version("1.9")


@pytest.fixture
def model():
    return SoftKMeans(2, init=np.array([[0.0], [9.0]]))


X = np.array([[0.0], [1.0], [8.0], [9.0]])


def tasks(bar):
    return bar._progress.tasks


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("quiet", [False, True])
def test_only_a_terminal_has_a_bar(terminal, quiet, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert type(make_bar(quiet)) is (Bar if terminal and not quiet else Silence)


def test_without_rich_there_is_no_bar(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    spec = importlib.util.spec_from_file_location("without_rich", _progress.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert type(module.make_bar(quiet=False)) is module.Silence


def test_short_work_has_no_bar(monkeypatch):
    started = []
    with Bar(patience=3600) as bar:
        monkeypatch.setattr(bar._progress, "start", lambda: started.append(1))
    assert not started
    assert not bar._start.is_alive()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_bar_ends_with_the_work(error):
    bar = Bar(patience=0)

    def work():
        with bar:
            bar._start.join()
            assert bar._progress.live.is_started
            raise error

    with pytest.raises(error):
        work()
    assert not bar._progress.live.is_started


@pytest.mark.parametrize("kind", [Silence, Bar])
def test_batches(kind):
    slices = [(rows.start, rows.stop) for rows in kind().batches(5, 2, "Memberships")]
    assert slices == [(0, 2), (2, 4), (4, 5)]


def test_bar_counts_batches_when_they_are_done():
    bar = Bar()
    counts = [tasks(bar)[0].completed for _ in bar.batches(5, 2, "Memberships")]
    assert counts == [0, 2, 4]
    assert tasks(bar)[0].description == "Memberships"
    assert tasks(bar)[0].finished


@pytest.mark.parametrize("kind", [Silence, Bar])
def test_a_file_is_read_the_same(tmp_path, kind):
    (tmp_path / "data.csv").write_text("\ufeffgröße,b\r\n1,2\r\n3,4\r\n", "utf-8")
    frame, names, _ = read_table(str(tmp_path / "data.csv"), opened=kind().open)
    assert names == ["größe", "b"]
    assert_array_equal(frame, [[1, 2], [3, 4]])


def test_bar_counts_bytes(tmp_path):
    pd.DataFrame(np.ones((50, 2))).to_csv(tmp_path / "[data].csv", index=False)
    bar = Bar()
    read_table(str(tmp_path / "[data].csv"), opened=bar.open)
    assert tasks(bar)[0].description == "Reading [data].csv"
    assert tasks(bar)[0].total == (tmp_path / "[data].csv").stat().st_size
    assert tasks(bar)[0].finished


@pytest.mark.parametrize("kind", [Silence, Bar])
def test_a_fit_is_the_same_and_forgets_the_bar(model, kind):
    expected = pickle.dumps(clone(model).fit(X))
    with kind().fitting(model):
        model.fit(X)
    assert pickle.dumps(model) == expected


def test_bar_counts_iterations(model):
    bar = Bar()
    with bar.fitting(model):
        assert not tasks(bar)[0].finished
        assert tasks(bar)[0].total is None
        model.fit(X)
    count = f", iteration {model.n_iter_}" if WITH_CALLBACKS else ""
    assert tasks(bar)[0].description == f"Fitting{count}"
    assert tasks(bar)[0].finished


def test_a_fit_that_fails_forgets_the_bar(model):
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="n_samples=1"), Bar().fitting(model):
        model.fit(X[:1])
    assert pickle.dumps(model) == before


def test_before_callbacks_a_fit_is_not_counted():
    bar = Bar()
    with bar.fitting(SimpleNamespace()):
        pass
    assert tasks(bar)[0].description == "Fitting"
    assert tasks(bar)[0].finished


def test_other_tasks_are_no_iterations():
    told = []
    counter = IterationCounter(told.append)
    for name in ("fit", "iteration", "run", "iteration"):
        counter.on_fit_task_end(None, SimpleNamespace(task_name=name))
    assert told == [1, 2]
