"""Pages show what the command prints and what benchmarks have written."""

import csv
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import sk_softkmeans

DOC = Path(__file__).parents[1] / "doc"
README = DOC.parent / "README.rst"
PAGES = [*DOC.parent.glob("*.rst"), *DOC.glob("*.rst"), *DOC.glob("examples/*.rst")]
TABLES = sorted((DOC / "benchmarks").glob("*.csv"))


def load(path):
    """Return the module in a file that is not part of the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(text, language):
    """Return the code blocks of a page in a language, without their indentation."""
    pattern = rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)"
    return [
        re.sub(r"^    ", "", block, flags=re.M)
        for block in re.findall(pattern, text, flags=re.M)
    ]


def printed(command, folder):
    """Return what a command line of the page prints."""
    program, *arguments = shlex.split(command.replace("\\\n", ""))
    if program == "head":
        lines = (folder / arguments[-1]).read_text().splitlines(keepends=True)
        return "".join(lines[:3])
    assert program == "softkmeans"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "sk_softkmeans", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    return done.stderr + done.stdout


def split(text):
    """Return the words of a text, and its numbers; of seconds only that they are."""
    words = re.sub(r"(?m)^seconds.*$", "seconds", text).replace(",", " ").split()
    number = re.compile(r"[+-]?\d+(\.\d+)?(e-?\d+)?")
    numbers = [float(word) for word in words if number.fullmatch(word)]
    return [word for word in words if not number.fullmatch(word)], numbers


def test_command_page(tmp_path):
    text = (DOC / "command.rst").read_text()
    (preparation,) = blocks(text, "python")
    subprocess.run([sys.executable, "-c", preparation], cwd=tmp_path, check=True)
    examples = blocks(text, "console")
    assert len(examples) == 4
    for example in examples:
        lines = r"\$ ((?:.*\\\n)*.*)\n"
        command = re.match(lines, example).group(1)
        shown = re.sub(lines, "", example, count=1)
        words, numbers = split(printed(command, tmp_path))
        expected_words, expected_numbers = split(shown)
        assert words == expected_words
        assert numbers == pytest.approx(expected_numbers, rel=1e-3, abs=1e-6)


def test_table_of_readme():
    script = load(DOC / "benchmarks" / "readme_table.py")
    table = script.marked(script.README.read_text()).group()
    assert table == script.make_table() + "\n"


def test_page_of_benchmarks_has_all_of_them():
    text = (DOC / "benchmarks.rst").read_text()
    names = [
        path.stem.removeprefix("bench_") for path in DOC.glob("benchmarks/bench_*.py")
    ]
    expected = {f"{name}{suffix}" for name in names for suffix in (".txt", ".png")}
    expected |= {path.name for path in TABLES}
    assert set(re.findall(r"benchmarks/(\w+\.(?:csv|png|txt))", text)) == expected
    assert set(re.findall(r"benchmarks/bench_([a-z_]+)\.py", text)) == set(names)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_tables_can_be_cited(path):
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    assert len({name.strip() for name in header}) == len(header)
    assert {len(row) for row in rows} == {len(header)}


def test_report(tmp_path, capsys):
    common = load(DOC / "benchmarks" / "_common.py")
    parser = common.make_parser("A question?")
    parser.prog = "bench_thing.py"
    args = parser.parse_args(["--output", str(tmp_path / "new"), "--only", "a", "b"])
    report = common.Report(parser, args, range(3), threads=2)
    rows = report.table(["name", "seconds"], [["a", "1.5"]])
    assert rows == [{"name": "a", "seconds": "1.5"}]
    report.table(["name"], [["b, c"]], "more")
    report.picture(lambda figure, ax: ax.plot([1, 2]), size=(2, 2))
    for peer in ("pytest", "another 1.2 (numpy 1.26)", "pytest"):
        report.ran(peer)
    report.finish()
    with pytest.raises(ValueError, match="not unique"):
        report.table(["s", "s"], [])
    written = {path.name: path for path in (tmp_path / "new").iterdir()}
    assert sorted(written) == ["thing.csv", "thing.png", "thing.txt", "thing_more.csv"]
    assert written["thing.csv"].read_text() == "name,seconds\na,1.5\n"
    assert written["thing_more.csv"].read_text() == 'name\n"b, c"\n'
    text = written["thing.txt"].read_text()
    assert re.match(
        r"Measured on \d{4}-\d\d-\d\d on .* CPUs.*, 2 threads, Python 3", text
    )
    peers = f"pytest {pytest.__version__}, another 1.2 (numpy 1.26)"
    assert text.endswith(f", {peers}, seeds 0 to 2; ``--only a b``.\n")
    assert capsys.readouterr().out.endswith(text)


@pytest.fixture
def tables(tmp_path):
    """Return a folder with one table."""
    text = 'set,k,x: mean,s,s\na,1,1.5,2,3\n"b, c",1,(2.5),3,4\n"b, c",2,,4,5\n'
    (tmp_path / "times.csv").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("times; set=a; x: mean", "1.5"),
        ("times;set = b, c;k = 1;x: mean", "(2.5)"),
        ("times; k=2; set", "b, c"),
        ("times; k=2; x: mean", ""),
    ],
)
def test_measured(tables, text, cell):
    assert load(DOC / "_ext" / "measured.py").read(text, tables) == cell


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time; set=a; k", "there is no time.csv"),
        ("times; set=a; n", "0 columns of times.csv: 'n'"),
        ("times; n=1; k", "0 columns of times.csv: 'n'"),
        ("times; set=a; s", "2 columns of times.csv: 's'"),
        ("times; set=c; k", "0 rows of times.csv with {'set': 'c'}"),
        ("times; set=b, c; k", "2 rows of times.csv with {'set': 'b, c'}"),
        ("times; set=a", "0 columns of times.csv: 'set=a'"),
        ("times", "names no column"),
    ],
)
def test_measured_errors(tables, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load(DOC / "_ext" / "measured.py").read(text, tables)


def test_measured_of_committed_table():
    read = load(DOC / "_ext" / "measured.py").read
    assert float(read("annealed; data set=digits; k=30; annealed: mean")) >= 1


def test_every_public_object_is_in_the_api_page():
    text = (DOC / "api.rst").read_text()
    listed = re.findall(r"^   ([A-Za-z]\w+)$", text, flags=re.M)
    public = {*sk_softkmeans.__all__, *sk_softkmeans.metrics.__all__} - {"metrics"}
    assert sorted(listed) == sorted(public)


def test_dead_links(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="#top"></a><a href="sub/b.html#here"></a>'
        '<a href="https://example.org/none"></a><img src="a%20picture.png">'
        '<a href="#none"></a><a href="sub/b.html#none"></a><a href="c.html"></a>'
    )
    (tmp_path / "a picture.png").touch()
    (tmp_path / "sub" / "b.html").write_text(
        '<p id="here"><a href="../a.html#top"></a><img src="a%20picture.png"></p>'
    )
    assert load(DOC / "_ext" / "links.py").find_dead(tmp_path) == [
        ("a.html", "#none"),
        ("a.html", "c.html"),
        ("a.html", "sub/b.html#none"),
        ("sub/b.html", "a%20picture.png"),
    ]


def test_links_of_readme():
    text = README.read_text()
    links = re.findall(r"<([^>\s]+)>`_", text) + re.findall(r"image:: (\S+)", text)
    assert len(links) > 10
    for link in links:
        assert (DOC.parent / link).exists(), link


def test_files_that_pages_name_exist():
    form = re.compile(r"(?<![\w/.])(?:doc|tests|examples)/[\w/]+\.(?:rst|py|csv)\b")
    found = {name for path in PAGES for name in form.findall(path.read_text())}
    found -= {"doc/benchmarks/bench_NAME.py"}
    assert len(found) > 10
    for name in found:
        assert (DOC.parent / name).exists() or (DOC / name).exists(), name


def test_links_to_other_places_are_well_formed():
    texts = [*PAGES, *DOC.glob("examples/*.py")]
    texts += (DOC.parent / "sk_softkmeans").glob("*.py")
    links = [
        link
        for path in texts
        for link in re.findall(r"https?://[^\s>`\"]*", path.read_text())
    ]
    for link in links:
        parts = urlsplit(link)
        assert parts.scheme == "https", link
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]+", parts.netloc), link
    roles = re.findall(
        r":(arxiv|doi):`([^`]*)`", "".join(path.read_text() for path in texts)
    )
    forms = {"arxiv": r"\d{4}\.\d{4,5}", "doi": r"10\.\d{4,}/\S+"}
    assert roles
    for role, target in roles:
        assert re.fullmatch(forms[role], target), target
