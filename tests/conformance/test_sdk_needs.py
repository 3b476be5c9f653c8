"""What @vercel/sdk insists on, field by field: the emulator's own answers have it, and without it the SDK refuses.

Everything else its parser fills in or strips, so that an answer without it would resolve all the same.
"""

import asyncio
import copy
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.given import arrange
from tests.conformance.sdk import at
from tests.conformance.sdk_play import Play, played
from tests.conformance.stage import ACTOR_TOKEN
from tests.requires import requires_vercel_clients, vercel_clients

pytestmark = [requires_vercel_clients, pytest.mark.proof]

SCRIPT = Path(__file__).with_name("sdk_parse.mjs")
PARSE_SECONDS_MAX = 60.0


@dataclass(frozen=True, kw_only=True)
class Needs:
    """One answer of the API, by its path, and the SDK's parser of it.

    ``refused_without``: fields without which it is refused. ``poor_without``: fields without which others vanish too.
    ``refused_as``: texts that no field of theirs may have. ``stripped``: fields that never reach the caller.
    """

    path: str
    module: str
    parser: str
    refused_without: tuple[str, ...] = ()
    poor_without: tuple[str, ...] = ()
    refused_as: tuple[tuple[str, str], ...] = ()
    stripped: tuple[str, ...] = ()


_PROJECT = ("nodeVersion", "alias", "resourceConfig", "deploymentExpiration")
NEEDS = {
    "getProject": Needs(
        path="/v9/projects/web",
        module="getprojectresponsebody",
        parser="getProjectResponseBodyFromJSON",
        refused_without=(
            *_PROJECT,
            "defaultResourceConfig",
            "link.deployHooks",
            "alias.0.environment",
            "alias.0.target",
            "lastAliasRequest.jobStatus",
            "lastAliasRequest.type",
        ),
        refused_as=(
            ("nodeVersion", "26.x"),
            ("lastAliasRequest.jobStatus", "weird"),
            ("lastAliasRequest.type", "weird"),
        ),
    ),
    "getProjects": Needs(
        path="/v10/projects",
        module="getprojectsresponsebody",
        parser="getProjectsResponseBodyFromJSON",
        refused_without=("projects", "pagination", *(f"projects.0.{name}" for name in _PROJECT)),
    ),
    "getDeployments": Needs(
        path="/v7/deployments",
        module="getdeploymentsop",
        parser="getDeploymentsResponseBodyFromJSON",
        refused_without=(
            "deployments",
            "pagination",
            "deployments.0.readyState",
            "deployments.0.type",
            "deployments.0.creator",
        ),
        refused_as=tuple(
            (f"deployments.1.{name}", "weird") for name in ("readyState", "readySubstate", "source", "target")
        ),
        stripped=("deployments.0.id",),
    ),
    "getDeployment": Needs(
        path="/v13/deployments/web-07abcdefg-acme.vercel.app",
        module="getdeploymentresponsebody",
        parser="getDeploymentResponseBodyFromJSON",
        refused_without=("readyState",),
        poor_without=(
            *("version", "name", "url", "projectId", "ownerId", "createdAt", "buildingAt", "status", "meta", "creator"),
            *(
                "inspectorUrl",
                "regions",
                "routes",
                "public",
                "type",
                "plan",
                "build",
                "env",
                "bootedAt",
                "buildSkipped",
            ),
            *("createdIn", "projectSettings", "isInConcurrentBuildsQueue", "isInSystemBuildsQueue"),
        ),
        stripped=("uid",),
    ),
    "getDeploymentEvents": Needs(
        path="/v3/deployments/web-07abcdefg-acme.vercel.app/events",
        module="getdeploymenteventsop",
        parser="getDeploymentEventsResponseFromJSON",
        refused_without=("0.type", "0.info"),
    ),
    "getRollingRelease": Needs(
        path="/v1/projects/web/rolling-release",
        module="getrollingreleaseop",
        parser="getRollingReleaseResponseBodyFromJSON",
        refused_without=(
            "rollingRelease.state",
            "rollingRelease.advancementType",
            "rollingRelease.stages",
            "rollingRelease.canaryDeployment.readyState",
            "rollingRelease.currentDeployment.readyState",
        ),
    ),
    "getRuntimeLogs": Needs(
        path="/v1/projects/web/deployments/dpl_07AAAAAAAAAAAAAAAAAAAAAAAAAA/runtime-logs",
        module="getruntimelogsop",
        parser="getRuntimeLogsResponseBodyFromJSON",
        refused_without=("level", "source"),
    ),
    "getAuthUser": Needs(
        path="/v2/user",
        module="getauthuserop",
        parser="getAuthUserResponseBodyFromJSON",
        refused_without=("user",),
        poor_without=("user.resourceConfig",),
        stripped=("user.version",),
    ),
    "listPromoteAliases": Needs(
        path="/v1/projects/web/promote/aliases",
        module="listpromotealiasesop",
        parser="listPromoteAliasesResponseBodyFromJSON",
        poor_without=("aliases", "pagination"),
    ),
    "getDrain": Needs(
        path="/v1/drains/{drain}",
        module="getdrainop",
        parser="getDrainResponseBodyFromJSON",
        refused_without=("delivery", "schemas", "source"),
    ),
}


@dataclass(frozen=True)
class Parsed:
    """What the SDK made of the emulator's answer, and of the same answer without a field or with another text in it."""

    answer: Any
    whole: Any
    errors_without: dict[str, str | None]
    values_without: dict[str, Any]
    errors_as: dict[tuple[str, str], str | None]


async def parsed_of(play: Play, needs: Needs, drain_id: str) -> Parsed:
    async with httpx.AsyncClient(base_url=play.sdk.url, headers={"authorization": f"Bearer {ACTOR_TOKEN}"}) as client:
        answer = (await client.get(needs.path.format(drain=drain_id))).json()
    removed = (*needs.refused_without, *needs.poor_without)
    bodies = [answer, *(without(answer, path) for path in removed)]
    bodies += [replaced(answer, path, text) for path, text in needs.refused_as]
    asked = [{"module": needs.module, "parser": needs.parser, "body": body} for body in bodies]
    run = await asyncio.to_thread(
        subprocess.run,
        [shutil.which("node") or "node", SCRIPT, vercel_clients()],
        input=json.dumps(asked).encode(),
        capture_output=True,
        timeout=PARSE_SECONDS_MAX,
        check=True,
    )
    whole, *others = json.loads(run.stdout)
    assert "error" not in whole, whole
    split = len(removed)
    return Parsed(
        answer,
        whole["value"],
        {path: other.get("error") for path, other in zip(removed, others[:split], strict=True)},
        {path: other.get("value") for path, other in zip(removed, others[:split], strict=True)},
        {pair: other.get("error") for pair, other in zip(needs.refused_as, others[split:], strict=True)},
    )


def without(answer: Any, path: str) -> Any:
    """Return a copy of *answer* that lacks *path*, which must be there."""
    at(answer, path)
    changed = copy.deepcopy(answer)
    parent, _, name = path.rpartition(".")
    del at(changed, parent)[name]
    return changed


def replaced(answer: Any, path: str, text: str) -> Any:
    """Return a copy of *answer* with *text* at *path*, which must be there."""
    at(answer, path)
    changed = copy.deepcopy(answer)
    parent, _, name = path.rpartition(".")
    at(changed, parent)[name] = text
    return changed


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[tuple[Play, str]]:
    """A world that has something of everything: a promote behind it, a release at work, a tail of one line, a drain."""
    async with played(tmp_path) as play:
        play.world.request_promote(play.stage.project, "v6", by="human")
        play.pass_time(1)
        play.configure_releases()
        play.world.rolling.start(play.stage.project, play.stage.deployment("v8"), by="human")
        tailed = {"deployment": "v7", "path": "/api", "message": "boom", "count": 1}
        arrange(play.stage, {"tailed": tailed, "faults": [{"kind": "tail-limit", "lines": 0}]})
        delivery = {"type": "http", "endpoint": "http://127.0.0.1:9/drain", "encoding": "json", "headers": {}}
        drain = {"name": "all", "projects": "all", "schemas": {"log": {"version": "v1"}}, "delivery": delivery}
        made = await play.sdk.resolves("drains.createDrain", requestBody=drain)
        yield play, made.says("id")


@pytest.mark.parametrize("call", sorted(NEEDS))
async def test_the_emulator_answers_what_the_sdk_refuses_or_loses_without(busy: tuple[Play, str], call: str) -> None:
    (play, drain_id), needs = busy, NEEDS[call]
    parsed = await parsed_of(play, needs, drain_id)
    assert [path for path in needs.refused_without if parsed.errors_without[path] is None] == []
    assert [pair for pair, error in parsed.errors_as.items() if error is None] == []
    for path in needs.stripped:
        at(parsed.answer, path)
        with pytest.raises(AssertionError, match="there is no"):
            at(parsed.whole, path)
    for path in needs.poor_without:
        assert parsed.errors_without[path] is None
        parent, _, name = path.rpartition(".")
        lost = set(at(parsed.whole, parent)) - set(at(parsed.values_without[path], parent)) - {name}
        assert lost, f"without {path} nothing else is lost"
