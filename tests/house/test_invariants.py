"""Every invariant of an unattended rollback has a test that bears its number, or stands among the planned ones."""

import ast
import re
from collections import defaultdict

from tests.house.tree import python_files, syntax_tree

INVARIANTS = range(1, 41)
PROMISED = frozenset(
    [1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 15, 16, 17, 19, 20, 21, 22, 23, 24, 25, 27, 28, 29, 31, 32, 36, 38, 39, 40],
)
PLANNED = frozenset(
    [2, 7, 13, 14, 18, 26, 30, 33, 34, 35, 37],
)
_NAME = re.compile(r"test_I_(\d\d)_\w+")


def numbered_tests() -> dict[int, list[str]]:
    """Return, for each number, the tests whose name bears it."""
    found = defaultdict(list)
    for file in python_files("tests"):
        for node in ast.walk(syntax_tree(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (match := _NAME.fullmatch(node.name)):
                found[int(match[1])].append(f"{file}::{node.name}")
    return found


def test_every_promised_invariant_has_a_test() -> None:
    missing = [f"I-{number:02}" for number in sorted(PROMISED - numbered_tests().keys())]
    assert not missing, f"no test is named test_I_NN_... for {', '.join(missing)}"


def test_every_invariant_is_promised_or_planned_and_not_both() -> None:
    assert frozenset(INVARIANTS) == PROMISED | PLANNED
    assert not PROMISED & PLANNED


def test_no_test_bears_the_number_of_an_invariant_that_does_not_exist() -> None:
    assert not numbered_tests().keys() - set(INVARIANTS)
