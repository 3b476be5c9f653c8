"""Log drains: what of the traffic is delivered, how it is packed and proved, and what a failing endpoint costs."""

import gzip
from typing import Any

import pytest

from daemon.emulator.delivery import signature
from daemon.emulator.drains import verification_code
from daemon.emulator.wire import request_id
from tests.unit.emulator.driving import READER, Driver, a_project, a_scenario, driving
from tests.unit.emulator.receiving import ENDPOINT, Receiver, connected, rounds

CRASH = {"ratio": 0.3, "status": 500, "error_code": "FUNCTION_INVOCATION_FAILED", "message": "Error: out of memory"}


def a_drain(**changes: Any) -> dict[str, Any]:
    delivery = {"type": "http", "endpoint": ENDPOINT, "encoding": "ndjson", "compression": "none", "headers": {}}
    return {
        "name": "counts",
        "projects": "all",
        "schemas": {"log": {"version": "v1"}},
        "delivery": {**delivery, "secret": "s3cret", **changes.pop("delivery", {})},
        "source": {"kind": "self-served"},
        **changes,
    }


async def create(driver: Driver, **changes: Any) -> Any:
    response = await driver.client.post("/v1/drains", json=a_drain(**changes))
    assert response.status_code == 200, response.text
    return response.json()


def proving(driver: Driver, **behaviour: Any) -> Receiver:
    """Connect a receiver that proves to be the team's own."""
    code = verification_code(driver.world.team)
    return connected(driver, headers={"x-vercel-verify": code}, **behaviour)


def requests_of(driver: Driver, environment: str | None = None) -> list[Any]:
    """Return the true requests since the start."""
    rows = driver.world.traffic_of(driver.world.project("web")).counts.rows
    return [row for row in rows if row.at_ms >= driver.world.start_ms and environment in (None, row.key.environment)]


async def drained(driver: Driver, *, seconds: float = 20, **changes: Any) -> Receiver:
    receiver = proving(driver)
    await create(driver, **changes)
    receiver.got.clear()
    await rounds(driver, seconds=seconds)
    return receiver


async def test_a_drain_is_made_read_changed_and_deleted(vercel: Driver) -> None:
    filtered = {"version": "v2", "filter": {"type": "basic", "deployment": {"environments": ["production"]}}}
    made = await create(vercel, projects="some", projectIds=[vercel.project_id], filter=filtered)
    assert (made["status"], made["projectIds"]) == ("enabled", [vercel.project_id])
    assert made["filterV2"]["filter"]["deployment"] == {"environments": ["production"]}
    assert made["schemas"] == {"log": {"version": "v1"}}
    assert await vercel.json(f"/v1/drains/{made['id']}") == made
    assert await vercel.json("/v1/drains") == {"drains": [made]}
    assert await vercel.json("/v1/drains", projectId="prj_other") == {"drains": []}
    vercel.clock.advance(1)
    changed = (await vercel.client.patch(f"/v1/drains/{made['id']}", json={"name": "other"})).json()
    assert (changed["name"], changed["updatedAt"] - made["updatedAt"]) == ("other", 1000)
    assert (await vercel.client.delete(f"/v1/drains/{made['id']}")).status_code == 204
    assert (await vercel.get(f"/v1/drains/{made['id']}")).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"delivery": {"endpoint": "https://drain.example.com/"}},
        {"delivery": {"encoding": "xml"}},
        {"delivery": {"type": "s3"}},
        {"schemas": {}},
        {"projects": "some"},
        {"sampling": [{"type": "head_sampling", "rate": 1.5}]},
        {"filter": {"version": "v2", "filter": {"type": "odata", "text": "nonsense eq"}}},
        {"unknown": 1},
    ],
)
async def test_a_drain_that_cannot_work_is_refused(vercel: Driver, change: dict[str, Any]) -> None:
    assert (await vercel.client.post("/v1/drains", json=a_drain(**change))).status_code == 400
    assert await vercel.json("/v1/drains") == {"drains": []}


async def test_an_endpoint_without_headers_in_its_delivery_is_refused(vercel: Driver) -> None:
    body = a_drain()
    del body["delivery"]["headers"]
    assert (await vercel.client.post("/v1/drains", json=body)).status_code == 400


async def test_the_plan_and_the_token_decide_who_may_drain() -> None:
    async with driving(a_scenario(team={"plan": "hobby"})) as driver:
        assert (await driver.client.post("/v1/drains", json=a_drain())).status_code == 402
    async with driving() as driver, driver.client_as(READER) as reader:
        assert (await reader.post("/v1/drains", json=a_drain())).status_code == 403


async def test_an_endpoint_must_prove_to_be_the_teams_own() -> None:
    async with driving(a_scenario(knobs={"drain_verification": "probe"})) as driver:
        connected(driver)
        refused = await driver.client.post("/v1/drains", json=a_drain())
        assert (refused.status_code, "verification" in refused.text) == (400, True)
        code = (await driver.json("/v1/verify-endpoint"))["verificationCode"]
        receiver = connected(driver, headers={"x-vercel-verify": code})
        await create(driver)
        headers, body = receiver.got[0]
        assert (headers["x-vercel-verify"], headers["x-vercel-signature"]) == (code, signature("s3cret", body))
        connected(driver, statuses=[500], headers={"x-vercel-verify": code})
        assert (await driver.client.post("/v1/drains", json=a_drain())).status_code == 400


async def test_under_the_other_answer_no_endpoint_has_to_prove_anything() -> None:
    async with driving(a_scenario(knobs={"drain_verification": "none"})) as driver:
        receiver = connected(driver)
        await create(driver)
        assert receiver.got == []


async def test_every_request_since_the_drain_was_made_is_delivered_once(vercel: Driver) -> None:
    receiver = await drained(vercel)
    requests = {
        entry["requestId"]: entry["proxy"]["statusCode"]
        for entry in receiver.entries()
        if entry["proxy"]["statusCode"] != -1
    }
    true = requests_of(vercel)
    assert len(requests) == len(true) > 50
    assert sorted(requests.values()) == sorted(row.key.http_status for row in true)
    ids = [entry["id"] for entry in receiver.entries()]
    assert len(ids) == len(set(ids)) > len(requests), "some requests have several entries"


@pytest.mark.parametrize("encoding", ["json", "ndjson"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_a_batch_is_signed_as_it_is_sent(vercel: Driver, encoding: str, compression: str) -> None:
    sent = {"encoding": encoding, "compression": compression, "headers": {"x-mine": "1"}}
    receiver = await drained(vercel, seconds=5, delivery=sent)
    for headers, body in receiver.got:
        assert headers["x-vercel-signature"] == signature("s3cret", body)
        assert headers["x-mine"] == "1"
        assert (headers.get("content-encoding") == "gzip") == (compression == "gzip")
    first = receiver.got[0][1]
    text = gzip.decompress(first) if compression == "gzip" else first
    assert text.startswith(b"[" if encoding == "json" else b"{")
    assert len(receiver.entries()) > 10


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_no_batch_is_larger_than_the_knob_says(size: int) -> None:
    async with driving(a_scenario(knobs={"drain_batch_entries": size})) as driver:
        receiver = proving(driver)
        await create(driver, delivery={"encoding": "json"})
        receiver.got.clear()
        await rounds(driver, seconds=10, step=10)
        sizes = [len(batch) for batch in receiver.bodies()]
        assert max(sizes) <= size
        assert sum(sizes) > 40
        stamps = [entry["timestamp"] for entry in receiver.entries()]
        assert stamps == sorted(stamps)


async def test_a_crash_is_minus_one_in_the_entry_and_its_status_in_the_proxy() -> None:
    project = a_project(traffic={"requests_per_second": 10, "baseline_error_ratio": 0, "failures": [CRASH]})
    async with driving(a_scenario(projects=[project])) as driver:
        receiver = await drained(driver)
        crashed = [entry for entry in receiver.entries() if entry.get("statusCode") == -1]
        assert crashed
        assert {(entry["source"], entry["proxy"]["statusCode"]) for entry in crashed} == {("lambda", 500)}
        assert any(entry["message"] == "Error: out of memory" and entry["level"] == "error" for entry in crashed)
        true = [row for row in requests_of(driver) if row.key.http_status == 500]
        assert len({entry["requestId"] for entry in crashed}) == len(true)


async def test_background_work_is_no_request_and_previews_say_what_they_are() -> None:
    traffic = {"requests_per_second": 20, "preview": {"requests_per_second": 2}}
    async with driving(a_scenario(projects=[a_project(traffic=traffic)])) as driver:
        receiver = await drained(driver)
        background = [entry for entry in receiver.entries() if entry["proxy"]["statusCode"] == -1]
        assert background
        assert {entry["proxy"]["pathType"] for entry in background} == {"background_func"}
        assert {entry["statusCode"] for entry in background} == {200}
        previews = {entry["requestId"] for entry in receiver.entries() if entry["environment"] == "preview"}
        foreground = previews - {entry["requestId"] for entry in background}
        assert len(foreground) == len(requests_of(driver, "preview")) > 10


async def test_a_middleware_logs_an_entry_of_its_own_for_the_same_request(vercel: Driver) -> None:
    receiver = await drained(vercel)
    middleware = [entry for entry in receiver.entries() if entry.get("edgeType") == "middleware"]
    others = {entry["requestId"] for entry in receiver.entries() if "edgeType" not in entry}
    assert middleware
    assert {entry["source"] for entry in middleware} == {"edge"}
    assert {entry["requestId"] for entry in middleware} <= others


async def test_what_the_firewall_denied_comes_from_the_firewall() -> None:
    traffic = {"requests_per_second": 10, "firewall_denied_ratio": 0.5}
    async with driving(a_scenario(projects=[a_project(traffic=traffic)])) as driver:
        receiver = await drained(driver)
        denied = [entry for entry in receiver.entries() if entry["source"] == "firewall"]
        assert {(entry["proxy"]["wafAction"], entry["statusCode"]) for entry in denied} == {("deny", 403)}


async def test_a_caught_exception_is_an_entry_of_a_request_that_went_well() -> None:
    traffic = {"requests_per_second": 5, "baseline_error_ratio": 0, "caught_error_ratio": 1}
    async with driving(a_scenario(projects=[a_project(traffic=traffic)])) as driver:
        receiver = await drained(driver)
        caught = [entry for entry in receiver.entries() if entry["level"] == "error"]
        good = [row for row in requests_of(driver) if row.key.http_status < 400]
        assert {entry["requestId"] for entry in caught} == {request_id(row) for row in good} != set()
        assert {entry["statusCode"] for entry in caught} <= {200, 304}


@pytest.mark.parametrize(
    ("wanted", "key", "values"),
    [
        ({"type": "basic", "log": {"sources": ["edge"]}}, "source", {"edge"}),
        ({"type": "basic", "deployment": {"environments": ["preview"]}}, "environment", {"preview"}),
        ({"type": "odata", "text": "source eq 'lambda' and statusCode ge 500"}, "statusCode", {500}),
        ({"type": "basic", "project": {"ids": ["prj_other"]}}, "source", set()),
    ],
)
async def test_a_filter_lets_only_what_it_names_through(wanted: Any, key: str, values: set[Any]) -> None:
    traffic = {"requests_per_second": 10, "baseline_error_ratio": 0.2, "preview": {"requests_per_second": 2}}
    async with driving(a_scenario(projects=[a_project(traffic=traffic)])) as driver:
        receiver = await drained(driver, filter={"version": "v2", "filter": wanted})
        assert {entry[key] for entry in receiver.entries()} == values


async def test_sampling_keeps_whole_requests_and_drops_what_no_rule_matches() -> None:
    traffic = {"requests_per_second": 40, "preview": {"requests_per_second": 10}}
    async with driving(a_scenario(projects=[a_project(traffic=traffic)])) as driver:
        rules = [
            {"type": "head_sampling", "rate": 0, "env": "production", "requestPath": "/api/search"},
            {"type": "head_sampling", "rate": 0.5, "env": "production"},
        ]
        receiver = await drained(driver, sampling=rules)
        kept = {entry["requestId"] for entry in receiver.entries() if entry["proxy"]["statusCode"] != -1}
        assert not [entry for entry in receiver.entries() if entry["environment"] == "preview"]
        assert not [entry for entry in receiver.entries() if entry["path"] == "/api/search"]
        sampled = [row for row in requests_of(driver, "production") if row.path != "/api/search"]
        assert len(kept) / len(sampled) == pytest.approx(0.5, abs=0.07)


async def test_a_failing_endpoint_is_tried_again_with_the_same_batch_and_marked_errored() -> None:
    async with driving(a_scenario(knobs={"drain_retries": "backoff", "errored_drain": "keeps-trying"})) as driver:
        receiver = proving(driver)
        drain = await create(driver)
        receiver.got.clear()
        receiver.statuses = [503] * 3
        await rounds(driver, seconds=1)
        assert (await driver.json(f"/v1/drains/{drain['id']}"))["status"] == "enabled"
        await rounds(driver, seconds=1)
        shown = await driver.json(f"/v1/drains/{drain['id']}")
        assert shown["status"] == "errored"
        assert shown["firstErrorTimestamp"] >= driver.world.start_ms
        await rounds(driver, seconds=20)
        shown = await driver.json(f"/v1/drains/{drain['id']}")
        assert (shown["status"], "firstErrorTimestamp" in shown) == ("enabled", False)
        delivered = {entry["requestId"] for entry in receiver.entries() if entry["proxy"]["statusCode"] != -1}
        assert len(delivered) == len(requests_of(driver)), "nothing is lost"


async def test_under_the_other_answer_a_failed_batch_is_lost_and_an_errored_drain_stops() -> None:
    async with driving(a_scenario(knobs={"drain_retries": "none", "errored_drain": "stops"})) as driver:
        receiver = proving(driver)
        drain = await create(driver)
        receiver.got.clear()
        receiver.statuses = [503] * 3
        await rounds(driver, seconds=10)
        assert len(receiver.got) == 3
        assert (await driver.json(f"/v1/drains/{drain['id']}"))["status"] == "errored"
        await driver.client.patch(f"/v1/drains/{drain['id']}", json={"status": "enabled"})
        first = driver.world.now_ms
        await rounds(driver, seconds=5)
        entries = [
            entry for _, body in receiver.got[3:] for entry in Receiver(got=[({"content-type": ""}, body)]).entries()
        ]
        assert entries
        assert min(entry["timestamp"] for entry in entries) >= first - 1000


async def test_a_disabled_drain_gets_nothing_and_later_nothing_of_that_time(vercel: Driver) -> None:
    receiver = proving(vercel)
    drain = await create(vercel)
    disabled = (await vercel.client.patch(f"/v1/drains/{drain['id']}", json={"status": "disabled"})).json()
    assert (disabled["status"], disabled["disabledReason"]) == ("disabled", "disabled-by-owner")
    receiver.got.clear()
    await rounds(vercel, seconds=5)
    assert receiver.got == []
    await vercel.client.patch(f"/v1/drains/{drain['id']}", json={"status": "enabled"})
    first = vercel.world.now_ms
    await rounds(vercel, seconds=5)
    assert min(entry["timestamp"] for entry in receiver.entries()) >= first - 1000
    assert (await vercel.client.patch(f"/v1/drains/{drain['id']}", json={"status": "off"})).status_code == 400


async def test_a_delivery_can_be_tried_out(vercel: Driver) -> None:
    body = {"schemas": {"log": {"version": "v1"}}, "delivery": a_drain()["delivery"]}
    receiver = connected(vercel, statuses=[200, 500, 0])
    assert (await vercel.client.post("/v1/drains/test", json=body)).json() == {}
    assert receiver.got[0][0]["x-vercel-signature"] == signature("s3cret", receiver.got[0][1])
    for word in ("500", "refused"):
        answer = (await vercel.client.post("/v1/drains/test", json=body)).json()
        assert (answer["status"], answer["endpoint"]) == ("error", ENDPOINT)
        assert word in answer["error"]
    body["delivery"]["endpoint"] = "http://192.0.2.1/"
    assert (await vercel.client.post("/v1/drains/test", json=body)).status_code == 400


async def test_a_drain_follows_only_its_projects_and_team() -> None:
    projects = [a_project(), a_project(name="docs", domains=[]), a_project(name="theirs", domains=[], team="other")]
    async with driving(a_scenario(projects=projects, teams=[{"slug": "other", "name": "Other"}])) as driver:
        receiver = await drained(driver, seconds=5)
        assert {entry["projectName"] for entry in receiver.entries()} == {"web", "docs"}
        foreign = {"projects": "some", "projectIds": [driver.world.project("theirs").id]}
        assert (await driver.client.post("/v1/drains", json=a_drain(**foreign))).status_code == 404
