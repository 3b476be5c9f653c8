"""Every project's sources in the operator's order: the first that answers counts, and one in trouble rests a while."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from daemon.core.facts import ProjectId
from daemon.core.signal import SignalReason, SourceTrouble
from daemon.engine.crosscheck import CrossCheck
from daemon.engine.tokens import TokenWatch
from daemon.engine.unhurried import unhurried
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError, Refused, Unavailable
from daemon.ports.source import Reading, Readings, Source, Wanted

_REST_AFTER_REFUSAL_SECONDS = 1800.0
"""A plan or a token that does not allow a source will not do so a minute later."""
_REST_AFTER_TROUBLE_SECONDS = 120.0
_FIRST_READING = timedelta(minutes=30)
"""How far back the first reading of a project reaches."""
_COLLECTIONS_AT_ONCE = 10

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Want:
    """Counts wanted of one project. `since` is the newest reading's watermark, None before the first."""

    project: ProjectId
    since: datetime | None
    is_close_up: bool = False
    wants_routes: bool = False
    wants_kinds: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """What one project's chain gave: the reading that is judged, and the troubles of its other sources."""

    reading: Reading
    troubles: tuple[SourceTrouble, ...] = ()


@dataclass(frozen=True, slots=True)
class Uncounted:
    """No source gave anything: what the first of them had to say decides what it means."""

    troubles: tuple[SourceTrouble, ...]

    @property
    def reason(self) -> SignalReason:
        """The reason of the source that the operator trusts most."""
        return self.troubles[0].reason

    @property
    def sentence(self) -> str:
        """All causes."""
        return "; ".join(f"{one.source}: {one.sentence}" for one in self.troubles)


Guard = Callable[[Coroutine[Any, Any, None], Sequence[ProjectId]], Coroutine[Any, Any, None]]
"""Runs work for some projects, with care for bugs."""
Deliver = Callable[[ProjectId, Counted | Uncounted], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One project on its way down its chain."""

    wanted: Wanted
    sources: tuple[Source, ...]


class Signals:
    """Reads the counts of many projects.

    A source in trouble is left alone for a while, project by project: else one whose next whole minute is not due yet
    would answer "nothing new" without being asked anything, and stand in the way of the next. The last one left is
    always asked. Projects whose turn it is with one and the same fleet-wide source are asked of it together; all others
    one by one, so that a slow one keeps nobody waiting.
    """

    def __init__(
        self,
        chains: Mapping[ProjectId, Sequence[Source]],
        clock: Clock,
        *,
        collect_seconds_max: float,
        guard: Guard,
        crosscheck: CrossCheck,
        tokens: TokenWatch,
    ) -> None:
        assert all(chains.values()), "a project has at least one source"
        self._chains = {project: tuple(chain) for project, chain in chains.items()}
        self._clock = clock
        self._collect_seconds_max = collect_seconds_max
        self._rests_until: dict[tuple[ProjectId, str], float] = {}
        self._troubles: dict[ProjectId, dict[str, SourceTrouble]] = defaultdict(dict)
        self._guard = guard
        self._crosscheck = crosscheck
        self._tokens = tokens
        self._gate = asyncio.Semaphore(_COLLECTIONS_AT_ONCE)

    @property
    def seconds_max(self) -> float:
        """Return how long one project may wait for its counts, in real time."""
        return self._collect_seconds_max * max((len(chain) for chain in self._chains.values()), default=1)

    def watch(self, chains: Mapping[ProjectId, Sequence[Source]]) -> None:
        """Read these chains from now on; between two collections. What is known of a source goes when it goes."""
        assert all(chains.values()), "a project has at least one source"
        known, self._chains = self._chains, {project: tuple(chain) for project, chain in chains.items()}
        for project, chain in known.items():
            kept = {id(one) for one in self._chains.get(project, ())}
            for one in chain:
                if id(one) not in kept:
                    self._troubles[project].pop(one.name, None)
                    self._rests_until.pop((project, one.name), None)
            if not kept:
                del self._troubles[project]

    def chain(self, project: ProjectId) -> Sequence[Source]:
        """Return the project's sources in order; none for a project that is not watched."""
        return self._chains.get(project, ())

    async def collect(self, wants: Iterable[Want], deliver: Deliver) -> None:
        """Read what is wanted, and *deliver* each project's answer as soon as it is there."""
        now = self._clock.now()
        await self._ask([self._attempt(want, now) async for want in unhurried(wants)], now, deliver)

    def _attempt(self, want: Want, now: datetime) -> _Attempt:
        # A watermark in the future was written while the wall clock was ahead: what was counted since is not known.
        since = want.since if want.since and want.since <= now else now - _FIRST_READING
        awake = self._clock.monotonic()
        chain = self._chains[want.project]
        rested = [one for one in chain if self._rests_until.get((want.project, one.name), 0.0) <= awake]
        return _Attempt(
            Wanted(want.project, since, want.is_close_up, want.wants_routes, want.wants_kinds), tuple(rested) or chain
        )

    async def _ask(self, attempts: Sequence[_Attempt], now: datetime, deliver: Deliver) -> None:
        async with asyncio.TaskGroup() as group:
            for batch in _batches(attempts):
                projects = [one.wanted.project for one in batch]
                group.create_task(self._guard(self._ask_one(batch, now, deliver), projects))

    async def _ask_one(self, batch: Sequence[_Attempt], now: datetime, deliver: Deliver) -> None:
        """Ask one source for its projects; those that it has nothing for go on to their next one."""
        source = batch[0].sources[0]
        readings = await self._collect(source, [one.wanted for one in batch], now)
        # All is looked up before anything is delivered: a bug here must not cut a commit short.
        answers = [readings[attempt.wanted.project] for attempt in batch]
        counts: list[tuple[ProjectId, Counted | Uncounted]] = []
        further: list[_Attempt] = []
        async for attempt, answer in unhurried(zip(batch, answers, strict=True)):
            project = attempt.wanted.project
            if isinstance(answer, Reading):
                self._note_answer(project, source)
                self._crosscheck.note(project, answer, since=attempt.wanted.since)
                counts.append((project, Counted(answer, self._others(project, source))))
                continue
            self._note_trouble(project, source, answer)
            if attempt.sources[1:]:
                further.append(_Attempt(attempt.wanted, attempt.sources[1:]))
            else:
                counts.append((project, self._uncounted(project)))
        async with asyncio.TaskGroup() as group:
            async for project, counted in unhurried(counts):
                group.create_task(deliver(project, counted))
            if further:
                group.create_task(self._ask(further, now, deliver))

    def _others(self, project: ProjectId, judged: Source) -> tuple[SourceTrouble, ...]:
        """Return the troubles beside a reading: of sources that rest, of stories that differ, of tokens."""
        alone = SourceTrouble(judged.name, SignalReason.WITNESS_ONLY, "nothing else counts visitors")
        awake = self._clock.monotonic()
        # Whether a source whose rest is over would answer now nobody knows: the cross-check asks it.
        own = [one for one in self._troubles[project].values() if self._rests_until[project, one.source] > awake]
        return (
            *([alone] if judged.is_witness else []),
            *own,
            *self._crosscheck.findings(project),
            *self._tokens.troubles(),
        )

    async def _collect(self, source: Source, wanted: Sequence[Wanted], now: datetime) -> Readings:
        try:
            # A fleet-wide source bounds its own requests; it must not wait for those that are asked one by one. Theirs
            # is the time in which they are asked, not that in which they wait for their turn.
            async with nullcontext() if source.is_fleet_wide else self._gate:
                async with asyncio.timeout(self._collect_seconds_max):
                    return await source.collect(wanted, now=now)
        except TimeoutError:
            trouble = Unavailable(f"given up after {self._collect_seconds_max:.0f} s")
            return {one.project: trouble for one in wanted}

    def _note_answer(self, project: ProjectId, source: Source) -> None:
        self._troubles[project].pop(source.name, None)
        self._rests_until.pop((project, source.name), None)

    def _note_trouble(self, project: ProjectId, source: Source, error: PortError) -> None:
        rest = _REST_AFTER_REFUSAL_SECONDS if isinstance(error, Refused) else _REST_AFTER_TROUBLE_SECONDS
        self._rests_until[project, source.name] = self._clock.monotonic() + rest
        trouble = SourceTrouble(source.name, error.reason, str(error))
        # Trouble that goes on is told once, then counted.
        if self._troubles[project].get(source.name) != trouble and len(self._chains[project]) > 1:
            log.warning("read.failed", project=project, what="samples", error=f"{source.name}: {error}")
        self._troubles[project][source.name] = trouble

    def _uncounted(self, project: ProjectId) -> Uncounted:
        known = self._troubles[project]
        return Uncounted(tuple(known[one.name] for one in self._chains[project] if one.name in known))


def _batches(attempts: Sequence[_Attempt]) -> list[list[_Attempt]]:
    """Return the attempts by the source whose turn it is, one by one where it is not fleet-wide."""
    together: dict[int, list[_Attempt]] = defaultdict(list)
    alone: list[list[_Attempt]] = []
    for attempt in attempts:
        source = attempt.sources[0]
        if source.is_fleet_wide:
            together[id(source)].append(attempt)
        else:
            alone.append([attempt])
    return [*together.values(), *alone]
