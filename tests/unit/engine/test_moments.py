"""Elapsed time: it goes on across restarts and take-overs, and the wall clock cannot turn it back or forward."""

from datetime import timedelta

import pytest

from daemon.core.facts import Instant
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from daemon.engine.moments import Moments
from daemon.ports.errors import OutcomeUnknown
from tests.builders import BAD, FIX, GOOD, START
from tests.fakes.clock import VirtualClock
from tests.fakes.daemon import World, a_daemon
from tests.fakes.hosting import Answer

HOUR = timedelta(hours=1)


def test_a_new_store_begins_at_nought() -> None:
    assert Moments(VirtualClock()).now() == Instant(START, 0.0)


async def test_elapsed_follows_the_monotonic_clock_and_at_the_wall_clock() -> None:
    clock = VirtualClock()
    await clock.advance(100)
    moments = Moments(clock)
    await clock.advance(7.5)
    assert moments.now() == Instant(START + timedelta(seconds=107.5), 7.5)


async def test_after_a_restart_elapsed_goes_on_where_it_was_plus_the_time_in_between() -> None:
    clock = VirtualClock()
    await clock.advance(60)
    moments = Moments(clock, newest=Instant(START, 1000.0))
    assert moments.now().elapsed == 1060.0
    await clock.advance(5)
    assert moments.now().elapsed == 1065.0


@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
async def test_I_10_a_wall_clock_that_steps_while_the_daemon_runs_does_not_move_elapsed(step: timedelta) -> None:
    clock = VirtualClock()
    moments = Moments(clock)
    await clock.advance(10)
    clock.step_wall(step)
    await clock.advance(10)
    assert moments.now() == Instant(START + timedelta(seconds=20) + step, 20.0)


async def test_I_10_a_wall_clock_that_stepped_back_between_two_runs_cannot_turn_elapsed_back() -> None:
    clock = VirtualClock()
    await clock.advance(60)
    clock.step_wall(-HOUR)
    moments = Moments(clock, newest=Instant(START, 1000.0))
    assert moments.now().elapsed == 1000.0
    await clock.advance(5)
    assert moments.now().elapsed == 1005.0


@pytest.mark.parametrize(("saved", "expected"), [(99.0, 100.0), (100.0, 100.0), (101.0, 101.0)])
async def test_elapsed_catches_up_with_what_another_daemon_saved_and_never_falls_back(
    saved: float, expected: float
) -> None:
    clock = VirtualClock()
    moments = Moments(clock)
    await clock.advance(100)
    moments.catch_up(Instant(START + 10 * HOUR, saved))
    assert moments.now().elapsed == expected
    await clock.advance(1)
    assert moments.now().elapsed == expected + 1


async def test_I_10_catching_up_does_not_count_wall_time() -> None:
    clock = VirtualClock()
    moments = Moments(clock)
    clock.step_wall(HOUR)
    moments.catch_up(Instant(START, 50.0))
    assert moments.now().elapsed == 50.0


@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
async def test_I_10_a_clock_that_steps_during_verification_neither_ends_nor_extends_its_deadline(
    step: timedelta,
) -> None:
    world = World()
    async with a_daemon(world) as daemon:
        await daemon.breach()
        await world.clock.advance(10)
        assert daemon.incident.state is State.VERIFYING
        switched = daemon.incident.switched
        assert switched is not None
        world.source.requests_a_bucket = 0
        world.clock.step_wall(step)
        while daemon.moments.now().elapsed < switched.elapsed + 599:
            assert daemon.incident.state is State.VERIFYING
            await daemon.live(10)
        await daemon.live(10)
        assert daemon.incident.state is State.ESCALATED


@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
async def test_I_10_a_clock_that_steps_while_the_fate_of_a_request_is_unknown_does_not_hasten_the_second(
    step: timedelta,
) -> None:
    world = World()
    world.hosting.answers.append(Answer(OutcomeUnknown("timed out"), is_applied=False))
    async with a_daemon(world) as daemon:
        await daemon.breach()
        world.clock.step_wall(step)
        await daemon.live(50)
        assert world.hosting.sent == [GOOD.id]


async def test_I_10_a_cooldown_is_not_over_because_the_wall_clock_stepped_forward() -> None:
    world = World()
    world.source.ratios = {BAD.id: 0.3, FIX.id: 0.3}
    async with a_daemon(world) as daemon:
        await daemon.breach()
        await daemon.live(200)
        assert daemon.incident.state is State.RESOLVED
        world.clock.step_wall(HOUR)
        await daemon.poll()
        world.hosting.release(FIX)
        await daemon.live(200)
        assert (daemon.incident.suspect, daemon.incident.reason) == (FIX, Reason.COOLDOWN)
        assert daemon.incident.state is State.AWAITING_APPROVAL
    assert world.hosting.sent == [GOOD.id]
