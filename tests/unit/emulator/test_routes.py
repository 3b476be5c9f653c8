"""The answers of the read routes: their shapes, filters and pages, and who may ask."""

from typing import Any

import httpx
import pytest

from tests.unit.emulator.driving import ACTOR, READER, Driver, a_project, a_scenario, driving

# What the parser of @vercel/sdk 1.28.35 refuses an answer without.
SDK_PROJECT = {"nodeVersion", "alias", "defaultResourceConfig", "resourceConfig", "deploymentExpiration", "accountId"}
SDK_DEPLOYMENT = {
    "version", "name", "url", "projectId", "ownerId", "createdAt", "buildingAt", "status", "meta", "creator",
    "inspectorUrl", "regions", "routes", "public", "type", "plan", "build", "env", "bootedAt", "buildSkipped",
    "createdIn", "projectSettings", "isInConcurrentBuildsQueue", "isInSystemBuildsQueue", "readyState",
}  # fmt: skip


async def test_the_user_fits_the_variant_of_the_sdk_that_has_no_limited_key(vercel: Driver) -> None:
    user = (await vercel.json("/v2/user"))["user"]
    assert user["resourceConfig"] == {}
    assert "limited" not in user
    assert (user["version"], user["defaultTeamId"]) == ("northstar", vercel.world.team.id)
    assert {"id", "username", "email", "name"} <= set(user)


@pytest.mark.parametrize("path", ["/teams/acme", "/teams/{id}", "/v2/teams/{id}"])
async def test_a_team_is_found_by_id_and_by_slug(vercel: Driver, path: str) -> None:
    team = await vercel.json(path.format(id=vercel.world.team.id))
    assert (team["id"], team["slug"], team["billing"]["plan"]) == (vercel.world.team.id, "acme", "pro")


async def test_teams_are_listed(vercel: Driver) -> None:
    body = await vercel.json("/v2/teams")
    assert [team["slug"] for team in body["teams"]] == ["acme"]
    assert body["pagination"]["next"] is None


@pytest.mark.parametrize("version", ["v1", "v9", "v10"])
async def test_a_project_has_every_field_that_the_sdk_insists_on(vercel: Driver, version: str) -> None:
    project = await vercel.json(f"/{version}/projects/web")
    assert set(project) >= SDK_PROJECT
    assert project["link"]["deployHooks"] == []
    assert all({"environment", "target", "domain"} <= set(alias) for alias in project["alias"])
    production = project["targets"]["production"]
    assert production["id"] == vercel.id_of("good")
    assert production["alias"] == ["web-acme.vercel.app", "www.example.com"]
    assert production["readySubstate"] == "PROMOTED"


async def test_the_alias_request_is_shown_only_when_it_is_asked_for(vercel: Driver) -> None:
    await vercel.roll_back("v2")
    assert "lastAliasRequest" not in await vercel.json("/v9/projects/web")
    asked = await vercel.json("/v9/projects/web", rollbackInfo="true")
    assert asked["lastAliasRequest"]["type"] == "rollback"


async def test_a_knob_shows_the_alias_request_always() -> None:
    async with driving(a_scenario(knobs={"alias_request": "always"})) as vercel:
        assert (await vercel.json("/v9/projects/web"))["lastAliasRequest"] is None


@pytest.mark.parametrize(("version", "cursor"), [("v9", "until"), ("v10", "from")])
async def test_projects_are_paged_without_gaps_or_repeats(version: str, cursor: str) -> None:
    names = [f"p{number}" for number in range(7)]
    async with driving(a_scenario(projects=[{"name": name} for name in names])) as vercel:
        seen: list[str] = []
        query: dict[str, Any] = {"limit": 3}
        for _ in range(3):
            body = await vercel.json(f"/{version}/projects", **query)
            seen += [project["name"] for project in body["projects"]]
            query[cursor] = body["pagination"]["next"]
        assert seen == names[::-1]
        assert query[cursor] is None


@pytest.mark.parametrize("version", ["v6", "v7"])
async def test_deployments_are_paged_newest_first_with_an_exclusive_until(vercel: Driver, version: str) -> None:
    first = await vercel.json(f"/{version}/deployments", projectId=vercel.project_id, limit=2)
    assert [row["uid"] for row in first["deployments"]] == [vercel.id_of("good"), vercel.id_of("v2")]
    assert first["pagination"]["next"] == first["deployments"][-1]["createdAt"]
    rest = await vercel.json(f"/{version}/deployments", limit=2, until=first["pagination"]["next"])
    assert [row["uid"] for row in rest["deployments"]] == [vercel.id_of("v1")]
    assert rest["pagination"]["next"] is None


async def filtered(vercel: Driver, **query: Any) -> list[str]:
    rows = (await vercel.json("/v7/deployments", **query))["deployments"]
    return [vercel.world.deployments[row["uid"]].name for row in rows]


async def test_deployments_are_filtered_by_every_parameter() -> None:
    async with driving(a_scenario(projects=[a_project(), {"name": "docs"}])) as vercel:
        await vercel.deploy("preview", target="preview", commit={"branch": "topic"}, meta={"ticket": "42"})
        await vercel.deploy("broken", ends="ERROR")
        await vercel.deploy("staged", auto_assign=False)
        await vercel.control("deployments", {"project": "web", "name": "building", "build": "1h"})
        past = ["good", "v2", "v1"]
        assert await filtered(vercel, projectId="web") == ["building", "staged", "broken", "preview", *past]
        assert await filtered(vercel, target="production", state="READY") == ["staged", *past]
        assert await filtered(vercel, target="preview") == ["preview"]
        assert await filtered(vercel, state="ERROR,BUILDING") == ["building", "broken"]
        assert await filtered(vercel, rollbackCandidate="true") == past
        assert await filtered(vercel, rollbackCandidate="true", limit=1) == ["good"]
        assert await filtered(vercel, branch="topic") == ["preview"]
        assert await filtered(vercel, **{"meta-ticket": "42"}) == ["preview"]
        assert await filtered(vercel, sha=vercel.world.deployment("web", "v2").commit.sha) == ["v2"]
        assert await filtered(vercel, app="docs") == []
        assert await filtered(vercel, projectIds=vercel.project_id, since=vercel.world.start_ms - 1, limit=1) == [
            "building"
        ]
        created = vercel.world.deployment("web", "v2").created_at_ms
        assert await filtered(vercel, since=created) == ["building", "staged", "broken", "preview", "good"]
        assert await filtered(vercel, until=created) == ["v1"]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"until": "soon"}, {"state": "DONE"}], ids=str)
async def test_a_malformed_list_parameter_is_a_bad_request(vercel: Driver, query: dict[str, Any]) -> None:
    response = await vercel.get("/v7/deployments", **query)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad_request")


async def test_a_listed_deployment_has_what_cli_and_sdk_read(vercel: Driver) -> None:
    row = (await vercel.json("/v6/deployments", limit=1))["deployments"][0]
    assert row["type"] == "LAMBDAS"
    assert {"uid", "username", "email"} == set(row["creator"])
    assert (row["state"], row["readyState"], row["readySubstate"]) == ("READY", "READY", "PROMOTED")
    assert row["isRollbackCandidate"] is True
    assert row["aliasAssigned"] == vercel.world.deployment("web", "good").activated_at_ms
    assert row["meta"]["githubCommitMessage"] == "cart: keep items"
    assert row["meta"]["githubCommitAuthorLogin"] == "grace"


async def test_a_deployment_is_found_by_id_by_generated_host_and_by_domain(vercel: Driver) -> None:
    good = vercel.world.deployment("web", "good")
    for name in (good.id, good.url, "www.example.com", "web-acme.vercel.app"):
        body = await vercel.json(f"/v13/deployments/{name}")
        assert body["id"] == good.id
        assert set(body) >= SDK_DEPLOYMENT
        assert body["team"]["id"] == vercel.world.team.id
        assert body["aliasAssigned"] is True


async def test_a_domain_resolves_to_the_target_after_a_rollback(vercel: Driver) -> None:
    await vercel.roll_back("v1")
    vercel.clock.advance(2)
    assert (await vercel.json("/v13/deployments/www.example.com"))["id"] == vercel.id_of("v1")
    aliases = await vercel.json(f"/v2/deployments/{vercel.id_of('v1')}/aliases")
    assert [alias["alias"] for alias in aliases["aliases"]] == ["web-acme.vercel.app", "www.example.com"]
    assert (await vercel.json(f"/v2/deployments/{vercel.id_of('good')}/aliases"))["aliases"] == []


async def test_a_failed_build_says_why(vercel: Driver) -> None:
    await vercel.deploy("broken", ends="ERROR")
    body = await vercel.json(f"/v13/deployments/{vercel.id_of('broken')}")
    assert (body["readyState"], body["errorCode"]) == ("ERROR", "BUILD_FAILED")
    assert "readySubstate" not in body


async def test_builds_are_listed(vercel: Driver) -> None:
    builds = (await vercel.json(f"/v11/deployments/{vercel.id_of('good')}/builds"))["builds"]
    assert builds[0]["readyState"] == "READY"
    assert {"id", "entrypoint", "use", "createdAt", "readyStateAt", "output"} <= set(builds[0])


async def test_what_serves_production_is_answered_and_is_not_found_before_the_first_deployment() -> None:
    async with driving(a_scenario(projects=[a_project(), {"name": "empty"}])) as vercel:
        body = await vercel.json("/projects/web/production-deployment")
        assert body["deployment"]["id"] == vercel.id_of("good")
        assert (await vercel.get("/projects/empty/production-deployment")).status_code == 404
        assert (await vercel.json("/v9/projects/empty"))["targets"] == {}


@pytest.mark.parametrize(("form", "alias"), [("nested", dict), ("string", str)])
async def test_alias_rows_have_the_form_that_the_knob_says(form: str, alias: type) -> None:
    async with driving(a_scenario(knobs={"alias_rows": form})) as vercel:
        await vercel.promote("v2")
        body = await vercel.json("/v1/projects/web/promote/aliases")
        assert [type(row["alias"]) for row in body["aliases"]] == [alias, alias]
        assert (await vercel.json("/v1/projects/web/rollback/aliases"))["aliases"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [({"autoAssignCustomDomains": False}, 200), ({"autoAssignCustomDomains": "no"}, 400), ({"framework": "x"}, 400)],
    ids=str,
)
async def test_a_project_takes_only_a_boolean_auto_assignment(vercel: Driver, body: Any, status: int) -> None:
    response = await vercel.client.patch("/v9/projects/web", json=body)
    assert response.status_code == status
    assert (await vercel.project())["autoAssignCustomDomains"] is (status != 200)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_an_unknown_route_is_not_found_in_the_envelope(vercel: Driver, method: str) -> None:
    response = await vercel.client.request(method, "/v99/nothing/here")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


async def status_as(vercel: Driver, token: str | None, path: str, method: str = "GET") -> tuple[int, Any]:
    async with vercel.client_as(token) as client:
        response = await client.request(method, path)
    return response.status_code, response.json()["error"] if response.status_code >= 400 else None


async def test_a_request_without_a_token_is_401_and_with_a_wrong_one_403_with_invalid_token(vercel: Driver) -> None:
    assert (await status_as(vercel, None, "/v2/user"))[0] == 401
    status, refusal = await status_as(vercel, "nonsense", "/v2/user")
    assert (status, refusal) == (403, {"code": "forbidden", "message": "Not authorized", "invalidToken": True})


async def test_a_read_only_token_reads_and_is_forbidden_to_write(vercel: Driver) -> None:
    rollback = f"/v9/projects/web/rollback/{vercel.id_of('v2')}"
    assert (await status_as(vercel, READER, "/v9/projects/web"))[0] == 200
    assert (await status_as(vercel, READER, rollback, "POST"))[0] == 403
    assert (await vercel.project())["lastAliasRequest"] is None


async def test_a_project_scoped_token_sees_its_project_and_nothing_else() -> None:
    scenario = a_scenario(
        projects=[a_project(), {"name": "docs"}],
        tokens=[{"value": "tok_docs", "name": "docs", "projects": ["docs"]}, {"value": ACTOR, "name": "actor"}],
    )
    async with driving(scenario) as vercel:
        assert (await status_as(vercel, "tok_docs", "/v9/projects/docs"))[0] == 200
        assert (await status_as(vercel, "tok_docs", "/v9/projects/web"))[0] == 404
        status, refusal = await status_as(vercel, "tok_docs", "/v2/user")
        assert (status, refusal["message"]) == (404, "User not found.")
        vercel.client.headers["Authorization"] = "Bearer tok_docs"
        observed = await vercel.query()
        assert (observed.status_code, observed.json()["error"]["message"]) == (404, "Observability Data not found.")
        assert [row["name"] for row in (await vercel.json("/v9/projects"))["projects"]] == ["docs"]


async def test_a_foreign_team_is_forbidden_and_a_missing_one_is_as_the_knob_says(vercel: Driver) -> None:
    assert (await vercel.get("/v9/projects/web", teamId="team_other")).status_code == 403
    assert (await vercel.get("/v9/projects/web", slug="acme")).status_code == 200
    assert (await vercel.get("/v9/projects/web")).status_code == 200
    await vercel.control("knobs", {"missing_team_id": "not-found"})
    assert (await vercel.get("/v9/projects/web")).status_code == 404
    assert (await vercel.get("/v9/projects/web", teamId=vercel.world.team.id)).status_code == 200


async def test_the_rate_headers_count_down_within_a_minute(vercel: Driver) -> None:
    async def remaining() -> int:
        return int((await vercel.get("/v2/user")).headers["x-ratelimit-remaining"])

    assert await remaining() - await remaining() == 1
    vercel.clock.advance(60)
    assert await remaining() == 499


async def test_a_rate_limit_of_the_scenario_refuses_and_says_when_to_come_back() -> None:
    async with driving(a_scenario(knobs={"rate_limit_per_minute": 2})) as vercel:
        answers: list[httpx.Response] = [await vercel.get("/v2/user") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].headers["retry-after"] == "60"
        vercel.clock.advance(60)
        assert (await vercel.get("/v2/user")).status_code == 200
