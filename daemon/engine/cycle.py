"""One poll: lease, then for each project counts and production, then the tick at which everything is decided."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from daemon.core.event import (
    CycleEnded,
    Event,
    MoveTold,
    ProductionObserved,
    ReadFailed,
    ReadTarget,
    SamplesObserved,
)
from daemon.core.facts import Instant, Production, ProjectId
from daemon.core.guardrail import Reason
from daemon.core.seeing import wants_close_up, wants_kinds, wants_routes
from daemon.core.signal import SignalReason, SignalState, SourceTrouble
from daemon.core.state import ProjectState
from daemon.core.verdict import onset_of
from daemon.engine.crosscheck import CHECK_EVERY_SECONDS, CrossCheck
from daemon.engine.housekeeping import Housekeeping
from daemon.engine.leadership import Leadership
from daemon.engine.moments import Moments
from daemon.engine.platform import STATUS_PAGE_EVERY_SECONDS, PlatformWatch
from daemon.engine.project import Project
from daemon.engine.recall import RECALL_EVERY_SECONDS, Recall
from daemon.engine.rounds import Rounds
from daemon.engine.signals import Counted, Signals, Uncounted, Want
from daemon.engine.supervisor import Supervisor
from daemon.engine.sweep import SWEEP_EVERY_SECONDS, SWEPT_FROM_PROJECTS, Sweep
from daemon.engine.tokens import TOKENS_EVERY_SECONDS, TokenWatch
from daemon.engine.unhurried import unhurried
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError, Unavailable
from daemon.ports.hosting import HostingReader
from daemon.ports.source import Source
from daemon.ports.status_page import StatusPage
from daemon.telemetry.metrics import Metrics

_LOOKS_AT_ONCE = 10
_TOLD_AT_ONCE = 32
"""So many calm projects are committed at once. The store does one after the other, and gives up what waits for long;
what an action needs of it must not stand behind a whole fleet."""
_READ_SECONDS_MAX = 90.0
"""Real time that one source, or one look at production, may take altogether, tries and pages included."""
_TOLD_EVERY_SECONDS = 55.0
"""So long may a project of a fleet in which nothing happens stay untold; less than a minute of polls."""
_RECENT = timedelta(hours=1)
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
        tokens: TokenWatch,
        status_page: StatusPage | None = None,
        read_seconds_max: float = _READ_SECONDS_MAX,
    ) -> None:
        self.projects = tuple(projects)
        """Those that are polled."""
        self.generation = 1
        """Which configuration is in force, counted from the start: for the log."""
        self._next: tuple[tuple[Project, ...], Mapping[ProjectId, Sequence[Source]]] | None = None
        self._crosscheck = CrossCheck(sources, clock)
        self._every_project = Sweep(hosting, [one.id for one in self.projects], moments, clock)
        self._signals = Signals(
            sources,
            clock,
            collect_seconds_max=read_seconds_max,
            guard=self._guard_counts,
            crosscheck=self._crosscheck,
            tokens=tokens,
        )
        recall = Recall(lambda: self.projects, self._signals.chain, moments=moments, supervisor=supervisor)
        self._platform = PlatformWatch(status_page, moments=moments, supervisor=supervisor)
        self._hosting = hosting
        self._leadership = leadership
        self._moments = moments
        self._clock = clock
        self._supervisor = supervisor
        self._metrics = metrics
        self._housekeeping = housekeeping
        self._read_seconds_max = read_seconds_max
        rounds = partial(Rounds, clock=clock, supervisor=supervisor)
        self._rounds = (
            rounds(self._crosscheck.check, every_seconds=CHECK_EVERY_SECONDS, name="crosscheck"),
            rounds(tokens.check, every_seconds=TOKENS_EVERY_SECONDS, name="tokens"),
            rounds(self._platform.check, every_seconds=STATUS_PAGE_EVERY_SECONDS, name="status-page"),
            rounds(recall.read, every_seconds=RECALL_EVERY_SECONDS, name="recall"),
        )
        self._sweeping = rounds(self._every_project.read, every_seconds=SWEEP_EVERY_SECONDS, name="sweep")
        self._by_id = {project.id: project for project in self.projects}
        self._woken: set[ProjectId] = set()
        self._has_paged_bug = False
        self._token: int | None = None
        self._awaited = ""
        self._store_trouble_cycles = 0
        self._gate = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._resumes = asyncio.Semaphore(_TOLD_AT_ONCE)
        # By whether the project has an incident: those that have one never wait behind a fleet of calm ones.
        self._tells = {has_incident: asyncio.Semaphore(_TOLD_AT_ONCE) for has_incident in (False, True)}
        self.last_completed: float | None = None
        """When a cycle last ended, standing by included, on the monotonic clock; None before the first."""
        self.last_progress = clock.monotonic()
        """When a cycle began or ended last, or a project's part of one; on the monotonic clock."""

    @property
    def poll_seconds_max(self) -> float:
        """Return how long one project's part of a cycle may take, the store's part aside."""
        # A look that a mitigation asked for may be under way when ours is due.
        return self._signals.seconds_max + 2 * self._read_seconds_max

    @property
    def _sweep(self) -> Sweep | None:
        """The sweep; None where there are few enough projects to look at each of them."""
        return self._every_project if len(self.projects) >= SWEPT_FROM_PROJECTS else None

    def watch(self, projects: Sequence[Project], sources: Mapping[ProjectId, Sequence[Source]]) -> None:
        """Poll *projects*, and no others, from the next cycle on; one that runs ends with those it began with."""
        self._next = tuple(projects), sources

    def _take_over(self) -> None:
        if self._next is None:
            return
        (self.projects, sources), self._next = self._next, None
        self._by_id = {project.id: project for project in self.projects}
        self._woken &= self._by_id.keys()
        self._signals.watch(sources)
        self._crosscheck.watch(sources)
        self._every_project.watch(list(self._by_id))

    async def run_cycle(self) -> None:
        """Poll every project once. A daemon without the lease does nothing but ask for it again."""
        self._take_over()
        started = self.last_progress = self._clock.monotonic()
        if not await self._leadership.renew():
            self._stand_by()
            self._note_store_trouble()
            self.last_completed = self.last_progress = self._clock.monotonic()
            return
        self._awaited = ""
        self._metrics.leader.set(1)
        await self._resume_when_new()
        for one in (*self._rounds, *([self._sweeping] if self._sweep else [])):
            one.begin_when_due()
        watched = [project for project in self.projects if not (project.is_frozen or project.needs_resume)]
        wants = [self._want(project) async for project in unhurried(watched)]
        await self._signals.collect(wants, self._deliver)
        await self._platform.tell(self.projects)
        self.last_completed = self.last_progress = self._clock.monotonic()
        self._metrics.cycle_duration.observe(self.last_completed - started)
        self._tell_fleet_log()
        self._note_store_trouble()
        await self._housekeeping.tidy()

    def _tell_fleet_log(self) -> None:
        """Write one line for a whole fleet: who is seen, and where something goes on."""
        if self._sweep is None:
            return
        states = [project.state for project in self.projects if project.state]
        seen = Counter(one.signal.state for one in states if one.signal)
        log.info(
            "fleet.polled",
            projects=len(self.projects),
            incidents=sum(one.incident is not None for one in states),
            **{state.value: seen[state] for state in SignalState},
        )

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
            for project in self.projects
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
            for project in self.projects:
                project.needs_resume = True
        self._token = lease.token
        left = [project for project in self.projects if project.needs_resume and not project.is_frozen]
        async with asyncio.TaskGroup() as group:
            async for project in unhurried(left):
                work = self._resume(project)
                group.create_task(self._supervisor.guard(work, name=f"{project.id}:resume", on_bug=project.freeze))

    async def _resume(self, project: Project) -> None:
        async with self._resumes:
            await project.resume()
        self.last_progress = self._clock.monotonic()

    def wake(self, project: ProjectId, told: MoveTold | None = None) -> None:
        """Look at a project's production at once, since something was heard of it: *told*, or nothing in particular.

        Unknown projects are ignored: a webhook may speak of every project of the team.
        """
        known = self._by_id.get(project)
        if known and not known.is_frozen and not known.needs_resume:
            is_due = project not in self._woken
            self._woken.add(project)
            work = self._look_after(known, told, is_due=is_due)
            self._supervisor.start(work, name=f"{project}:wake", on_bug=known.freeze)

    async def _look_after(self, project: Project, told: MoveTold | None, *, is_due: bool) -> None:
        # Told before anybody looks: somebody else's rollback must not wait for an answer of Vercel's.
        if told:
            await project.tell(told)
        if is_due:
            async with project.looking:
                await project.tell(await self._look(project))
                self._woken.discard(project.id)

    def _want(self, project: Project) -> Want:
        state, policy = project.state, project.policy()
        want = Want(project.id, None, wants_routes=wants_routes(policy), wants_kinds=wants_kinds(policy))
        if state is None:
            return want
        is_close_up = wants_close_up(state, policy, self._moments.now())
        return replace(want, since=state.samples_until, is_close_up=is_close_up)

    async def _guard_counts(self, work: Coroutine[Any, Any, None], projects: Sequence[ProjectId]) -> None:
        """Read counts with care for bugs: one project's freezes it; one that hits many leaves them without counts."""
        on_bug = self._by_id[projects[0]].freeze if len(projects) == 1 else partial(self._note_bug, projects)
        await self._supervisor.guard(work, name=f"{projects[0]}:counts", on_bug=on_bug)

    async def _note_bug(self, projects: Sequence[ProjectId], error: Exception) -> None:
        trouble = SourceTrouble("counts", SignalReason.SCHEMA_DRIFT, f"a bug: {error!r}")
        for project in projects:
            await self._deliver(project, Uncounted((trouble,)))
        if not self._has_paged_bug:
            self._has_paged_bug = True
            sentence = f"a bug keeps the counts of {len(projects)} projects from being read: {error!r}"
            await self._by_id[projects[0]].page(
                "lastgood does not see", sentence, "read the log, then restart lastgood"
            )

    async def _deliver(self, project_id: ProjectId, counted: Counted | Uncounted) -> None:
        project = self._by_id[project_id]
        poll = self._poll(project, counted)
        await self._supervisor.guard(poll, name=f"{project.id}:poll", on_bug=project.freeze)
        self.last_progress = self._clock.monotonic()

    async def _poll(self, project: Project, counted: Counted | Uncounted) -> None:
        began = self._moments.now().elapsed
        before = project.state.decision.reason if project.state else None
        # Production is read last: what is decided on should be young, and counts may take their time.
        async with project.looking:
            if self._sweep and self._is_nothing_new(self._sweep, project, counted):
                return
            production = await self._production(project, counted)
            async with self._tells[bool(project.state and project.state.incident)]:
                events = [*production, self._counted(counted), CycleEnded(self._moments.now())]
                is_committed = await project.tell(*events)
        self._metrics.cycles.labels(project=project.id, outcome="completed" if is_committed else "failed").inc()
        if not is_committed or project.state is None:
            log.warning("cycle.failed", project=project.id, summary="nothing was committed, so nothing was decided")
            return
        self._metrics.last_cycle.labels(project=project.id).set(self._clock.now().timestamp())
        self._tell_log(project.state, before, began, ruled_by=project.ruled_by)

    def _tell_log(self, state: ProjectState, before: Reason | None, began: float, *, ruled_by: str) -> None:
        """Write the cycle's canonical line; of a fleet, only of the projects in which something goes on."""
        ended = state.last_ended
        just_ended = ended if ended and ended.trail[-1].moment.elapsed >= began else None
        is_routine = self._sweep is not None and state.decision.reason is before
        told = {
            "project": state.project,
            "production": state.serving.id if state.serving else None,
            "incident": state.incident.state if state.incident else None,
            "reason": state.decision.reason,
            "generation": self.generation,
            "digest": ruled_by,
            # An incident that ended in this cycle is what the cycle was about.
            "summary": just_ended.trail[-1].sentence if just_ended else state.decision.sentence,
        }
        if is_routine and not (state.incident or just_ended):
            log.debug("cycle.completed", **told)
        else:
            log.info("cycle.completed", **told)

    async def _production(self, project: Project, counted: Counted | Uncounted) -> Sequence[Event]:
        """Return what is known of production now; nothing where the sweep has nothing new and nobody asks."""
        if self._sweep is None or self._wants_look(project, counted):
            self._woken.discard(project.id)
            async with self._gate:
                return [await self._look(project)]
        swept, known = self._sweep.take(project.id), project.state.production if project.state else None
        if swept is None:
            return []
        if not isinstance(swept.production, Production):
            return [self._unread(swept.moment, swept.production)]
        if known is None and not self._may_hide_a_move(project, swept.production):
            return [ProductionObserved(swept.moment, swept.production)]
        if known is not None and _is_same(known, swept.production):
            return [ProductionObserved(swept.moment, known)]
        async with self._gate:
            return [await self._look(project)]

    def _is_nothing_new(self, sweep: Sweep, project: Project, counted: Counted | Uncounted) -> bool:
        """Return whether a project of a fleet has nothing to be told: no counts, no trouble, and nothing going on.

        It is told all the same once a minute, for time alone brings news too: counts that grow old.
        """
        state = project.state
        if not isinstance(counted, Counted) or state is None or state.signal is None or state.cycle_ended is None:
            return False
        swept = sweep.found(project.id)
        is_seen = swept is None or (
            isinstance(swept.production, Production) and _is_same(state.production, swept.production)
        )
        is_counted = not counted.reading.samples and counted.reading.complete_until == state.samples_until
        is_quiet = not (state.incident or state.unread or state.paused or state.hold)
        is_recent = self._moments.now().elapsed - state.cycle_ended.elapsed < _TOLD_EVERY_SECONDS
        is_heard = project.id not in self._woken and counted.troubles == state.troubles
        return is_seen and is_counted and is_quiet and is_recent and is_heard

    def _wants_look(self, project: Project, counted: Counted | Uncounted) -> bool:
        """Return whether this project deserves a look of its own, beside the sweep."""
        state = project.state
        if state is None or state.incident or project.id in self._woken:
            return True
        if state.production is None:
            # What nobody ever saw has no history that a row of the sweep could hide; ten thousand looks would.
            return False
        known = {one.deployment.id for one in state.activations}
        samples = counted.reading.samples if isinstance(counted, Counted) else ()
        is_uneasy = state.serving is not None and (
            onset_of(state.watch(state.serving.id), project.policy()) is not None
        )
        return is_uneasy or any(one.deployment not in known for one in samples)

    def _may_hide_a_move(self, project: Project, production: Production) -> bool:
        """Return whether a row without an alias job, the first that we see of a project, may be somebody's rollback.

        Only what began to serve lately can become a suspect; of anything older the job does not matter.
        """
        assigned = production.deployment.alias_assigned_at if production.deployment else None
        if production.alias_job is not None or assigned is None:
            return False
        return self._clock.now() - assigned < max(_RECENT, project.policy().attribution_window)

    async def _look(self, project: Project) -> Event:
        try:
            async with asyncio.timeout(self._read_seconds_max):
                production = await self._hosting.read_production(project.id)
        except TimeoutError:
            return self._unread(self._moments.now(), Unavailable(f"given up after {self._read_seconds_max:.0f} s"))
        except PortError as error:
            return self._unread(self._moments.now(), error)
        return ProductionObserved(self._moments.now(), production)

    def _unread(self, moment: Instant, error: PortError) -> Event:
        return ReadFailed(moment, ReadTarget.PRODUCTION, f"production unread: {error}", error.reason)

    def _counted(self, counted: Counted | Uncounted) -> Event:
        moment = self._moments.now()
        if isinstance(counted, Uncounted):
            return ReadFailed(moment, ReadTarget.SAMPLES, f"no counts: {counted.sentence}", counted.reason)
        reading = counted.reading
        return SamplesObserved(
            moment,
            reading.source,
            tuple(reading.samples),
            reading.complete_until,
            troubles=counted.troubles,
            lag_seconds=reading.lag.total_seconds() if reading.lag is not None else None,
            covered=reading.covered,
            left_out=reading.left_out,
        )


def _is_same(known: Production | None, swept: Production) -> bool:
    """Return whether the sweep saw nothing new. Its rows may lack the alias job, so that is not compared."""
    if known is None:
        return False
    if known.deployment is None or swept.deployment is None:
        return known.deployment is swept.deployment
    return (known.deployment.id, known.auto_assigns_domains, known.is_rolling_release_active) == (
        swept.deployment.id,
        swept.auto_assigns_domains,
        swept.is_rolling_release_active,
    )
