"""The formats of data files that the command reads.

A format opens a file, says the names of its columns (``names``), whether these are in
the file (``named``) and what else a user should know (``note``), and reads the columns
at given positions. Its errors are any that a parser raises.
"""

import csv
import warnings
from functools import partial
from textwrap import shorten

import numpy as np

from sk_softkmeans._mistakes import CommandError, listed, require

# A description of fields can have thousands of them.
_SHOWN = 60


class Text:
    """Lines of fields; the first line has the names, unless it has the first numbers.

    Whole numbers can be names, as years are: one with a fraction tells data.
    """

    def __init__(self, path, opened, separator):
        self._pandas = require("pandas")
        self._file = opened(path, encoding="utf-8-sig", newline="")
        self._separator = separator
        lines = csv.reader(self._file, delimiter=separator, skipinitialspace=True)
        try:
            self.names = [name.strip() for name in next(lines, [])]
        except Exception:
            # Who asked has no source to close.
            self.close()
            raise
        numbers = _numbers(self.names)
        self.named = all(number.is_integer() for number in numbers)
        taken_for = "the names of columns" if self.named else "data"
        self.note = f"its first line of numbers is {taken_for}" if numbers else ""
        if not self.named:
            self.names = default_names(len(self.names))

    def read(self, columns):
        """Return the columns at these positions."""
        self._file.seek(0)
        errors = self._pandas.errors
        with warnings.catch_warnings():
            warnings.simplefilter("error", errors.ParserWarning)
            # Text among numbers: an error later, or in a column that is left out.
            warnings.simplefilter("ignore", errors.DtypeWarning)
            try:
                # All columns: with `usecols` the fields of a line are not counted.
                frame = self._pandas.read_csv(
                    self._file,
                    sep=self._separator,
                    header=0 if self.named else None,
                    names=range(len(self.names)),
                    index_col=False,
                    skipinitialspace=True,
                    # Where there is one column, a blank line is a missing value.
                    skip_blank_lines=len(self.names) > 1,
                    **_exact(self._pandas),
                )
            except errors.ParserWarning as error:
                message = "has more fields in its second line than in its first"
                raise CommandError(message) from error
        return frame[columns]

    def close(self):
        """Close the file."""
        self._file.close()


class Parquet:
    """Columns with names, but for those that were the index of a data frame."""

    named = True
    note = ""

    def __init__(self, path, opened):
        require("pandas")
        self._file = require("pyarrow.parquet").ParquetFile(path)
        schema = self._file.schema_arrow
        index = (schema.pandas_metadata or {}).get("index_columns", ())
        self.names = ["" if name in index else name for name in schema.names]

    def read(self, columns):
        """Return the columns at these positions."""
        # Fails at once where all cannot fit: the parts would, until none is left.
        np.empty((self._file.metadata.num_rows, len(columns)))
        table = self._file.read(columns=[self.names[i] for i in columns])
        return table.to_pandas(ignore_metadata=True)

    def close(self):
        """Close the file."""
        self._file.close()


class Array:
    """An array of rows and columns; of several in an archive, the one called X."""

    named = False
    note = ""

    def __init__(self, path, opened):
        try:
            self._array = np.asanyarray(self._load(path))
        except ValueError as error:
            # NumPy would advise to allow the objects.
            raise CommandError("holds Python objects or is damaged") from error
        if self._array.dtype.kind not in "biuf":
            dtype = shorten(str(self._array.dtype), _SHOWN, placeholder="...")
            raise CommandError(f"must hold numbers, got {dtype}")
        if self._array.shape[:1] == (0,):
            # It may claim any number of columns, each of which has a name.
            raise CommandError("has no rows")
        if self._array.ndim != 2 or not self._array.shape[1]:
            raise CommandError(
                f"must hold an array of rows and columns, got one of shape "
                f"{self._array.shape}"
            )
        self.names = default_names(self._array.shape[1])

    @staticmethod
    def _load(path):
        # Pickles would run code.
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded as archive:
            names = archive.files
            if len(names) != 1 and "X" not in names:
                got = listed(names) or "none"
                raise CommandError(f"must hold one array, or one called 'X', got {got}")
            return archive["X" if "X" in names else names[0]]

    def read(self, columns):
        """Return the columns at these positions, or the file itself if that is all."""
        everything = columns == list(range(len(self.names)))
        return self._array if everything else self._array[:, columns]

    def close(self):
        """Leave the file open: the array reads from it."""


def default_names(n_columns):
    """Return the names of columns that have none, as scikit-learn makes them."""
    return [f"x{i}" for i in range(n_columns)]


def _exact(pandas):
    """Return what makes pandas read floats as they are, which it does from 3.1 on."""
    version = tuple(map(int, pandas.__version__.split(".")[:2]))
    return {"float_precision": "round_trip"} if version < (3, 1) else {}


def _numbers(fields):
    """Return the numbers that the fields of a first line are, nothing if one is not."""
    try:
        return [float(field) for field in fields]
    except ValueError:
        return []


FORMATS = {
    ".csv": partial(Text, separator=","),
    ".tsv": partial(Text, separator="\t"),
    ".npy": Array,
    ".npz": Array,
    ".parquet": Parquet,
}
