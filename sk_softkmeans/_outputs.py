"""Files that the command writes: whole, or not at all."""

import csv
import errno
import os
import re
import shutil
import stat
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from uuid import uuid4

import numpy as np
from scipy.sparse import issparse

from sk_softkmeans._mistakes import CommandError

try:
    import fcntl
except ImportError:
    # There are no such locks on Windows.
    fcntl = None

# So many memberships are held at a time.
_BATCH = 2**20
# More links than that have no end.
_LINKS = 40
# Where descriptors are files: those of this process, or of the one of a number.
_DESCRIPTOR = re.compile(r"(?:/dev|/proc/(\d+)(?:/task/\d+)?)/fd/(\d{1,9})")


def whole_file(path, mode):
    """Return the context of a file whose content is at `path` at the end.

    Until then, and after an error, `path` is as it was. A file takes the place of an
    older one; what cannot be replaced, as a pipe, is written to.

    Parameters
    ----------
    path : str
        The path that the user gave.
    mode : {"w", "wb"}
        Text is in UTF-8, with line ends as they are.

    Returns
    -------
    context : context manager
        It gives the file.
    """
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    place = in_place(path)
    if place is None:
        return _replaced(path, mode, text)
    return _poured(path, place, mode, text)


def in_place(path):
    """Return what is written to instead of being replaced, None if that is nothing.

    It is the number of a descriptor if the path leads to one of this process or to the
    file of its streams, and the path if that leads to one of another process, to a pipe
    or to a device as a terminal.
    """
    link = Path(path)
    for _ in range(_LINKS):
        link = Path(os.path.realpath(link.parent), link.name)
        if found := _DESCRIPTOR.fullmatch(str(link)):
            process, number = found.groups()
            return int(number) if process in (None, str(os.getpid())) else path
        if not os.path.islink(link):
            break
        link = link.parent / os.readlink(link)
    with suppress(OSError):
        status = os.stat(path)
        if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
            return path
        for number in (1, 2):
            # One that is named is as one that is reached by a name of the stream.
            if os.path.samestat(status, os.fstat(number)):
                return number
    return None


@contextmanager
def _writing(path):
    """Name the file that the system does not let us write."""
    try:
        yield
    except BrokenPipeError:
        # No fault: who reads has enough.
        raise
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _replaced(path, mode, text):
    """Open a file that takes the place of another one at the end."""
    # Behind a link is the file to be replaced, not the link.
    target = Path(os.path.realpath(path))
    if target.exists():
        if not target.is_file():
            raise CommandError(f"{path} cannot be written: it is not a regular file")
        if not os.access(target, os.W_OK):
            raise CommandError(f"{path} cannot be written: it is read-only")
    # A name can be too long to be part of another one.
    name = f".softkmeans-{sha256(os.fsencode(target.name)).hexdigest()[:16]}"
    _remove_left(target.parent, name)
    with _writing(path):
        part, file = _new_part(target.with_name(name), mode, text)
    try:
        with _closing(file):
            yield file
            with _writing(path):
                file.flush()
                os.fsync(file.fileno())
                if target.exists():
                    shutil.copymode(target, part)
                if fcntl is None:
                    # Windows moves no open file; elsewhere that would end its lock.
                    file.close()
                part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _poured(path, place, mode, text):
    """Open a file whose content is written to a place at the end."""
    with _writing(path):
        number = _descriptor(place)
    try:
        with _closing(TemporaryFile(f"{mode}+", **text)) as file:
            yield file
            with _writing(path), open(number, mode, closefd=False, **text) as there:
                file.seek(0)
                shutil.copyfileobj(file, there)
    finally:
        os.close(number)


@contextmanager
def _closing(file):
    """Close a file in which nothing is left but what could not be written."""
    try:
        yield file
    finally:
        with suppress(OSError):
            file.close()


def _remove_left(folder, name):
    """Remove what killed runs left of a file; one that goes on holds a lock."""
    if fcntl is None:
        return
    for part in folder.glob(f"{name}-*.part"):
        with suppress(OSError), open(part, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def _new_part(path, mode, text):
    """Return a path that begins like another one, and the file, locked while open."""
    while True:
        part = path.with_name(f"{path.name}-{uuid4().hex}.part")
        file = open(part, mode.replace("w", "x"), **text)  # noqa: SIM115
        if fcntl:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        if part.exists():
            return part, file
        # Another run found it before it was locked.
        file.close()


def _descriptor(place):
    """Return a new descriptor of what `in_place` gave, if it can be written to."""
    if not isinstance(place, int):
        return os.open(place, os.O_WRONLY | os.O_APPEND)
    if not os.get_inheritable(place):
        # It is not from who called, but a file of Python.
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    # Fails if it is open for reading only.
    os.write(place, b"")
    return os.dup(place)


def write_memberships(model, X, file, batches):
    """Write row, label and memberships of each sample as CSV, if there is a file.

    Parameters
    ----------
    model : estimator
        A fitted soft k-means, or a pipeline that ends in one.
    X : {data frame, ndarray} of shape (n_samples, n_features)
        The samples.
    file : text file or None
        Where to write.
    batches : callable
        Of the numbers of samples and of those in a batch, and a name, the slices of
        the batches.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        The cluster of each sample.
    certainties : ndarray of shape (n_samples,)
        The membership of each sample in its cluster.
    """
    labels = model.predict(X)
    certainties = np.empty(len(labels))
    n_clusters = model.predict_proba(X[:1]).shape[1]
    writer = csv.writer(file, lineterminator="\n") if file else None
    if writer:
        names = (f"membership_{k}" for k in range(n_clusters))
        writer.writerow(["row", "label", *names])
    size = max(1, _BATCH // n_clusters)
    for rows in batches(len(labels), size, "Memberships"):
        P = model.predict_proba(X[rows])
        P = P.toarray() if issparse(P) else P
        certainties[rows] = P[np.arange(len(P)), labels[rows]]
        if writer:
            columns = range(rows.start, rows.stop), labels[rows].tolist(), P.tolist()
            writer.writerows([i, k, *p] for i, k, p in zip(*columns, strict=True))
    return labels, certainties
