"""A receiver of the emulator's deliveries: it checks nothing, keeps everything and answers what a test wants."""

import gzip
import json
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.unit.emulator.driving import Driver

ENDPOINT = "http://127.0.0.1:9/hook"


@dataclass
class Receiver:
    """An ASGI app. ``statuses`` are answered first, one each, then 200; a status of 0 is a broken connection."""

    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.got.append((dict(request.headers), await request.body()))
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            raise httpx.ConnectError("refused")
        await Response(status_code=status, headers=self.headers)(scope, receive, send)

    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]

    def entries(self) -> list[Any]:
        """Return the entries of every batch, whatever its encoding."""
        entries: list[Any] = []
        for headers, body in self.got:
            text = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            is_json = headers["content-type"] == "application/json"
            entries += json.loads(text) if is_json else [json.loads(line) for line in text.splitlines()]
        return entries


def connected(driver: Driver, **behaviour: Any) -> Receiver:
    """Let the deliveries of *driver* end at a receiver."""
    receiver = Receiver(**behaviour)
    transport = httpx.ASGITransport(receiver)
    driver.app.deliveries.courier.client = httpx.AsyncClient(transport=transport)
    return receiver


async def rounds(driver: Driver, *, seconds: float, step: float = 1.0) -> None:
    """Let *seconds* pass with a round of deliveries after each step."""
    await driver.app.deliveries.round()
    for _ in range(round(seconds / step)):
        driver.clock.advance(step)
        await driver.app.deliveries.round()
