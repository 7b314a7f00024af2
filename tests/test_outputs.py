"""Files that the command writes: whole, or not at all."""

import errno
import fcntl
import os
import resource
import signal
import stat
import sys
from contextlib import ExitStack
from pathlib import Path
from socket import AF_UNIX, socket
from subprocess import Popen, run
from threading import Thread

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


@pytest.fixture
def descriptor(old):
    """Return what opens the old file as who calls the command would."""
    with ExitStack() as stack:

        def opened(flags):
            number = os.open(old, flags)
            stack.callback(os.close, number)
            os.set_inheritable(number, True)
            return number

        yield opened


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
    message = f"^{old} cannot be written: No space left on device$"
    with pytest.raises(CommandError, match=message), whole_file(str(old), "w") as file:
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
        ("socket", "not a regular file$"),
        ("/dev/fd/987654", "Bad file descriptor$"),
        ("/dev/fd/98765432109", "No such file or directory$"),
        ("/dev/fd/x", "No such file or directory$"),
        ("/proc/self/fd/987654", "Bad file descriptor$"),
        ("/proc/thread-self/fd/987654", "Bad file descriptor$"),
        ("/proc/1/fd/987654", "No such file or directory$"),
        ("nowhere/new.csv", "No such file or directory$"),
        ("old.csv/new.csv", "Not a directory$"),
    ],
)
def test_what_cannot_be_written(old, tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    with socket(AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "socket"))
    before = names(tmp_path)
    path = tmp_path / name
    with (
        pytest.raises(CommandError, match=f"^{path} cannot be written: .*{message}"),
        whole_file(str(path), "w"),
    ):
        pytest.fail("a file was opened")
    assert names(tmp_path) == before


@pytest.mark.parametrize("place", ["file", "descriptor"])
def test_a_full_disk_is_no_reason_to_forget_the_name(old, descriptor, place):
    number = descriptor(os.O_WRONLY | os.O_APPEND)
    path = old if place == "file" else f"/dev/fd/{number}"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with (
            pytest.raises(CommandError, match=f"^{path} cannot be written: File too"),
            whole_file(str(path), "wb") as file,
        ):
            file.write(bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert old.read_text() == "old"
    assert names(old.parent) == ["old.csv"]


def test_a_file_that_is_read_only(old, monkeypatch):
    old.chmod(0o444)
    # It is not for an administrator.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(CommandError, match="read-only$"), whole_file(str(old), "w"):
        pytest.fail("a file was opened")
    assert old.read_text() == "old"


# What cannot be replaced.


def write(path, mode="w"):
    """Write the word new by way of two words."""
    with whole_file(str(path), mode) as file:
        file.write(b"n" if "b" in mode else "n")
        file.flush()
        file.write(b"ew" if "b" in mode else "ew")


@pytest.mark.parametrize("mode", ["w", "wb"])
@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"])
def test_a_descriptor_is_written_to_as_it_is_open(
    old, descriptor, tmp_path, folder, mode
):
    if not Path(folder).exists():
        pytest.skip(f"there is no {folder}")
    number = descriptor(os.O_WRONLY | os.O_APPEND)
    inode = old.stat().st_ino
    write(f"{folder}/{number}", mode)
    os.write(number, b"!")
    assert old.read_text() == "oldnew!"
    number = descriptor(os.O_WRONLY)
    os.write(number, b"12")
    write(f"{folder}/{number}", mode)
    os.write(number, b"!")
    assert old.read_text() == "12new!!"
    assert (old.stat().st_ino, names(tmp_path)) == (inode, ["old.csv"])


def test_a_descriptor_behind_links(old, descriptor, tmp_path, monkeypatch):
    number = descriptor(os.O_WRONLY | os.O_APPEND)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "first").symlink_to("../second")
    (tmp_path / "second").symlink_to(f"/dev/fd/{number}")
    (tmp_path / "folder").symlink_to("/dev/fd")
    monkeypatch.chdir(tmp_path / "there")
    paths = ["first", f"../folder/{number}", f"/dev/fd/{number}/", "first/."]
    paths += [f"/dev//fd/./{number}", f"/dev/fd/../fd/{number}"]
    for path in paths:
        old.write_text("old")
        write(path)
        assert old.read_text() == "oldnew"


def test_a_file_without_a_name(old, descriptor, tmp_path):
    number = descriptor(os.O_RDWR | os.O_APPEND)
    old.unlink()
    write(f"/dev/fd/{number}")
    assert names(tmp_path) == []
    assert os.pread(number, 99, 0) == b"oldnew"


def test_a_descriptor_that_is_not_for_writing(old, descriptor):
    number = descriptor(os.O_RDONLY)
    message = f"^/dev/fd/{number} cannot be written: Bad file descriptor$"
    with pytest.raises(CommandError, match=message):
        write(f"/dev/fd/{number}")


def test_a_descriptor_that_nobody_gave(old):
    with open(old, "a") as file, pytest.raises(CommandError, match="Bad file desc"):
        write(f"/dev/fd/{file.fileno()}")
    assert old.read_text() == "old"


def test_a_descriptor_of_another_process(old, tmp_path):
    with old.open("a") as log:
        other = Popen(["sleep", "60"], stdout=log)
    try:
        path = Path(f"/proc/{other.pid}/fd/1")
        if not path.parent.exists():
            pytest.skip("processes are no files")
        write(path)
    finally:
        other.kill()
        other.wait()
    assert old.read_text() == "oldnew"
    assert names(tmp_path) == ["old.csv"]


@pytest.mark.parametrize("number", [1, 2])
def test_the_file_of_a_stream(old, tmp_path, number):
    stream = os.dup(number)
    with old.open("a") as log:
        os.dup2(log.fileno(), number)
    try:
        write(old)
    finally:
        os.dup2(stream, number)
        os.close(stream)
    assert old.read_text() == "oldnew"
    assert names(tmp_path) == ["old.csv"]


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_pipe_with_a_name(tmp_path, mode):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    read = []
    reader = Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write(tmp_path / "link", mode)
    reader.join()
    assert read == [b"new"]
    assert names(tmp_path) == ["link", "pipe"]


def test_what_swallows_everything(tmp_path):
    write(os.devnull)
    (tmp_path / "link").symlink_to(os.devnull)
    write(tmp_path / "link")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert names(tmp_path) == ["link"]


def test_a_full_device():
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with pytest.raises(CommandError, match="^/dev/full cannot be written: No space"):
        write("/dev/full")


def test_nobody_reads_what_is_written(tmp_path):
    ours, theirs = os.pipe()
    os.close(ours)
    os.set_inheritable(theirs, True)
    try:
        with whole_file(f"/dev/fd/{theirs}", "w") as file:
            file.write("new")
    except BrokenPipeError:
        pass
    else:
        pytest.fail("it was written")
    finally:
        os.close(theirs)


def test_after_an_error_nothing_is_written(old, descriptor):
    def fail(path):
        with whole_file(path, "w") as file:
            file.write("new")
            file.flush()
            raise KeyboardInterrupt

    number = descriptor(os.O_WRONLY | os.O_APPEND)
    with pytest.raises(KeyboardInterrupt):
        fail(f"/dev/fd/{number}")
    assert old.read_text() == "old"


@pytest.mark.parametrize("target", ["loop", "nothing"])
def test_links_to_nothing(tmp_path, target):
    (tmp_path / "loop").symlink_to(target)
    write(tmp_path / "loop")
    assert (tmp_path / "loop").read_text() == "new"


# What killed runs left.


KILLED = """
import os, signal, sys
from sk_softkmeans._outputs import whole_file
with whole_file(sys.argv[1], "w") as file:
    file.write("part")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill(path):
    """Let a process be killed while it writes a file."""
    killed = run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL


def test_what_a_killed_run_left_goes_with_the_next(old, tmp_path):
    link = tmp_path / "link.csv"
    link.symlink_to(old)
    kill(old)
    kill(link)
    kill(tmp_path / "other.csv")
    other = {name for name in names(tmp_path) if name.endswith(".part")}
    assert len(other) == 2
    with whole_file(str(old), "w") as file:
        other &= set(names(tmp_path))
        assert len(other) == 1
        assert sorted([*other, Path(file.name).name, "link.csv", "old.csv"]) == names(
            tmp_path
        )
    assert names(tmp_path) == sorted([*other, "link.csv", "old.csv"])
    write(tmp_path / "other.csv")
    assert names(tmp_path) == ["link.csv", "old.csv", "other.csv"]


def test_what_another_run_writes_stays(old, tmp_path):
    with whole_file(str(old), "w") as first:
        with whole_file(str(old), "w") as second:
            second.write("second")
            assert len(names(tmp_path)) == 3
        first.write("first")
        assert old.read_text() == "second"
    assert old.read_text() == "first"
    assert names(tmp_path) == ["old.csv"]


def test_what_others_called_alike_stays(old, tmp_path):
    with whole_file(str(old), "w"):
        (part,) = tmp_path.glob(".softkmeans-*")
    alike = [part.with_suffix(".txt"), part.with_name(f"x{part.name}")]
    alike += [part.with_name(part.name.replace("-", "-0", 1)), tmp_path / ".part"]
    for path in alike:
        path.touch()
    part.mkdir()
    write(old)
    assert names(tmp_path) == sorted(path.name for path in [*alike, part, old])


def test_a_part_that_another_run_removes_before_it_is_locked(old, monkeypatch):
    flock, left = fcntl.flock, [True, True]

    def late(file, operation):
        if operation == fcntl.LOCK_EX and left:
            left.pop()
            os.unlink(file.name)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    write(old)
    assert old.read_text() == "new"
    assert not left


def test_without_locks_nothing_is_removed(old, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    kill(old)
    monkeypatch.setattr(fcntl, "flock", fail)
    write(old)
    assert len(names(tmp_path)) == 2
    monkeypatch.setattr(_outputs, "fcntl", None)
    write(old)
    assert len(names(tmp_path)) == 2
    assert old.read_text() == "new"


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
