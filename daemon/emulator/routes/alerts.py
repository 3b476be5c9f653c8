"""Alerts: the groups that anomaly detection raises, and the rules that say who hears of them."""

from typing import Any

from daemon.emulator import wire
from daemon.emulator.alarms import visible_anomalies
from daemon.emulator.anomalies import Anomaly
from daemon.emulator.call import Answer, Call, limited, route
from daemon.emulator.durations import DAY_MS
from daemon.emulator.entitlements import require_observability_token
from daemon.emulator.errors import not_found
from daemon.emulator.fault_specs import RouteGroup
from daemon.emulator.identifiers import base62
from daemon.emulator.measures import instant_ms, metrics_lag_ms
from daemon.emulator.model import Project, Team


def list_groups(call: Call) -> Answer:
    """Answer the groups that touch [from, to], newest first, as an array. Source: Vercel CLI 64.0.2, alerts."""
    team = _reader_team(call)
    to_ms = instant_ms(call.query["to"], "to") if call.query.get("to") else call.world.now_ms
    from_ms = instant_ms(call.query["from"], "from") if call.query.get("from") else to_ms - DAY_MS
    limit = limited(call, default=100, maximum=100)
    types = set(call.query.getlist("types"))
    groups = [
        _group(project, anomaly)
        for project in _projects(call, team)
        for anomaly in _anomalies(call, project)
        if anomaly.started_at_ms <= to_ms
        and (anomaly.resolved_at_ms is None or anomaly.resolved_at_ms >= from_ms)
        and (not types or "error_anomaly" in types)
    ]
    return Answer(200, sorted(groups, key=lambda group: -group["recordedStartedAt"])[:limit])


def show_group(call: Call) -> Answer:
    """Answer one group; an unknown one is a 404. Source: Vercel CLI 64.0.2, alerts inspect."""
    team = _reader_team(call)
    for project in _projects(call, team):
        for anomaly in _anomalies(call, project):
            if anomaly.id == call.path["group"]:
                return Answer(200, _group(project, anomaly))
    raise not_found("Alert group not found.")


def list_rules(call: Call) -> Answer:
    """Answer the rules, of which a team has the built-in one. Source: Vercel CLI 64.0.2, alerts rules ls."""
    team = _reader_team(call)
    limited(call, default=100, maximum=100)
    rows = [] if call.query.get("type") == "custom" else [_built_in_rule(team)]
    return Answer(200, {"rules": rows, "pagination": {"count": len(rows), "next": None, "prev": None}})


def show_rule(call: Call) -> Answer:
    """Answer one rule; an unknown one is a 404. Source: Vercel CLI 64.0.2, alerts rules inspect."""
    rule = _built_in_rule(_reader_team(call))
    if rule["id"] != call.path["rule"]:
        raise not_found("Alert rule not found.")
    return Answer(200, {"rule": rule})


def _reader_team(call: Call) -> Team:
    require_observability_token(call.token)
    return call.scoped_team()


def _projects(call: Call, team: Team) -> list[Project]:
    if wanted := call.query.get("projectId"):
        return [call.reachable_project(wanted, team)]
    return [project for project in call.world.projects.values() if project.team_id == team.id]


def _anomalies(call: Call, project: Project) -> list[Anomaly]:
    return visible_anomalies(call.world, project, lag_ms=metrics_lag_ms(call))


def _group(project: Project, anomaly: Anomaly) -> wire.Json:
    status = "active" if anomaly.resolved_at_ms is None else "resolved"
    return {
        "id": anomaly.id,
        "type": "error_anomaly",
        "status": status,
        "level": "critical" if anomaly.ratio >= 0.25 else "warning",
        "title": f"5xx errors on {project.name}",
        "recordedStartedAt": anomaly.started_at_ms,
        "recordedResolvedAt": anomaly.resolved_at_ms,
        "updatedAt": anomaly.updated_at_ms,
        "projectId": project.id,
        "teamId": project.team_id,
        "alerts": [_alert(anomaly, status, place, errors) for place, errors in anomaly.errors_by_place.most_common(5)],
    }


def _alert(anomaly: Anomaly, status: str, place: tuple[str, str], errors: int) -> wire.Json:
    route_path, deployment_id = place
    alert: dict[str, Any] = {
        "id": "alr_" + base62("alert", anomaly.id, route_path, deployment_id, length=20),
        "type": "error_anomaly",
        "status": status,
        "title": f"5xx errors on {route_path}",
        "startedAt": anomaly.started_at_ms,
        "unit": "errors",
        "data": {
            "statusGroup": "5xx",
            "route": route_path,
            "deploymentId": deployment_id,
            "zscore": round(anomaly.zscore, 2),
        },
        "formattedValues": {
            "formattedCount": str(errors),
            "errorRate": f"{anomaly.ratio:.1%}",
            "avgErrorRate": f"{anomaly.baseline_ratio:.1%}",
        },
    }
    return alert if anomaly.resolved_at_ms is None else {**alert, "resolvedAt": anomaly.resolved_at_ms}


def _built_in_rule(team: Team) -> wire.Json:
    """Return the rule that every team has. Source: what Vercel CLI 64.0.2 prints of one, alerts rules inspect."""
    created = wire.iso(team.created_at_ms)
    return {
        "id": "arl_" + base62("alert-rule", team.id, length=20),
        "type": "built-in",
        "name": "All anomalies",
        "teamId": team.id,
        "ruleScope": {"type": "all"},
        "triggers": {"mode": "all"},
        "matchMinimumSeverityLevel": "warning",
        "isDefault": True,
        "notificationSettings": {"enableTeamOwnerNotifications": True},
        "createdAt": created,
        "updatedAt": created,
    }


ROUTES = (
    route(RouteGroup.ALERTS, "GET", "/alerts/v3/groups", list_groups),
    route(RouteGroup.ALERTS, "GET", "/alerts/v3/groups/{group}", show_group),
    route(RouteGroup.ALERTS, "GET", "/alerts/v3/alert-rules", list_rules),
    route(RouteGroup.ALERTS, "GET", "/alerts/v3/alert-rules/{rule}", show_rule),
)
