"""Where error rates come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from daemon.core.facts import ErrorRateSample, ProjectId
from daemon.ports.errors import PortError, Unavailable


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of one project: the counts of its production traffic from `since` on.

    `is_close_up` asks for the finest resolution that the source has, because something was activated lately.
    `wants_routes` asks for the counts by route as well, and `wants_kinds` for the kinds of errors, where the source can
    tell.
    """

    project: ProjectId
    since: datetime
    is_close_up: bool = False
    wants_routes: bool = False
    wants_kinds: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What one collection said of one project.

    `samples` are in order of time, one or more a deployment; `complete_until` is the watermark, the time up to which
    the counts are complete. The next collection begins there. `lag` is how far the newest counted request lay behind
    the clock: the ingest lag as measured; None where this collection could not tell. `covered` is the share, 0..1, of
    the window's time that the samples speak for: less than 1 where a bound cut the listing short. `corrections` counts
    answers that took back what an earlier one had counted. `left_out` counts requests that were seen and count for
    nobody: no deployment was asked, there is no answer, or they are excluded.
    """

    source: str
    samples: Sequence[ErrorRateSample]
    complete_until: datetime
    lag: timedelta | None = None
    covered: float = 1.0
    corrections: int = 0
    left_out: int = 0


Readings = Mapping[ProjectId, Reading | PortError]
"""One entry for every project that was asked for: its reading, or what kept it from being read."""


class Source(Protocol):
    """A reader of error rates. `name` is the `kind:` in the configuration.

    `is_fleet_wide` says that one collection serves many projects with fewer requests than one for each.
    `is_witness` says that its counts alone are no reason to act without a person.
    """

    name: str
    is_fleet_wide: bool
    is_witness: bool

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> Readings:
        """Return, for every project wanted, its counts up to the watermark, at most the source's own bound back.

        A source that can serve many projects by one request does. Trouble with one project is its entry and touches no
        other; trouble with all of them (Unavailable, RateLimited, Refused, Unintelligible) is the entry of each. Raises
        nothing. Never returns a zero that was not counted.
        """

    async def recall(self, projects: Sequence[ProjectId], *, since: datetime, now: datetime) -> Readings:
        """Return, for every one of *projects*, what was counted from *since* up to where a first collection begins.

        The past is coarse, in samples up to an hour long: it tells what is normal, not what happens. The entry of a
        source that keeps nothing of it is Unavailable (`nothing_recalled`). Raises nothing.
        """


def nothing_recalled(source: str, projects: Sequence[ProjectId]) -> Readings:
    """Return the entries of a source that keeps no counts of the past."""
    return dict.fromkeys(projects, Unavailable(f"{source} keeps no counts of the past"))
