"""A receiver without a socket, what a drain sends to it, and what came of it."""

import gzip
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
from starlette.applications import Starlette

from daemon.core.facts import ProjectId
from daemon.ports.buckets import BucketCount, Buckets, GapReason, Standing
from daemon.ports.clock import Clock
from daemon.ports.drain import BatchOutcome, EntryOutcome
from daemon.settings.drain import DrainReceiverSettings
from daemon.stores.memory_buckets import MemoryBuckets
from daemon.web.drain.assembly import build_drain
from daemon.web.drain.secrets import Secret
from daemon.web.drain.tally import milliseconds_of
from tests.builders import START

SECRET = b"s3cret-of-the-drain"
OTHER_SECRET = b"of-another-drain"
STREAM = "team.secret"
SHOP = ProjectId("prj_shop")
START_MS = milliseconds_of(START)


def an_entry(
    request: str | None = "iad1::1", *, at_ms: int = START_MS, status: int | None = 200, **changes: Any
) -> dict[str, Any]:
    """An entry of a request of the shop in production; a change to None leaves the field out."""
    proxy = {
        "timestamp": at_ms,
        "method": "GET",
        "host": "www.example.com",
        "path": "/cart?item=1",
        "userAgent": ["Mozilla/5.0"],
        "region": "fra1",
        "statusCode": status,
        "pathType": "func",
        "vercelId": f"fra1::{request}",
    }
    entry = {
        "id": f"{at_ms}1",
        "deploymentId": "dpl_1",
        "source": "lambda",
        "host": "web.vercel.app",
        "timestamp": at_ms,
        "projectId": SHOP,
        "level": "info",
        "environment": "production",
        "requestId": request,
        "path": "/cart",
        "statusCode": status,
        "proxy": proxy | changes.pop("proxy", {}),
    }
    return _without_nothing(entry | changes)


def _without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in fields.items() if value is not None}
    if "proxy" in kept and isinstance(kept["proxy"], dict):
        kept["proxy"] = {name: value for name, value in kept["proxy"].items() if value is not None}
    return kept


def requests(count: int, *, first: int = 0, **fields: Any) -> list[dict[str, Any]]:
    """Entries of so many different requests."""
    return [an_entry(f"iad1::{number}", **fields) for number in range(first, first + count)]


def lines(entries: Iterable[Any]) -> bytes:
    """The entries as newline-delimited JSON."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in entries)


def signature(body: bytes, secret: bytes = SECRET) -> str:
    """What a drain writes into x-vercel-signature."""
    return hmac.new(secret, body, hashlib.sha1).hexdigest()


class Counting:
    """A Recorder that keeps everything."""

    def __init__(self) -> None:
        self.batches: Counter[BatchOutcome] = Counter()
        self.entries: Counter[EntryOutcome] = Counter()
        self.delays: list[float] = []
        self.handovers: list[tuple[bool, int]] = []

    def note_batch(self, outcome: BatchOutcome, *, body_bytes: int) -> None:
        assert body_bytes >= 0
        self.batches[outcome] += 1

    def note_entries(self, outcome: EntryOutcome, count: int) -> None:
        self.entries[outcome] += count

    def note_delay(self, seconds: float) -> None:
        self.delays.append(seconds)

    def note_handover(self, *, is_saved: bool, waiting: int) -> None:
        self.handovers.append((is_saved, waiting))


class Reception:
    """A receiver, its store, and a client that speaks to it as a drain does."""

    def __init__(
        self, clock: Clock, *, buckets: Buckets | None = None, name: str = "receiver_1", **settings: Any
    ) -> None:
        self.clock = clock
        self.buckets = buckets or MemoryBuckets()
        self.record = Counting()
        self.secrets = [Secret(STREAM, SECRET)]
        drain = build_drain(
            DrainReceiverSettings(**{"verify_code": "code-1"} | settings),
            lambda: self.secrets,
            self.buckets,
            clock=clock,
            recorder=self.record,
            name=name,
        )
        self.receiver, self.intake, self.handover = drain.receiver, drain.intake, drain.handover
        transport = httpx.ASGITransport(Starlette(routes=drain.routes))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9465")
        self._has_begun = False

    async def begin_once(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            await self.handover.begin()

    async def post(self, body: bytes, **headers: str) -> httpx.Response:
        """Deliver a body, signed by our secret unless the headers say otherwise."""
        named = {"x-vercel-signature": signature(body)}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/drain", content=body, headers=named)

    async def deliver(self, entries: Iterable[Any]) -> int:
        """Deliver entries as a drain with gzip does, and return the status of the answer."""
        body = gzip.compress(lines(entries), mtime=0)
        return (await self.post(body, content_encoding="gzip")).status_code

    async def hand_over(self) -> bool:
        await self.begin_once()
        return await self.handover.hand_over()

    async def totals(
        self, *, start: datetime = START - timedelta(days=1), end: datetime = START + timedelta(days=1)
    ) -> list[BucketCount]:
        """What the store has, after everything was handed over."""
        await self.hand_over()
        return list(await self.buckets.totals(start=start, end=end))

    async def counted(self) -> tuple[int, int]:
        """How many requests the store has, and how many of them failed."""
        found = await self.totals()
        return sum(one.requests for one in found), sum(one.errors for one in found)

    async def standing(self) -> Standing:
        await self.hand_over()
        standing = await self.buckets.standing()
        assert standing is not None
        return standing

    async def gaps(self) -> list[tuple[GapReason, ProjectId | None]]:
        """Why something is missed, and of whom."""
        return [(gap.reason, gap.project) for gap in (await self.standing()).gaps]
