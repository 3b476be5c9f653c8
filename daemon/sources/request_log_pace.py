"""How long the answers of a busy site take: else the newest rows would show quick answers only, and all failures."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.facts import ProjectId
from daemon.sources.request_log_listing import LogReader
from daemon.sources.request_log_rows import LogRow
from daemon.vercel.wire import floor_millisecond

SLOW_SHARE_MAX = 0.1
"""At most this share of all requests may be successes that appear after their time was counted."""
LOOK_BACK = timedelta(minutes=2)
"""So old are the newest rows of a look: most answers are there by then, and it still tells of a new deployment soon."""
LOOK_SPAN = timedelta(minutes=2)
LOOK_EVERY = timedelta(minutes=1)
INGESTION = timedelta(seconds=5)
"""How long after its request has ended a row appears."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long rows stay unread, so that few successes are late. `is_known` is False where nothing tells."""

    lag: timedelta
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    at: datetime
    pace: Pace


class Pacer:
    """Looks, on a busy site and once a minute, at one page of older rows to see how long they took.

    The newest pages of a busy site hold rows that began moments ago. A slow success that began then is not there yet,
    while failures, which are often quick, are: the ratio would come out too high, by as much as successes are slow.
    Nor are slow successes seen later, beyond the reach of the list. So rows stay unread for as long as nine in ten
    requests need, and only while that is known the late failures beyond that reach are counted.
    """

    def __init__(self, reader: LogReader, *, lag: timedelta) -> None:
        self._reader = reader
        self._unhurried = Pace(lag)
        self._looks: dict[ProjectId, _Look | None] = {}

    def note(self, project: ProjectId, *, is_busy: bool) -> None:
        """Remember whether the newest rows of *project* are more than what is read: else all are seen in the end."""
        if is_busy:
            self._looks.setdefault(project, None)
        else:
            self._looks.pop(project, None)

    async def find(self, project: ProjectId, *, now: datetime) -> Pace:
        """Return the pace at which to read *project*, after a look where one is due. Raises what a read raises."""
        if project not in self._looks:
            return self._unhurried
        known = self._looks[project]
        # A wall clock that stepped back makes the look one of the future.
        if known is None or not now - LOOK_EVERY < known.at <= now:
            end = floor_millisecond(now - LOOK_BACK)
            listing = await self._reader.read(project, start=end - LOOK_SPAN, end=end, pages_max=1)
            known = self._looks[project] = _Look(now, self._pace_of(listing.rows))
        return known.pace

    def _pace_of(self, rows: Iterable[LogRow]) -> Pace:
        needed = time_of_most(rows)
        if needed is None:
            return self._unhurried
        return Pace(max(self._unhurried.lag, needed + INGESTION), is_known=True)


def time_of_most(rows: Iterable[LogRow]) -> timedelta | None:
    """Return the least time in which all but SLOW_SHARE_MAX of *rows* are failures or ended; None: that cannot be told.

    Successes alone are of interest: what is missing of them makes a ratio too high, and what is missing of failures
    makes it too low.
    """
    answered = [row for row in rows if row.is_countable]
    successes = [row.duration for row in answered if not row.is_failed]
    known = sorted((one for one in successes if one is not None), reverse=True)
    if not answered or len(known) < len(successes):
        return None
    slower_allowed = int(len(answered) * SLOW_SHARE_MAX)
    return known[slower_allowed] if len(known) > slower_allowed else timedelta(0)
