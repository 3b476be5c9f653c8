"""The sources that corruptions happen to, each in a whole daemon whose way to its server can be meddled with."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from daemon.emulator import EmulatorApp, World
from daemon.emulator.drain_specs import parse_drain
from daemon.ports.source import Reading, Readings, Source, Wanted
from daemon.settings.drain import DrainReceiverSettings
from daemon.sources import Means, SourceSettings, build_source
from daemon.sources.probe import KIND as PROBE_KIND
from daemon.sources.probe import ProbeSettings
from daemon.sources.prometheus import PrometheusSettings
from daemon.vercel.wire import to_milliseconds
from daemon.web.drain.assembly import Drain, build_drain
from daemon.web.drain.secrets import Secret
from tests.contract.stages.log_drain import a_drain
from tests.integration.corruptions.meddling import Courier, Meddler
from tests.integration.corruptions.prometheus_server import WorldsPrometheus
from tests.integration.whole_daemon import Surroundings
from tests.unit.web.drain.receiving import SECRET, STREAM, Counting

SITE = "www.example.com"
COURIER_SECONDS = 2.0
INFLATED_BYTES_MAX = 1_048_576


class Subject(StrEnum):
    """A source, in each of the ways in which it reads."""

    V2 = "v2"
    METRICS = "metrics_v1"
    V2_FINE = "v2_fine"
    METRICS_FINE = "metrics_v1_fine"
    REQUEST_LOGS = "request_logs"
    LOG_DRAIN = "log_drain"
    PROMETHEUS = "prometheus"
    PROBE = "probe"


SETTINGS: dict[Subject, dict[str, Any]] = {
    Subject.V2: {"kind": "observability", "dialect": "v2", "resolution": "closed"},
    Subject.METRICS: {"kind": "observability", "dialect": "metrics_v1", "resolution": "closed"},
    Subject.V2_FINE: {"kind": "observability", "dialect": "v2", "resolution": "fine"},
    Subject.METRICS_FINE: {"kind": "observability", "dialect": "metrics_v1", "resolution": "fine"},
    Subject.REQUEST_LOGS: {
        "kind": "request_logs",
        "request_pages_max": 20,
        "error_pages_max": 20,
        "late_max": timedelta(minutes=2),
    },
    Subject.LOG_DRAIN: {"kind": "log_drain", "silence_max": timedelta(minutes=1)},
    Subject.PROMETHEUS: {
        "kind": "prometheus",
        "url": "http://127.0.0.1:9090",
        "requests": "sum by (project, deployment) (requests)",
        "errors": "sum by (project, deployment) (errors)",
        "lookback_max": timedelta(minutes=10),
    },
    Subject.PROBE: {
        "kind": "probe",
        "domains": (SITE,),
        "paths": ("/api/search",),
        "count": 10,
        "via": "http://127.0.0.1:4455",
        "may_act": True,
    },
}


class Recording:
    """A source that remembers what it said."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name, self.is_fleet_wide = source.name, source.is_fleet_wide
        self.is_witness = source.is_witness
        self.counted: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.began: datetime | None = None
        self.until: datetime | None = None
        self._told: set[tuple[str, datetime]] = set()

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> Readings:
        readings = await self._source.collect(wanted, now=now)
        [reading] = readings.values()
        if isinstance(reading, Reading):
            self._note(reading)
        return readings

    def _note(self, reading: Reading) -> None:
        if self.began is None and reading.samples:
            self.began = reading.samples[0].start
        self.until = reading.complete_until
        for sample in reading.samples:
            if self.name == PROBE_KIND and (sample.deployment, sample.start) in self._told:
                # A witness tells its rounds since the watermark again.
                continue
            self._told.add((sample.deployment, sample.start))
            self.counted[sample.deployment] += sample.requests or 0
            self.failed[sample.deployment] += sample.errors + sample.platform_errors

    @property
    def totals(self) -> dict[str, tuple[int, int]]:
        """Requests and errors of each deployment."""
        return {one: (self.counted[one], self.failed[one]) for one in self.counted}


class NamingSite:
    """The emulated site as its operator would build it: answers say which deployment gave them."""

    def __init__(self, app: EmulatorApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = dict(scope["headers"]).get(b"host", b"").decode()

        async def named(message: Message) -> None:
            deployment = self._app.world.deployment_at(host)
            if deployment and message["type"] == "http.response.start":
                message["headers"].append((b"x-deployment-id", deployment.id.encode()))
            await send(message)

        await self._app(scope, receive, named)


class Spoiled(Surroundings):
    """A daemon with one source, and somebody who may meddle with what that source gets."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.subject = subject
        self.meddler: Meddler | None = None
        self.courier: Courier | None = None
        self.source: Recording | None = None
        self._drain: Drain | None = None

    @property
    def spoiled(self) -> int:
        """How many answers or batches were meddled with."""
        return sum(one.spoiled for one in (self.meddler, self.courier) if one)

    def carry(self, wire: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        self.meddler = Meddler(wire, concerns=_is_about_counts)
        return self.meddler

    def build(self, settings: SourceSettings, means: Means, app: EmulatorApp) -> Source:
        self.source = Recording(self._build(settings, means, app))
        return self.source

    def _build(self, settings: SourceSettings, means: Means, app: EmulatorApp) -> Source:
        if isinstance(settings, PrometheusSettings):
            self.meddler = Meddler(WorldsPrometheus(app.world), concerns=_every)
            return settings.open(network=self.meddler)
        if isinstance(settings, ProbeSettings):
            self.meddler = Meddler(httpx.ASGITransport(NamingSite(app)), concerns=_every)
            return settings.open(means.clock, network=self.meddler)
        if self.subject is Subject.LOG_DRAIN:
            self._drain = self._open_drain(app)
        return build_source(settings, means)

    def _open_drain(self, app: EmulatorApp) -> Drain:
        drain = build_drain(
            DrainReceiverSettings(body_bytes_max=INFLATED_BYTES_MAX, inflated_bytes_max=INFLATED_BYTES_MAX),
            lambda: [Secret(STREAM, SECRET)],
            self.buckets,
            clock=self.clock,
            recorder=Counting(),
            name="receiver_1",
        )
        self.courier = Courier(httpx.ASGITransport(Starlette(routes=drain.routes)))
        app.deliveries.courier.client = httpx.AsyncClient(transport=self.courier)
        app.deliveries.drains.create(app.world.team, parse_drain(a_drain()))
        return drain

    @asynccontextmanager
    async def live(self, app: EmulatorApp) -> AsyncIterator[None]:
        if self._drain is None:
            yield
            return
        await self._drain.handover.begin()
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self._drain.handover.run()), group.create_task(self._deliver(app))]
            yield
            for task in running:
                task.cancel()

    async def _deliver(self, app: EmulatorApp) -> None:
        while True:
            await app.deliveries.round()
            await self.clock.sleep(COURIER_SECONDS)


def _is_about_counts(request: httpx.Request) -> bool:
    return request.url.path in ("/v2/observability/query", "/metrics/v1", "/api/logs/request-logs")


def _every(_request: httpx.Request) -> bool:
    return True


def truth(world: World, start: datetime, end: datetime) -> dict[str, tuple[int, int]]:
    """Requests and errors of each deployment in production from *start* to *end*, as the world itself knows them."""
    requests: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    [project] = world.projects.values()
    for row in world.traffic_of(project).counts.rows:
        if row.key.environment == "production" and to_milliseconds(start) <= row.at_ms < to_milliseconds(end):
            requests[row.key.deployment_id] += 1
            errors[row.key.deployment_id] += 500 <= row.key.http_status <= 599
    return {one: (requests[one], errors[one]) for one in requests}
