"""The receiver of webhooks: signed, once, not too late, not too much, and answered before anything else is done."""

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from daemon.emulator.events import WorldEvent
from daemon.vercel.webhook_settings import WebhookReceiverSettings
from daemon.vercel.webhooks import (
    EVENTS_WANTED,
    AlertTriggered,
    Promoted,
    ReleaseChange,
    ReleaseChanged,
    RollbackRequested,
    Succeeded,
    Told,
)
from daemon.web import webhooks
from daemon.web.webhooks import Outcome, WebhookReceiver
from tests.fakes.clock import VirtualClock, settle
from tests.unit.emulator.driving import Driver, a_scenario, driving
from tests.unit.emulator.receiving import rounds
from tests.unit.emulator.releasing import Releaser, a_releasing_scenario
from tests.unit.vercel.emulated import EmulatedTime

SECRET = "whsec_0123456789"
PATH = "/webhooks/vercel"


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


def an_event(**changes: object) -> dict[str, object]:
    """A promotion of `dpl_new`, made just now."""
    payload = {"project": {"id": "prj_1"}, "deployment": {"id": "dpl_new"}, "target": "production"}
    return {"type": "deployment.promoted", "id": "evt_1", "createdAt": milliseconds(), "payload": payload} | changes


def milliseconds(ago: float = 0.0) -> int:
    return round((VirtualClock().now().timestamp() - ago) * 1000)


class Site:
    """A receiver, a client for it, what it told, and what it counted."""

    def __init__(
        self, *secrets: Callable[[], str], clock: Any = None, body_seconds_max: float = 10.0, **settings: Any
    ) -> None:
        self.clock = clock or VirtualClock()
        self.secret = SECRET
        self.outcomes: Counter[Outcome] = Counter()
        self.told: list[Told] = []
        self.may_tell = asyncio.Event()
        self.may_tell.set()
        self.receiver = WebhookReceiver(
            WebhookReceiverSettings(**settings),
            secrets=secrets or (lambda: self.secret,),
            clock=self.clock,
            on_outcome=lambda outcome: self.outcomes.update([outcome]),
            body_seconds_max=body_seconds_max,
        )
        self.app = Starlette(routes=[self.receiver.route])
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://lastgood")

    async def tell(self, told: Told) -> None:
        await self.may_tell.wait()
        self.told.append(told)

    async def post(self, event: object, **headers: str) -> int:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        sent = {"x-vercel-signature": sign(body)} | {name.replace("_", "-"): value for name, value in headers.items()}
        status = (await self.client.post(PATH, content=body, headers=sent)).status_code
        await settle()
        return status


@asynccontextmanager
async def a_site(*secrets: Callable[[], str], **settings: Any) -> AsyncIterator[Site]:
    site = Site(*secrets, **settings)
    async with site.client, asyncio.TaskGroup() as group:
        delivering = group.create_task(site.receiver.deliver(site.tell))
        yield site
        delivering.cancel()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with a_site() as site:
        yield site


async def test_a_signed_event_is_answered_and_told(site: Site) -> None:
    assert await site.post(an_event()) == 200
    assert site.told == [Promoted("prj_1", "dpl_new", site.clock.now())]
    assert site.outcomes == {Outcome.TAKEN: 1}


async def test_the_answer_does_not_wait_for_what_follows(site: Site) -> None:
    site.may_tell.clear()
    assert await site.post(an_event()) == 200
    assert site.told == []
    site.may_tell.set()
    await settle()
    assert len(site.told) == 1


async def test_events_are_told_in_the_order_in_which_they_came(site: Site) -> None:
    site.may_tell.clear()
    for number in range(3):
        payload = {"project": {"id": "prj_1"}, "deployment": {"id": f"dpl_{number}"}}
        assert await site.post(an_event(id=f"evt_{number}", payload=payload)) == 200
    site.may_tell.set()
    await settle()
    assert [told.deployment for told in site.told] == ["dpl_0", "dpl_1", "dpl_2"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_nothing_but_a_post_is_taken(site: Site, method: str) -> None:
    assert (await site.client.request(method, PATH)).status_code == 405


# Who sent it


@pytest.mark.parametrize(
    "signature", ["", "0" * 40, sign(b"something else"), sign(json.dumps(an_event()).encode(), "other"), "\xff"]
)
async def test_what_is_not_signed_with_our_secret_is_refused(site: Site, signature: str) -> None:
    body = json.dumps(an_event()).encode()
    response = await site.client.post(PATH, content=body, headers={b"x-vercel-signature": signature.encode("latin-1")})
    assert response.status_code == 403
    assert site.outcomes == {Outcome.UNSIGNED: 1}
    await settle()
    assert site.told == []


async def test_without_any_signature_nothing_is_taken(site: Site) -> None:
    assert (await site.client.post(PATH, json=an_event())).status_code == 403


async def test_an_unsigned_body_is_not_even_parsed(site: Site) -> None:
    assert await site.post(b"[" * 5000, x_vercel_signature="0" * 40) == 403
    assert site.outcomes == {Outcome.UNSIGNED: 1}


async def test_one_byte_changed_on_the_way_is_no_longer_signed(site: Site) -> None:
    body = json.dumps(an_event()).encode()
    assert await site.post(body.replace(b"dpl_new", b"dpl_old"), x_vercel_signature=sign(body)) == 403


async def test_two_secrets_are_good_while_one_is_rotated() -> None:
    async with a_site(lambda: "old", lambda: "new") as site:
        for number, secret in enumerate(("old", "new")):
            body = json.dumps(an_event(id=f"evt_{number}")).encode()
            assert await site.post(body, x_vercel_signature=sign(body, secret)) == 200
        assert len(site.told) == 2


async def test_a_secret_is_read_again_for_every_event() -> None:
    secrets = ["old"]
    async with a_site(lambda: secrets[0]) as site:
        body = json.dumps(an_event()).encode()
        assert await site.post(body, x_vercel_signature=sign(body, "new")) == 403
        secrets[0] = "new"
        assert await site.post(body, x_vercel_signature=sign(body, "new")) == 200
        assert await site.post(body, x_vercel_signature=sign(body, "old")) == 403


def missing() -> str:
    raise FileNotFoundError("/run/secrets/webhook")


async def test_one_unreadable_secret_of_two_keeps_nobody_out() -> None:
    async with a_site(missing, lambda: SECRET) as site:
        assert await site.post(an_event()) == 200


@pytest.mark.parametrize("secret", [missing, lambda: ""])
async def test_without_a_readable_secret_nothing_is_taken_and_it_is_to_come_again(secret: Callable[[], str]) -> None:
    async with a_site(secret) as site:
        body = json.dumps(an_event()).encode()
        assert await site.post(body, x_vercel_signature=sign(body, "")) == 503
        assert site.outcomes == {Outcome.KEYLESS: 1}
        assert site.told == []


def test_a_receiver_without_secrets_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        WebhookReceiver(WebhookReceiverSettings(), secrets=(), clock=VirtualClock())


# Once, and not too late


async def test_an_event_that_comes_again_is_answered_and_told_once(site: Site) -> None:
    for _ in range(3):
        assert await site.post(an_event()) == 200
    assert len(site.told) == 1
    assert site.outcomes == {Outcome.TAKEN: 1, Outcome.REPEATED: 2}


async def test_only_so_many_ids_are_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # Ten thousand events would take seconds.
    monkeypatch.setattr(webhooks, "IDS_KEPT", 3)
    for number in (0, 1, 2, 0, 3, 0):
        assert await site.post(an_event(id=f"evt_{number}")) == 200
    assert site.outcomes == {Outcome.TAKEN: 5, Outcome.REPEATED: 1}
    assert len(site.receiver._taken) == 3


@pytest.mark.parametrize(
    ("ago", "status", "outcome"),
    [
        (0, 200, Outcome.TAKEN),
        (900, 200, Outcome.TAKEN),
        (900.001, 200, Outcome.STALE),
        (86_400, 200, Outcome.STALE),
        (-60, 200, Outcome.TAKEN),
        (-60.001, 400, Outcome.AHEAD),
        (-86_400, 400, Outcome.AHEAD),
    ],
)
async def test_an_event_is_told_only_in_its_time(site: Site, ago: float, status: int, outcome: Outcome) -> None:
    assert await site.post(an_event(createdAt=milliseconds(ago))) == status
    assert site.outcomes == {outcome: 1}
    assert len(site.told) == (outcome is Outcome.TAKEN)


async def test_an_event_from_the_future_is_taken_when_it_comes_again_in_its_time(site: Site) -> None:
    event = an_event(createdAt=milliseconds(-120))
    assert await site.post(event) == 400
    await site.clock.advance(60)
    assert await site.post(event) == 200
    assert len(site.told) == 1


async def test_a_replay_that_outlived_its_id_is_too_old_to_be_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "IDS_KEPT", 0)
    event = an_event()
    assert await site.post(event) == 200
    await site.clock.advance(901)
    assert await site.post(event) == 200
    assert len(site.told) == 1


# Forms


@pytest.mark.parametrize("type_", ["deployment.created", "test-webhook", "of.tomorrow"])
async def test_events_that_do_not_concern_us_are_answered_and_counted(site: Site, type_: str) -> None:
    assert await site.post(an_event(type=type_, payload=None)) == 200
    assert site.outcomes == {Outcome.IGNORED: 1}
    assert site.told == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        json.dumps(an_event()).encode()[:-1],
        json.dumps(an_event(payload=None)).encode(),
        json.dumps(an_event(payload={"project": {"id": 5}})).encode(),
        json.dumps(an_event(createdAt="now")).encode(),
        json.dumps(an_event(id=None)).encode(),
        b"\xff\xfe\x00",
    ],
)
async def test_what_is_signed_and_no_webhook_is_a_bad_request(site: Site, body: bytes) -> None:
    assert await site.post(body) == 400
    assert site.outcomes == {Outcome.MALFORMED: 1}
    assert site.told == []


async def test_no_answer_says_what_the_body_held(site: Site) -> None:
    body = json.dumps(an_event(payload={"project": {"id": ["s3cret"]}})).encode()
    response = await site.client.post(PATH, content=body, headers={"x-vercel-signature": sign(body)})
    assert (response.status_code, response.text) == (400, "this is not a webhook as documented")


# Bounds


@pytest.mark.parametrize(("size", "status"), [(1024, 200), (1025, 413)])
async def test_a_body_over_the_bound_is_refused(size: int, status: int) -> None:
    async with a_site(body_bytes_max=1024) as site:
        body = json.dumps(an_event()).encode()
        assert await site.post(body + b" " * (size - len(body))) == status
        assert site.outcomes == {Outcome.TAKEN if status == 200 else Outcome.TOO_LARGE: 1}


async def test_of_an_endless_body_no_more_than_the_bound_is_read() -> None:
    async with a_site(body_bytes_max=1024) as site:
        parts = 0

        async def endless() -> dict[str, object]:
            nonlocal parts
            parts += 1
            return {"type": "http.request", "body": b" " * 512, "more_body": True}

        assert await ask_with(site, endless) == 413
        assert parts == 3


async def ask_with(site: Site, receive: Callable[[], Any]) -> int:
    """Send a request whose body comes by *receive* and return the status of the answer."""
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": [], "query_string": b""}
    statuses: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await site.app(scope, receive, send)
    return statuses[0]


async def test_a_body_that_does_not_come_keeps_nobody_waiting() -> None:
    async with a_site(body_seconds_max=0.01) as site:

        async def never() -> dict[str, object]:
            await asyncio.Event().wait()
            raise AssertionError

        assert await ask_with(site, never) == 408
        assert site.outcomes == {Outcome.TOO_SLOW: 1}


async def test_a_body_that_breaks_off_is_not_taken(site: Site) -> None:
    parts = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, object]:
        return parts.pop(0)

    assert await ask_with(site, receive) == 408
    assert site.outcomes == {Outcome.TOO_SLOW: 1}


async def test_when_too_much_waits_it_is_to_come_again_and_then_is_taken() -> None:
    async with a_site(queue_events_max=2) as site:
        site.may_tell.clear()
        # One is being told, two wait.
        for number in range(3):
            assert await site.post(an_event(id=f"evt_{number}")) == 200
        assert site.receiver.waiting == 2
        assert await site.post(an_event(id="evt_late")) == 503
        assert site.outcomes == {Outcome.TAKEN: 3, Outcome.QUEUE_FULL: 1}
        site.may_tell.set()
        await settle()
        assert await site.post(an_event(id="evt_late")) == 200
        assert len(site.told) == 4


# The emulated Vercel delivers


@asynccontextmanager
async def vercel_and_site(scenario: Any = None) -> AsyncIterator[tuple[Driver, Site]]:
    """An emulator whose every webhook that concerns us ends at a receiver."""
    async with driving(scenario) as driver, a_site(clock=EmulatedTime(driver.clock)) as site:
        driver.client.params = {"teamId": driver.world.team.id}
        body = {"url": f"http://127.0.0.1:9{PATH}", "events": [*EVENTS_WANTED, "deployment.created"]}
        site.secret = (await driver.client.post("/v1/webhooks", json=body)).json()["secret"]
        driver.app.deliveries.courier.client = httpx.AsyncClient(transport=httpx.ASGITransport(site.app))
        yield driver, site
        await driver.app.deliveries.courier.client.aclose()


async def live(driver: Driver, *, seconds: float) -> None:
    await rounds(driver, seconds=seconds)
    await settle()


async def test_a_rollback_by_somebody_else_is_told_before_it_has_moved_anything() -> None:
    async with vercel_and_site() as (driver, site):
        await driver.roll_back("v2")
        await live(driver, seconds=0)
        left, target = driver.id_of("good"), driver.id_of("v2")
        told = RollbackRequested(driver.project_id, left, target, driver.world.user.id, site.clock.now())
        assert site.told == [told]
        assert await driver.serving() == "good"


async def test_a_promotion_is_told_after_it_has_moved_production() -> None:
    async with vercel_and_site() as (driver, site):
        await driver.deploy("staged", auto_assign=False)
        await driver.promote("staged")
        await live(driver, seconds=3)
        told = [one for one in site.told if isinstance(one, Promoted)]
        assert [(one.project, one.deployment) for one in told] == [(driver.project_id, driver.id_of("staged"))]
        assert await driver.serving() == "staged"


async def test_a_release_is_told_as_a_build_that_succeeded_and_then_was_promoted() -> None:
    async with vercel_and_site() as (driver, site):
        await driver.deploy("next")
        await driver.deploy("preview", target="preview")
        await live(driver, seconds=2)
        assert [type(told) for told in site.told] == [Succeeded, Promoted]
        assert {told.deployment for told in site.told} == {driver.id_of("next")}
        # The creations of both builds, and the preview's success.
        assert site.outcomes == {Outcome.TAKEN: 2, Outcome.IGNORED: 3}


async def test_a_rolling_release_is_told_with_both_of_its_deployments() -> None:
    async with vercel_and_site(a_releasing_scenario(requests_per_second=0)) as (driver, site):
        releaser = Releaser(driver)
        await releaser.configure()
        await releaser.start()
        await releaser.approve(1)
        await driver.roll_back("good")
        await live(driver, seconds=2)
        changes = [told for told in site.told if isinstance(told, ReleaseChanged)]
        assert [told.change for told in changes] == [
            ReleaseChange.STARTED,
            ReleaseChange.APPROVED,
            ReleaseChange.ABORTED,
        ]
        assert {(told.base, told.canary) for told in changes} == {(driver.id_of("good"), driver.id_of("canary"))}


@pytest.mark.parametrize("knob", ["group", "minimal"])
async def test_an_alert_is_told_whatever_its_payload_is(knob: str) -> None:
    async with vercel_and_site(a_scenario(knobs={"alerts_payload": knob})) as (driver, site):
        project = driver.world.project("web")
        details = {"group": {"id": "g1", "title": "5xx"}}
        driver.world.events.publish(WorldEvent("alerts.triggered", driver.world.now_ms, project, None, details))
        await live(driver, seconds=0)
        assert site.told == [AlertTriggered(project.id, site.clock.now())]


async def test_what_was_refused_while_the_queue_was_full_is_delivered_again() -> None:
    async with vercel_and_site() as (driver, site):
        site.receiver._queue._maxsize = 1
        site.may_tell.clear()
        for name in ("v2", "v1", "v2"):
            await driver.roll_back(name)
            await live(driver, seconds=5)
        assert site.outcomes[Outcome.QUEUE_FULL] > 0
        site.may_tell.set()
        await live(driver, seconds=60)
        assert [told.to_deployment for told in site.told] == [driver.id_of(name) for name in ("v2", "v1", "v2")]


async def test_what_another_secret_signed_is_delivered_in_vain() -> None:
    async with vercel_and_site() as (driver, site):
        site.secret = "another"
        await driver.roll_back("v2")
        await live(driver, seconds=0)
        assert site.outcomes == {Outcome.UNSIGNED: 1}
        assert (await driver.control("deliveries"))["waiting"] == 1
