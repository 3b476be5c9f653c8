"""Account webhooks: who hears of what, signed, and tried again until somebody listens."""

import asyncio
from typing import Any

import httpx
import pytest

from daemon.emulator import EmulatorServer
from daemon.emulator.delivery import signature
from daemon.emulator.events import WorldEvent
from tests.unit.emulator.driving import ACTOR, READER, Driver, a_scenario, driving
from tests.unit.emulator.receiving import ENDPOINT, connected, rounds
from tests.unit.emulator.releasing import Releaser, a_releasing_scenario

MOVES = ["deployment.promoted", "deployment.rollback"]


async def subscribe(driver: Driver, *events: str, **changes: Any) -> Any:
    response = await driver.client.post("/v1/webhooks", json={"url": ENDPOINT, "events": list(events), **changes})
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_webhook_shows_its_secret_once(vercel: Driver) -> None:
    created = await subscribe(vercel, *MOVES, projectIds=[vercel.project_id])
    assert created["secret"]
    shown = await vercel.json(f"/v1/webhooks/{created['id']}")
    assert shown == {key: value for key, value in created.items() if key != "secret"}
    assert await vercel.json("/v1/webhooks") == [shown]
    assert await vercel.json("/v1/webhooks", projectId="prj_other") == []
    assert (await vercel.client.delete(f"/v1/webhooks/{created['id']}")).status_code == 204
    assert await vercel.json("/v1/webhooks") == []
    assert (await vercel.get(f"/v1/webhooks/{created['id']}")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"url": "https://hooks.example.com/x", "events": MOVES},
        {"url": "http://10.0.0.1/x", "events": MOVES},
        {"url": "http://127.0.0.1.example.com/x", "events": MOVES},
        {"url": "ftp://127.0.0.1/x", "events": MOVES},
        {"url": "http://127.0.0.1:99999/", "events": MOVES},
        {"events": MOVES},
        {"url": ENDPOINT},
        {"url": ENDPOINT, "events": []},
        {"url": ENDPOINT, "events": ["deployment.exploded"]},
        {"url": ENDPOINT, "events": "deployment.promoted"},
    ],
)
async def test_what_cannot_be_delivered_is_refused(vercel: Driver, body: dict[str, Any]) -> None:
    assert (await vercel.client.post("/v1/webhooks", json=body)).status_code == 400
    assert await vercel.json("/v1/webhooks") == []


async def test_the_plan_and_the_token_decide_who_may_subscribe() -> None:
    body = {"url": ENDPOINT, "events": MOVES}
    async with driving(a_scenario(team={"plan": "hobby"})) as driver:
        assert (await driver.client.post("/v1/webhooks", json=body)).status_code == 402
    tokens = [{"value": "one", "name": "one", "projects": ["web"]}, {"value": READER, "name": "r", "read_only": True}]
    async with driving(a_scenario(tokens=tokens)) as driver:
        for token in ("one", READER):
            async with driver.client_as(token) as client:
                assert (await client.post("/v1/webhooks", json=body)).status_code == 403


async def test_a_rollback_is_told_on_acceptance_and_a_promote_after_it_has_moved(vercel: Driver) -> None:
    receiver = connected(vercel)
    secret = (await subscribe(vercel, *MOVES))["secret"]
    await vercel.roll_back("v2")
    await rounds(vercel, seconds=0)
    ((headers, body),) = receiver.got
    assert headers["x-vercel-signature"] == signature(secret, body)
    (event,) = receiver.bodies()
    assert (event["type"], event["createdAt"]) == ("deployment.rollback", vercel.world.start_ms)
    assert event["payload"]["fromDeploymentId"] == vercel.id_of("good")
    assert event["payload"]["toDeploymentId"] == vercel.id_of("v2")
    assert event["payload"]["project"] == {"id": vercel.project_id}

    await rounds(vercel, seconds=2)
    assert len(receiver.got) == 1, "a rollback is no promote"
    await vercel.promote("good")
    await rounds(vercel, seconds=1)
    assert len(receiver.got) == 1, "it has not moved yet"
    await rounds(vercel, seconds=1)
    event = receiver.bodies()[-1]
    assert (event["type"], event["payload"]["deployment"]["id"]) == ("deployment.promoted", vercel.id_of("good"))


async def test_a_build_is_told_from_its_beginning_to_its_end(vercel: Driver) -> None:
    receiver = connected(vercel)
    kinds = ["created", "ready", "succeeded", "error", "canceled", "promoted"]
    await subscribe(vercel, *(f"deployment.{kind}" for kind in kinds))
    await vercel.deploy("next")
    await vercel.deploy("broken", ends="ERROR")
    await rounds(vercel, seconds=0)
    told = [(event["type"].removeprefix("deployment."), event["payload"]["target"]) for event in receiver.bodies()]
    assert [kind for kind, _ in told] == ["created", "ready", "succeeded", "promoted", "created", "error"]
    assert {target for _, target in told} == {"production"}
    payload = receiver.bodies()[0]["payload"]
    assert payload["deployment"]["meta"]["githubCommitRef"] == "main"
    assert payload["links"]["project"] in payload["links"]["deployment"]


async def test_a_rolling_release_is_told_stage_by_stage() -> None:
    async with driving(a_releasing_scenario(requests_per_second=0)) as driver:
        receiver = connected(driver)
        kinds = ["started", "approved", "completed", "aborted"]
        await subscribe(driver, *(f"project.rolling-release.{kind}" for kind in kinds))
        releaser = Releaser(driver)
        await releaser.configure()
        await releaser.start()
        await releaser.approve(1)
        await releaser.complete()
        await releaser.start("good")
        await driver.roll_back("canary")
        await rounds(driver, seconds=2)
        told = [event["type"].rpartition(".")[2] for event in receiver.bodies()]
        assert told == ["started", "approved", "completed", "started", "aborted"]
        release = receiver.bodies()[1]["payload"]["rollingRelease"]
        assert (release["state"], release["activeStageIndex"]) == ("ACTIVE", 1)
        assert release["default"]["targetDeploymentId"] == driver.id_of("canary")


async def test_others_events_are_none_of_a_webhooks_business(vercel: Driver) -> None:
    receiver = connected(vercel)
    await subscribe(vercel, "deployment.promoted")
    await subscribe(vercel, "deployment.rollback", projectIds=[])
    await vercel.roll_back("v2")
    await rounds(vercel, seconds=3)
    assert receiver.got == []


@pytest.mark.parametrize("status", [500, 404, 301, 0])
async def test_what_is_not_taken_is_sent_again_with_growing_pauses(vercel: Driver, status: int) -> None:
    receiver = connected(vercel, statuses=[status] * 4)
    await subscribe(vercel, "deployment.rollback")
    await vercel.roll_back("v2")
    seen = []
    for _ in range(20):
        await rounds(vercel, seconds=0)
        seen.append(len(receiver.got))
        vercel.clock.advance(1)
    tried_at = [seen.index(count) for count in (1, 2, 3, 4, 5)]
    assert tried_at == [0, 1, 3, 7, 15]
    assert len({body for _, body in receiver.got}) == 1, "the same event, with the same id"
    assert seen[-1] == 5, "once it was taken it is done"


async def test_an_event_is_dropped_after_a_day(vercel: Driver) -> None:
    receiver = connected(vercel, statuses=[500] * 1000)
    await subscribe(vercel, "deployment.rollback")
    await vercel.roll_back("v2")
    for _ in range(60):
        await vercel.app.deliveries.courier.deliver_due()
        vercel.world.now_ms += 1_800_000
    tries = len(receiver.got)
    assert 20 < tries < 60
    vercel.world.now_ms += 86_400_000
    await vercel.app.deliveries.courier.deliver_due()
    assert len(receiver.got) == tries
    assert (await vercel.control("deliveries"))["waiting"] == 0


async def test_without_a_way_out_events_wait(vercel: Driver) -> None:
    await subscribe(vercel, "deployment.rollback")
    await vercel.roll_back("v2")
    await rounds(vercel, seconds=5)
    deliveries = await vercel.control("deliveries")
    assert (deliveries["waiting"], deliveries["attempts"]) == (1, [])
    receiver = connected(vercel)
    await rounds(vercel, seconds=0)
    assert len(receiver.got) == 1


@pytest.mark.parametrize(("knob", "group"), [("group", {"id": "g1", "title": "5xx"}), ("minimal", {"id": "g1"})])
async def test_an_alert_is_told_as_the_knob_says(knob: str, group: dict[str, str]) -> None:
    async with driving(a_scenario(knobs={"alerts_payload": knob})) as driver:
        receiver = connected(driver)
        await subscribe(driver, "alerts.triggered")
        details = {"group": {"id": "g1", "title": "5xx"}}
        project = driver.world.project("web")
        driver.world.events.publish(WorldEvent("alerts.triggered", driver.world.now_ms, project, None, details))
        await rounds(driver, seconds=0)
        assert receiver.bodies()[0]["payload"]["group"] == group


async def test_a_redirect_is_not_followed(vercel: Driver) -> None:
    receiver = connected(vercel, statuses=[307], headers={"location": "http://example.com/"})
    response = await vercel.app.deliveries.courier.post(ENDPOINT, {}, b"")
    assert isinstance(response, httpx.Response)
    assert (response.status_code, len(receiver.got)) == (307, 1)


async def test_an_anomaly_is_told_once_when_it_can_be_seen(vercel: Driver) -> None:
    receiver = connected(vercel)
    await vercel.control("outage", {"project": "web", "ratio": 0.5})
    await subscribe(vercel, "alerts.triggered")
    told_at = []
    for minute in range(8):
        await rounds(vercel, seconds=60, step=60)
        told_at += [minute] * (len(receiver.got) - len(told_at))
    assert told_at == [3], "three bad minutes, and the counts are half a minute old"
    (event,) = receiver.bodies()
    (group,) = await vercel.json("/alerts/v3/groups")
    assert event["payload"]["projectId"] == group["projectId"]
    assert event["payload"]["group"]["id"] == group["id"]


async def test_an_anomaly_from_before_the_subscription_is_not_told(vercel: Driver) -> None:
    receiver = connected(vercel)
    await vercel.control("outage", {"project": "web", "ratio": 0.5})
    vercel.clock.advance(600)
    vercel.world.advance()
    await subscribe(vercel, "alerts.triggered")
    await rounds(vercel, seconds=240, step=60)
    assert receiver.got == []


@pytest.mark.slow
async def test_a_served_emulator_delivers_over_a_real_socket() -> None:
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    receiver = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = receiver.sockets[0].getsockname()[1]
    async with receiver, EmulatorServer(a_scenario()) as server, httpx.AsyncClient(base_url=server.url) as client:
        client.headers["authorization"] = f"Bearer {ACTOR}"
        body = {"url": f"http://127.0.0.1:{port}/hook", "events": ["deployment.rollback"]}
        assert (await client.post("/v1/webhooks", json=body)).status_code == 200
        target = server.world.deployment("web", "v2").id
        assert (await client.post(f"/v9/projects/web/rollback/{target}", json={})).status_code == 201
        head = await asyncio.wait_for(arrived, 10)
    assert head.startswith(b"POST /hook HTTP/1.1")
    assert b"x-vercel-signature: " in head
