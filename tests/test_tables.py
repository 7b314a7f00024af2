"""Tables of numbers, and what is wrong with files that hold none."""

import datetime
import re
from decimal import Decimal
from io import BytesIO
from types import SimpleNamespace
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sk_softkmeans._mistakes import CommandError
from sk_softkmeans._tables import read_table

COUNTING = "rows are counted from 0, without the line of names"


@pytest.fixture
def table(tmp_path):
    """Return what reads a text as a table."""

    def read(text, columns=None, suffix=".csv"):
        path = tmp_path / f"data{suffix}"
        path.write_text(text, encoding="utf-8")
        return read_table(str(path), columns)

    return read


def test_a_frame_of_floats(table):
    X, names, left_out, _ = table("a,b\n1,2.5\n3,4\n")
    assert names == list(X.columns) == ["a", "b"]
    assert left_out == []
    assert (X.dtypes == np.float64).all()
    assert_array_equal(X, [[1, 2.5], [3, 4]])


def test_an_array_if_the_file_names_no_columns(table, tmp_path):
    X, names, _, _ = table("1.5,2\n3,4\n")
    assert isinstance(X, np.ndarray)
    assert names == ["x0", "x1"]
    assert_array_equal(X, [[1.5, 2], [3, 4]])
    np.save(tmp_path / "data.npy", X)
    Y, names, _, _ = read_table(str(tmp_path / "data.npy"))
    assert isinstance(Y, np.ndarray)
    assert names == ["x0", "x1"]
    assert_array_equal(Y, X)


def test_chosen_columns(table):
    text = "kind,a,b,c\nred,1,2,3\nblue,4,5,6\n"
    X, names, left_out, _ = table(text, ["c", "a"])
    assert names == list(X.columns) == ["c", "a"]
    assert left_out == ["kind", "b"]
    assert_array_equal(X, [[3, 1], [6, 4]])


def test_columns_without_a_name_are_left_out(table):
    X, names, left_out, _ = table(",a,\n0,1,2\n1,3,4\n")
    assert names == ["a"]
    assert left_out == ["column 1 (no name)", "column 3 (no name)"]
    assert_array_equal(X, [[1], [3]])


def test_repeated_names_do_no_harm_in_columns_that_are_left_out(table):
    X, _, left_out, _ = table("a,b,b\n1,2,3\n", ["a"])
    assert left_out == ["b", "b"]
    assert_array_equal(X, [[1]])


def test_default_names_can_be_chosen(table):
    X, names, left_out, _ = table("1.5,2\n3,4\n", ["x1"])
    assert names == ["x1"]
    assert left_out == ["x0"]
    assert_array_equal(X, [[2], [4]])


def test_truth_is_1(table):
    X, _, _, _ = table("a,b\nTrue,0.5\nFalse,2\n")
    assert_array_equal(X, [[1, 0.5], [0, 2]])


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("f4", "f4"), (">f4", "f4"), ("f8", "f8"), (">f8", "f8"), ("f2", "f8")]
    + [(dtype, "f8") for dtype in ("?", "i1", "u1", ">i2", "i4", "u8", "g")],
)
def test_arrays_become_floats(tmp_path, suffix, dtype, kept):
    values = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    (np.save if suffix == ".npy" else np.savez)(tmp_path / f"data{suffix}", values)
    for columns in (None, ["x2", "x0"]):
        X = read_table(str(tmp_path / f"data{suffix}"), columns).X
        assert X.dtype == kept
        assert X.dtype.isnative
        assert_array_equal(X, values if columns is None else values[:, [2, 0]])


def test_floats_stay_on_disk(tmp_path):
    np.save(tmp_path / "data.npy", np.eye(3))
    X = read_table(str(tmp_path / "data.npy")).X
    assert isinstance(X, np.memmap)
    assert X.filename == tmp_path / "data.npy"


@pytest.mark.parametrize(
    "column",
    [
        pa.array([True, False]),
        pa.array([1, 0], pa.int8()),
        pa.array([1, 0], pa.uint64()),
        pa.array(np.array([1, 0], np.float16)),
        pa.array([Decimal("1.0"), Decimal("0.0")]),
        pa.array([1, 0]).dictionary_encode(),
        pd.array([1, 0], "Int8"),
        pd.array([True, False], "boolean"),
        pd.array([1, 0], "int8[pyarrow]"),
    ],
    ids=str,
)
def test_columns_of_parquet_become_floats(tmp_path, column):
    frame = pd.DataFrame(
        {"a": column.to_pandas() if hasattr(column, "type") else column}
    )
    frame.to_parquet(tmp_path / "pandas.parquet")
    if isinstance(column, pa.Array):
        pq.write_table(pa.table({"a": column}), tmp_path / "arrow.parquet")
    for path in tmp_path.iterdir():
        X = read_table(str(path)).X
        assert (X.dtypes == np.float64).all()
        assert_array_equal(X, [[1], [0]])


@pytest.mark.parametrize("digits", [30, 400])
def test_whole_numbers_of_any_length(table, digits):
    text = f"a\n{'9' * digits}\n1\n"
    if digits == 30:
        assert_allclose(table(text).X, [[1e30], [1]], rtol=1e-15)
    else:
        with pytest.raises(
            CommandError, match=r"values: 1, the first \(inf\) in row 0"
        ):
            table(text)


def test_numbers_that_float64_does_not_hold(tmp_path):
    np.save(tmp_path / "data.npy", np.full((2, 1), np.finfo("g").max))
    if np.finfo("g").max == np.finfo("f8").max:
        assert_array_equal(np.isfinite(read_table(str(tmp_path / "data.npy")).X), True)
    else:
        with pytest.raises(CommandError, match=r"values: 2, the first \(inf\)"):
            read_table(str(tmp_path / "data.npy"))


@pytest.mark.parametrize("dtypes", [["f4", "f4"], ["f4", "f8"], ["f4", "i2"]])
def test_float32_is_kept_if_all_columns_are(tmp_path, dtypes):
    columns = (np.array([1, 2], dtype) for dtype in dtypes)
    pd.DataFrame(dict(zip("ab", columns, strict=True))).to_parquet(
        tmp_path / "d.parquet"
    )
    X, _, _, _ = read_table(str(tmp_path / "d.parquet"))
    expected = np.float32 if dtypes == ["f4", "f4"] else np.float64
    assert (X.dtypes == expected).all()
    assert_array_equal(X, [[1, 1], [2, 2]])


def test_exact_numbers_of_parquet(tmp_path):
    decimals = pa.array([Decimal("1.5"), Decimal("2.25")])
    small = pa.array([3, 4], pa.uint8())
    pq.write_table(pa.table({"a": decimals, "b": small}), tmp_path / "d.parquet")
    assert_array_equal(read_table(str(tmp_path / "d.parquet")).X, [[1.5, 3], [2.25, 4]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b\n1,x\n2,3\n",
            f"not numeric: 'b' ('x' in row 0) ({COUNTING}); without them: --columns a",
        ),
        ("a,b\n1,2\n3,4\n5,x\ny,6\n", "not numeric: 'a' ('y' in row 3), 'b' ('x' in"),
        ("a,b\n1,2\n\n3,x\n", "not numeric: 'b' ('x' in row 1)"),
        ("0.5,1\n2,x\n", "not numeric: 'x1' ('x' in row 1)"),
        ("0.5,1\n2,True\n", "not numeric: 'x1' ('True' in row 1)"),
        ("a;b\n1;2\n", "not numeric: 'a;b' ('1;2' in row 0)"),
        ('a\n"1,5"\n', "not numeric: 'a' ('1,5' in row 0)"),
        ("a\n2024-01-31\n", "not numeric: 'a' ('2024-01-31' in row 0)"),
        ("a,b\n1,2\n3,\n,\n", "values: 3, the first (nan) in row 1, column 'b' (rows"),
        ("a,b\n1,2\n-inf,4\n", "values: 1, the first (-inf) in row 1, column 'a'"),
        ("a,b\n1,2\nNA,3\n", "values: 1, the first (nan) in row 1, column 'a'"),
        ("0.5,1\n2,\n", "values: 1, the first (nan) in row 1, column 'x1'"),
        ("a,b\n1,2\n3\n", "values: 1, the first (nan) in row 1, column 'b'"),
        ("a\n1\n\n2\n", "values: 1, the first (nan) in row 1, column 'a'"),
        ("a,b\n1,2,3\n4,5,6\n", "has more fields in its second line than in its first"),
        ("a,b\n1,2\n4,5,6\n", "cannot be read, is it damaged? (Error tokenizing"),
        ('a,b\n1,"2\n3,4\n', "cannot be read, is it damaged? (Error tokenizing"),
        ("a,b\n", "has no rows"),
        ("\n1,2\n", "has no column with a name"),
        (",\n1,2\n", "has no column with a name"),
        ("a,b,a\n1,2,3\n", "has more than one column 'a'"),
        ("", "is empty"),
    ],
)
def test_texts_that_are_no_table(table, tmp_path, text, message):
    with pytest.raises(CommandError, match=re.escape(message)) as raised:
        table(text)
    assert str(raised.value).startswith(f"{tmp_path / 'data.csv'} ")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["c"], "has no column 'c', only 'a', 'b', 'b', ''"),
        (["a", "c", "d"], "has no column 'c', 'd', only"),
        (["A"], "has no column 'A', only"),
        (["a", "b"], "has more than one column 'b'"),
    ],
)
def test_columns_that_are_not_in_the_file(table, columns, message):
    with pytest.raises(CommandError, match=re.escape(message)):
        table("a,b,b,\n1,2,3,4\n", columns)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_with_values_that_are_not_finite(tmp_path, suffix, bad):
    X = np.ones((5, 3))
    X[3, 2] = X[4, 0] = bad
    save = np.save if suffix == ".npy" else np.savez
    save(tmp_path / f"data{suffix}", X)
    message = f"values: 2, the first ({bad}) in row 3, column 'x2' ({COUNTING})"
    with pytest.raises(CommandError, match=re.escape(message)):
        read_table(str(tmp_path / f"data{suffix}"))
    assert read_table(str(tmp_path / f"data{suffix}"), ["x1"]).X.shape == (5, 1)


def test_an_array_without_rows(tmp_path):
    np.save(tmp_path / "data.npy", np.empty((0, 3)))
    with pytest.raises(CommandError, match="has no rows"):
        read_table(str(tmp_path / "data.npy"))


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([datetime.date(2024, 1, 31)], "2024-01-31"),
        ([datetime.datetime(2024, 1, 31, 12)], "2024-01-31 12:00:00"),
        (pd.Categorical(["red"]), "red"),
        ([{"u": 1.0}], "{'u': 1.0}"),
    ],
)
def test_parquet_columns_that_are_not_numeric(tmp_path, values, shown):
    pd.DataFrame({"a": [1.0], "b": values}).to_parquet(tmp_path / "data.parquet")
    with pytest.raises(CommandError, match="not numeric: 'b'") as raised:
        read_table(str(tmp_path / "data.parquet"))
    assert shown in str(raised.value)
    assert "'a'" not in str(raised.value)


def test_missing_values_of_parquet(tmp_path):
    table = pa.table({"a": [1, None, 3], "b": [None, True, False]})
    pq.write_table(table, tmp_path / "data.parquet")
    message = r"values: 2, the first \(nan\) in row 0, column 'b'"
    with pytest.raises(CommandError, match=message):
        read_table(str(tmp_path / "data.parquet"))


def test_repeated_names_of_parquet(tmp_path):
    table = pa.table([[1.0], [2.0], [3.0]], names=["a", "b", "b"])
    pq.write_table(table, tmp_path / "data.parquet")
    with pytest.raises(CommandError, match="has more than one column 'b'"):
        read_table(str(tmp_path / "data.parquet"))
    assert_array_equal(read_table(str(tmp_path / "data.parquet"), ["a"]).X, [[1]])


def test_damaged_parquet(tmp_path):
    path = tmp_path / "data.parquet"
    pd.DataFrame({"a": np.arange(9.0)}).to_parquet(path)
    whole = path.read_bytes()
    damaged = {
        "its end": whole[:-9],
        "its description": whole[:-99] + b"\xff" * 90 + whole[-9:],
        # Here the parser raises an OSError without a name.
        "its values": whole[:4] + b"\xff" * 40 + whole[44:],
    }
    for content in damaged.values():
        path.write_bytes(content)
        with pytest.raises(CommandError, match="cannot be read, is it damaged?"):
            read_table(str(path))


def claim(path, shape, dtype="<f8"):
    """Write the header of an array that is not there, in an archive or not."""
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    content = BytesIO()
    np.lib.format.write_array_header_1_0(content, header)
    if path.suffix == ".npy":
        path.write_bytes(content.getvalue() + bytes(16))
    else:
        with ZipFile(path, "w") as archive:
            archive.writestr("X.npy", content.getvalue() + bytes(16))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    "shape",
    [(2**50, 1), (1, 2**50), (2**31, 2**31), (2**62, 4), (2**80, 1), (-1, 2)],
    ids=str,
)
def test_arrays_that_are_too_large_to_be_true(tmp_path, suffix, shape):
    path = tmp_path / f"data{suffix}"
    claim(path, shape)
    with pytest.raises(CommandError, match="does not fit in memory$|damaged") as raised:
        read_table(str(path))
    assert str(raised.value).startswith(f"{path} ")


def test_an_archive_that_is_larger_than_the_memory(tmp_path):
    claim(tmp_path / "data.npz", (2**50, 1))
    with pytest.raises(CommandError, match=r"data\.npz does not fit in memory$"):
        read_table(str(tmp_path / "data.npz"))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("shape", [(0, 2**58), (0, 3), (0, 0)], ids=str)
def test_many_columns_without_rows(tmp_path, suffix, shape):
    path = tmp_path / f"data{suffix}"
    claim(path, shape)
    with pytest.raises(CommandError, match="has no rows$"):
        read_table(str(path))


def test_parquet_that_is_larger_than_the_memory(tmp_path, monkeypatch):
    path = tmp_path / "data.parquet"
    pd.DataFrame({"a": [1.0]}).to_parquet(path)
    many = SimpleNamespace(num_rows=2**50)
    monkeypatch.setattr(pq.ParquetFile, "metadata", many)
    # What is read a part at a time would fill the memory.
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(CommandError, match=r"data\.parquet does not fit in memory$"):
        read_table(str(path))


def test_files_that_are_no_data_files(tmp_path):
    (tmp_path / "data.csv").mkdir()
    with pytest.raises(CommandError, match="is a directory, not a file"):
        read_table(str(tmp_path / "data.csv"))
    (tmp_path / "data.xlsx").write_text("a\n1\n")
    message = r"must end in '\.csv', '\.tsv', '\.npy', '\.npz', '\.parquet'$"
    with pytest.raises(CommandError, match=message):
        read_table(str(tmp_path / "data.xlsx"))
    with pytest.raises(FileNotFoundError):
        read_table(str(tmp_path / "nothing.csv"))


def test_letters_of_a_suffix_may_be_large(table):
    assert_array_equal(table("a\n1\n", suffix=".CSV").X, [[1]])
    assert_array_equal(table("a\tb\n1\t2\n", suffix=".Tsv").X, [[1, 2]])


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("a,b c,name", "'a,b c'"),
        ('"a,b",c,name', """'"a,b",c'"""),
        ("a,it's,name", """'a,it'"'"'s'"""),
    ],
)
def test_advice_can_be_pasted_into_a_shell(table, header, advice):
    with pytest.raises(CommandError) as raised:
        table(f"{header}\n1,2,x\n3,4,y\n")
    assert str(raised.value).endswith(f"; without them: --columns {advice}")


def test_no_advice_where_columns_were_chosen_or_none_is_numeric(table):
    for text, columns in (("a,b\n1,x\n", ["b"]), ("b\nx\n", None)):
        with pytest.raises(CommandError) as raised:
            table(text, columns)
        assert str(raised.value).endswith(f"({COUNTING})")


def test_long_lists_and_fields_are_cut(table):
    with pytest.raises(CommandError, match=r"'n19', \.\.\. \(500 in all\)$"):
        table(",".join(f"n{i}" for i in range(500)) + "\n", ["a"])
    with pytest.raises(CommandError, match=f"'{'x' * 40}' in row 0"):
        table(f"a\n{'x' * 5000}\n")
