"""The style rules that no linter knows: sizes, broad exceptions, open ends, docstrings."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import python_files, source, syntax_tree

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
# The one place that survives what it did not expect: it freezes the project, pages and re-raises under test.
SUPERVISOR = Path("daemon/engine/supervisor.py")
_OPEN_END = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")


def long_functions(tree: ast.Module) -> Iterator[str]:
    """Yield a sentence for each function over the limit, its decorators not counted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"line {node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"


def broad_catches(tree: ast.Module) -> Iterator[str]:
    """Yield a sentence for each handler or `suppress` that catches every exception.

    A handler that cleans up and always raises again, cancellation included, catches nothing and is allowed.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _only_cleans_up(node):
            yield f"line {node.lineno}: catches every exception"
        is_suppress = isinstance(node, ast.Call) and ast.unparse(node.func) in {"suppress", "contextlib.suppress"}
        if is_suppress and any(_is_broad(argument) for argument in node.args):  # type: ignore[attr-defined]
            yield f"line {node.lineno}: suppresses every exception"  # type: ignore[attr-defined]


def open_ends(text: str) -> Iterator[str]:
    """Yield a sentence for each comment that promises later work without the issue that holds it."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and _OPEN_END.search(token.string):
            yield f"line {token.start[0]}: {token.string}"


def _is_broad(node: ast.expr | None) -> bool:
    if node is None:
        return True
    names = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(ast.unparse(name).removeprefix("builtins.") in {"Exception", "BaseException"} for name in names)


def _only_cleans_up(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    ways_out = (ast.Return, ast.Break, ast.Continue, ast.Try)
    raises_again = isinstance(last, ast.Raise) and last.exc is None
    return raises_again and not any(isinstance(node, ways_out) for part in handler.body for node in ast.walk(part))


def _all_code() -> Iterator[Path]:
    yield from python_files("daemon", "tests", "bench", ".ci")


@pytest.mark.slow
def test_no_function_is_longer_than_a_screen() -> None:
    broken = [f"{file}: {sentence}" for file in _all_code() for sentence in long_functions(syntax_tree(file))]
    assert not broken, "\n".join(broken)


def test_no_file_is_longer_than_six_hundred_lines() -> None:
    lengths = {file: source(file).count("\n") for file in _all_code()}
    broken = [f"{file}: {lines} lines" for file, lines in lengths.items() if lines > FILE_LINES_MAX]
    assert not broken, "\n".join(broken)


def test_only_the_supervisor_catches_every_exception() -> None:
    broken = [
        f"{file}: {sentence}"
        for file in python_files("daemon")
        if file != SUPERVISOR
        for sentence in broad_catches(syntax_tree(file))
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.slow
def test_every_open_end_names_its_issue() -> None:
    broken = [f"{file}: {sentence}" for file in _all_code() for sentence in open_ends(source(file))]
    assert not broken, "\n".join(broken)


def test_every_module_begins_by_saying_what_it_is_for() -> None:
    broken = []
    for file in _all_code():
        docstring = ast.get_docstring(syntax_tree(file)) or ""
        first_paragraph = docstring.partition("\n\n")[0].rstrip()
        if not first_paragraph.endswith((".", "?", "!")) and not re.search(r"[.:] |[.:]$", first_paragraph):
            broken.append(f"{file}: {first_paragraph!r} is not a sentence")
    assert not broken, "\n".join(broken)


def test_a_function_one_line_over_the_limit_is_refused_and_one_at_it_is_not() -> None:
    body = "\n    pass" * (FUNCTION_LINES_MAX - 1)
    assert not list(long_functions(ast.parse(f"def f():{body}")))
    assert list(long_functions(ast.parse(f"def f():{body}\n    pass")))


@pytest.mark.parametrize(
    "planted",
    [
        "try: ...\nexcept: ...",
        "try: ...\nexcept Exception: ...",
        "try: ...\nexcept (ValueError, BaseException) as error: ...",
        "with contextlib.suppress(Exception): ...",
        "try: ...\nexcept Exception:\n    if quiet:\n        return\n    raise",
        "try: ...\nexcept Exception as error: raise Refused() from error",
    ],
)
def test_a_planted_broad_catch_is_refused(planted: str) -> None:
    assert list(broad_catches(ast.parse(planted)))


def test_a_narrow_catch_is_allowed() -> None:
    assert not list(broad_catches(ast.parse("try: ...\nexcept (ValueError, OSError): ...")))


def test_a_handler_that_cleans_up_and_raises_again_is_allowed() -> None:
    assert not list(broad_catches(ast.parse("try: ...\nexcept BaseException:\n    close()\n    raise")))


def test_a_planted_open_end_is_refused_and_one_with_an_issue_is_not() -> None:
    assert list(open_ends("x = 1  # TODO: later\n"))
    assert not list(open_ends("x = 1  # TODO(#12): later\ny = 'TODO'\n"))
