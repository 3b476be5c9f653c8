"""Rolling releases: who gets which share of the visitors, what moves a release on, and what ends it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.emulator.driving import READER, Driver, driving
from tests.unit.emulator.releasing import Releaser, a_releasing_scenario

BOOM = {"ratio": 0.4, "message": "TypeError: boom"}


@pytest.fixture
async def vercel() -> AsyncIterator[Driver]:
    async with driving(a_releasing_scenario()) as driver:
        yield driver


@pytest.fixture
def releaser(vercel: Driver) -> Releaser:
    return Releaser(vercel)


async def test_without_a_configuration_there_is_nothing_to_see_and_nothing_starts(releaser: Releaser) -> None:
    assert await releaser.state() is None
    assert (await releaser.driver.project())["rollingRelease"] is None
    assert (await releaser.start()).status_code == 400


async def test_a_configuration_is_read_back_as_it_was_written_until_it_is_deleted(releaser: Releaser) -> None:
    gate = {"enabled": True, "dryRun": True, "action": "rollback", "checks": [{"type": "error-rate-5xx"}]}
    assert (await releaser.configure(gate=gate)).status_code == 200
    shown = (await releaser.driver.json(releaser.path("/config")))["rollingRelease"]
    assert [stage["targetPercentage"] for stage in shown["stages"]] == [10, 50, 100]
    assert [stage.get("duration") for stage in shown["stages"]] == [5, 10, None]
    assert (shown["gate"]["failureThreshold"], shown["gate"]["windowSize"]) == (3, 5)
    assert shown["gate"]["checks"][0]["minSampleSize"] == 100
    assert (await releaser.driver.project())["rollingRelease"] == shown
    assert (await releaser.driver.client.delete(releaser.path("/config"))).json() == {"rollingRelease": None}
    assert await releaser.driver.json(releaser.path("/config")) == {"rollingRelease": None}


@pytest.mark.parametrize(
    "change",
    [
        {"stages": [{"targetPercentage": 100}]},
        {"stages": [{"targetPercentage": 10, "duration": 5}, {"targetPercentage": 90}]},
        {"stages": [{"targetPercentage": 50, "duration": 5}, {"targetPercentage": 50}, {"targetPercentage": 100}]},
        {"stages": [{"targetPercentage": 10}, {"targetPercentage": 100}]},
        {"advancementType": "manual-approval"},
        {"advancementType": "by-hand"},
        {"unknown": 1},
    ],
)
async def test_a_configuration_that_makes_no_sense_is_refused(releaser: Releaser, change: dict[str, Any]) -> None:
    assert (await releaser.configure(**change)).status_code == 400
    assert await releaser.driver.json(releaser.path("/config")) == {"rollingRelease": None}


async def test_a_started_release_serves_the_first_share_and_leaves_production_alone(releaser: Releaser) -> None:
    await releaser.configure()
    started = await releaser.start()
    assert started.status_code == 200
    state = await releaser.state()
    assert state == started.json()["rollingRelease"]
    assert (state["state"], state["substate"], state["advancementType"]) == ("ACTIVE", None, "automatic")
    assert state["activeStage"] == {
        "index": 0,
        "isFinalStage": False,
        "targetPercentage": 10,
        "requireApproval": False,
        "duration": 300,
    }
    assert state["nextStage"]["index"] == 1
    assert state["currentDeployment"]["id"] == releaser.driver.id_of("good")
    assert state["canaryDeployment"]["id"] == releaser.driver.id_of("canary")
    assert await releaser.driver.serving() == "good"
    row = (await releaser.driver.json("/v6/deployments", projectId="web"))["deployments"][0]
    assert (row["readySubstate"], row["isRollbackCandidate"]) == ("ROLLING", False)
    assert await releaser.shares(seconds=120) == pytest.approx(0.1, abs=0.03)


@pytest.mark.slow
async def test_stages_advance_on_time_and_the_last_one_is_production(releaser: Releaser) -> None:
    await releaser.configure()
    await releaser.start()
    releaser.driver.clock.advance(5 * 60)
    assert (await releaser.state())["activeStage"]["index"] == 1
    assert await releaser.shares(seconds=120) == pytest.approx(0.5, abs=0.04)
    releaser.driver.clock.advance(8 * 60)
    state = await releaser.state()
    assert (state["state"], state["activeStage"]["isFinalStage"], state["nextStage"]) == ("COMPLETE", True, None)
    assert await releaser.driver.serving() == "canary"
    assert await releaser.shares(seconds=30) == 1.0
    assert releaser.canary().substate == "PROMOTED"
    assert [move.kind for move in releaser.driver.world.ledger.moves] == ["rolling-release"]


@pytest.mark.slow
async def test_a_linear_shift_moves_evenly_to_the_next_stage(releaser: Releaser) -> None:
    stages = [{"targetPercentage": 20, "duration": 10, "linearShift": True}, {"targetPercentage": 100}]
    await releaser.configure(stages=stages)
    await releaser.start()
    shares = []
    for _ in range(3):
        shares.append((await releaser.state())["currentCanaryPercentage"])
        releaser.driver.clock.advance(3 * 60)
    assert shares == [20, 44, 68]
    releaser.driver.clock.advance(60)
    assert (await releaser.state())["state"] == "COMPLETE"


async def test_a_stage_that_needs_approval_waits_for_it() -> None:
    async with driving(a_releasing_scenario(requests_per_second=0)) as driver:
        await approve_every_stage(Releaser(driver))


async def approve_every_stage(releaser: Releaser) -> None:
    await releaser.configure(
        advancementType="manual-approval",
        stages=[{"targetPercentage": 25}, {"targetPercentage": 75}, {"targetPercentage": 100}],
    )
    await releaser.start()
    releaser.driver.clock.advance(3_600)
    state = await releaser.state()
    assert (state["activeStage"]["index"], state["activeStage"]["requireApproval"]) == (0, True)
    assert (await releaser.approve(2)).status_code == 409
    assert (await releaser.approve(1)).status_code == 200
    assert (await releaser.approve(1)).status_code == 409
    assert (await releaser.approve(2)).json()["rollingRelease"]["state"] == "COMPLETE"
    assert await releaser.driver.serving() == "canary"


async def test_complete_takes_over_at_once(releaser: Releaser) -> None:
    await releaser.configure()
    assert (await releaser.complete()).status_code == 404
    await releaser.start()
    assert (await releaser.complete("good")).status_code == 409
    assert (await releaser.complete()).json()["rollingRelease"]["state"] == "COMPLETE"
    assert await releaser.driver.serving() == "canary"


async def test_a_rollback_to_the_base_aborts_the_release_and_moves_nothing(releaser: Releaser) -> None:
    await releaser.configure()
    await releaser.start()
    releaser.driver.clock.advance(60)
    assert (await releaser.driver.roll_back("good")).status_code == 201
    assert (await releaser.state())["state"] == "ACTIVE"
    releaser.driver.clock.advance(2)
    state = await releaser.state()
    assert (state["state"], state["activeStage"], state["nextStage"]) == ("ABORTED", None, None)
    project = await releaser.driver.project()
    assert project["targets"]["production"]["id"] == releaser.driver.id_of("good")
    assert (
        project["lastAliasRequest"]["fromRollingReleaseId"]
        == releaser.driver.world.rolling.all(releaser.driver.world.project("web"))[0].id
    )
    assert await releaser.shares(seconds=60) == 0.0
    await releaser.driver.deploy("later")
    assert await releaser.driver.serving() == "good", "an abort is a rollback, and a rollback pins"


async def test_a_rollback_to_another_deployment_aborts_the_release_too(releaser: Releaser) -> None:
    await releaser.configure()
    await releaser.start()
    await releaser.driver.roll_back("v2")
    releaser.driver.clock.advance(2)
    assert (await releaser.state())["state"] == "ABORTED"
    assert await releaser.driver.serving() == "v2"


@pytest.mark.parametrize(("substate", "is_candidate"), [("STAGED", False), ("PROMOTED", True)])
async def test_what_an_aborted_canary_is_depends_on_the_knob(substate: str, is_candidate: bool) -> None:
    async with driving(a_releasing_scenario(knobs={"aborted_canary_substate": substate})) as driver:
        releaser = Releaser(driver)
        await releaser.configure()
        await releaser.start()
        await driver.roll_back("good")
        driver.clock.advance(2)
        driver.world.advance()
        assert releaser.canary().substate == substate
        assert releaser.canary().is_rollback_candidate == is_candidate


async def test_a_promote_during_a_release_is_queued_and_released_after_it(releaser: Releaser) -> None:
    await releaser.configure()
    await releaser.start()
    queued = await releaser.driver.promote("v2")
    assert (queued.status_code, queued.json()) == (202, {})
    assert (await releaser.state())["queuedDeploymentId"] == releaser.driver.id_of("v2")
    assert (await releaser.driver.project())["lastAliasRequest"] is None
    await releaser.complete()
    state = await releaser.state()
    assert (state["state"], state["canaryDeployment"]["id"]) == ("ACTIVE", releaser.driver.id_of("v2"))
    assert state["currentDeployment"]["id"] == releaser.driver.id_of("canary")


async def test_an_aborted_release_forgets_its_queue(releaser: Releaser) -> None:
    await releaser.configure()
    await releaser.start()
    await releaser.driver.promote("v2")
    await releaser.driver.roll_back("good")
    releaser.driver.clock.advance(2)
    state = await releaser.state()
    assert (state["state"], state["queuedDeploymentId"]) == ("ABORTED", None)


async def test_a_promote_and_a_new_build_begin_a_release_where_releases_are_on(releaser: Releaser) -> None:
    await releaser.configure()
    assert (await releaser.driver.promote("canary")).status_code == 201
    assert (await releaser.state())["state"] == "ACTIVE"
    await releaser.complete()
    await releaser.driver.deploy("next")
    state = await releaser.state()
    assert (state["state"], state["canaryDeployment"]["id"]) == ("ACTIVE", releaser.driver.id_of("next"))
    await releaser.driver.deploy("after")
    assert (await releaser.state())["queuedDeploymentId"] == releaser.driver.id_of("after")
    assert await releaser.driver.serving() == "canary"


async def test_one_release_at_a_time_and_only_of_a_ready_production_build(releaser: Releaser) -> None:
    await releaser.configure()
    assert (await releaser.start("good")).status_code == 409
    await releaser.driver.deploy("look", target="preview")
    assert (await releaser.start("look")).status_code == 422
    assert (await releaser.post("start")).status_code == 400
    await releaser.start()
    assert (await releaser.start()).status_code == 409


async def test_each_state_can_be_asked_for(releaser: Releaser) -> None:
    await releaser.configure()
    await releaser.start()
    await releaser.complete()
    await releaser.start("v2")
    await releaser.driver.roll_back("canary")
    releaser.driver.clock.advance(2)
    await releaser.start("good")
    for state, canary in (("ACTIVE", "good"), ("ABORTED", "v2"), ("COMPLETE", "canary")):
        shown = (await releaser.driver.json(releaser.path(), state=state))["rollingRelease"]
        assert (shown["state"], shown["canaryDeployment"]["id"]) == (state, releaser.driver.id_of(canary))
    assert (await releaser.driver.get(releaser.path(), state="OVER")).status_code == 400


@pytest.mark.parametrize(
    ("plan", "configured", "reason", "slots"),
    [
        ("hobby", 402, "plan_not_supported", 0),
        ("pro", 200, "no_available_slots", 0),
        ("enterprise", 200, "unlimited_slots", "unlimited"),
    ],
)
async def test_the_plan_decides_who_may_have_rolling_releases(
    plan: str, configured: int, reason: str, slots: int | str
) -> None:
    async with driving(a_releasing_scenario(team={"plan": plan})) as driver:
        releaser = Releaser(driver)
        before = await driver.json(releaser.path("/billing"))
        assert before["reason"] == ("available_slots" if plan == "pro" else reason)
        assert (await releaser.configure()).status_code == configured
        after = await driver.json(releaser.path("/billing"))
        assert (after["reason"], after["availableSlots"]) == (reason, slots)


async def test_a_reader_may_look_at_a_release_and_not_move_it(releaser: Releaser) -> None:
    await releaser.configure()
    async with releaser.driver.client_as(READER) as reader:
        assert (await reader.get(releaser.path())).status_code == 200
        body = {"canaryDeploymentId": releaser.driver.id_of("canary")}
        assert (await reader.post(releaser.path("/start"), json=body)).status_code == 403
    assert await releaser.state() is None


async def test_counts_tell_the_canary_from_the_base(releaser: Releaser) -> None:
    await releaser.configure(stages=[{"targetPercentage": 50, "duration": 60}, {"targetPercentage": 100}])
    await releaser.start()
    releaser.driver.clock.advance(4 * 60)
    counted = {
        row["deployment_id"]: row["vercel_request_count_sum"]
        for row in (await releaser.driver.query(groupBy=["deployment_id"])).json()["summary"]
    }
    assert set(counted) == {releaser.driver.id_of("good"), releaser.driver.id_of("canary")}
    assert counted[releaser.driver.id_of("canary")] / sum(counted.values()) == pytest.approx(0.5, abs=0.05)


# The gate


def a_gate(**changes: Any) -> dict[str, Any]:
    return {"enabled": True, "dryRun": False, "action": "rollback", "checks": [{"type": "error-rate-5xx"}], **changes}


async def gated(driver: Driver, *, minutes: int, **gate: Any) -> Any:
    releaser = Releaser(driver)
    stages = [{"targetPercentage": 50, "duration": 20}, {"targetPercentage": 100}]
    assert (await releaser.configure(stages=stages, gate=a_gate(**gate))).status_code == 200
    await releaser.start()
    driver.clock.advance(minutes * 60)
    await driver.project()
    driver.clock.advance(2)
    return await releaser.state()


async def test_the_gate_rolls_back_a_canary_that_fails_in_three_of_five_looks() -> None:
    async with driving(a_releasing_scenario(failures=[BOOM])) as driver:
        assert (await gated(driver, minutes=2))["state"] == "ACTIVE"
        driver.clock.advance(2 * 60)
        await driver.project()
        driver.clock.advance(2)
        assert (await Releaser(driver).state())["state"] == "ABORTED"
        project = await driver.project()
        assert (project["lastAliasRequest"]["type"], await driver.serving()) == ("rollback", "good")
        assert driver.world.project("web").jobs[-1].by == "rolling-release-gate"


async def test_the_gate_can_pause_and_an_approval_moves_on() -> None:
    async with driving(a_releasing_scenario(failures=[BOOM], requests_per_second=5)) as driver:
        state = await gated(driver, minutes=5, action="pause")
        assert (state["state"], state["substate"], state["currentCanaryPercentage"]) == ("ACTIVE", "PAUSED", 50)
        driver.clock.advance(30 * 60)
        assert (await Releaser(driver).state())["substate"] == "PAUSED"
        assert (await Releaser(driver).approve(1)).json()["rollingRelease"]["state"] == "COMPLETE"


@pytest.mark.parametrize(
    "gate",
    [
        {"dryRun": True},
        {"enabled": False},
        {"checks": [{"type": "error-rate-5xx", "minSampleSize": 100_000}]},
        {"checks": [{"type": "error-rate-5xx", "excludeStatusCodes": [500]}]},
        {
            "checks": [
                {
                    "type": "error-rate-5xx",
                    "excludePaths": ["/", "/products/[id]", "/api/search", "/api/cart", "/api/checkout"],
                }
            ]
        },
        {"failureThreshold": 50, "windowSize": 50},
    ],
)
async def test_the_gate_lets_a_failing_canary_pass(gate: dict[str, Any]) -> None:
    async with driving(a_releasing_scenario(failures=[BOOM], requests_per_second=4)) as driver:
        assert (await gated(driver, minutes=6, **gate))["state"] == "ACTIVE"
        tripped = driver.world.rolling.all(driver.world.project("web"))[0].tripped_at_ms
        assert (tripped is not None) == gate.get("dryRun", False)


async def test_the_gate_leaves_a_canary_alone_that_is_no_worse_than_its_base() -> None:
    async with driving(a_releasing_scenario()) as driver:
        await driver.control("outage", {"project": "web", "ratio": 0.4})
        assert (await gated(driver, minutes=8))["state"] == "ACTIVE"


async def test_the_truth_shows_the_release_and_what_its_gate_saw() -> None:
    async with driving(a_releasing_scenario(failures=[BOOM])) as driver:
        await gated(driver, minutes=3, dryRun=True)
        (project,) = (await driver.control("world"))["projects"]
        (release,) = project["rollingReleases"]
        assert (release["base"], release["canary"], release["share"]) == ("good", "canary", 0.5)
        assert [item["failed"] for item in release["evaluations"]] == [True] * 3
        assert project["crons"] == "good"
