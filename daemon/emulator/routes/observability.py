"""Counts of requests: ``POST /v2/observability/query``, a read in spite of its method."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.counts import MINUTE_MS, MINUTES_KEPT, CellKey
from daemon.emulator.errors import bad_request, not_found, payment_required
from daemon.emulator.fault_specs import IngestLagFault, RouteGroup, ShiftedWindowFault, TruncateFault
from daemon.emulator.model import Project
from daemon.emulator.odata import Predicate, parse_filter
from daemon.emulator.series import DIMENSIONS, Series, Window, grouped

METRICS = {"vercel.request.count": False, "vercel.function_invocation.count": True}
"""The metrics emulated so far, and whether each counts functions only (every emulated request runs one)."""

DEFAULT_LIMIT = 10
LARGEST_LIMIT = 500
MOST_BUCKETS = 5_000
_DAY_MS = 86_400_000
_UNITS_MS = {"minutes": MINUTE_MS, "hours": 60 * MINUTE_MS, "days": _DAY_MS}


def query(call: Call) -> Answer:
    """Answer sums of requests by group and bucket, as observed live by others and sent by Vercel CLI 58.4.4."""
    body = call.json_object()
    projects = _projects(call, body.get("scope"))
    team = call.world.team
    if not team.observability_plus:
        raise payment_required(f"Observability Plus is required to run this query for team {team.slug}.")
    metric, aggregation = _metric(body)
    bucket_ms = _bucket_ms(body.get("granularity"))
    start_ms, end_ms = _asked_window(call, body)
    window = Window.around(start_ms, end_ms, bucket_ms)
    if len(window.buckets()) > MOST_BUCKETS:
        raise bad_request(f"Invalid granularity: the range holds more than {MOST_BUCKETS} buckets.")
    group_by, limit = _group_by(body), _limit(body)
    truncate = call.strikes.first(TruncateFault)
    series = grouped(
        _cells(call, projects, window),
        window=window,
        group_by=group_by,
        holds=_filter(body),
        limit=limit if truncate is None else min(limit, truncate.groups),
    )
    column = re.sub(r"[./]", "_", metric) + "_" + aggregation
    echo = {
        **body,
        "startTime": wire.iso(start_ms),
        "endTime": wire.iso(end_ms),
        "limit": limit,
        "rollups": {column: {"measure": metric, "aggregation": aggregation}},
    }
    return Answer(200, _answer(echo, series, window, group_by, column))


def _answer(echo: wire.Json, series: Series, window: Window, group_by: list[str], column: str) -> wire.Json:
    data = [
        {
            "timestamp": wire.iso(bucket),
            column: series.parts.get((bucket, group), 0),
            **dict(zip(group_by, group, strict=True)),
        }
        for bucket in window.buckets()
        for group, _ in series.totals
    ]
    summary = [{column: total, **dict(zip(group_by, group, strict=True))} for group, total in series.totals]
    return {
        "query": echo,
        "data": data,
        "summary": summary,
        "orderBy": column,
        "orderDirection": "desc",
        "queryId": hashlib.sha256(repr(echo).encode()).hexdigest()[:24],
        "statistics": {"rowsRead": series.rows_read, "bytesRead": series.rows_read * 48, "dbTimeSeconds": 0.001},
    }


def _cells(call: Call, projects: list[Project], window: Window) -> Iterator[tuple[Project, int, CellKey, int]]:
    lag = call.strikes.first(IngestLagFault)
    lag_ms = call.world.scenario.lag.metrics_ms if lag is None else round(lag.seconds * 1000)
    for project in projects:
        counts = call.world.traffic_of(project).counts
        for minute, cells in counts.per_minute(
            from_ms=window.start_ms, to_ms=window.end_ms, visible_to_ms=call.world.now_ms - lag_ms
        ):
            for key, count in cells.items():
                yield project, minute, key, count


def _projects(call: Call, scope: Any) -> list[Project]:
    if call.token.projects is not None:
        raise not_found("Observability Data not found.")
    if not isinstance(scope, dict) or scope.get("type") not in {"project", "owner"}:
        raise bad_request(
            "Invalid scope: `type` should be project or owner.", issues=[_issue("scope", "Invalid input")]
        )
    owner = scope.get("ownerId")
    if not isinstance(owner, str):
        raise bad_request("Invalid scope: `ownerId` is required.", issues=[_issue("scope.ownerId", "Required")])
    call.team_named(owner)
    if scope["type"] == "owner":
        return list(call.world.projects.values())
    ids = scope.get("projectIds")
    if not isinstance(ids, list) or not ids or not all(isinstance(item, str) for item in ids):
        raise bad_request("Invalid scope: `projectIds` is required.", issues=[_issue("scope.projectIds", "Required")])
    return [call.world.project(project_id) for project_id in dict.fromkeys(ids)]


def _metric(body: dict[str, Any]) -> tuple[str, str]:
    metric, aggregation = body.get("metric"), body.get("aggregation", "sum")
    if metric not in METRICS:
        raise bad_request(f"Invalid metric: {metric!r}.", issues=[_issue("metric", "Unknown metric")])
    if aggregation != "sum":
        raise bad_request("Invalid aggregation: only sum is emulated.", issues=[_issue("aggregation", "Invalid")])
    return str(metric), "sum"


def _bucket_ms(granularity: Any) -> int:
    """Return the bucket's length; it must divide a day evenly."""
    if isinstance(granularity, dict) and len(granularity) == 1:
        ((unit, number),) = granularity.items()
        if unit in _UNITS_MS and isinstance(number, int) and not isinstance(number, bool) and number > 0:
            bucket_ms = _UNITS_MS[unit] * number
            if _DAY_MS % bucket_ms == 0:
                return bucket_ms
    raise bad_request(
        "Invalid granularity: it must divide a day evenly or be a single week, month or year.",
        issues=[_issue("granularity", "Invalid input")],
    )


def _asked_window(call: Call, body: dict[str, Any]) -> tuple[int, int]:
    """Return the window after the silent clamp to what is kept, and after a fault's shift."""
    start_ms, end_ms = _instant(body, "startTime"), _instant(body, "endTime")
    if start_ms >= end_ms:
        raise bad_request("Invalid time range: startTime must be before endTime.")
    oldest = call.world.now_ms - MINUTES_KEPT * MINUTE_MS
    start_ms = max(start_ms, oldest)
    end_ms = max(end_ms, start_ms + MINUTE_MS)
    shift = call.strikes.first(ShiftedWindowFault)
    shift_ms = 0 if shift is None else round(shift.seconds * 1000)
    return start_ms + shift_ms, end_ms + shift_ms


def _instant(body: dict[str, Any], name: str) -> int:
    try:
        instant = datetime.fromisoformat(body[name])
    except (KeyError, TypeError, ValueError) as error:
        raise bad_request(f"Invalid {name}: not an ISO 8601 instant.", issues=[_issue(name, "Invalid")]) from error
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return round(instant.timestamp() * 1000)


def _group_by(body: dict[str, Any]) -> list[str]:
    group_by = body.get("groupBy", [])
    if not isinstance(group_by, list):
        raise bad_request("Invalid groupBy: expected an array.", issues=[_issue("groupBy", "Expected array")])
    for name in group_by:
        if name not in DIMENSIONS:
            raise bad_request(f"Invalid groupBy: unknown dimension {name!r}.", issues=[_issue("groupBy", "Unknown")])
    return list(dict.fromkeys(group_by))


def _limit(body: dict[str, Any]) -> int:
    limit = body.get("limit", DEFAULT_LIMIT)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= LARGEST_LIMIT:
        raise bad_request(f"Invalid limit: between 1 and {LARGEST_LIMIT}.", issues=[_issue("limit", "Invalid")])
    return limit


def _filter(body: dict[str, Any]) -> Predicate:
    text = body.get("filter", "")
    if not isinstance(text, str):
        raise bad_request("Invalid filter: expected a string.", issues=[_issue("filter", "Expected string")])
    return parse_filter(text, DIMENSIONS) if text.strip() else lambda _row: True


def _issue(path: str, message: str) -> wire.Json:
    return {"path": path.split("."), "message": message}


ROUTES = (route(RouteGroup.OBSERVABILITY, "POST", "/v2/observability/query", query),)
