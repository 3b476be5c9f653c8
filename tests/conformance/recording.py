"""What the real CLI did when it was recorded, and in which ways a run of today differs from that.

A recording is a file of `tests/data/conformance`: the arguments, the exit code, the requests in their order and the
words printed. In `requests`, lines that begin with `&` were sent in parallel and may come in any order, and a line that
begins with `+` is a poll, which may come any number of times, but at least once. `{took}` stands for a duration,
`{when}` for an instant.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from daemon.emulator.ledger import LedgerEntry
from tests.conformance.vercel_cli import CliRun

RECORDINGS = Path(__file__).resolve().parents[1] / "data" / "conformance"
_UNREPEATABLE = (
    (re.compile(r"\(Node\.js [\d.]+\)"), "(Node.js {version})"),
    (re.compile(r"\[\d+(?:\.\d+)?(?:ms|s|m|h|d)( ago)?\]"), r"[{took}\1]"),
    (re.compile(r"\b\d{1,2} [A-Z][a-z]+ \d{4} \d\d:\d\d:\d\d\b"), "{when}"),
    (re.compile(r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT\+0000 \([^)]*\)"), "{when}"),
)


@dataclass(frozen=True)
class Recording:
    """One recorded run of the CLI. ``stdout`` None: it is data, for the test to read."""

    arguments: tuple[str, ...]
    exit_code: int
    requests: tuple[str, ...]
    stdout: tuple[str, ...] | None
    stderr: tuple[str, ...]

    def differences(self, run: CliRun, entries: Iterable[LedgerEntry]) -> list[str]:
        """Return how *run*, which caused *entries* in the emulator's ledger, differs: nothing when it conforms."""
        found = [] if run.exit_code == self.exit_code else [f"exit code {run.exit_code}, recorded {self.exit_code}"]
        if self.stdout is not None:
            found += _diff("stdout", self.stdout, words(run.stdout))
        found += _diff("stderr", self.stderr, words(run.stderr))
        seen = [request_line(entry) for entry in entries]
        return found + _diff("requests", *_comparable(self.requests, seen))


def load_recording(name: str) -> Recording:
    """Return the recording whose file is *name*.yaml."""
    data: dict[str, Any] = yaml.safe_load((RECORDINGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return Recording(
        arguments=tuple(data["arguments"].split()),
        exit_code=data["exit"],
        requests=tuple(data["requests"].splitlines()),
        stdout=None if data["stdout"] is None else words(data["stdout"]),
        stderr=words(data["stderr"]),
    )


def words(text: str) -> tuple[str, ...]:
    """Return the lines of *text* with times replaced and a line that repeats, as a spinner's does, kept once."""
    for pattern, replacement in _UNREPEATABLE:
        text = pattern.sub(replacement, text)
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return tuple(line for line, _ in groupby(lines))


def request_line(entry: LedgerEntry) -> str:
    """Return a request and the status of its answer in one line, as recordings write it."""
    query = f"?{entry.query}" if entry.query else ""
    body = f" {entry.body}" if entry.body else ""
    return f"{entry.method} {entry.path}{query}{body} -> {entry.status}"


def _comparable(recorded: Sequence[str], seen: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return both sequences with polls reduced to one and requests in parallel sorted."""
    polls = {line.removeprefix("+ ") for line in recorded if line.startswith("+ ")}
    reduced: list[str] = []
    for line in seen:
        if line not in polls or not reduced or reduced[-1] != line:
            reduced.append(line)
    wanted = [line.removeprefix("+ ") for line in recorded]
    for is_parallel, group in groupby(range(len(recorded)), key=lambda index: recorded[index].startswith("& ")):
        if is_parallel:
            indexes = list(group)
            span = slice(indexes[0], indexes[-1] + 1)
            wanted[span] = sorted(line.removeprefix("& ") for line in wanted[span])
            reduced[span] = sorted(reduced[span])
    return wanted, reduced


def _diff(what: str, recorded: Sequence[str], seen: Sequence[str]) -> list[str]:
    return list(difflib.unified_diff(recorded, seen, f"{what} recorded", f"{what} seen", n=1, lineterm=""))
