"""No call of @vercel/sdk that reaches a route of the emulator lacks a case, and none of those wanted is unserved."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.emulator.routes import API_ROUTES
from tests.requires import requires_vercel_clients, vercel_clients

pytestmark = [requires_vercel_clients, pytest.mark.slow]

WANTED = {
    "user.getAuthUser",
    *(f"projects.{name}" for name in ("getProjects", "getProject", "requestRollback", "requestPromote")),
    *(f"projects.{name}" for name in ("listPromoteAliases", "getProjectDomains", "filterProjectEnvs")),
    "projects.updateProjectsByProjectIdRollbackByDeploymentIdUpdateDescription",
    *(f"deployments.{name}" for name in ("getDeployments", "getDeployment", "getDeploymentEvents")),
    *(f"aliases.{name}" for name in ("listAliases", "getAlias", "listDeploymentAliases")),
    *(f"rollingRelease.getRollingRelease{name}" for name in ("", "Config", "BillingStatus")),
    *(f"rollingRelease.{name}RollingRelease" for name in ("start", "complete")),
    *("rollingRelease.approveRollingReleaseStage", "rollingRelease.updateRollingReleaseConfig"),
    *(f"drains.{name}" for name in ("createDrain", "getDrains", "getDrain", "updateDrain", "deleteDrain", "testDrain")),
    *(f"webhooks.{name}" for name in ("createWebhook", "getWebhooks", "getWebhook", "deleteWebhook")),
    "logs.getRuntimeLogs",
    "createObservabilityQuery",
}
"""The calls about projects, deployments, events, moves, aliases, releases, drains, webhooks, logs and counts."""
UNLIKE = {"projects.getProjectTrace"}
"""Its path, `/v1/projects/traces`, looks like that of a project called `traces`."""
_GROUP = re.compile(r"get (\w+)\(\) \{\s*return \(this\._\w+ \?\? \(this\._\w+ = new (\w+)\(")
_METHOD = re.compile(r"async (\w+)\((?:request, )?options\) \{\s*return unwrapAsync\((\w+)\(this")


def calls_of_the_sdk() -> Iterator[tuple[str, str, str]]:
    """Yield every call as (`projects.getProject`, method, path), the path with `x` for each parameter."""
    sdk = vercel_clients() / "node_modules" / "@vercel" / "sdk" / "esm"
    # The groups are getters of the whole SDK, which name them as callers do.
    names = {kind.lower(): name for name, kind in _GROUP.findall(_read(sdk / "sdk" / "sdk.js"))}
    for group in sorted((sdk / "sdk").glob("*.js")):
        prefix = "" if group.stem == "sdk" else f"{names[group.stem]}."
        for name, function in _METHOD.findall(_read(group)):
            source = _read(sdk / "funcs" / f"{function}.js")
            path, method = re.search(r'pathToFunc\("([^"]+)"', source), re.search(r'method: "(\w+)"', source)
            assert path is not None, function
            assert method is not None, function
            yield prefix + name, method[1], re.sub(r"\{\w+\}", "x", path[1])


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def cases() -> set[str]:
    """Return every text that stands in a test of the SDK, names of calls among them."""
    files = Path(__file__).parent.glob("test_sdk*.py")
    trees = [ast.parse(_read(file)) for file in files if file.name != Path(__file__).name]
    return {str(node.value) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def served() -> set[str]:
    """Return the calls that reach a route of the emulator."""
    return {
        call
        for call, method, path in calls_of_the_sdk()
        if any(method in route.methods and route.pattern.fullmatch(path) for route in API_ROUTES)
    }


def test_every_call_that_the_emulator_serves_has_a_case() -> None:
    assert sorted(served() - cases() - UNLIKE) == []


def test_every_call_that_was_asked_for_is_served() -> None:
    assert sorted(WANTED - served()) == []
