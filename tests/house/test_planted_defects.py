"""A defect planted into a copy of the tree turns the real checks red, and the copy without it is green."""

import sys
from pathlib import Path

import pytest

from tests.house.copies import copy_tree, make
from tests.requires import requires_make

pytestmark = [pytest.mark.proof, requires_make]

# The environment that runs this test; `-o` keeps make from installing the copy into it.
VENV = Path(sys.prefix)
CHECK = ("-k", f"VENV={VENV}", "-o", str(VENV / ".dev"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("planted") / "lastgood")


def _plant(file: Path, line: str) -> str:
    """Put *line* where imports begin, below the docstring, and return the text that was there before."""
    before = file.read_text(encoding="utf-8")
    end_of_docstring = before.index('"""', before.index('"""') + 3) + 3
    file.write_text(f"{before[:end_of_docstring]}\n\n{line}\n{before[end_of_docstring:]}", encoding="utf-8")
    return before


def test_the_copy_itself_is_green(copy: Path) -> None:
    result = make(*CHECK, "check", cwd=copy)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "planted", "target", "sentence"),
    [
        ("daemon/core/facts.py", "import httpx", "check", "daemon/core/facts.py: line 3: imports httpx"),
        ("daemon/core/facts.py", "import sqlite3", "check", "daemon/core/facts.py: line 3: imports sqlite3"),
        ("daemon/core/facts.py", "import daemon.stores", "layers", "daemon.core.facts -> daemon.stores"),
        ("daemon/core/facts.py", "import daemon.emulator", "layers", "daemon.core.facts -> daemon.emulator"),
        ("daemon/emulator/clock.py", "import daemon.core", "layers", "daemon.emulator.clock -> daemon.core"),
        ("daemon/core/facts.py", "import time", "ruff", "Time enters through ports.Clock"),
        ("daemon/ports/errors.py", "try: ...\nexcept Exception: ...", "house", "catches every exception"),
        ("daemon/core/facts.py", "ANSWER: int = 'none'", "types", "Incompatible types in assignment"),
    ],
)
def test_a_planted_defect_turns_the_checks_red(copy: Path, file: str, planted: str, target: str, sentence: str) -> None:
    before = _plant(copy / file, planted)
    try:
        result = make(*CHECK, target, cwd=copy)
    finally:
        (copy / file).write_text(before, encoding="utf-8")
    assert result.returncode != 0
    assert sentence in result.stdout + result.stderr
