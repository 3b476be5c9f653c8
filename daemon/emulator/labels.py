"""The world's truth as labels: what fails, since when, through whose fault, and what was good before it.

A detector may be measured against them; no Vercel client could know them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
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


@dataclass(frozen=True, slots=True)
class Served:
    """A time in which a deployment served production. ``until_ms`` and ``ended_by`` are None while it does."""

    deployment: Deployment
    from_ms: int
    until_ms: int | None
    ended_by: str | None


def _served(world: World, project: Project) -> Iterator[Served]:
    """Yield what the first production domain pointed to, and what ended it."""
    kinds = {(move.project, move.at_ms): move.kind for move in world.ledger.moves}
    spans: list[tuple[int, str | None]] = []
    for assignment in project.assignments:
        deployment_id = next(
            (assignment.by_domain[one] for one in project.domains if one in assignment.by_domain), None
        )
        if not spans or spans[-1][1] != deployment_id:
            spans.append((assignment.at_ms, deployment_id))
    for (from_ms, deployment_id), following in zip_longest(spans, spans[1:]):
        if deployment_id is None or deployment_id not in world.deployments:
            continue
        until_ms = following[0] if following else None
        kind = None if until_ms is None else kinds.get((project.name, until_ms))
        ended_by = None if until_ms is None else "rollback" if kind == "rollback" else "next-deployment"
        yield Served(world.deployments[deployment_id], from_ms, until_ms, ended_by)


def _of_scenario(world: World, project: Project) -> Iterator[Label]:
    good: Deployment | None = None
    for served in _served(world, project):
        for failure in served.deployment.failures:
            since_ms = max(served.from_ms, failure.from_ms or served.from_ms)
            label = _active(world, project, failure, since_ms=since_ms, until_ms=served.until_ms, by=served.ended_by)
            if label["endMs"] is None or label["endMs"] > since_ms:
                yield {**label, "cause": "deployment", "deploymentId": served.deployment.id, "previousId": _id(good)}
        good = good if served.deployment.failures else served.deployment
    for outage in project.outages:
        since_ms = world.start_ms if outage.from_ms is None else outage.from_ms
        label = _active(world, project, outage, since_ms=since_ms, until_ms=None, by=None)
        yield {**label, "cause": "upstream", "deploymentId": None, "previousId": None}


def _id(deployment: Deployment | None) -> str | None:
    return None if deployment is None else deployment.id


def _active(
    world: World, project: Project, failure: Failure, *, since_ms: int, until_ms: int | None, by: str | None
) -> Label:
    """Return the label of *failure*, which ends by itself or *by* what ended the serving at *until_ms*."""
    ends = [(end_ms, how) for end_ms, how in ((failure.until_ms, "itself"), (until_ms, by)) if end_ms is not None]
    end_ms, ended_by = min(ends, key=lambda end: end[0], default=(None, None))
    return {
        **_project(world, project),
        "shape": "jump",
        "atMs": since_ms,
        "endMs": end_ms,
        "endedBy": ended_by,
        **_failure(failure.ratio, failure.status, failure.route, failure.message),
    }


def _project(world: World, project: Project) -> Label:
    return {"project": project.name, "projectId": project.id, "team": world.team_of(project).slug}


def _failure(ratio: float, status: int, route: str | None, message: str | None) -> Label:
    return {"ratio": ratio, "status": status, "route": route, "message": message}


def _habits(traits: Traits) -> Label:
    return {"traffic": traits.shape, "requestsPerSecond": traits.requests_per_second}
