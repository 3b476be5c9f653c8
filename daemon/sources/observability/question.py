"""What is asked of Vercel's counts, and what either dialect answers with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from daemon.core.facts import ProjectId
from daemon.ports.errors import Unintelligible
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.observability.minutes import MINUTE

METRIC: Final = "vercel.request.count"
GROUPS_MAX: Final = 500
"""Asked for as the limit, which counts groups; the server gives no more. The default of 10 would hide rare statuses."""
STATUS_MIN: Final = 100
"""Requests with a lower status, or none, have no answer that could be judged."""
ERROR_MIN, ERROR_MAX = 500, 599


class Asked(StrEnum):
    """Which counts a question is about: all of production traffic, without what the firewall denied."""

    REQUESTS = "requests"
    """All requests, by project and deployment."""
    ERRORS = "errors"
    """Those answered with 5xx, by status and error code too."""
    EVERYTHING = "everything"
    """All requests, by status and error code too: numerator and denominator of one and the same moment."""

    @property
    def is_by_status(self) -> bool:
        """Whether the answer tells status and error code."""
        return self is not Asked.REQUESTS


@dataclass(frozen=True, slots=True)
class Question:
    """Counts per `step` of [`start`, `end`). `projects` None asks for every project of the owner.

    `step` is a minute or an hour, and `start` a full one. `end` need not be one: whoever asks knows that the minute
    which it cuts is still open. Routes that are excluded are not asked for; statuses that are make no error of an
    answer.
    """

    asked: Asked
    owner: str
    projects: Sequence[ProjectId] | None
    start: datetime
    end: datetime
    exclusions: Exclusions = NOTHING_EXCLUDED
    step: timedelta = MINUTE

    @property
    def what(self) -> str:
        """What is asked, for messages."""
        if self.projects is None:
            return f"{self.asked} of every project of {self.owner}"
        one = self.projects[0] if len(self.projects) == 1 else f"{len(self.projects)} projects of {self.owner}"
        return f"{self.asked} of {one}"


class CountRow(Protocol):
    """One group's count. `project` and `deployment` are empty or None for what none of them answered.

    `status` is 0 and `error_code` empty where there was none, or where the question did not ask.
    """

    @property
    def project(self) -> str | None:
        """The project's id."""

    @property
    def deployment(self) -> str | None:
        """The deployment's id."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def error_code(self) -> str | None:
        """Vercel's own word for the error."""

    @property
    def requests(self) -> int:
        """How many."""


class BucketRow(CountRow, Protocol):
    """One group's count in one bucket."""

    @property
    def timestamp(self) -> datetime:
        """When the bucket begins."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, as far as its dialect can vouch for it.

    `groups_max` is the limit that took effect. `slack` is how far beside the window a bucket may lie, because the
    server rounds windows out. `troubles` are the projects with rows that cannot be read.
    """

    buckets: Sequence[BucketRow]
    summary: Sequence[CountRow]
    groups_max: int
    slack: timedelta
    troubles: Mapping[ProjectId, Unintelligible]


class Dialect(Protocol):
    """One of the two routes that answer such questions."""

    path: str

    def phrase(self, question: Question) -> Mapping[str, object]:
        """Return the body of the request."""

    def understand(self, answer: object, question: Question) -> Found:
        """Return what *answer* says. Raises Unintelligible for one that is not about *question*."""
