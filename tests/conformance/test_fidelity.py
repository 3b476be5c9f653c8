"""The table "Fidelity" is whole, says what the runs of real clients saw, and is no better than they are."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.conformance.fidelity import PAGE, Row, load_rows, merged, proof, written
from tests.conformance.touches import TOUCHES, Touch, client_of, load_index, route_names, settle

USER, TEAM = "GET /v2/user", "GET /teams/{team}"
OLD, NEW, SDK = "CLI 58.4.4", "CLI 64.0.2", "SDK"
ROW = Row(title="user, team", routes=(USER, TEAM), assumed="much", others="docs")


def test_every_route_of_the_emulator_stands_in_one_row_and_every_row_has_real_routes() -> None:
    named = Counter(name for row in load_rows() for name in row.routes)
    assert named == Counter(route_names())


def test_a_route_that_no_client_reached_says_what_stands_behind_it() -> None:
    reached = {touch.route for touch in load_index()}
    assert [row.title for row in load_rows() if not row.others and not set(row.routes) <= reached] == []
    assert [row.title for row in load_rows() if not row.assumed] == []


def test_the_page_says_what_the_index_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page), "write it anew: python -m tests.conformance.fidelity"


def test_every_test_that_the_index_names_exists() -> None:
    functions: dict[str, set[str]] = {}
    for file in Path(__file__).parent.glob("test_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions[file.name] = {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    named = {test.partition("[")[0] for test in load_index().values()}
    assert sorted(test for test in named if test.partition("::")[2] not in functions[test.partition("::")[0]]) == []


def test_every_route_that_the_index_names_is_one_of_today() -> None:
    assert sorted({touch.route for touch in load_index()} - set(route_names())) == []


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({Touch(USER, NEW), Touch(TEAM, NEW)}, "CLI 64.0.2; docs"),
        ({Touch(USER, NEW)}, "CLI 64.0.2 (only `GET /v2/user`); docs"),
        ({Touch(USER, NEW), Touch(TEAM, NEW), Touch(USER, SDK)}, "CLI 64.0.2, SDK (only `GET /v2/user`); docs"),
        (set(), "docs"),
    ],
    ids=["all", "some", "two clients", "none"],
)
def test_a_client_that_reached_some_of_the_routes_is_said_to_have_reached_no_more(seen: set[Touch], said: str) -> None:
    assert proof(ROW, seen) == said


def test_a_run_has_the_last_word_about_its_own_files_and_none_about_others() -> None:
    index = {
        Touch(USER, NEW): "test_a.py::one",
        Touch(TEAM, NEW): "test_b.py::two",
        Touch(USER, OLD): "test_a.py::gone",
    }
    run = [
        (Touch(USER, NEW), "test_broken.py::x"),
        (Touch(USER, NEW), "test_a.py::one"),
        (Touch(TEAM, SDK), "test_c.py::y"),
    ]
    assert merged(index, run) == {
        Touch(USER, NEW): "test_a.py::one",
        Touch(TEAM, NEW): "test_b.py::two",
        Touch(TEAM, SDK): "test_c.py::y",
    }


def test_a_test_that_touches_less_or_more_than_the_index_says_is_found_out() -> None:
    touch, test = next(iter(load_index().items()))
    TOUCHES.seen = {Touch("GET /nobody", NEW)}
    found = settle(test)
    TOUCHES.seen = set()
    assert f"{NEW} was answered by GET /nobody, which the index lacks" in found
    assert f"the index says that {touch.client} was answered by {touch.route} here" in found


def test_a_client_is_known_by_its_name_and_version_alone() -> None:
    assert client_of("vercel 64.0.2 node-v20 linux (x64)") == NEW
    assert client_of("vercel 58.4.4 node-v20 linux (x64)") == OLD
    assert client_of("vercel 64.0.20 node-v20 linux (x64)") is None
    assert client_of("python-httpx/0.28.1") is None
