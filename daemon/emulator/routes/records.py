"""Single records: ``POST /v1/observability/events`` with CDN requests and runtime log lines, a read despite its method.

Source: Vercel CLI 64.0.2, ``logs requests`` and ``logs runtime``; no document promises this route.
"""

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.emulator import measures, wire
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.counts import Request
from daemon.emulator.entitlements import log_retention_ms, require_request_records
from daemon.emulator.errors import ApiError
from daemon.emulator.fault_specs import PageFault, RouteGroup
from daemon.emulator.filters import Predicate
from daemon.emulator.kql import FieldKind, parse_kql
from daemon.emulator.log_lines import LogLine, lines_of
from daemon.emulator.measures import invalid
from daemon.emulator.model import Project
from daemon.emulator.world import World

LARGEST_LIMIT = 1_000
ANSWER_MAX_CHARACTERS = 4_000_000
_TEXT, _NUMBER, _TRUTH = FieldKind.TEXT, FieldKind.NUMBER, FieldKind.TRUTH
_PATH_TYPES = {"serverless": "func", "static": "static", "edge-function": "edge", "edge-middleware": "middleware"}
_LOG_SOURCES = {"serverless": "function", "edge-function": "edge", "edge-middleware": "middleware"}
Record = dict[str, Any]
Position = tuple[int, int, str, int]
"""Where a record stands: its instant, its request's number and project, and the number of its line."""


@dataclass(frozen=True, slots=True)
class _Event:
    """A kind of record: its fields, what bare words search, and how a request becomes records of it."""

    fields: Mapping[str, FieldKind]
    searched: str | None
    records: Callable[[World, Project, Request], Iterator[Record]]


def _request_records(world: World, project: Project, row: Request) -> Iterator[Record]:
    yield {
        "projectId": project.id,
        "requestId": wire.request_id(row),
        "deploymentId": row.key.deployment_id,
        "environment": row.key.environment,
        "requestHostname": row.domain,
        "requestPath": row.path,
        "requestMethod": row.key.request_method,
        "httpStatus": row.key.http_status,
        "route": row.key.route,
        "pathType": _PATH_TYPES.get(row.source, "unknown"),
        "cacheResult": "MISS",
        "edgeNetworkRegion": "fra1",
        "service": "",
        "clientIpCountry": "DE",
        "clientUserAgent": "Mozilla/5.0",
        "wafAction": row.key.waf_action,
    }


def _log_records(world: World, project: Project, row: Request) -> Iterator[Record]:
    deployment = world.deployments[row.key.deployment_id]
    for line in lines_of(row):
        yield {
            "projectId": project.id,
            "requestId": wire.request_id(row),
            "branch": deployment.commit.branch,
            "deploymentId": deployment.id,
            "domain": row.domain,
            "environment": row.key.environment,
            "requestPath": row.path,
            "requestMethod": row.key.request_method,
            "source": _LOG_SOURCES.get(row.source, "function"),
            "service": "",
            "isSystemLog": False,
            "region": "iad1",
            "runtime": "nodejs22.x",
            "level": line.level,
            "message": line.message,
            "stream": _stream(line),
            "traceId": "",
            "spanId": "",
            "attributes": {},
            "truncated": False,
        }


def _stream(line: LogLine) -> str:
    return "stdout" if line.level == "info" else "stderr"


def _kinds(texts: str, **others: FieldKind) -> dict[str, FieldKind]:
    return {**dict.fromkeys(texts.split(), _TEXT), **others}


_EVENTS = {
    "vercel.proxy_response": _Event(
        _kinds(
            "projectId requestId deploymentId environment requestHostname requestPath requestMethod route pathType"
            " cacheResult edgeNetworkRegion service clientIpCountry clientUserAgent wafAction",
            httpStatus=_NUMBER,
        ),
        None,
        _request_records,
    ),
    "vercel.log": _Event(
        _kinds(
            "projectId requestId branch deploymentId domain environment requestPath requestMethod source service region"
            " runtime level message stream traceId spanId attributes",
            isSystemLog=_TRUTH,
            truncated=_TRUTH,
        ),
        "message",
        _log_records,
    ),
}


def list_records(call: Call) -> Answer:
    """Answer a page of records, newest first unless asked otherwise; a page that is too large is a 413."""
    body = call.json_object()
    team, projects = measures.scope_of(call, body.get("scope"))
    name = body.get("event")
    event = _EVENTS.get(name) if isinstance(name, str) else None
    if event is None:
        raise invalid("event", f"expected one of {sorted(_EVENTS)}")
    if name == "vercel.proxy_response":
        require_request_records(team, projects)
    asked_start_ms, end_ms = measures.time_range(body)
    oldest_ms = call.world.now_ms - log_retention_ms(team)
    if end_ms <= oldest_ms:
        raise invalid("timeRange", "The time range ends before what your plan retains.")
    start_ms = max(asked_start_ms, oldest_ms)
    select, holds = _select(body, event), _filter(body, event)
    limit, newest_first = _limit(call, body), _is_newest_first(body)
    after = _position(body, name=str(name))
    found = (
        (position, record)
        for position, record in _in_order(call, projects, event, start_ms, end_ms, newest_first=newest_first)
        if (after is None or (position < after if newest_first else position > after)) and holds(record)
    )
    page = list(itertools.islice(found, limit + 1))
    shown, has_more = page[:limit], len(page) > limit
    events = [{"timestamp": wire.iso(at[0]), **{key: record[key] for key in select}} for at, record in shown]
    _require_small(events)
    excluded = [{"start": wire.iso(asked_start_ms), "end": wire.iso(start_ms)}] if asked_start_ms < start_ms else []
    cursor = _cursor(shown[-1][0], body, str(name)) if shown and has_more else None
    pagination = {"hasMore": has_more, "nextCursor": cursor}
    return Answer(200, {"events": events, "pagination": pagination, "meta": {"excludedIntervals": excluded}})


def _in_order(
    call: Call, projects: list[Project], event: _Event, start_ms: int, end_ms: int, *, newest_first: bool
) -> Iterator[tuple[Position, Record]]:
    """Yield every visible record of [*start_ms*, *end_ms*) with its position."""
    until_ms = min(end_ms, call.world.now_ms - measures.logs_lag_ms(call))
    rows = [
        (row, project)
        for project in projects
        for row in call.world.traffic_of(project).counts.newest_rows(from_ms=start_ms, until_ms=until_ms)
    ]
    rows.sort(key=lambda pair: (pair[0].at_ms, pair[0].number, pair[1].id), reverse=newest_first)
    for row, project in rows:
        numbered = list(enumerate(event.records(call.world, project, row)))
        for number, record in reversed(numbered) if newest_first else numbered:
            yield (row.at_ms, row.number, project.id, number), record


def _select(body: dict[str, Any], event: _Event) -> list[str]:
    select = body.get("select", list(event.fields))
    if not isinstance(select, list) or not all(isinstance(name, str) for name in select):
        raise invalid("select", "expected an array of fields")
    unknown = [name for name in select if name not in event.fields and name != "timestamp"]
    if unknown:
        raise invalid("select", f"unknown field {unknown[0]!r}, known are {sorted(event.fields)}")
    return [name for name in select if name != "timestamp"]


def _filter(body: dict[str, Any], event: _Event) -> Predicate:
    text = body.get("filter", "")
    if not isinstance(text, str):
        raise invalid("filter", "expected a string")
    return parse_kql(text, event.fields, searched=event.searched) if text.strip() else lambda _record: True


def _limit(call: Call, body: dict[str, Any]) -> int:
    limit: int = body.get("limit", 100)
    if not measures.is_whole(limit, 1, LARGEST_LIMIT):
        raise invalid("limit", f"between 1 and {LARGEST_LIMIT}")
    page = call.strikes.first(PageFault)
    return limit if page is None else min(limit, page.rows)


def _is_newest_first(body: dict[str, Any]) -> bool:
    order = body.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise invalid("order", "expected asc or desc")
    return bool(order == "desc")


def _cursor(position: Position, body: dict[str, Any], name: str) -> str:
    text = json.dumps([*position, _fingerprint(body, name)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(body: dict[str, Any], *, name: str) -> Position | None:
    """Return where the page before ended; None without a cursor; one of another query is a 400."""
    cursor = body.get("cursor")
    if cursor is None:
        return None
    try:
        at_ms, number, project_id, line, fingerprint = json.loads(base64.urlsafe_b64decode(str(cursor) + "=="))
    except ValueError as error:
        raise invalid("cursor", "not one of ours") from error
    if fingerprint != _fingerprint(body, name):
        raise invalid("cursor", "it belongs to another query")
    return int(at_ms), int(number), str(project_id), int(line)


def _fingerprint(body: dict[str, Any], name: str) -> str:
    """Return what a cursor is bound to: everything but the size and the columns of the page."""
    asked = [name, *(body.get(key) for key in ("scope", "timeRange", "filter", "order"))]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]


def _require_small(events: list[Record]) -> None:
    if sum(len(json.dumps(event)) for event in events) > ANSWER_MAX_CHARACTERS:
        raise ApiError(413, "result_too_large", "The result is too large. Ask for fewer records.")


ROUTES = (route(RouteGroup.RECORDS, "POST", "/{v}/observability/events", list_records, versions="v1"),)
