"""The emulator's own record, and the control endpoint beside it."""

import pytest

from daemon.emulator import WallClock, World
from daemon.emulator.app import EmulatorApp
from tests.unit.emulator.driving import READER, Driver, a_scenario


async def test_the_ledger_tells_reads_from_writes_even_where_a_read_is_a_post(vercel: Driver) -> None:
    await vercel.project()
    await vercel.query()
    await vercel.rows()
    await vercel.roll_back("v2")
    await vercel.client.patch("/v9/projects/web", json={"autoAssignCustomDomains": True})
    await vercel.promote("v1")
    ledger = vercel.world.ledger
    assert [(entry.route, entry.kind) for entry in ledger.entries] == [
        ("project", "read"),
        ("observability", "read"),
        ("request_logs", "read"),
        ("rollback", "mutating"),
        ("project", "mutating"),
        ("promote", "mutating"),
    ]
    assert dict(ledger.requests_total) == {"read": 3, "mutating": 3}
    assert [entry.status for entry in ledger.mutating()] == [201, 200, 409]


async def test_an_unknown_write_counts_as_mutating_and_an_unknown_read_does_not(vercel: Driver) -> None:
    await vercel.client.post("/v1/projects/web/rolling-release/start")
    await vercel.get("/v1/nothing")
    assert [entry.kind for entry in vercel.world.ledger.entries] == ["mutating", "read"]


async def test_an_entry_says_who_asked_what_and_what_it_changed(vercel: Driver) -> None:
    async with vercel.client_as(READER) as reader:
        await reader.get("/v9/projects/web", params={"rollbackInfo": "true"})
    await vercel.roll_back("v2", description="spike")
    read, write = vercel.world.ledger.entries
    assert (read.number, read.token, read.query, read.applied) == (1, "reader", "rollbackInfo=true", None)
    assert (write.number, write.token, write.method, write.body) == (2, "actor", "POST", "{}")
    assert write.applied == f"rollback good ({vercel.id_of('good')}) -> v2 ({vercel.id_of('v2')})"
    assert (write.project, write.at_ms) == ("web", vercel.world.start_ms)


async def test_a_body_is_kept_in_part_only(vercel: Driver) -> None:
    await vercel.client.post("/v2/observability/query", content=b"x" * 10_000)
    assert len(vercel.world.ledger.entries[-1].body) == 2_000


async def test_applied_holds_only_jobs_that_really_moved_production(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "job", "outcome": "failed", "count": 1})
    await vercel.roll_back("v2")
    vercel.clock.advance(2)
    await vercel.roll_back("v2")
    assert (await vercel.control("ledger"))["applied"] == []
    vercel.clock.advance(2)
    ledger = await vercel.control("ledger")
    assert [(move["kind"], move["from_id"], move["to_id"], move["by"]) for move in ledger["applied"]] == [
        ("rollback", vercel.id_of("good"), vercel.id_of("v2"), "actor")
    ]
    assert [request["status"] for request in ledger["requests"]] == [201, 201]


async def test_the_ledger_is_read_from_a_number_on(vercel: Driver) -> None:
    for _ in range(3):
        await vercel.get("/v2/user")
    assert [entry["number"] for entry in (await vercel.control("ledger?after=1&limit=1"))["requests"]] == [2]


async def test_control_requests_are_no_api_requests(vercel: Driver) -> None:
    await vercel.control("health")
    await vercel.control("world")
    assert len(vercel.world.ledger.entries) == 0


async def test_the_truth_names_what_serves_and_how_each_deployment_fails(vercel: Driver) -> None:
    await vercel.control("failures", {"project": "web", "deployment": "good", "failures": [{"ratio": 0.4}]})
    project = (await vercel.control("world"))["projects"][0]
    assert (project["production"], project["pinned"]) == ("good", False)
    assert [item["ratio"] for item in project["deployments"][-1]["failures"]] == [0.4]


async def test_true_counts_have_no_lag(vercel: Driver) -> None:
    await vercel.control("clock", {"advance_seconds": 60})
    truth = await vercel.control(f"counts?project=web&from={vercel.world.start_ms}")
    assert sum(cell["count"] for cell in truth["cells"]) == pytest.approx(300, rel=0.3)


async def test_an_outage_fails_every_deployment_until_it_ends(vercel: Driver) -> None:
    async def failing_share() -> float:
        vercel.clock.advance(60)
        vercel.world.advance()
        rows = vercel.world.traffic_of(vercel.world.project("web")).counts.rows
        newest = [row.key.http_status for row in rows if row.at_ms >= vercel.clock.now_ms() - 60_000]
        return sum(status >= 500 for status in newest) / len(newest)

    await vercel.control("outage", {"project": "web", "ratio": 1, "status": 503})
    assert await failing_share() == 1
    await vercel.roll_back("v2")
    vercel.clock.advance(2)
    assert await failing_share() == 1
    await vercel.control("end-outage", {"project": "web"})
    assert await failing_share() < 0.05


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "nonsense", "", 404),
        ("POST", "ledger", "{}", 404),
        ("POST", "deployments", "{", 400),
        ("POST", "deployments", '{"project": "web"}', 400),
        ("POST", "deployments", '{"project": "nobody", "name": "x"}', 404),
        ("POST", "deployments", '{"project": "web", "name": "good"}', 409),
        ("POST", "clock", '{"advance_seconds": -1}', 400),
        ("POST", "knobs", '{"colour": 1}', 400),
        ("POST", "finish-job", '{"project": "web"}', 404),
        ("GET", "counts", "", 404),
    ],
)
async def test_a_wrong_control_request_is_refused_in_the_envelope(
    vercel: Driver, method: str, path: str, content: str, status: int
) -> None:
    response = await vercel.client.request(method, f"/__control/{path}", content=content)
    assert response.status_code == status
    assert response.json()["error"]["message"]


async def test_nobody_advances_a_real_clock() -> None:
    driver = Driver()
    driver.app = EmulatorApp(World(a_scenario(), WallClock()))
    async with driver.client_as(None) as client:
        response = await client.post("/__control/clock", json={"advance_seconds": 1})
    assert response.status_code == 409
