"""The live tail of a deployment's log: from now on, its own lines only, and no header before the first."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from tests.unit.emulator.driving import ACTOR, Driver, driving
from tests.unit.emulator.observing import a_failing_scenario


@pytest.fixture
async def vercel() -> AsyncIterator[Driver]:
    async with driving(a_failing_scenario()) as driver:
        yield driver


def path(driver: Driver, name: str = "good") -> str:
    return f"/v1/projects/{driver.project_id}/deployments/{driver.id_of(name)}/runtime-logs"


async def tailed(driver: Driver, name: str = "good") -> tuple[str, list[Any]]:
    answer = await driver.get(path(driver, name), format="lines")
    assert answer.status_code == 200
    return answer.headers["content-type"], [json.loads(line) for line in answer.text.splitlines()]


async def test_a_tail_has_what_is_logged_from_now_on_and_nothing_older(vercel: Driver) -> None:
    begun = vercel.clock.now_ms()
    await vercel.control("faults", {"kind": "tail-limit", "lines": 5})
    content_type, lines = await tailed(vercel)
    assert content_type == "application/stream+json"
    *logged, last = lines
    assert len(logged) == 5
    assert all(line["timestampInMs"] >= begun for line in logged)
    assert [line["timestampInMs"] for line in logged] == sorted(line["timestampInMs"] for line in logged)
    assert {line["level"] for line in logged} == {"error"}
    assert {line["responseStatusCode"] for line in logged} <= {500, 503}
    assert len({line["rowId"] for line in logged}) == 5
    assert (last["rowId"], last["level"], last["source"], last["message"]) == (
        "",
        "error",
        "delimiter",
        "limit reached",
    )
    assert last["responseStatusCode"] == 0


async def test_a_tail_ends_after_five_minutes(vercel: Driver) -> None:
    begun = vercel.clock.now_ms()
    _, lines = await tailed(vercel)
    assert vercel.clock.now_ms() == begun + 300_000
    own = vercel.world.traffic_of(vercel.world.project("web")).counts.rows
    logged = [
        row for row in own if row.at_ms >= begun and row.message and row.key.deployment_id == vercel.id_of("good")
    ]
    assert [line["timestampInMs"] for line in lines] == [row.at_ms for row in logged]


async def test_no_header_is_sent_before_something_is_logged(vercel: Driver) -> None:
    sent: list[tuple[int, Message]] = []
    begun = vercel.clock.now_ms()

    async def send(message: Message) -> None:
        sent.append((vercel.clock.now_ms(), message))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET",
        "path": path(vercel),
        "raw_path": path(vercel).encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {ACTOR}".encode())],
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }
    await vercel.control("faults", {"kind": "tail-limit", "lines": 1})
    await vercel.app(scope, receive, send)
    (started_ms, start), (_, first), *_ = sent
    assert start["type"] == "http.response.start"
    assert started_ms >= json.loads(first["body"])["timestampInMs"] > begun


async def test_a_deployment_that_nobody_visits_logs_nothing(vercel: Driver) -> None:
    _, lines = await tailed(vercel, "v1")
    assert lines == []


async def test_an_unknown_deployment_is_not_found(vercel: Driver) -> None:
    answer = await vercel.get(f"/v1/projects/{vercel.project_id}/deployments/dpl_x/runtime-logs")
    assert answer.status_code == 404
