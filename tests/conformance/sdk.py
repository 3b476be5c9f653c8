"""@vercel/sdk as a subprocess that calls the emulator, and what went over the wire meanwhile.

Its parser fills in what an answer lacks: "" for a text, 0 for a number, false for a truth. So a value counts as
answered only if the same value is found on the wire.
"""

import asyncio
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.conformance.touches import TOUCHES
from tests.requires import vercel_clients

SCRIPT = Path(__file__).with_name("sdk_call.mjs")
RUN_SECONDS_MAX = 60.0


class Witness:
    """An app that keeps the last answer that it gave, status and body (as text where it is no JSON)."""

    def __init__(self) -> None:
        self.status = 0
        self.body: Any = None

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return *app*, watched."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            content = b""

            async def keep(message: Message) -> None:
                nonlocal content
                if message["type"] == "http.response.start":
                    self.status = message["status"]
                content += message.get("body", b"")
                await send(message)

            await app(scope, receive, keep)
            self.body = _read(content.decode())

        return watched


def _read(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


@dataclass(frozen=True)
class Call:
    """What one call resolved to, or the error that it threw, and the answer that it got."""

    method: str
    value: Any
    error: dict[str, Any] | None
    status: int
    wire: Any

    def says(self, path: str) -> Any:
        """Return the value at *path* (`targets.0.id`); an AssertionError unless the wire says the same there."""
        value, sent = at(self.value, path), at(self.wire, path)
        assert value == sent, f"{self.method}: {path} is {value!r:.300}, and {sent!r:.300} on the wire"
        return value

    def says_each(self, key: str, *, of: str = "") -> list[Any]:
        """Return the value at *key* of every row of the list at *of* ("": the whole answer), as ``says`` does."""
        count, sent = len(at(self.value, of)), len(at(self.wire, of))
        assert count == sent, f"{self.method}: {count} rows, and {sent} on the wire"
        return [self.says(".".join(filter(None, (of, str(index), key)))) for index in range(count)]

    def strips(self, path: str) -> None:
        """An AssertionError unless the wire has something at *path* of which the value knows nothing."""
        at(self.wire, path)
        assert not _has(self.value, path), f"{self.method}: {path} is {at(self.value, path)!r}"

    def makes_up(self, path: str) -> Any:
        """Return the value at *path*, where the wire has nothing; an AssertionError if it has."""
        assert not _has(self.wire, path), f"{self.method}: {path} is {at(self.wire, path)!r} on the wire"
        return at(self.value, path)


@dataclass(frozen=True)
class Sdk:
    """The SDK of one token against one server."""

    url: str
    token: str
    team_id: str
    witness: Witness = field(default_factory=Witness)

    async def call(self, method: str, *, accept: str | None = None, **request: Any) -> Call:
        """Call *method* with *request* in the team's scope; TimeoutError after a minute.

        *accept* is the Accept header to send; None leaves it to the SDK.
        """
        body = json.dumps({"teamId": self.team_id, **request})
        options = json.dumps({} if accept is None else {"acceptHeaderOverride": accept})
        seen_before = frozenset(TOUCHES.seen)
        process = await asyncio.create_subprocess_exec(
            *(shutil.which("node") or "node", SCRIPT, vercel_clients(), self.url, self.token, method, body, options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
        )
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(), RUN_SECONDS_MAX)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, stderr.decode()
        printed = json.loads(stdout)
        if "error" in printed:
            # An answer that the SDK could not read proves nothing about its route.
            TOUCHES.seen = set(seen_before)
        return Call(method, printed.get("value"), printed.get("error"), self.witness.status, self.witness.body)

    async def resolves(self, method: str, *, accept: str | None = None, **request: Any) -> Call:
        """Call *method*; an AssertionError tells why it did not resolve."""
        call = await self.call(method, accept=accept, **request)
        assert call.error is None, f"{method}: {call.error}"
        return call


_NOWHERE = object()


def _has(data: Any, path: str) -> bool:
    try:
        at(data, path)
    except AssertionError:
        return False
    return True


def at(data: Any, path: str) -> Any:
    """Return what stands at a dotted *path*; an AssertionError where there is nothing."""
    for part in path.split(".") if path else ():
        if isinstance(data, list):
            found = data[int(part)] if int(part) < len(data) else _NOWHERE
        else:
            found = data.get(part, _NOWHERE) if isinstance(data, dict) else _NOWHERE
        assert found is not _NOWHERE, f"there is no {part!r} of {path!r} in {json.dumps(data)[:300]}"
        data = found
    return data
