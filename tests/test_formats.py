"""Every format of data files: the names of columns, and the columns."""

import sys
from zipfile import ZipFile

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal

from sk_softkmeans import _formats
from sk_softkmeans._formats import FORMATS, default_names
from sk_softkmeans._mistakes import CommandError

# A sum that no short decimal is, the extremes of floats, and the first whole number
# that is none.
AWKWARD = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 2.0**53 + 2]
VALUES = np.column_stack([AWKWARD, AWKWARD[::-1]])


class RunsCode:
    """Fails when it is loaded from a pickle."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def opened(path):
    return FORMATS[path.suffix](path, open)


def read(path, columns=None):
    """Return the names and the values of columns, all of them if None."""
    source = opened(path)
    columns = list(range(len(source.names))) if columns is None else columns
    values = np.asarray(source.read(columns))
    source.close()
    return source.names, values


def save(path, values):
    """Write an array as any format."""
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, values)
    else:
        frame = pd.DataFrame(values, columns=default_names(values.shape[1]))
        if path.suffix == ".parquet":
            frame.to_parquet(path)
        else:
            separator = "\t" if path.suffix == ".tsv" else ","
            frame.to_csv(path, index=False, sep=separator)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_float_is_read_as_it_was_written(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    save(path, VALUES)
    names, values = read(path)
    assert names == ["x0", "x1"]
    assert values.dtype == np.float64
    assert values.tobytes() == VALUES.tobytes()


@pytest.mark.parametrize("suffix", FORMATS)
def test_columns_come_in_the_order_asked_for(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    save(path, np.array([[1, 2, 3], [4, 5, 6]]))
    _, values = read(path, [2, 0])
    assert_array_equal(values, [[3, 1], [6, 4]])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n", ["a", "b"]),
        ("\ufeffa,b\n1,2\n", ["a", "b"]),
        ('"a, b",c\n1,2\n', ["a, b", "c"]),
        (" a , b\n1,2\n", ["a", "b"]),
        (",b\n1,2\n", ["", "b"]),
        # Years.
        ("2023,2024\n1,2\n", ["2023", "2024"]),
        ("0.5,mean\n1,2\n", ["0.5", "mean"]),
        ("mean,0.5\n1,2\n", ["mean", "0.5"]),
        ("größe,b\r\n1,2\r\n", ["größe", "b"]),
        ("a,b\r1,2\r", ["a", "b"]),
    ],
)
def test_first_line_has_names(tmp_path, text, names):
    path = write(tmp_path / "data.csv", text)
    source = opened(path)
    assert source.named
    source.close()
    found, values = read(path)
    assert found == names
    assert_array_equal(values, [[1, 2]])


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("a,b\n1,2\n", ""),
        ("0.5,b\n1,2\n", ""),
        ("2023,2024\n1,2\n", "its first line of numbers is the names of columns"),
        ("0.5,2024\n1,2\n", "its first line of numbers is data"),
    ],
)
def test_note_on_a_first_line_of_numbers(tmp_path, text, note):
    source = opened(write(tmp_path / "data.csv", text))
    source.close()
    assert source.note == note


@pytest.mark.parametrize("text", ["1.5,2\n3,4\n", "1e-3,2\n3,4\n", "nan,2\n3,4\n"])
def test_first_line_has_data(tmp_path, text):
    path = write(tmp_path / "data.csv", text)
    source = opened(path)
    assert not source.named
    source.close()
    names, values = read(path)
    assert names == ["x0", "x1"]
    assert_array_equal(values[:, 1], [2, 4])


def test_blank_lines_of_text(tmp_path):
    several = write(tmp_path / "several.csv", "a,b\n1,2\n\n3,4\n\n")
    assert_array_equal(read(several)[1], [[1, 2], [3, 4]])
    single = write(tmp_path / "single.csv", "a\n1\n\n3\n")
    assert_array_equal(read(single)[1], [[1], [np.nan], [3]])


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_text_in_another_encoding_is_closed_again(tmp_path, encoding):
    path = write(tmp_path / "data.csv", "größe,b\n1,2\n", encoding)
    with open(path, encoding="utf-8-sig") as file:
        with pytest.raises(UnicodeDecodeError):
            FORMATS[".csv"](path, lambda *_, **options: file)
        assert file.closed


@pytest.mark.parametrize("version", ["2.2.2", "3.0.6", "3.1.0", "4.0.0rc1"])
def test_pandas_is_asked_for_exact_floats_where_it_has_to_be(version, monkeypatch):
    monkeypatch.setattr(pd, "__version__", version)
    old = version in ("2.2.2", "3.0.6")
    assert _formats._exact(pd) == ({"float_precision": "round_trip"} if old else {})


def test_index_of_a_frame_has_no_name(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=[7, 9])
    frame.to_parquet(tmp_path / "data.parquet")
    names, values = read(tmp_path / "data.parquet", [0])
    assert names == ["a", ""]
    assert_array_equal(values, [[1], [2]])


def test_index_with_a_name_has_none_here(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index([7, 9], name="id"))
    frame.to_parquet(tmp_path / "data.parquet")
    names, values = read(tmp_path / "data.parquet", [0])
    assert names == ["a", ""]
    assert_array_equal(values, [[1], [2]])


def test_parquet_columns_of_which_one_name_begins_another(tmp_path):
    table = pa.table({"x": [1.0], "x.1": [2.0], "x.2": [3.0]})
    pq.write_table(table, tmp_path / "data.parquet")
    names, values = read(tmp_path / "data.parquet", [2, 0])
    assert names == ["x", "x.1", "x.2"]
    assert_array_equal(values, [[3, 1]])


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "f2", "i2", "u1", "?"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_keep_their_dtype(tmp_path, suffix, dtype):
    save(tmp_path / f"data{suffix}", np.array([[0, 1], [1, 0]], dtype=dtype))
    source = opened(tmp_path / f"data{suffix}")
    assert not source.named
    values = source.read([0, 1])
    assert values.dtype == dtype
    assert_array_equal(values, [[0, 1], [1, 0]])


def test_an_array_is_not_copied(tmp_path):
    save(tmp_path / "data.npy", VALUES)
    source = opened(tmp_path / "data.npy")
    assert isinstance(source.read([0, 1]), np.memmap)
    assert not source.read([0, 1]).flags.writeable


def test_of_several_arrays_the_one_called_x(tmp_path):
    np.savez(tmp_path / "data.npz", y=[1, 2], X=VALUES)
    assert_array_equal(read(tmp_path / "data.npz")[1], VALUES)
    np.savez(tmp_path / "other.npz", values=VALUES)
    assert_array_equal(read(tmp_path / "other.npz")[1], VALUES)
    np.savez_compressed(tmp_path / "small.npz", X=VALUES)
    assert_array_equal(read(tmp_path / "small.npz")[1], VALUES)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": VALUES, "b": VALUES}, "one called 'X', got 'a', 'b'$"),
        ({}, "one called 'X', got none$"),
        ({"X": VALUES[0]}, r"rows and columns, got one of shape \(2,\)$"),
        ({"X": 1.0}, r"rows and columns, got one of shape \(\)$"),
        ({"X": [VALUES]}, r"rows and columns, got one of shape \(1, 5, 2\)$"),
        ({"X": VALUES[:, :0]}, r"rows and columns, got one of shape \(5, 0\)$"),
        ({"X": VALUES * 1j}, "must hold numbers, got complex128$"),
        ({"X": [["1", "2"]]}, "must hold numbers, got <U1$"),
        ({"X": np.zeros((1, 1), "M8[s]")}, r"must hold numbers, got datetime64\[s\]$"),
        ({"X": np.zeros((1, 1), "m8[D]")}, r"must hold numbers, got timedelta64\[D\]$"),
        ({"X": np.zeros((1, 1), "f8,i4")}, r"hold numbers, got \[\('f0', '<f8'\), \("),
        # Rows of fields.
        ({"X": np.zeros(9, "f8,i4")}, r"must hold numbers, got \[\('f0', '<f8'\), \("),
        ({"X": np.zeros(9, ",".join(99 * ["f8"]))}, r"numbers, got .{,60}\.\.\.$"),
        ({"X": np.zeros((1, 1), "V3")}, r"must hold numbers, got \|V3$"),
        ({"X": np.array([[RunsCode()]])}, "holds Python objects or is damaged$"),
    ],
)
def test_archives_without_a_table(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(CommandError, match=message):
        opened(tmp_path / "data.npz")


def test_an_archive_of_other_files(tmp_path):
    with ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(CommandError, match=r"must hold numbers, got \|S5$"):
        opened(tmp_path / "data.npz")


def test_pickles_are_not_loaded(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([[RunsCode()]]))
    joblib.dump(RunsCode(), tmp_path / "pickle.npy")
    joblib.dump(RunsCode(), tmp_path / "pickle.npz")
    for path in tmp_path.iterdir():
        with pytest.raises(CommandError, match="^holds Python objects or is damaged$"):
            opened(path)


def test_an_array_that_was_cut_off(tmp_path):
    path = tmp_path / "data.npy"
    save(path, VALUES)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CommandError, match="damaged"):
        opened(path)


@pytest.mark.parametrize(
    ("suffix", "missing"),
    [
        (".csv", "pandas"),
        (".tsv", "pandas"),
        (".parquet", "pandas"),
        (".parquet", "pyarrow"),
    ],
)
def test_a_format_says_what_it_needs(tmp_path, suffix, missing, monkeypatch):
    path = tmp_path / f"data{suffix}"
    save(path, VALUES)
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    message = (
        rf"^needs {missing}, which is not installed: "
        r'pip install "sk-softkmeans\[cli\]"'
    )
    with pytest.raises(CommandError, match=message):
        opened(path)
