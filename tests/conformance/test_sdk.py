"""@vercel/sdk against the emulator: each call resolves to the world's values, and the wire really says them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.emulator.build_log import build_events
from daemon.emulator.rolling_specs import parse_config
from tests.conformance.given import arrange
from tests.conformance.sdk import Sdk, Witness
from tests.conformance.stage import ACTOR_TOKEN, Stage, staged, stopped_clock
from tests.requires import requires_vercel_clients

pytestmark = [requires_vercel_clients, pytest.mark.proof]

DECIDED = {
    "alias_request": "always",
    "alias_rows": "string",
    "stale_reads_seconds": 0.0,
    "drain_verification": "none",
    "rate_limit_per_minute": None,
}
CONFIG = {
    "enabled": True,
    "advancementType": "manual-approval",
    "stages": [{"targetPercentage": 10}, {"targetPercentage": 100}],
}


TAILED = {"deployment": "v7", "path": "/api", "message": "boom", "count": 1}


class Play:
    """One world that stands still, and the SDK that speaks to it."""

    def __init__(self, stage: Stage, sdk: Sdk, clock: Any) -> None:
        self.stage = stage
        self.world = stage.world
        self.sdk = sdk
        self._clock = clock

    @property
    def project_id(self) -> str:
        return self.stage.project.id

    def id_of(self, name: str) -> str:
        return self.stage.deployment(name).id

    def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)
        self.world.advance()


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Play]:
    witness, clock = Witness(), stopped_clock()
    async with staged(tmp_path, clock=clock, around=witness.around) as stage:
        stage.world.knobs = stage.world.knobs.model_copy(update=DECIDED)
        sdk = Sdk(stage.cli.api_url, ACTOR_TOKEN, stage.world.team.id, witness)
        yield Play(stage, sdk, clock)


async def test_user_get_auth_user(play: Play) -> None:
    call = await play.sdk.resolves("user.getAuthUser")
    assert call.says("user.id") == play.world.user.id
    assert call.says("user.username") == play.world.user.username
    assert call.says("user.email") == play.world.user.email
    assert call.says("user.defaultTeamId") == play.world.team.id


async def test_projects_get_projects(play: Play) -> None:
    call = await play.sdk.resolves("projects.getProjects", limit="20")
    assert call.says("projects.0.id") == play.project_id
    assert call.says("projects.0.accountId") == play.world.team.id
    assert call.says("projects.0.targets.production.id") == play.id_of("v7")
    assert call.says("pagination.count") == 1
    assert call.says("pagination.next") is None


async def test_projects_get_project(play: Play) -> None:
    play.world.request_rollback(play.stage.project, "v6", by="human", description="5xx")
    play.pass_time(1)
    call = await play.sdk.resolves("projects.getProject", idOrName="web")
    assert call.says("id") == play.project_id
    assert call.says("name") == "web"
    assert call.says("nodeVersion") == "22.x"
    assert call.says("targets.production.id") == play.id_of("v6")
    assert call.says("alias.1.domain") == "www.example.com"
    assert call.says("autoAssignCustomDomains") is play.world.reads_auto_assign(play.stage.project)
    assert call.says("lastAliasRequest.fromDeploymentId") == play.id_of("v7")
    assert call.says("lastAliasRequest.toDeploymentId") == play.id_of("v6")
    assert call.says("lastAliasRequest.jobStatus") == "succeeded"
    assert call.says("lastAliasRequest.type") == "rollback"
    assert call.says("lastAliasRequest.requestedAt") == play.stage.project.jobs[-1].requested_at_ms
    assert call.says("rollbackDescription.description") == "5xx"
    assert call.says("link.productionBranch") == "main"


async def test_projects_update_project(play: Play) -> None:
    call = await play.sdk.resolves(
        "projects.updateProject", idOrName="web", requestBody={"autoAssignCustomDomains": False}
    )
    assert call.says("autoAssignCustomDomains") is False
    assert play.stage.project.auto_assign is False


async def test_projects_get_project_domains(play: Play) -> None:
    call = await play.sdk.resolves("projects.getProjectDomains", idOrName="web")
    assert {call.says(f"domains.{index}.name") for index in range(2)} == set(play.stage.project.domains)
    assert call.says("domains.0.projectId") == play.project_id


async def test_projects_filter_project_envs(play: Play) -> None:
    call = await play.sdk.resolves("projects.filterProjectEnvs", idOrName="web")
    assert call.says("envs") == []


async def test_projects_update_project_protection_bypass(play: Play) -> None:
    call = await play.sdk.resolves("projects.updateProjectProtectionBypass", idOrName="web", requestBody={})
    made = set(play.stage.project.bypasses)
    assert len(made) == 2
    for secret in made:
        assert call.says(f"protectionBypass.{secret}.scope") == "automation-bypass"


async def test_deployments_get_deployments(play: Play) -> None:
    call = await play.sdk.resolves(
        "deployments.getDeployments",
        projectId=play.project_id,
        target="production",
        state="READY",
        rollbackCandidate=True,
        limit=3,
    )
    assert [call.says(f"deployments.{index}.uid") for index in range(3)] == [
        play.id_of(name) for name in ("v7", "v6", "v5")
    ]
    first, facts = "deployments.0", play.stage.deployment("v7")
    assert call.says(f"{first}.url") == facts.url
    assert call.says(f"{first}.createdAt") == facts.created_at_ms
    assert call.says(f"{first}.ready") == facts.ready_at_ms
    assert call.says(f"{first}.readyState") == "READY"
    assert call.says(f"{first}.readySubstate") == "PROMOTED"
    assert call.says(f"{first}.isRollbackCandidate") is True
    assert call.says(f"{first}.target") == "production"
    assert call.says(f"{first}.meta.githubCommitSha") == facts.commit.sha
    assert call.says(f"{first}.creator.username") == "bot"
    assert call.says("pagination.next") == play.stage.deployment("v5").created_at_ms


async def test_deployments_get_deployment(play: Play) -> None:
    facts = play.stage.deployment("v7")
    call = await play.sdk.resolves("deployments.getDeployment", idOrUrl=facts.id)
    assert call.says("id") == facts.id
    assert call.says("url") == facts.url
    assert call.says("projectId") == play.project_id
    assert call.says("ownerId") == play.world.team.id
    assert call.says("readyState") == "READY"
    assert call.says("readySubstate") == "PROMOTED"
    assert call.says("alias") == play.world.domains_of(facts)
    assert call.says("createdAt") == facts.created_at_ms
    assert call.says("meta.githubCommitMessage") == "commit 7\n\nbody"
    assert call.says("team.slug") == "acme"
    assert call.says("plan") == "pro"


async def test_deployments_get_deployment_of_a_preview_has_no_target(play: Play) -> None:
    call = await play.sdk.resolves("deployments.getDeployment", idOrUrl=play.stage.deployment("v9").url)
    assert call.says("id") == play.id_of("v9")
    assert call.says("target") is None
    assert "readySubstate" not in call.value


async def test_deployments_get_deployment_events(play: Play) -> None:
    call = await play.sdk.resolves(
        "deployments.getDeploymentEvents", idOrUrl=play.id_of("v7"), direction="forward", follow=0, limit=-1, builds=1
    )
    own = build_events(play.stage.deployment("v7"), play.stage.project, play.world.now_ms)
    assert [call.says(f"{index}.text") for index in range(len(own))] == [event["text"] for event in own]
    assert call.says("0.type") == own[0]["type"]
    assert call.says("0.deploymentId") == play.id_of("v7")
    assert call.says("0.created") == own[0]["created"]
    assert call.says("0.info.type") == "build"


async def test_deployments_cancel_deployment(play: Play) -> None:
    asked = await play.sdk.resolves(
        "deployments.createDeployment",
        forceNew="1",
        requestBody={"name": "web", "deploymentId": play.id_of("v6"), "target": "production"},
    )
    created = asked.says("id")
    assert created in play.world.deployments
    call = await play.sdk.resolves("deployments.cancelDeployment", id=created)
    assert call.says("id") == created
    assert call.says("readyState") == "CANCELED"
    assert play.world.deployments[created].ready_state == "CANCELED"


async def test_deployments_delete_deployment(play: Play) -> None:
    deployment_id = play.id_of("v1")
    call = await play.sdk.resolves("deployments.deleteDeployment", id=deployment_id)
    assert call.says("uid") == deployment_id
    assert call.says("state") == "DELETED"
    gone = await play.sdk.call("deployments.getDeployment", idOrUrl=deployment_id)
    assert gone.error is not None
    assert gone.error["statusCode"] in {404, 410}


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
    assert [listed.says(f"aliases.{index}.alias") for index in range(2)] == list(play.stage.project.domains)
    assert listed.says("aliases.0.status") == "completed"
    assert listed.says("pagination.count") == 2


async def test_promote_aliases_in_the_form_that_the_cli_reads_vanish_in_the_sdk(play: Play) -> None:
    """Which form Vercel sends is unknown; this is what the SDK makes of the other one."""
    play.world.knobs = play.world.knobs.model_copy(update={"alias_rows": "nested"})
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


async def test_logs_get_runtime_logs_resolves_to_a_tail_of_one_line(play: Play) -> None:
    arrange(play.stage, {"tailed": TAILED, "faults": [{"kind": "tail-limit", "lines": 0}]})
    call = await play.sdk.resolves("logs.getRuntimeLogs", projectId=play.project_id, deploymentId=play.id_of("v7"))
    assert call.says("source") == "delimiter"
    assert call.says("message") == "limit reached"
    assert call.says("level") == "error"


async def test_logs_get_runtime_logs_cannot_read_a_tail_of_two_lines(play: Play) -> None:
    """The SDK reads the whole stream as one JSON value."""
    arrange(play.stage, {"tailed": TAILED, "faults": [{"kind": "tail-limit", "lines": 1}]})
    call = await play.sdk.call("logs.getRuntimeLogs", projectId=play.project_id, deploymentId=play.id_of("v7"))
    assert call.error is not None
    assert call.error["kind"] == "SyntaxError"
    assert len(call.wire.splitlines()) == 2


async def test_aliases_list_deployment_aliases_and_get_alias(play: Play) -> None:
    call = await play.sdk.resolves("aliases.listDeploymentAliases", id=play.id_of("v7"))
    assert [call.says(f"aliases.{index}.alias") for index in range(2)] == list(play.stage.project.domains)
    one = await play.sdk.resolves("aliases.getAlias", idOrAlias="www.example.com")
    assert one.says("deploymentId") == play.id_of("v7")
    assert one.says("alias") == "www.example.com"
    assert one.says("projectId") == play.project_id


async def test_rolling_release_from_its_config_to_its_end(play: Play) -> None:
    none = await play.sdk.resolves("rollingRelease.getRollingRelease", idOrName="web")
    assert none.says("rollingRelease") is None
    play.world.rolling.configure(play.stage.project, parse_config(CONFIG))
    read = await play.sdk.resolves("rollingRelease.getRollingReleaseConfig", idOrName="web")
    assert [stage["targetPercentage"] for stage in read.says("rollingRelease.stages")] == [10, 100]
    started = await play.sdk.resolves(
        "rollingRelease.startRollingRelease", idOrName="web", requestBody={"canaryDeploymentId": play.id_of("v8")}
    )
    assert started.status == 200
    shown = await play.sdk.resolves("rollingRelease.getRollingRelease", idOrName="web")
    assert shown.says("rollingRelease.state") == "ACTIVE"
    assert shown.says("rollingRelease.currentDeployment.id") == play.id_of("v7")
    assert shown.says("rollingRelease.canaryDeployment.id") == play.id_of("v8")
    assert shown.says("rollingRelease.activeStage.targetPercentage") == 10
    ended = await play.sdk.resolves(
        "rollingRelease.completeRollingRelease", idOrName="web", requestBody={"canaryDeploymentId": play.id_of("v8")}
    )
    assert ended.status == 200
    play.pass_time(1)
    assert play.stage.truth().production == "v8"


async def test_rolling_release_update_config_sends_no_body_and_is_refused(play: Play) -> None:
    """The SDK cannot configure a rolling release: its OpenAPI names no body for this call."""
    call = await play.sdk.call("rollingRelease.updateRollingReleaseConfig", idOrName="web", requestBody=CONFIG)
    assert call.status == 400
    assert play.stage.requests[-1].body == ""
    assert play.stage.requests[-1].applied is None


async def test_rolling_release_approve_stage(play: Play) -> None:
    play.world.rolling.configure(play.stage.project, parse_config(CONFIG))
    canary = {"canaryDeploymentId": play.id_of("v8")}
    await play.sdk.resolves("rollingRelease.startRollingRelease", idOrName="web", requestBody=canary)
    call = await play.sdk.resolves(
        "rollingRelease.approveRollingReleaseStage", idOrName="web", requestBody={**canary, "nextStageIndex": 1}
    )
    assert call.says("rollingRelease.canaryDeployment.id") == play.id_of("v8")
    play.pass_time(1)
    assert play.stage.truth().production == "v8"


async def test_drains_create_read_change_delete(play: Play) -> None:
    request = {
        "name": "watch",
        "projects": "some",
        "projectIds": [play.project_id],
        "schemas": {"log": {"version": "v1"}},
        "delivery": {"type": "http", "endpoint": "http://127.0.0.1:9/drain", "encoding": "json", "headers": {}},
    }
    made = await play.sdk.resolves("drains.createDrain", requestBody=request)
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
    assert (await play.sdk.call("drains.deleteDrain", id=drain_id)).status == 204
    assert (await play.sdk.resolves("drains.getDrains")).says("drains") == []


async def test_webhooks_create_read_delete(play: Play) -> None:
    request = {"url": "http://127.0.0.1:9/hook", "events": ["deployment.rollback", "deployment.promoted"]}
    made = await play.sdk.resolves("webhooks.createWebhook", requestBody=request)
    webhook_id = made.says("id")
    assert made.says("secret")
    assert made.says("events") == request["events"]
    assert made.says("ownerId") == play.world.team.id
    assert (await play.sdk.resolves("webhooks.getWebhook", id=webhook_id)).says("url") == request["url"]
    assert (await play.sdk.resolves("webhooks.getWebhooks")).says("0.id") == webhook_id
    assert (await play.sdk.call("webhooks.deleteWebhook", id=webhook_id)).status == 204
    assert (await play.sdk.resolves("webhooks.getWebhooks")).value == []


async def test_a_parsers_default_is_found_out(tmp_path: Path) -> None:
    """The judge can fail: an answer without a name resolves to "" in the SDK, which is no answer."""
    witness = Witness()
    async with staged(tmp_path, around=witness.around) as stage:
        call = await Sdk(stage.cli.api_url, ACTOR_TOKEN, stage.world.team.id, witness).resolves("user.getAuthUser")
        del call.wire["user"]["username"]
        with pytest.raises(AssertionError, match="no 'username'"):
            call.says("user.username")
