"""What every Clock and every IdSource promises: the system's, the scaled one and the one that tests move."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from daemon.ports.clock import Clock
from daemon.runtime.clock import RandomIds, ScaledClock, SystemClock
from tests.builders import START
from tests.fakes.clock import VirtualClock

FACTOR = 1000.0
SHORT = {"system": 0.01, "scaled": 10.0, "virtual": 3600.0}


@dataclass(frozen=True, slots=True)
class Kind:
    """A clock, a while that is short for it, and how a test lets the while pass."""

    clock: Clock
    seconds: float
    let_pass: Callable[[float], Awaitable[None]]


async def sit_and_wait(_seconds: float) -> None:
    """Real time passes by itself."""


@pytest.fixture(params=list(SHORT))
def kind(request: pytest.FixtureRequest) -> Kind:
    seconds = SHORT[request.param]
    if request.param == "virtual":
        virtual = VirtualClock()
        return Kind(virtual, seconds, virtual.advance)
    clock: Clock = SystemClock() if request.param == "system" else ScaledClock(FACTOR)
    return Kind(clock, seconds, sit_and_wait)


async def sleep(kind: Kind) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(kind.clock.sleep(kind.seconds))
        await kind.let_pass(kind.seconds)


async def test_the_wall_time_is_aware_and_in_utc(kind: Kind) -> None:
    assert kind.clock.now().utcoffset() == timedelta(0)
    assert kind.clock.now().tzinfo is UTC


async def test_monotonic_time_never_goes_back(kind: Kind) -> None:
    readings = []
    for _ in range(3):
        readings += [kind.clock.monotonic() for _ in range(100)]
        await sleep(kind)
    assert readings == sorted(readings)


async def test_a_sleep_takes_at_least_as_long_as_asked_on_both_clocks(kind: Kind) -> None:
    at, elapsed = kind.clock.now(), kind.clock.monotonic()
    await sleep(kind)
    # Timers of the event loop may be early by the clock's resolution.
    assert kind.clock.monotonic() - elapsed >= kind.seconds * 0.9
    assert kind.clock.now() - at >= timedelta(seconds=kind.seconds * 0.9)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_no_time_is_no_wait(kind: Kind, seconds: float) -> None:
    before = kind.clock.monotonic()
    await kind.clock.sleep(seconds)
    assert kind.clock.monotonic() - before < 60 * kind.seconds


async def test_a_sleeper_can_be_cancelled(kind: Kind) -> None:
    async with asyncio.TaskGroup() as group:
        sleeper = group.create_task(kind.clock.sleep(1e6 * kind.seconds))
        await sleep(kind)
        sleeper.cancel()
    assert sleeper.cancelled()


async def test_sleepers_wake_in_the_order_of_their_times(kind: Kind) -> None:
    woken: list[int] = []

    async def wake(number: int) -> None:
        await kind.clock.sleep(number * kind.seconds)
        woken.append(number)

    async with asyncio.TaskGroup() as group:
        for number in (3, 1, 2):
            group.create_task(wake(number))
        await kind.let_pass(3 * kind.seconds)
    assert woken == [1, 2, 3]


def test_the_system_clock_shows_the_machines_time() -> None:
    before = datetime.fromtimestamp(0, UTC)
    assert before < SystemClock().now()


def test_two_scaled_clocks_with_one_epoch_show_one_time() -> None:
    one, two = (ScaledClock(FACTOR, epoch=START, started=100.0) for _ in range(2))
    difference = abs((one.now() - two.now()).total_seconds())
    assert difference < FACTOR, "they were read less than a second apart"
    assert one.now() - START == pytest.approx(timedelta(seconds=one.monotonic()), abs=timedelta(seconds=FACTOR))


@pytest.mark.parametrize("factor", [0.0, -1.0])
def test_time_that_stands_still_or_runs_backward_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        ScaledClock(factor)


async def test_a_virtual_clock_stands_still_and_its_wall_can_step() -> None:
    clock = VirtualClock()
    await clock.advance(5)
    clock.step_wall(timedelta(hours=-1))
    assert (clock.now(), clock.monotonic()) == (START + timedelta(hours=-1, seconds=5), 5.0)
    clock.jump(5)
    assert clock.monotonic() == 10.0


def test_ids_are_never_the_same_and_say_what_they_are_for() -> None:
    ids = [RandomIds().fresh("inc") for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(one.startswith("inc_") and one.isascii() for one in ids)
