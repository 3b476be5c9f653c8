"""Error rates from the request log, on every plan: the newest requests as a sample, and all 5xx rows as its witness."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from daemon.core.facts import ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import PortError, Unintelligible
from daemon.ports.source import Reading, Readings, Source, Wanted, nothing_recalled
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.request_log_listing import Listing, LogReader, ceil_millisecond
from daemon.sources.request_log_memory import Memory, Seen
from daemon.sources.request_log_pace import Pacer
from daemon.sources.request_log_rows import LogRow
from daemon.sources.request_log_samples import Found, samples_of
from daemon.vercel.transport import VercelTransport
from daemon.vercel.wire import floor_millisecond

KIND: Final = "request_logs"
REACH_MAX = timedelta(minutes=59)
"""No further back is anything asked: the hobby plan keeps rows for an hour. Source: Vercel docs, Runtime Logs, Limits.

Of a window that begins earlier fewer rows come, without a word. A minute is left for our clock and for reading pages.
"""
PROJECTS_AT_ONCE = 4
# The token goes there, so it travels in the clear on this machine only.
Origin = Annotated[
    str, StringConstraints(pattern=r"^(https://[^/?#@\s]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?)$")
]


class Counts(StrEnum):
    """What is counted: all requests and their errors, or errors alone."""

    RATIO = "ratio"
    ERRORS = "errors"


class RequestLogsSettings(BaseModel):
    """Counts from the request log, which every plan has; on busy sites a sample of the newest requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["request_logs"] = KIND
    counts: Counts = Field(
        default=Counts.RATIO,
        description=(
            "ratio reads all requests and their errors; errors reads failed requests alone, in half the calls, for "
            "a rule on `errors_per_minute_max`."
        ),
    )
    lag: timedelta = Field(
        default=timedelta(seconds=20),
        ge=timedelta(0),
        le=timedelta(minutes=10),
        description="How long rows stay unread, so that late ones can arrive; longer where a busy site answers slowly.",
    )
    lookback_max: timedelta = Field(
        default=timedelta(minutes=10),
        ge=timedelta(minutes=1),
        le=timedelta(minutes=60),
        description="How far back one collection reaches after a pause; older rows are never read.",
    )
    late_max: timedelta = Field(
        default=timedelta(minutes=6),
        ge=timedelta(0),
        le=timedelta(minutes=15),
        description="How long after it began a slow request, such as a time-out, may be logged and still counts.",
    )
    request_pages_max: int = Field(
        default=2, ge=1, le=20, description="Pages of 50 requests to read at most; more make a larger sample, slower."
    )
    error_pages_max: int = Field(
        default=4, ge=1, le=20, description="Pages of 50 failed requests to read at most, as a check of the sample."
    )
    base_url: Origin | None = Field(
        default=None,
        description="Origin of the request log; by default https://vercel.com for the public API, else the API's own.",
    )

    def open(self, transport: VercelTransport, exclusions: Exclusions = NOTHING_EXCLUDED) -> Source:
        """Return the source that these settings describe."""
        return RequestLogs(self, transport, exclusions)


@dataclass(frozen=True, slots=True)
class _Window:
    """The time [start, end) that one collection counts. `since` is what was asked for; it may lie further back."""

    since: datetime
    start: datetime
    end: datetime

    def share_from(self, moment: datetime) -> float:
        """Return the share of the time since `since` that lies after *moment*, 0..1."""
        return max(timedelta(0), self.end - max(moment, self.start)) / (self.end - self.since)


class RequestLogs:
    """Implements `ports.source.Source` on `GET /api/logs/request-logs`, one project after the other.

    What the numbers are. The newest pages of *all* production requests give requests and errors, one sample for every
    deployment and (part of a) minute with rows. If they reach back to the window's start they count everything
    (`is_sampled` False). Otherwise they are everything from the oldest row on, and nothing of the time before: a
    cluster of neighbouring requests at the window's end, not a random draw (`is_sampled` True); `covered` of a reading
    is their share of the time. So its ratio is that of the last moments; errors that come in bursts weigh more than the
    number of rows suggests; and the span begins at a row by construction, so that requests a second come out slightly
    high. Requests without an answer (status 0) or a deployment, and those that the firewall denied, are left out, and
    `left_out` says how many; a minute without rows gives no sample.

    Slow requests. A row carries the time at which its request began and appears when it has ended, so that a time-out
    is logged when its time was already counted. Both lists therefore reach back by `late_max`, and rows of time that
    was counted, which were not there then, are counted once, when they appear, in the newest sample of their
    deployment: each row that the list of all reaches, and beyond it 5xx rows alone. What does not fit into the pages is
    lost. On a busy site, where slow successes are never seen, the rows stay unread for longer (see `Pacer`).
    Late rows are known by the collection before: the first one after a start, or after a gap, counts none.

    The list of *failed* requests of the same window is read beside it. Having no denominator it cannot give a rate,
    but it must name the same 5xx rows wherever both lists are complete: if not, one of them is filtered or shifted,
    and the answer is refused. Rows that only the list read second shows may have been logged in between; then the
    first is read once more and must show them. Where its bound of pages cuts it, it witnesses only what it reaches.

    With `counts: errors` the failed requests are all that is read, and nothing is their witness. Their samples have no
    `requests`. A deployment that was seen to fail has a sample of every minute from then on, be it of no errors; of
    others nothing is said. Where the bound of pages cuts the list, there were at least so many (`is_sampled`).
    """

    name = KIND
    is_fleet_wide = False
    is_witness = False

    def __init__(
        self, settings: RequestLogsSettings, transport: VercelTransport, exclusions: Exclusions = NOTHING_EXCLUDED
    ) -> None:
        self._settings = settings
        self._exclusions = exclusions
        self._reader = LogReader(transport, origin=settings.base_url)
        self._pacer = Pacer(self._reader, lag=settings.lag)
        self._memory = Memory()

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> Readings:
        """Return, for every project wanted, its counts to *now* minus the lag, or what kept it from being read.

        Nothing is asked where that is no time at all. Unintelligible are rows that are malformed, out of order, outside
        of the window, or at odds with the list of failed requests.
        """
        gate = asyncio.Semaphore(PROJECTS_AT_ONCE)
        readings: dict[ProjectId, Reading | PortError] = {}

        async def enter(one: Wanted) -> None:
            async with gate:
                readings[one.project] = await self._try_collect(one, now=now)

        async with asyncio.TaskGroup() as group:
            for one in wanted:
                group.create_task(enter(one))
        return readings

    async def recall(self, projects: Sequence[ProjectId], *, since: datetime, now: datetime) -> Readings:
        """Return nothing: a day of rows is too much to count."""
        return nothing_recalled(KIND, projects)

    async def _try_collect(self, wanted: Wanted, *, now: datetime) -> Reading | PortError:
        try:
            return await self._collect(wanted, now=now)
        except PortError as error:
            return error

    async def _collect(self, wanted: Wanted, *, now: datetime) -> Reading:
        window = self._window(wanted, now=now, lag=self._settings.lag)
        if window is None:
            return Reading(KIND, (), wanted.since)
        seen = self._memory.recall(wanted.project, since=wanted.since)
        if self._settings.counts is Counts.ERRORS:
            listing, found = await self._find_failed(wanted.project, window, seen, now=now)
        else:
            pace = await self._pacer.find(wanted.project, now=now)
            window = self._window(wanted, now=now, lag=pace.lag)
            if window is None:
                return Reading(KIND, (), wanted.since)
            listing, found = await self._find_all(wanted.project, window, seen, now=now, pace_is_known=pace.is_known)
            self._pacer.note(wanted.project, is_busy=not listing.is_complete)
        keep_from = window.end - self._settings.late_max
        after = seen.then(listing, (*found.late, *found.ignored), start=window.start, keep_from=keep_from)
        self._memory.keep(wanted.project, before=seen, now=after)
        found = self._without_excluded(wanted.project, found)
        found = replace(found, wants_routes=wanted.wants_routes, wants_kinds=wanted.wants_kinds)
        return _reading(found, window, now=now)

    def _without_excluded(self, project: ProjectId, found: Found) -> Found:
        """Return *found* with what is to be left out. Raises Unintelligible for rows of which nobody can tell."""
        if self._exclusions.routes and any(row.place is None for row in found.counted):
            sentence = f"request log of {project}: rows without a route, which exclude_routes is about"
            raise Unintelligible(sentence, reason=SignalReason.SCHEMA_DRIFT)
        return replace(found, exclusions=self._exclusions)

    def _window(self, wanted: Wanted, *, now: datetime, lag: timedelta) -> _Window | None:
        """Return the time to count; None where that is no time at all."""
        end = floor_millisecond(now - lag)
        start = max(ceil_millisecond(wanted.since), end - self._settings.lookback_max, _oldest(now))
        return _Window(wanted.since, start, end) if start < end else None

    def _known_from(self, window: _Window, seen: Seen, *, now: datetime) -> datetime:
        """Return how far back a row may have begun that was not there when its time was counted."""
        if not seen.spans:
            return window.start
        return max(window.start - self._settings.late_max, seen.known_from, _oldest(now))

    async def _find_failed(
        self, project: ProjectId, window: _Window, seen: Seen, *, now: datetime
    ) -> tuple[Listing, Found]:
        start = self._known_from(window, seen, now=now)
        failed = await self._list_failed(project, start=start, end=window.end)
        late = [row for row in failed.rows if seen.is_late(row)]
        return failed, _found(window, failed, late, failing=_failing(failed, seen, since=_oldest(now)))

    async def _find_all(
        self, project: ProjectId, window: _Window, seen: Seen, *, now: datetime, pace_is_known: bool
    ) -> tuple[Listing, Found]:
        start = self._known_from(window, seen, now=now)
        failed = await self._list_failed(project, start=start, end=window.end)
        pages_max = self._settings.request_pages_max
        requests = await self._reader.read(project, start=start, end=window.end, pages_max=pages_max)
        await self._check_agreement(project, requests, failed)
        late = [row for row in requests.rows if seen.is_late(row)]
        beyond = [row for row in failed.rows if not requests.knows(row.timestamp) and seen.is_late_failure(row)]
        # Where nobody knows how many successes are missing beside these, they are not to be caught up on either.
        late, ignored = ([*late, *beyond], []) if pace_is_known else (late, beyond)
        return requests, replace(_found(window, requests, late), ignored=ignored)

    async def _list_failed(self, project: ProjectId, *, start: datetime, end: datetime) -> Listing:
        pages_max = self._settings.error_pages_max
        return await self._reader.read(project, start=start, end=end, pages_max=pages_max, failed_only=True)

    async def _check_agreement(self, project: ProjectId, requests: Listing, failed: Listing) -> None:
        """Refuse two lists that disagree about failed requests in the time that both know."""
        missing = _missing(failed, there=requests)
        if not missing and _missing(requests, there=failed):
            missing = _missing(requests, there=await self._list_failed(project, start=failed.start, end=failed.end))
        if missing:
            what = f"request log of {project}"
            sentence = f"{what}: the lists of all and of failed requests disagree about {len(missing)} rows"
            raise Unintelligible(sentence, reason=SignalReason.INCONSISTENT)


def _oldest(now: datetime) -> datetime:
    return ceil_millisecond(now - REACH_MAX)


def _missing(here: Listing, *, there: Listing) -> set[str]:
    """Return the 5xx rows of one list that the other does not show, in the time that both know."""
    errors = (row for row in here.rows if row.is_failed and here.knows(row.timestamp) and there.knows(row.timestamp))
    return {row.request_id for row in errors} - {row.request_id for row in there.rows}


def _failing(failed: Listing, seen: Seen, *, since: datetime) -> Mapping[str, datetime]:
    """Return since when each deployment fails: of others nobody knows whether they are asked at all.

    What has not failed *since* then is forgotten.
    """
    first: dict[str, datetime] = {}
    for row in failed.rows:
        if row.deployment and row.is_countable:
            first[row.deployment] = min(row.timestamp, first.get(row.deployment, row.timestamp))
    return first | {name: at for name, at in seen.failing.items() if at >= since}


def _found(
    window: _Window, listing: Listing, late: Sequence[LogRow], *, failing: Mapping[str, datetime] | None = None
) -> Found:
    """Return what is to be counted. *failing* is None where the listing is of all requests."""
    start = max(window.start, listing.covered_from)
    rows = [row for row in listing.rows if row.timestamp >= start]
    # A sample has a length: where a cut list covers no time at all there is none to hold what came late.
    return Found(
        start,
        window.end,
        rows,
        late if start < window.end else (),
        is_sampled=not listing.knows(window.start),
        has_all=failing is None,
        failing=failing or {},
    )


def _reading(found: Found, window: _Window, *, now: datetime) -> Reading:
    ended = max((row.ended_at for row in found.counted), default=None)
    return Reading(
        KIND,
        samples_of(found),
        window.end,
        lag=None if ended is None else max(timedelta(0), now - ended),
        covered=window.share_from(found.start),
        left_out=found.left_out,
    )
