"""The comparison on digits, which the command prints without a file."""

import re
import subprocess
import sys

import pytest

from sk_softkmeans import _comparison
from sk_softkmeans._comparison import (
    Doubt,
    Row,
    compare,
    estimators,
    load_split,
    sentence,
)
from sk_softkmeans._progress import Bar

NAMES = list(estimators())


def parse(text):
    """Return the cells of the table by estimator, and the sentence in one line."""
    table, last = text.strip().split("\n\n")[1:]
    rows = {}
    for line in table.splitlines()[2:]:
        name = max((n for n in NAMES if line.startswith(n)), key=len)
        rows[name] = line[len(name) :].split()
    return rows, " ".join(last.split())


@pytest.fixture(scope="module")
def output():
    """Return what a process of its own prints, where a warning is an error."""
    command = [sys.executable, "-W", "error", "-m", "sk_softkmeans"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def test_table(output):
    rows, _ = parse(output)
    assert list(rows) == NAMES
    assert max(map(len, output.splitlines())) <= 100
    for name, cells in rows.items():
        # Blank where KMeans has no density and no memberships.
        assert len(cells) == (4 if name.startswith("KMeans") else 6)
        train, test = float(cells[0]), float(cells[1])
        assert 0 < test < train
        nmi = float(cells[2 if name.startswith("KMeans") else 3])
        assert 0.5 < nmi < 1


def test_inertia_is_that_of_kmeans(output):
    rows, _ = parse(output)
    train = load_split()[0]
    for name in NAMES[:2]:
        expected = estimators()[name].fit(train).inertia_
        assert float(rows[name][0]) == pytest.approx(expected, abs=1)


def test_sentence_agrees_with_table(output):
    rows, text = parse(output)
    test = {name: float(cells[1]) for name, cells in rows.items()}
    best = min(test, key=test.get)
    if "has the lowest" in text:
        assert text.startswith(f"{best} has the lowest test inertia")
        gain = float(re.search(r"([\d.]+)% below KMeans \(n_init=1\)", text).group(1))
        assert gain == pytest.approx(100 * (1 - test[best] / test[NAMES[0]]), abs=0.06)
    else:
        assert test[best] > 0.999 * test[NAMES[0]]
    in_doubt = float(rows["SoftKMeans"][4].rstrip("%")) / 100
    part, total = re.search(r"about (\d+) of the (\d+) test digits", text).groups()
    assert int(part) / int(total) == pytest.approx(in_doubt, abs=6e-4)
    assert text.count(". ") == 0
    assert text.endswith(".")


def test_the_same_in_process(capsys, output, monkeypatch):
    bar = Bar(patience=3600)
    monkeypatch.setattr(_comparison, "make_bar", lambda quiet: bar)
    compare()
    (task,) = bar._progress.tasks
    assert (task.description, task.total) == ("Comparing estimators", len(NAMES))
    assert task.finished
    # But for the seconds.
    again, text = parse(capsys.readouterr().out)
    rows, expected = parse(output)
    assert {name: cells[:-1] for name, cells in again.items()} == {
        name: cells[:-1] for name, cells in rows.items()
    }
    assert text == expected


def row(name, test_inertia):
    return Row(name, 1000.0, test_inertia, None, 0.7, None, 0.01)


@pytest.mark.parametrize(
    ("inertias", "expected"),
    [
        ((400.0, 390.0, 396.0), "B has the lowest test inertia, 2.5% below A, and"),
        ((400.0, 404.0, 380.0), "C has the lowest test inertia, 5.0% below A, and"),
        ((400.0, 404.0, 408.0), "No estimator has a clearly lower test inertia than A"),
        ((400.0, 399.99, 408.0), "No estimator has a clearly lower test inertia than"),
    ],
)
def test_sentence_on_inertia(inertias, expected):
    rows = [row(*pair) for pair in zip("ABC", inertias, strict=True)]
    text = sentence(rows, Doubt(10, 5, 90, 9))
    assert text.startswith(expected)
    assert text.endswith(".")


@pytest.mark.parametrize(
    ("doubt", "expected"),
    [
        (Doubt(10, 5, 90, 9), "10 of the 100 .* more often .*50.0% against 10.0%"),
        (Doubt(10, 1, 90, 18), "10 of the 100 .* less often .*10.0% against 20.0%"),
        (Doubt(1, 0, 99, 33), "1 of the 100 .* less often .*0.0% against 33.3%"),
        (Doubt(10, 2, 90, 18), r"10 of the 100 .* as often as elsewhere \(20.0%\)"),
        (Doubt(0, 0, 100, 20), "in doubt about none of the 100 test digits.$"),
        (Doubt(100, 20, 0, 0), "in doubt about all of the 100 test digits.$"),
    ],
)
def test_sentence_on_doubt(doubt, expected):
    assert re.search(expected, sentence([row("A", 400.0), row("B", 390.0)], doubt))
