"""Error rates from the request log, on every plan: the newest requests as a sample, and all 5xx rows as its witness."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, StringConstraints

from daemon.core.facts import DeploymentId, ErrorRateSample, ProjectId
from daemon.ports.errors import Unintelligible
from daemon.ports.source import Reading, Source
from daemon.vercel.owner import OwnerLookup
from daemon.vercel.transport import VercelTransport
from daemon.vercel.wire import IsoTime, Name, WireModel, to_iso, to_milliseconds, understand

KIND: Final = "request_logs"
PATH = "/api/logs/request-logs"
MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)
# The token goes there, so it travels in the clear on this machine only.
Origin = Annotated[
    str, StringConstraints(pattern=r"^(https://[^/?#@\s]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?)$")
]
SLACK = timedelta(seconds=1)
"""How far a row may lie outside of the window, or out of order, before the answer is refused."""
PUBLIC_API = "https://api.vercel.com"
DASHBOARD = "https://vercel.com"
"""Where the request log of the public API lives. Source: Vercel CLI 58.4.4, `vercel logs`."""


class LogRow(WireModel):
    """One request. `status` 0 or less: it has no answer. `deployment` '': no deployment answered it.

    Source: Vercel CLI 58.4.4, `vercel logs`; the route is not in the OpenAPI and may change.
    """

    request_id: Name = Field(alias="requestId")
    timestamp: IsoTime
    deployment: StrictStr = Field(alias="deploymentId")
    status: Annotated[int, Field(strict=True, ge=-1, le=999)] = Field(alias="statusCode")
    environment: StrictStr | None = None

    @property
    def is_error(self) -> bool:
        """Whether the request was answered with 5xx."""
        return 500 <= self.status <= 599


class LogPage(WireModel):
    """At most 50 rows, newest first; the server ignores a `limit`."""

    rows: list[LogRow]
    has_more: StrictBool = Field(alias="hasMoreRows")


@dataclass(frozen=True, slots=True)
class Listing:
    """Distinct rows of [start, end). `is_complete` is False when the bound of pages cut off older ones."""

    start: datetime
    end: datetime
    rows: Sequence[LogRow]
    is_complete: bool

    @property
    def covered_from(self) -> datetime:
        """The time from which on rows are known: the window's start, or the oldest row of a cut listing."""
        return self.start if self.is_complete else min((row.timestamp for row in self.rows), default=self.end)

    def knows(self, moment: datetime) -> bool:
        """Return whether every row of *moment* is here; the oldest millisecond of a cut listing may be cut itself."""
        return self.is_complete or moment > self.covered_from


class RequestLogsSettings(BaseModel):
    """Counts from the request log, which every plan has; on busy sites a sample of the newest requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["request_logs"] = KIND
    lag: timedelta = Field(
        default=timedelta(seconds=20),
        ge=timedelta(0),
        le=timedelta(minutes=10),
        description="How long rows stay unread, so that late ones can arrive.",
    )
    lookback_max: timedelta = Field(
        default=timedelta(minutes=10),
        ge=timedelta(minutes=1),
        le=timedelta(minutes=60),
        description="How far back one collection reaches after a pause; older rows are never read.",
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

    def open(self, transport: VercelTransport) -> Source:
        """Return the source that these settings describe."""
        return RequestLogs(self, transport)


class RequestLogs:
    """Implements `ports.source.Source` on `GET /api/logs/request-logs`.

    What the numbers are. The newest pages of *all* production requests give requests and errors, one sample for every
    deployment and (part of a) minute with rows. If they reach back to the window's start they count everything
    (`is_sampled` False). Otherwise they are everything from the oldest row on, and nothing of the time before: a
    cluster of neighbouring requests at the window's end, not a random draw (`is_sampled` True). So its ratio is that
    of the last moments; errors that come in bursts weigh more than the number of rows suggests; slow failures
    (time-outs), which are logged late, are too few; and the span begins at a row by construction, so that requests a
    second come out slightly high. The time before the sample is never read again. A request without an answer
    (status 0) is not counted, and a minute without rows gives no sample.

    The list of *failed* requests of the same window is read beside it. Having no denominator it cannot give a rate,
    but it must name the same 5xx rows wherever both lists are complete: if not, one of them is filtered, shifted or
    late, and the answer is refused. Where its own bound of pages cuts it, it witnesses only the time that it reaches.
    """

    name = KIND

    def __init__(self, settings: RequestLogsSettings, transport: VercelTransport) -> None:
        self._settings = settings
        self._transport = transport
        self._owners = OwnerLookup(transport)
        self._origin = settings.base_url or _origin_of(transport.base_url)

    async def collect(self, project: ProjectId, *, since: datetime, now: datetime) -> Reading:
        """Return the counts from *since* to *now* minus the lag; nothing is asked where that is no time at all.

        Raises Unavailable, RateLimited, Refused, or Unintelligible for rows that are malformed, out of order, outside
        of the window, or at odds with the list of failed requests.
        """
        end = _floor_millisecond(now - self._settings.lag)
        start = max(_ceil_millisecond(since), end - self._settings.lookback_max)
        if start >= end:
            return Reading(KIND, (), since)
        pages = self._settings
        failed = await self._list(project, "5xx", start=start, end=end, pages_max=pages.error_pages_max)
        requests = await self._list(project, None, start=start, end=end, pages_max=pages.request_pages_max)
        _check_agreement(requests, failed, what=f"request log of {project}")
        return Reading(KIND, _samples(requests), end)

    async def _list(
        self, project: ProjectId, status: str | None, *, start: datetime, end: datetime, pages_max: int
    ) -> Listing:
        """Return the distinct rows of the window, which stays the same for every page."""
        what = f"request log of {project}"
        rows: dict[str, LogRow] = {}
        page = LogPage(rows=[], hasMoreRows=True)
        for number in range(pages_max):
            page = await self._read_page(project, status, start=start, end=end, number=number)
            # Rows that arrive late push others onto the next page, where they are seen a second time.
            fresh = [row for row in page.rows if row.request_id not in rows]
            for row in fresh:
                _check_row(row, status=status, start=start, end=end, what=what)
            _check_order(fresh, oldest=min((row.timestamp for row in rows.values()), default=end), what=what)
            rows |= {row.request_id: row for row in reversed(fresh)}
            if not page.has_more:
                break
        inside = [row for row in rows.values() if start <= row.timestamp < end]
        reaches_back = any(row.timestamp < start for row in rows.values())
        return Listing(start, end, inside, is_complete=reaches_back or not page.has_more)

    async def _read_page(
        self, project: ProjectId, status: str | None, *, start: datetime, end: datetime, number: int
    ) -> LogPage:
        what = f"request log of {project}, page {number}"
        params: dict[str, str | int] = {
            "projectId": project,
            "ownerId": await self._owners.find(project),
            "page": number,
            "startDate": to_milliseconds(start),
            "endDate": to_milliseconds(end),
            "environment": "production",
        }
        if status:
            params["statusCode"] = status
        answer = await self._transport.read("GET", PATH, route=KIND, what=what, params=params, origin=self._origin)
        page = understand(LogPage, answer, what=what)
        if page.has_more and not page.rows:
            raise Unintelligible(f"{what}: promises more rows and gives none; taken as no answer")
        return page


def _origin_of(api: str) -> str:
    return DASHBOARD if api == PUBLIC_API else api


def _floor_millisecond(moment: datetime) -> datetime:
    utc = moment.astimezone(UTC)
    return utc - timedelta(microseconds=utc.microsecond % 1000)


def _ceil_millisecond(moment: datetime) -> datetime:
    floor = _floor_millisecond(moment)
    return floor if floor == moment else floor + MILLISECOND


def _check_order(rows: Iterable[LogRow], *, oldest: datetime, what: str) -> None:
    """Refuse rows that do not go back in time, for then the last of them is not the sample's beginning."""
    for row in rows:
        if row.timestamp > oldest + SLACK:
            raise Unintelligible(f"{what}: rows are not newest first at {to_iso(row.timestamp)}; taken as no answer")
        oldest = min(oldest, row.timestamp)


def _check_row(row: LogRow, *, status: str | None, start: datetime, end: datetime, what: str) -> None:
    """Refuse rows that were not asked for: a server ignores parameters that it does not know."""
    if not start - SLACK <= row.timestamp <= end + SLACK:
        raise Unintelligible(f"{what}: shifted window: a row at {to_iso(row.timestamp)}; taken as no answer")
    if row.environment not in (None, "production"):
        raise Unintelligible(f"{what}: a row of {row.environment!r} instead of production; taken as no answer")
    if status and not row.is_error:
        raise Unintelligible(f"{what}: a row with status {row.status} among the 5xx; taken as no answer")


def _check_agreement(requests: Listing, failed: Listing, *, what: str) -> None:
    """Refuse two lists that disagree about failed requests in the time that both know."""
    here, there = (
        {row.request_id for row in own.rows if row.is_error and own.knows(row.timestamp) and other.knows(row.timestamp)}
        for own, other in ((requests, failed), (failed, requests))
    )
    if here != there:
        raise Unintelligible(f"{what}: the lists of all and of failed requests disagree about {len(here ^ there)} rows")


def _samples(listing: Listing) -> tuple[ErrorRateSample, ...]:
    """Return one sample for every deployment and minute with rows; first and last minute are cut to the span."""
    counts: dict[tuple[datetime, str], list[bool]] = defaultdict(list)
    for row in listing.rows:
        if row.deployment and row.status > 0:
            counts[row.timestamp.replace(second=0, microsecond=0), row.deployment].append(row.is_error)
    return tuple(
        ErrorRateSample(
            DeploymentId(deployment),
            max(minute, listing.covered_from),
            min(minute + MINUTE, listing.end),
            len(found),
            sum(found),
            is_sampled=not listing.is_complete,
        )
        for (minute, deployment), found in sorted(counts.items())
    )
