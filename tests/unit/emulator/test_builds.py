"""Builds that clients ask for: queued, built, ready; of files, of earlier deployments; canceled and deleted."""

import base64
import hashlib
from typing import Any

import httpx
import pytest

from tests.unit.emulator.driving import READER, Driver, a_project, a_scenario, driving

BUILDS = {"queue": "1s", "duration": "4s"}
PAGE = b"<h1>hi</h1>\n"


async def build(vercel: Driver, **body: Any) -> httpx.Response:
    return await vercel.client.post("/v13/deployments", json={"name": "web", **body})


async def built(vercel: Driver, **body: Any) -> dict[str, Any]:
    response = await build(vercel, **body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def state(vercel: Driver, deployment: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = await vercel.json(f"/v13/deployments/{deployment['id']}")
    return answer


async def visited(vercel: Driver, host: str, path: str = "/", **headers: str) -> httpx.Response:
    async with vercel.client_as(None) as visitor:
        return await visitor.get(path, headers={"host": host, **headers})


def inline(content: bytes = PAGE, name: str = "index.html") -> dict[str, Any]:
    return {"file": name, "data": base64.b64encode(content).decode(), "encoding": "base64", "mode": 33188}


async def test_a_redeploy_is_queued_then_built_then_serves() -> None:
    async with driving(a_scenario(builds=BUILDS)) as vercel:
        body = {"deploymentId": vercel.id_of("v2"), "target": "production", "meta": {"action": "redeploy"}}
        new = await built(vercel, **body)
        seen = [new["readyState"]]
        for step in (0.999, 0.001, 3.999, 0.001):
            vercel.clock.advance(step)
            seen.append((await state(vercel, new))["readyState"])
        assert seen == ["QUEUED", "QUEUED", "BUILDING", "BUILDING", "READY"]
        ready = await state(vercel, new)
        assert (ready["buildingAt"], ready["ready"]) == (new["createdAt"] + 1000, new["createdAt"] + 5000)
        assert ready["meta"]["action"] == "redeploy"
        assert ready["meta"]["githubCommitSha"] == vercel.world.deployment("web", "v2").commit.sha
        assert (ready["source"], ready["aliasAssigned"], new["aliasAssigned"]) == ("redeploy", True, False)
        assert await vercel.serving() == "v2-redeploy-1"


async def test_promoting_a_preview_builds_its_code_for_production_and_fails_like_it(vercel: Driver) -> None:
    failures = [{"ratio": 1.0, "status": 503}]
    await vercel.deploy("preview", target="preview", failures=failures, commit={"branch": "topic"})
    body = {"deploymentId": vercel.id_of("preview"), "target": "production", "meta": {"action": "promote"}}
    new = await built(vercel, **body)
    assert (new["target"], new["meta"]["githubCommitRef"]) == ("production", "topic")
    vercel.clock.advance(5)
    assert await vercel.serving() == "preview-promote-1"
    assert (await visited(vercel, "www.example.com")).status_code == 503


async def test_a_second_redeploy_has_a_name_and_an_id_of_its_own(vercel: Driver) -> None:
    ids = [(await built(vercel, deploymentId=vercel.id_of("v2")))["id"] for _ in range(2)]
    assert len(set(ids)) == 2
    assert [vercel.world.deployments[item].name for item in ids] == ["v2-redeploy-1", "v2-redeploy-2"]
    assert all(not vercel.world.deployments[item].is_production for item in ids)


async def test_a_rebuild_stays_staged_while_the_project_is_rolled_back(vercel: Driver) -> None:
    await vercel.roll_back("v2")
    vercel.clock.advance(2)
    await built(vercel, deploymentId=vercel.id_of("good"), target="production")
    vercel.clock.advance(10)
    assert await vercel.serving() == "v2"
    assert vercel.world.deployment("web", "good-redeploy-1").substate == "STAGED"


async def test_files_that_nobody_uploaded_are_missing_until_they_are_uploaded(vercel: Driver) -> None:
    sha = hashlib.sha1(PAGE, usedforsecurity=False).hexdigest()
    files = [{"file": "index.html", "sha": sha, "size": len(PAGE), "mode": 33188}]
    refused = await build(vercel, project="web", files=files)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "missing_files")
    assert refused.json()["error"]["missing"] == [sha]
    uploaded = await vercel.client.post("/v2/files", content=PAGE, headers={"x-now-digest": sha})
    assert (uploaded.status_code, uploaded.json()) == (200, {"urls": []})
    new = await built(vercel, project="web", files=files)
    vercel.clock.advance(5)
    page = await visited(vercel, new["url"])
    assert (page.status_code, page.content, page.headers["content-type"]) == (200, PAGE, "text/html; charset=utf-8")


async def test_an_upload_that_is_not_what_its_digest_says_is_refused(vercel: Driver) -> None:
    refused = await vercel.client.post("/v2/files", content=PAGE, headers={"x-now-digest": "0" * 40})
    assert refused.status_code == 400


async def test_a_deploy_of_files_is_a_preview_without_a_commit_and_answers_its_own_files(vercel: Driver) -> None:
    files = [inline(), inline(b"body{}", "assets/site.css")]
    new = await built(vercel, project=vercel.project_id, files=files, meta={"actor": "me"})
    assert (new["target"], new["source"], new["meta"]) == (None, "cli", {"actor": "me"})
    vercel.clock.advance(5)
    assert await vercel.serving() == "good"
    style = await visited(vercel, new["url"], "/assets/site.css")
    assert (style.status_code, style.content, style.headers["content-type"][:8]) == (200, b"body{}", "text/css")
    assert (await visited(vercel, new["url"], "/nothing.css")).status_code == 404
    assert (await vercel.json("/v6/deployments", limit=1))["deployments"][0]["meta"] == {"actor": "me"}


@pytest.mark.parametrize(
    ("auto_assign", "serving", "substate"), [(None, "cli-1", "PROMOTED"), (False, "good", "STAGED")]
)
async def test_a_production_deploy_takes_the_domains_unless_it_skips_them(
    vercel: Driver, auto_assign: bool | None, serving: str, substate: str
) -> None:
    changes = {} if auto_assign is None else {"autoAssignCustomDomains": auto_assign}
    new = await built(vercel, project="web", files=[inline()], target="production", **changes)
    vercel.clock.advance(5)
    assert await vercel.serving() == serving
    ready = await state(vercel, new)
    assert (ready["readySubstate"], ready["aliasAssigned"]) == (substate, True)


async def test_the_first_deployment_of_a_project_goes_to_production() -> None:
    async with driving(a_scenario(projects=[a_project(), {"name": "empty"}])) as vercel:
        assert (await built(vercel, name="empty", files=[inline()]))["target"] == "production"
        assert (await built(vercel, name="empty", files=[inline()]))["target"] is None


async def test_a_build_of_a_commit_has_its_metadata(vercel: Driver) -> None:
    sha = "ab" * 20
    new = await built(vercel, project="web", gitSource={"type": "github", "ref": "topic", "sha": sha, "repoId": 1})
    assert (new["meta"]["githubCommitSha"], new["meta"]["githubCommitRef"]) == (sha, "topic")
    git = {"commitSha": sha, "commitRef": "main", "commitMessage": "cart: x", "dirty": True}
    new = await built(vercel, project="web", files=[inline()], gitMetadata=git)
    assert (new["meta"]["githubCommitMessage"], new["meta"]["gitDirty"]) == ("cart: x", "1")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": ""}, 400),
        ({"project": "web"}, 400),
        ({"project": "web", "files": {}}, 400),
        ({"project": "web", "files": [{"file": "a"}]}, 400),
        ({"project": "web", "files": [{"data": "a"}]}, 400),
        ({"project": "web", "files": [{"file": "a", "data": "?", "encoding": "base64"}]}, 400),
        ({"project": "web", "files": [inline()], "target": "moon"}, 400),
        ({"project": "web", "files": [inline()], "meta": {"a": 1}}, 400),
        ({"project": "web", "gitSource": "main"}, 400),
        ({"project": "web", "gitSource": {"sha": "short"}}, 400),
        ({"project": "nobody", "files": [inline()]}, 404),
        ({"deploymentId": "dpl_nobody"}, 404),
    ],
    ids=str,
)
async def test_a_malformed_build_is_refused_and_nothing_is_built(
    vercel: Driver, body: dict[str, Any], status: int
) -> None:
    before = len(vercel.world.deployments)
    assert (await build(vercel, **body)).status_code == status
    assert len(vercel.world.deployments) == before


async def test_a_read_only_token_builds_nothing(vercel: Driver) -> None:
    async with vercel.client_as(READER) as reader:
        refused = await reader.post("/v13/deployments", json={"name": "web", "deploymentId": vercel.id_of("v2")})
    assert refused.status_code == 403


async def test_a_fault_lets_the_next_build_fail_with_its_reason(vercel: Driver) -> None:
    await vercel.control("faults", {"kind": "build", "outcome": "ERROR", "error": "Error: no DATABASE_URL", "count": 1})
    new = await built(vercel, deploymentId=vercel.id_of("good"), target="production")
    vercel.clock.advance(10)
    assert (await state(vercel, new))["errorCode"] == "BUILD_FAILED"
    events = await vercel.json(f"/v3/deployments/{new['id']}/events")
    assert [event["text"] for event in events[-2:]] == [
        "Error: no DATABASE_URL",
        'Error: Command "npm run build" exited with 1',
    ]
    assert await vercel.serving() == "good"
    later = await built(vercel, deploymentId=vercel.id_of("good"), target="production")
    vercel.clock.advance(10)
    assert (await state(vercel, later))["readyState"] == "READY"


async def test_a_canceled_build_never_gets_ready_and_one_that_is_over_cannot_be_canceled(vercel: Driver) -> None:
    new = await built(vercel, deploymentId=vercel.id_of("good"), target="production")
    vercel.clock.advance(1)
    canceled = await vercel.client.patch(f"/v12/deployments/{new['id']}/cancel")
    assert (canceled.status_code, canceled.json()["readyState"]) == (200, "CANCELED")
    vercel.clock.advance(60)
    assert (await state(vercel, new))["readyState"] == "CANCELED"
    assert await vercel.serving() == "good"
    again = await vercel.client.patch(f"/v12/deployments/{new['id']}/cancel")
    assert again.status_code == 400


@pytest.mark.parametrize("status", [404, 410])
async def test_a_deleted_deployment_is_gone_from_lists_hosts_and_rollbacks(status: int) -> None:
    async with driving(a_scenario(knobs={"rollback_to_deleted": status})) as vercel:
        url, target = vercel.world.deployment("web", "v2").url, vercel.id_of("v2")
        deleted = await vercel.client.delete(f"/v13/deployments/{target}")
        assert (deleted.status_code, deleted.json()) == (200, {"uid": target, "state": "DELETED"})
        assert (await vercel.get(f"/v13/deployments/{target}")).status_code == 404
        assert (await vercel.get(f"/v13/deployments/{url}")).status_code == 404
        assert (await visited(vercel, url)).status_code == 404
        listed = [row["uid"] for row in (await vercel.json("/v7/deployments"))["deployments"]]
        assert listed == [vercel.id_of("good"), vercel.id_of("v1")]
        refused = await vercel.client.post(f"/v9/projects/web/rollback/{target}")
        assert refused.status_code == status
        assert await vercel.serving() == "good"


async def test_deleting_what_serves_leaves_the_domains_without_an_answer(vercel: Driver) -> None:
    await vercel.client.delete(f"/v13/deployments/{vercel.id_of('good')}")
    assert (await visited(vercel, "www.example.com")).headers["x-vercel-error"] == "DEPLOYMENT_NOT_FOUND"
    assert (await vercel.get("/projects/web/production-deployment")).status_code == 404
    assert (await vercel.json("/v9/projects/web"))["targets"] == {}


async def test_deleting_a_build_that_is_at_work_stops_it(vercel: Driver) -> None:
    new = await built(vercel, deploymentId=vercel.id_of("good"), target="production")
    await vercel.client.delete(f"/v13/deployments/{new['id']}")
    vercel.clock.advance(60)
    assert await vercel.serving() == "good"
