"""The rule of the pure rooms, as a function of source text: what `core`, `detectors`, `guardrails` import and call."""

import ast
from collections.abc import Iterator

ALLOWED_LIBRARIES = frozenset(
    {
        "__future__",
        "abc",
        "bisect",
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "json",
        "math",
        "operator",
        "pydantic",
        "re",
        "statistics",
        "types",
        "typing",
    }
)
# Which rooms of daemon/ each pure room may look into, itself included.
ALLOWED_ROOMS = {
    "core": frozenset({"core"}),
    "detectors": frozenset({"core", "detectors"}),
    "guardrails": frozenset({"core", "guardrails"}),
}
_FORBIDDEN_CALLS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"})


def impurities(text: str, *, room: str) -> Iterator[str]:
    """Yield one sentence for each thing in the source *text* that a module of *room* must not do."""
    for node in ast.walk(ast.parse(text)):
        for module in _imported(node):
            if not _may_import(module, room=room):
                yield f"line {node.lineno}: imports {module}"  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FORBIDDEN_CALLS:
            yield f"line {node.lineno}: calls {node.func.id}()"
        if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
            yield f"line {node.lineno}: is async"


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        # `from daemon import stores` names the room on the right-hand side.
        return [f"daemon.{alias.name}" for alias in node.names] if module == "daemon" else [module]
    return []


def _may_import(module: str, *, room: str) -> bool:
    top, *below = module.split(".")
    if top == "daemon":
        return bool(below) and below[0] in ALLOWED_ROOMS[room]
    return top in ALLOWED_LIBRARIES
