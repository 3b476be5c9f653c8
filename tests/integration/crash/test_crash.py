"""A daemon is killed, stopped, paused or replaced in the middle of an incident: what its successor makes of it."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.core.incident import State, Trigger
from daemon.runtime.clock import SystemClock
from tests.integration.crash.boundaries import LOST, Blow, Boundary, judge, phase_of, table
from tests.integration.crash.launcher import Trap
from tests.integration.crash.processes import Daemon
from tests.integration.crash.stage import INTERVAL_SECONDS, OBSERVABILITY, Stage, staged

ROLLBACK = "rollback"


async def _strike(stage: Stage, daemon: Daemon, boundary: Boundary) -> Blow:
    """Kill *daemon* at a request and wait until it is dead."""
    blow = Blow(stage, daemon, boundary)
    blow.aim()
    await stage.wait_dead(daemon)
    await stage.wait_until(lambda: blow.sends_on_disk is not None, "the look at the disk")
    return blow


async def _ends_well(stage: Stage, daemon: Daemon, *, sent: int, boundary: str = "") -> None:
    state = await stage.wait_ended(daemon)
    outcome = await judge(stage, state, boundary, on_disk="")
    assert not outcome.broken, f"{table([outcome])}\n{stage.tail()}"
    assert outcome.sent == sent


async def _plays(folder: Path, boundary: Boundary, *, sent: int) -> None:
    async with staged(folder) as stage:
        first = await stage.start(boundary.trap)
        if boundary.is_commit:
            await stage.wait_dead(first)
        else:
            await _strike(stage, first, boundary)
        await _ends_well(stage, await stage.start(), sent=sent)


@pytest.mark.slow
async def test_I_16_a_request_that_was_applied_is_not_sent_again_when_its_answer_was_lost(tmp_path: Path) -> None:
    await _plays(tmp_path, Boundary("answer lost", ROLLBACK), sent=1)


@pytest.mark.slow
async def test_I_21_the_intent_is_on_disk_when_the_request_arrives_and_a_lost_request_is_sent_once_more(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        first = await stage.start()
        blow = await _strike(stage, first, Boundary(LOST, ROLLBACK))
        assert blow.sends_on_disk == 1
        assert phase_of(await stage.saved()) == "mitigating sent"
        second = await stage.start()
        await _ends_well(stage, second, sent=2)
        # Between the two lies the time in which the first could still have been at work.
        gap = timedelta(milliseconds=stage.posts[1].at_ms - stage.posts[0].at_ms)
        assert gap >= timedelta(seconds=60)


@pytest.mark.proof
async def test_I_21_an_intent_that_was_committed_and_never_sent_is_reconciled_and_then_sent(tmp_path: Path) -> None:
    await _plays(tmp_path, Boundary("after", "commit sent"), sent=1)


@pytest.mark.proof
async def test_I_21_an_intent_that_was_not_committed_was_not_sent(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        first = await stage.start(Boundary("before", "commit sent").trap)
        await stage.wait_dead(first)
        assert not stage.posts
        assert phase_of(await stage.saved()) == "mitigating preparing"
        await _ends_well(stage, await stage.start(), sent=1)


@pytest.mark.slow
@pytest.mark.proof
async def test_I_16_a_crash_at_the_second_request_too_sends_no_third(tmp_path: Path) -> None:
    async with staged(tmp_path, daemons=3) as stage:
        first = await stage.start()
        await _strike(stage, first, Boundary(LOST, ROLLBACK))
        second = await stage.start()
        blow = await _strike(stage, second, Boundary("answer lost", ROLLBACK, nth=2))
        assert blow.sends_on_disk == 2
        await _ends_well(stage, await stage.start(), sent=2)


@pytest.mark.proof
async def test_I_16_two_requests_that_were_both_lost_end_in_a_page_and_not_in_a_third(tmp_path: Path) -> None:
    async with staged(tmp_path, daemons=3) as stage:
        for nth in (1, 2):
            await _strike(stage, await stage.start(), Boundary(LOST, ROLLBACK, nth))
        state = await stage.wait_ended(await stage.start())
        assert state.last_ended is not None
        assert state.last_ended.state is State.ESCALATED
        assert state.last_ended.trail[-1].trigger is Trigger.OUTCOME_UNKNOWN
        [page] = stage.told("escalated")
        assert page["severity"] == "page"
        assert "two requests left no trace" in page["summary"]
        assert "vercel rollback" in page["next_step"]
        assert (len(stage.posts), len(stage.applied), stage.production) == (2, 0, "bad")
        assert len(await stage.incidents()) == 1


async def _goes_down_and_comes_back(stage: Stage) -> tuple[Daemon, datetime]:
    """Stop a daemon, let the bad deployment go live and fail for minutes, start another; return it and that moment."""
    first = await stage.start()
    await stage.wait_until(lambda: len(first.lines("cycle.completed")) >= 3, "three polls")
    assert await stage.terminate(first) == 0
    await stage.clock.sleep(30)
    stage.release_bad()
    [move] = stage.server.world.ledger.moves
    await stage.clock.sleep(150)
    return await stage.start(), datetime.fromtimestamp(move.at_ms / 1000, UTC)


async def _activation_of_bad(stage: Stage) -> datetime:
    [activation] = [one for one in (await stage.saved()).activations if one.deployment.id == stage.bad.id]
    assert activation.at is not None
    return activation.at


@pytest.mark.slow
@pytest.mark.proof
async def test_a_daemon_that_was_down_when_the_bad_deployment_went_live_dates_it_by_its_counts_and_rolls_it_back(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, releases_bad=False, source=OBSERVABILITY) as stage:
        second, went_live = await _goes_down_and_comes_back(stage)
        await _ends_well(stage, second, sent=1)
        # Counts come by the minute.
        assert timedelta(0) <= went_live - await _activation_of_bad(stage) <= timedelta(minutes=1)
        # The lease had been given up, so nobody had to wait for it.
        assert not second.lines("lease.awaited")


@pytest.mark.proof
async def test_a_daemon_that_was_down_and_sees_only_the_newest_requests_still_dates_no_later_than_its_first_look(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, releases_bad=False) as stage:
        second, went_live = await _goes_down_and_comes_back(stage)
        came_back = stage.clock.now()
        await _ends_well(stage, second, sent=1)
        assert went_live <= await _activation_of_bad(stage) <= came_back + timedelta(seconds=INTERVAL_SECONDS)


@pytest.mark.slow
@pytest.mark.proof
async def test_I_24_a_leader_that_was_paused_past_its_lease_sends_nothing_when_it_goes_on(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        first = await stage.start(Trap("after", label="commit sent", signal=signal.SIGSTOP))
        await stage.wait_until(lambda: first.is_stopped, "the stop after the decision")
        assert not stage.posts
        second = await stage.start()
        await stage.wait_phase(second, "unknown")
        first.send(signal.SIGCONT)
        await stage.wait_until(lambda: bool(first.lines("lease.lost")), "the first daemon to notice")
        assert not stage.posts
        await _ends_well(stage, second, sent=1)
        assert first.is_running
        assert not first.lines("action.sent")
        assert len(second.lines("action.sent")) == 1
        assert first.lines("lease.awaited")


@pytest.mark.proof
async def test_I_24_a_leader_that_goes_on_after_the_rollback_of_another_sends_nothing(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        first = await stage.start(Trap("after", label="commit sent", signal=signal.SIGSTOP))
        await stage.wait_until(lambda: first.is_stopped, "the stop after the decision")
        second = await stage.start()
        await stage.wait_phase(second, "verifying")
        first.send(signal.SIGCONT)
        await _ends_well(stage, second, sent=1)
        assert not first.lines("action.sent")


@pytest.mark.proof
async def test_I_24_a_leader_that_was_paused_after_its_last_look_at_the_lease_applies_no_second_rollback(
    tmp_path: Path,
) -> None:
    # No client can promise more: Vercel knows no fencing token. The request leaves late, and comes to nothing.
    async with staged(tmp_path) as stage:
        first = await stage.start(Trap("before_post", signal=signal.SIGSTOP))
        await stage.wait_until(lambda: first.is_stopped, "the stop before the request")
        second = await stage.start()
        await stage.wait_phase(second, "verifying")
        assert len(stage.posts) == 1
        first.send(signal.SIGCONT)
        await stage.wait_until(lambda: len(stage.posts) == 2, "the late request")
        await _ends_well(stage, second, sent=2)
        assert [entry.status for entry in stage.posts] == [201, 409]


@pytest.mark.slow
async def test_a_daemon_that_is_asked_to_stop_in_the_middle_ends_at_once_and_hands_the_lease_over(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        first = await stage.start()
        blow = Blow(stage, first, Boundary("arrives", ROLLBACK, signal=signal.SIGTERM))
        blow.aim()
        await stage.wait_until(lambda: blow.entry is not None, "the request")
        asked_at = SystemClock().monotonic()
        assert await stage.wait_dead(first) == 0, stage.tail()
        assert SystemClock().monotonic() - asked_at < 5
        assert first.commits[-1].label == "release the lease"
        # What was under way was finished: the answer is on disk.
        assert phase_of(await stage.saved()) in ("mitigating accepted", "verifying")
        second = await stage.start()
        await _ends_well(stage, second, sent=1)
        assert not second.lines("lease.awaited")
