"""The moves of production: what is accepted, what is refused, and when the domains follow."""

import httpx
import pytest

from tests.unit.emulator.driving import Driver, a_project, a_scenario, driving


def error(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_a_rollback_is_accepted_with_an_empty_201_that_has_no_content_type(vercel: Driver) -> None:
    response = await vercel.roll_back("v2")
    assert response.status_code == 201
    assert response.content == b""
    assert "content-type" not in response.headers


async def test_a_rollback_moves_production_only_when_its_job_has_succeeded(vercel: Driver) -> None:
    await vercel.roll_back("v2", description="5xx spike")
    seen = []
    for step in (0, 0.299, 0.001, 1.199, 0.001):
        vercel.clock.advance(step)
        project = await vercel.project()
        seen.append((project["lastAliasRequest"]["jobStatus"], await vercel.serving()))
    assert seen == [
        ("pending", "good"),
        ("pending", "good"),
        ("in-progress", "good"),
        ("in-progress", "good"),
        ("succeeded", "v2"),
    ]
    assert project["lastAliasRequest"] == {
        "fromDeploymentId": vercel.id_of("good"),
        "toDeploymentId": vercel.id_of("v2"),
        "fromRollingReleaseId": None,
        "jobStatus": "succeeded",
        "requestedAt": vercel.world.start_ms,
        "type": "rollback",
    }
    assert project["rollbackDescription"]["description"] == "5xx spike"


@pytest.mark.parametrize(("characters", "status"), [(250, 201), (251, 400)])
async def test_a_reason_that_is_too_long_is_refused_and_nothing_moves(
    vercel: Driver, characters: int, status: int
) -> None:
    response = await vercel.roll_back("v2", description="x" * characters)
    assert response.status_code == status
    assert len(vercel.world.project("web").jobs) == (status == 201)


async def test_a_rolled_back_project_keeps_new_builds_staged_until_somebody_promotes(vercel: Driver) -> None:
    await vercel.roll_back("v2")
    vercel.clock.advance(2)
    await vercel.deploy("fix")
    assert await vercel.serving() == "v2"
    assert vercel.world.deployment("web", "fix").substate == "STAGED"

    assert (await vercel.promote("fix")).status_code == 201
    vercel.clock.advance(2)
    assert await vercel.serving() == "fix"
    assert vercel.world.deployment("web", "fix").substate == "PROMOTED"
    await vercel.deploy("later")
    assert await vercel.serving() == "later"


async def test_a_new_production_build_takes_the_domains_when_it_is_ready_and_not_before(vercel: Driver) -> None:
    await vercel.control("deployments", {"project": "web", "name": "next", "build": "10s"})
    vercel.clock.advance(9.999)
    assert await vercel.serving() == "good"
    vercel.clock.advance(0.001)
    assert await vercel.serving() == "next"
    assert vercel.world.ledger.moves[-1].kind == "auto-assign"
    assert vercel.world.ledger.applied() == []


@pytest.mark.parametrize(
    "build", [{"target": "preview"}, {"ends": "ERROR"}, {"ends": "CANCELED"}, {"auto_assign": False}], ids=str
)
async def test_a_build_that_is_no_good_production_build_never_takes_the_domains(
    vercel: Driver, build: dict[str, object]
) -> None:
    await vercel.deploy("other", **build)
    assert await vercel.serving() == "good"


async def test_no_build_takes_the_domains_where_auto_assignment_is_switched_off() -> None:
    async with driving(a_scenario(projects=[a_project(auto_assign=False)])) as vercel:
        await vercel.deploy("next")
        assert await vercel.serving() == "good"
        await vercel.client.patch("/v9/projects/web", json={"autoAssignCustomDomains": True})
        await vercel.deploy("after")
        assert await vercel.serving() == "after"


@pytest.mark.parametrize(("knob", "code"), [(409, "conflict"), (422, "unprocessable_entity")])
async def test_a_rollback_to_the_current_deployment_is_refused_as_the_knob_says(knob: int, code: str) -> None:
    async with driving(a_scenario(knobs={"rollback_to_current": knob})) as vercel:
        assert error(await vercel.roll_back("good")) == (knob, code)
        assert (await vercel.project())["lastAliasRequest"] is None


@pytest.mark.parametrize("knob", [409, 422])
async def test_a_rollback_to_a_build_that_never_served_is_refused_as_the_knob_says(knob: int) -> None:
    async with driving(a_scenario(knobs={"rollback_to_unpromoted": knob})) as vercel:
        await vercel.deploy("staged", auto_assign=False)
        assert (await vercel.roll_back("staged")).status_code == knob


async def test_a_rollback_to_an_unknown_deployment_or_one_of_another_project_is_not_found() -> None:
    scenario = a_scenario(projects=[a_project(), a_project(name="docs", domains=[])])
    async with driving(scenario) as vercel:
        unknown = await vercel.client.post("/v9/projects/web/rollback/dpl_nobody")
        foreign = await vercel.client.post(f"/v9/projects/web/rollback/{vercel.id_of('v2', 'docs')}")
        assert [error(unknown), error(foreign)] == [(404, "not_found")] * 2


async def test_hobby_goes_back_to_the_previous_deployment_but_no_further() -> None:
    async with driving(a_scenario(team={"plan": "hobby"})) as vercel:
        refused = await vercel.roll_back("v1")
        assert error(refused) == (402, "payment_required")
        assert "upgrade to pro" in refused.json()["error"]["message"]
        assert (await vercel.roll_back("v2")).status_code == 201


async def test_a_second_job_is_refused_while_one_is_running(vercel: Driver) -> None:
    await vercel.roll_back("v2")
    assert error(await vercel.roll_back("v1")) == (409, "conflict")
    assert error(await vercel.promote("v1")) == (409, "conflict")
    vercel.clock.advance(2)
    assert (await vercel.roll_back("v1")).status_code == 201


async def test_promoting_the_current_deployment_is_a_conflict_in_vercels_words(vercel: Driver) -> None:
    response = await vercel.promote("good")
    assert error(response) == (409, "conflict")
    current = vercel.id_of("good")
    expected = f"The provided deploymentId ({current}) is already the current production deployment."
    assert response.json()["error"]["message"] == expected


@pytest.mark.parametrize(("knob", "status"), [("accept", 201), ("409", 409), ("422", 422)])
async def test_promoting_a_deployment_that_served_before_answers_as_the_knob_says(knob: str, status: int) -> None:
    async with driving(a_scenario(knobs={"promote_older": knob})) as vercel:
        assert (await vercel.promote("v2")).status_code == status


async def test_a_preview_cannot_be_promoted_without_a_rebuild(vercel: Driver) -> None:
    await vercel.deploy("preview", target="preview")
    assert (await vercel.promote("preview")).status_code == 422


@pytest.mark.parametrize("is_visible", [True, False])
async def test_the_auto_assign_field_shows_the_pin_or_not_as_the_knob_says(is_visible: bool) -> None:
    async with driving(a_scenario(knobs={"pinned_reads_auto_assign_false": is_visible})) as vercel:
        await vercel.roll_back("v2")
        assert (await vercel.project())["autoAssignCustomDomains"] is not is_visible
        vercel.clock.advance(2)
        await vercel.client.patch("/v9/projects/web", json={"autoAssignCustomDomains": True})
        assert vercel.world.project("web").pinned is not is_visible


@pytest.mark.parametrize(
    ("outcome", "status", "serving", "moved"),
    [
        ("succeeded", "succeeded", "v2", {"v2"}),
        ("failed", "failed", "good", {"good"}),
        ("skipped", "skipped", "good", {"good"}),
        ("partial", "failed", "good", {"good", "v2"}),
        ("stuck", "in-progress", "good", {"good"}),
        ("stuck-pending", "pending", "good", {"good"}),
    ],
)
async def test_an_alias_job_ends_as_its_fault_says(
    vercel: Driver, outcome: str, status: str, serving: str, moved: set[str]
) -> None:
    await vercel.control("faults", {"kind": "job", "route": "rollback", "outcome": outcome})
    assert (await vercel.roll_back("v2")).status_code == 201
    vercel.clock.advance(600)
    assert (await vercel.project())["lastAliasRequest"]["jobStatus"] == status
    assert await vercel.serving() == serving
    truth = (await vercel.control("world"))["projects"][0]
    assert set(truth["domains"].values()) == moved
    assert len(vercel.world.ledger.applied("rollback")) == (outcome == "succeeded")


async def test_a_partial_job_lists_the_alias_that_failed_and_where_it_still_points(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "job", "outcome": "partial"})
    await vercel.roll_back("v2")
    vercel.clock.advance(2)
    path = f"/v9/projects/{vercel.project_id}/rollback/aliases"
    failed = await vercel.json(path, failedOnly="true", limit=20)
    everything = await vercel.json(path)
    good = vercel.id_of("good")
    assert [row["alias"] for row in failed["aliases"]] == [{"alias": "www.example.com", "deploymentId": good}]
    assert [row["status"] for row in everything["aliases"]] == ["completed", "failed"]


async def test_a_stuck_job_ends_when_it_is_told_to(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "job", "outcome": "stuck"})
    await vercel.roll_back("v2")
    vercel.clock.advance(600)
    await vercel.control("finish-job", {"project": "web", "outcome": "succeeded"})
    assert await vercel.serving() == "v2"


async def test_a_job_that_was_ended_by_hand_does_not_end_again_by_itself(vercel: Driver) -> None:
    await vercel.roll_back("v2")
    await vercel.control("finish-job", {"project": "web", "outcome": "failed"})
    vercel.clock.advance(60)
    assert await vercel.serving() == "good"
    assert vercel.world.ledger.applied() == []


async def test_a_human_moves_production_by_the_same_rules(vercel: Driver) -> None:
    await vercel.control("rollback", {"project": "web", "deployment": "v2", "by": "grace"})
    vercel.clock.advance(2)
    assert await vercel.serving() == "v2"
    move = vercel.world.ledger.applied()[-1]
    assert (move.by, move.kind, move.from_id, move.to_id) == (
        "grace",
        "rollback",
        vercel.id_of("good"),
        vercel.id_of("v2"),
    )
    refused = await vercel.client.post("/__control/promote", json={"project": "web", "deployment": "v2"})
    assert refused.status_code == 409
