"""The whole matrix: a daemon is killed at every request and every commit of an incident, and its successor ends it."""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.crash.boundaries import (
    LOST,
    REQUEST_POINTS,
    Blow,
    Boundary,
    Outcome,
    incident_commits,
    judge,
    phase_of,
    table,
)
from tests.integration.crash.processes import Daemon
from tests.integration.crash.stage import Stage, staged

AT_ONCE = 3
"""An incident is mostly waiting; many more of them on two cores would disturb each other's clocks."""
ATTEMPTS = 2
"""How often a boundary is tried: how many looks there are at a job under way is chance, and the last may be missing."""

pytestmark = pytest.mark.proof


@dataclass(frozen=True, slots=True)
class Incident:
    """What an undisturbed incident consists of: (route, nth) of its requests and (label, nth) of its commits."""

    requests: tuple[tuple[str, int], ...]
    commits: tuple[tuple[str, int], ...]


async def _undisturbed(folder: Path) -> Incident:
    """Return the parts of an incident, from the poll that detects it to the notice that it is resolved."""
    async with staged(folder, daemons=1) as stage:
        daemon = await stage.start()
        state = await stage.wait_ended(daemon)
        outcome = await judge(stage, state, "undisturbed", on_disk="-", sent_max=1)
        assert not outcome.broken, table([outcome])
        commits = incident_commits(daemon.commits)
        began, ended = (
            (one.at - stage.started) * stage.clock.factor * 1000 + stage.server.world.start_ms
            for one in (commits[0], commits[-1])
        )
        entries = [one for one in stage.server.world.ledger.entries if began <= one.at_ms <= ended]
        return Incident(
            requests=tuple((one.route, stage.nth_since_release(one)) for one in entries),
            commits=tuple((one.label, one.nth) for one in commits),
        )


async def _strike(stage: Stage, daemon: Daemon, boundary: Boundary) -> bool:
    """Strike *daemon* at *boundary*; False when the incident ended before it came to that."""
    if not boundary.is_commit:
        Blow(stage, daemon, boundary).aim()
    return await stage.wait_struck(daemon)


async def _play(folder: Path, boundary: Boundary) -> Outcome | None:
    """Strike a daemon, start it again on the same file and judge how the incident ends; None: it was not struck."""
    async with staged(folder) as stage:
        first = await stage.start(boundary.trap)
        if not await _strike(stage, first, boundary):
            return None
        left = await stage.saved()
        if boundary.signal == signal.SIGTERM and first.process.returncode != 0:
            return Outcome.failed(str(boundary), f"exit status {first.process.returncode}")
        second = await stage.start()
        state = await stage.wait_ended(second)
        return await judge(stage, state, str(boundary), on_disk=phase_of(left))


async def _try(folder: Path, boundary: Boundary) -> Outcome:
    try:
        for attempt in range(ATTEMPTS):
            outcome = await _play(folder.with_name(f"{folder.name}-{attempt}"), boundary)
            if outcome is not None:
                return outcome
    except AssertionError as error:
        return Outcome.failed(str(boundary), str(error))
    return Outcome.unreached(str(boundary))


async def _play_all(folder: Path, boundaries: Sequence[Boundary]) -> list[Outcome]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def play(number: int, boundary: Boundary) -> Outcome:
        async with gate:
            return await _try(folder / f"case-{number}", boundary)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(play(number, boundary)) for number, boundary in enumerate(boundaries)]
    return [task.result() for task in tasks]


def _show(outcomes: Sequence[Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    ends = Counter((one.sent, one.applied, one.end) for one in outcomes)
    with capsys.disabled():
        print(f"\n{table(outcomes)}\n")
        for (sent, applied, end), count in sorted(ends.items()):
            print(f"{count:>4} x sent {sent}, applied {applied}, {end}")


def _unreached(outcomes: Sequence[Outcome]) -> set[str]:
    """Return the points to which no incident came, of which there may be few."""
    unreached = {one.boundary for one in outcomes if one.end == "not reached"}
    assert len(unreached) <= len(outcomes) // 10, unreached
    return unreached


async def test_I_16_at_most_one_rollback_is_applied_and_two_are_sent_wherever_the_daemon_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    incident = await _undisturbed(tmp_path / "undisturbed")
    outcomes = await _play_all(
        tmp_path,
        [
            *(Boundary(when, route, nth) for route, nth in incident.requests for when in REQUEST_POINTS.values()),
            *(Boundary(when, label, nth) for label, nth in incident.commits for when in ("before", "after")),
            Boundary(LOST, "rollback"),
        ],
    )
    _show(outcomes, capsys)
    broken = [one for one in outcomes if one.broken]
    assert not broken, f"{len(broken)} of {len(outcomes)} incidents went wrong:\n{table(broken)}"
    # The matrix only means something when it struck at nearly all points, and at each of the request that acts.
    unreached = _unreached(outcomes)
    essential = {f"rollback 1 {when}" for when in (*REQUEST_POINTS.values(), LOST)}
    essential |= {f"{when} `commit {phase}` 1" for when in ("before", "after") for phase in ("preparing", "sent")}
    assert essential <= {one.boundary for one in outcomes} - unreached


async def test_a_daemon_that_is_asked_to_stop_at_any_request_ends_at_once_and_its_successor_ends_the_incident(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    incident = await _undisturbed(tmp_path / "undisturbed")
    outcomes = await _play_all(
        tmp_path, [Boundary("arrives", route, nth, signal=signal.SIGTERM) for route, nth in incident.requests]
    )
    _show(outcomes, capsys)
    assert not [one for one in outcomes if one.broken or one.sent > 1], table(outcomes)
    assert "rollback 1 arrives" in {one.boundary for one in outcomes} - _unreached(outcomes)
