"""A small world with errors in production, and the questions that the newer observability routes take."""

from typing import Any

import httpx

from daemon.emulator import Scenario
from tests.unit.emulator.driving import HISTORY, Driver, a_project, a_scenario

ROUTES = [
    {"path": "/", "weight": 3, "source": "static"},
    {"path": "/api/cart", "weight": 1, "method": "POST", "source": "serverless"},
]
FAILURES = [{"ratio": 0.2, "status": 503, "message": "TypeError: boom", "after": "0s"}]
DECIDED = {"undocumented_routes": "served", "hobby_counts": "payment-required", "metrics_retention": "clamped"}


def a_failing_scenario(*, knobs: dict[str, Any] | None = None, **changes: Any) -> Scenario:
    """Return a scenario whose production fails for a fifth of its requests, and whose previews do too."""
    deployments = [*HISTORY[:2], {**HISTORY[2], "failures": FAILURES}]
    traffic = {
        "requests_per_second": 4,
        "routes": ROUTES,
        "baseline_error_ratio": 0,
        "preview": {"requests_per_second": 1, "error_ratio": 0.5},
    }
    projects = [a_project(deployments=deployments, traffic=traffic)]
    given = {"history": "3m", "projects": projects, **changes}
    return a_scenario(**given, lag={"metrics": "0s", "logs": "0s"}, knobs={**DECIDED, **(knobs or {})})


def scope(driver: Driver, **changes: Any) -> dict[str, Any]:
    return {"ownerId": driver.world.team.id, "projectIds": [driver.project_id], **changes}


async def ask_metrics(driver: Driver, **changes: Any) -> httpx.Response:
    """Ask `/metrics/v1` for the requests of the three minutes before the start, by status."""
    body = {
        "scope": scope(driver),
        "timeRange": {"start": "2026-11-21T19:57:00.000Z", "end": "2026-11-21T20:00:00.000Z"},
        "bucketSeconds": 60,
        "groupBy": ["httpStatus"],
        "filter": "environment:production",
        "metrics": {"value": {"metric": "vercel.request.count", "aggregation": "count"}},
        "outputs": ["value"],
        "seriesSelection": {"limit": 100, "mode": "exact", "rankBy": [{"metric": "value", "direction": "desc"}]},
    }
    kept = {name: value for name, value in {**body, **changes}.items() if value is not None}
    return await driver.client.post("/metrics/v1", json=kept)


async def ask_records(driver: Driver, event: str = "vercel.proxy_response", **changes: Any) -> httpx.Response:
    """Ask for the newest records of the three minutes before the start."""
    body = {
        "event": event,
        "scope": scope(driver),
        "timeRange": {"start": "2026-11-21T19:57:00.000Z", "end": "2026-11-21T20:00:00.000Z"},
        "select": ["requestId", "deploymentId", "requestPath"],
        "order": "desc",
        "limit": 1000,
    }
    kept = {name: value for name, value in {**body, **changes}.items() if value is not None}
    return await driver.client.post("/v1/observability/events", json=kept)
