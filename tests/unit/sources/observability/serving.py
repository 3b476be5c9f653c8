"""A stand-in for Vercel's counts, in both dialects: a table that a test fills and changes as it likes."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from daemon.core.facts import ErrorRateSample, ProjectId
from daemon.ports.errors import PortError
from daemon.ports.source import Reading, Source, Wanted
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.observability import ObservabilitySettings
from daemon.vercel.wire import to_iso
from tests.unit.vercel.fakes import PROJECT, TEAM, Script, a_transport, an_error

START = datetime(2026, 11, 21, 20, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
V2_PATH, V1_PATH = "/v2/observability/query", "/metrics/v1"
CAMEL = {"project_id": "projectId", "deployment_id": "deploymentId", "http_status": "httpStatus"}
CAMEL |= {"error_code": "errorCode"}
Cell = tuple[datetime, str, str, str, str]
"""Minute, project, deployment, status, error code."""
Bend = Callable[[dict[str, Any]], Any]


class Counts:
    """Implements both routes over `cells`. `bend` changes an answer before it is sent."""

    def __init__(self, *, gone: Iterable[str] = (), groups_max: int = 500) -> None:
        self.cells: Counter[Cell] = Counter()
        self.gone = dict.fromkeys(gone, 404)
        self.groups_max = groups_max
        self.unknown: set[str] = set()
        self.bend: Bend | None = None
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []

    def show(
        self,
        minute: int,
        count: int,
        *,
        status: object = "200",
        project: str = PROJECT,
        deployment: str = "dpl_a",
        code: str = "",
    ) -> None:
        """Count *count* more in the minute that begins so many minutes after START."""
        self.cells[START + minute * MINUTE, project, deployment, str(status), code] += count

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.paths.append(request.url.path)
        self.bodies.append(body)
        if request.url.path in self.gone:
            return an_error(self.gone[request.url.path], "not_found", "no such route")
        ids = body["scope"].get("projectIds")
        if self.unknown & set(ids or ()):
            return an_error(404, "not_found", "Project not found.")
        answer = self._v2(body) if request.url.path == V2_PATH else self._v1(body)
        bent = self.bend(answer) if self.bend else answer
        return bent if isinstance(bent, httpx.Response) else httpx.Response(200, json=bent)

    def _groups(
        self, body: dict[str, Any], dimensions: list[str], start: datetime, end: datetime
    ) -> dict[tuple[str, ...], Counter[datetime]]:
        ids = body["scope"].get("projectIds")
        is_failed_only = "500" in body["filter"]
        groups: dict[tuple[str, ...], Counter[datetime]] = {}
        for (minute, project, deployment, status, code), count in sorted(self.cells.items()):
            named = {"project_id": project, "deployment_id": deployment, "http_status": status, "error_code": code}
            if not start <= minute < end or (ids is not None and project not in ids):
                continue
            if is_failed_only and not (status.isdigit() and 500 <= int(status) <= 599):
                continue
            group = tuple(named[name] for name in dimensions)
            groups.setdefault(group, Counter())[minute] += count
        largest = sorted(groups.items(), key=lambda item: (-item[1].total(), item[0]))
        return dict(largest[: self.groups_max])

    def _v2(self, body: dict[str, Any]) -> dict[str, Any]:
        start, end = datetime.fromisoformat(body["startTime"]), datetime.fromisoformat(body["endTime"])
        dimensions = body["groupBy"]
        groups = self._groups(body, dimensions, start, end)
        count = "vercel_request_count_sum"
        return {
            "query": {**body, "limit": min(body["limit"], self.groups_max)},
            "data": [
                {"timestamp": to_iso(minute), count: counts[minute], **dict(zip(dimensions, group, strict=True))}
                for minute in minutes(start, end)
                for group, counts in groups.items()
            ],
            "summary": [
                {count: counts.total(), **dict(zip(dimensions, group, strict=True))} for group, counts in groups.items()
            ],
        }

    def _v1(self, body: dict[str, Any]) -> dict[str, Any]:
        start, end = (datetime.fromisoformat(body["timeRange"][name]) for name in ("start", "end"))
        snake = {camel: name for name, camel in CAMEL.items()}
        groups = self._groups(body, [snake[name] for name in body["groupBy"]], start, end)
        named = {group: dict(zip(body["groupBy"], group, strict=True)) for group in groups}
        return {
            "series": [
                {"timestamp": to_iso(minute), "dimensions": named[group], "values": {"value": counts[minute]}}
                for minute in minutes(start, end)
                for group, counts in groups.items()
            ],
            "summary": [
                {"dimensions": named[group], "values": {"value": counts.total()}} for group, counts in groups.items()
            ],
            "meta": {"statistics": {}, "sources": []},
        }


def minutes(start: datetime, end: datetime) -> list[datetime]:
    """The buckets of a window that begins with one."""
    return [start + number * MINUTE for number in range(-(-(end - start) // MINUTE))]


class Watcher:
    """A source on some counts, asked again and again: each project goes on from its own watermark."""

    def __init__(
        self,
        counts: Counts,
        *,
        since: datetime = START,
        exclusions: Exclusions = NOTHING_EXCLUDED,
        **settings: Any,
    ) -> None:
        transport, self.script, _ = a_transport(counts)
        self.source: Source = ObservabilitySettings(**settings).open(transport, exclusions)
        self.since = since
        self.watermarks: dict[ProjectId, datetime] = {}
        self.given: dict[ProjectId, list[ErrorRateSample]] = {}
        self.corrections = 0

    async def ask(
        self, now: datetime, *projects: str, close_up: bool = False, keep: bool = True
    ) -> dict[ProjectId, Reading | PortError]:
        """One collection; with *keep* False its readings get lost."""
        ids = [ProjectId(one) for one in projects or (PROJECT,)]
        wanted = [Wanted(one, self.watermarks.get(one, self.since), is_close_up=close_up) for one in ids]
        entries = dict(await self.source.collect(wanted, now=now))
        assert set(entries) == set(ids)
        for one, entry in entries.items():
            if keep and isinstance(entry, Reading):
                assert entry.complete_until >= self.watermarks.get(one, self.since)
                self.watermarks[one] = entry.complete_until
                self.given.setdefault(one, []).extend(entry.samples)
                self.corrections += entry.corrections
        return entries

    async def read(self, now: datetime, project: str = PROJECT, **more: Any) -> Reading:
        """One project's reading; raises its trouble."""
        entry = (await self.ask(now, project, **more))[ProjectId(project)]
        if isinstance(entry, PortError):
            raise entry
        return entry

    @property
    def asked(self) -> list[str]:
        return self.script.asked

    def forget_asked(self) -> None:
        self.script.requests.clear()


def spans(samples: Iterable[ErrorRateSample]) -> list[tuple[float, float, int | None, int]]:
    """Start and end in seconds after START, requests and errors."""
    return [
        ((one.start - START).total_seconds(), (one.end - START).total_seconds(), one.requests, one.errors)
        for one in samples
    ]


def totals(samples: Iterable[ErrorRateSample]) -> tuple[int, int, int]:
    """Requests, errors and errors of the platform."""
    samples = list(samples)
    return (
        sum(one.requests or 0 for one in samples),
        sum(one.errors for one in samples),
        sum(one.platform_errors for one in samples),
    )


def visible(minutes: int, *, now: float, lag: float = 30.0, per_minute: int = 60, errors: int = 6, **more) -> Counts:
    """Counts as a pipeline shows them that lags: so many seconds after START, evenly over each minute."""
    counts = Counts()
    show_until(counts, minutes, now=now, lag=lag, per_minute=per_minute, errors=errors, **more)
    return counts


def show_until(
    counts: Counts, minutes: int, *, now: float, lag: float = 30.0, per_minute: int = 60, errors: int = 6, **more
) -> None:
    project = more.get("project", PROJECT)
    for key in [key for key in counts.cells if key[1] == project]:
        del counts.cells[key]
    for minute in range(minutes):
        share = min(1.0, max(0.0, (now - lag - 60 * minute) / 60))
        if share:
            counts.show(minute, round((per_minute - errors) * share), **more)
            counts.show(minute, round(errors * share), status=500, **more)


__all__ = ["MINUTE", "PROJECT", "SECOND", "START", "TEAM", "V1_PATH", "V2_PATH", "Counts", "Script", "Watcher"]
__all__ += ["minutes", "show_until", "spans", "totals", "visible"]
