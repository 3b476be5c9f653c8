"""A fleet's production states: swept in the background, and looked at one by one where something happens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.core.event import MoveTold, ReadTarget
from daemon.core.facts import AliasJobType, ProjectId
from daemon.core.incident import State
from daemon.core.signal import SignalState
from daemon.engine.moments import Moments
from daemon.engine.sweep import SWEEP_EVERY_SECONDS, SWEPT_FROM_PROJECTS, Sweep
from daemon.ports.errors import Unavailable
from tests.builders import BAD, GOOD, OLD
from tests.fakes.clock import settle
from tests.fakes.daemon import INTERVAL_SECONDS, FakeDaemon, World, a_daemon

FLEET = [ProjectId(f"prj_{number}") for number in range(SWEPT_FROM_PROJECTS)]


@asynccontextmanager
async def a_fleet(world: World) -> AsyncIterator[FakeDaemon]:
    """A daemon with just so many projects that they are swept; the first sweep has told of every one."""
    world.source.is_fleet_wide = True
    async with a_daemon(world, projects=FLEET) as daemon:
        await daemon.poll()
        await daemon.poll()
        assert (world.hosting.reads, world.hosting.sweeps) == (0, 1), "ten thousand looks at once would help nobody"
        assert all(project.state and project.state.serving == GOOD for project in daemon.projects)
        world.hosting.sweeps = 0
        yield daemon


def seen_at(daemon: FakeDaemon, number: int) -> float | None:
    """When production of the project with that number was read; None before."""
    state = daemon.projects[number].state
    return state.production_seen.elapsed if state and state.production_seen else None


@pytest.mark.slow
async def test_a_quiet_fleet_is_swept_once_a_minute_and_nobody_is_looked_at_alone() -> None:
    world = World()
    async with a_fleet(world) as daemon:
        await daemon.live(5 * SWEEP_EVERY_SECONDS)
        assert (world.hosting.reads, world.hosting.sweeps) == (0, 4), "the first sweep began with the first poll"
        assert set(world.source.asked_together) == {len(FLEET)}
        assert {daemon.state.serving.id if daemon.state.serving else None} == {GOOD.id}
        assert daemon.state.production_seen is not None
        age = daemon.moments.now().elapsed - daemon.state.production_seen.elapsed
        assert age <= SWEEP_EVERY_SECONDS + INTERVAL_SECONDS


async def test_one_project_less_and_each_is_looked_at_at_every_poll() -> None:
    world = World()
    async with a_daemon(world, projects=FLEET[1:]) as daemon:
        await daemon.live(60)
        assert (world.hosting.reads, world.hosting.sweeps) == (6 * (len(FLEET) - 1), 0)


async def test_a_new_deployment_in_the_counts_wakes_a_look_before_the_next_sweep() -> None:
    world = World()
    async with a_fleet(world) as daemon:
        await daemon.poll()
        world.hosting.release(BAD)
        # Half a minute later the first bucket of the new deployment is counted; the sweep before it saw the old one.
        await world.clock.advance(40)
        world.hosting.sweeps = 0
        await daemon.poll()
        assert world.hosting.sweeps == 0
        assert daemon.state.serving == BAD


async def test_what_a_sweep_sees_changed_is_looked_at_before_anybody_is_told() -> None:
    world = World()
    world.source.requests_a_bucket = 0
    async with a_fleet(world) as daemon:
        world.hosting.release(BAD)
        world.hosting.read_troubles.append(Unavailable("503"))
        await daemon.live(SWEEP_EVERY_SECONDS + 2 * INTERVAL_SECONDS)
        assert world.hosting.reads >= len(FLEET)
        assert all(project.state and project.state.serving == BAD for project in daemon.projects)


@pytest.mark.slow
async def test_a_bad_release_in_a_fleet_is_found_rolled_back_once_and_verified() -> None:
    world = World()
    async with a_fleet(world) as daemon:
        await daemon.live(60)
        world.hosting.release(BAD)
        await daemon.live(400)
        assert daemon.incident.state is State.RESOLVED


async def test_a_sweep_that_fails_is_told_as_production_unread() -> None:
    world = World()
    async with a_fleet(world) as daemon:
        world.hosting.sweep_trouble = Unavailable("503")
        world.hosting.read_troubles.extend([Unavailable("503")] * 10_000)
        await daemon.live(2 * SWEEP_EVERY_SECONDS)
        assert ReadTarget.PRODUCTION in daemon.state.unread


@pytest.mark.slow
async def test_a_sweep_that_takes_minutes_makes_nobody_blind() -> None:
    world = World()
    world.hosting.page_projects, world.hosting.page_seconds = len(FLEET) // 4, 50.0
    world.source.is_fleet_wide = True
    blind: list[float] = []
    async with a_daemon(world, projects=FLEET) as daemon:
        for _ in range(120):
            await daemon.live(INTERVAL_SECONDS)
            signals = [project.state.signal for project in daemon.projects if project.state and project.state.signal]
            blind += [world.clock.monotonic() for one in signals if one.state is SignalState.BLIND]
    assert blind == []
    assert world.hosting.sweeps >= 4


async def test_what_a_page_says_is_told_before_the_last_page_was_read_and_is_as_old_as_its_question() -> None:
    world = World()
    world.hosting.page_projects, world.hosting.page_seconds = len(FLEET) // 2, 30.0
    world.source.is_fleet_wide = True
    async with a_daemon(world, projects=FLEET) as daemon:
        await daemon.live(4 * INTERVAL_SECONDS)
        assert [seen_at(daemon, number) for number in (0, -1)] == [0, None]
        await daemon.live(4 * INTERVAL_SECONDS)
        assert seen_at(daemon, -1) == 30


async def test_the_first_sweep_goes_as_fast_as_it_can_and_later_ones_take_their_time() -> None:
    world = World()
    world.hosting.page_projects = len(FLEET) // 4
    sweep = Sweep(world.hosting, FLEET, Moments(world.clock), world.clock)
    await sweep.read()
    assert world.clock.monotonic() == 0
    async with asyncio.TaskGroup() as group:
        second = group.create_task(sweep.read())
        for passed in (11.24, 11.26, 11.26):
            assert not second.done()
            await world.clock.advance(passed)
    moments = {found.moment.elapsed for one in FLEET if (found := sweep.found(one))}
    assert moments == {0, 11.25, 22.5, 33.75}, "nobody waits after the last page"


@pytest.mark.parametrize("told", [None, BAD])
async def test_a_webhook_wakes_the_project_at_once_and_tells_what_it_said(told: object) -> None:
    world = World()
    async with a_fleet(world) as daemon:
        world.hosting.release(BAD)
        at = world.clock.now()
        heard = MoveTold(daemon.moments.now(), AliasJobType.PROMOTE, GOOD.id, BAD.id, at) if told else None
        daemon.poller.wake(FLEET[0], heard)
        await settle()
        assert daemon.state.serving == BAD
        assert (BAD.id in daemon.state.told_promotions) is bool(told)
        others = [project.state.serving for project in daemon.projects[1:] if project.state]
        assert set(others) == {GOOD}


async def test_I_31_what_a_webhook_tells_does_not_wait_for_an_answer_of_vercels() -> None:
    world = World()
    async with a_fleet(world) as daemon:
        never = asyncio.Event()
        world.hosting.before_read = never.wait  # type: ignore[assignment]
        heard = MoveTold(daemon.moments.now(), AliasJobType.ROLLBACK, GOOD.id, OLD.id, world.clock.now())
        for _ in range(20):
            daemon.poller.wake(FLEET[0], heard)
        await settle()
        assert daemon.state.hold is not None
        assert world.hosting.reads == 1, "twenty webhooks are one look"
        never.set()
        await settle()


async def test_the_first_row_of_a_deployment_that_serves_since_lately_may_hide_a_rollback_and_is_looked_at() -> None:
    world = World()
    world.hosting.serving = replace(GOOD, alias_assigned_at=world.clock.now() - timedelta(minutes=2))
    world.source.is_fleet_wide = True
    async with a_daemon(world, projects=FLEET) as daemon:
        await daemon.poll()
        await daemon.poll()
        assert world.hosting.reads == len(FLEET)


async def test_a_foreign_rollback_that_a_webhook_tells_of_stops_an_automatic_one() -> None:
    world = World()
    async with a_fleet(world) as daemon:
        heard = MoveTold(daemon.moments.now(), AliasJobType.ROLLBACK, GOOD.id, OLD.id, world.clock.now())
        daemon.poller.wake(FLEET[0], heard)
        await settle()
        assert daemon.state.hold is not None


async def test_news_of_a_project_that_nobody_watches_are_ignored() -> None:
    world = World()
    async with a_fleet(world) as daemon:
        daemon.poller.wake(ProjectId("prj_unknown"))
        await settle()
        assert world.hosting.reads == 0


@pytest.mark.slow
async def test_a_fleet_that_loses_a_project_too_many_is_looked_at_one_by_one_and_swept_again_when_it_is_back() -> None:
    world = World()
    async with a_fleet(world) as daemon:
        chains = {one.id: [world.source] for one in daemon.projects}
        daemon.poller.watch(daemon.projects[1:], chains)
        await daemon.poll()
        assert (world.hosting.reads, world.hosting.sweeps) == (len(FLEET) - 1, 0)
        daemon.poller.watch(daemon.projects, chains)
        await daemon.live(SWEEP_EVERY_SECONDS + INTERVAL_SECONDS)
        assert (world.hosting.reads, world.hosting.sweeps) == (len(FLEET) - 1, 1)
