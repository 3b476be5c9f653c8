"""Both answers to everything that nobody outside Vercel knows: each knob changes what a client sees."""

import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.emulator.events import WorldEvent
from daemon.emulator.fault_specs import JobFault, JobOutcome
from daemon.emulator.knobs import ENVIRONMENT_VARIABLE, OTHER_ANSWERS, Knobs, environment_answers
from tests.unit.emulator.driving import Driver, a_project, a_scenario, driving
from tests.unit.emulator.receiving import connected, rounds
from tests.unit.emulator.releasing import Releaser, a_releasing_scenario
from tests.unit.emulator.test_drains import a_drain, create, proving
from tests.unit.emulator.test_webhooks import subscribe

Probe = Callable[[Driver], Awaitable[Any]]


async def code_of_a_rollback(driver: Driver, name: str = "good") -> Any:
    response = await driver.roll_back(name)
    return response.status_code, response.json()["error"]["code"]


async def rollback_to_current(driver: Driver) -> Any:
    return await code_of_a_rollback(driver)


async def rollback_to_unpromoted(driver: Driver) -> Any:
    await driver.deploy("staged", auto_assign=False)
    return (await driver.roll_back("staged")).status_code


async def promote_older(driver: Driver) -> Any:
    return (await driver.promote("v2")).status_code


async def rollback_to_deleted(driver: Driver) -> Any:
    deployment = driver.world.deployment("web", "v2")
    driver.world.builds.delete(deployment)
    response = await driver.client.post(f"/v9/projects/{driver.project_id}/rollback/{deployment.id}", json={})
    return response.status_code


async def pinned_field(driver: Driver) -> Any:
    await driver.roll_back("v2")
    driver.clock.advance(3)
    return (await driver.project())["autoAssignCustomDomains"]


async def auto_assign_after_promote(driver: Driver) -> Any:
    await driver.client.patch(f"/v9/projects/{driver.project_id}", json={"autoAssignCustomDomains": False})
    await driver.promote("v2")
    return (await driver.project())["autoAssignCustomDomains"]


async def production_after_a_partial_job(driver: Driver) -> Any:
    driver.world.faults.set(JobFault(outcome=JobOutcome.PARTIAL))
    await driver.roll_back("v2")
    driver.clock.advance(3)
    return await driver.serving()


async def aborted_canary(driver: Driver) -> Any:
    releaser = Releaser(driver)
    await releaser.configure()
    await releaser.start()
    await driver.roll_back("good")
    driver.clock.advance(3)
    driver.world.advance()
    return releaser.canary().substate


async def alias_rows(driver: Driver) -> Any:
    await driver.roll_back("v2")
    rows = (await driver.json(f"/v9/projects/{driver.project_id}/rollback/aliases"))["aliases"]
    return type(rows[0]["alias"])


async def alias_request_without_the_flag(driver: Driver) -> Any:
    return "lastAliasRequest" in await driver.json(f"/v9/projects/{driver.project_id}")


async def read_just_after_a_move(driver: Driver) -> Any:
    await driver.roll_back("v2")
    driver.clock.advance(1.6)
    project = await driver.project()
    return project["targets"]["production"]["id"]


async def without_a_team(driver: Driver) -> Any:
    return (await driver.get("/v6/deployments")).status_code


async def move_by_a_project_token(driver: Driver) -> Any:
    async with driver.client_as("one") as client:
        return (await client.post(f"/v9/projects/web/rollback/{driver.id_of('v2')}", json={})).status_code


async def limit_in_the_header(driver: Driver) -> Any:
    return (await driver.get("/v2/user")).headers.get("x-ratelimit-limit")


async def counts_just_visible(driver: Driver) -> Any:
    driver.clock.advance(60)
    return sum(row["vercel_request_count_sum"] for row in (await driver.query()).json()["summary"])


async def counts_status(driver: Driver) -> Any:
    return (await driver.query()).status_code


async def counts_of_long_ago(driver: Driver) -> Any:
    return (await driver.query(startTime="2026-09-01T00:00:00Z", granularity={"days": 1})).status_code


async def undocumented_route(driver: Driver) -> Any:
    return (await driver.get("/metrics/v1", limit=10)).status_code


async def largest_batch(driver: Driver) -> Any:
    receiver = proving(driver)
    await create(driver, delivery={"encoding": "json"})
    await rounds(driver, seconds=10, step=10)
    return max(len(batch) for batch in receiver.bodies())


async def tries_of_a_batch(driver: Driver) -> Any:
    receiver = proving(driver)
    await create(driver)
    receiver.got.clear()
    receiver.statuses = [500]
    await rounds(driver, seconds=5)
    return len({body for _, body in receiver.got}) == len(receiver.got)


async def unproved_endpoint(driver: Driver) -> Any:
    connected(driver)
    return (await driver.client.post("/v1/drains", json=a_drain())).status_code


async def batches_of_an_errored_drain(driver: Driver) -> Any:
    receiver = proving(driver)
    await create(driver)
    receiver.statuses = [500] * 1000
    await rounds(driver, seconds=4)
    first = len({body for _, body in receiver.got})
    await rounds(driver, seconds=10)
    return len({body for _, body in receiver.got}) > first


async def alert(driver: Driver) -> Any:
    receiver = connected(driver)
    await subscribe(driver, "alerts.triggered")
    details = {"group": {"id": "g1", "title": "5xx"}}
    event = WorldEvent("alerts.triggered", driver.world.now_ms, driver.world.project("web"), None, details)
    driver.world.events.publish(event)
    await rounds(driver, seconds=0)
    return receiver.bodies()[0]["payload"]["group"]


async def new_bypass_secret(driver: Driver) -> Any:
    answer = await driver.client.patch(f"/v1/projects/{driver.project_id}/protection-bypass", json={})
    (secret,) = answer.json()["protectionBypass"]
    headers = {"host": driver.world.deployment("web", "good").url, "x-vercel-protection-bypass": secret}
    return (await driver.client.get("/", headers=headers)).status_code


TOKENS = [
    {"value": "tok_emulator_act", "name": "actor"},
    {"value": "one", "name": "one", "projects": ["web"]},
]
HOBBY: Mapping[str, Any] = {"team": {"plan": "hobby"}}
PROTECTED: Mapping[str, Any] = {"projects": [a_project(protection="all")]}
PROBES: Mapping[str, tuple[Probe, Mapping[str, Any]]] = {
    "rollback_to_current": (rollback_to_current, {}),
    "rollback_to_unpromoted": (rollback_to_unpromoted, {}),
    "refusal_codes": (rollback_to_current, {}),
    "payment_code": (lambda driver: code_of_a_rollback(driver, "v1"), HOBBY),
    "promote_older": (promote_older, {}),
    "rollback_to_deleted": (rollback_to_deleted, {}),
    "pinned_reads_auto_assign_false": (pinned_field, {}),
    "promote_sets_auto_assign": (auto_assign_after_promote, {}),
    "partial_job_moves_production": (production_after_a_partial_job, {}),
    "aborted_canary_substate": (aborted_canary, {}),
    "alias_rows": (alias_rows, {}),
    "alias_request": (alias_request_without_the_flag, {}),
    "stale_reads_seconds": (read_just_after_a_move, {}),
    "missing_team_id": (without_a_team, {}),
    "project_token_moves": (move_by_a_project_token, {}),
    "rate_limit_per_minute": (limit_in_the_header, {}),
    "rate_limit_headers": (limit_in_the_header, {}),
    "metrics_lag_seconds": (counts_just_visible, {}),
    "hobby_counts": (counts_status, HOBBY),
    "metrics_retention": (counts_of_long_ago, {}),
    "undocumented_routes": (undocumented_route, {}),
    "drain_batch_entries": (largest_batch, {}),
    "drain_retries": (tries_of_a_batch, {}),
    "drain_verification": (unproved_endpoint, {}),
    "errored_drain": (batches_of_an_errored_drain, {"knobs": {"drain_retries": "none"}}),
    "alerts_payload": (alert, {}),
    "bypass_delay_seconds": (new_bypass_secret, PROTECTED),
}


@pytest.mark.parametrize("name", list(Knobs.model_fields))
async def test_each_knob_changes_what_a_client_sees(name: str) -> None:
    probe, changes = PROBES[name]
    seen = []
    for answers in ({}, {name: OTHER_ANSWERS[name]}):
        knobs = {**changes.get("knobs", {}), **answers}
        make = a_releasing_scenario if name == "aborted_canary_substate" else a_scenario
        async with driving(make(tokens=TOKENS, **{**changes, "knobs": knobs})) as driver:
            seen.append(await probe(driver))
    assert seen[0] != seen[1]


def test_every_knob_has_another_answer_that_is_no_default() -> None:
    assert set(OTHER_ANSWERS) == set(Knobs.model_fields) == set(PROBES)
    defaults = Knobs().model_dump()
    others = Knobs.model_validate(dict(OTHER_ANSWERS)).model_dump()
    assert [name for name in defaults if defaults[name] == others[name]] == []


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("", {}),
        ("other", dict(OTHER_ANSWERS)),
        ("alias_rows", {"alias_rows": "string"}),
        ("alias_rows=string, stale_reads_seconds=2", {"alias_rows": "string", "stale_reads_seconds": 2}),
        ("rate_limit_headers=false", {"rate_limit_headers": False}),
    ],
)
def test_the_environment_can_give_answers(text: str, answers: dict[str, Any]) -> None:
    assert environment_answers({ENVIRONMENT_VARIABLE: text}) == answers


def test_an_unknown_knob_in_the_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="no knob 'colour'"):
        environment_answers({ENVIRONMENT_VARIABLE: "colour=red"})


def test_a_scenario_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "other")
    assert a_scenario().knobs.alias_rows == "string"
    assert a_scenario(knobs={"alias_rows": "nested"}).knobs.alias_rows == "nested"
    assert a_scenario(knobs={"alias_rows": "nested"}).knobs.refusal_codes == "bad_request"


def test_every_knob_is_in_the_documents_table_and_no_other() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")
    table = text[text.index("## What nobody knows") :]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) != []
    assert set(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == set(Knobs.model_fields)
