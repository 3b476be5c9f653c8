"""The log of a build as its events: what was run, what it said, and why it failed, up to the present instant."""

from collections.abc import Iterator
from typing import Any

from daemon.emulator.build_lines import Framework, Line, framework_named
from daemon.emulator.identifiers import base62
from daemon.emulator.model import Deployment, Project, ReadyState

Event = dict[str, Any]


def builder_of(framework: str) -> str:
    """Return what Vercel builds *framework* with, as ``use`` of a build says."""
    return framework_named(framework).builder


def build_id(deployment: Deployment) -> str:
    """Return the id of the only build of *deployment*."""
    return "bld_" + base62("build", deployment.id, length=9).lower()


def build_events(deployment: Deployment, project: Project, now_ms: int) -> list[Event]:
    """Return the events of the build of *deployment* up to *now_ms*, oldest first; none while it is queued.

    Source: Vercel OpenAPI, getDeploymentEvents, the flat form; Vercel CLI 64.0.2 reads ``created`` and ``text``.
    """
    begun_ms = deployment.building_at_ms
    if begun_ms is None:
        return []
    end_ms = now_ms if deployment.ended_at_ms is None else deployment.ended_at_ms
    events = []
    for number, line in enumerate(_lines(deployment, project)):
        created_ms = begun_ms + round(line.share * deployment.planned_build_ms)
        if created_ms <= end_ms:
            events.append(_event(deployment, line, number, created_ms))
    if deployment.ready_state is ReadyState.CANCELED:
        events.append(_event(deployment, Line(1.0, "Build canceled", "stderr", "error"), len(events), end_ms))
    return events


def _event(deployment: Deployment, line: Line, number: int, created_ms: int) -> Event:
    serial = f"{created_ms:013d}{number:09d}"
    event: Event = {
        "type": line.kind,
        "created": created_ms,
        "date": created_ms,
        "deploymentId": deployment.id,
        "id": serial,
        "serial": serial,
        "text": line.text,
        "info": {"type": "build", "name": build_id(deployment), "entrypoint": "."},
    }
    return event if line.level is None else {**event, "level": line.level}


def state_event(deployment: Deployment) -> Event:
    """Return the event that a build is over. Source: Vercel OpenAPI, getDeploymentEvents, ``deployment-state``."""
    at_ms = deployment.ended_at_ms or deployment.created_at_ms
    serial = f"{at_ms:013d}999999999"
    info = {"type": "build", "name": build_id(deployment), "readyState": deployment.ready_state.value}
    return {
        "type": "deployment-state",
        "created": at_ms,
        "date": at_ms,
        "deploymentId": deployment.id,
        "id": serial,
        "serial": serial,
        "text": "",
        "info": info,
    }


def alias_event(deployment: Deployment) -> Event:
    """Return what ends the wait of `vercel deploy` once the domains are assigned. Source: Vercel CLI 64.0.2."""
    return {"type": "alias-assigned", "deploymentId": deployment.id}


def _lines(deployment: Deployment, project: Project) -> Iterator[Line]:
    framework = framework_named(project.spec.framework)
    yield from _preparation(deployment, project)
    yield from _installation(framework)
    yield from _work(deployment, project, framework)
    if deployment.planned_end is ReadyState.ERROR:
        yield from _failure(deployment, framework)
    elif deployment.planned_end is ReadyState.READY:
        yield from _completion(deployment)


def _preparation(deployment: Deployment, project: Project) -> Iterator[Line]:
    commit = deployment.commit
    yield Line(0.0, "Running build in Washington, D.C., USA (East) – iad1")
    yield Line(0.0, "Build machine configuration: 2 cores, 8 GB")
    if deployment.files:
        yield Line(0.02, f"Downloading {len(deployment.files)} deployment files...")
    else:
        yield Line(0.02, f"Cloning {project.name} (Branch: {commit.branch}, Commit: {commit.sha[:7]})")
        yield Line(0.06, "Cloning completed: 523.000ms")
    yield Line(0.07, "Restored build cache from previous deployment")


def _installation(framework: Framework) -> Iterator[Line]:
    yield Line(0.10, 'Running "vercel build"', "command")
    yield Line(0.11, "Vercel CLI 64.0.2")
    yield Line(0.12, "Installing dependencies...")
    for text in framework.deprecations:
        yield Line(0.20, text, "stderr", "warning")
    yield Line(0.30, "added 312 packages in 9s")
    yield Line(0.30, framework.detected)


def _work(deployment: Deployment, project: Project, framework: Framework) -> Iterator[Line]:
    yield Line(0.32, 'Running "npm run build"', "command")
    yield Line(0.33, f"> {project.name}@0.1.0 build")
    yield Line(0.33, f"> {framework.command}")
    for name in deployment.log.missing_env:
        yield Line(0.36, f"warning: {name} is not set", "stderr", "warning")
    for text in deployment.log.warnings:
        yield Line(0.38, text, "stderr", "warning")
    output = framework.output.splitlines()
    if deployment.planned_end is not ReadyState.READY:
        yield Line(0.40, output[0])
        return
    for number, text in enumerate(output):
        yield Line(0.40 + 0.45 * number / len(output), text)


def _failure(deployment: Deployment, framework: Framework) -> Iterator[Line]:
    for text in (deployment.log.error or framework.failure).splitlines():
        yield Line(0.90, text, "stderr", "error")
    yield Line(1.0, 'Error: Command "npm run build" exited with 1', "stderr", "error")


def _completion(deployment: Deployment) -> Iterator[Line]:
    yield Line(0.88, f"Build Completed in /vercel/output [{max(1, deployment.planned_build_ms // 1000)}s]")
    yield Line(0.90, "Deploying outputs...")
    yield Line(1.0, "Deployment completed")
