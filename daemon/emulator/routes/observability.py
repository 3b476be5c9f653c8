"""Counts of requests: ``POST /v2/observability/query``, a read in spite of its method, and the schema of metrics."""

import hashlib
import re
from typing import Any

from daemon.emulator import measures, wire
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.durations import DAY_MS, HOUR_MS, MINUTE_MS
from daemon.emulator.entitlements import clamped_start_ms, require_counts, require_observability_token
from daemon.emulator.errors import bad_request, not_found
from daemon.emulator.fault_specs import RouteGroup, TruncateFault
from daemon.emulator.filters import Predicate
from daemon.emulator.measures import DEFAULT_LIMIT, LARGEST_LIMIT, METRICS, MOST_BUCKETS, Metric
from daemon.emulator.model import Project, Team
from daemon.emulator.odata import parse_filter
from daemon.emulator.series import DIMENSIONS, Series, Window, grouped

AGGREGATIONS = ("sum", "persecond")
"""Source: Vercel CLI 58.4.4, metrics; the first is the default."""
_UNITS_MS = {"minutes": MINUTE_MS, "hours": HOUR_MS, "days": DAY_MS}


def query(call: Call) -> Answer:
    """Answer sums of requests by group and bucket, as observed live by others and sent by Vercel CLI 58.4.4."""
    body = call.json_object()
    team, projects = _scope(call, body.get("scope"))
    require_counts(team, call.world.knobs)
    metric, aggregation = _metric(body)
    bucket_ms = _bucket_ms(body.get("granularity"))
    start_ms, end_ms = _asked_window(call, team, body)
    window = Window.around(start_ms, end_ms, bucket_ms)
    if len(window.buckets()) > MOST_BUCKETS:
        raise bad_request(f"Invalid granularity: the range holds more than {MOST_BUCKETS} buckets.")
    group_by, limit = _group_by(body), _limit(body)
    truncate = call.strikes.first(TruncateFault)
    # The echo tells the limit that took effect, so that a client can notice that groups are missing.
    limit = limit if truncate is None else min(limit, truncate.groups)
    cells = measures.cells_of(call, metric, projects, from_ms=window.start_ms, to_ms=window.end_ms)
    series = grouped(cells, window=window, group_by=group_by, holds=_filter(body), limit=limit)
    column = re.sub(r"[./]", "_", metric.id) + "_" + aggregation
    echo = {
        **body,
        "startTime": wire.iso(start_ms),
        "endTime": wire.iso(end_ms),
        "limit": limit,
        "rollups": {column: {"measure": metric.id, "aggregation": aggregation}},
    }
    return Answer(200, _answer(echo, series, window, group_by, column, per_second=aggregation == "persecond"))


def _answer(
    echo: wire.Json, series: Series, window: Window, group_by: list[str], column: str, *, per_second: bool
) -> wire.Json:
    seconds = (window.bucket_ms / 1000, (window.end_ms - window.start_ms) / 1000) if per_second else (1, 1)
    data = [
        {
            "timestamp": wire.iso(bucket),
            column: _divided(series.parts.get((bucket, group), 0), seconds[0]),
            **dict(zip(group_by, group, strict=True)),
        }
        for bucket in window.buckets()
        for group, _ in series.totals
    ]
    summary = [
        {column: _divided(total, seconds[1]), **dict(zip(group_by, group, strict=True))}
        for group, total in series.totals
    ]
    return {
        "query": echo,
        "data": data,
        "summary": summary,
        "orderBy": column,
        "orderDirection": "desc",
        "queryId": hashlib.sha256(repr(echo).encode()).hexdigest()[:24],
        "statistics": {"rowsRead": series.rows_read, "bytesRead": series.rows_read * 48, "dbTimeSeconds": 0.001},
    }


def _divided(count: int, seconds: float) -> float:
    return count if seconds == 1 else round(count / seconds, 6)


def _scope(call: Call, scope: Any) -> tuple[Team, list[Project]]:
    require_observability_token(call.token)
    if not isinstance(scope, dict) or scope.get("type") not in {"project", "owner"}:
        raise bad_request(
            "Invalid scope: `type` should be project or owner.", issues=[_issue("scope", "Invalid input")]
        )
    if scope["type"] == "owner":
        return measures.scope_of(call, {**scope, "projectIds": None})
    return measures.scope_of(call, {"projectIds": [], **scope})


def _metric(body: dict[str, Any]) -> tuple[Metric, str]:
    metric, aggregation = measures.metric_named(body.get("metric")), body.get("aggregation", "sum")
    if aggregation not in AGGREGATIONS:
        message = f"Invalid aggregation: {metric.id} has {' and '.join(AGGREGATIONS)}."
        raise bad_request(message, issues=[_issue("aggregation", "Invalid")])
    return metric, str(aggregation)


def _bucket_ms(granularity: Any) -> int:
    """Return the bucket's length; it must divide a day evenly."""
    if isinstance(granularity, dict) and len(granularity) == 1:
        ((unit, number),) = granularity.items()
        if unit in _UNITS_MS and isinstance(number, int) and not isinstance(number, bool) and number > 0:
            bucket_ms = _UNITS_MS[unit] * number
            if DAY_MS % bucket_ms == 0:
                return bucket_ms
    raise bad_request(
        "Invalid granularity: it must divide a day evenly or be a single week, month or year.",
        issues=[_issue("granularity", "Invalid input")],
    )


def _asked_window(call: Call, team: Team, body: dict[str, Any]) -> tuple[int, int]:
    """Return the window after the silent clamp to what is kept, and after a fault's shift."""
    start_ms, end_ms = (measures.instant_ms(body.get(name), name) for name in ("startTime", "endTime"))
    if start_ms >= end_ms:
        raise bad_request("Invalid time range: startTime must be before endTime.")
    start_ms = clamped_start_ms(team, call.world.knobs, start_ms=start_ms, now_ms=call.world.now_ms)
    end_ms = max(end_ms, start_ms + MINUTE_MS)
    shift_ms = measures.shift_ms(call)
    return start_ms + shift_ms, end_ms + shift_ms


def _group_by(body: dict[str, Any]) -> list[str]:
    group_by = body.get("groupBy", [])
    if not isinstance(group_by, list):
        raise bad_request("Invalid groupBy: expected an array.", issues=[_issue("groupBy", "Expected array")])
    for name in group_by:
        if name not in DIMENSIONS:
            raise bad_request(f"Invalid groupBy: unknown dimension {name!r}.", issues=[_issue("groupBy", "Unknown")])
    return list(dict.fromkeys(group_by))


def _limit(body: dict[str, Any]) -> int:
    limit: int = body.get("limit", DEFAULT_LIMIT)
    if not measures.is_whole(limit, 1, LARGEST_LIMIT):
        raise bad_request(f"Invalid limit: between 1 and {LARGEST_LIMIT}.", issues=[_issue("limit", "Invalid")])
    return limit


def _filter(body: dict[str, Any]) -> Predicate:
    text = body.get("filter", "")
    if not isinstance(text, str):
        raise bad_request("Invalid filter: expected a string.", issues=[_issue("filter", "Expected string")])
    return parse_filter(text, DIMENSIONS) if text.strip() else lambda _row: True


def _issue(path: str, message: str) -> wire.Json:
    return {"path": path.split("."), "message": message}


def list_schema(call: Call) -> Answer:
    """Answer the metrics by id and description. Source: Vercel CLI 58.4.4, metrics schema."""
    _require_reader(call)
    rows = [{"id": metric.id, "description": metric.description} for metric in METRICS.values()]
    return Answer(200, {"metrics": rows})


def show_schema(call: Call) -> Answer:
    """Answer one metric in full, or every one whose id begins so; none is a 404. Source: Vercel CLI 58.4.4, metrics."""
    _require_reader(call)
    wanted = call.path["metric"]
    found = [METRICS[wanted]] if wanted in METRICS else [m for m in METRICS.values() if m.id.startswith(wanted + ".")]
    if not found:
        raise not_found(f"Metric {wanted} not found.")
    return Answer(200, [_detail(metric) for metric in found])


def _detail(metric: Metric) -> wire.Json:
    return {
        "id": metric.id,
        "description": metric.description,
        "unit": metric.unit,
        "aggregations": list(AGGREGATIONS),
        "defaultAggregation": AGGREGATIONS[0],
        "dimensions": measures.dimension_labels(),
    }


def _require_reader(call: Call) -> None:
    require_observability_token(call.token)
    call.scoped_team()


ROUTES = (
    route(RouteGroup.OBSERVABILITY, "POST", "/v2/observability/query", query),
    route(RouteGroup.OBSERVABILITY, "GET", "/v2/observability/schema", list_schema),
    route(RouteGroup.OBSERVABILITY, "GET", "/v2/observability/schema/{metric}", show_schema),
)
