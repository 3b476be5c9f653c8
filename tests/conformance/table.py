"""The tables of docs/conformance.md: every recorded run of a client and the test that reproduces it, or why none does;
every route of the emulator and a test in which a client was answered by it.

`python -m tests.conformance.table` writes them anew.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.conformance.recording import RECORDINGS, load_recording
from tests.conformance.touches import CLIENTS, Touch, route_names
from tests.conformance.touches import load_index as load_touches

TESTS = Path(__file__).resolve().parent
INDEX = RECORDINGS / "index" / "recordings.yaml"
DECLARATIVE = "test_recordings.py::test_a_client_does_what_it_did_when_it_was_recorded"
PAGE = TESTS.parents[1] / "docs" / "conformance.md"
MARK = "`python -m tests.conformance.table` writes what follows; `tests/conformance/test_table.py` checks it.\n"
_HEAD = """
{reproduced} of {total} recordings are reproduced.{left_out} In {retouched} of them the recorded server answered what
the emulator never does: it left out fields that Vercel sends, to see what the CLI needs, or made one up. There the
answers that the last column names are retouched on their way to the CLI: they prove what the CLI does, not what the
emulator answers.

| recording | CLI | command | exit | reproduced by | how its server was unlike Vercel |
|---|---|---|---|---|---|
"""
_ROUTES_HEAD = """
## Every route

A test in which the client got an answer of the route, other than an error. An empty cell: no test saw that.

| route | {clients} |
|---|{rules}
"""
_ANSWERS = {
    "/v2/user$": "the user, who has no default team",
    "/v13/deployments/": "a deployment",
    "/v6/deployments$": "the list of deployments",
    "/alert-rules$": "the alert rules",
}


@dataclass(frozen=True)
class Row:
    """One recorded run. ``exit`` None: it never ended by itself; ``case`` None: nothing reproduces it."""

    recording: str
    cli: str
    exit: int | None
    command: str
    case: str | None = None
    reason: str = ""


def load_index() -> list[Row]:
    """Return every recording in the order of their names."""
    return [Row(**row) for row in yaml.safe_load(INDEX.read_text(encoding="utf-8"))]


def proofs_by_case() -> dict[str, list[str]]:
    """Return, by the name of a case, the tests that reproduce it, as `file::function`."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    cases = [file.stem for file in sorted(RECORDINGS.glob("*.yaml")) if file.name != "world.yaml"]
    for name in cases:
        if load_recording(name).given is not None:
            found[name].append(DECLARATIVE)
    for file in sorted(TESTS.glob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        for function in ast.parse(text).body:
            if not isinstance(function, ast.AsyncFunctionDef | ast.FunctionDef):
                continue
            if not function.name.startswith("test_"):
                continue
            parts = [function, *function.decorator_list]
            literals = {node.value for part in parts for node in ast.walk(part) if isinstance(node, ast.Constant)}
            for name in literals.intersection(cases):
                found[str(name)].append(f"{file.name}::{function.name}")
    return dict(found)


def note(case: str) -> str:
    """Return how the recorded server was unlike Vercel, and what stands for that here; "" where it was not."""
    lines = (RECORDINGS / f"{case}.yaml").read_text(encoding="utf-8").splitlines()
    said = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    given = load_recording(case).given or {}
    if is_retouched(case):
        said.append(f"Retouched: {', '.join(retouched(case))}.")
    kinds = dict.fromkeys(fault["kind"] for fault in given.get("faults", ()))
    return " ".join([*said, *(f"Fault: {kind}." for kind in kinds)])


def is_retouched(case: str) -> bool:
    """Tell whether the emulator's answers are changed on their way to the client."""
    return not {"kept", "rewritten"}.isdisjoint(load_recording(case).given or {})


def retouched(case: str) -> list[str]:
    """Return in words which answers are changed on their way to the client."""
    given = load_recording(case).given or {}
    made_up = ["a status that there is not"] if given.get("rewritten") else []
    return [*(_ANSWERS[path] for path in given.get("kept", ())), *made_up]


def render(rows: Iterable[Row]) -> str:
    """Return the table of recordings, and the lines that sum it up."""
    rows = list(rows)
    proofs = proofs_by_case()
    reproduced = [row for row in rows if row.case is not None]
    left_out = "" if len(reproduced) == len(rows) else " Each of the others says why it is not."
    changed = sum(is_retouched(row.case) for row in rows if row.case is not None)
    head = _HEAD.format(total=len(rows), reproduced=len(reproduced), left_out=left_out, retouched=changed)
    return head + "".join(_line(row, proofs) + "\n" for row in rows)


def written(page: str) -> str:
    """Return *page* with the table of today after its mark."""
    prose, mark, _ = page.partition(MARK)
    assert mark, f"{PAGE} lacks the line: {MARK}"
    return prose + mark + render(load_index()) + render_routes()


def render_routes() -> str:
    """Return the table of routes."""
    touches = load_touches()
    head = _ROUTES_HEAD.format(clients=" | ".join(CLIENTS), rules="---|" * len(CLIENTS))
    lines = []
    for name in route_names():
        tests = [touches.get(Touch(name, client), "").partition("[")[0] for client in CLIENTS]
        lines.append(f"| `{name}` | {' | '.join(tests)} |\n")
    return head + "".join(lines)


def _line(row: Row, proofs: dict[str, list[str]]) -> str:
    command = f"`vercel {row.command}`".replace("|", "\\|")
    end = "never" if row.exit is None else str(row.exit)
    if row.case is None:
        return f"| {row.recording} | {row.cli} | {command} | {end} | not reproduced | {row.reason} |"
    # Several tests may use a case: the file of its own command is named, never that of the broken answers.
    command_word = row.case.partition("-")[0]
    first = min(proofs[row.case], key=lambda proof: ("broken" in proof, command_word not in proof.partition("::")[0]))
    proof = f"{row.case} ({first.partition('::')[0]})"
    return f"| {row.recording} | {row.cli} | {command} | {end} | {proof} | {note(row.case)} |"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
