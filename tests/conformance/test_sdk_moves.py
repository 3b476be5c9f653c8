"""@vercel/sdk moves production: rollback, promote and rolling releases, and what it cannot do about them."""

from pathlib import Path

import pytest

from daemon.emulator.fault_specs import JobFault, JobOutcome
from tests.conformance.sdk_play import RELEASE_CONFIG, Play, played
from tests.requires import requires_vercel_clients

pytestmark = [requires_vercel_clients, pytest.mark.proof]


async def test_projects_request_rollback_and_its_description(play: Play) -> None:
    call = await play.sdk.resolves(
        "projects.requestRollback", projectId=play.project_id, deploymentId=play.id_of("v6"), description="5xx spike"
    )
    assert (call.status, call.value, call.wire) == (201, None, None)
    play.pass_time(1)
    assert play.stage.truth().production == "v6"
    described = await play.sdk.resolves("projects.getProject", idOrName="web")
    assert described.says("rollbackDescription.description") == "5xx spike"


async def test_projects_update_rollback_description_sends_no_token_and_is_refused(play: Play) -> None:
    """The SDK leaves the token out of this call: its OpenAPI names no security for it."""
    call = await play.sdk.call(
        "projects.updateProjectsByProjectIdRollbackByDeploymentIdUpdateDescription",
        projectId=play.project_id,
        deploymentId=play.id_of("v7"),
        requestBody={"description": "x"},
    )
    assert call.status == 401
    assert call.error is not None


async def test_projects_request_promote_and_its_aliases(play: Play) -> None:
    call = await play.sdk.resolves("projects.requestPromote", projectId=play.project_id, deploymentId=play.id_of("v8"))
    assert (call.status, call.value) == (201, None)
    play.pass_time(1)
    assert play.stage.truth().production == "v8"
    listed = await play.sdk.resolves("projects.listPromoteAliases", projectId=play.project_id)
    assert listed.says_each("alias", of="aliases") == list(play.stage.project.domains)
    assert listed.says("aliases.0.status") == "completed"
    assert listed.says("pagination.count") == 2


async def test_promote_aliases_in_the_form_that_the_cli_reads_vanish_in_the_sdk(play: Play) -> None:
    """Which form Vercel sends is unknown; this is what the SDK makes of the other one."""
    play.decide(alias_rows="nested")
    await play.sdk.resolves("projects.requestPromote", projectId=play.project_id, deploymentId=play.id_of("v8"))
    play.pass_time(1)
    listed = await play.sdk.resolves("projects.listPromoteAliases", projectId=play.project_id)
    assert listed.value == {}
    assert listed.wire["aliases"]


async def test_a_refusal_is_an_error_with_its_status(play: Play) -> None:
    request = {"projectId": play.project_id, "deploymentId": play.id_of("v7")}
    for method, refused in (("projects.requestPromote", {409}), ("projects.requestRollback", {409, 422})):
        call = await play.sdk.call(method, **request)
        assert call.error is not None
        assert call.error["statusCode"] in refused
    assert play.stage.writes[-1].applied is None


async def test_promote_aliases_that_failed_are_listed_apart(play: Play) -> None:
    play.world.faults.set(JobFault(outcome=JobOutcome.PARTIAL))
    await play.sdk.resolves("projects.requestPromote", projectId=play.project_id, deploymentId=play.id_of("v8"))
    play.pass_time(1)
    listed = await play.sdk.resolves(
        "projects.listPromoteAliases", projectId=play.project_id, failedOnly=True, limit=20
    )
    assert listed.says_each("alias", of="aliases") == ["www.example.com"]
    assert listed.says("aliases.0.status") == "failed"


async def test_rolling_release_from_its_config_to_its_end(play: Play) -> None:
    none = await play.sdk.resolves("rollingRelease.getRollingRelease", idOrName="web")
    assert none.says("rollingRelease") is None
    play.configure_releases()
    read = await play.sdk.resolves("rollingRelease.getRollingReleaseConfig", idOrName="web")
    assert read.says_each("targetPercentage", of="rollingRelease.stages") == [10, 100]
    canary = {"canaryDeploymentId": play.id_of("v8")}
    started = await play.sdk.resolves("rollingRelease.startRollingRelease", idOrName="web", requestBody=canary)
    assert started.says("rollingRelease.state") == "ACTIVE"
    shown = await play.sdk.resolves("rollingRelease.getRollingRelease", idOrName="web")
    assert shown.says("rollingRelease.state") == "ACTIVE"
    assert shown.says("rollingRelease.currentDeployment.id") == play.id_of("v7")
    assert shown.says("rollingRelease.canaryDeployment.id") == play.id_of("v8")
    assert shown.says("rollingRelease.canaryDeployment.readyState") == "READY"
    assert shown.says("rollingRelease.activeStage.targetPercentage") == 10
    assert shown.says("rollingRelease.nextStage.isFinalStage") is True
    assert shown.says("rollingRelease.advancementType") == "manual-approval"
    ended = await play.sdk.resolves("rollingRelease.completeRollingRelease", idOrName="web", requestBody=canary)
    assert ended.says("rollingRelease.state") == "COMPLETE"
    play.pass_time(1)
    assert play.stage.truth().production == "v8"
    found = await play.sdk.resolves("rollingRelease.getRollingRelease", idOrName="web", state="COMPLETE")
    assert found.says("rollingRelease.canaryDeployment.id") == play.id_of("v8")


async def test_a_rollback_to_the_base_aborts_a_rolling_release(play: Play) -> None:
    play.configure_releases()
    canary = {"canaryDeploymentId": play.id_of("v8")}
    await play.sdk.resolves("rollingRelease.startRollingRelease", idOrName="web", requestBody=canary)
    queued = await play.sdk.call("projects.requestPromote", projectId=play.project_id, deploymentId=play.id_of("v6"))
    assert (queued.status, queued.error) == (202, None)
    await play.sdk.resolves("projects.requestRollback", projectId=play.project_id, deploymentId=play.id_of("v7"))
    play.pass_time(1)
    shown = await play.sdk.resolves("rollingRelease.getRollingRelease", idOrName="web", state="ABORTED")
    assert shown.says("rollingRelease.state") == "ABORTED"
    assert shown.says("rollingRelease.currentDeployment.id") == play.id_of("v7")
    assert play.stage.truth().production == "v7"


async def test_rolling_release_billing_status_on_each_plan(tmp_path: Path, play: Play) -> None:
    status = "rollingRelease.getRollingReleaseBillingStatus"
    free = await play.sdk.resolves(status, idOrName="web")
    assert (free.says("reason"), free.says("availableSlots")) == ("available_slots", 1)
    play.configure_releases()
    used = await play.sdk.resolves(status, idOrName="web")
    assert (used.says("reason"), used.says("availableSlots")) == ("no_available_slots", 0)
    assert used.says("enabledProjects") == [play.project_id]
    for plan, answer in (("enterprise", ("unlimited_slots", "unlimited")), ("hobby", ("plan_not_supported", 0))):
        async with played(tmp_path, plan=plan) as other:
            call = await other.sdk.resolves(status, idOrName="web")
            assert (call.says("reason"), call.says("availableSlots")) == answer


async def test_rolling_release_delete_config_switches_releases_off(play: Play) -> None:
    play.configure_releases()
    deleted = await play.sdk.resolves("rollingRelease.deleteRollingReleaseConfig", idOrName="web")
    assert deleted.says("rollingRelease") is None
    assert play.world.rolling.config(play.stage.project) is None
    read = await play.sdk.resolves("rollingRelease.getRollingReleaseConfig", idOrName="web")
    assert read.says("rollingRelease") is None


async def test_rolling_release_update_config_sends_no_body_and_is_refused(play: Play) -> None:
    """The SDK cannot configure a rolling release: its OpenAPI names no body for this call."""
    call = await play.sdk.call("rollingRelease.updateRollingReleaseConfig", idOrName="web", requestBody=RELEASE_CONFIG)
    assert call.status == 400
    assert play.stage.requests[-1].body == ""
    assert play.stage.requests[-1].applied is None


async def test_rolling_release_approve_stage(play: Play) -> None:
    play.configure_releases()
    canary = {"canaryDeploymentId": play.id_of("v8")}
    await play.sdk.resolves("rollingRelease.startRollingRelease", idOrName="web", requestBody=canary)
    call = await play.sdk.resolves(
        "rollingRelease.approveRollingReleaseStage", idOrName="web", requestBody={**canary, "nextStageIndex": 1}
    )
    assert call.says("rollingRelease.canaryDeployment.id") == play.id_of("v8")
    play.pass_time(1)
    assert play.stage.truth().production == "v8"
