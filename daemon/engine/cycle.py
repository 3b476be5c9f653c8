"""One poll: lease, then for each project production and counts, then the tick at which everything is decided."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from daemon.core.event import CycleEnded, Event, ProductionObserved, ReadFailed, ReadTarget, SamplesObserved
from daemon.core.facts import ProjectId
from daemon.engine.chain import SourceChain
from daemon.engine.housekeeping import Housekeeping
from daemon.engine.leadership import Leadership
from daemon.engine.moments import Moments
from daemon.engine.project import Project
from daemon.engine.supervisor import Supervisor
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError
from daemon.ports.hosting import HostingReader
from daemon.ports.source import Reading, Source
from daemon.telemetry.metrics import Metrics

_POLLS_AT_ONCE = 10
_READ_SECONDS_MAX = 90.0
"""Real time that one source, or one look at production, may take altogether, tries and pages included."""
_STORE_TROUBLE_CYCLES = 3
"""After so many cycles in a row without a store somebody is paged: one may be a moment's lock."""

log = structlog.get_logger()


class Poller:
    """Polls all projects of one team with one token.

    `poll_seconds_max` is the real time after which no reading of one project is waited for any longer. Only reading is
    bounded: a commit that were cut short would leave commands behind that nobody carries out.
    """

    def __init__(
        self,
        *,
        projects: Sequence[Project],
        sources: Mapping[ProjectId, Sequence[Source]],
        hosting: HostingReader,
        leadership: Leadership,
        moments: Moments,
        clock: Clock,
        supervisor: Supervisor,
        metrics: Metrics,
        housekeeping: Housekeeping,
        read_seconds_max: float = _READ_SECONDS_MAX,
    ) -> None:
        self._projects = tuple(projects)
        self._chains = {project: SourceChain(chain, clock) for project, chain in sources.items()}
        self._hosting = hosting
        self._leadership = leadership
        self._moments = moments
        self._clock = clock
        self._supervisor = supervisor
        self._metrics = metrics
        self._housekeeping = housekeeping
        self._read_seconds_max = read_seconds_max
        self._counts_seconds_max = read_seconds_max * max(len(chain) for chain in sources.values())
        self._token: int | None = None
        self._awaited = ""
        self._store_trouble_cycles = 0
        self._gate = asyncio.Semaphore(_POLLS_AT_ONCE)
        self.last_completed: float | None = None
        """When a cycle last ended, standing by included, on the monotonic clock; None before the first."""
        self.last_progress = clock.monotonic()
        """When a cycle began or ended last, or a project's part of one; on the monotonic clock."""

    @property
    def poll_seconds_max(self) -> float:
        """Return how long one project's part of a cycle may take, the store's part aside."""
        # A look that a mitigation asked for may be under way when ours is due.
        return self._counts_seconds_max + 2 * self._read_seconds_max

    async def run_cycle(self) -> None:
        """Poll every project once. A daemon without the lease does nothing but ask for it again."""
        started = self.last_progress = self._clock.monotonic()
        if not await self._leadership.renew():
            self._stand_by()
            self._note_store_trouble()
            self.last_completed = self.last_progress = self._clock.monotonic()
            return
        self._awaited = ""
        self._metrics.leader.set(1)
        await self._resume_when_new()
        async with asyncio.TaskGroup() as group:
            for project in self._projects:
                group.create_task(self._guarded(project))
        self.last_completed = self.last_progress = self._clock.monotonic()
        self._metrics.cycle_duration.observe(self.last_completed - started)
        self._note_store_trouble()
        await self._housekeeping.tidy()

    def _stand_by(self) -> None:
        self._metrics.leader.set(0)
        self._token = None
        awaited = f"standing by: {self._leadership.trouble or 'another daemon holds the lease'}"
        if awaited != self._awaited:
            log.info("lease.awaited", summary=awaited)
        self._awaited = awaited

    def _note_store_trouble(self) -> None:
        """Page, without the store's help, when it has failed for some cycles: nothing is watched meanwhile."""
        trouble = self._leadership.trouble
        unwatched = [
            project
            for project in self._projects
            if not project.is_frozen and (trouble or (self._leadership.lease and project.state is None))
        ]
        self._store_trouble_cycles = self._store_trouble_cycles + 1 if unwatched else 0
        if self._store_trouble_cycles != _STORE_TROUBLE_CYCLES:
            return
        sentence = f"{trouble or 'nothing can be committed'}; projects neither watched nor acted on: {len(unwatched)}"
        next_step = "look at the store's disk; lastgood goes on by itself"
        self._supervisor.start(
            unwatched[0].page("lastgood has no store", sentence, next_step),
            name="store:Notify",
            on_bug=unwatched[0].note_broken_notifier,
        )

    async def _resume_when_new(self) -> None:
        """After taking the lease anew, or losing the thread, look at what was left under way before anything else."""
        lease = self._leadership.lease
        assert lease is not None, "the lease was just taken"
        if lease.token != self._token:
            log.info("lease.taken", holder=lease.holder, term=lease.token)
            for project in self._projects:
                project.needs_resume = True
        self._token = lease.token
        for project in self._projects:
            if project.needs_resume and not project.is_frozen:
                await self._supervisor.guard(self._resume(project), name=f"{project.id}:resume", on_bug=project.freeze)

    async def _resume(self, project: Project) -> None:
        await project.resume()

    async def _guarded(self, project: Project) -> None:
        async with self._gate:
            await self._supervisor.guard(self._poll(project), name=f"{project.id}:poll", on_bug=project.freeze)
        self.last_progress = self._clock.monotonic()

    async def _poll(self, project: Project) -> None:
        if project.is_frozen or project.needs_resume:
            return
        before = project.state.last_ended if project.state else None
        reading = await self._collect(project)
        # Production is read last: what is decided on should be young, and counts may take their time.
        async with project.looking:
            production = await self._look(project)
            is_committed = await project.tell(production, self._counted(reading), CycleEnded(self._moments.now()))
        self._metrics.cycles.labels(project=project.id, outcome="completed" if is_committed else "failed").inc()
        if not is_committed or project.state is None:
            log.warning("cycle.failed", project=project.id, summary="nothing was committed, so nothing was decided")
            return
        self._metrics.last_cycle.labels(project=project.id).set(self._clock.now().timestamp())
        state, ended = project.state, project.state.last_ended
        log.info(
            "cycle.completed",
            project=project.id,
            production=state.serving.id if state.serving else None,
            incident=state.incident.state if state.incident else None,
            reason=state.decision.reason,
            # An incident that ended in this cycle is what the cycle was about.
            summary=ended.trail[-1].sentence if ended and ended != before else state.decision.sentence,
        )

    async def _look(self, project: Project) -> Event:
        try:
            async with asyncio.timeout(self._read_seconds_max):
                production = await self._hosting.read_production(project.id)
        except (PortError, TimeoutError) as error:
            cause = str(error) or f"given up after {self._read_seconds_max:.0f} s"
            return ReadFailed(self._moments.now(), ReadTarget.PRODUCTION, f"production unread: {cause}")
        return ProductionObserved(self._moments.now(), production)

    async def _collect(self, project: Project) -> Reading | str:
        """Return the counts, or a sentence that tells why there are none."""
        since = project.state.samples_until if project.state else None
        try:
            async with asyncio.timeout(self._counts_seconds_max):
                return await self._chains[project.id].collect(project.id, since=since)
        except (PortError, TimeoutError) as error:
            return f"no counts: {str(error) or f'given up after {self._counts_seconds_max:.0f} s'}"

    def _counted(self, reading: Reading | str) -> Event:
        moment = self._moments.now()
        if isinstance(reading, str):
            return ReadFailed(moment, ReadTarget.SAMPLES, reading)
        return SamplesObserved(moment, reading.source, tuple(reading.samples), reading.complete_until)
