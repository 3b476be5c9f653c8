"""Traffic as the API shows it: it agrees with the world's truth, hides the newest seconds, and follows the domains."""

from collections import Counter
from typing import Any

import pytest

from daemon.emulator import ManualClock, World
from tests.unit.emulator.driving import Driver, a_project, a_scenario, driving

COUNT = "vercel_request_count_sum"
FAILING = {"failures": [{"ratio": 0.5, "message": "TypeError: boom"}]}


def true_counts(world: World, *, until_ms: int | None = None) -> Counter[tuple[str, int]]:
    """Return the production requests after the start, by deployment and status, as the world knows them."""
    traffic = world.traffic_of(world.project("web"))
    end = world.now_ms if until_ms is None else until_ms
    return Counter(
        (row.key.deployment_id, row.key.http_status)
        for row in traffic.counts.rows
        if row.key.environment == "production" and world.start_ms <= row.at_ms < end - end % 1000
    )


async def summed(vercel: Driver, **changes: Any) -> Counter[tuple[str, int]]:
    response = await vercel.query(**changes)
    assert response.status_code == 200, response.text
    return Counter({(row["deployment_id"], int(row["http_status"])): row[COUNT] for row in response.json()["summary"]})


async def test_the_same_seed_gives_the_same_traffic_however_it_is_looked_at() -> None:
    worlds = [World(a_scenario(seed=seed), ManualClock()) for seed in (7, 7, 8)]
    steps = ([0.25] * 400, [100.0], [100.0])
    seen = []
    for world, moves in zip(worlds, steps, strict=True):
        assert isinstance(world.clock, ManualClock)
        for step in moves:
            world.clock.advance(step)
            world.advance()
            if step < 1:
                world.traffic_of(world.project("web"))
        seen.append(true_counts(world))
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


async def test_counts_agree_with_the_world_to_the_second_behind_the_lag(vercel: Driver) -> None:
    await vercel.deploy("bad", **FAILING)
    vercel.clock.advance(149.4)
    observed = await summed(vercel)
    assert observed == true_counts(vercel.world, until_ms=vercel.clock.now_ms() - 30_000)
    assert observed[vercel.id_of("bad"), 500] > 100
    assert observed != true_counts(vercel.world)


async def test_parts_add_up_to_the_summary_and_empty_buckets_are_zero(vercel: Driver) -> None:
    await vercel.deploy("bad", **FAILING)
    vercel.clock.advance(150)
    body = (await vercel.query()).json()
    groups = {(row["deployment_id"], row["http_status"]) for row in body["summary"]}
    assert len(body["data"]) == 5 * len(groups)
    for row in body["summary"]:
        group = (row["deployment_id"], row["http_status"])
        parts = [part[COUNT] for part in body["data"] if (part["deployment_id"], part["http_status"]) == group]
        assert sum(parts) == row[COUNT]
        assert parts[3:] == [0, 0]
    assert body["query"]["startTime"] == "2026-11-21T20:00:00.000Z"
    assert body["query"]["limit"] == 100


async def test_a_window_is_rounded_out_to_whole_buckets(vercel: Driver) -> None:
    vercel.clock.advance(200)
    body = (await vercel.query(startTime="2026-11-21T20:00:59.999Z", endTime="2026-11-21T20:01:00.001Z")).json()
    assert [row["timestamp"] for row in body["data"][:: len(body["summary"])]] == [
        "2026-11-21T20:00:00.000Z",
        "2026-11-21T20:01:00.000Z",
    ]


async def test_traffic_is_served_by_the_deployment_that_the_domains_point_to(vercel: Driver) -> None:
    vercel.clock.advance(60)
    await vercel.roll_back("v2")
    vercel.clock.advance(60)
    switched_ms = vercel.world.start_ms + 61_500
    vercel.world.advance()
    rows = vercel.world.traffic_of(vercel.world.project("web")).counts.rows
    served = {row.at_ms >= switched_ms: set[str]() for row in rows}
    for row in rows:
        served[row.at_ms >= switched_ms].add(row.key.deployment_id)
    assert served == {False: {vercel.id_of("good")}, True: {vercel.id_of("v2")}}


async def test_a_partial_move_splits_the_traffic_between_two_deployments(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "job", "outcome": "partial"})
    await vercel.roll_back("v2")
    vercel.clock.advance(120)
    after = (await summed(vercel, startTime="2026-11-21T20:01:00Z", groupBy=["deployment_id", "http_status"])).items()
    shares = Counter[str]()
    for (deployment, _), count in after:
        shares[deployment] += count
    assert set(shares) == {vercel.id_of("good"), vercel.id_of("v2")}


@pytest.mark.parametrize(
    "dimension",
    ["http_status", "deployment_id", "project_id", "environment", "route", "error_code", "request_method"],
)
async def test_counts_are_grouped_by_every_dimension_and_lose_nothing(vercel: Driver, dimension: str) -> None:
    vercel.clock.advance(120)
    body = (await vercel.query(groupBy=[dimension])).json()
    expected = true_counts(vercel.world, until_ms=vercel.clock.now_ms() - 30_000).total()
    assert sum(row[COUNT] for row in body["summary"]) == expected
    assert all(isinstance(row[dimension], str) for row in body["summary"])


async def test_denied_requests_are_counted_with_the_firewalls_mark() -> None:
    traffic = {"requests_per_second": 5, "firewall_denied_ratio": 0.5}
    async with driving(a_scenario(projects=[a_project(traffic=traffic)])) as vercel:
        vercel.clock.advance(120)
        body = (await vercel.query(groupBy=["waf_action", "http_status"])).json()
        denied = {(row["waf_action"], row["http_status"]) for row in body["summary"] if row["waf_action"]}
        assert denied == {("deny", "403")}


async def test_preview_noise_is_kept_apart_by_environment() -> None:
    traffic = {"requests_per_second": 2, "preview": {"requests_per_second": 2, "error_ratio": 1}}
    async with driving(a_scenario(projects=[a_project(traffic=traffic)])) as vercel:
        vercel.clock.advance(120)
        body = (await vercel.query(groupBy=["environment", "http_status"], filter="")).json()
        errors = {row["environment"]: row[COUNT] for row in body["summary"] if row["http_status"] == "500"}
        assert errors["preview"] > 50
        assert errors.get("production", 0) < 5


async def test_an_owner_scope_sees_every_project_in_one_call() -> None:
    async with driving(a_scenario(projects=[a_project(), a_project(name="docs", domains=[])])) as vercel:
        vercel.clock.advance(120)
        scope = {"type": "owner", "ownerId": vercel.world.team.id}
        body = (await vercel.query(scope=scope, groupBy=["project_id"])).json()
        assert {row["project_id"] for row in body["summary"]} == set(vercel.world.projects)


async def test_the_limit_keeps_the_largest_groups_and_defaults_to_ten(vercel: Driver) -> None:
    vercel.clock.advance(120)
    full = (await vercel.query(groupBy=["route", "http_status"])).json()["summary"]
    two = (await vercel.query(groupBy=["route", "http_status"], limit=2)).json()
    assert two["summary"] == full[:2]
    assert len(two["data"]) == 2 * 5
    del_limit = await vercel.client.post(
        "/v2/observability/query", json={key: value for key, value in two["query"].items() if key != "limit"}
    )
    assert del_limit.json()["query"]["limit"] == 10


async def test_without_groups_the_whole_is_one_series_even_of_nothing() -> None:
    async with driving(a_scenario(projects=[a_project(traffic={"requests_per_second": 0})])) as vercel:
        body = (await vercel.query(groupBy=[])).json()
        assert body["summary"] == [{COUNT: 0}]
        assert [row[COUNT] for row in body["data"]] == [0] * 5
        assert (await vercel.query()).json()["summary"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": {"type": "project", "ownerId": "x"}},
        {"scope": {}},
        {"scope": None},
        {"metric": "vercel.nonsense"},
        {"aggregation": "max"},
        {"granularity": {"minutes": 7}},
        {"granularity": {}},
        {"granularity": {"minutes": True}},
        {"groupBy": ["colour"]},
        {"limit": 501},
        {"limit": 0},
        {"startTime": "yesterday"},
        {"startTime": "2026-11-21T20:05:00Z"},
        {"filter": "http_status between 1"},
        {"filter": 5},
        {"granularity": {"minutes": 1}, "startTime": "2026-11-21T20:00:00Z", "endTime": "2027-11-21T20:05:00Z"},
    ],
    ids=str,
)
async def test_a_malformed_query_is_refused_in_the_envelope(vercel: Driver, changes: dict[str, Any]) -> None:
    response = await vercel.query(**changes)
    assert response.status_code in {400, 403}, response.text
    assert response.json()["error"]["code"] in {"bad_request", "forbidden"}


async def test_hobby_needs_observability_plus_for_counts_but_not_for_rows() -> None:
    async with driving(a_scenario(team={"plan": "hobby"})) as vercel:
        vercel.clock.advance(60)
        refused = await vercel.query()
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "payment_required")
        assert (await vercel.rows()).json()["rows"]


async def test_a_window_before_retention_is_clamped_and_the_echo_tells(vercel: Driver) -> None:
    body = (await vercel.query(startTime="2026-11-10T00:00:00Z", granularity={"hours": 1})).json()
    assert body["query"]["startTime"] == "2026-11-20T20:00:00.000Z"


async def all_rows(vercel: Driver, **changes: Any) -> list[Any]:
    rows: list[Any] = []
    for page in range(100):
        body = (await vercel.rows(page=page, **changes)).json()
        rows += body["rows"]
        if not body["hasMoreRows"]:
            return rows
    raise AssertionError("a hundred pages and no end")


async def test_rows_agree_with_the_world_and_come_newest_first_fifty_a_page(vercel: Driver) -> None:
    await vercel.deploy("bad", **FAILING)
    vercel.clock.advance(60)
    started, ended = vercel.world.start_ms, vercel.clock.now_ms()
    first = (await vercel.rows()).json()
    assert (len(first["rows"]), first["hasMoreRows"]) == (50, True)
    rows = await all_rows(vercel, startDate=started, environment="production")
    assert Counter((row["deploymentId"], row["statusCode"]) for row in rows) == true_counts(
        vercel.world, until_ms=ended - 5_000
    )
    times = [row["timestamp"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert len({row["requestId"] for row in rows}) == len(rows)


async def test_rows_and_counts_agree_with_each_other(vercel: Driver) -> None:
    await vercel.deploy("bad", **FAILING)
    vercel.clock.advance(200)
    rows = await all_rows(vercel, startDate=vercel.world.start_ms, endDate=vercel.world.start_ms + 119_999)
    counted = await summed(vercel, endTime="2026-11-21T20:02:00Z")
    assert Counter((row["deploymentId"], row["statusCode"]) for row in rows) == counted


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [("5xx", {500}), ("500", {500}), ("200,404", {200, 404}), ("40x", {400, 402, 404}), ("None", set[int]())],
)
async def test_rows_are_filtered_by_status_and_class(vercel: Driver, statuses: str, expected: set[int]) -> None:
    await vercel.deploy("bad", **FAILING)
    vercel.clock.advance(60)
    assert {row["statusCode"] for row in await all_rows(vercel, statusCode=statuses)} == expected


async def test_rows_are_filtered_by_every_other_parameter(vercel: Driver) -> None:
    await vercel.deploy("bad", **FAILING)
    vercel.clock.advance(60)
    bad = vercel.id_of("bad")
    one = (await vercel.rows(statusCode="500", deploymentId=bad)).json()["rows"][0]
    assert one["logs"] == [{"level": "error", "message": "TypeError: boom", "messageTruncated": False}]
    assert {row["deploymentId"] for row in await all_rows(vercel, level="error", search="boom")} == {bad}
    assert {row["route"] for row in await all_rows(vercel, route="/api/cart")} == {"/api/cart"}
    assert {row["requestMethod"] for row in await all_rows(vercel, requestMethod="POST")} == {"POST"}
    assert [row["requestId"] for row in await all_rows(vercel, requestId=one["requestId"])] == [one["requestId"]]
    same_path = await all_rows(vercel, requestPath=one["requestPath"])
    assert {row["requestPath"] for row in same_path} == {one["requestPath"]}
    for nothing in ({"level": "weird"}, {"source": "weird"}, {"branch": "topic"}, {"environment": "preview"}):
        assert await all_rows(vercel, **nothing) == []


async def test_a_silent_500_is_an_error_that_no_level_finds(vercel: Driver) -> None:
    await vercel.deploy("bad", failures=[{"ratio": 1, "status": 500, "message": None}])
    vercel.clock.advance(60)
    silent = await all_rows(vercel, deploymentId=vercel.id_of("bad"), statusCode="5xx")
    assert len(silent) > 100
    assert not [row for row in silent if row["logs"]]
    assert await all_rows(vercel, deploymentId=vercel.id_of("bad"), level="error") == []


async def test_an_exception_that_was_caught_is_a_logged_error_that_no_status_finds() -> None:
    traffic = {"requests_per_second": 5, "baseline_error_ratio": 0, "caught_error_ratio": 0.2}
    async with driving(a_scenario(projects=[a_project(traffic=traffic)])) as vercel:
        vercel.clock.advance(60)
        logged, served = await all_rows(vercel, level="error"), await all_rows(vercel)
        assert len(logged) / len(served) == pytest.approx(0.2, abs=0.07)
        assert await all_rows(vercel, statusCode="5xx") == []
        assert {line["level"] for row in logged for line in row["logs"]} == {"error"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ownerId": None}, 'Validation error: Required at "ownerId"'),
        ({"startDate": None}, 'Validation error: Required at "startDate"'),
        ({"statusCode": "bad"}, "Validation error: statusCode must contain only"),
        ({"statusCode": "xxxx"}, "Validation error: statusCode must contain only"),
        ({"page": "first"}, "should be a number"),
        ({"page": -1}, "Number must be greater"),
    ],
    ids=str,
)
async def test_a_malformed_request_for_rows_is_refused(vercel: Driver, changes: dict[str, Any], message: str) -> None:
    response = await vercel.rows(**changes)
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]


async def test_rows_of_a_foreign_owner_are_forbidden(vercel: Driver) -> None:
    assert (await vercel.rows(ownerId="team_other")).status_code == 403


async def test_only_the_newest_rows_are_kept_while_their_counts_stay() -> None:
    async with driving(a_scenario(rows_kept=100)) as vercel:
        vercel.clock.advance(120)
        assert len(await all_rows(vercel)) < 100
        assert (await summed(vercel)).total() == pytest.approx(90 * 5, rel=0.3)


async def test_a_visit_to_a_site_is_answered_by_its_deployment_and_counted(vercel: Driver) -> None:
    await vercel.deploy("bad", failures=[{"ratio": 1, "status": 503, "message": "Error: <down>"}])
    answer = await vercel.client.get("/api/cart", headers={"Host": "www.example.com"})
    assert answer.status_code == 503
    assert "Error: &lt;down&gt;" in answer.text
    staging = await vercel.client.get("/", headers={"Host": vercel.world.deployment("web", "good").url})
    assert staging.status_code in {200, 304}
    vercel.clock.advance(10)
    assert (await all_rows(vercel, environment="preview"))[0]["deploymentId"] == vercel.id_of("good")
    assert "bad" in {vercel.world.deployments[row["deploymentId"]].name for row in await all_rows(vercel)}


async def test_a_host_without_a_deployment_is_vercels_own_404(vercel: Driver) -> None:
    answer = await vercel.client.get("/", headers={"Host": "nobody.vercel.app"})
    assert (answer.status_code, answer.headers["x-vercel-error"]) == (404, "DEPLOYMENT_NOT_FOUND")
    assert len(vercel.world.ledger.entries) == 0
