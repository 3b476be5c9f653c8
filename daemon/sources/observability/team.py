"""The projects of one owner: plans what each needs, asks about all of them together, and gives each what is new."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from daemon.core.facts import ProjectId
from daemon.core.signal import SignalReason
from daemon.engine.unhurried import unhurried
from daemon.ports.errors import PortError, Unintelligible
from daemon.ports.source import Reading, Wanted
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.observability.asking import Asker
from daemon.sources.observability.counts import ByMinute, Table, find_contradiction, merge
from daemon.sources.observability.ledger import Given, advance
from daemon.sources.observability.looks import Look, Looks
from daemon.sources.observability.minutes import MINUTE, ceil_minute, floor_minute
from daemon.sources.observability.question import Asked, Question
from daemon.sources.observability.shards import Outcome, Shards
from daemon.sources.observability.track import Track
from daemon.vercel.wire import floor_millisecond

KIND: Final = "observability"
UNWANTED_KEPT = timedelta(hours=1)
"""A project that nobody asks for is forgotten after this time."""
NEAR = timedelta(minutes=3)
"""Projects whose windows begin no further apart share one query; those far behind are backfilled by their own."""
FIRST_SIZES = {Asked.REQUESTS: 250, Asked.ERRORS: 1000, Asked.EVERYTHING: 50}
"""Projects in one question once an owner turned out to have too many for one: about half of what 500 groups hold."""


class Resolution(StrEnum):
    """How soon counts are given."""

    AUTO = "auto"
    CLOSED = "closed"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Reach:
    """Which time is read: see the settings of the same names."""

    resolution: Resolution
    lag: timedelta
    late_max: timedelta
    lookback_max: timedelta


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be read of one project: minutes from `start` on, told apart from what was `given`."""

    project: ProjectId
    since: datetime
    given: Given
    start: datetime
    is_fine: bool


@dataclass(slots=True)
class Collection:
    """One collection: its moment, where the closed minutes end, and the minutes in which it saw anything counted."""

    now: datetime
    closed_end: datetime
    seen: set[datetime] = field(default_factory=set)


Findings = dict[ProjectId, ByMinute | PortError]


class Team:
    """All projects of one owner, whose counts are asked for together.

    Watermark. Counts are given up to the end of the last minute in which anything at all was counted, be it of another
    project or of no deployment: the server fills gaps with zeros, so that a minute without any count may just not be
    ingested yet, while a project without any in a minute of which others have some was quiet. Should that project's own
    counts be late all the same, they are given when they come. A team in which nobody has a visitor has a watermark
    that ages, which holds actions.

    `closed` minutes are those that ended longer ago than `lag`, and than any lag that was measured lately. They are
    asked for twice, 5xx first: requests that come in between can then make no ratio over 1. `fine` reads all statuses
    in one answer, the open minute included, and gives what is new up to now less the lag.
    """

    def __init__(self, owner: str, asker: Asker, reach: Reach, exclusions: Exclusions = NOTHING_EXCLUDED) -> None:
        self._owner = owner
        self._exclusions = exclusions
        self._asker = asker
        self._reach = reach
        self._shards = {asked: Shards(first_size=size) for asked, size in FIRST_SIZES.items()}
        self._looks = Looks(settled_after=reach.lag)
        self._tracks: dict[ProjectId, Track] = {}
        self._given_until: datetime | None = None
        """The newest watermark of any project: how far ingestion is known to have got."""

    async def collect(self, wanted: Iterable[Wanted], *, now: datetime) -> Mapping[ProjectId, Reading | PortError]:
        """Return the entry of every project wanted. Raises nothing."""
        now = floor_millisecond(now)
        self._forget(now)
        # What is learned meanwhile about the lag counts from the next collection on.
        collection = Collection(now, floor_minute(now - max(self._reach.lag, self._looks.lag_max)))
        entries: dict[ProjectId, Reading | PortError] = {}
        plans: list[Plan] = []
        async for one in unhurried(wanted):
            plan = self._plan(one, collection)
            if plan:
                plans.append(plan)
            else:
                entries[one.project] = Reading(KIND, (), one.since, lag=self._looks.lag)
        found: Findings = {}
        for group in _by_window(plan for plan in plans if plan.is_fine):
            found |= await self._ask(Asked.EVERYTHING, group, collection, end=now)
        for group in _by_window(plan for plan in plans if not plan.is_fine):
            found |= await self._read_closed(group, collection)
        known_until = self._known_until(collection)
        async for plan in unhurried(plans):
            entries[plan.project] = self._conclude(plan, found[plan.project], collection, known_until=known_until)
        return entries

    def _forget(self, now: datetime) -> None:
        """Drop projects that nobody asks for any more, and what was given before the clock stepped back."""
        self._tracks = {key: one for key, one in self._tracks.items() if now - one.touched < UNWANTED_KEPT}
        if self._given_until and self._given_until > now:
            self._given_until = None

    # What to read

    def _plan(self, one: Wanted, collection: Collection) -> Plan | None:
        """Return what to read; None where no time is complete yet, so that there is nothing to ask."""
        is_fine = self._is_fine(one, collection.now)
        end = collection.now if is_fine else collection.closed_end
        track = self._tracks.get(one.project)
        given = track.resume(one.since) if track else None
        oldest = ceil_minute(end - self._reach.lookback_max)
        if given is None or given.until < oldest:
            # The minute that `since` cuts was counted in part by somebody else, so that it is left out.
            given = Given(until=one.since, known_from=max(ceil_minute(one.since), oldest))
        start = max(given.known_from, floor_minute(given.until) - self._reach.late_max)
        if max(start, floor_minute(given.until)) >= end:
            return None
        return Plan(one.project, one.since, given, start, is_fine)

    def _is_fine(self, one: Wanted, now: datetime) -> bool:
        """Whether open minutes are looked at: to give them, or, with `auto`, at first to learn whether they grow."""
        if self._reach.resolution is not Resolution.AUTO:
            return self._reach.resolution is Resolution.FINE
        return one.is_close_up and self._looks.may_grow(now)

    # Reading

    async def _read_closed(self, plans: Sequence[Plan], collection: Collection) -> Findings:
        errors = await self._ask(Asked.ERRORS, plans, collection, end=collection.closed_end)
        left = [plan for plan in plans if not isinstance(errors[plan.project], PortError)]
        if not left:
            return errors
        # Requests are read up to this moment: what open minutes hold already tells how far ingestion lags.
        requests = await self._ask(Asked.REQUESTS, left, collection, end=collection.now)
        combined: Findings = {one: _combine(one, counts, errors[one]) for one, counts in requests.items()}
        return errors | combined

    async def _ask(self, asked: Asked, plans: Sequence[Plan], collection: Collection, *, end: datetime) -> Findings:
        """Return what is counted of each project, from the earliest of the starts on."""
        # A window shorter than a bucket would be widened, and its echo then be another; what is too early is left out.
        start = min(*(plan.start for plan in plans), floor_minute(end - MINUTE))

        async def ask(projects: Sequence[ProjectId] | None) -> Table:
            question = Question(asked, self._owner, projects, start, end, self._exclusions)
            return await self._asker.ask(question, now=collection.now)

        projects = [plan.project for plan in plans]
        outcomes = await self._shards[asked].gather(projects, ask, now=collection.now)
        totals = _totals(outcomes)
        collection.seen |= totals.keys()
        # Counts that contradict themselves would tell of a lag that there is not.
        is_sound = all(isinstance(outcome.answer, Table) and not outcome.answer.troubles for outcome in outcomes)
        if asked is not Asked.ERRORS and is_sound:
            whose = hash((frozenset(projects), outcomes[0].is_owner_wide))
            self._looks.add(Look(collection.now, whose, totals))
        found: Findings = {}
        for outcome in outcomes:
            found |= _entries(outcome)
        return found

    # Giving

    def _known_until(self, collection: Collection) -> datetime | None:
        """Return how far ingestion is known to have got; None where nothing was ever counted."""
        newest = max(collection.seen, default=None)
        known = [newest + MINUTE] if newest else []
        return max([*known, self._given_until] if self._given_until else known, default=None)

    def _conclude(
        self, plan: Plan, found: ByMinute | PortError, collection: Collection, *, known_until: datetime | None
    ) -> Reading | PortError:
        """Return the project's reading, with what is new up to its watermark."""
        if isinstance(found, PortError):
            return found
        given = plan.given
        until = min(self._end(plan, collection), known_until or given.until)
        if until <= max(given.until, given.known_from):
            # Only a watermark that moves tells which readings were taken in, so nothing is given without. Time that
            # lies further back than the bound is given up all the same.
            is_cut = given.known_from > ceil_minute(plan.since)
            return Reading(KIND, (), given.known_from if is_cut else plan.since, lag=self._looks.lag)
        step = advance(given, found, read_from=plan.start, until=until, keep=self._reach.late_max)
        self._tracks[plan.project] = Track(step.given, collection.now, taken=given)
        self._given_until = max(until, self._given_until or until)
        return Reading(
            KIND,
            step.samples,
            until,
            lag=self._looks.lag,
            covered=_share_covered(plan, until),
            corrections=step.corrections,
            left_out=step.left_out,
        )

    def _end(self, plan: Plan, collection: Collection) -> datetime:
        """Return where the time ends whose counts may be given."""
        if plan.is_fine and (self._reach.resolution is Resolution.FINE or self._looks.grows):
            return floor_millisecond(collection.now - self._looks.lag_max)
        return collection.closed_end


def _by_window(plans: Iterable[Plan]) -> Sequence[Sequence[Plan]]:
    """Return the plans that share a query: the usual ones, and apart from them those that are far behind."""
    plans = list(plans)
    newest = max((plan.start for plan in plans), default=None)
    if newest is None:
        return []
    near = [plan for plan in plans if newest - plan.start <= NEAR]
    far = [plan for plan in plans if newest - plan.start > NEAR]
    return [group for group in (near, far) if group]


def _totals(outcomes: Iterable[Outcome]) -> dict[datetime, int]:
    """Return all that was counted, by minute."""
    totals: dict[datetime, int] = {}
    for outcome in outcomes:
        for minute, count in outcome.answer.seen.items() if isinstance(outcome.answer, Table) else ():
            totals[minute] = totals.get(minute, 0) + count
    return totals


def _entries(outcome: Outcome) -> Findings:
    if isinstance(outcome.answer, PortError):
        return dict.fromkeys(outcome.projects, outcome.answer)
    table = outcome.answer
    return {one: table.troubles.get(one) or table.counts.get(one, {}) for one in outcome.projects}


def _combine(project: ProjectId, requests: ByMinute | PortError, errors: ByMinute | PortError) -> ByMinute | PortError:
    """Return what both answers count, unless they contradict each other. Minutes still open have no errors yet."""
    if isinstance(requests, PortError):
        return requests
    if isinstance(errors, PortError):
        return errors
    contradiction = find_contradiction(requests, errors)
    if contradiction:
        return Unintelligible(f"counts of {project}: {contradiction}; no answer", reason=SignalReason.INCONSISTENT)
    return merge(requests, errors)


def _share_covered(plan: Plan, until: datetime) -> float:
    """Return how much of the time since the last reading is spoken for: not all of it, where the bound cut it short."""
    skipped = plan.given.known_from - ceil_minute(plan.since)
    return 1.0 - skipped / (until - plan.since) if skipped > timedelta(0) else 1.0
