"""Counts in the dialect of `/metrics/v1`, and the schema of both dialects."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.emulator.driving import Driver, driving
from tests.unit.emulator.observing import a_failing_scenario, ask_metrics, scope


@pytest.fixture
async def vercel() -> AsyncIterator[Driver]:
    async with driving(a_failing_scenario()) as driver:
        yield driver


def truth(driver: Driver, *, environment: str = "production") -> Counter[str]:
    """Return the world's own counts by status."""
    rows = driver.world.traffic_of(driver.world.project("web")).counts.rows
    return Counter(str(row.key.http_status) for row in rows if row.key.environment == environment)


async def asked(driver: Driver, **changes: Any) -> Any:
    answer = await ask_metrics(driver, **changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_catalogue_lists_metrics_with_their_dimensions_in_camel_case(vercel: Driver) -> None:
    body = await vercel.json("/metrics/v1", limit=250, kind="system", search="vercel.request")
    assert [metric["id"] for metric in body["metrics"]] == ["vercel.request.count"]
    assert {"httpStatus", "deploymentId"} <= {dimension["name"] for dimension in body["metrics"][0]["dimensions"]}
    assert body["pagination"] == {"hasMore": False, "nextCursor": None}
    assert (await vercel.json("/metrics/v1", kind="custom"))["metrics"] == []
    assert (await vercel.get("/metrics/v1", kind="both")).status_code == 400


async def test_counts_are_the_worlds_own_and_the_largest_group_comes_first(vercel: Driver) -> None:
    body = await asked(vercel)
    counted = {row["dimensions"]["httpStatus"]: row["values"]["value"] for row in body["summary"]}
    assert counted == truth(vercel)
    assert list(counted.values()) == sorted(counted.values(), reverse=True)
    per_status: Counter[str] = Counter()
    for point in body["series"]:
        per_status[point["dimensions"]["httpStatus"]] += point["values"]["value"]
    assert per_status == truth(vercel)
    assert len({point["timestamp"] for point in body["series"]}) == 3
    assert body["meta"]["sources"]
    assert body["meta"]["statistics"]["rowsRead"] > 0


@pytest.mark.parametrize(
    "text",
    [
        "httpStatus >= 500 AND environment:production",
        "httpStatus >= 500 AND environment:production AND NOT route:/le5",
        "http_status ge 500 and environment eq 'production'",
        "http_status in ('500', '503') and environment in ('production')",
    ],
)
async def test_filters_are_kql_and_still_odata(vercel: Driver, text: str) -> None:
    body = await asked(vercel, filter=text, groupBy=None)
    assert body["summary"] == [{"dimensions": {}, "values": {"value": truth(vercel)["503"]}}]


async def test_one_query_can_carry_errors_and_total(vercel: Driver) -> None:
    metrics = {
        "errors": {"metric": "vercel.request.count", "aggregation": "count", "filter": "httpStatus >= 500"},
        "total": {"metric": "vercel.request.count", "aggregation": "count"},
    }
    selection = {"rankBy": [{"metric": "total", "direction": "asc"}]}
    body = await asked(vercel, metrics=metrics, outputs=["errors", "total"], groupBy=[], seriesSelection=selection)
    counts = truth(vercel)
    assert body["summary"][0]["values"] == {"errors": counts["503"], "total": counts.total()}


async def test_rates_percentages_and_distinct_values_are_derived_from_the_same_counts(vercel: Driver) -> None:
    count = {"metric": "vercel.request.count", "aggregation": "count"}
    metrics = {
        "rate": {**count, "per": "second"},
        "share": {**count, "normalize": "percent"},
        "routes": {**count, "aggregation": "unique", "dimensions": ["route"]},
    }
    body = await asked(vercel, metrics=metrics, outputs=list(metrics), seriesSelection={"limit": 10})
    counts = truth(vercel)
    by_status = {row["dimensions"]["httpStatus"]: row["values"] for row in body["summary"]}
    assert by_status["503"]["rate"] == pytest.approx(counts["503"] / 180, abs=1e-5)
    assert by_status["503"]["share"] == pytest.approx(100 * counts["503"] / counts.total(), abs=1e-4)
    assert by_status["200"]["routes"] == 2


async def test_function_invocations_leave_out_what_ran_no_function(vercel: Driver) -> None:
    metrics = {"value": {"metric": "vercel.function_invocation.count", "aggregation": "count"}}
    body = await asked(vercel, metrics=metrics, groupBy=["route"])
    assert [row["dimensions"]["route"] for row in body["summary"]] == ["/api/cart"]


async def test_without_project_ids_the_scope_is_the_whole_team(vercel: Driver) -> None:
    body = await asked(vercel, scope={"ownerId": vercel.world.team.id}, groupBy=["projectId"])
    assert [row["dimensions"]["projectId"] for row in body["summary"]] == [vercel.project_id]


async def test_the_limit_counts_groups_and_truncation_is_silent(vercel: Driver) -> None:
    assert len((await asked(vercel, seriesSelection={"limit": 1}))["summary"]) == 1
    await vercel.control("faults", {"kind": "truncate", "groups": 1})
    assert len((await asked(vercel))["summary"]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": {}},
        {"scope": {"ownerId": "TEAM", "projectIds": []}},
        {"timeRange": None},
        {"timeRange": {"start": "soon", "end": "2026-11-21T20:00:00Z"}},
        {"timeRange": {"start": "2026-11-21T20:00:00Z", "end": "2026-11-21T20:00:00Z"}},
        {"timeRange": {"start": "2026-08-01T20:00:00Z", "end": "2026-11-21T20:00:00Z"}},
        {"bucketSeconds": 7},
        {"groupBy": ["http_status"]},
        {"groupBy": "httpStatus"},
        {"filter": "nobody:x"},
        {"filter": 5},
        {"metrics": {}},
        {"metrics": {"value": {"metric": "vercel.nothing", "aggregation": "count"}}},
        {"metrics": {"value": {"metric": "vercel.request.count", "aggregation": "sum"}}},
        {"metrics": {"value": {"metric": "vercel.request.count", "aggregation": "unique"}}},
        {"metrics": {"value": {"metric": "vercel.request.count", "aggregation": "count", "per": "day"}}},
        {"outputs": []},
        {"outputs": ["other"]},
        {"seriesSelection": {"limit": 501}},
        {"seriesSelection": {"rankBy": [{"metric": "other"}]}},
        {"seriesSelection": []},
    ],
    ids=str,
)
async def test_a_malformed_query_is_refused_and_says_where(vercel: Driver, changes: dict[str, Any]) -> None:
    if changes.get("scope"):
        changes = {"scope": {**changes["scope"], "ownerId": vercel.world.team.id}}
    answer = await ask_metrics(vercel, **changes)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["issues"][0]["path"]


async def test_a_team_without_observability_plus_must_pay() -> None:
    async with driving(a_failing_scenario(team={"observability_plus": False})) as vercel:
        answer = await ask_metrics(vercel)
        assert answer.status_code == 402
        assert answer.json()["error"]["code"] == "payment_required"
        assert (await vercel.get("/metrics/v1")).status_code == 200, "the catalogue is free"


@pytest.mark.parametrize(("knob", "status"), [("payment-required", 402), ("allowed", 200)])
async def test_whether_hobby_may_count_is_a_knob(knob: str, status: int) -> None:
    async with driving(a_failing_scenario(team={"plan": "hobby"}, knobs={"hobby_counts": knob})) as vercel:
        assert (await ask_metrics(vercel)).status_code == status
        assert (await vercel.query()).status_code == status


async def test_a_window_before_the_counts_is_shorter_in_silence_or_refused() -> None:
    early = {"start": "2026-11-15T20:00:00Z", "end": "2026-11-21T20:00:00Z"}
    async with driving(a_failing_scenario()) as vercel:
        body = await asked(vercel, timeRange=early, bucketSeconds=3600, groupBy=None)
        assert body["series"][0]["timestamp"] == "2026-11-20T20:00:00.000Z"
    async with driving(a_failing_scenario(knobs={"metrics_retention": "refused"})) as vercel:
        answer = await ask_metrics(vercel, timeRange=early, bucketSeconds=3600)
        assert answer.status_code == 400
        assert "only grants access to the latest" in answer.json()["error"]["message"]


async def test_a_project_scoped_token_sees_no_observability_data() -> None:
    tokens = [{"value": "tok_1", "name": "one", "projects": ["web"]}]
    async with driving(a_failing_scenario(tokens=tokens)) as vercel:
        vercel.client = vercel.client_as("tok_1")
        for answer in (
            await ask_metrics(vercel),
            await vercel.get("/metrics/v1"),
            await vercel.get("/v2/observability/schema"),
            await vercel.query(),
        ):
            assert answer.status_code == 404
            assert answer.json()["error"]["message"] == "Observability Data not found."


async def test_the_schema_of_the_older_dialect_names_what_a_query_may_say(vercel: Driver) -> None:
    listed = (await vercel.json("/v2/observability/schema"))["metrics"]
    assert "vercel.request.count" in [metric["id"] for metric in listed]
    (detail,) = await vercel.json("/v2/observability/schema/vercel.request.count")
    assert detail["defaultAggregation"] == "sum"
    for dimension in detail["dimensions"]:
        answer = await vercel.query(groupBy=[dimension["name"]])
        assert answer.status_code == 200, dimension
    for aggregation in detail["aggregations"]:
        assert (await vercel.query(aggregation=aggregation)).status_code == 200, aggregation
    assert (await vercel.get("/v2/observability/schema/vercel.nothing")).status_code == 404


async def test_per_second_is_the_sum_divided_by_the_time(vercel: Driver) -> None:
    times = {"startTime": "2026-11-21T19:57:00Z", "endTime": "2026-11-21T20:00:00Z", "groupBy": []}
    total = (await vercel.query(**times)).json()["summary"][0]["vercel_request_count_sum"]
    rate = (await vercel.query(**times, aggregation="persecond")).json()["summary"][0]["vercel_request_count_persecond"]
    assert rate == pytest.approx(total / 180, abs=1e-5)


async def test_a_scope_of_another_team_is_forbidden(vercel: Driver) -> None:
    assert (await ask_metrics(vercel, scope=scope(vercel, ownerId="team_other"))).status_code == 403
