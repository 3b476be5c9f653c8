"""A month of a generated fleet put on record: what its visitors got by the minute, and who served since when.

Taken from the emulator's own truth, which keeps a day of counts, so that time goes on half a day at a time.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from daemon.backtest.history import Counted, ProjectHistory, RecordedActivation
from daemon.core.facts import ActivationOrigin, DeploymentId, ErrorRateSample, ProjectId
from daemon.emulator import ManualClock, World, truth
from daemon.emulator.fleet_specs import FleetSpec
from daemon.emulator.labels import labels
from daemon.emulator.model import Project
from daemon.emulator.scenario_files import fleet_scenario
from daemon.vercel.wire import EPOCH

STRIDE_SECONDS = 43_200
LAG = timedelta(seconds=68)
"""Vercel's counts are given a minute after their minute, and a daemon that polls every 15 s reads them then."""


def record_fleet(spec: FleetSpec, *, days: int) -> tuple[list[ProjectHistory], dict[str, Any]]:
    """Return what is on record of every project of the fleet after so many days, and the labels of what failed."""
    clock = ManualClock()
    world = World(fleet_scenario(spec), clock)
    counted: dict[str, list[ErrorRateSample]] = defaultdict(list)
    for _ in range(days * 86_400 // STRIDE_SECONDS):
        from_ms = world.now_ms
        clock.advance(STRIDE_SECONDS)
        world.advance()
        for project in world.projects.values():
            counted[project.id] += _counts(world, project, from_ms=from_ms, to_ms=world.now_ms)
    histories = [
        ProjectHistory(
            project=ProjectId(project.id),
            start=_moment(world.start_ms),
            until=_moment(world.now_ms),
            activations=tuple(_activations(world, project)),
            counts=tuple(Counted(sample, LAG) for sample in counted[project.id]),
        )
        for project in world.projects.values()
    ]
    return histories, labels(world)


def _counts(world: World, project: Project, *, from_ms: int, to_ms: int) -> Sequence[ErrorRateSample]:
    """Return whole minutes, each once: one that time stopped in is counted when it is over."""
    requests: Counter[tuple[int, str]] = Counter()
    errors: Counter[tuple[int, str]] = Counter()
    for cell in truth.counts(world, project, from_ms=from_ms, to_ms=to_ms - to_ms % 60_000)["cells"]:
        if cell["environment"] == "production" and not cell["waf_action"]:
            requests[cell["minuteMs"], cell["deployment_id"]] += cell["count"]
            errors[cell["minuteMs"], cell["deployment_id"]] += cell["count"] * (cell["http_status"] >= 500)
    return [
        ErrorRateSample(
            DeploymentId(deployment), _moment(minute), _moment(minute + 60_000), count, errors[minute, deployment]
        )
        for (minute, deployment), count in sorted(requests.items())
    ]


def _activations(world: World, project: Project) -> Iterator[RecordedActivation]:
    """Yield what the first domain pointed to, in turn."""
    known: set[str] = set()
    serving = None
    for assignment in project.assignments:
        deployment_id = assignment.by_domain.get(project.domains[0])
        if deployment_id is None or deployment_id == serving:
            continue
        serving = deployment_id
        origin = ActivationOrigin.FOREIGN_ROLLBACK if serving in known else ActivationOrigin.RELEASE
        known.add(serving)
        built = world.deployments[serving]
        at, created_at = _moment(assignment.at_ms), _moment(built.created_at_ms)
        yield RecordedActivation(DeploymentId(serving), at, created_at, origin, commit=built.commit.sha)


def _moment(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)
