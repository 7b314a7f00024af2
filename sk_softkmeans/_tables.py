"""Data files of the command as tables of finite numbers, or what is wrong with them."""

import csv
import shlex
from collections import Counter
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sk_softkmeans._formats import FORMATS
from sk_softkmeans._mistakes import CommandError, listed, require

# A field can be as long as the file.
_SHOWN = 40
_COUNTING = "rows are counted from 0, without the line of names"


class Table(NamedTuple):
    """Rows and columns of finite floats: a data frame if the file names its columns."""

    X: object
    names: list
    left_out: list
    note: str = ""


def read_table(path, columns=None, opened=open):
    """Return the columns of a file.

    Parameters
    ----------
    path : str
        The file; its suffix tells the format.
    columns : list of str, default=None
        The names of the columns, in this order; all that have a name if None.
    opened : callable, default=open
        What opens a file of text.

    Returns
    -------
    table : Table
        At least one row and one column.

    Raises
    ------
    CommandError
        If the file does not hold such a table.
    """
    try:
        source = _open(Path(path), opened)
        with closing(source):
            positions = _choose(source.names, columns)
            X = _parsed(source.read, positions)
        names = [source.names[i] for i in positions]
        if isinstance(X, np.ndarray):
            X = _as_floats(X)
        else:
            X = _as_numbers(X, names, advise=columns is None)
        _check_rows(X, names)
        if source.named:
            X = require("pandas").DataFrame(X, columns=names, copy=False)
    except CommandError as error:
        raise CommandError(f"{path} {error}") from error
    except MemoryError as error:
        raise CommandError(f"{path} does not fit in memory") from error
    return Table(X, names, _others(source.names, positions), source.note)


def _open(path, opened):
    if path.is_dir():
        raise CommandError("is a directory, not a file")
    n_bytes = path.stat().st_size
    if path.suffix.lower() not in FORMATS:
        raise CommandError(f"must end in {listed(FORMATS)}")
    if not n_bytes:
        raise CommandError("is empty")
    return _parsed(FORMATS[path.suffix.lower()], path, opened)


def _parsed(parse, *args):
    """Return what a parser gives; whatever it raises is the fault of the file."""
    try:
        return parse(*args)
    except (CommandError, MemoryError):
        raise
    except UnicodeDecodeError as error:
        raise CommandError("is not a text in UTF-8") from error
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise CommandError(f"cannot be read, is it damaged? ({error})") from error


def _choose(names, columns):
    """Return the positions of the columns to read."""
    if columns is None:
        columns = [name for name in names if name]
    positions = {name: i for i, name in enumerate(names)}
    unknown = [name for name in columns if name not in positions]
    if unknown:
        raise CommandError(f"has no column {listed(unknown)}, only {listed(names)}")
    counts = Counter(names)
    twice = [name for name in dict.fromkeys(columns) if counts[name] > 1]
    if twice:
        raise CommandError(f"has more than one column {listed(twice)}")
    if not columns:
        raise CommandError("has no column with a name")
    return [positions[name] for name in columns]


def _others(names, positions):
    """Return what to call the columns that are not read."""
    others = sorted(set(range(len(names))) - set(positions))
    return [names[i] or f"column {i + 1} (no name)" for i in others]


def _as_floats(array):
    """Return the floats of an array, itself if that is what it holds."""
    dtype = np.float32 if array.dtype.type is np.float32 else np.float64
    with np.errstate(over="ignore"):
        # Too large is infinite, as in a text.
        return array.astype(dtype, copy=False)


def _as_numbers(frame, names, advise):
    """Return the floats of a data frame, float32 if all columns are.

    The error says how to do without the other columns, if `advise`.
    """
    pandas = require("pandas")
    dtype = np.float32 if (frame.dtypes == np.float32).all() else np.float64
    if all(map(pandas.api.types.is_numeric_dtype, frame.dtypes)):
        return np.ascontiguousarray(frame.to_numpy(dtype, na_value=np.nan))
    X = np.empty(frame.shape, dtype)
    others = {}
    for i, name in enumerate(names):
        column = frame.iloc[:, i]
        numbers = _to_numbers(pandas, column)
        text = column[numbers.isna() & column.notna()]
        if len(text):
            value = str(text.iloc[0])[:_SHOWN]
            others[name] = f"{name!r} ({value!r} in row {text.index[0]})"
        else:
            X[:, i] = numbers.to_numpy(X.dtype, na_value=np.nan)
    if others:
        numeric = [name for name in names if name not in others]
        advice = f"; without them: --columns {_for_shell(numeric)}"
        raise CommandError(
            f"has columns that are not numeric: {', '.join(others.values())} "
            f"({_COUNTING}){advice if advise and numeric else ''}"
        )
    return X


def _for_shell(names):
    """Return the value of --columns for these names."""
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return shlex.quote(line.getvalue())


def _to_numbers(pandas, column):
    """Return a column with missing values where there is no number."""
    if pandas.api.types.is_numeric_dtype(column.dtype):
        return column
    if column.dtype == object or pandas.api.types.is_string_dtype(column.dtype):
        text = column.astype(str)
        # Whole numbers beyond the integers of pandas: its versions differ on them.
        long = text.str.fullmatch(r"[+-]?[0-9]{19,}") & column.notna()
        numbers = pandas.to_numeric(column.mask(long), errors="coerce")
        return numbers.astype(float).mask(long, text.where(long, "0").map(float))
    # Dates and categories, which pandas would count.
    return pandas.Series(np.nan, index=column.index)


def _check_rows(X, names):
    """Raise if there are no rows or values that are not finite."""
    if not len(X):
        raise CommandError("has no rows")
    finite = np.isfinite(X)
    if not finite.all():
        row, column = divmod((~finite).argmax(), X.shape[1])
        raise CommandError(
            f"has missing or infinite values: {(~finite).sum()}, the first "
            f"({X[row, column]}) in row {row}, column {names[column]!r} "
            f"({_COUNTING})"
        )
