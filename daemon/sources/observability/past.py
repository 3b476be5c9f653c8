"""What an owner's projects counted in hours long ago: coarse, and enough to know what is normal for them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from daemon.core.facts import ErrorRateSample, ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import PortError, Unintelligible
from daemon.ports.source import Reading
from daemon.sources.exclusions import Exclusions
from daemon.sources.observability.asking import Asker
from daemon.sources.observability.counts import NOBODY, ByMinute, Table, find_contradiction, merge
from daemon.sources.observability.minutes import HOUR
from daemon.sources.observability.question import Asked, Question
from daemon.sources.observability.shards import Outcome, Shards

FIRST_SIZE: Final = 50
"""Projects in one question where an owner has too many for one: in a day each has some deployments."""


class Past:
    """Reads whole hours, 5xx first, as the closed minutes are read."""

    def __init__(self, owner: str, asker: Asker, exclusions: Exclusions, *, source: str) -> None:
        self._owner = owner
        self._asker = asker
        self._exclusions = exclusions
        self._source = source
        self._shards = {asked: Shards(first_size=FIRST_SIZE) for asked in (Asked.ERRORS, Asked.REQUESTS)}

    async def read(
        self, projects: Sequence[ProjectId], *, start: datetime, end: datetime, now: datetime
    ) -> Mapping[ProjectId, Reading | PortError]:
        """Return the hours of [*start*, *end*), both full ones, of each of *projects*. Raises nothing."""
        errors = await self._ask(Asked.ERRORS, projects, start, end, now)
        left = [one for one in projects if not isinstance(errors[one], PortError)]
        requests = await self._ask(Asked.REQUESTS, left, start, end, now) if left else {}
        return {one: self._conclude(one, requests.get(one, errors[one]), errors[one], end) for one in projects}

    async def _ask(
        self, asked: Asked, projects: Sequence[ProjectId], start: datetime, end: datetime, now: datetime
    ) -> Mapping[ProjectId, ByMinute | PortError]:
        async def ask(some: Sequence[ProjectId] | None) -> Table:
            question = Question(asked, self._owner, some, start, end, self._exclusions, HOUR)
            return await self._asker.ask(question, now=now)

        outcomes = await self._shards[asked].gather(projects, ask, now=now)
        return {project: found for outcome in outcomes for project, found in _entries(outcome)}

    def _conclude(
        self, project: ProjectId, requests: ByMinute | PortError, errors: ByMinute | PortError, end: datetime
    ) -> Reading | PortError:
        if isinstance(errors, PortError):
            return errors
        if isinstance(requests, PortError):
            return requests
        contradiction = find_contradiction(requests, errors)
        if contradiction:
            sentence = f"counts of {project}: {contradiction}; no answer"
            return Unintelligible(sentence, reason=SignalReason.INCONSISTENT)
        return Reading(self._source, tuple(_samples(merge(requests, errors))), end)


def _entries(outcome: Outcome) -> Iterator[tuple[ProjectId, ByMinute | PortError]]:
    for project in outcome.projects:
        if isinstance(outcome.answer, PortError):
            yield project, outcome.answer
        else:
            table = outcome.answer
            yield project, table.troubles.get(project) or table.counts.get(project, {})


def _samples(hours: ByMinute) -> Iterator[ErrorRateSample]:
    for hour, cells in sorted(hours.items()):
        for deployment, counts in sorted(cells.items()):
            if deployment != NOBODY and counts.requests:
                yield ErrorRateSample(
                    deployment,
                    hour,
                    hour + HOUR,
                    counts.requests,
                    counts.errors,
                    platform_errors=counts.platform_errors,
                )
