"""@vercel/sdk manages drains and webhooks."""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.sdk_play import Play, played
from tests.requires import requires_vercel_clients

pytestmark = [requires_vercel_clients, pytest.mark.proof]


LOG = {"log": {"version": "v1"}}
DELIVERY = {"type": "http", "endpoint": "http://127.0.0.1:9/drain", "encoding": "json", "headers": {}}


def a_drain(play: Play, **more: Any) -> dict[str, Any]:
    """Return the body that asks for a drain of the project, and *more*."""
    wanted = {
        "name": "watch",
        "projects": "some",
        "projectIds": [play.project_id],
        "schemas": LOG,
        "delivery": DELIVERY,
    }
    return wanted | more


async def test_drains_create_read_change_delete(play: Play) -> None:
    made = await play.sdk.resolves("drains.createDrain", requestBody=a_drain(play))
    drain_id = made.says("id")
    assert made.says("name") == "watch"
    assert made.says("status") == "enabled"
    assert made.says("projectIds") == [play.project_id]
    assert made.says("delivery.endpoint") == "http://127.0.0.1:9/drain"
    assert made.says("source.kind") == "self-served"
    assert (await play.sdk.resolves("drains.getDrain", id=drain_id)).says("id") == drain_id
    assert (await play.sdk.resolves("drains.getDrains")).says("drains.0.id") == drain_id
    changed = await play.sdk.resolves("drains.updateDrain", id=drain_id, requestBody={"name": "seen"})
    assert changed.says("name") == "seen"
    deleted = await play.sdk.resolves("drains.deleteDrain", id=drain_id)
    assert (deleted.status, deleted.value) == (204, None)
    assert (await play.sdk.resolves("drains.getDrains")).says("drains") == []


async def test_drains_keep_what_they_were_asked_for_and_lose_what_is_set_to_null(play: Play) -> None:
    rule = {"type": "head_sampling", "rate": 0.5, "env": "production", "requestPath": "/api"}
    wanted = {"type": "basic", "log": {"sources": ["lambda"]}, "deployment": {"environments": ["production"]}}
    delivery = {**DELIVERY, "encoding": "ndjson", "compression": "gzip", "headers": {"x-mine": "1"}}
    body = a_drain(play, delivery=delivery, sampling=[rule], filter={"version": "v2", "filter": wanted})
    made = await play.sdk.resolves("drains.createDrain", requestBody=body)
    assert made.says("delivery.encoding") == "ndjson"
    assert made.says("delivery.compression") == "gzip"
    assert made.says("delivery.headers.x-mine") == "1"
    assert made.says("sampling.0") == rule
    assert made.says("filterV2.filter.log.sources") == ["lambda"]
    assert made.says("filterV2.filter.deployment.environments") == ["production"]
    made.strips("schemas.log.version")
    unsampled = await play.sdk.resolves(
        "drains.updateDrain", id=made.says("id"), requestBody={"sampling": None, "projects": "all", "projectIds": None}
    )
    assert unsampled.says("sampling") == []
    assert "projectIds" not in unsampled.wire


async def test_drains_are_switched_off_and_on_again(play: Play) -> None:
    drain_id = (await play.sdk.resolves("drains.createDrain", requestBody=a_drain(play))).says("id")
    off = await play.sdk.resolves("drains.updateDrain", id=drain_id, requestBody={"status": "disabled"})
    assert (off.says("status"), off.says("disabledReason")) == ("disabled", "disabled-by-owner")
    play.pass_time(60)
    on = await play.sdk.resolves("drains.updateDrain", id=drain_id, requestBody={"status": "enabled"})
    assert on.says("status") == "enabled"
    assert on.says("updatedAt") == on.says("createdAt") + 60_000


async def test_drains_of_one_project_are_listed_with_those_of_all(play: Play) -> None:
    await play.sdk.resolves("drains.createDrain", requestBody=a_drain(play))
    everything = a_drain(play, name="all", projects="all")
    del everything["projectIds"]
    await play.sdk.resolves("drains.createDrain", requestBody=everything)
    here = await play.sdk.resolves("drains.getDrains", projectId=play.project_id)
    assert here.says_each("name", of="drains") == ["watch", "all"]
    elsewhere = await play.sdk.resolves("drains.getDrains", projectId="prj_other")
    assert elsewhere.says_each("name", of="drains") == ["all"]


async def test_drains_test_drain_tells_why_nothing_arrived(play: Play) -> None:
    call = await play.sdk.resolves("drains.testDrain", requestBody={"schemas": LOG, "delivery": DELIVERY})
    assert call.says("status") == "error"
    assert "ConnectError" in call.says("error")
    assert call.says("endpoint") == DELIVERY["endpoint"]


async def test_drains_and_webhooks_that_nobody_made_are_not_found(play: Play) -> None:
    for method in ("drains.getDrain", "drains.updateDrain", "drains.deleteDrain"):
        call = await play.sdk.call(method, id="drn_nobody", requestBody={})
        assert call.error is not None
        assert (call.status, call.error["statusCode"]) == (404, 404), method
    for method in ("webhooks.getWebhook", "webhooks.deleteWebhook"):
        assert (await play.sdk.call(method, id="account_hook_nobody")).status == 404, method


async def test_the_hobby_plan_has_neither_drains_nor_webhooks(tmp_path: Path) -> None:
    async with played(tmp_path, plan="hobby") as play:
        drain = await play.sdk.call("drains.createDrain", requestBody=a_drain(play))
        tried = await play.sdk.call("drains.testDrain", requestBody={"schemas": LOG, "delivery": DELIVERY})
        webhook = await play.sdk.call("webhooks.createWebhook", requestBody=WEBHOOK)
        assert [call.status for call in (drain, tried, webhook)] == [402, 402, 402]
        assert (await play.sdk.resolves("drains.getDrains")).says("drains") == []
        assert (await play.sdk.resolves("webhooks.getWebhooks")).value == []


WEBHOOK = {"url": "http://127.0.0.1:9/hook", "events": ["deployment.rollback", "deployment.promoted"]}


async def test_webhooks_create_read_delete(play: Play) -> None:
    made = await play.sdk.resolves("webhooks.createWebhook", requestBody=WEBHOOK)
    webhook_id = made.says("id")
    assert made.says("secret")
    assert made.says("events") == WEBHOOK["events"]
    assert made.says("ownerId") == play.world.team.id
    one = await play.sdk.resolves("webhooks.getWebhook", id=webhook_id)
    assert one.says("url") == WEBHOOK["url"]
    assert "secret" not in one.wire
    assert (await play.sdk.resolves("webhooks.getWebhooks")).says("0.id") == webhook_id
    deleted = await play.sdk.resolves("webhooks.deleteWebhook", id=webhook_id)
    assert (deleted.status, deleted.value) == (204, None)
    assert (await play.sdk.resolves("webhooks.getWebhooks")).value == []


async def test_webhooks_of_one_project_are_listed_with_those_of_all(play: Play) -> None:
    only = await play.sdk.resolves("webhooks.createWebhook", requestBody={**WEBHOOK, "projectIds": [play.project_id]})
    assert only.says("projectIds") == [play.project_id]
    every = await play.sdk.resolves("webhooks.createWebhook", requestBody=WEBHOOK)
    here = await play.sdk.resolves("webhooks.getWebhooks", projectId=play.project_id)
    assert here.says_each("id") == [only.says("id"), every.says("id")]
    elsewhere = await play.sdk.resolves("webhooks.getWebhooks", projectId="prj_other")
    assert elsewhere.says_each("id") == [every.says("id")]
