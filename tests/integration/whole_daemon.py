"""The daemon's own engine, client and sources against an emulated Vercel, in one process and on virtual time.

What `bootstrap.assemble` puts together, with three differences: no socket lies between client and emulator, the store
is in memory, and a plain loop rings in place of the scheduler.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter

from daemon.core.command import Notify, Severity
from daemon.core.event import OperatorVerb
from daemon.core.facts import ProjectId
from daemon.core.incident import Incident, State
from daemon.core.state import ProjectState
from daemon.emulator import EmulatorApp, Scenario, World
from daemon.emulator.fault_specs import Fault
from daemon.engine.cycle import Poller
from daemon.engine.executor import Executor
from daemon.engine.housekeeping import Housekeeping
from daemon.engine.intake import Ask, encode_ask
from daemon.engine.leadership import Leadership
from daemon.engine.moments import Moments
from daemon.engine.project import Project
from daemon.engine.supervisor import Supervisor
from daemon.engine.tokens import TokenWatch
from daemon.ports.source import Source
from daemon.settings import Settings
from daemon.sources import Means, SourceSettings, build_source
from daemon.stores.memory import MemoryStore
from daemon.stores.memory_buckets import MemoryBuckets
from daemon.telemetry.metrics import Metrics
from daemon.vercel.hosting import VercelHosting, VercelRollback
from daemon.vercel.transport import ActingTransport, Limits, VercelTransport
from tests.integration.virtual_time import VirtualClock

URL = "http://127.0.0.1:4455"
READER = "tok_emulator_read"
ACTOR = "tok_emulator_act"
ACTING_NAME = "actor"
BOTH_SOURCES = ({"kind": "observability"}, {"kind": "request_logs"})
REQUEST_LOGS = ({"kind": "request_logs"},)
_FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)


class Wire(httpx.AsyncBaseTransport):
    """A network without sockets. As on a real one, a client that gives up does not stop the server's work."""

    def __init__(self, app: EmulatorApp, servers: asyncio.TaskGroup) -> None:
        self._transport = httpx.ASGITransport(app)
        self._servers = servers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        serving = self._servers.create_task(self._serve(request))
        answer = await asyncio.shield(serving)
        if isinstance(answer, httpx.TransportError):
            raise answer
        return answer

    async def _serve(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        try:
            return await self._transport.handle_async_request(request)
        except httpx.TransportError as error:
            # A task group would take a reset connection for the end of the whole network.
            return error


class Surroundings:
    """What lies between the daemon and the world: nothing at all, unless a test puts something there."""

    def __init__(self, *, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        """The daemon's own, which may be wrong; the world goes by another."""
        self.buckets = MemoryBuckets()

    def carry(self, wire: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        """Return the network of everything that is read from Vercel."""
        return wire

    def build(self, settings: SourceSettings, means: Means, _app: EmulatorApp) -> Source:
        """Return the source that *settings* describe."""
        return build_source(settings, means)

    @asynccontextmanager
    async def live(self, _app: EmulatorApp) -> AsyncIterator[None]:
        """Keep alive what runs beside the daemon."""
        yield


@dataclass(slots=True)
class People:
    """Everybody who is told."""

    messages: list[tuple[datetime, Notify]] = field(default_factory=list)
    clock: VirtualClock = field(default_factory=VirtualClock)

    async def notify(self, _project: ProjectId, message: Notify) -> None:
        self.messages.append((self.clock.now(), message))

    @property
    def pages(self) -> list[Notify]:
        return [one for _, one in self.messages if one.severity is Severity.PAGE]


@dataclass(frozen=True, slots=True)
class Whole:
    """One project under the daemon's watch, and the world that it lives in."""

    clock: VirtualClock
    world: World
    project: Project
    poller: Poller
    store: MemoryStore
    people: People
    interval_seconds: float

    @property
    def state(self) -> ProjectState:
        assert self.project.state is not None, "a poll was committed"
        return self.project.state

    @property
    def ended(self) -> Incident | None:
        """The incident that ended last; None while none has."""
        return self.state.last_ended

    @property
    def production(self) -> str:
        """The name of what the emulator itself served at the last poll."""
        return self.world.deployments[self.world.project("web").production_id or ""].name

    @property
    def sent(self) -> int:
        """How many requests reached a route that may change something, by the emulator's ledger."""
        return self.world.ledger.requests_total["mutating"]

    @property
    def applied(self) -> int:
        """How many rollbacks of ours moved production, by the emulator's ledger."""
        return sum(one.by == ACTING_NAME for one in self.world.ledger.applied("rollback"))

    def fault(self, **spec: Any) -> None:
        self.world.faults.set(_FAULT.validate_python(spec))

    async def ask(self, verb: OperatorVerb) -> None:
        """Ask for something as an operator does."""
        await self.store.ask(
            encode_ask(Ask(verb)), project=self.project.id, requested_at=self.clock.now(), requested_by="grace"
        )

    async def watch(self, minutes: float) -> None:
        """Poll as the scheduler would for *minutes* of virtual time."""
        ends = self.clock.monotonic() + minutes * 60
        while self.clock.monotonic() < ends:
            rung = self.clock.monotonic()
            await self.poller.run_cycle()
            assert not self.project.is_frozen
            await self.clock.sleep(max(0.0, rung + self.interval_seconds - self.clock.monotonic()))

    async def watch_until_ended(self, *, minutes_max: float = 60) -> Incident:
        """Poll until an incident has ended and return it."""
        for _ in range(round(minutes_max * 60 / self.interval_seconds)):
            await self.watch(self.interval_seconds / 60)
            if self.ended:
                return self.ended
        raise AssertionError(f"no incident ended in {minutes_max:g} min: {self.state.decision.sentence}")

    async def watch_until(self, state: State, *, minutes_max: float = 60) -> Incident:
        """Poll until the live incident is in *state* and return it."""
        for _ in range(round(minutes_max * 60 / self.interval_seconds)):
            await self.watch(self.interval_seconds / 60)
            if self.state.incident and self.state.incident.state is state:
                return self.state.incident
        raise AssertionError(f"{state} was not reached in {minutes_max:g} min: {self.state.decision.sentence}")


@asynccontextmanager
async def whole_daemon(
    scenario: Scenario, *, acting_token: str = ACTOR, surroundings: Surroundings | None = None, **project: Any
) -> AsyncIterator[Whole]:
    """Yield the daemon that watches the only project of *scenario*, configured by the keys of *project*.

    It judges by `threshold` unless *project* says otherwise: what these tests are about must not wait for evidence.
    """
    surroundings = surroundings or Surroundings()
    clock = surroundings.clock
    world = World(scenario, VirtualClock())
    app = EmulatorApp(world, reset_error=httpx.ReadError)
    [emulated] = world.projects.values()
    rule = {"detectors": [{"kind": "threshold"}]}
    settings = Settings.model_validate({"projects": [{"id": emulated.id, **rule, **project}]})
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(_network())
        wire = Wire(app, servers)
        carried = surroundings.carry(wire)
        reading = await stack.enter_async_context(_transport(VercelTransport, READER, clock, world, settings, carried))
        acting = await stack.enter_async_context(
            _transport(ActingTransport, acting_token, clock, world, settings, wire)
        )
        supervisor = await stack.enter_async_context(Supervisor(reraise=True))
        means = Means(reading, surroundings.buckets, clock)
        [configured] = settings.projects
        sources = [surroundings.build(one, means, app) for one in configured.sources]
        await stack.enter_async_context(surroundings.live(app))
        yield _assemble(settings, clock, world, sources, reading, acting, supervisor)
        await supervisor.finish(grace_seconds=0.0)


@asynccontextmanager
async def _network() -> AsyncIterator[asyncio.TaskGroup]:
    """Carry requests; what is still at work on the far side in the end is forgotten."""
    async with asyncio.TaskGroup() as servers:
        yield servers
        for task in servers._tasks:
            task.cancel()


def _transport(
    kind: type[VercelTransport],
    token: str,
    clock: VirtualClock,
    world: World,
    settings: Settings,
    wire: httpx.AsyncBaseTransport,
) -> Any:
    timeout = settings.vercel.request_timeout.total_seconds()
    return kind(
        URL,
        lambda: token,
        clock=clock,
        jitter=lambda: 0.5,
        team_id=world.team.id,
        limits=Limits(timeout / 2, timeout, timeout),
        transport=wire,
    )


def _assemble(
    settings: Settings,
    clock: VirtualClock,
    world: World,
    sources: Sequence[Source],
    reading: VercelTransport,
    acting: ActingTransport,
    supervisor: Supervisor,
) -> Whole:
    store, people = MemoryStore(), People()
    metrics = Metrics(CollectorRegistry(), version="test")
    moments = Moments(clock)
    leadership = Leadership(store, clock, holder="test", ttl_seconds=settings.poll.lease_ttl.total_seconds())
    hosting = VercelHosting(reading)
    executor = Executor(
        hosting=hosting,
        rollback=VercelRollback(acting),
        notifiers=(people,),
        leadership=leadership,
        clock=clock,
        moments=moments,
        metrics=metrics,
        request_timeout_seconds=settings.vercel.request_timeout.total_seconds(),
    )
    [configured] = settings.projects
    policy = settings.policy_for(configured)
    project = Project(
        id=ProjectId(configured.id or ""),
        store=store,
        policy=lambda: policy,
        executor=executor,
        leadership=leadership,
        moments=moments,
        supervisor=supervisor,
        metrics=metrics,
    )
    poller = Poller(
        projects=(project,),
        sources={project.id: sources},
        hosting=hosting,
        leadership=leadership,
        moments=moments,
        clock=clock,
        supervisor=supervisor,
        metrics=metrics,
        housekeeping=Housekeeping(store, clock, keep=settings.store.keep_journal),
        tokens=TokenWatch({}, clock=clock),
    )
    return Whole(clock, world, project, poller, store, people, settings.poll.interval.total_seconds())
