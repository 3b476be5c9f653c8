"""Parses the tree before the first rule looks at it, so that no single rule is charged for it."""

import pytest

from tests.house.tree import python_files, syntax_tree


@pytest.fixture(autouse=True, scope="session")
def _tree_is_parsed() -> None:
    for file in python_files("daemon", "tests", "bench", ".ci"):
        syntax_tree(file)
