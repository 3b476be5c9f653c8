"""The budget of one token: never more than so many requests a minute, urgent ones first, reads in their order."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import cycle, islice

import pytest

from daemon.ports.errors import RateLimited
from daemon.vercel.allowance import Allowance
from daemon.vercel.budget import (
    HOLD_SECONDS_MAX,
    PAUSE_SECONDS_MAX,
    RateBudget,
    Withheld,
)
from tests.fakes.clock import VirtualClock, settle

SPENT = Allowance(remaining=0, resets_in_seconds=20)


class Reads:
    """A budget of 60 a minute (12 at once, then four in five seconds), its clock, and when each read began."""

    def __init__(self, per_minute: int = 60, *, jitter: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.waits: list[tuple[str, float]] = []
        self.withheld: list[tuple[str, Withheld]] = []
        self.began: list[tuple[str, float]] = []
        self.refused: list[tuple[str, RateLimited]] = []
        self.budget = RateBudget(
            clock=self.clock,
            jitter=lambda: jitter,
            requests_per_minute_max=per_minute,
            on_wait=lambda route, seconds: self.waits.append((route, seconds)),
            on_withheld=lambda route, cause: self.withheld.append((route, cause)),
        )
        self._group: asyncio.TaskGroup | None = None

    async def read(self, name: str = "a", *, route: str = "project", seconds_max: float = 30.0) -> None:
        try:
            await self.budget.admit(route, what=f"read {name}", seconds_max=seconds_max)
        except RateLimited as error:
            self.refused.append((name, error))
        else:
            self.began.append((name, self.clock.monotonic()))

    async def start(self, *reads: Coroutine[None, None, None]) -> list[asyncio.Task[None]]:
        assert self._group is not None
        tasks = [self._group.create_task(read) for read in reads]
        await settle()
        return tasks

    async def drain(self) -> None:
        """Let everything begin that may begin at once."""
        await self.start(*(self.read("drain") for _ in range(self.budget.burst)))
        assert len(self.began) == self.budget.burst
        self.began.clear()


@asynccontextmanager
async def reading(*args: int, **changes: float) -> AsyncIterator[Reads]:
    reads = Reads(*args, **changes)
    async with asyncio.TaskGroup() as group:
        reads._group = group
        yield reads


def most_in_a_minute(moments: list[float]) -> int:
    return max(sum(begin <= moment <= begin + 60 for moment in moments) for begin in moments)


def pause_all(budget: RateBudget, seconds: float) -> None:
    """Let two routes be answered 429, which says that the limit is the token's."""
    budget.pause("one", seconds)
    budget.pause("another", seconds)


# The pace


async def test_a_burst_goes_at_once_and_the_rest_at_an_even_pace() -> None:
    async with reading() as reads:
        await reads.start(*(reads.read(str(number)) for number in range(15)))
        assert [name for name, _ in reads.began] == [str(number) for number in range(12)]
        await reads.clock.advance(10)
        assert [(name, round(at, 6)) for name, at in reads.began[12:]] == [("12", 1.25), ("13", 2.5), ("14", 3.75)]
        assert [round(seconds, 6) for _, seconds in reads.waits] == [1.25, 2.5, 3.75]


@pytest.mark.parametrize("per_minute", [2, 3, 10, 60, 97])
async def test_in_no_minute_do_more_reads_begin_than_the_budget_says(per_minute: int) -> None:
    crowds, pauses = cycle([0, 1, per_minute, 0, 3, 0, 0, 2]), cycle([0.1, 7.0, 1.0])
    async with reading(per_minute) as reads:
        for crowd, pause in islice(zip(crowds, pauses, strict=False), 90):
            await reads.start(*(reads.read(seconds_max=300.0) for _ in range(crowd)))
            await reads.clock.advance(pause)
        await reads.clock.advance(10_000)
        moments = [at for _, at in reads.began]
        assert most_in_a_minute(moments) == per_minute
        assert len(moments) > 2 * per_minute, "and it is used up, not left alone"


async def test_what_is_not_used_is_kept_only_up_to_one_burst() -> None:
    async with reading() as reads:
        await reads.clock.advance(3600)
        await reads.start(*(reads.read() for _ in range(20)))
        assert len(reads.began) == 12
        await reads.clock.advance(100)


async def test_a_step_of_the_wall_clock_changes_nothing() -> None:
    async with reading() as reads:
        await reads.drain()
        for step in (-3600, 7200):
            reads.clock.step_wall(timedelta(seconds=step))
            await reads.start(reads.read())
            assert reads.began == []
            await reads.clock.advance(1.25)
            assert len(reads.began) == 1
            reads.began.clear()


async def test_a_process_that_stood_still_goes_on_at_once() -> None:
    async with reading() as reads:
        await reads.drain()
        await reads.start(reads.read("a"), reads.read("b"))
        reads.clock.jump(1000)
        await settle()
        assert [name for name, _ in reads.began] == ["a", "b"]


async def test_no_sleep_is_too_short_to_be_worth_waking_up_for() -> None:
    async with reading() as reads:
        await reads.drain()
        await reads.clock.advance(1.2499)
        await reads.start(reads.read())
        await reads.clock.advance(0.0049)
        assert reads.began == []
        await reads.clock.advance(0.0002)
        assert len(reads.began) == 1


# Not in silence


async def test_a_read_that_would_wait_beyond_its_time_is_told_so_at_once() -> None:
    async with reading() as reads:
        await reads.drain()
        await reads.start(reads.read("in time", seconds_max=1.25), reads.read("too late", seconds_max=2.49))
        ((name, error),) = reads.refused
        assert name == "too late"
        assert str(error) == ("read too late: not sent: our own budget of 60 requests a minute is used up for 2.5 s")
        assert error.retry_after_seconds == pytest.approx(2.5)
        assert reads.withheld == [("project", Withheld.BUDGET)]
        await reads.clock.advance(1.25)
        assert [name for name, _ in reads.began] == ["in time"]


async def test_a_read_that_may_not_wait_at_all_begins_when_there_is_room() -> None:
    async with reading() as reads:
        await reads.start(reads.read(seconds_max=0.0))
        assert len(reads.began) == 1
        assert reads.waits == []


class TickingClock(VirtualClock):
    """A clock on which time passes while one looks at it, as on a real one."""

    def monotonic(self) -> float:
        self._elapsed += 0.0001
        return self._elapsed


async def test_a_read_that_may_not_wait_begins_though_time_passes_meanwhile() -> None:
    waits: list[float] = []
    clock = TickingClock()
    budget = RateBudget(clock=clock, jitter=lambda: 0.0, on_wait=lambda _route, seconds: waits.append(seconds))
    await budget.admit("project", what="a read", seconds_max=0.0)
    assert budget.left == pytest.approx(59, abs=0.1)
    assert waits == [], "and it did not wait"


async def test_a_read_whose_wait_grows_beyond_its_time_is_told_when_that_is_known() -> None:
    async with reading() as reads:
        await reads.drain()
        await reads.start(reads.read(seconds_max=2.0))
        reads.budget.spend()
        await reads.clock.advance(1.25)
        ((_, error),) = reads.refused
        assert error.retry_after_seconds == pytest.approx(1.25)


async def test_a_read_that_is_given_up_keeps_nobody_waiting() -> None:
    async with reading() as reads:
        await reads.drain()
        first, *_ = await reads.start(reads.read("a"), reads.read("b"))
        first.cancel()
        await reads.clock.advance(1.25)
        assert [name for name, _ in reads.began] == ["b"]
        await reads.start(reads.read("c", seconds_max=1.25))
        await reads.clock.advance(1.25)
        assert [name for name, _ in reads.began] == ["b", "c"]


# The executor goes ahead


async def test_an_urgent_request_never_waits_and_a_read_waits_in_its_place() -> None:
    async with reading() as reads:
        await reads.drain()
        reads.budget.spend()
        reads.budget.spend()
        await reads.start(reads.read())
        await reads.clock.advance(3.74)
        assert reads.began == []
        await reads.clock.advance(0.01)
        assert len(reads.began) == 1


async def test_an_urgent_request_overtakes_reads_that_wait_already_and_they_keep_their_order() -> None:
    async with reading() as reads:
        await reads.drain()
        await reads.start(reads.read("first"))
        await reads.clock.advance(1.0)
        reads.budget.spend()
        # It would be due at the same moment as the first, which does not know yet that it has to wait on.
        await reads.start(reads.read("second"))
        await reads.clock.advance(1.4)
        assert reads.began == []
        await reads.clock.advance(0.2)
        assert [name for name, _ in reads.began] == ["first"]
        await reads.clock.advance(2)
        assert [name for name, _ in reads.began] == ["first", "second"]


async def test_urgent_and_other_requests_together_keep_to_the_budget() -> None:
    async with reading() as reads:
        urgent = []
        for number in range(400):
            if number % 7 == 0:
                reads.budget.spend()
                urgent.append(reads.clock.monotonic())
            await reads.start(reads.read(seconds_max=60.0))
            await reads.clock.advance(0.5)
        assert most_in_a_minute([at for _, at in reads.began] + urgent) == 60
        await reads.clock.advance(1000)


async def test_the_debt_of_urgent_requests_is_bounded_so_that_polling_comes_back() -> None:
    async with reading() as reads:
        for _ in range(1000):
            reads.budget.spend()
        assert reads.budget.left == -12
        await reads.start(reads.read())
        await reads.clock.advance(13 * 1.25)
        assert len(reads.began) == 1


# Vercel said 429


async def test_a_429_pauses_its_own_route_and_takes_the_burst_from_the_others() -> None:
    async with reading(jitter=1.0) as reads:
        reads.budget.pause("deployments", 20)
        assert reads.budget.pause_seconds == 0
        await reads.start(reads.read("held", route="deployments"), reads.read("a"), reads.read("b"))
        assert [name for name, _ in reads.began] == ["a"]
        await reads.clock.advance(1.25)
        assert [name for name, _ in reads.began] == ["a", "b"]
        await reads.clock.advance(20.7)
        assert len(reads.began) == 2
        await reads.clock.advance(0.1)
        assert [name for name, _ in reads.began] == ["a", "b", "held"]


async def test_a_read_of_a_paused_route_that_cannot_wait_is_told_why() -> None:
    async with reading() as reads:
        reads.budget.pause("project", 20)
        await reads.start(reads.read(seconds_max=19.9))
        ((_, error),) = reads.refused
        assert "since Vercel answered 429, for 20.0 s" in str(error)
        assert reads.withheld == [("project", Withheld.PAUSED)]


async def test_a_second_429_on_the_same_route_says_nothing_of_the_others() -> None:
    async with reading() as reads:
        reads.budget.pause("deployments", 20)
        reads.budget.pause("deployments", 5)
        assert reads.budget.pause_seconds == 0


@pytest.mark.parametrize(("later", "is_tokens"), [(19.9, True), (20.1, False)])
async def test_a_429_on_a_second_route_while_the_first_one_waits_pauses_every_read(
    later: float, *, is_tokens: bool
) -> None:
    async with reading() as reads:
        reads.budget.pause("deployments", 20)
        await reads.clock.advance(later)
        reads.budget.pause("observability", 10)
        assert reads.budget.pause_seconds == (10 if is_tokens else 0)


async def test_a_429_on_two_routes_pauses_every_read_and_then_they_go_on_one_by_one() -> None:
    async with reading(jitter=1.0) as reads:
        pause_all(reads.budget, 40)
        assert reads.budget.pause_seconds == 44, "everybody was told the same second"
        await reads.start(*(reads.read(f"{number}", route=f"r{number}", seconds_max=60.0) for number in range(3)))
        await reads.clock.advance(43.9)
        assert reads.began == []
        await reads.clock.advance(5)
        assert [(name, round(at, 6)) for name, at in reads.began] == [("0", 44), ("1", 45.25), ("2", 46.5)]


async def test_during_a_pause_a_read_that_cannot_wait_is_told_why() -> None:
    async with reading() as reads:
        pause_all(reads.budget, 40)
        await reads.start(reads.read(seconds_max=39.9))
        ((_, error),) = reads.refused
        assert "since Vercel answered 429, for 40.0 s" in str(error)
        assert error.retry_after_seconds == 40
        assert reads.withheld == [("project", Withheld.PAUSED)]


async def test_a_pause_that_begins_while_reads_wait_holds_them_too() -> None:
    async with reading() as reads:
        await reads.drain()
        await reads.start(reads.read("a"), reads.read("b"))
        pause_all(reads.budget, 20)
        await reads.clock.advance(20)
        assert reads.began == []
        await reads.clock.advance(2.5)
        assert [(name, round(at, 6)) for name, at in reads.began] == [("a", 21.25), ("b", 22.5)]


async def test_a_pause_holds_no_urgent_request_and_they_are_charged_meanwhile() -> None:
    async with reading() as reads:
        pause_all(reads.budget, 10)
        for _ in range(3):
            reads.budget.spend()
        await reads.start(reads.read())
        await reads.clock.advance(10 + 3 * 1.25 - 0.01)
        assert reads.began == []
        await reads.clock.advance(0.02)
        assert len(reads.began) == 1


@pytest.mark.parametrize(("asked", "seconds"), [(0, 0), (1, 1), (3600, PAUSE_SECONDS_MAX)])
async def test_a_pause_is_as_long_as_asked_and_bounded(asked: float, seconds: float) -> None:
    async with reading() as reads:
        pause_all(reads.budget, asked)
        assert reads.budget.pause_seconds == seconds


async def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    async with reading() as reads:
        pause_all(reads.budget, 20)
        pause_all(reads.budget, 1)
        assert reads.budget.pause_seconds == 20
        await reads.start(reads.read())
        await reads.clock.advance(19.9)
        assert reads.began == []
        await reads.clock.advance(0.1)
        assert len(reads.began) == 1


async def test_a_429_without_a_wait_spends_the_burst() -> None:
    async with reading() as reads:
        pause_all(reads.budget, 0)
        await reads.start(reads.read("a"), reads.read("b"))
        assert [name for name, _ in reads.began] == ["a"]
        await reads.clock.advance(1.25)
        assert [name for name, _ in reads.began] == ["a", "b"]


@pytest.mark.parametrize(("asked", "longest"), [(0.5, 1.0), (4, 5), (60, 66), (300, 330)])
async def test_the_jitter_of_a_pause_grows_with_it(asked: float, longest: float) -> None:
    async with reading(jitter=1.0) as reads:
        pause_all(reads.budget, asked)
        assert reads.budget.pause_seconds == pytest.approx(longest)


# What headers say


async def test_a_used_up_allowance_holds_its_route_alone() -> None:
    async with reading() as reads:
        reads.budget.heed("deployments", SPENT)
        await reads.start(reads.read("held", route="deployments"), reads.read("free"))
        assert [name for name, _ in reads.began] == ["free"]
        await reads.clock.advance(20)
        assert [name for name, _ in reads.began] == ["free", "held"]
        assert reads.waits == [("deployments", 20)]


async def test_a_held_read_that_cannot_wait_is_told_why() -> None:
    async with reading() as reads:
        reads.budget.heed("deployments", SPENT)
        await reads.start(reads.read(route="deployments", seconds_max=19.9))
        ((_, error),) = reads.refused
        assert "of whose allowance Vercel says that little is left, for 20.0 s" in str(error)
        assert reads.withheld == [("deployments", Withheld.ROUTE)]


@pytest.mark.parametrize(
    ("remaining", "limit", "is_held"),
    [
        (0, None, True),
        (1, None, False),
        (10, 500, True),
        (11, 500, False),
        (5, 50, True),
        (6, 50, False),
        (1, 9, False),
        (0, 9, True),
        (0, 0, True),
    ],
)
async def test_a_little_of_a_large_allowance_is_left_to_the_executor(
    remaining: int, limit: int | None, is_held: bool
) -> None:
    async with reading() as reads:
        reads.budget.heed("project", Allowance(remaining, 20, limit))
        await reads.start(reads.read())
        assert (reads.began == []) is is_held
        await reads.clock.advance(30)


async def test_headers_never_hold_for_longer_than_a_minute() -> None:
    async with reading(jitter=1.0) as reads:
        reads.budget.heed("project", Allowance(0, 3000))
        await reads.start(reads.read(seconds_max=3000.0))
        await reads.clock.advance(HOLD_SECONDS_MAX + 1)
        assert len(reads.began) == 1


async def test_headers_never_speed_anything_up() -> None:
    async with reading() as reads:
        reads.budget.heed("project", SPENT)
        reads.budget.heed("project", Allowance(1000, 60, 1000))
        reads.budget.heed("project", Allowance(0, 1))
        await reads.start(reads.read())
        await reads.clock.advance(19.9)
        assert reads.began == []
        await reads.clock.advance(0.1)
        assert len(reads.began) == 1


def test_a_budget_without_a_pace_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        Reads(1)


def test_the_default_is_three_hundred_a_minute_sixty_of_them_at_once() -> None:
    budget = RateBudget(clock=VirtualClock(), jitter=lambda: 0.0)
    assert (budget.requests_per_minute_max, budget.burst, budget.left) == (300, 60, 60)
