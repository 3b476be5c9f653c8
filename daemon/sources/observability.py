"""Error rates from Vercel's observability query: exact counts per deployment and minute, with Observability Plus."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

from daemon.core.facts import DeploymentId, ErrorRateSample, ProjectId
from daemon.ports.errors import Unintelligible
from daemon.ports.source import Reading, Source
from daemon.vercel.owner import OwnerLookup
from daemon.vercel.transport import VercelTransport
from daemon.vercel.wire import IsoTime, WireModel, to_iso, understand

KIND: Final = "observability"
BUCKET = timedelta(minutes=1)
GROUPS_MAX = 500
"""Asked for as `limit`, which counts groups; the server gives no more. The default of 10 would hide rare statuses."""
FILTER = "environment eq 'production'"
NO_STATUS = 0
STATUS_MIN, STATUS_MAX = 100, 999
Group = tuple[str, int]


def read_status(value: object) -> int:
    """Return an HTTP status, a text in these answers; NO_STATUS for none. Raises ValueError for anything else."""
    text = "" if value is None else str(value)
    if text in ("", "0"):
        return NO_STATUS
    if isinstance(value, (bool, float)) or not (text.isascii() and text.isdigit() and len(text) == 3):
        raise ValueError("not an HTTP status")
    if not STATUS_MIN <= int(text) <= STATUS_MAX:
        raise ValueError("not an HTTP status")
    return int(text)


Status = Annotated[int, BeforeValidator(read_status)]


class Echo(WireModel):
    """The query as the server understood it."""

    start: IsoTime = Field(alias="startTime")
    end: IsoTime = Field(alias="endTime")
    filter: StrictStr = FILTER
    limit: Annotated[int, Field(strict=True, ge=1)] = GROUPS_MAX


class SummaryRow(WireModel):
    """One group's count over the whole window. `deployment` is None for what no deployment answered."""

    deployment: StrictStr | None = Field(alias="deployment_id")
    status: Status = Field(alias="http_status")
    requests: Annotated[int, Field(strict=True, ge=0)] = Field(alias="vercel_request_count_sum")

    @property
    def group(self) -> Group:
        """What the row counts."""
        return self.deployment or "", self.status


class DataRow(SummaryRow):
    """One group's count in one bucket, which begins at `timestamp`."""

    timestamp: IsoTime


class QueryAnswer(WireModel):
    """Source: Vercel OpenAPI, createObservabilityQuery; answers as published by its users."""

    query: Echo
    data: list[DataRow]
    summary: list[SummaryRow]


class ObservabilitySettings(BaseModel):
    """Counts from Vercel's observability query, which needs Observability Plus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["observability"] = KIND
    lag: timedelta = Field(
        default=timedelta(seconds=60),
        ge=timedelta(0),
        le=timedelta(minutes=10),
        description="How long a minute stays unread after its end, so that late counts can arrive.",
    )
    lookback_max: timedelta = Field(
        default=timedelta(minutes=60),
        ge=timedelta(minutes=1),
        le=timedelta(minutes=60),
        description="How far back one collection reaches after a pause; older minutes are never read.",
    )

    def open(self, transport: VercelTransport) -> Source:
        """Return the source that these settings describe."""
        return Observability(self, transport)


class Observability:
    """Implements `ports.source.Source` on `POST /v2/observability/query`.

    It gives one sample for every deployment and complete minute with requests. A minute in which a deployment's counts
    are all zero gives no sample: the server fills gaps with zeros, so that a zero may mean a minute not yet ingested.
    For the same reason the watermark is the end of the last minute with any count. The minutes after it are read again,
    up to `lookback_max` back, so that counts later than `lag`, or a clock of ours ahead of Vercel's, lose nothing; on a
    site without traffic the watermark ages, which holds actions. A minute is read again only while it is all zero: one
    that was ingested in part when it was read stays as it was, which is what `lag` is for.
    Requests without a status (0 or empty) and those that no deployment answered are not counted; 499 is no error of
    ours, only 500 to 599 are. Without Observability Plus every collection raises Refused with status 402.
    """

    name = KIND

    def __init__(self, settings: ObservabilitySettings, transport: VercelTransport) -> None:
        self._settings = settings
        self._transport = transport
        self._owners = OwnerLookup(transport)

    async def collect(self, project: ProjectId, *, since: datetime, now: datetime) -> Reading:
        """Return the counts of the whole minutes from *since* to *now* minus the lag, complete up to the last with any.

        The minute that *since* cuts is left out. Where no minute is complete yet nothing is asked, and the watermark
        stays at *since*. Raises Unavailable, RateLimited, Refused, or Unintelligible for an answer that is truncated,
        shifted, or contradicts itself.
        """
        end = floor_minute(now - self._settings.lag)
        start = max(ceil_minute(since), ceil_minute(end - self._settings.lookback_max))
        if start >= end:
            return Reading(KIND, (), since)
        what = f"counts of {project}"
        body = _query(project, await self._owners.find(project), start=start, end=end)
        answer = await self._transport.read("POST", "/v2/observability/query", route=KIND, what=what, body=body)
        found = understand(QueryAnswer, answer, what=what)
        _check_echo(found, start=start, end=end, what=what)
        rows = _rows_within(found.data, start=start, end=end, what=what)
        _check_totals(found, rows, what=what)
        counted = (row.timestamp + BUCKET for row in rows if row.requests)
        return Reading(KIND, _samples(rows), max(counted, default=start))


def floor_minute(moment: datetime) -> datetime:
    """Return the beginning of the minute of *moment*, in UTC."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def ceil_minute(moment: datetime) -> datetime:
    """Return the first beginning of a minute that is not before *moment*, in UTC."""
    floor = floor_minute(moment)
    return floor if floor == moment else floor + BUCKET


def _query(project: ProjectId, owner: str, *, start: datetime, end: datetime) -> Mapping[str, object]:
    """Return the question. Source: Vercel CLI 58.4.4, `vercel metrics vercel.request.count --group-by ... --prod`."""
    return {
        "scope": {"type": "project", "ownerId": owner, "projectIds": [project]},
        "metric": "vercel.request.count",
        "aggregation": "sum",
        "startTime": to_iso(start),
        "endTime": to_iso(end),
        "granularity": {"minutes": 1},
        "groupBy": ["deployment_id", "http_status"],
        "filter": FILTER,
        "limit": GROUPS_MAX,
    }


def _check_echo(found: QueryAnswer, *, start: datetime, end: datetime, what: str) -> None:
    """Refuse an answer to another question: windows outside the retention are silently moved by the server."""
    echo = found.query
    if (echo.start, echo.end) != (start, end):
        asked = f"{to_iso(start)}..{to_iso(end)}"
        raise Unintelligible(f"{what}: shifted window: asked {asked}, got {to_iso(echo.start)}..{to_iso(echo.end)}")
    if echo.filter != FILTER:
        raise Unintelligible(f"{what}: the filter was not applied; taken as no answer")
    groups = len({row.group for row in found.summary})
    if groups >= min(echo.limit, GROUPS_MAX):
        raise Unintelligible(f"{what}: truncated: {groups} groups of at most {echo.limit}; taken as no answer")


def _rows_within(data: Iterable[DataRow], *, start: datetime, end: datetime, what: str) -> list[DataRow]:
    """Return the rows of the window. The server may round it out by one bucket on each side, and no further."""
    rows: list[DataRow] = []
    seen: set[tuple[datetime, Group]] = set()
    for row in data:
        if not start - BUCKET <= row.timestamp <= end:
            raise Unintelligible(f"{what}: shifted window: a bucket at {to_iso(row.timestamp)}; taken as no answer")
        if row.timestamp != floor_minute(row.timestamp):
            raise Unintelligible(f"{what}: a bucket at {to_iso(row.timestamp)}, not at a full minute")
        if (row.timestamp, row.group) in seen:
            raise Unintelligible(f"{what}: the bucket at {to_iso(row.timestamp)} counts one group twice")
        seen.add((row.timestamp, row.group))
        if start <= row.timestamp < end:
            rows.append(row)
    return rows


def _check_totals(found: QueryAnswer, rows: Iterable[DataRow], *, what: str) -> None:
    """Refuse counts that do not add up. Buckets beside the window may be in the summary or not: hence two bounds."""
    inside, all_rows, summary = _totals(rows), _totals(found.data), _totals(found.summary)
    for group in inside.keys() | all_rows.keys() | summary.keys():
        if not inside[group] <= summary[group] <= all_rows[group]:
            raise Unintelligible(
                f"{what}: the summary counts {summary[group]} requests where the buckets hold {all_rows[group]}"
            )


def _totals(rows: Iterable[SummaryRow]) -> dict[Group, int]:
    totals: dict[Group, int] = defaultdict(int)
    for row in rows:
        totals[row.group] += row.requests
    return totals


def _samples(rows: Iterable[DataRow]) -> tuple[ErrorRateSample, ...]:
    requests: dict[tuple[datetime, str], int] = defaultdict(int)
    errors: dict[tuple[datetime, str], int] = defaultdict(int)
    for row in rows:
        if row.deployment and row.status != NO_STATUS:
            key = (row.timestamp, row.deployment)
            requests[key] += row.requests
            errors[key] += row.requests if 500 <= row.status <= 599 else 0
    return tuple(
        ErrorRateSample(DeploymentId(deployment), start, start + BUCKET, count, errors[start, deployment])
        for (start, deployment), count in sorted(requests.items())
        if count > 0
    )
