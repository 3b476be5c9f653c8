"""Rows of a request log and servers that give them, for tests of the source that reads it."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import httpx

from daemon.core.facts import ErrorRateSample
from daemon.ports.errors import PortError
from daemon.ports.source import Reading, Source, Wanted
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.request_logs import RequestLogs, RequestLogsSettings
from daemon.vercel.wire import read_iso, to_iso, to_milliseconds
from tests.unit.vercel.fakes import PROJECT, Script, Step, a_transport

START = datetime(2026, 11, 21, 20, 10, 30, tzinfo=UTC)
END = START + timedelta(seconds=60)
NOW = END + timedelta(seconds=20)
PATH = "/api/logs/request-logs"
PAGE = 50
Row = dict[str, object]


def a_log_row(seconds: float, *, status: object = 200, number: object = None, **changes: object) -> Row:
    """A row *seconds* after START."""
    return {
        "requestId": f"iad1::{seconds if number is None else number}",
        "timestamp": to_iso(START + timedelta(seconds=seconds)),
        "deploymentId": "dpl_a",
        "environment": "production",
        "requestMethod": "GET",
        "requestPath": "/api/me",
        "statusCode": status,
        "errorCode": "",
        "wafAction": "",
        "requestDurationMs": 54,
        "logs": [{"level": "error", "message": "boom"}],
        "events": [{"source": "serverless"}],
    } | changes


class RequestLog:
    """A server of rows, newest first, that knows only the class 5xx as a filter, as a step of the script."""

    def __init__(self, rows: Sequence[Row], *, failed: Sequence[Row] | None = None) -> None:
        self.rows = sorted(rows, key=lambda row: str(row["timestamp"]), reverse=True)
        self.failed = [row for row in self.rows if is_failed(row)] if failed is None else list(failed)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        return answer(request, self.failed if request.url.params.get("statusCode") == "5xx" else self.rows)


class SlowLog(RequestLog):
    """A log in which a row begins at its time and appears when its request has ended, so many seconds later.

    *ingestion* is how many seconds more it takes.
    """

    def __init__(self, rows: Iterable[tuple[Row, float]], *, ingestion: float = 0) -> None:
        took = [(row | {"requestDurationMs": round(seconds * 1000)}, seconds) for row, seconds in rows]
        super().__init__([row for row, _ in took])
        lasts = {row["requestId"]: round((seconds + ingestion) * 1000) for row, seconds in took}
        self._begins = [-to_milliseconds(read_iso(row["timestamp"])) for row in self.rows]
        self._appears = [lasts[row["requestId"]] - began for row, began in zip(self.rows, self._begins, strict=True)]
        self._failed = [is_failed(row) for row in self.rows]
        self.now = START
        self.read_takes = timedelta(0)
        """How much time passes with each page."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.now += self.read_takes
        start, end = (int(request.url.params[key]) for key in ("startDate", "endDate"))
        now = to_milliseconds(self.now)
        shown = range(bisect_right(self._begins, -end), bisect_right(self._begins, -start))
        wants_all = request.url.params.get("statusCode") != "5xx"
        wanted = (index for index in shown if self._appears[index] <= now and (wants_all or self._failed[index]))
        # No more than it takes to tell that there is another page.
        needed = (int(request.url.params["page"]) + 1) * PAGE + 1
        return answer(request, [self.rows[index] for index in islice(wanted, needed)])


def answer(request: httpx.Request, rows: Sequence[Row]) -> httpx.Response:
    """The page of *rows* that is asked for."""
    first = int(request.url.params["page"]) * PAGE
    return httpx.Response(200, json={"rows": rows[first : first + PAGE], "hasMoreRows": len(rows) > first + PAGE})


def is_failed(row: Row) -> bool:
    """Whether a row is a 5xx."""
    status = row["statusCode"]
    return isinstance(status, int) and 500 <= status <= 599


def a_source(
    *steps: Step,
    more: dict[str, object] | None = None,
    exclusions: Exclusions = NOTHING_EXCLUDED,
    **settings: object,
) -> tuple[RequestLogs, Script]:
    """A source whose server answers by *steps*; *more* is said of its transport."""
    transport, script, _ = a_transport(*steps, **(more or {}))
    return RequestLogs(RequestLogsSettings(**settings), transport, exclusions), script


async def read(source: Source, *, since: datetime = START, now: datetime = NOW) -> Reading:
    """What one collection says of the one project; raises its trouble."""
    readings = await source.collect([Wanted(PROJECT, since)], now=now)
    entry = readings[PROJECT]
    if isinstance(entry, PortError):
        raise entry
    return entry


async def collect(log: Step, *, since: datetime = START, now: datetime = NOW, **settings: object) -> Reading:
    """The same of a new source."""
    return await read(a_source(log, **settings)[0], since=since, now=now)


async def follow(log: SlowLog, *, seconds: int, interval: int = 15, **settings: object) -> list[ErrorRateSample]:
    """What collections in a row find, each beginning where the one before ended."""
    source, _ = a_source(log, **settings)
    watermark, found = START, []
    for passed in range(interval, seconds + 1, interval):
        log.now = now = START + timedelta(seconds=passed)
        reading = await read(source, since=watermark, now=now)
        assert all(watermark <= one.start < one.end <= reading.complete_until for one in reading.samples)
        watermark = reading.complete_until
        found += reading.samples
    return found


def counted(samples: Iterable[ErrorRateSample]) -> tuple[int, int]:
    """Requests and errors."""
    known = list(samples)
    return sum(one.requests or 0 for one in known), sum(one.errors for one in known)


def half_times_out(*, after: float, seconds: int, a_second: int = 1) -> SlowLog:
    """Every second request is answered at once, every other one times out."""
    times = [n / a_second for n in range(seconds * a_second)]
    return SlowLog([(a_log_row(at), 1) if n % 2 else (a_log_row(at, status=504), after) for n, at in enumerate(times)])
