"""Where error rates come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from daemon.core.facts import ErrorRateSample, ProjectId


@dataclass(frozen=True, slots=True)
class Reading:
    """What one collection said of one project.

    `samples` are closed buckets in order of time, one or more a deployment; `complete_until` is the watermark, the time
    up to which the counts are complete. The next collection begins there.
    """

    source: str
    samples: Sequence[ErrorRateSample]
    complete_until: datetime


class Source(Protocol):
    """A reader of error rates. `name` is the `kind:` in the configuration."""

    name: str

    async def collect(self, project: ProjectId, *, since: datetime, now: datetime) -> Reading:
        """Return counts of production traffic from *since* up to the watermark, at most the source's own bound back.

        Raises Unavailable, RateLimited, Refused or Unintelligible. Never returns a zero that was not counted.
        """
