"""A receiver of webhooks and drains as a program of its own, written for Node.js, and what it got."""

import asyncio
import base64
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("receiver.mjs")
WAIT_SECONDS_MAX = 20.0


@dataclass(frozen=True)
class Received:
    """One POST. ``signed`` None: the receiver knew no secret for its path; ``status`` is what was answered."""

    path: str
    headers: dict[str, str]
    signed: bool | None
    status: int
    raw: bytes
    body: Any


class Receiver:
    """The running receiver."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self._waiting: list[Received] = []
        self.port = port

    def url(self, path: str) -> str:
        """Return the address of *path*."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def tell(
        self, path: str, *, secret: str | None = None, statuses: Sequence[int] = (), verify: str | None = None
    ) -> None:
        """Say what *path* checks and answers from now on: *statuses* one by one (0 hangs up), and then 200."""
        wanted = {"path": path, "secret": secret, "statuses": list(statuses), "verify": verify}
        line = json.dumps({name: value for name, value in wanted.items() if value is not None})
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()
        while "told" not in (said := await read_line(self._process)):
            self._waiting.append(_received(said))

    async def next(self) -> Received:
        """Return the next POST; TimeoutError when none comes for a while."""
        if self._waiting:
            return self._waiting.pop(0)
        return _received(await read_line(self._process))

    async def until(self, count: int) -> list[Any]:
        """Return the entries of POSTs, in their order, until there are at least *count*."""
        entries: list[Any] = []
        while len(entries) < count:
            got = await self.next()
            assert got.signed is True
            entries += got.body
        return entries


def _received(said: Any) -> Received:
    raw = base64.b64decode(said["raw"])
    return Received(said["path"], said["headers"], said["signed"], said["status"], raw, said["body"])


async def read_line(process: asyncio.subprocess.Process) -> Any:
    """Return the JSON of the next line that *process* prints."""
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), WAIT_SECONDS_MAX)
    assert line, "the receiver has ended"
    return json.loads(line)


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver on a port of loopback."""
    process = await asyncio.create_subprocess_exec(
        *(shutil.which("node") or "node", SCRIPT),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
        env={"PATH": os.environ["PATH"]},
    )
    try:
        yield Receiver(process, (await read_line(process))["port"])
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.wait_for(process.wait(), WAIT_SECONDS_MAX)
