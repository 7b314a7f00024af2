"""Write the table of README.rst, annealing against restarts, from annealed.csv."""

import csv
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
README = FOLDER.parents[1] / "README.rst"
SETS = (
    ("digits", "10"),
    ("digits", "30"),
    ("usps", "100"),
    ("s4", "15"),
    ("a3", "50"),
    ("s1", "15"),
    ("unbalance", "8"),
    ("china.jpg", "64"),
)
# The columns whose means are shown, with their names there.
FITS = {
    "KMeans x1": "KMeans, n_init=1",
    "KMeans x10": "KMeans, n_init=10",
    "annealed": "AnnealedRBFKMeans",
}
HEADER = ["data, clusters", *FITS.values(), "time / n_init=10"]
MARKED = re.compile(
    r"(?<=^\.\. annealed table: begin\n\n).*?(?=^\.\. annealed table: end$)",
    re.M | re.S,
)


def cells(row):
    """Return a line of the table: per cent above the best inertia known, and time."""
    above = [f"{100 * (float(row[f'{name}: mean']) - 1):.2f} %" for name in FITS]
    return [f"{row['data set']}, {row['k']}", *above, row["time / x10"]]


def make_table(path=FOLDER / "annealed.csv"):
    """Return the table as reStructuredText."""
    with open(path, newline="") as file:
        rows = {(row["data set"], row["k"]): row for row in csv.DictReader(file)}
    lines = [HEADER, *(cells(rows[key]) for key in SETS)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["=" * width for width in widths]
    lines = [rule, HEADER, rule, *lines[1:], rule]
    return "".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )


def marked(text):
    """Return where the table stands in README.rst, between two comments."""
    (found,) = MARKED.finditer(text)
    return found


def main():
    """Replace the table in README.rst."""
    text = README.read_text()
    found = marked(text)
    README.write_text(f"{text[: found.start()]}{make_table()}\n{text[found.end() :]}")


if __name__ == "__main__":
    main()
