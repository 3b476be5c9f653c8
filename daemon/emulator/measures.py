"""What the routes of counts share: the metrics, their dimensions in both spellings, scopes, lags and cells."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daemon.emulator.call import Call
from daemon.emulator.counts import CellKey
from daemon.emulator.entitlements import require_observability_token
from daemon.emulator.errors import ApiError, bad_request
from daemon.emulator.fault_specs import IngestLagFault, ShiftedWindowFault
from daemon.emulator.kql import FieldKind
from daemon.emulator.model import Project, Team
from daemon.emulator.series import DIMENSIONS

DEFAULT_LIMIT = 10
LARGEST_LIMIT = 500
"""Groups of an answer: so many unless asked, and at most. Source: Vercel CLI 58.4.4; the cap was observed by others."""
MOST_BUCKETS = 5_000
_FUNCTION_SOURCES = frozenset({"serverless", "edge-function"})


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric. ``functions_only``: it counts what ran a function: nothing static, nothing that the firewall denied."""

    id: str
    description: str
    functions_only: bool
    unit: str = "count"


METRICS = {
    metric.id: metric
    for metric in (
        Metric("vercel.request.count", "Number of requests that reached the CDN", functions_only=False),
        Metric("vercel.function_invocation.count", "Number of function invocations", functions_only=True),
    )
}
"""The metrics that are emulated. Source: Vercel docs, Observability, "Metrics reference"."""

_LABELS = {
    "http_status": "HTTP status",
    "deployment_id": "Deployment",
    "environment": "Environment",
    "route": "Route",
    "request_method": "Request method",
    "error_code": "Error code",
    "waf_action": "WAF action",
    "project_id": "Project",
    "project_name": "Project name",
}
Counted = tuple[Project, int, CellKey, int]


def camel(name: str) -> str:
    """Return a dimension as ``/metrics/v1`` spells it: ``http_status`` is ``httpStatus``."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


CAMEL_DIMENSIONS = {camel(name): name for name in sorted(DIMENSIONS)}
KQL_FIELDS = {
    name: FieldKind.NUMBER if snake == "http_status" else FieldKind.TEXT for name, snake in CAMEL_DIMENSIONS.items()
}


def dimension_labels(spelt: Callable[[str], str] = str) -> list[dict[str, str]]:
    """Return the dimensions of every metric as schema and catalogue show them, each name as *spelt* writes it."""
    return [{"name": spelt(name), "label": _LABELS.get(name, name)} for name in sorted(DIMENSIONS)]


def metric_named(name: Any) -> Metric:
    """Return a metric; an unknown one is a 400."""
    metric = METRICS.get(name) if isinstance(name, str) else None
    if metric is None:
        raise bad_request(f"Invalid metric: {name!r}.", issues=[issue("metric", "Unknown metric")])
    return metric


def cells_of(call: Call, metric: Metric, projects: list[Project], *, from_ms: int, to_ms: int) -> Iterator[Counted]:
    """Yield (project, minute, kind, count) of [*from_ms*, *to_ms*), as far as they are visible yet."""
    visible_to_ms = call.world.now_ms - metrics_lag_ms(call)
    for project in projects:
        counts = call.world.traffic_of(project).counts
        sources = {route.path: route.source for route in project.spec.traffic.routes}
        for minute, cells in counts.per_minute(from_ms=from_ms, to_ms=to_ms, visible_to_ms=visible_to_ms):
            for key, count in cells.items():
                if not metric.functions_only or _runs_a_function(key, sources.get(key.route)):
                    yield project, minute, key, count


def _runs_a_function(key: CellKey, source: str | None) -> bool:
    return source in _FUNCTION_SOURCES and key.waf_action != "deny"


def metrics_lag_ms(call: Call) -> int:
    """Return how old the newest visible counts are: by a fault, by a knob, else by the scenario."""
    fault = call.strikes.first(IngestLagFault)
    return call.world.metrics_lag_ms if fault is None else round(fault.seconds * 1000)


def logs_lag_ms(call: Call) -> int:
    """Return how old the newest visible log rows are: by a fault, else by the scenario."""
    fault = call.strikes.first(IngestLagFault)
    return call.world.scenario.lag.logs_ms if fault is None else round(fault.seconds * 1000)


def shift_ms(call: Call) -> int:
    """Return by how much a fault shifts the window of an answer; negative means earlier."""
    fault = call.strikes.first(ShiftedWindowFault)
    return 0 if fault is None else round(fault.seconds * 1000)


def scope_of(call: Call, scope: Any) -> tuple[Team, list[Project]]:
    """Return the team and projects that a ``scope`` names; without ``projectIds`` it is every project of the team."""
    require_observability_token(call.token)
    owner = scope.get("ownerId") if isinstance(scope, dict) else None
    if not isinstance(owner, str):
        raise bad_request("Invalid scope: `ownerId` is required.", issues=[issue("scope.ownerId", "Required")])
    team = call.team_named(owner)
    ids = scope.get("projectIds")
    if ids is None:
        return team, [project for project in call.world.projects.values() if project.team_id == team.id]
    if not isinstance(ids, list) or not ids or not all(isinstance(item, str) for item in ids):
        raise bad_request("Invalid scope: `projectIds` is empty.", issues=[issue("scope.projectIds", "Required")])
    return team, [call.reachable_project(project_id, team) for project_id in dict.fromkeys(ids)]


def time_range(body: dict[str, Any]) -> tuple[int, int]:
    """Return ``timeRange`` in milliseconds; one that is missing, malformed or empty is a 400."""
    given = body.get("timeRange")
    if not isinstance(given, dict):
        raise bad_request("Invalid request: `timeRange` is required.", issues=[issue("timeRange", "Required")])
    start_ms, end_ms = (instant_ms(given.get(name), f"timeRange.{name}") for name in ("start", "end"))
    if start_ms >= end_ms:
        raise bad_request("Invalid request: the time range is empty.", issues=[issue("timeRange", "start before end")])
    return start_ms, end_ms


def instant_ms(text: Any, path: str) -> int:
    """Return an ISO 8601 instant in milliseconds; anything else is a 400 about *path*."""
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise bad_request(f"Invalid {path}: not an ISO 8601 instant.", issues=[issue(path, "Invalid")]) from error
    return round((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000)


def is_whole(value: Any, least: int, most: int) -> bool:
    """Tell whether *value* is a whole number from *least* to *most*; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def issue(path: str, message: str) -> dict[str, str]:
    """Return one of the ``issues`` of a validation error. Source: Vercel CLI 64.0.2, logs."""
    return {"path": path, "message": message}


def invalid(path: str, message: str) -> ApiError:
    """Return a 400 about one field of the body."""
    return bad_request(f"Invalid request: `{path}`: {message}", issues=[issue(path, message)])
