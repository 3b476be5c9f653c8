"""`vercel rolling-release` by the real CLI: it walks a release through every state that it can have."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.emulator.fault_specs import JobOutcome
from daemon.emulator.rolling_specs import parse_config
from tests.conformance.stage import Stage, Truth, staged
from tests.requires import requires_vercel_cli

pytestmark = [requires_vercel_cli, pytest.mark.proof]

ONE_STAGE = {"enabled": True, "stages": [{"targetPercentage": 10, "duration": 5}, {"targetPercentage": 100}]}


def let_release(stage: Stage, *, starts: str | None = None) -> None:
    """Switch rolling releases on, with a first stage of 10 % for five minutes, and perhaps start one."""
    stage.world.rolling.configure(stage.project, parse_config({**ONE_STAGE, "advancementType": "automatic"}))
    if starts is not None:
        stage.world.rolling.start(stage.project, stage.deployment(starts), by="human")


def finish_job(stage: Stage) -> None:
    """Let the alias job end now, if time has not ended it yet."""
    stage.world.advance()
    if stage.project.jobs[-1].is_running:
        stage.world.finish_stuck_job(stage.project, JobOutcome.SUCCEEDED)


async def inspected(stage: Stage) -> Any:
    """Return what `rolling-release inspect` prints, as data."""
    run = await stage.vercel("rolling-release", "inspect")
    assert run.exit_code == 0, run.stderr
    return json.loads(run.stderr[run.stderr.index("> ") + 2 :])


async def test_fetch_prints_the_release_as_recorded(stage: Stage) -> None:
    let_release(stage, starts="v8")
    await stage.conforms_to("rolling-release-fetch")
    assert stage.writes == []


async def test_approve_moves_on_to_the_next_stage(stage: Stage) -> None:
    let_release(stage, starts="v8")
    await stage.conforms_to("rolling-release-approve")
    assert [entry.status for entry in stage.writes] == [200]
    assert stage.truth().production == "v8", "the stage after 10 % is the whole"


async def test_complete_makes_the_canary_production(stage: Stage, untouched: Truth) -> None:
    let_release(stage, starts="v8")
    await stage.conforms_to("rolling-release-complete")
    assert stage.truth() == replace(
        untouched,
        production="v8",
        domains=dict.fromkeys(untouched.domains, "v8"),
        substates={**untouched.substates, "v8": "PROMOTED"},
    )


async def test_abort_is_a_rollback_to_the_base_which_stays_production(stage: Stage, untouched: Truth) -> None:
    let_release(stage, starts="v8")
    await stage.conforms_to("rolling-release-abort")
    assert (await inspected(stage))["state"] in {"ACTIVE", "ABORTED"}
    assert stage.truth().production == "v7"
    finish_job(stage)
    shown = await inspected(stage)
    assert (shown["state"], shown["activeStage"]) == ("ABORTED", None)
    assert stage.truth() == replace(untouched, auto_assigns=False, job=("rollback", "succeeded", "v7", "v7"))


async def test_promote_during_a_release_is_queued(stage: Stage, untouched: Truth) -> None:
    let_release(stage, starts="v6")
    await stage.conforms_to("promote-queued")
    assert [entry.status for entry in stage.writes] == [202]
    assert (await inspected(stage))["queuedDeploymentId"] == stage.deployment("v8").id
    assert stage.truth().production == "v7"


async def test_promote_begins_a_release_where_releases_are_on(stage: Stage) -> None:
    let_release(stage)
    await stage.conforms_to("promote-begins-rolling-release")
    assert stage.truth().production == "v7"
    assert stage.truth().substates["v8"] == "ROLLING"


async def test_the_cli_walks_a_release_through_every_state(stage: Stage) -> None:
    async def says(*arguments: str, words: str) -> None:
        run = await stage.vercel("rolling-release", *arguments)
        assert run.exit_code == 0, run.stderr
        assert words in run.stderr

    canary = stage.deployment("v8").id
    assert await inspected(stage) is None
    stages = ["--stage=10", "--stage=50"]
    await says("configure", "--enable", "--advancement-type=manual-approval", *stages, words="Successfully configured")
    await says("start", "--dpl", canary, words=f"Requested rolling release start for {canary}")
    shown = await inspected(stage)
    assert (shown["state"], shown["activeStage"]["targetPercentage"]) == ("ACTIVE", 10)
    await says("approve", "--dpl", canary, "--currentStageIndex", "0", words="approval from stage 0 to 1")
    shown = await inspected(stage)
    assert (shown["activeStage"]["index"], shown["activeStage"]["targetPercentage"]) == (1, 50)
    await says("complete", "--dpl", canary, words="Requested rolling release completion")
    assert (await inspected(stage))["state"] == "COMPLETE"
    assert stage.truth().production == "v8"

    older = stage.deployment("v7").id
    await says("start", "--dpl", older, words=f"Requested rolling release start for {older}")
    await says("abort", "--dpl", canary, words="Requested rolling release abort")
    finish_job(stage)
    assert (await inspected(stage))["state"] == "ABORTED"
    assert stage.truth().production == "v8"
    await says("configure", "--disable", words="Successfully disabled")
    run = await stage.vercel("rolling-release", "start", "--dpl", older)
    assert run.exit_code == 1
    assert "not enabled" in run.stderr


async def test_the_hobby_plan_has_no_rolling_releases(tmp_path: Path) -> None:
    async with staged(tmp_path, plan="hobby") as stage:
        flags = ["--enable", "--advancement-type=manual-approval", "--stage=10"]
        run = await stage.vercel("rolling-release", "configure", *flags)
        assert run.exit_code == 1
        assert [entry.status for entry in stage.writes] == [402]
