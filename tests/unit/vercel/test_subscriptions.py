"""The team's drains and webhooks as Vercel lists them, and what a drain lets through."""

from typing import Any

import pytest

from daemon.emulator.drain_specs import parse_drain
from daemon.ports.errors import Refused, Unintelligible
from daemon.vercel.subscriptions import Drain, production_share, read_drains, read_webhooks, uncovered
from tests.contract.stages.log_drain import ENDPOINT, a_drain
from tests.unit.vercel.emulated import emulated

SHOP = "prj_shop"


def listed(**changes: Any) -> Drain:
    delivery = {"type": "http", "endpoint": ENDPOINT, "secret": "s3cret"}
    return Drain.model_validate({"id": "drn_1", "schemas": {"log": {}}, "delivery": delivery} | changes)


def basic(**filters: Any) -> dict[str, Any]:
    return {"filterV2": {"version": "v2", "filter": {"type": "basic", **filters}}}


async def test_drains_are_read_with_where_they_end() -> None:
    async with emulated() as vercel:
        vercel.app.deliveries.drains.create(vercel.world.team, parse_drain(a_drain()))
        [drain] = await read_drains(vercel.reader)
        assert (drain.status, drain.delivery.url, drain.project_ids) == ("enabled", ENDPOINT, None)
        assert uncovered(drain, project=vercel.project) == ""
        assert vercel.mutations() == []


async def test_webhooks_are_read_with_their_events() -> None:
    async with emulated() as vercel:
        hooks = vercel.app.deliveries.webhooks
        hooks.create(vercel.world.team, url="http://127.0.0.1:9/w", events=("deployment.promoted",), project_ids=None)
        [webhook] = await read_webhooks(vercel.reader)
        assert (webhook.url, list(webhook.events), webhook.project_ids) == (
            "http://127.0.0.1:9/w",
            ["deployment.promoted"],
            None,
        )


async def test_a_refusal_and_an_answer_of_another_form_are_told_apart() -> None:
    async with emulated() as vercel:
        vercel.fault(kind="status", route="drains", status=402)
        with pytest.raises(Refused):
            await read_drains(vercel.reader)
        vercel.fault(kind="html", route="webhooks")
        with pytest.raises(Unintelligible):
            await read_webhooks(vercel.reader)


def test_a_secret_that_vercel_shows_is_not_shown_again() -> None:
    assert "s3cret" not in repr(listed())


def test_a_drain_to_a_bucket_has_no_address_of_ours() -> None:
    assert listed(delivery={"type": "s3", "endpoint": "https://bucket"}).delivery.url is None
    assert listed(delivery={"type": "http", "endpoint": {"traces": "https://t"}}).delivery.url is None


@pytest.mark.parametrize(
    ("rules", "share"),
    [
        (None, 1.0),
        ([], 1.0),
        ([{"rate": 0.25}], 0.25),
        ([{"rate": 1, "env": "preview"}], 0.0),
        ([{"rate": 1, "env": "preview"}, {"rate": 0.5, "env": "production"}], 0.5),
        ([{"rate": 0.5}, {"rate": 1, "requestPath": "/api"}], 0.5),
        ([{"rate": 0.5, "requestPath": "/api"}, {"rate": 1}], None),
    ],
)
def test_the_first_rule_that_holds_production_decides_its_share(rules: Any, share: float | None) -> None:
    assert production_share(listed(sampling=rules)) == share


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        (basic(), ""),
        (basic(deployment={"environments": ["production", "preview"]}), ""),
        (basic(deployment={"environments": ["preview"]}), "its filter leaves out production"),
        (basic(log={"sources": ["edge", "external", "lambda", "redirect", "static", "build"]}), ""),
        (basic(log={"sources": ["lambda"]}), "its filter leaves out the sources edge, external, redirect, static"),
        (basic(project={"ids": [SHOP]}), ""),
        (basic(project={"ids": ["prj_other"]}), "its filter leaves out this project"),
        ({"schemas": {"trace": {}}}, "it sends trace, and no logs"),
        ({"filterV2": {"version": "v2", "filter": {"type": "odata", "text": "source eq 'lambda'"}}}, None),
    ],
)
def test_what_a_filter_leaves_out_is_told(changes: Any, said: str | None) -> None:
    assert uncovered(listed(**changes), project=SHOP) == said
