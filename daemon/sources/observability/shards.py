"""How many projects go into one question: as many as fit into one answer, found out by asking and remembered."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.facts import ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import PortError, Refused, Unintelligible
from daemon.sources.observability.counts import Table

OWNER_WIDE_MIN = 20
"""From so many projects on, the owner is asked about all that it has, by one short question."""
PROJECTS_MAX = 1000
"""No question names more projects than this, or than Vercel turns out to allow."""
MERGED_GROUPS_MAX = 200
"""Two neighbours whose answers together hold no more groups are asked together: far from the limit of 500, so that what
was merged is not split again at once."""
NAMED_MIN = 10
AT_ONCE = 4
BISECTIONS_MAX = 20
"""How often one round halves what was refused, in search of the projects that the refusal is about."""
REST = timedelta(minutes=30)
MAY_BE_ABOUT_ONE = frozenset({400, 403, 404})
WHOLE_SHARE = 0.9
SLOW_DECAY = 0.99

Ask = Callable[[Sequence[ProjectId] | None], Awaitable[Table]]
"""Asks about some projects, or, with None, about every project of the owner. Raises PortError."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking about `projects` in one question, or about all that their owner has."""

    projects: Sequence[ProjectId]
    answer: Table | PortError
    is_owner_wide: bool = False


@dataclass(slots=True)
class _Round:
    """One call of `gather`: how to ask, and how much searching for culprits is left."""

    ask: Ask
    bisections_left: int


class Shards:
    """Cuts projects into questions, for one kind of question of one owner.

    Invariant: a shard holds the ids between two bounds, so that projects may come and go, and a poll may be about some
    of them only. A shard that turns out too large for one answer is halved, and small neighbours are merged later.
    A refusal that may be about one project is searched by halves; whom it is about is asked alone for a while.
    """

    def __init__(self, *, first_size: int) -> None:
        self._first_size = first_size
        self._is_owner_wide = True
        self._bounds: list[ProjectId] = []
        self._outcasts: dict[ProjectId, datetime] = {}
        self._searches_after: datetime | None = None
        self._widest = 0
        self._named_max = PROJECTS_MAX
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def gather(self, projects: Sequence[ProjectId], ask: Ask, *, now: datetime) -> Sequence[Outcome]:
        """Return what came of asking about *projects*, each of which is in exactly one outcome. Raises nothing."""
        ids = sorted(set(projects))
        if self._is_owner_wide and len(ids) >= OWNER_WIDE_MIN:
            outcome = await self._ask_once(ids, ask, is_owner_wide=True)
            if not _is_too_large(outcome.answer):
                return [outcome]
            self._is_owner_wide = False
            self._bounds = ids[self._first_size :: self._first_size]
        self._outcasts = {one: until for one, until in self._outcasts.items() if now < until}
        together = [one for one in ids if one not in self._outcasts]
        may_search = self._searches_after is None or now >= self._searches_after
        gathering = _Round(ask, BISECTIONS_MAX if may_search else 0)
        shards = [*self._cut(together), *([one] for one in ids if one in self._outcasts)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._resolve(shard, gathering)) for shard in shards]
        outcomes = [outcome for task in tasks for outcome in task.result()]
        self._remember_refused(outcomes, now=now, has_searched=gathering.bisections_left < BISECTIONS_MAX)
        self._merge([one for one in outcomes if not self._outcasts.keys() & set(one.projects)], count=len(ids))
        return outcomes

    def _cut(self, ids: Sequence[ProjectId]) -> list[Sequence[ProjectId]]:
        """Return *ids*, which are in order, cut at the bounds, and no part longer than a question may be."""
        parts: list[list[ProjectId]] = [[]]
        bounds = iter([*self._bounds, None])
        bound = next(bounds)
        for one in ids:
            while bound is not None and one >= bound:
                parts.append([])
                bound = next(bounds)
            parts[-1].append(one)
        most = self._named_max
        return [part[at : at + most] for part in parts for at in range(0, len(part), most)]

    async def _ask_once(self, ids: Sequence[ProjectId], ask: Ask, *, is_owner_wide: bool = False) -> Outcome:
        async with self._gate:
            try:
                answer: Table | PortError = await ask(None if is_owner_wide else ids)
            except PortError as error:
                answer = error
        return Outcome(ids, answer, is_owner_wide)

    async def _resolve(self, ids: Sequence[ProjectId], gathering: _Round) -> Sequence[Outcome]:
        """Ask about *ids*, in halves where they are too many for one answer or the refusal may be about one of them."""
        outcome = await self._ask_once(ids, gathering.ask)
        if len(ids) == 1:
            return [outcome]
        is_searching = not _is_too_large(outcome.answer)
        if is_searching:
            if not (_may_be_about_one(outcome.answer) and gathering.bisections_left):
                return [outcome]
            gathering.bisections_left -= 1
        middle = len(ids) // 2
        halves = [
            *await self._resolve(ids[:middle], gathering),
            *await self._resolve(ids[middle:], gathering),
        ]
        if not is_searching:
            self._bounds = sorted({*self._bounds, ids[middle]})
        elif _is_about_the_question(outcome.answer) and all(isinstance(half.answer, Table) for half in halves):
            # It was about nobody, but about how many were named.
            self._named_max = max(NAMED_MIN, len(ids) - middle)
        return halves

    def _remember_refused(self, outcomes: Sequence[Outcome], *, now: datetime, has_searched: bool) -> None:
        """Ask about the projects that are refused alone, apart from the others; unless everybody is refused."""
        if not any(isinstance(outcome.answer, Table) for outcome in outcomes):
            self._searches_after = now + REST if has_searched else self._searches_after
            return
        for outcome in outcomes:
            if len(outcome.projects) == 1:
                (project,) = outcome.projects
                if isinstance(outcome.answer, Table):
                    self._outcasts.pop(project, None)
                elif _may_be_about_one(outcome.answer):
                    self._outcasts.setdefault(project, now + REST)

    def _merge(self, outcomes: Sequence[Outcome], *, count: int) -> None:
        """Take away bounds between small neighbours. A poll about few projects says nothing about how large all are."""
        self._widest = max(count, int(self._widest * SLOW_DECAY))
        if count < WHOLE_SHARE * self._widest:
            return
        ordered = sorted(outcomes, key=lambda outcome: outcome.projects[0])
        at = 0
        while at + 1 < len(ordered):
            one, two = ordered[at], ordered[at + 1]
            if _fit_together(one, two):
                last, first = one.projects[-1], two.projects[0]
                self._bounds = [bound for bound in self._bounds if not last < bound <= first]
                at += 1
            at += 1


def _fit_together(one: Outcome, two: Outcome) -> bool:
    if not (isinstance(one.answer, Table) and isinstance(two.answer, Table)):
        return False
    return one.answer.groups + two.answer.groups <= MERGED_GROUPS_MAX


def _is_too_large(answer: Table | PortError) -> bool:
    if isinstance(answer, Refused):
        return answer.status == 413
    return isinstance(answer, Unintelligible) and answer.reason is SignalReason.TRUNCATED


def _is_about_the_question(answer: Table | PortError) -> bool:
    return isinstance(answer, Refused) and answer.status == 400


def _may_be_about_one(answer: Table | PortError) -> bool:
    return isinstance(answer, Refused) and answer.status in MAY_BE_ABOUT_ONE
