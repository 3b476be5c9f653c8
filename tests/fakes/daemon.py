"""A whole daemon over fakes: the real engine and core, with a clock, a store, a Vercel and counts that a test owns."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from prometheus_client import CollectorRegistry

from daemon.core.facts import ProjectId
from daemon.core.incident import Incident
from daemon.core.policy import Policy
from daemon.core.state import ProjectState
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
from daemon.telemetry.metrics import Metrics
from tests.builders import BAD, PROJECT, a_policy
from tests.fakes.clock import VirtualClock, settle
from tests.fakes.hosting import FakeHosting
from tests.fakes.notifier import FakeNotifier
from tests.fakes.source import FakeSource
from tests.fakes.store import FaultyStore

INTERVAL_SECONDS = 10.0
TTL_SECONDS = 45.0
REQUEST_TIMEOUT_SECONDS = 10.0


@dataclass(slots=True)
class World:
    """What outlives a daemon: time, the store, Vercel and what its visitors see."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    store: FaultyStore = field(default_factory=FaultyStore)
    hosting: FakeHosting = field(init=False)
    source: FakeSource = field(init=False)

    def __post_init__(self) -> None:
        self.hosting = FakeHosting(self.clock)
        self.source = FakeSource(self.hosting, ratios={BAD.id: 0.3})

    async def ask(self, ask: Ask, *, project: ProjectId | None = PROJECT) -> int:
        """Let an operator ask for something through the store."""
        document = encode_ask(ask)
        return await self.store.ask(document, project=project, requested_at=self.clock.now(), requested_by="ann")


@dataclass(slots=True)
class FakeDaemon:
    """One process of the daemon, with its own view of the world."""

    world: World
    policy: Policy
    poller: Poller
    projects: Sequence[Project]
    leadership: Leadership
    moments: Moments
    supervisor: Supervisor
    executor: Executor
    notifier: FakeNotifier
    metrics: Metrics

    @property
    def project(self) -> Project:
        """The first project."""
        return self.projects[0]

    @property
    def state(self) -> ProjectState:
        """What the first project's state is, as the daemon has it in memory."""
        assert self.project.state is not None, "it has not been loaded, or the last commit failed"
        return self.project.state

    @property
    def incident(self) -> Incident:
        """The live incident of the first project, or the one that ended last."""
        incident = self.state.incident or self.state.last_ended
        assert incident is not None, "there never was an incident"
        return incident

    async def poll(self) -> None:
        """Run one cycle, and all that follows from it without waiting for time."""
        await self.poller.run_cycle()
        await settle()

    async def live(self, seconds: float) -> None:
        """Poll, let *seconds* pass, and poll every interval meanwhile."""
        for _ in range(round(seconds / INTERVAL_SECONDS)):
            await self.poll()
            await self.world.clock.advance(INTERVAL_SECONDS)

    async def breach(self) -> None:
        """Let bad go live, and poll until the breach has had all the consequences that need no time."""
        await self.poll()
        self.world.hosting.release(BAD)
        for _ in range(20):
            if self.project.state is None or self.state.incident:
                return
            await self.world.clock.advance(INTERVAL_SECONDS)
            await self.poll()

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of one series as a scrape would show it; None when it is not there."""
        return self.metrics.registry.get_sample_value(name, labels)


@asynccontextmanager
async def a_daemon(
    world: World,
    policy: Policy | None = None,
    *,
    holder: str = "one",
    projects: Sequence[ProjectId] = (PROJECT,),
    sources: Mapping[ProjectId, Sequence[Source]] | None = None,
    read_seconds_max: float = 90.0,
    reraise: bool = True,
) -> AsyncIterator[FakeDaemon]:
    """Yield a daemon that starts now; what it left under way when the test is done is cancelled, as by a crash."""
    metrics = Metrics(CollectorRegistry(), version="0")
    metrics.initialise(projects)
    clock, store = world.clock, world.store
    leadership = Leadership(store, clock, holder=holder, ttl_seconds=TTL_SECONDS)
    moments = Moments(clock, newest=await store.newest_moment())
    notifier = FakeNotifier()
    supervisor = Supervisor(reraise=reraise)
    executor = Executor(
        hosting=world.hosting,
        rollback=world.hosting,
        notifiers=(notifier,),
        leadership=leadership,
        clock=clock,
        moments=moments,
        metrics=metrics,
        request_timeout_seconds=REQUEST_TIMEOUT_SECONDS,
    )
    made = tuple(
        Project(
            id=project,
            store=store,
            policy=lambda: daemon.policy,
            executor=executor,
            leadership=leadership,
            moments=moments,
            supervisor=supervisor,
            metrics=metrics,
        )
        for project in projects
    )
    poller = Poller(
        projects=made,
        sources=sources or {project: [world.source] for project in projects},
        hosting=world.hosting,
        leadership=leadership,
        moments=moments,
        clock=clock,
        supervisor=supervisor,
        metrics=metrics,
        housekeeping=Housekeeping(store, clock, keep=timedelta(days=30)),
        tokens=TokenWatch({}, clock=clock),
        read_seconds_max=read_seconds_max,
    )
    daemon = FakeDaemon(
        world, policy or a_policy(), poller, made, leadership, moments, supervisor, executor, notifier, metrics
    )
    async with supervisor:
        yield daemon
        await supervisor.finish(grace_seconds=0)
