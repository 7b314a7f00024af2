"""A Sphinx role for numbers that a benchmark has written.

``:measured:`annealed; data set=digits; k=30; annealed: mean``` becomes the text of a
cell of ``doc/benchmarks/annealed.csv``: that of the last column named, in the only row
with these values.
"""

import csv
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def find_cell(path, conditions, column):
    """Return the text of a column in the only row of a table with these values."""
    if not path.exists():
        raise ValueError(f"there is no {path.name}")
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    for name in (*conditions, column):
        if header.count(name) != 1:
            raise ValueError(f"{header.count(name)} columns of {path.name}: {name!r}")
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    found = [row for row in rows if conditions.items() <= row.items()]
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows of {path.name} with {conditions}")
    return found[0][column]


def read(text, folder=BENCHMARKS):
    """Return the cell that the text of a role names."""
    table, *conditions = (part.strip() for part in text.split(";"))
    if not conditions:
        raise ValueError("it names no column")
    column = conditions.pop()
    pairs = [condition.partition("=") for condition in conditions]
    conditions = {name.strip(): value.strip() for name, _, value in pairs}
    return find_cell(folder / f"{table}.csv", conditions, column)


def setup(app):
    """Let pages use the role."""
    from docutils import nodes
    from sphinx.errors import SphinxError
    from sphinx.util.docutils import SphinxRole

    class Measured(SphinxRole):
        def run(self):
            table = self.text.partition(";")[0].strip()
            # A page is made anew with its tables.
            self.env.note_dependency(str(BENCHMARKS / f"{table}.csv"))
            try:
                return [nodes.Text(read(self.text))], []
            except ValueError as error:
                where = self.get_location()
                raise SphinxError(f"{where}: {self.rawtext}: {error}") from error

    app.add_role("measured", Measured())
    return {"parallel_read_safe": True}
