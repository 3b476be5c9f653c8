"""Settings of a project: variables without values, domains, aliases, the bypass of protected sites, reasons."""

from typing import Any

import httpx
import pytest

from tests.unit.emulator.driving import Driver, a_project, a_scenario, driving

SECRET = "s" * 32
_DAY_MS = 86_400_000


async def visited(vercel: Driver, host: str, path: str = "/", **headers: str) -> httpx.Response:
    async with vercel.client_as(None) as visitor:
        return await visitor.get(path, headers={"host": host, **headers})


@pytest.mark.parametrize("version", ["v9", "v10"])
async def test_variables_are_listed_by_name_and_time_and_never_by_value(version: str) -> None:
    env = [
        {"key": "DATABASE_URL", "age": "9d", "updated": "1d"},
        {"key": "FLAG", "type": "plain", "target": ["preview"]},
    ]
    async with driving(a_scenario(projects=[a_project(env=env)])) as vercel:
        rows = (await vercel.json(f"/{version}/projects/web/env", decrypt="true"))["envs"]
        start = vercel.world.start_ms
        assert [(row["key"], row["type"], row["target"]) for row in rows] == [
            ("DATABASE_URL", "encrypted", ["production", "preview", "development"]),
            ("FLAG", "plain", ["preview"]),
        ]
        assert (rows[0]["createdAt"], rows[0]["updatedAt"]) == (start - 9 * _DAY_MS, start - _DAY_MS)
        assert all("value" not in row for row in rows)


async def test_a_variable_that_somebody_writes_is_younger_than_the_builds_before() -> None:
    happening = {"at": "30s", "variable": {"project": "web", "key": "FLAG"}}
    project = a_project(env=[{"key": "FLAG", "target": ["preview"]}])
    async with driving(a_scenario(projects=[project], happenings=[happening])) as vercel:
        vercel.clock.advance(60)
        await vercel.control("env", {"project": "web", "key": "NEW", "target": ["production"]})
        rows = (await vercel.json("/v10/projects/web/env"))["envs"]
        start = vercel.world.start_ms
        assert [(row["key"], row["target"], row["updatedAt"] - start) for row in rows] == [
            ("FLAG", ["preview"], 30_000),
            ("NEW", ["production"], 60_000),
        ]


async def test_the_domains_of_a_project_are_those_that_a_move_moves(vercel: Driver) -> None:
    body = await vercel.json("/v9/projects/web/domains")
    assert [row["name"] for row in body["domains"]] == ["web-acme.vercel.app", "www.example.com"]
    assert body["domains"][1]["apexName"] == "example.com"
    assert all(row["verified"] and row["projectId"] == vercel.project_id for row in body["domains"])


async def test_an_alias_tells_what_serves_it_by_name_and_by_id(vercel: Driver) -> None:
    alias = await vercel.json("/v4/aliases/www.example.com")
    assert alias["deploymentId"] == alias["deployment"]["id"] == vercel.id_of("good")
    assert await vercel.json(f"/v4/aliases/{alias['uid']}") == alias
    await vercel.roll_back("v1")
    vercel.clock.advance(2)
    moved = await vercel.json("/v4/aliases/www.example.com")
    assert (moved["deploymentId"], moved["uid"]) == (vercel.id_of("v1"), alias["uid"])
    assert (await vercel.get("/v4/aliases/www.nobody.com")).status_code == 404


@pytest.mark.parametrize("path", ["/v4/aliases", "/v3/now/aliases"], ids=["documented", "of the CLI"])
async def test_aliases_are_listed_for_one_project_one_domain_or_what_a_rollback_would_move(path: str) -> None:
    other = a_project(name="docs", domains=["docs.example.com"])
    async with driving(a_scenario(projects=[a_project(), other])) as vercel:

        async def listed(**query: Any) -> list[str]:
            return [row["alias"] for row in (await vercel.json(path, **query))["aliases"]]

        mine = ["web-acme.vercel.app", "www.example.com"]
        assert sorted(await listed()) == sorted([*mine, "docs-acme.vercel.app", "docs.example.com"])
        assert await listed(projectId="web") == await listed(rollbackDeploymentId=vercel.id_of("v1")) == mine
        assert await listed(domain="docs.example.com") == ["docs.example.com"]
        assert await listed(rollbackDeploymentId="dpl_nobody") == await listed(projectId="nobody") == []
        assert len(await listed(limit=1)) == 1
        assert (await vercel.get(path, limit=0)).status_code == 400


async def test_a_reason_is_written_to_the_rollback_that_is_in_force_and_to_no_other(vercel: Driver) -> None:
    async def describe(name: str, body: Any) -> int:
        path = f"/v1/projects/web/rollback/{vercel.id_of(name)}/update-description"
        return (await vercel.client.patch(path, json=body)).status_code

    assert await describe("v2", {"description": "too early"}) == 404
    await vercel.roll_back("v2", description="first")
    assert await describe("v2", {"description": "5xx spike"}) == 200
    assert (await vercel.project())["rollbackDescription"]["description"] == "5xx spike"
    assert await describe("v1", {"description": "other"}) == 404
    assert await describe("v2", {"description": "x" * 250}) == 200
    assert await describe("v2", {"description": "x" * 251}) == 400
    assert await describe("v2", {}) == 400


@pytest.mark.parametrize(
    ("protection", "generated", "production"), [("none", 200, 200), ("standard", 401, 200), ("all", 401, 401)]
)
async def test_a_protected_site_asks_for_a_login_and_opens_to_a_secret(
    protection: str, generated: int, production: int
) -> None:
    project = a_project(
        protection=protection, bypass_secrets=[SECRET], traffic={"baseline_error_ratio": 0, "routes": [{"path": "/"}]}
    )
    async with driving(a_scenario(projects=[project])) as vercel:
        url = vercel.world.deployment("web", "good").url
        closed = await visited(vercel, url)
        assert (closed.status_code, "Authentication Required" in closed.text) == (generated, generated == 401)
        assert (await visited(vercel, "www.example.com")).status_code == production
        bypass = {"x-vercel-protection-bypass": SECRET}
        assert (await visited(vercel, url, **bypass)).status_code == 200
        assert (await visited(vercel, url, f"/?x-vercel-protection-bypass={SECRET}")).status_code == 200
        assert (await visited(vercel, url, **{"x-vercel-protection-bypass": "wrong"})).status_code == generated


async def test_a_visit_that_gets_the_login_page_is_not_counted() -> None:
    project = a_project(protection="all", traffic={"requests_per_second": 0})
    async with driving(a_scenario(projects=[project])) as vercel:
        await visited(vercel, "www.example.com")
        vercel.clock.advance(60)
        assert (await vercel.rows()).json()["rows"] == []


async def test_a_new_secret_opens_nothing_before_it_has_spread() -> None:
    project = a_project(protection="all", traffic={"baseline_error_ratio": 0, "routes": [{"path": "/"}]})
    async with driving(a_scenario(projects=[project], knobs={"bypass_delay_seconds": 0.5})) as vercel:
        made = await vercel.client.patch("/v1/projects/web/protection-bypass", json={})
        ((secret, facts),) = made.json()["protectionBypass"].items()
        assert (len(secret), facts["scope"]) == (32, "automation-bypass")
        assert list((await vercel.json("/v9/projects/web"))["protectionBypass"]) == [secret]
        bypass = {"x-vercel-protection-bypass": secret}
        vercel.clock.advance(0.499)
        assert (await visited(vercel, "www.example.com", **bypass)).status_code == 401
        vercel.clock.advance(0.001)
        assert (await visited(vercel, "www.example.com", **bypass)).status_code == 200


async def change(vercel: Driver, body: Any) -> httpx.Response:
    return await vercel.client.patch("/v1/projects/web/protection-bypass", json=body)


async def test_secrets_are_chosen_noted_replaced_and_revoked(vercel: Driver) -> None:
    made = await change(vercel, {"generate": {"secret": SECRET, "note": "probe"}})
    assert made.json()["protectionBypass"][SECRET]["note"] == "probe"
    noted = await change(vercel, {"update": {"secret": SECRET, "note": "daemon"}})
    assert noted.json()["protectionBypass"][SECRET]["note"] == "daemon"
    replaced = await change(vercel, {"revoke": {"secret": SECRET, "regenerate": True}})
    (other,) = replaced.json()["protectionBypass"]
    assert other != SECRET
    assert (await change(vercel, {"revoke": {"secret": other}})).json() == {"protectionBypass": {}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"generate": {"secret": "short"}}, 400),
        ({"generate": {"note": 1}}, 400),
        ({"generate": {"secret": SECRET}}, 409),
        ({"revoke": []}, 400),
        ({"revoke": {"secret": "nobody"}}, 404),
        ({"update": {"secret": "nobody"}}, 404),
        ({"something": 1}, 400),
    ],
    ids=str,
)
async def test_a_malformed_change_of_the_bypass_is_refused(body: dict[str, Any], status: int) -> None:
    async with driving(a_scenario(projects=[a_project(bypass_secrets=[SECRET])])) as vercel:
        assert (await change(vercel, body)).status_code == status
        assert list(vercel.world.project("web").bypasses) == [SECRET]
