"""The world's truth as labels: what fails, since when, through whose fault, and what was good before it.

A detector may be measured against them; no Vercel client could know them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon.emulator.fleet import Fleet
from daemon.emulator.fleet_plan import PlannedBuild, Traits, future_of, outages_of, past_of, traits_of
from daemon.emulator.model import Deployment, Failure, Project
from daemon.emulator.world import World

Label = dict[str, Any]


def labels(world: World, project: Project | None = None) -> dict[str, Any]:
    """Return the labels of *project*, or of all projects (None), in order of project and time.

    ``atMs`` and ``endMs`` are milliseconds since the epoch; an end of null is not yet known. In a generated fleet the
    builds to come are there as well, as planned: somebody who pins or rolls back changes what really happens.
    """
    wanted = list(world.projects.values()) if project is None else [project]
    found: list[Label] = []
    for item in wanted:
        if world.fleet is not None and world.fleet.has(item):
            found += _of_fleet(world, world.fleet, item)
        else:
            found += _of_scenario(world, item)
    return {"scenario": world.scenario.name, "startMs": world.start_ms, "labels": found}


def write_labels(world: World, path: Path) -> int:
    """Write every label to *path* as JSON and return how many there are."""
    document = labels(world)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return len(document["labels"])


def _of_fleet(world: World, fleet: Fleet, project: Project) -> Iterator[Label]:
    traits = traits_of(fleet.spec, fleet.number_of(project))
    builds = [*past_of(fleet.spec, traits), *future_of(fleet.spec, traits)]
    serving = [build for build in builds if build.is_production and build.ends == "READY"]
    previous: PlannedBuild | None = None
    for index, build in enumerate(serving):
        following = serving[index + 1] if index + 1 < len(serving) else None
        if build.trouble is not None:
            label = {**_project(world, project), **_of_build(fleet, project, build, previous)}
            end_ms, ended_by = _end(build, following)
            ended_ms = None if end_ms is None else world.start_ms + end_ms
            began_ms = world.start_ms + build.ready_ms
            yield {**label, "atMs": began_ms, "endMs": ended_ms, "endedBy": ended_by, **_habits(traits)}
        previous = build if build.is_good else previous
    for outage in outages_of(fleet.spec, traits):
        yield {
            **_project(world, project),
            "cause": "upstream",
            "shape": outage.trouble.shape.value,
            "deploymentId": None,
            "previousId": None,
            "atMs": world.start_ms + outage.from_ms,
            "endMs": world.start_ms + outage.until_ms,
            "endedBy": "itself",
            **_failure(outage.trouble.ratio, outage.trouble.status, outage.trouble.route, outage.trouble.message),
            **_habits(traits),
        }


def _of_build(fleet: Fleet, project: Project, build: PlannedBuild, previous: PlannedBuild | None) -> Label:
    assert build.trouble is not None
    number = fleet.number_of(project)
    return {
        "cause": "deployment",
        "shape": build.trouble.shape.value,
        "deploymentId": fleet.deployment_id(number, build.name),
        "previousId": None if previous is None else fleet.deployment_id(number, previous.name),
        **_failure(build.trouble.ratio, build.trouble.status, build.trouble.route, build.trouble.message),
    }


def _end(build: PlannedBuild, following: PlannedBuild | None) -> tuple[int | None, str | None]:
    """Return when the failing ends, from the start of the emulator, and through what; None while nothing ends it."""
    assert build.trouble is not None
    ends: list[tuple[int, str]] = []
    if build.rolled_back_at_ms is not None:
        ends.append((build.rolled_back_at_ms, "rollback"))
    if following is not None:
        ends.append((following.ready_ms, "next-deployment"))
    lasting = [None if item.lasts_ms is None else item.after_ms + item.lasts_ms for item in build.trouble.failures]
    if None not in lasting:
        ends.append((build.ready_ms + max(item for item in lasting if item is not None), "itself"))
    return min(ends) if ends else (None, None)


def _of_scenario(world: World, project: Project) -> Iterator[Label]:
    served: Deployment | None = None
    for deployment in sorted(world.deployments_of(project), key=lambda item: item.activated_at_ms or 0):
        if deployment.activated_at_ms is None:
            continue
        previous, is_good = served, not deployment.failures
        served = deployment if is_good else served
        for failure in deployment.failures:
            label = _active(world, project, failure, since_ms=deployment.activated_at_ms)
            yield {**label, "cause": "deployment", "deploymentId": deployment.id, "previousId": _id(previous)}
    for outage in project.outages:
        label = _active(world, project, outage, since_ms=world.start_ms)
        yield {**label, "cause": "upstream", "deploymentId": None, "previousId": None}


def _id(deployment: Deployment | None) -> str | None:
    return None if deployment is None else deployment.id


def _active(world: World, project: Project, failure: Failure, *, since_ms: int) -> Label:
    return {
        **_project(world, project),
        "shape": "jump",
        "atMs": since_ms if failure.from_ms is None else failure.from_ms,
        "endMs": failure.until_ms,
        "endedBy": None if failure.until_ms is None else "itself",
        **_failure(failure.ratio, failure.status, failure.route, failure.message),
    }


def _project(world: World, project: Project) -> Label:
    return {"project": project.name, "projectId": project.id, "team": world.team_of(project).slug}


def _failure(ratio: float, status: int, route: str | None, message: str | None) -> Label:
    return {"ratio": ratio, "status": status, "route": route, "message": message}


def _habits(traits: Traits) -> Label:
    return {"traffic": traits.shape, "requestsPerSecond": traits.requests_per_second}
