"""The lease: taken, renewed, lost, given up, and long enough for one request or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from daemon.engine.leadership import Leadership
from daemon.ports.store import Lease
from tests.fakes.clock import VirtualClock, settle
from tests.fakes.store import FaultyStore

TTL_SECONDS = 45.0


class Household:
    """A store with two daemons that want its lease."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = SlowStore(self.clock)
        self.one, self.two = (
            Leadership(self.store, self.clock, holder=holder, ttl_seconds=TTL_SECONDS) for holder in ("one", "two")
        )


class SlowStore(FaultyStore):
    """A store that takes `seconds` to answer."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = 0.0

    async def take_lease(self, holder: str, *, now: datetime, ttl_seconds: float) -> Lease | None:
        """Take the lease, and let time pass before the answer."""
        lease = await super().take_lease(holder, now=now, ttl_seconds=ttl_seconds)
        self.clock.jump(self.seconds)
        return lease


async def has_left(leadership: Leadership, seconds: float) -> bool:
    assert leadership.lease is not None
    return await leadership.has_left(seconds, token=leadership.lease.token)


async def test_one_takes_the_lease_and_the_other_does_not() -> None:
    house = Household()
    assert await house.one.renew()
    assert not await house.two.renew()
    assert (house.two.lease, house.two.trouble) == (None, "")


async def test_a_renewed_lease_keeps_its_token_and_lasts_longer() -> None:
    house = Household()
    assert await house.one.renew()
    first = house.one.lease
    assert first is not None
    await house.clock.advance(TTL_SECONDS - 1)
    assert await house.one.renew()
    await house.clock.advance(TTL_SECONDS - 1)
    assert not await house.two.renew()
    assert house.one.lease is not None
    assert house.one.lease.token == first.token


@pytest.mark.parametrize(("seconds", "is_free"), [(44.999, False), (45.0, True), (45.001, True)])
async def test_a_lease_that_is_not_renewed_runs_out(seconds: float, is_free: bool) -> None:
    house = Household()
    assert await house.one.renew()
    await house.clock.advance(seconds)
    assert await house.two.renew() is is_free
    assert await house.one.renew() is not is_free


async def test_a_lease_that_was_given_up_is_free_at_once() -> None:
    house = Household()
    assert await house.one.renew()
    await house.one.give_up()
    assert house.one.lease is None
    assert await house.two.renew()


async def test_giving_up_a_lease_that_is_not_ours_does_nothing() -> None:
    house = Household()
    await house.one.give_up()
    assert await house.one.renew()
    await house.clock.advance(TTL_SECONDS)
    assert await house.two.renew()
    await house.one.give_up()
    assert not await house.one.renew()
    assert await house.two.renew()


async def test_a_store_that_fails_is_no_lease_and_the_trouble_is_known() -> None:
    house = Household()
    assert await house.one.renew()
    house.store.broken = {"take_lease"}
    assert not await house.one.renew()
    assert (house.one.lease, house.one.trouble) == (None, "take_lease: the disk is full")
    house.store.broken = set()
    assert await house.one.renew()
    assert house.one.trouble == ""


@pytest.mark.parametrize(("seconds", "is_enough"), [(44.999, True), (45.0, False), (45.001, False)])
async def test_a_request_needs_more_time_than_it_may_take(seconds: float, is_enough: bool) -> None:
    house = Household()
    assert await house.one.renew()
    assert await has_left(house.one, seconds) is is_enough


@pytest.mark.parametrize(("took", "is_enough"), [(34.999, True), (35.0, False), (35.001, False)])
async def test_the_time_that_the_store_took_to_answer_is_not_left(took: float, is_enough: bool) -> None:
    house = Household()
    assert await house.one.renew()
    house.store.seconds = took
    assert await has_left(house.one, 10.0) is is_enough


async def test_asking_renews_so_that_an_old_lease_is_enough() -> None:
    house = Household()
    assert await house.one.renew()
    await house.clock.advance(TTL_SECONDS - 0.1)
    assert await has_left(house.one, 10.0)
    await house.clock.advance(TTL_SECONDS - 0.1)
    assert not await house.two.renew()


async def test_nothing_is_left_without_a_lease_with_a_lost_one_or_without_a_store() -> None:
    house = Household()
    assert not await house.one.has_left(0.0, token=1)
    assert await house.one.renew()
    house.store.broken = {"take_lease"}
    assert not await has_left(house.one, 0.0)
    house.store.broken = set()
    assert await house.one.renew()
    await house.clock.advance(TTL_SECONDS)
    assert await house.two.renew()
    assert not await has_left(house.one, 0.0)


async def test_I_24_what_was_decided_under_a_lease_that_was_lost_in_between_is_void() -> None:
    house = Household()
    assert await house.one.renew()
    assert house.one.lease is not None
    token = house.one.lease.token
    await house.clock.advance(TTL_SECONDS)
    assert await house.two.renew()
    await house.two.give_up()
    assert await house.one.renew()
    assert house.one.lease.token > token
    assert not await house.one.has_left(0.0, token=token)
    assert await has_left(house.one, 0.0)


# Kept between cycles


@asynccontextmanager
async def keeping(leadership: Leadership) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(leadership.keep())
        yield
        keeper.cancel()


async def test_a_lease_that_is_kept_outlives_its_time_without_a_cycle() -> None:
    house = Household()
    assert await house.one.renew()
    async with keeping(house.one):
        await house.clock.advance(5 * TTL_SECONDS)
        assert not await house.two.renew()
        assert await has_left(house.one, 10.0)


async def test_nothing_is_kept_that_is_not_held() -> None:
    house = Household()
    async with keeping(house.one):
        await house.clock.advance(5 * TTL_SECONDS)
        assert house.one.lease is None
        assert await house.two.renew()


async def test_a_store_that_hiccups_while_a_lease_is_kept_takes_it_away_from_nobody() -> None:
    house = Household()
    assert await house.one.renew()
    async with keeping(house.one):
        house.store.broken = {"take_lease"}
        await house.clock.advance(TTL_SECONDS / 3)
        assert (house.one.lease is not None, house.one.trouble) == (True, "take_lease: the disk is full")
        house.store.broken = set()
        await house.clock.advance(TTL_SECONDS / 3)
        assert house.one.trouble == ""
        assert not await house.two.renew()


@pytest.mark.parametrize("is_free_again", [False, True])
async def test_I_24_keeping_does_not_take_a_lease_that_another_had_meanwhile(is_free_again: bool) -> None:
    house = Household()
    assert await house.one.renew()
    async with keeping(house.one):
        await settle()
        house.clock.jump(TTL_SECONDS)
        assert await house.two.renew()
        if is_free_again:
            await house.two.give_up()
        await settle()
        assert house.one.lease is None, "a new term begins with a cycle, which resumes first"
