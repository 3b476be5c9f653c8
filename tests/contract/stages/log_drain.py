"""The log drain on an emulated Vercel: real batches by the emulator's own courier, into the real receiver."""

from datetime import timedelta
from typing import Any

import httpx
from starlette.applications import Starlette

from daemon.emulator.drain_specs import parse_drain
from daemon.ports.source import Source
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.log_drain import LogDrainSettings
from daemon.stores.memory_buckets import MemoryBuckets
from daemon.web.drain.receiver import drain_routes
from tests.unit.vercel.emulated import Vercel
from tests.unit.web.drain.receiving import SECRET, Reception

ENDPOINT = "http://127.0.0.1:9/drain"
# A site that nobody visits delivers nothing, which the tests of this body must not take for a drain that broke.
PATIENCE = {"silence_max": timedelta(hours=1)}


class LogDrainStage:
    """A drain of the whole team, and a receiver that listens from the moment in which the source is built."""

    kind = "log_drain"
    counts_are_exact = True

    def __init__(self) -> None:
        self.buckets = MemoryBuckets()
        self.reception: Reception | None = None

    def build(self, vercel: Vercel, *, exclusions: Exclusions = NOTHING_EXCLUDED, **changes: Any) -> Source:
        self.reception = Reception(vercel.time, buckets=self.buckets)
        app = Starlette(routes=drain_routes(self.reception.receiver, path="/drain"))
        vercel.app.deliveries.courier.client = httpx.AsyncClient(transport=httpx.ASGITransport(app))
        vercel.app.deliveries.drains.create(vercel.world.team, parse_drain(a_drain()))
        return LogDrainSettings(**PATIENCE | changes).open(self.buckets, exclusions)

    async def settle(self, vercel: Vercel) -> None:
        """Let the courier deliver, and the receiver hand over."""
        assert self.reception is not None, "the source is built first"
        await self.reception.begin_once()
        await vercel.app.deliveries.round()
        await self.reception.hand_over()


def a_drain(**changes: Any) -> dict[str, Any]:
    """Return what one would ask Vercel for."""
    delivery = {"type": "http", "endpoint": ENDPOINT, "encoding": "ndjson", "compression": "gzip", "headers": {}}
    return {
        "name": "lastgood",
        "projects": "all",
        "schemas": {"log": {"version": "v1"}},
        "delivery": delivery | {"secret": SECRET.decode()} | changes.pop("delivery", {}),
        "source": {"kind": "self-served"},
        **changes,
    }
