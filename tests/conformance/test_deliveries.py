"""Webhooks and drains from end to end: made through @vercel/sdk, sent over a socket, checked by a Node.js program."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemon.emulator.counts import Request
from daemon.emulator.wire import request_id
from tests.conformance.guide import GUIDE_WORLD
from tests.conformance.receiver import Received, Receiver, receiving
from tests.conformance.sdk import Call
from tests.conformance.sdk_play import Play, played
from tests.conformance.stage import ACTOR_TOKEN
from tests.requires import requires_vercel_clients

pytestmark = [requires_vercel_clients, pytest.mark.proof]

SECRET = "a secret that the customer chose"


@dataclass(frozen=True)
class Wired:
    """A world with visitors, whose time only the test moves, and a receiver."""

    play: Play
    receiver: Receiver

    async def webhook(self, path: str, *events: str) -> Call:
        """Make a webhook to *path* and let the receiver know its secret, which is shown this once."""
        made = await self.play.sdk.resolves(
            "webhooks.createWebhook", requestBody={"url": self.receiver.url(path), "events": list(events)}
        )
        await self.receiver.tell(path, secret=made.says("secret"))
        return made

    async def drain(self, path: str, *, delivery: dict[str, Any] | None = None, **more: Any) -> Call:
        """Ask for a drain of the project's logs to *path*, with the secret that the receiver knows."""
        address = {"type": "http", "endpoint": self.receiver.url(path), "encoding": "json", "headers": {}}
        body = {
            "name": path.strip("/"),
            "projects": "some",
            "projectIds": [self.play.project_id],
            "schemas": {"log": {"version": "v1"}},
            "delivery": {**address, "secret": SECRET, **(delivery or {})},
        }
        return await self.play.sdk.call("drains.createDrain", requestBody=body | more)

    def requested(self, *, since_ms: int) -> list[Request]:
        """Return what visitors requested since, by the world's own rows."""
        traffic = self.play.world.traffic_of(self.play.stage.project)
        return list(traffic.counts.newest_rows(from_ms=since_ms, until_ms=traffic.generated_to_ms))

    async def drained(self, rows: list[Request]) -> tuple[list[Received], list[Any]]:
        """Receive until every request of *rows* has come; return the POSTs, and their entries."""
        posts: list[Received] = []
        entries: list[Any] = []
        wanted = {request_id(row) for row in rows}
        while wanted - {entry["requestId"] for entry in entries}:
            posts.append(await self.receiver.next())
            if posts[-1].status == 200:
                entries += posts[-1].body
        return posts, entries

    async def attempts(self) -> list[Any]:
        """Return how every attempt of the emulator ended, by its own account."""
        async with httpx.AsyncClient(base_url=self.play.sdk.url) as client:
            body = (await client.get("/__control/deliveries")).json()
        assert body["dropped"] == 0
        attempts: list[Any] = body["attempts"]
        return attempts


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Wired]:
    async with receiving() as receiver, played(tmp_path, scenario=GUIDE_WORLD) as play:
        yield Wired(play, receiver)


def statuses(entries: list[Any]) -> dict[str, int]:
    """Return the status of each request by its id; what the platform did in the background is no request."""
    return {entry["requestId"]: entry["proxy"]["statusCode"] for entry in entries if entry["proxy"]["statusCode"] != -1}


async def test_a_webhook_hears_of_a_rollback_when_it_is_accepted_and_of_a_promote_when_it_is_done(wired: Wired) -> None:
    play = wired.play
    made = await wired.webhook("/hook", "deployment.rollback", "deployment.promoted")
    await play.sdk.resolves("projects.requestRollback", projectId=play.project_id, deploymentId=play.id_of("v3"))
    first = await wired.receiver.next()
    assert (first.signed, first.headers["content-type"]) == (True, "application/json")
    assert first.body["type"] == "deployment.rollback"
    assert first.body["createdAt"] == play.world.now_ms
    assert first.body["payload"]["team"]["id"] == made.says("ownerId")
    assert first.body["payload"]["project"]["id"] == play.project_id
    moved = (first.body["payload"]["fromDeploymentId"], first.body["payload"]["toDeploymentId"])
    assert moved == (play.id_of("v5"), play.id_of("v3"))
    assert play.stage.truth().production == "v5", "it was told before production moved"
    play.pass_time(1)
    await play.sdk.resolves("projects.requestPromote", projectId=play.project_id, deploymentId=play.id_of("v5"))
    play.pass_time(1)
    second = await wired.receiver.next()
    assert second.signed
    assert second.body["type"] == "deployment.promoted"
    assert second.body["payload"]["deployment"]["id"] == play.id_of("v5")
    assert play.stage.truth().production == "v5", "it was told when production had moved"
    assert second.body["id"] != first.body["id"]


async def test_a_receiver_with_another_secret_finds_no_signature_right(wired: Wired) -> None:
    """The judge can fail."""
    await wired.webhook("/hook", "deployment.rollback")
    await wired.receiver.tell("/hook", secret="another")
    wired.play.world.request_rollback(wired.play.stage.project, "v3", by="human")
    assert (await wired.receiver.next()).signed is False


async def test_a_webhook_that_fails_is_sent_again_as_it_was_after_one_two_and_four_seconds(wired: Wired) -> None:
    made = await wired.webhook("/hook", "deployment.rollback")
    await wired.receiver.tell("/hook", secret=made.says("secret"), statuses=[500, 0, 302, 204])
    wired.play.world.request_rollback(wired.play.stage.project, "v3", by="human")
    posts = [await wired.receiver.next()]
    for pause in (1, 2, 4):
        for _ in range(pause):
            # The call takes longer than several rounds of the courier, so that anything due by now would be sent.
            await wired.play.sdk.resolves("webhooks.getWebhooks")
            wired.play.pass_time(1)
        posts.append(await wired.receiver.next())
    assert [post.status for post in posts] == [500, 0, 302, 204]
    assert all(post.signed and post.raw == posts[0].raw for post in posts)
    attempts = await wired.attempts()
    assert [item["number"] for item in attempts] == [1, 2, 3, 4]
    assert [item["at_ms"] - attempts[0]["at_ms"] for item in attempts] == [0, 1_000, 3_000, 7_000]


async def test_a_deleted_webhook_hears_nothing_more(wired: Wired) -> None:
    gone = (await wired.webhook("/gone", "deployment.rollback")).says("id")
    kept = (await wired.webhook("/kept", "deployment.rollback")).says("id")
    await wired.play.sdk.resolves("webhooks.deleteWebhook", id=gone)
    wired.play.world.request_rollback(wired.play.stage.project, "v3", by="human")
    assert (await wired.receiver.next()).path == "/kept"
    assert [item["sender"] for item in await wired.attempts()] == [kept]


async def test_an_endpoint_that_does_not_prove_to_be_the_teams_gets_no_drain(wired: Wired) -> None:
    play, receiver = wired.play, wired.receiver
    play.decide(drain_verification="probe")
    await receiver.tell("/drain", secret=SECRET)
    refused = await wired.drain("/drain")
    assert refused.error is not None
    assert (refused.status, refused.error["statusCode"]) == (400, 400)
    probe = await receiver.next()
    assert probe.signed
    assert (await play.sdk.resolves("drains.getDrains")).says("drains") == []
    # A program learns the code as the Terraform provider does: the SDK has no call for it.
    async with httpx.AsyncClient(base_url=play.sdk.url, headers={"authorization": f"Bearer {ACTOR_TOKEN}"}) as client:
        code = (await client.get("/v1/verify-endpoint")).json()["verificationCode"]
    assert probe.headers["x-vercel-verify"] == code
    await receiver.tell("/drain", secret=SECRET, verify=code)
    made = await wired.drain("/drain")
    assert made.error is None
    await receiver.next()
    elsewhere = {**made.wire["delivery"], "endpoint": receiver.url("/stranger")}
    moved = await play.sdk.call("drains.updateDrain", id=made.says("id"), requestBody={"delivery": elsewhere})
    assert moved.status == 400
    assert (await receiver.next()).path == "/stranger"


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("encoding", ["json", "ndjson"])
async def test_a_drain_brings_every_request_once_in_its_encoding_and_signed_as_sent(
    wired: Wired, encoding: str, compression: str
) -> None:
    await wired.receiver.tell("/drain", secret=SECRET)
    delivery = {"encoding": encoding, "compression": compression, "headers": {"x-tenant": "seven"}}
    made = await wired.drain("/drain", delivery=delivery)
    assert made.says("delivery.encoding") == encoding
    wired.play.pass_time(120)
    rows = wired.requested(since_ms=made.says("createdAt"))
    posts, entries = await wired.drained(rows)
    assert statuses(entries) == {request_id(row): row.key.http_status for row in rows}
    assert 500 in statuses(entries).values()
    assert len({entry["id"] for entry in entries}) == len(entries), "no entry came twice"
    assert len(posts) > 1
    for post in posts:
        assert post.signed
        assert post.headers["x-tenant"] == "seven"
        assert post.headers["content-type"] == {"json": "application/json", "ndjson": "application/x-ndjson"}[encoding]
        assert post.headers.get("content-encoding", "none") == compression
        text = (gzip.decompress(post.raw) if compression == "gzip" else post.raw).decode()
        assert text.startswith("[") is (encoding == "json")


async def test_a_drain_keeps_the_share_that_its_rules_say_and_drops_what_none_matches(wired: Wired) -> None:
    rules = [
        {"type": "head_sampling", "rate": 1, "env": "production", "requestPath": "/affected-route"},
        {"type": "head_sampling", "rate": 0.25, "env": "production", "requestPath": "/"},
    ]
    await wired.receiver.tell("/shares", secret=SECRET)
    made = await wired.drain("/shares", sampling=rules)
    assert [made.says(f"sampling.{index}.rate") for index in range(2)] == [1, 0.25]
    wired.play.pass_time(600)
    rows = wired.requested(since_ms=made.says("createdAt"))
    whole = [row for row in rows if row.path == "/affected-route"]
    others = {request_id(row) for row in rows} - {request_id(row) for row in whole}
    # The last of the batches ends with the last of the requests, which the first rule keeps only if it is one of its.
    _, entries = await wired.drained(whole)
    last_ms = max(entry["timestamp"] for entry in entries)
    seen = set(statuses(entries))
    assert {request_id(row) for row in whole} <= seen
    passed = [row for row in rows if request_id(row) in others and row.at_ms <= last_ms]
    share = len(seen & others) / len(passed)
    assert 0.19 < share < 0.31, f"{share} of {len(passed)} requests"


async def test_a_drain_whose_only_rule_matches_one_route_drops_the_others(wired: Wired) -> None:
    rule = {"type": "head_sampling", "rate": 1, "requestPath": "/affected-route"}
    await wired.receiver.tell("/one", secret=SECRET)
    made = await wired.drain("/one", sampling=[rule])
    wired.play.pass_time(300)
    rows = [row for row in wired.requested(since_ms=made.says("createdAt")) if row.path == "/affected-route"]
    _, entries = await wired.drained(rows)
    assert statuses(entries) == {request_id(row): row.key.http_status for row in rows}


async def test_a_drain_that_fails_is_errored_tries_again_and_loses_nothing(wired: Wired) -> None:
    play = wired.play
    await wired.receiver.tell("/drain", secret=SECRET, statuses=[503, 0, 500])
    made = await wired.drain("/drain")
    play.pass_time(10)
    first = await wired.receiver.next()
    play.pass_time(10)
    # What was requested meanwhile goes out beside the batch that is tried again.
    again = [await wired.receiver.next() for _ in range(2)]
    assert [post.status for post in (first, *again)] == [503, 0, 500]
    assert first.raw in [post.raw for post in again]
    assert (await play.sdk.resolves("drains.getDrain", id=made.says("id"))).says("status") == "errored"
    play.pass_time(60)
    rows = wired.requested(since_ms=made.says("createdAt"))
    posts, entries = await wired.drained(rows)
    assert statuses(entries) == {request_id(row): row.key.http_status for row in rows}
    assert {post.raw for post in (first, *again)} <= {post.raw for post in posts}, "a batch is sent again as it was"
    assert (await play.sdk.resolves("drains.getDrain", id=made.says("id"))).says("status") == "enabled"


async def test_a_drain_that_is_off_gets_nothing_of_that_time(wired: Wired) -> None:
    play = wired.play
    await wired.receiver.tell("/drain", secret=SECRET)
    drain_id = (await wired.drain("/drain")).says("id")
    await play.sdk.resolves("drains.updateDrain", id=drain_id, requestBody={"status": "disabled"})
    play.pass_time(60)
    on = await play.sdk.resolves("drains.updateDrain", id=drain_id, requestBody={"status": "enabled"})
    play.pass_time(60)
    rows = wired.requested(since_ms=on.says("updatedAt"))
    _, entries = await wired.drained(rows)
    assert statuses(entries) == {request_id(row): row.key.http_status for row in rows}


async def test_test_drain_sends_one_signed_entry_and_tells_how_it_ended(wired: Wired) -> None:
    delivery = {"type": "http", "endpoint": wired.receiver.url("/try"), "encoding": "ndjson", "headers": {}}
    request = {"schemas": {"log": {"version": "v1"}}, "delivery": {**delivery, "secret": SECRET}}
    await wired.receiver.tell("/try", secret=SECRET, statuses=[200, 503])
    passed = await wired.play.sdk.resolves("drains.testDrain", requestBody=request)
    assert (passed.value, passed.wire) == ({}, {})
    failed = await wired.play.sdk.resolves("drains.testDrain", requestBody=request)
    assert failed.says("status") == "error"
    assert "503" in failed.says("error")
    for post in (await wired.receiver.next(), await wired.receiver.next()):
        assert post.signed
        assert [entry["message"] for entry in post.body] == ["This is a test of your drain."]
