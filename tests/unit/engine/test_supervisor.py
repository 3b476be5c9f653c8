"""Background tasks: none is lost, a bug in one is told and spares the rest, and the end does not take for ever."""

import asyncio

import pytest
from structlog.testing import capture_logs

from daemon.engine.supervisor import Supervisor
from tests.fakes.clock import settle


class Ear:
    """Remembers the bugs that it was told of."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.heard: list[Exception] = []
        self.is_broken = is_broken

    async def __call__(self, error: Exception) -> None:
        """Remember *error*, or have a bug of its own."""
        self.heard.append(error)
        if self.is_broken:
            raise KeyError("a second bug")


async def break_down() -> None:
    raise ZeroDivisionError("a bug")


async def test_a_task_runs_in_the_background() -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    async with Supervisor() as supervisor:
        supervisor.start(work(), name="work", on_bug=Ear())
        assert not done.is_set()
        await settle()
        assert done.is_set()


async def test_a_bug_is_told_and_logged_once_and_spares_the_others() -> None:
    ear, done = Ear(), asyncio.Event()

    async def work() -> None:
        await settle()
        done.set()

    with capture_logs() as lines:
        async with Supervisor() as supervisor:
            supervisor.start(break_down(), name="shop:poll", on_bug=ear)
            supervisor.start(work(), name="blog:poll", on_bug=ear)
    assert done.is_set()
    assert [type(error) for error in ear.heard] == [ZeroDivisionError]
    assert [(line["event"], line["task"]) for line in lines] == [("bug.caught", "shop:poll")]


async def test_a_bug_on_the_way_of_telling_a_bug_spares_the_others_too() -> None:
    with capture_logs() as lines:
        async with Supervisor() as supervisor:
            await supervisor.guard(break_down(), name="shop:poll", on_bug=Ear(is_broken=True))
            supervisor.start(break_down(), name="shop:Notify", on_bug=Ear(is_broken=True))
            await settle()
    assert [line["task"] for line in lines] == ["shop:poll", "shop:poll:on_bug", "shop:Notify", "shop:Notify:on_bug"]


async def test_under_test_bugs_are_handed_on() -> None:
    ear = Ear()
    with pytest.raises(ExceptionGroup):
        async with Supervisor(reraise=True) as supervisor:
            supervisor.start(break_down(), name="work", on_bug=ear)
    assert len(ear.heard) == 1


async def test_finishing_waits_for_what_is_under_way_and_for_what_that_starts() -> None:
    gate, done = asyncio.Event(), asyncio.Event()

    async def second() -> None:
        done.set()

    async with Supervisor() as supervisor, asyncio.TaskGroup() as group:

        async def first() -> None:
            await gate.wait()
            supervisor.start(second(), name="second", on_bug=Ear())

        supervisor.start(first(), name="first", on_bug=Ear())
        finishing = group.create_task(supervisor.finish(grace_seconds=10))
        await settle()
        assert not finishing.done()
        gate.set()
        await finishing
        assert done.is_set()


async def test_what_takes_longer_than_the_grace_is_cancelled_and_so_is_what_it_started() -> None:
    cancelled: list[str] = []

    async def wait_for_ever(name: str) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(name)
            raise

    async with Supervisor() as supervisor:

        async def hand_on() -> None:
            supervisor.start(wait_for_ever("heir"), name="heir", on_bug=Ear())

        supervisor.start(wait_for_ever("first"), name="first", on_bug=Ear())
        supervisor.start(hand_on(), name="hand on", on_bug=Ear())
        await supervisor.finish(grace_seconds=0.01)
    assert sorted(cancelled) == ["first", "heir"]


async def test_finishing_with_nothing_under_way_is_quick() -> None:
    async with Supervisor() as supervisor:
        await supervisor.finish(grace_seconds=1000)
