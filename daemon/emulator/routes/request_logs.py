"""The request log of the dashboard, which Vercel CLI 58.4.4 prints: 50 rows a page, newest first."""

import itertools
import re
from collections.abc import Callable, Iterable

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.counts import Request
from daemon.emulator.entitlements import log_retention_ms
from daemon.emulator.errors import bad_request
from daemon.emulator.fault_specs import PageFault, RouteGroup
from daemon.emulator.log_lines import lines_of
from daemon.emulator.measures import logs_lag_ms

ROWS_PER_PAGE = 50
_STATUS = re.compile(r"\d{3}|\d{1,2}[xX]{1,2}|None")
Condition = Callable[[Request], bool]


def list_rows(call: Call) -> Answer:
    """Answer a page of rows with every filter of the dashboard, as observed live by others."""
    for name in ("projectId", "ownerId", "page", "startDate", "endDate"):
        if not call.query.get(name):
            raise bad_request(f'Validation error: Required at "{name}"')
    team = call.team_named(call.query["ownerId"])
    project = call.reachable_project(call.query["projectId"], team)
    page = call.whole_number("page", 0) or 0
    start_ms, end_ms = call.whole_number("startDate", 0) or 0, call.whole_number("endDate", 0) or 0
    if page < 0:
        raise bad_request('Validation error: Number must be greater than or equal to 0 at "page"')
    conditions = list(_conditions(call))
    oldest_ms = call.world.now_ms - log_retention_ms(team)
    rows = call.world.traffic_of(project).counts.newest_rows(
        from_ms=max(start_ms, oldest_ms), until_ms=min(end_ms + 1, call.world.now_ms - logs_lag_ms(call))
    )
    wanted = (row for row in rows if all(holds(row) for holds in conditions))
    fault = call.strikes.first(PageFault)
    size = ROWS_PER_PAGE if fault is None else min(ROWS_PER_PAGE, fault.rows)
    shown = list(itertools.islice(wanted, page * size, (page + 1) * size + 1))
    page_of_rows = [wire.request_row(call.world, row) for row in shown[:size]]
    return Answer(200, {"rows": page_of_rows, "hasMoreRows": len(shown) > size})


def _conditions(call: Call) -> Iterable[Condition]:
    exact: dict[str, Callable[[Request], str]] = {
        "environment": lambda row: row.key.environment,
        "deploymentId": lambda row: row.key.deployment_id,
        "branch": lambda row: call.world.deployments[row.key.deployment_id].commit.branch,
        "requestId": lambda row: str(wire.request_row(call.world, row)["requestId"]),
        "route": lambda row: row.key.route,
        "requestPath": lambda row: row.path,
        "requestMethod": lambda row: row.key.request_method,
    }
    for name, value_of in exact.items():
        if wanted := call.query.get(name):
            yield _equals(value_of, wanted)
    if statuses := call.query.get("statusCode"):
        yield _has_status(statuses)
    if levels := call.query.get("level"):
        yield _has_level(set(levels.split(",")))
    if sources := call.query.get("source"):
        yield _equals_one_of(lambda row: row.source, set(sources.split(",")))
    if text := call.query.get("search"):
        yield lambda row: text in row.path or any(text in line.message for line in lines_of(row))


def _equals(value_of: Callable[[Request], str], wanted: str) -> Condition:
    return lambda row: value_of(row) == wanted


def _equals_one_of(value_of: Callable[[Request], str], wanted: set[str]) -> Condition:
    return lambda row: value_of(row) in wanted


def _has_level(levels: set[str]) -> Condition:
    """Levels filter printed lines, not responses: a request that logged nothing has no level."""
    return lambda row: any(line.level in levels for line in lines_of(row))


def _has_status(text: str) -> Condition:
    parts = [part.strip() for part in text.split(",")]
    if not all(_STATUS.fullmatch(part) and len(part) in (3, 4) for part in parts):
        raise bad_request(
            "Validation error: statusCode must contain only comma-separated integers, "
            'status code classes like 4xx or 5xx, or "None" at "statusCode"'
        )
    pattern = re.compile("|".join(part.lower().replace("x", r"\d") for part in parts if part != "None") or "(?!)")
    return lambda row: pattern.fullmatch(str(row.key.http_status)) is not None


ROUTES = (route(RouteGroup.REQUEST_LOGS, "GET", "/api/logs/request-logs", list_rows),)
