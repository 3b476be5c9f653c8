"""@vercel/sdk lists, reads, follows, makes, cancels and deletes deployments."""

import hashlib
import json

import pytest

from daemon.emulator.build_log import build_events
from tests.conformance.given import arrange
from tests.conformance.sdk_play import Play
from tests.requires import requires_vercel_clients

pytestmark = [requires_vercel_clients, pytest.mark.proof]

TAILED = {"deployment": "v7", "path": "/api", "message": "boom", "count": 1}


async def test_deployments_get_deployments(play: Play) -> None:
    call = await play.sdk.resolves(
        "deployments.getDeployments",
        projectId=play.project_id,
        target="production",
        state="READY",
        rollbackCandidate=True,
        limit=3,
    )
    assert call.says_each("uid", of="deployments") == [play.id_of(name) for name in ("v7", "v6", "v5")]
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
    call.strips(f"{first}.id")
    assert call.says("pagination.next") == play.stage.deployment("v5").created_at_ms
    following = await play.sdk.resolves(
        "deployments.getDeployments",
        projectId=play.project_id,
        rollbackCandidate=True,
        until=call.value["pagination"]["next"],
    )
    assert following.says_each("uid", of="deployments") == [play.id_of(name) for name in ("v4", "v3", "v2", "v1")]
    assert following.says("pagination.next") is None


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
    call.strips("uid")


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
    assert call.says_each("text") == [event["text"] for event in own]
    assert call.says("0.type") == own[0]["type"]
    assert call.says("0.deploymentId") == play.id_of("v7")
    assert call.says("0.created") == own[0]["created"]
    assert call.says("0.info.type") == "build"


@pytest.mark.parametrize("accept", [None, "application/stream+json"], ids=["as it is", "told to take a stream"])
async def test_deployments_get_deployment_events_cannot_follow_a_build(play: Play, accept: str | None) -> None:
    """The SDK reads a stream of events as one JSON value, even where it was told to expect a stream."""
    call = await play.sdk.call("deployments.getDeploymentEvents", accept=accept, idOrUrl=play.id_of("v7"), follow=1)
    assert call.error is not None
    assert (call.status, call.error["kind"]) == (200, "SyntaxError")
    own = build_events(play.stage.deployment("v7"), play.stage.project, play.world.now_ms)
    assert [json.loads(line)["text"] for line in call.wire.splitlines()] == [event["text"] for event in own]


async def test_deployments_get_deployment_events_from_the_end_with_the_state_of_the_build(play: Play) -> None:
    call = await play.sdk.resolves(
        "deployments.getDeploymentEvents", idOrUrl=play.id_of("v7"), direction="backward", limit=1, delimiter=1
    )
    own = build_events(play.stage.deployment("v7"), play.stage.project, play.world.now_ms)
    assert call.says("0.text") == own[-1]["text"]
    assert call.says("1.type") == "deployment-state"
    assert call.says("1.info.readyState") == "READY"


async def test_deployments_upload_file_and_create_deployment(play: Play) -> None:
    page, sha = "<h1>hi</h1>", hashlib.sha1(b"<h1>hi</h1>", usedforsecurity=False).hexdigest()
    request = {
        "name": "web",
        "project": play.project_id,
        "target": "production",
        "files": [{"file": "index.html", "sha": sha, "size": len(page)}],
    }
    early = await play.sdk.call("deployments.createDeployment", requestBody=request)
    assert early.error is not None
    assert early.wire["error"]["missing"] == [sha]
    uploaded = await play.sdk.resolves("deployments.uploadFile", xNowDigest=sha, requestBody={"$bytes": page})
    assert uploaded.says("urls") == []
    made = await play.sdk.resolves("deployments.createDeployment", requestBody=request)
    assert made.says("readyState") == "QUEUED"
    play.pass_time(1)
    read = await play.sdk.resolves("deployments.getDeployment", idOrUrl=made.says("id"))
    assert read.says("readyState") == "READY"
    assert read.says("readySubstate") == "PROMOTED"
    assert read.says("alias") == list(play.stage.project.domains)
    assert read.says("url") == made.says("url")


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
