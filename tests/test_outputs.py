"""Files that the command writes: whole, or not at all."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from sk_softkmeans import _outputs
from sk_softkmeans._mistakes import CommandError
from sk_softkmeans._outputs import whole_file, write_memberships
from sk_softkmeans._progress import Silence


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def old(tmp_path):
    """Return a file that was there before."""
    path = tmp_path / "old.csv"
    path.write_text("old")
    return path


def test_nothing_is_seen_before_the_end(old, tmp_path):
    with whole_file(str(old), "w") as file:
        file.write("new")
        file.flush()
        assert old.read_text() == "old"
        assert len(names(tmp_path)) == 2
    assert old.read_text() == "new"
    assert names(tmp_path) == ["old.csv"]


def test_text_and_bytes_are_written_as_they_are(tmp_path):
    with whole_file(str(tmp_path / "text"), "w") as file:
        file.write("größe\r\n\n")
    assert (tmp_path / "text").read_bytes() == "größe\r\n\n".encode()
    with whole_file(str(tmp_path / "bytes"), "wb") as file:
        file.write(b"\xff\r\n")
    assert (tmp_path / "bytes").read_bytes() == b"\xff\r\n"


@pytest.mark.parametrize("mode", ["w", "wb"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_error_all_is_as_it_was(old, tmp_path, error, mode):
    def write(path):
        with whole_file(str(path), mode) as file:
            file.write(b"part" if "b" in mode else "part")
            file.flush()
            raise error

    for path in (old, tmp_path / "new.csv"):
        with pytest.raises(error):
            write(path)
    assert old.read_text() == "old"
    assert names(tmp_path) == ["old.csv"]


@pytest.mark.parametrize("method", ["fsync", "replace"])
def test_after_an_error_at_the_end_all_is_as_it_was(old, tmp_path, method, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, method) if method == "fsync" else (Path, method)), fail)
    with pytest.raises(OSError, match="No space"), whole_file(str(old), "w") as file:
        file.write("new")
    assert old.read_text() == "old"
    assert names(tmp_path) == ["old.csv"]


def test_one_file_may_fail_after_another(old, tmp_path):
    nowhere = tmp_path / "nowhere" / "new.csv"
    with (
        pytest.raises(CommandError, match="nowhere"),
        whole_file(str(old), "w"),
        whole_file(str(tmp_path / "new.csv"), "wb"),
        whole_file(str(nowhere), "w"),
    ):
        pytest.fail("a file was opened")
    assert old.read_text() == "old"
    assert names(tmp_path) == ["old.csv"]


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o666, 0o755])
def test_mode_is_kept(old, bits):
    old.chmod(bits)
    with whole_file(str(old), "w"):
        pass
    assert mode(old) == bits


def test_mode_of_a_new_file_is_the_usual_one(old, tmp_path):
    with whole_file(str(tmp_path / "new.csv"), "w"):
        pass
    assert mode(tmp_path / "new.csv") == mode(old)


def test_what_a_link_points_to_is_replaced(old, tmp_path):
    (tmp_path / "there").mkdir()
    target = old.rename(tmp_path / "there" / "target.csv")
    old.symlink_to(target)
    with whole_file(str(old), "w") as file:
        file.write("new")
    assert old.is_symlink()
    assert target.read_text() == "new"
    target.unlink()
    with whole_file(str(old), "w") as file:
        file.write("again")
    assert old.is_symlink()
    assert target.read_text() == "again"
    assert names(tmp_path) == ["old.csv", "there"]
    assert names(tmp_path / "there") == ["target.csv"]


def test_a_long_name(tmp_path):
    path = tmp_path / ("x" * 255)
    with whole_file(str(path), "w"):
        pass
    assert names(tmp_path) == [path.name]


def test_a_relative_path(old, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with whole_file("old.csv", "w") as file:
        file.write("new")
    assert old.read_text() == "new"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "not a regular file$"),
        ("pipe", "not a regular file$"),
        ("nowhere/new.csv", "No such file or directory$"),
        ("old.csv/new.csv", "Not a directory$"),
    ],
)
def test_what_cannot_be_written(old, tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = names(tmp_path)
    path = tmp_path / name
    with (
        pytest.raises(CommandError, match=f"^{path} cannot be written: .*{message}"),
        whole_file(str(path), "w"),
    ):
        pytest.fail("a file was opened")
    assert names(tmp_path) == before


def test_a_file_that_is_read_only(old, monkeypatch):
    old.chmod(0o444)
    # It is not for an administrator.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(CommandError, match="read-only$"), whole_file(str(old), "w"):
        pytest.fail("a file was opened")
    assert old.read_text() == "old"


class Model:
    """A fitted model: the features of a sample are its memberships."""

    def __init__(self, container):
        self.container, self.sizes = container, []

    def predict(self, X):
        return X.argmax(axis=1)

    def predict_proba(self, X):
        self.sizes.append(len(X))
        return self.container(X)


P = np.array([[0.25, 0.75], [1, 0], [1 / 3, 2 / 3], [0.5, 0.5], [0, 1]])
TEXT = """row,label,membership_0,membership_1
0,1,0.25,0.75
1,0,1.0,0.0
2,1,0.3333333333333333,0.6666666666666666
3,0,0.5,0.5
4,1,0.0,1.0
"""


@pytest.mark.parametrize(
    ("held", "sizes"), [(2**20, [5]), (4, [2, 2, 1]), (1, [1, 1, 1, 1, 1])]
)
@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_memberships_are_written_in_batches(
    tmp_path, container, held, sizes, monkeypatch
):
    monkeypatch.setattr(_outputs, "_BATCH", held)
    model = Model(container)
    with whole_file(str(tmp_path / "m.csv"), "w") as file:
        labels, certainties = write_memberships(model, P, file, Silence().batches)
    assert (tmp_path / "m.csv").read_bytes() == TEXT.encode()
    assert_array_equal(labels, [1, 0, 1, 0, 1])
    assert_array_equal(certainties, [0.75, 1, 2 / 3, 0.5, 1])
    # After one row, which tells the number of clusters.
    assert model.sizes[1:] == sizes


def test_memberships_without_a_file():
    _, certainties = write_memberships(Model(np.asarray), P, None, Silence().batches)
    assert_array_equal(certainties, [0.75, 1, 2 / 3, 0.5, 1])
