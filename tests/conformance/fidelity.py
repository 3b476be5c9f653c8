"""The table "Fidelity" of docs/emulator.md: which client was answered by which route, and what nobody could prove.

`python -m tests.conformance.fidelity` writes it; with the file of a run under LASTGOOD_TOUCHES it takes that run over
into the index before, and writes docs/conformance.md anew too, which names the tests.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.conformance import table
from tests.conformance.touches import CLIENTS, INDEX, Touch, load_index, route_names

SPECIFICATION = Path(__file__).with_name("fidelity.yaml")
PAGE = table.PAGE.with_name("emulator.md")
MARK = "`tests/conformance/fidelity.py` writes this table, and its test holds every run of a client against it.\n"
_NEXT_SECTION = "\n## "
_HEAD = "\n| routes | proved by | assumed |\n|---|---|---|\n"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Routes that belong together. ``others``: what else stands behind them; "" where the clients are all."""

    title: str
    routes: tuple[str, ...]
    assumed: str
    others: str = ""


def load_rows() -> list[Row]:
    """Return every row in the order of the table."""
    data = yaml.safe_load(SPECIFICATION.read_text(encoding="utf-8"))
    return [Row(**{**row, "routes": tuple(row["routes"])}) for row in data]


def render(rows: Iterable[Row], touches: Iterable[Touch]) -> str:
    """Return the table."""
    seen = set(touches)
    lines = []
    for row in rows:
        routes = " ".join([row.title, *(f"`{name}`" for name in row.routes)])
        lines.append(f"| {routes} | {proof(row, seen)} | {row.assumed} |\n")
    return _HEAD + "".join(lines)


def proof(row: Row, seen: set[Touch]) -> str:
    """Return who proved the routes of *row*, each client with the routes that it did not reach."""
    said = []
    for client in CLIENTS:
        reached = [name for name in row.routes if Touch(name, client) in seen]
        missed = [name for name in row.routes if name not in reached]
        if not reached:
            continue
        few, word = (missed, "all but") if len(missed) < len(reached) else (reached, "only")
        said.append(client if not missed else f"{client} ({word} {', '.join(f'`{name}`' for name in few)})")
    return "; ".join([", ".join(said), row.others] if said and row.others else [", ".join(said) or row.others])


def written(page: str) -> str:
    """Return *page* with the table of today after its mark."""
    before, mark, after = page.partition(MARK)
    assert mark, f"{PAGE} lacks the line: {MARK}"
    _, heading, rest = after.partition(_NEXT_SECTION)
    return before + mark + render(load_rows(), load_index()) + heading + rest


def merged(index: Mapping[Touch, str], run: Iterable[tuple[Touch, str]]) -> dict[Touch, str]:
    """Return *index* with what a *run* of whole files saw: it has the last word about their tests."""
    seen: dict[Touch, list[str]] = {}
    for touch, test in run:
        seen.setdefault(touch, []).append(test)
    reach = Counter(test for tests in seen.values() for test in tests)
    files = {test.partition("::")[0] for test in reach}
    kept = {touch: test for touch, test in index.items() if test.partition("::")[0] not in files}

    def worth(test: str) -> tuple[bool, int, str]:
        # The fewer routes a test reaches, the more it is about each; one of broken answers is about what is wrong.
        return ("broken" in test, reach[test], test)

    return {**{touch: min(tests, key=worth) for touch, tests in seen.items()}, **kept}


def take_over(file: Path) -> None:
    """Write the index anew with what the run saw that wrote *file*."""
    lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    index = merged(load_index() if INDEX.exists() else {}, ((Touch(*line[:2]), line[2]) for line in lines))
    order = {name: number for number, name in enumerate(route_names())}
    by_route: dict[str, dict[str, str]] = {}
    for touch in sorted(index, key=lambda touch: (order[touch.route], list(CLIENTS).index(touch.client))):
        by_route.setdefault(touch.route, {})[touch.client] = index[touch]
    INDEX.write_text(yaml.safe_dump(by_route, sort_keys=False, width=1_000, allow_unicode=True), encoding="utf-8")
    load_index.cache_clear()


if __name__ == "__main__":
    if sys.argv[1:]:
        take_over(Path(sys.argv[1]))
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    table.PAGE.write_text(table.written(table.PAGE.read_text(encoding="utf-8")), encoding="utf-8")
