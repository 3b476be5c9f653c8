"""What a recording says is so before the CLI runs, and how the world of the case becomes like that.

Keys of `given`: `plan` and `knobs` of the world; `faults`; `requests` that production answered (`path`, and `status`,
`message`, `more`, `count`, `seconds_ago`, `route`), the newest first; `moved`, an alias job of somebody else (`kind`,
`to`, `outcome`); `releasing`, the canary of a rolling release; `tailed`, lines that a deployment logs as soon as
somebody follows it; `script`, the file `t.sh` beside the client; `kept`, the only fields that answers of a path have;
`rewritten`, text of answers by what it was.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.emulator.counts import CellKey, Request
from daemon.emulator.fault_specs import Fault, JobFault, JobOutcome
from daemon.emulator.ledger import LedgerEntry
from daemon.emulator.rolling_specs import parse_config
from tests.conformance.stage import Stage

KEYS = frozenset({"plan", "knobs", "faults", "requests", "moved", "releasing", "tailed", "script", "kept", "rewritten"})
_FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)


class Retouched:
    """An app whose JSON answers keep only some fields below some paths, or have another text somewhere."""

    def __init__(self, app: ASGIApp, *, kept: Mapping[str, list[str]], rewritten: Mapping[str, str]) -> None:
        self._app = app
        self._kept = kept
        self._rewritten = rewritten

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, then retouch; a stream passes as it is."""
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self._app(scope, receive, hold)
        if len(held) != 2 or not held[1].get("body", b"").startswith((b"{", b"[")):
            for message in held:
                await send(message)
            return
        start, content = held
        body = self._retouched(scope["path"], content["body"])
        others = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        await send({**start, "headers": [*others, (b"content-length", str(len(body)).encode())]})
        await send({**content, "body": body})

    def _retouched(self, path: str, body: bytes) -> bytes:
        text = body.decode()
        for old, new in self._rewritten.items():
            text = text.replace(old, new)
        try:
            data = json.loads(text)
        except ValueError:
            return text.encode()
        for pattern, fields in self._kept.items():
            if re.search(pattern, path):
                data = _pruned(data, set(fields))
        return json.dumps(data).encode()


def _pruned(data: Any, fields: set[str]) -> Any:
    """Return *data* with only *fields* in the user, in every deployment of a list, or else at the top."""
    if "user" in data:
        return {"user": _pruned(data["user"], fields)}
    if "deployments" in data:
        return {**data, "deployments": [_pruned(row, fields) for row in data["deployments"]]}
    return data if "error" in data else {name: value for name, value in data.items() if name in fields}


def arrange(stage: Stage, given: Mapping[str, Any]) -> None:
    """Make the world of *stage* as *given* says; an unknown key is an error of the recording."""
    unknown = set(given) - KEYS
    assert not unknown, f"given: unknown keys {sorted(unknown)}"
    for spec in given.get("faults", ()):
        stage.world.faults.set(_FAULT.validate_python(spec))
    log(stage, given.get("requests", ()))
    if move := given.get("moved"):
        _move(stage, move)
    if canary := given.get("releasing"):
        stages = [{"targetPercentage": 10, "duration": 5}, {"targetPercentage": 100}]
        config = parse_config({"enabled": True, "advancementType": "automatic", "stages": stages})
        stage.world.rolling.configure(stage.project, config)
        stage.world.rolling.start(stage.project, stage.deployment(canary), by="human")
    if script := given.get("script"):
        (stage.cli.home / "t.sh").write_text(script)
        (stage.cli.home / "t.sh").chmod(0o755)
    if tail := given.get("tailed"):
        _log_when_followed(stage, tail)


def log(stage: Stage, specs: Iterable[Mapping[str, Any]]) -> list[Request]:
    """Let production have answered the requests of *specs*, the newest first; return the world's rows, oldest first."""
    rows = []
    now_ms = stage.world.advance()
    for number, spec in enumerate(specs):
        at_ms = now_ms - 1000 * spec.get("seconds_ago", 40 + number)
        rows += [_row(stage, spec, at_ms, number=1000 - number) for _ in range(spec.get("count", 1))]
    rows.sort(key=lambda row: (row.at_ms, row.number))
    stage.world.traffic_of(stage.project).counts.add(rows)
    return rows


def _row(stage: Stage, spec: Mapping[str, Any], at_ms: int, *, number: int, deployment: str = "v7") -> Request:
    status = spec.get("status", 500)
    route = spec.get("route", spec["path"])
    key = CellKey(stage.deployment(deployment).id, "production", route, status, "GET", "", "")
    more = tuple((level, text) for level, text in spec.get("more", ()))
    return Request(at_ms, number, key, "www.example.com", spec["path"], "serverless", spec.get("message"), 5, more)


def _move(stage: Stage, move: Mapping[str, Any]) -> None:
    fault = JobFault(outcome=JobOutcome(move.get("outcome", "succeeded")), duration="0s")
    request = {"rollback": stage.world.request_rollback, "promote": stage.world.request_promote}[move["kind"]]
    request(stage.project, move["to"], by="human", fault=fault)
    stage.world.advance()


def _log_when_followed(stage: Stage, tail: Mapping[str, Any]) -> None:
    """Let the deployment log as soon as somebody follows it; nobody would see what it logged before."""

    def begin(point: str, entry: LedgerEntry) -> None:
        if point == "before_apply" and entry.path.endswith("/runtime-logs"):
            traffic = stage.world.traffic_of(stage.project)
            rows = [
                _row(stage, tail, traffic.generated_to_ms, number=number, deployment=tail["deployment"])
                for number in range(tail["count"] + 1)
            ]
            traffic.counts.add(rows)

    stage.world.request_hook = begin
