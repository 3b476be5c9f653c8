"""Error rates from the request log, on every plan: the newest requests as a sample, and all 5xx rows as its witness."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, StringConstraints, field_validator

from daemon.core.facts import DeploymentId, ErrorRateSample, ProjectId
from daemon.ports.errors import Unintelligible
from daemon.ports.source import Reading, Source
from daemon.vercel.owner import OwnerLookup
from daemon.vercel.transport import VercelTransport
from daemon.vercel.wire import IsoTime, WireModel, to_iso, to_milliseconds, understand

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
    """One request. `status` 0 or less: it has no answer. `deployment` '' or None: no deployment answered it.

    `timestamp` is when the request began, though the row appears when it has ended.

    Source: Vercel CLI 58.4.4, `vercel logs`; the route is not in the OpenAPI and may change.
    """

    request_id: Annotated[StrictStr, StringConstraints(max_length=512)] = Field(alias="requestId")
    timestamp: IsoTime
    deployment: StrictStr | None = Field(None, alias="deploymentId")
    status: Annotated[int, Field(strict=True, ge=-1, le=999)] = Field(alias="statusCode")
    environment: StrictStr | None = None

    @property
    def is_error(self) -> bool:
        """Whether the request was answered with 5xx."""
        return 500 <= self.status <= 599

    @property
    def is_countable(self) -> bool:
        """Whether a deployment answered the request."""
        return bool(self.deployment) and self.status > 0


class LogPage(WireModel):
    """At most 50 rows, newest first; the server ignores a `limit`. Rows without a `requestId` are left out."""

    rows: list[LogRow]
    has_more: StrictBool = Field(alias="hasMoreRows")

    @field_validator("rows")
    @classmethod
    def _with_ids(cls, rows: list[LogRow]) -> list[LogRow]:
        named = [row for row in rows if row.request_id]
        if rows and not named:
            raise ValueError("no row has a requestId")
        return named


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

    @property
    def newest(self) -> datetime:
        """When the newest request began; the window's start where there is none."""
        return max((row.timestamp for row in self.rows), default=self.start)


@dataclass(frozen=True, slots=True)
class Seen:
    """Both lists of one collection: a row of their time that is in neither was logged afterwards."""

    requests: Listing
    failed: Listing

    def find_late(self, requests: Listing, failed: Listing, *, before: datetime) -> "Late":
        """Return the rows that began before *before* and were logged since: of all, and 5xx further back than that.

        A 5xx beyond the newest row that was known then is no late one, but one of a log that lags as a whole.
        """
        ids = {row.request_id for row in (*self.requests.rows, *self.failed.rows)}
        fresh = [row for row in requests.rows if row.request_id not in ids and row.timestamp < before]
        further = [
            row
            for row in failed.rows
            if row.request_id not in ids and row.timestamp < before and not requests.knows(row.timestamp)
        ]
        return Late(
            [row for row in fresh if self.requests.knows(row.timestamp)],
            [row for row in further if self.failed.knows(row.timestamp) and row.timestamp <= self.requests.newest],
        )


@dataclass(frozen=True, slots=True)
class Late:
    """Rows of time that was counted before: any that the list of all shows, and 5xx beyond its reach."""

    rows: Sequence[LogRow] = ()
    failed: Sequence[LogRow] = ()


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

    def open(self, transport: VercelTransport) -> Source:
        """Return the source that these settings describe."""
        return RequestLogs(self, transport)


class RequestLogs:
    """Implements `ports.source.Source` on `GET /api/logs/request-logs`.

    What the numbers are. The newest pages of *all* production requests give requests and errors, one sample for every
    deployment and (part of a) minute with rows. If they reach back to the window's start they count everything
    (`is_sampled` False). Otherwise they are everything from the oldest row on, and nothing of the time before: a
    cluster of neighbouring requests at the window's end, not a random draw (`is_sampled` True). So its ratio is that
    of the last moments; errors that come in bursts weigh more than the number of rows suggests; and the span begins at
    a row by construction, so that requests a second come out slightly high. A request without an answer (status 0) or
    without a deployment is not counted, and a minute without rows gives no sample.

    Slow requests. A row carries the time at which its request began and appears when it has ended, so that a time-out
    is logged when its time was already counted. Both lists therefore reach back by `late_max`, and rows that were not
    there at the collection before are counted once, when they appear, in the newest sample of their deployment: each
    row that the list of all reaches, and beyond it 5xx rows alone. Of these a sample takes only the share of the
    interval that it covers itself. What does not fit into the pages is lost: late 5xx of a busy site are rather too
    few. But late successes beyond the list of all are not counted either: where most requests take longer than `lag`,
    the ratio comes out too high, unless `lag` is longer than they take (or `late_max` is 0). Late rows are known by
    the collection before: the first one after a start, or after a gap, counts none.

    The list of *failed* requests of the same window is read beside it. Having no denominator it cannot give a rate,
    but it must name the same 5xx rows wherever both lists are complete: if not, one of them is filtered or shifted,
    and the answer is refused. Rows that only the list read second shows may have been logged in between; then the
    first is read once more and must show them. Where its bound of pages cuts it, it witnesses only what it reaches.
    """

    name = KIND

    def __init__(self, settings: RequestLogsSettings, transport: VercelTransport) -> None:
        self._settings = settings
        self._transport = transport
        self._owners = OwnerLookup(transport)
        self._origin = settings.base_url or _origin_of(transport.base_url)
        self._seen: dict[ProjectId, Seen] = {}

    async def collect(self, project: ProjectId, *, since: datetime, now: datetime) -> Reading:
        """Return the counts from *since* to *now* minus the lag; nothing is asked where that is no time at all.

        Raises Unavailable, RateLimited, Refused, or Unintelligible for rows that are malformed, out of order, outside
        of the window, or at odds with the list of failed requests.
        """
        end = _floor_millisecond(now - self._settings.lag)
        start = max(_ceil_millisecond(since), end - self._settings.lookback_max)
        if start >= end:
            return Reading(KIND, (), since)
        seen = self._seen.get(project)
        if seen and seen.requests.end < start:
            # What was logged in a gap is neither late nor counted, and somebody else may have counted it.
            seen = None
        known_from = max(seen.requests.start, start - self._settings.late_max) if seen else start
        failed = await self._list_failed(project, start=known_from, end=end)
        pages_max = self._settings.request_pages_max
        requests = await self._list(project, None, start=known_from, end=end, pages_max=pages_max)
        await self._check_agreement(project, requests, failed)
        late = seen.find_late(requests, failed, before=start) if seen else Late()
        self._seen[project] = Seen(requests, failed)
        return Reading(KIND, _samples(requests, late, start=start), end)

    async def _check_agreement(self, project: ProjectId, requests: Listing, failed: Listing) -> None:
        """Refuse two lists that disagree about failed requests in the time that both know."""
        missing = _missing(failed, there=requests)
        if not missing and _missing(requests, there=failed):
            missing = _missing(requests, there=await self._list_failed(project, start=failed.start, end=failed.end))
        if missing:
            what = f"request log of {project}"
            raise Unintelligible(f"{what}: the lists of all and of failed requests disagree about {len(missing)} rows")
        if requests.rows and all("deployment" not in row.model_fields_set for row in requests.rows):
            raise Unintelligible(f"request log of {project}: no row has a deploymentId; taken as no answer")

    async def _list_failed(self, project: ProjectId, *, start: datetime, end: datetime) -> Listing:
        return await self._list(project, "5xx", start=start, end=end, pages_max=self._settings.error_pages_max)

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


def _missing(here: Listing, *, there: Listing) -> set[str]:
    """Return the 5xx rows of one list that the other does not show, in the time that both know."""
    errors = (row for row in here.rows if row.is_error and here.knows(row.timestamp) and there.knows(row.timestamp))
    return {row.request_id for row in errors} - {row.request_id for row in there.rows}


def _samples(listing: Listing, late: Late, *, start: datetime) -> tuple[ErrorRateSample, ...]:
    """Return one sample for every deployment and minute with rows, cut to the span from *start*, late ones folded in.

    A deployment of which there are only late rows gives one sample of the whole span.
    """
    counts: dict[tuple[datetime, str], list[bool]] = defaultdict(list)
    for row in listing.rows:
        if row.deployment and row.is_countable and row.timestamp >= start:
            counts[row.timestamp.replace(second=0, microsecond=0), row.deployment].append(row.is_error)
    counted_from, is_sampled = max(start, listing.covered_from), not listing.knows(start)
    newest: dict[str, ErrorRateSample] = {}
    samples: list[ErrorRateSample] = []
    for (minute, deployment), found in sorted(counts.items()):
        samples += [newest[deployment]] if deployment in newest else []
        span = max(minute, counted_from), min(minute + MINUTE, listing.end)
        sample = ErrorRateSample(DeploymentId(deployment), *span, len(found), sum(found), is_sampled=is_sampled)
        newest[deployment] = sample
    # A sample stands for its own span only: it takes as much of what came late in the whole interval.
    share = max(0.0, (listing.newest - counted_from) / (listing.end - start)) if is_sampled else 1.0
    for name, (requests, errors) in _count_late(late, share=share).items():
        one = newest.get(name) or ErrorRateSample(name, counted_from, listing.end, 0, 0, is_sampled=is_sampled)
        newest[name] = replace(one, requests=one.requests + requests, errors=one.errors + errors)
    return tuple(sorted((*samples, *newest.values()), key=lambda one: (one.start, one.deployment)))


def _count_late(late: Late, *, share: float) -> Mapping[DeploymentId, tuple[int, int]]:
    """Return requests and errors of each deployment with late rows; of those beyond the list of all only a share."""
    requests = Counter(DeploymentId(row.deployment) for row in late.rows if row.deployment and row.is_countable)
    errors = Counter(DeploymentId(row.deployment) for row in late.rows if row.deployment and row.is_error)
    for deployment, count in Counter(row.deployment for row in late.failed if row.deployment).items():
        requests[DeploymentId(deployment)] += int(count * share)
        errors[DeploymentId(deployment)] += int(count * share)
    return {deployment: (count, errors[deployment]) for deployment, count in requests.items() if count}
