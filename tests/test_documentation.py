"""What pages of the documentation show of the command is what it prints."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DOC = Path(__file__).parents[1] / "doc"


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
