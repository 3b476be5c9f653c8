"""Groups of alerts: raised by many more 5xx than before, resolved when they end, and told as the CLI reads them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.emulator.anomalies import MINUTES_TO_END, find_anomalies
from daemon.emulator.counts import CellKey
from tests.unit.emulator.driving import Driver, a_project, a_scenario, driving

MINUTE = 60_000


def cells(*errors: int, requests: int = 100, environment: str = "production") -> Any:
    """Return minutes of which each has so many errors."""
    good = CellKey("dpl_1", environment, "/", 200, "GET", "", "")
    bad = good._replace(http_status=500, route="/api")
    return [(number * MINUTE, {good: requests - count, bad: count}) for number, count in enumerate(errors)]


@pytest.mark.parametrize(
    ("errors", "started"),
    [
        ((0, 0, 30, 30, 30), [2]),
        ((0, 0, 30, 30, 0), []),
        ((0, 0, 4, 4, 4), []),
        ((0, 0, 5, 5, 5), [2]),
        ((10, 10, 0, 0, 0, 12, 12, 12), []),
    ],
    ids=["jump", "too short", "too few errors", "just enough errors", "no worse than before"],
)
def test_three_bad_minutes_in_a_row_raise_one(errors: tuple[int, ...], started: list[int]) -> None:
    assert [found.started_at_ms // MINUTE for found in find_anomalies("prj_1", cells(*errors))] == started


def test_it_resolves_after_five_good_minutes_and_counts_only_its_bad_ones() -> None:
    minutes = [0, 0, 30, 30, 30, 40, *[0] * MINUTES_TO_END]
    (going_on,) = find_anomalies("prj_1", cells(*minutes[:-1]))
    (over,) = find_anomalies("prj_1", cells(*minutes))
    assert going_on.resolved_at_ms is None
    assert over.resolved_at_ms == len(minutes) * MINUTE
    assert (over.requests, over.errors) == (400, 130)
    assert over.errors_by_place == {("/api", "dpl_1"): 130}
    assert over.id == going_on.id
    assert over.zscore > 100


def test_previews_raise_nothing() -> None:
    assert find_anomalies("prj_1", cells(0, 0, 50, 50, 50, environment="preview")) == []


@pytest.fixture
async def vercel() -> AsyncIterator[Driver]:
    project = a_project(traffic={"requests_per_second": 5, "baseline_error_ratio": 0})
    async with driving(a_scenario(history="10m", projects=[project], lag={"metrics": "30s"})) as driver:
        yield driver


async def groups(driver: Driver, **query: Any) -> Any:
    return await driver.json("/alerts/v3/groups", teamId=driver.world.team.id, **query)


async def test_an_outage_becomes_an_active_group_then_a_resolved_one(vercel: Driver) -> None:
    assert await groups(vercel) == []
    began = vercel.clock.now_ms()
    await vercel.control("outage", {"project": "web", "ratio": 0.5, "status": 503})
    vercel.clock.advance(4 * 60)
    (active,) = await groups(vercel, projectId=vercel.project_id)
    assert (active["status"], active["type"], active["recordedResolvedAt"]) == ("active", "error_anomaly", None)
    assert active["recordedStartedAt"] == began
    assert active["alerts"][0]["data"]["statusGroup"] == "5xx"
    assert {alert["data"]["deploymentId"] for alert in active["alerts"]} == {vercel.id_of("good")}
    await vercel.control("end-outage", {"project": "web"})
    vercel.clock.advance(7 * 60)
    (resolved,) = await groups(vercel)
    assert resolved["id"] == active["id"]
    assert resolved["status"] == "resolved"
    assert resolved["recordedResolvedAt"] == began + 9 * MINUTE
    assert await vercel.json(f"/alerts/v3/groups/{active['id']}") == resolved


async def test_groups_are_chosen_by_time_type_and_limit(vercel: Driver) -> None:
    await vercel.control("outage", {"project": "web", "ratio": 0.5, "status": 503})
    vercel.clock.advance(5 * 60)
    assert await groups(vercel, types="usage_anomaly") == []
    assert len(await groups(vercel, types="error_anomaly", limit=1)) == 1
    assert await groups(vercel, to="2026-11-21T19:59:00.000Z") == []
    assert (await vercel.get("/alerts/v3/groups", **{"from": "yesterday"})).status_code == 400
    assert (await vercel.get("/alerts/v3/groups/alg_x")).status_code == 404


async def test_the_rules_are_the_built_in_one(vercel: Driver) -> None:
    body = await vercel.json("/alerts/v3/alert-rules", limit=100)
    (rule,) = body["rules"]
    assert (rule["type"], rule["ruleScope"], body["pagination"]["next"]) == ("built-in", {"type": "all"}, None)
    assert (await vercel.json("/alerts/v3/alert-rules", type="custom"))["rules"] == []
    assert await vercel.json(f"/alerts/v3/alert-rules/{rule['id']}") == {"rule": rule}
    assert (await vercel.get("/alerts/v3/alert-rules/arl_x")).status_code == 404
