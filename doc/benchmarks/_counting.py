"""Counts the distances between samples and centers, and between centers, of a fit."""

from contextlib import contextmanager
from threading import Lock
from unittest import mock

from sk_softkmeans import _candidates, _pruning
from sk_softkmeans._distances import DenseBlock


class Counter:
    """A number that several threads add to."""

    def __init__(self):
        self.total, self._lock = 0, Lock()

    def wrap(self, function, size):
        """Return a function that adds the size of what it gives."""

        def counted(*args):
            result = function(*args)
            with self._lock:
                self.total += size(result)
            return result

        return counted


@contextmanager
def counted_distances():
    """Give a `Counter` of all distances of fits, those of fillers as well."""
    counter = Counter()
    with (
        mock.patch.multiple(
            DenseBlock,
            **{
                name: counter.wrap(getattr(DenseBlock, name), lambda z: z.size)
                for name in ("logits", "logits_by_cluster", "logits_by_list")
            },
        ),
        mock.patch.object(
            _candidates,
            "squared_distances",
            counter.wrap(_candidates.squared_distances, lambda d: d.size),
        ),
        mock.patch.object(
            _pruning,
            "squared_distances",
            counter.wrap(_pruning.squared_distances, lambda d: d.size),
        ),
    ):
        yield counter
