"""The daemon's client on an emulated Vercel without a socket: one world, one manual clock, two tokens."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import TypeAdapter

from daemon.core.facts import Production, ProjectId
from daemon.emulator import EmulatorApp, ManualClock, Scenario, World
from daemon.emulator.fault_specs import Fault
from daemon.ports.errors import PortError
from daemon.ports.hosting import HostingReader
from daemon.vercel.hosting import VercelHosting, VercelRollback
from daemon.vercel.transport import ActingTransport, VercelTransport

URL = "http://127.0.0.1:4455"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAULT = TypeAdapter(Fault)


class EmulatedTime:
    """Implements `ports.clock.Clock` on the emulator's clock."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return EPOCH + timedelta(milliseconds=self._clock.now_ms())

    def monotonic(self) -> float:
        return self._clock.now_ms() / 1000

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


class Vercel:
    """A world, and the daemon's own adapters to it."""

    def __init__(self, scenario: Scenario, *, names_team: bool = True) -> None:
        self.clock = ManualClock()
        self.time = EmulatedTime(self.clock)
        self.world = World(scenario, self.clock)
        self.app = EmulatorApp(self.world, reset_error=httpx.ReadError)
        self.team_id = self.world.team.id if names_team else None
        self.reader = self._transport(VercelTransport, "tok_emulator_read")
        self.actor = self._transport(ActingTransport, "tok_emulator_act")
        self.hosting = VercelHosting(self.reader)
        self.rollback = VercelRollback(self.actor)

    def _transport(self, kind: type[VercelTransport], token: str) -> Any:
        return kind(
            URL,
            lambda: token,
            clock=self.time,
            jitter=lambda: 0.5,
            team_id=self.team_id,
            transport=httpx.ASGITransport(self.app),
        )

    @property
    def project(self) -> ProjectId:
        return ProjectId(self.world.project("web").id)

    @property
    def now(self) -> datetime:
        return self.time.now()

    def pass_time(self, seconds: float) -> datetime:
        """Let the world live on and return the new time."""
        self.clock.advance(seconds)
        self.world.advance()
        return self.now

    def id_of(self, name: str) -> str:
        return self.world.deployment("web", name).id

    def fault(self, **spec: Any) -> None:
        self.world.faults.set(FAULT.validate_python(spec))

    def mutations(self) -> list[str]:
        """What was asked of routes that may change something."""
        return [f"{entry.method} {entry.path}" for entry in self.world.ledger.entries if entry.kind == "mutating"]


def a_scenario(**changes: Any) -> Scenario:
    """One project with three promoted deployments and 2 requests a second."""
    history = [
        {"name": "v1", "age": "9d"},
        {"name": "v2", "age": "2d"},
        {"name": "good", "age": "20h", "commit": {"message": "cart: keep items", "author": "Grace Hopper"}},
    ]
    project = {"name": "web", "deployments": history, "domains": ["www.example.com"]}
    project |= {"traffic": {"requests_per_second": 2, "baseline_error_ratio": 0.05}} | changes.pop("project", {})
    return Scenario.model_validate({"name": "test", "history": "2m", "projects": [project], **changes})


@asynccontextmanager
async def emulated(*, names_team: bool = True, **changes: Any) -> AsyncIterator[Vercel]:
    """A Vercel for one test."""
    vercel = Vercel(a_scenario(**changes), names_team=names_team)
    async with vercel.reader, vercel.actor:
        yield vercel


async def productions(hosting: HostingReader, projects: Sequence[ProjectId]) -> dict[ProjectId, Production | PortError]:
    """Return all that `read_productions` yields; nothing twice."""
    found: dict[ProjectId, Production | PortError] = {}
    async for part in hosting.read_productions(projects):
        assert not found.keys() & part.keys()
        found |= part
    return found
