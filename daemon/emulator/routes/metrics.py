"""Counts in Vercel's newer dialect, ``/metrics/v1``: a catalogue, and queries with camel-case dimensions and KQL."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.emulator import measures, wire
from daemon.emulator.call import Answer, Call, limited, route
from daemon.emulator.entitlements import COUNTS_REACH_MS, clamped_start_ms, require_counts, require_observability_token
from daemon.emulator.errors import bad_request
from daemon.emulator.fault_specs import RouteGroup, TruncateFault
from daemon.emulator.kql import parse_kql
from daemon.emulator.measures import (
    CAMEL_DIMENSIONS,
    DEFAULT_LIMIT,
    KQL_FIELDS,
    LARGEST_LIMIT,
    METRICS,
    MOST_BUCKETS,
    Counted,
    Metric,
    invalid,
    issue,
)
from daemon.emulator.model import Team
from daemon.emulator.odata import Row, parse_filter
from daemon.emulator.series import DIMENSIONS, Group, Window, dimensions_of

_DAY_SECONDS = 86_400
_ODATA = re.compile(r"\b(?:(?:eq|ne|gt|ge|lt|le)\b|in\s*\()\s*(?:'|-?\d)|\b(?:contains|startswith|endswith)\s*\(")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
Holds = Callable[[Mapping[str, Any], Row], bool]


@dataclass(frozen=True, slots=True)
class _Output:
    """One named metric of a query: what it counts, per what."""

    metric: Metric
    per_second: bool
    as_percent: bool
    distinct: tuple[str, ...] | None
    holds: Holds


@dataclass(slots=True)
class _Tally:
    """What one output counted: by group, and by bucket and group."""

    totals: defaultdict[Group, float]
    parts: defaultdict[tuple[int, Group], float]


def list_metrics(call: Call) -> Answer:
    """Answer the catalogue of metrics, all on one page. Source: Vercel CLI 64.0.2, metrics."""
    require_observability_token(call.token)
    call.scoped_team()
    limited(call, default=250, maximum=250)
    kind, search = call.query.get("kind") or "all", call.query.get("search", "")
    if kind not in {"system", "custom", "all"}:
        raise invalid("kind", "expected system, custom or all")
    rows = [
        {
            "id": metric.id,
            "description": metric.description,
            "unit": metric.unit,
            "aggregations": ["count", "unique"],
            "dimensions": measures.dimension_labels(measures.camel),
        }
        for metric in METRICS.values()
        if kind != "custom" and metric.id.startswith(search)
    ]
    return Answer(200, {"metrics": rows, "pagination": {"hasMore": False, "nextCursor": None}})


def query(call: Call) -> Answer:
    """Answer counts by group and bucket. Source: Vercel CLI 64.0.2, metrics; errors as observed live by others."""
    body = call.json_object()
    team, projects = measures.scope_of(call, body.get("scope"))
    require_counts(team, call.world.knobs)
    window = _window(call, team, body)
    group_by = _group_by(body)
    outputs = _outputs(body)
    holds = _filter(body.get("filter", ""), "filter")
    tallies: dict[str, _Tally] = {}
    rows_read = 0
    for name, output in outputs.items():
        span = {"from_ms": window.start_ms, "to_ms": window.end_ms}
        cells = list(measures.cells_of(call, output.metric, projects, **span))
        rows_read += len(cells)
        tallies[name] = _tally(cells, output, group_by, window, holds)
    groups = _ranked(call, body, tallies, group_by)
    elapsed = {"rowsRead": rows_read, "bytesRead": rows_read * 48, "databaseElapsedMs": 1, "elapsedMs": 2}
    return Answer(
        200,
        {
            "series": [
                _point(group_by, group, tallies, (bucket, group), {"timestamp": wire.iso(bucket)})
                for bucket in window.buckets()
                for group in groups
            ],
            "summary": [_point(group_by, group, tallies, None, {}) for group in groups],
            "meta": {"statistics": elapsed, "sources": [{"id": "requests"}]},
        },
    )


def _point(
    group_by: list[str], group: Group, tallies: Mapping[str, _Tally], at: tuple[int, Group] | None, more: wire.Json
) -> wire.Json:
    values = {name: _shown(tally.totals[group] if at is None else tally.parts[at]) for name, tally in tallies.items()}
    return {**more, "dimensions": dict(zip(group_by, group, strict=True)), "values": values}


def _shown(value: float) -> float:
    return int(value) if float(value).is_integer() else round(value, 6)


def _window(call: Call, team: Team, body: dict[str, Any]) -> Window:
    start_ms, end_ms = measures.time_range(body)
    if start_ms < call.world.now_ms - COUNTS_REACH_MS:
        message = "timeRange cannot begin more than 92 days ago"
        raise bad_request(message, issues=[issue("timeRange.start", message)])
    seconds: int = body.get("bucketSeconds", 60)
    if not measures.is_whole(seconds, 60, _DAY_SECONDS) or _DAY_SECONDS % seconds:
        raise invalid("bucketSeconds", "expected a number of seconds, 60 or more, that divides a day evenly")
    shift_ms = measures.shift_ms(call)
    start_ms = clamped_start_ms(team, call.world.knobs, start_ms=start_ms, now_ms=call.world.now_ms)
    window = Window.around(start_ms + shift_ms, max(end_ms, start_ms + 1) + shift_ms, seconds * 1000)
    if len(window.buckets()) > MOST_BUCKETS:
        raise invalid("bucketSeconds", f"the range holds more than {MOST_BUCKETS} buckets")
    return window


def _group_by(body: dict[str, Any]) -> list[str]:
    group_by = body.get("groupBy", [])
    if not isinstance(group_by, list):
        raise invalid("groupBy", "expected an array")
    return list(dict.fromkeys(_dimension(name, "groupBy") for name in group_by))


def _dimension(name: Any, path: str) -> str:
    if name not in CAMEL_DIMENSIONS:
        raise bad_request(
            f"Invalid request: `{path}`: unknown dimension {name!r}",
            issues=[issue(path, "Unknown dimension")],
            allowedValues=sorted(CAMEL_DIMENSIONS),
        )
    return str(name)


def _outputs(body: dict[str, Any]) -> dict[str, _Output]:
    metrics, wanted = body.get("metrics"), body.get("outputs")
    if not isinstance(metrics, dict) or not metrics:
        raise invalid("metrics", "expected at least one named metric")
    named = {str(name): _output(str(name), spec) for name, spec in metrics.items()}
    if not isinstance(wanted, list) or not wanted or not all(name in named for name in wanted):
        raise invalid("outputs", f"expected some of {sorted(named)}")
    return {name: named[name] for name in wanted}


def _output(name: str, spec: Any) -> _Output:
    if not isinstance(spec, dict):
        raise invalid(f"metrics.{name}", "expected an object")
    metric, aggregation = measures.metric_named(spec.get("metric")), spec.get("aggregation")
    distinct = None
    if aggregation == "unique":
        dimensions = spec.get("dimensions")
        if not isinstance(dimensions, list) or not dimensions:
            raise invalid(f"metrics.{name}.dimensions", "unique needs dimensions")
        distinct = tuple(_dimension(item, f"metrics.{name}.dimensions") for item in dimensions)
    elif aggregation != "count":
        raise invalid(f"metrics.{name}.aggregation", f"{metric.id} has count and unique")
    if spec.get("per") not in (None, "second") or spec.get("normalize") not in (None, "percent"):
        raise invalid(f"metrics.{name}", "expected per second, or normalize percent")
    holds = _filter(spec.get("filter", ""), f"metrics.{name}.filter")
    return _Output(metric, spec.get("per") == "second", spec.get("normalize") == "percent", distinct, holds)


def _filter(text: Any, path: str) -> Holds:
    """Return a test of (typed row, row in OData's spelling); OData still works. Source: Vercel CLI 64.0.2, metrics."""
    if not isinstance(text, str):
        raise invalid(path, "expected a string")
    if not text.strip():
        return lambda _typed, _snake: True
    if _ODATA.search(_QUOTED.sub('""', text)):
        fields = frozenset({*DIMENSIONS, *CAMEL_DIMENSIONS})
        odata = parse_filter(text, fields)
        return lambda typed, snake: odata({**snake, **{name: str(value) for name, value in typed.items()}})
    kql = parse_kql(text, KQL_FIELDS)
    return lambda typed, _snake: kql(typed)


def _typed(snake: Row) -> dict[str, Any]:
    row: dict[str, Any] = {name: snake[source] for name, source in CAMEL_DIMENSIONS.items()}
    return {**row, "httpStatus": int(snake["http_status"])}


def _tally(cells: Iterable[Counted], output: _Output, group_by: list[str], window: Window, holds: Holds) -> _Tally:
    """Count what *holds* accepts, per group and per bucket; an ungrouped query has one group even of nothing."""
    totals: defaultdict[Group, float] = defaultdict(float)
    parts: defaultdict[tuple[int, Group], float] = defaultdict(float)
    seen: set[tuple[object, ...]] = set()
    if not group_by:
        totals[()] = 0.0
    for project, minute, key, count in cells:
        snake = dimensions_of(key, project)
        typed = _typed(snake)
        if not holds(typed, snake) or not output.holds(typed, snake):
            continue
        group = tuple(str(typed[name]) for name in group_by)
        at = (minute - minute % window.bucket_ms, group)
        if output.distinct is None:
            totals[group] += count
            parts[at] += count
            continue
        value = tuple(typed[name] for name in output.distinct)
        totals[group] += _is_new(seen, (group, value))
        parts[at] += _is_new(seen, (at, value))
    _scale(output, totals, parts, window)
    return _Tally(totals, parts)


def _is_new(seen: set[tuple[object, ...]], value: tuple[object, ...]) -> int:
    if value in seen:
        return 0
    seen.add(value)
    return 1


def _scale(output: _Output, totals: dict[Group, float], parts: dict[tuple[int, Group], float], window: Window) -> None:
    """Turn counts into counts per second, or into percent of all groups, where the query asks for it."""
    if output.per_second:
        for group in totals:
            totals[group] /= (window.end_ms - window.start_ms) / 1000
        for at in parts:
            parts[at] /= window.bucket_ms / 1000
    if output.as_percent:
        whole = math.fsum(totals.values())
        per_bucket: defaultdict[int, float] = defaultdict(float)
        for (bucket, _), value in parts.items():
            per_bucket[bucket] += value
        for group in totals:
            totals[group] *= 100 / whole if whole else 0
        for at in parts:
            parts[at] *= 100 / per_bucket[at[0]]


def _ranked(call: Call, body: dict[str, Any], tallies: Mapping[str, _Tally], group_by: list[str]) -> list[Group]:
    """Return the groups that are shown, in the order that ``seriesSelection`` asks for."""
    selection = body.get("seriesSelection", {})
    if not isinstance(selection, dict):
        raise invalid("seriesSelection", "expected an object")
    limit: int = selection.get("limit", DEFAULT_LIMIT)
    if not measures.is_whole(limit, 1, LARGEST_LIMIT):
        raise invalid("seriesSelection.limit", f"between 1 and {LARGEST_LIMIT}")
    name, sign = _rank(selection, tallies)
    truncate = call.strikes.first(TruncateFault)
    found = {group for tally in tallies.values() for group in tally.totals}
    ordered = sorted(found, key=lambda group: (sign * tallies[name].totals[group], group))
    return ordered[: limit if truncate is None else min(limit, truncate.groups)] if group_by else ordered


def _rank(selection: dict[str, Any], tallies: Mapping[str, _Tally]) -> tuple[str, int]:
    """Return the metric that orders the groups, and 1 for the smallest first or -1 for the largest."""
    ranks = selection.get("rankBy") or [{}]
    rank = ranks[0] if isinstance(ranks, list) else None
    if not isinstance(rank, dict):
        raise invalid("seriesSelection.rankBy", "expected an array of objects")
    name, direction = rank.get("metric", next(iter(tallies))), rank.get("direction", "desc")
    if name not in tallies or direction not in {"asc", "desc"}:
        raise invalid("seriesSelection.rankBy", f"expected one of {sorted(tallies)}, asc or desc")
    return str(name), 1 if direction == "asc" else -1


ROUTES = (
    route(RouteGroup.OBSERVABILITY, "GET", "/metrics/v1", list_metrics),
    route(RouteGroup.OBSERVABILITY, "POST", "/metrics/v1", query),
)
