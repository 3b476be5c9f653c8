"""@vercel/sdk reads who, which project and which settings: each value is the world's, and the wire really says it."""

import json
from pathlib import Path

import pytest

from tests.conformance.sdk import Sdk, Witness
from tests.conformance.sdk_play import Play
from tests.conformance.stage import ACTOR_TOKEN, staged
from tests.requires import requires_vercel_clients

pytestmark = [requires_vercel_clients, pytest.mark.proof]


async def test_user_get_auth_user(play: Play) -> None:
    call = await play.sdk.resolves("user.getAuthUser")
    assert call.says("user.id") == play.world.user.id
    assert call.says("user.username") == play.world.user.username
    assert call.says("user.email") == play.world.user.email
    assert call.says("user.defaultTeamId") == play.world.team.id
    call.strips("user.version")


async def test_authentication_get_auth_token_tells_of_the_token_that_asks(play: Play) -> None:
    call = await play.sdk.resolves("authentication.getAuthToken", tokenId="current")
    token = play.world.tokens[ACTOR_TOKEN]
    assert call.says("token.name") == token.name
    assert call.says("token.scopes.0.type") in ("user", "team")
    assert call.says("token.activeAt") == play.world.now_ms


async def test_teams_get_teams_and_get_team(play: Play) -> None:
    listed = await play.sdk.resolves("teams.getTeams", limit=20)
    assert listed.says("teams.0.id") == play.world.team.id
    assert listed.says("teams.0.slug") == "acme"
    assert listed.says("pagination.count") == 1
    one = await play.sdk.resolves("teams.getTeam")
    assert one.says("id") == play.world.team.id
    assert one.says("name") == "Acme"
    assert one.says("billing.plan") == "pro"
    assert one.says("membership.role") == "OWNER"
    # The parser's own: the emulator's member never asked to join, and nobody created its team.
    assert (one.makes_up("membership.createdAt"), one.makes_up("creatorId")) == (0, "")


async def test_projects_get_projects(play: Play) -> None:
    call = await play.sdk.resolves("projects.getProjects", limit="20")
    assert call.says("projects.0.id") == play.project_id
    assert call.says("projects.0.accountId") == play.world.team.id
    assert call.says("projects.0.targets.production.id") == play.id_of("v7")
    assert call.says("pagination.count") == 1
    assert call.says("pagination.next") is None
    assert (await play.sdk.resolves("projects.getProjects", search="nobody")).says("projects") == []


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
    assert set(call.says_each("name", of="domains")) == set(play.stage.project.domains)
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


async def test_aliases_list_deployment_aliases_and_get_alias(play: Play) -> None:
    call = await play.sdk.resolves("aliases.listDeploymentAliases", id=play.id_of("v7"))
    assert call.says_each("alias", of="aliases") == list(play.stage.project.domains)
    one = await play.sdk.resolves("aliases.getAlias", idOrAlias="www.example.com")
    assert one.says("deploymentId") == play.id_of("v7")
    assert one.says("alias") == "www.example.com"
    assert one.says("projectId") == play.project_id


async def test_aliases_list_aliases_follow_a_rollback(play: Play) -> None:
    play.world.request_rollback(play.stage.project, "v6", by="human")
    play.pass_time(1)
    everything = await play.sdk.resolves("aliases.listAliases", limit=20)
    assert everything.says_each("alias", of="aliases") == list(play.stage.project.domains)
    for index in range(2):
        assert everything.says(f"aliases.{index}.deploymentId") == play.id_of("v6")
        assert everything.says(f"aliases.{index}.projectId") == play.project_id
    assert everything.says("pagination.count") == 2
    narrowed = await play.sdk.resolves("aliases.listAliases", projectId=play.project_id, domain="www.example.com")
    assert narrowed.says_each("alias", of="aliases") == ["www.example.com"]
    moved = await play.sdk.resolves("aliases.listAliases", rollbackDeploymentId=play.id_of("v5"))
    assert moved.says("pagination.count") == 2
    assert (await play.sdk.resolves("aliases.listAliases", rollbackDeploymentId="dpl_nobody")).says("aliases") == []


async def test_observability_query_goes_without_token_scope_and_granularity_and_is_refused(play: Play) -> None:
    """The SDK cannot count: its OpenAPI names no security for this call, and no keys of `scope` and `granularity`."""
    call = await play.sdk.call(
        "createObservabilityQuery",
        metric="vercel.request.count",
        scope={"type": "project", "ownerId": play.world.team.id, "projectIds": [play.project_id]},
        granularity={"minutes": 1},
        groupBy=["http_status"],
    )
    assert call.status == 401
    assert call.wire["error"]["missingToken"] is True
    sent = json.loads(play.stage.requests[-1].body)
    assert sent == {"metric": "vercel.request.count", "scope": {}, "granularity": {}, "groupBy": ["http_status"]}
    assert play.stage.requests[-1].query == "", "nor does it name the team"


@pytest.mark.parametrize(
    ("method", "request_"),
    [("getObservabilitySchema", {}), ("getObservabilitySchemaByMetricId", {"metricId": "vercel.request.count"})],
    ids=["every metric", "one metric"],
)
async def test_observability_schema_is_asked_for_without_the_token_and_refused(
    play: Play, method: str, request_: dict[str, str]
) -> None:
    call = await play.sdk.call(method, **request_)
    assert call.status == 401
    assert call.error is not None
    assert play.stage.requests[-1].token is None


async def test_what_a_parser_makes_up_is_found_out(tmp_path: Path) -> None:
    """The judge can fail: an answer without a name resolves to "" in the SDK, which is no answer."""
    witness = Witness()
    async with staged(tmp_path, around=witness.around) as stage:
        call = await Sdk(stage.cli.api_url, ACTOR_TOKEN, stage.world.team.id, witness).resolves("user.getAuthUser")
        del call.wire["user"]["username"]
        with pytest.raises(AssertionError, match="no 'username'"):
            call.says("user.username")
