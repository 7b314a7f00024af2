"""Files that the command writes: whole, or not at all."""

import csv
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
from scipy.sparse import issparse

from sk_softkmeans._mistakes import CommandError

# So many memberships are held at a time.
_BATCH = 2**20


@contextmanager
def whole_file(path, mode):
    """Open a file that takes the place of `path` when all has been written to it.

    Until then, and after an error, `path` is as it was.
    """
    # Behind a link is the file to be replaced, not the link.
    target = Path(os.path.realpath(path))
    if target.exists():
        if not target.is_file():
            raise CommandError(f"{path} cannot be written: it is not a regular file")
        if not os.access(target, os.W_OK):
            raise CommandError(f"{path} cannot be written: it is read-only")
    part = target.with_name(f".softkmeans-{uuid4().hex}.part")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        file = open(part, mode.replace("w", "x"), **text)  # noqa: SIM115
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


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
