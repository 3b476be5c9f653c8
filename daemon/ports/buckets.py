"""Counts that were pushed to us, from the receiver that adds them up to the source that reads them.

A receiver and a source may be two processes. What the source needs in order not to take silence for health stands
beside the counts: when the receiver lived, when each stream was last heard, and what had to be turned away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from daemon.core.facts import DeploymentId, ProjectId

BUCKET = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class RouteCount:
    """Requests of one deployment, route and status class (5 for 5xx) that were answered in the bucket at `start`.

    What is handed over is to be added to what is there; it is negative where a request was counted under another class
    before.
    """

    project: ProjectId
    deployment: DeploymentId
    start: datetime
    route: str
    status_class: int
    requests: int


@dataclass(frozen=True, slots=True)
class BucketCount:
    """All requests of one deployment in the bucket at `start`, and how many of them were answered with 5xx."""

    project: ProjectId
    deployment: DeploymentId
    start: datetime
    requests: int
    errors: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard on one stream, which is what one secret signs: one drain.

    `project` None: of anything on it. `newest` is the newest entry's own time, `at` when it arrived. `delay` is how far
    entries lay behind our clock when they arrived, at the least.
    """

    stream: str
    project: ProjectId | None
    newest: datetime
    at: datetime
    delay: timedelta


class GapReason(StrEnum):
    """Why counts are missing."""

    OVERFLOW = "overflow"
    """More came than could be taken: batches were answered with 503, or were too large."""
    UNREADABLE = "unreadable"
    """A signed batch, or an entry of it, was not of the promised form."""
    RESTART = "restart"
    """Nobody listened."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time, by arrival, in which something was not counted. `project` None: of whichever project."""

    start: datetime
    end: datetime
    reason: GapReason
    project: ProjectId | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a receiver hands over at once, of which it lived through [`began`, `at`).

    `receiver` names one run of one process, `number` counts its deliveries from 1: one that is handed over again,
    because nobody knows what became of it, is taken once.
    """

    receiver: str
    number: int
    began: datetime
    at: datetime
    counts: Sequence[RouteCount] = ()
    heard: Sequence[Heard] = ()
    gaps: Sequence[Gap] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How the receivers are: since when one has listened, the last sign of life, what they heard and missed."""

    began: datetime
    alive: datetime
    heard: Sequence[Heard]
    gaps: Sequence[Gap]


class Buckets(Protocol):
    """Keeps counts in buckets of ten seconds. All methods raise StoreUnavailable when the medium fails."""

    async def add(self, delivery: Delivery) -> None:
        """Add counts up, in one transaction with the rest, unless this delivery was taken before.

        Of what was heard the newest stays; a gap with the same start, reason and project is the same gap, grown.
        """

    async def standing(self) -> Standing | None:
        """Return how the receivers are; None where none handed anything over since what was pruned."""

    async def totals(self, *, start: datetime, end: datetime) -> Sequence[BucketCount]:
        """Return the counts of every deployment of every project in the buckets of [start, end), in order of time."""

    async def routes(self, project: ProjectId, *, start: datetime, end: datetime) -> Sequence[RouteCount]:
        """Return the counts of one project by route and status class, in order of time."""

    async def prune(self, *, before: datetime) -> int:
        """Delete buckets, gaps and receivers from before *before*, in batches; return how many rows went."""

    async def close(self) -> None:
        """Release the medium."""
