"""The demo world as the doctor sees it: an emulated Vercel on a socket, our receivers on another, and settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import TypeAdapter
from starlette.applications import Starlette

from daemon.core.facts import DeploymentId, Instant, ProjectId
from daemon.core.state import KnownBad, ProjectState
from daemon.doctor import Report, examine
from daemon.emulator import EmulatorServer, ManualClock, Scenario
from daemon.emulator.drain_specs import parse_drain
from daemon.emulator.fault_specs import Fault
from daemon.emulator.scenario_files import load_scenario
from daemon.engine.codec import encode_state
from daemon.ports.buckets import Delivery, Heard, RouteCount
from daemon.runtime.process import WebServer, listen
from daemon.settings import Settings, TokenFile
from daemon.settings.drain import DrainReceiverSettings
from daemon.stores.memory_buckets import MemoryBuckets
from daemon.stores.sql_buckets import open_sqlite_buckets
from daemon.stores.sqlite import open_sqlite
from daemon.vercel.webhook_settings import WebhookReceiverSettings
from daemon.vercel.webhooks import EVENTS_WANTED
from daemon.web.drain.assembly import build_drain
from daemon.web.drain.record import NoRecorder
from daemon.web.drain.secrets import SecretFiles
from daemon.web.webhooks import WebhookReceiver
from tests.unit.vercel.emulated import EmulatedTime

SECRET = "s3cret-of-the-drain"
VERIFY_CODE = "the-code-that-vercel-shows"
DEAD_PORT = 9
_FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)
_BUCKET = timedelta(seconds=10)


@dataclass(slots=True)
class Clinic:
    """One project of the demo, counted by three sources, with a drain and a webhook; every test breaks one thing."""

    folder: Path
    emulator: EmulatorServer
    clock: ManualClock
    receivers_port: int = 0
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    project_changes: dict[str, Any] = field(default_factory=dict)
    deliveries: int = 0

    @property
    def time(self) -> EmulatedTime:
        return EmulatedTime(self.clock)

    @property
    def world(self) -> Any:
        return self.emulator.world

    @property
    def project(self) -> str:
        return str(self.world.project("web").id)

    @property
    def drains(self) -> Any:
        return self.emulator.app.deliveries.drains

    @property
    def webhooks(self) -> Any:
        return self.emulator.app.deliveries.webhooks

    @property
    def the_drain(self) -> Any:
        [drain] = self.drains.of(self.world.team)
        return drain

    @property
    def the_webhook(self) -> Any:
        [webhook] = self.webhooks.of(self.world.team)
        return webhook

    def fault(self, **spec: Any) -> None:
        self.world.faults.set(_FAULT.validate_python(spec))

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.world.advance()

    def settings(self) -> Settings:
        """Return the configuration, with what a test changed of its sections and of the project."""
        sections: dict[str, Any] = {
            "vercel": {
                "api_url": self.emulator.url,
                "team": self.world.team.id,
                "request_timeout": timedelta(seconds=10),
                "read_token_file": self.folder / "read-token",
                "act_token_file": self.folder / "act-token",
            },
            "store": {"path": self.folder / "lastgood.db"},
            "drain": {"secret_files": (self.folder / "drain-secret",), "verify_code": VERIFY_CODE},
            "webhooks": {"secret_files": (self.folder / "webhook-secret",)},
        }
        for section, keys in self.changes.items():
            sections[section] = sections.get(section, {}) | keys
        sources = [{"kind": "observability"}, {"kind": "request_logs"}, {"kind": "log_drain"}]
        project = {"id": self.project, "name": "web", "posture": "automatic", "sources": sources}
        return Settings.model_validate({**sections, "projects": [project | self.project_changes]})

    async def examine(self, **changes: Any) -> Report:
        return await examine(self.settings(), clock=self.time, **changes)

    def drain_spec(self, **changes: Any) -> dict[str, Any]:
        """Return what one would ask Vercel for."""
        endpoint = f"http://127.0.0.1:{self.receivers_port}/drain"
        delivery = {"type": "http", "endpoint": endpoint, "encoding": "ndjson", "headers": {}, "secret": SECRET}
        return {
            "name": "lastgood",
            "projects": "some",
            "projectIds": [self.project],
            "schemas": {"log": {"version": "v1"}},
            "delivery": delivery | changes.pop("delivery", {}),
            **changes,
        }

    def change_drain(self, **changes: Any) -> None:
        """Let the drain be another one, as its owner could have made it."""
        self.the_drain.spec = parse_drain(self.drain_spec(**changes))

    async def hear(self, *, ago: timedelta = timedelta(seconds=2)) -> None:
        """Leave in the store what a receiver would have counted until *ago*."""
        now = self.time.now()
        project, deployment = ProjectId(self.project), DeploymentId(self.world.deployment("web", "good").id)
        floor = now - timedelta(seconds=now.timestamp() % 10)
        counts = [RouteCount(project, deployment, floor - index * _BUCKET, "/", 2, 200) for index in range(6, 30)]
        heard = Heard("drain-secret", project, now - ago, now - ago, timedelta(seconds=1))
        await (await open_sqlite(self.folder / "lastgood.db")).close()
        buckets = await open_sqlite_buckets(self.folder / "lastgood.db")
        self.deliveries += 1
        await buckets.add(Delivery("receiver", self.deliveries, now - timedelta(minutes=20), now, counts, [heard]))
        await buckets.close()

    async def remember(self, bad: KnownBad) -> None:
        """Leave in the store a state of the project with *bad* in it."""
        project, now = ProjectId(self.project), self.time.now()
        store = await open_sqlite(self.folder / "lastgood.db")
        lease = await store.take_lease("test", now=now, ttl_seconds=60)
        await store.commit(
            project,
            expected_version=0,
            lease=lease,
            entries=[],
            state=encode_state(ProjectState(project, known_bad=(bad,))),
            commands=[],
            taken_requests=[],
            moment=Instant(now, 0),
        )
        await store.close()

    def ledger(self) -> list[str]:
        """Return what Vercel was asked that may change something, by its own record."""
        return [f"{entry.method} {entry.path}" for entry in self.world.ledger.mutating()]


def the_demo() -> Scenario:
    """Return the demo's scenario, with fewer visitors than the demo has: every test builds a world."""
    return load_scenario("bad-deployment", {"requests_per_second": 2})


@asynccontextmanager
async def clinic(folder: Path, scenario: Scenario | None = None) -> AsyncIterator[Clinic]:
    """Yield a world in which nothing is wrong."""
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        emulator = EmulatorServer(scenario or the_demo(), clock=clock)
        await stack.enter_async_context(emulator)
        found = Clinic(folder, emulator, clock)
        for token in emulator.world.tokens.values():
            _write(folder / ("read-token" if token.read_only else "act-token"), token.value)
        _write(folder / "drain-secret", SECRET)
        hook_secret = folder / "webhook-secret"
        _write(hook_secret, "not-known-yet")
        found.receivers_port = await stack.enter_async_context(_receivers(folder, found))
        found.drains.create(found.world.team, parse_drain(found.drain_spec()))
        url = f"http://127.0.0.1:{found.receivers_port}/webhooks/vercel"
        webhook = found.webhooks.create(found.world.team, url=url, events=EVENTS_WANTED, project_ids=None)
        _write(hook_secret, webhook.secret)
        await found.hear()
        yield found


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


@asynccontextmanager
async def _receivers(folder: Path, found: Clinic) -> AsyncIterator[int]:
    """Serve our own receivers of drains and webhooks, with secrets of their own files, and yield their port."""
    theirs = folder / "receiver"
    theirs.mkdir()
    _write(theirs / "drain-secret", SECRET)
    drain = build_drain(
        DrainReceiverSettings(verify_code=VERIFY_CODE),
        SecretFiles([theirs / "drain-secret"]),
        MemoryBuckets(),
        clock=found.time,
        recorder=NoRecorder(),
        name="receiver",
    )
    webhooks = WebhookReceiver(
        WebhookReceiverSettings(), secrets=[TokenFile(folder / "webhook-secret")], clock=found.time
    )
    app = Starlette(routes=[*drain.routes, webhooks.route])
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = WebServer(config)
    with listen("127.0.0.1", 0) as listener:
        serving = asyncio.create_task(server.serve([listener]))  # noqa: TID251 - a group would wrap what a test says
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await serving
