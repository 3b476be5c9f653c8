"""What the real CLI did when it was recorded, and in which ways a run of today differs from that.

A recording is a file of `tests/data/conformance`: the arguments, the exit code, the requests in their order and the
words printed. In `requests`, lines that begin with `&` were sent in parallel and may come in any order, and a line that
begins with `+` is a poll, which may come any number of times, but at least once. `{took}` stands for a duration,
`{when}`, `{clock}`, `{instant}` and `{ms}` for an instant, `{request}` and `{cursor}` for what the server makes up.

What a recording may say besides: `cli`, the version; `environment`, further variables; `given`, what is so in the world
(see given.py); `until`, the words after which a run that never ends is ended, so that it has no exit code; `data`, what
standard output holds if read as JSON: at least these keys, with these values; `elsewhere`, a pattern of the lines on
standard error that tell of the world itself, which other tests compare with it.
"""

import difflib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from daemon.emulator.ledger import LedgerEntry
from tests.conformance.vercel_cli import CliRun
from tests.requires import VERCEL_CLI_VERSION

RECORDINGS = Path(__file__).resolve().parents[1] / "data" / "conformance"
_INSTANT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d(?::|%3A)\d\d(?::|%3A)\d\d(?:\.\d+)?Z")
_UNREPEATABLE = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "{api}"),
    (re.compile(r"Uploading \[[-=]+\] \([^)]*\)"), "Uploading {progress}"),
    (re.compile(r"Ready in \d+(?:\.\d+)?(?:ms|s|m)\b"), "Ready in {took}"),
    (re.compile(r"^│ +| +│$", re.MULTILINE), "│"),
    (re.compile(r"\(Node\.js [\d.]+\)"), "(Node.js {version})"),
    (re.compile(r"\[\d+(?:\.\d+)?(?:ms|s|m|h|d)( ago)?\]"), r"[{took}\1]"),
    (re.compile(r"\b\d{1,2} [A-Z][a-z]+ \d{4} \d\d:\d\d:\d\d\b"), "{when}"),
    (re.compile(r"\biad1::[\w:-]+"), "{request}"),
    (re.compile(r"\b1[78]\d{11}\b"), "{epoch}"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "{instant}"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d to (?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\b"), "{when} to {when}"),
    # A list that reaches over midnight has dates, and further lines of a message stand further right.
    (re.compile(r"\b(?:[A-Z][a-z]{2} \d\d? )?\d\d:\d\d:\d\d\.\d{2,3}\b"), "{clock}"),
    (re.compile(r"^ {20,}", re.MULTILINE), "{indent}"),
    (re.compile(r"^( +)\d+[smhd](?= +acme/)", re.MULTILINE), r"\1{age}"),
    # The width of a column follows that of the ids in it.
    (re.compile(r"(?<=\S) {2,}"), "  "),
    (re.compile(r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d GMT\+0000 \([^)]*\)"), "{when}"),
)


@dataclass(frozen=True)
class Recording:
    """One recorded run of the CLI. ``stdout`` None: it is data, to be read; ``exit_code`` None: it had none."""

    arguments: tuple[str, ...]
    exit_code: int | None
    requests: tuple[str, ...]
    stdout: tuple[str, ...] | None
    stderr: tuple[str, ...]
    version: str = VERCEL_CLI_VERSION
    environment: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Any] | None = None
    until: str | None = None
    data: Any = None
    elsewhere: str | None = None

    def differences(self, run: CliRun, entries: Iterable[LedgerEntry]) -> list[str]:
        """Return how *run*, which caused *entries* in the emulator's ledger, differs: nothing when it conforms."""
        found = []
        if self.exit_code not in (None, run.exit_code):
            found += [f"exit code {run.exit_code}, recorded {self.exit_code}"]
        if self.stdout is not None:
            found += _diff("stdout", self.stdout, words(run.stdout))
        if self.data is not None:
            found += _missing(self.data, printed_data(run.stdout), "stdout")
        found += _diff("stderr", self._compared(self.stderr), self._compared(words(run.stderr)))
        seen = [request_line(entry) for entry in entries]
        return found + _diff("requests", *_comparable(self.requests, seen))

    def _compared(self, lines: Sequence[str]) -> list[str]:
        return [line for line in lines if self.elsewhere is None or not re.match(self.elsewhere, line)]


def load_recording(name: str) -> Recording:
    """Return the recording whose file is *name*.yaml."""
    data: dict[str, Any] = yaml.safe_load((RECORDINGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return Recording(
        arguments=tuple(shlex.split(data["arguments"])),
        exit_code=data["exit"],
        requests=tuple(data["requests"].splitlines()),
        stdout=None if data["stdout"] is None else words(data["stdout"]),
        stderr=words(data["stderr"]),
        version=data.get("cli", VERCEL_CLI_VERSION),
        environment=data.get("environment", {}),
        given=data.get("given"),
        until=data.get("until"),
        elsewhere=data.get("elsewhere"),
        data=json.loads(data["data"]) if "data" in data else None,
    )


def printed_data(text: str) -> Any:
    """Return the JSON of *text*, or a list with that of each line."""
    try:
        return json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


def _missing(recorded: Any, seen: Any, where: str) -> list[str]:
    """Return what of *recorded* is not in *seen*; times and ids are those of the run, and *seen* may hold more keys."""
    match recorded, seen:
        case dict(), dict():
            return [
                line for key, value in recorded.items() for line in _missing(value, seen.get(key), f"{where}.{key}")
            ]
        case list(), list() if len(recorded) == len(seen):
            pairs = enumerate(zip(recorded, seen, strict=True))
            return [line for index, (one, other) in pairs for line in _missing(one, other, f"{where}[{index}]")]
    is_same = words(json.dumps(recorded)) == words(json.dumps(seen))
    return [] if is_same else [f"{where}: {json.dumps(seen)}, recorded {json.dumps(recorded)}"]


def words(text: str) -> tuple[str, ...]:
    """Return the lines of *text* with times replaced and a line that repeats, as a spinner's does, kept once."""
    for pattern, replacement in _UNREPEATABLE:
        text = pattern.sub(replacement, text)
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return tuple(line for line, _ in groupby(lines))


def request_line(entry: LedgerEntry) -> str:
    """Return a request and the status of its answer in one line, as recordings write it."""
    query = re.sub(r"\b(until|startDate|endDate)=\d{13}\b", r"\1={ms}", f"?{entry.query}") if entry.query else ""
    query = _INSTANT.sub("{instant}", query)
    body = re.sub(r'"cursor":"[^"]*"', '"cursor":"{cursor}"', _INSTANT.sub("{instant}", f" {entry.body}"))
    body = body if entry.body else ""
    if entry.path == "/v2/files":
        body = " {file}"
    if '"files":[' in body:
        body = " " + _with_sorted_files(entry.body)
    return f"{entry.method} {entry.path}{query}{body} -> {entry.status}"


def _with_sorted_files(body: str) -> str:
    """Return a deployment's *body* with its files by name: the CLI names them as the folder happens to list them."""
    data = json.loads(body)
    data["files"].sort(key=lambda file: str(file["file"]))
    return json.dumps(data, separators=(",", ":"))


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
