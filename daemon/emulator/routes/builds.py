"""Builds that clients ask for: of uploaded files, of a commit, or of what an earlier deployment was built from."""

import base64
import binascii
import itertools
from collections.abc import Mapping
from typing import Any

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.errors import ApiError, bad_request
from daemon.emulator.fault_specs import BuildFault, RouteGroup
from daemon.emulator.model import Deployment, Project
from daemon.emulator.project_specs import BuildLogSpec, CommitSpec, ReadyStateSpec
from daemon.emulator.routes.deployments import found
from daemon.emulator.scenario import DeploySpec

FILES_MAX = 1_000


def create_deployment(call: Call) -> Answer:
    """Begin a build and answer it while it is queued. Source: Vercel OpenAPI, createDeployment; Vercel CLI 64.0.2.

    ``deploymentId`` builds an earlier deployment again: `vercel redeploy`, and `vercel promote` of a preview.
    """
    body = call.json_object()
    if not isinstance(body.get("name"), str) or not body["name"]:
        raise bad_request("Invalid request: missing required property `name`.")
    target = _target(body)
    begin = _built if body.get("deploymentId") is None else _rebuilt
    deployment = begin(call, body, target)
    words = f"build {deployment.name} ({deployment.id}) for {'production' if deployment.is_production else 'preview'}"
    return Answer(200, wire.deployment(call.world, deployment), words)


def _target(body: Mapping[str, Any]) -> str | None:
    target = body.get("target")
    if target not in (None, "preview", "production"):
        raise bad_request("Invalid request: `target` should be production or preview; others are not emulated.")
    return target


def _rebuilt(call: Call, body: Mapping[str, Any], target: str | None) -> Deployment:
    """Build again what an earlier deployment was built from: the same code, so the same failures."""
    source = found(call, str(body["deploymentId"]))
    project = call.world.projects[source.project_id]
    action = _meta(body).get("action", "redeploy")
    commit = source.commit
    spec = _spec(
        call,
        project,
        stem=f"{source.name}-{action}",
        target=target or "preview",
        source="redeploy",
        commit={"message": commit.message, "author": commit.author, "branch": commit.branch, "sha": commit.sha or None},
        failures=source.failure_specs,
        meta={**source.meta, **_meta(body)},
        auto_assign=body.get("autoAssignCustomDomains") is not False,
        log=source.log,
    )
    deployment = call.world.deploy(spec)
    deployment.files = dict(source.files)
    deployment.commit = commit
    return deployment


def _built(call: Call, body: Mapping[str, Any], target: str | None) -> Deployment:
    """Build uploaded files or a commit. The first deployment of a project goes to production, whatever was asked."""
    project = call.reachable_project(str(body.get("project") or body["name"]), call.scoped_team())
    files = _files(call, body.get("files", []))
    git = body.get("gitSource") or body.get("gitMetadata") or {}
    if not files and not git:
        raise bad_request("Invalid request: one of `files`, `gitSource` or `deploymentId` is required.")
    if not isinstance(git, dict):
        raise bad_request("Invalid request: `gitSource` should be object.")
    is_first = not call.world.deployments_of(project)
    meta = _meta(body) | ({"gitDirty": str(int(bool(git["dirty"])))} if "dirty" in git else {})
    spec = _spec(
        call,
        project,
        stem="cli" if files else "git",
        target="production" if is_first else target or "preview",
        source="cli" if files else "git",
        commit=_commit(git),
        meta=meta,
        auto_assign=body.get("autoAssignCustomDomains") is not False,
    )
    deployment = call.world.deploy(spec)
    deployment.files = files
    if not git:
        # What was never in a repository has no commit: an empty one says so.
        deployment.commit = type(deployment.commit)(sha="", message="", author="", branch="")
    return deployment


def _spec(call: Call, project: Project, *, stem: str, **facts: Any) -> DeploySpec:
    fault = call.strikes.first(BuildFault)
    times = call.world.scenario.builds
    log = facts.pop("log", BuildLogSpec())
    if fault is not None and fault.error is not None:
        log = log.model_copy(update={"error": fault.error})
    taken = {deployment.name for deployment in call.world.deployments_of(project)}
    name = next(name for number in itertools.count(1) if (name := f"{stem[:80]}-{number}") not in taken)
    duration_ms = times.duration_ms if fault is None or fault.duration is None else fault.duration
    return DeploySpec.model_validate(
        {
            "project": project.name,
            "name": name,
            "queue": f"{times.queue_ms}ms",
            "build": f"{duration_ms}ms",
            "ends": ReadyStateSpec(fault.outcome.value) if fault is not None else ReadyStateSpec.READY,
            "log": log,
            **facts,
        }
    )


def _commit(git: Mapping[str, Any]) -> CommitSpec:
    """Return the commit of ``gitSource`` (API) or ``gitMetadata`` (CLI)."""
    texts = {
        "sha": git.get("sha") or git.get("commitSha"),
        "branch": git.get("ref") or git.get("commitRef") or "main",
        "message": git.get("commitMessage"),
        "author": git.get("commitAuthorName") or "Ada Lovelace",
    }
    try:
        return CommitSpec.model_validate(texts)
    except ValueError as error:
        raise bad_request("Invalid request: `gitSource` is malformed.") from error


def _meta(body: Mapping[str, Any]) -> dict[str, str]:
    meta = body.get("meta") or {}
    if not isinstance(meta, dict) or not all(isinstance(value, str) for value in meta.values()):
        raise bad_request("Invalid request: `meta` should be object of strings.")
    return meta


def _files(call: Call, listed: Any) -> dict[str, str]:
    """Return the files by path as SHA-1; some that nobody uploaded are a 400 ``missing_files``. Source: Vercel CLI."""
    if not isinstance(listed, list) or len(listed) > FILES_MAX:
        raise bad_request(f"Invalid request: `files` should be an array of at most {FILES_MAX} files.")
    files: dict[str, str] = {}
    for item in listed:
        if not isinstance(item, dict) or not isinstance(item.get("file"), str):
            raise bad_request("Invalid request: each of `files` needs `file`.")
        files[item["file"].lstrip("/")] = _sha(call, item)
    if missing := call.world.uploads.missing(files.values()):
        raise ApiError(400, "missing_files", "Missing files", missing=missing)
    return files


def _sha(call: Call, item: Mapping[str, Any]) -> str:
    if isinstance(item.get("sha"), str):
        return str(item["sha"]).lower()
    data = item.get("data")
    if not isinstance(data, str):
        raise bad_request("Invalid request: each of `files` needs `sha` or `data`.")
    if item.get("encoding") != "base64":
        return call.world.uploads.add(data.encode())
    try:
        return call.world.uploads.add(base64.b64decode(data, validate=True))
    except binascii.Error as error:
        raise bad_request(f"Invalid request: `data` of {item['file']!r} is no base64.") from error


def upload_file(call: Call) -> Answer:
    """Keep a file for a later build. Source: Vercel OpenAPI, uploadFile; Vercel CLI 64.0.2 sends ``x-now-digest``."""
    digest = call.headers.get("x-now-digest") or call.headers.get("x-vercel-digest")
    sha = call.world.uploads.add(call.raw_body, digest=digest)
    return Answer(200, {"urls": []}, f"file {sha} of {len(call.raw_body)} bytes")


def cancel_build(call: Call) -> Answer:
    """Cancel a build that is not over. Source: Vercel OpenAPI, cancelDeployment."""
    deployment = found(call, call.path["deployment"])
    call.world.builds.cancel(deployment)
    return Answer(200, wire.deployment(call.world, deployment), f"cancel {deployment.name} ({deployment.id})")


def delete_deployment(call: Call) -> Answer:
    """Delete a deployment, even the one that serves. Source: Vercel OpenAPI, deleteDeployment."""
    deployment = found(call, call.query.get("url") or call.path["deployment"])
    call.world.builds.delete(deployment)
    return Answer(200, {"uid": deployment.id, "state": "DELETED"}, f"delete {deployment.name} ({deployment.id})")


ROUTES = (
    route(RouteGroup.BUILDS, "POST", "/{v}/deployments", create_deployment, versions="v13", mutating=True),
    route(RouteGroup.BUILDS, "POST", "/{v}/files", upload_file, versions="v2", mutating=True),
    route(
        RouteGroup.BUILDS,
        "PATCH",
        "/{v}/deployments/{deployment}/cancel",
        cancel_build,
        versions="v12",
        mutating=True,
    ),
    route(
        RouteGroup.BUILDS, "DELETE", "/{v}/deployments/{deployment}", delete_deployment, versions="v13", mutating=True
    ),
    route(RouteGroup.BUILDS, "DELETE", "/now/deployments/{deployment}", delete_deployment, mutating=True),
)
