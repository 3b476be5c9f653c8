"""What was normal before the daemon came: asked for once, of the first source that remembers, and never in the way."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from daemon.core.facts import ProjectId
from daemon.core.policy import Policy
from daemon.detectors.burn_rate import BurnRate
from daemon.detectors.threshold import Threshold
from daemon.engine.recall import PAST, RECALL_EVERY_SECONDS, TRIES_MAX
from daemon.ports.errors import Unavailable
from daemon.ports.source import Reading
from tests.builders import GOOD, PROJECT, START, a_policy, a_sample
from tests.fakes.daemon import FakeDaemon, World, a_daemon
from tests.fakes.source import FakeSource

HOUR = timedelta(hours=1)
HOURS = tuple(a_sample(GOOD, start=START - hour * HOUR, end=START - (hour - 1) * HOUR) for hour in (5, 4, 3))
OTHER = ProjectId("prj_other")
WAITING_SECONDS = RECALL_EVERY_SECONDS + 10


def a_past(world: World, *projects: ProjectId, name: str = "fake") -> FakeSource:
    """A source that remembers what *projects* counted."""
    past = {one: Reading(name, HOURS, START) for one in projects}
    return FakeSource(world.hosting, name=name, past=past)


def following() -> Policy:
    return a_policy(detectors=(BurnRate(),))


def knows_past(daemon: FakeDaemon) -> list[bool]:
    return [one.state is not None and one.state.is_past_known for one in daemon.projects]


async def test_the_past_is_read_once_and_told_of() -> None:
    world = World()
    world.source = a_past(world, PROJECT, OTHER)
    async with a_daemon(world, following(), projects=[PROJECT, OTHER]) as daemon:
        with capture_logs() as lines:
            await daemon.poll()
        assert world.source.recalled == [((PROJECT, OTHER), START - PAST)], (
            "projects with one source are asked together"
        )
        assert knows_past(daemon) == [True, True]
        told = [(line["project"], line["requests"]) for line in lines if line["event"] == "past.recalled"]
        assert told == [(PROJECT, 300), (OTHER, 300)]
        await daemon.live(WAITING_SECONDS)
        assert len(world.source.recalled) == 1
    async with a_daemon(world, following(), holder="two", projects=[PROJECT, OTHER]) as daemon:
        await world.clock.advance(60)
        await daemon.poll()
        assert knows_past(daemon) == [True, True]
        assert len(world.source.recalled) == 1, "what was learned outlives the process"


async def test_the_next_source_of_the_chain_is_asked_where_the_first_remembers_nothing() -> None:
    world = World()
    first, second = a_past(world, OTHER, name="one"), a_past(world, PROJECT, name="two")
    sources = {PROJECT: [first, second], OTHER: [first]}
    async with a_daemon(world, following(), projects=[PROJECT, OTHER], sources=sources) as daemon:
        await daemon.poll()
        assert knows_past(daemon) == [True, True]
        assert [one[0] for one in second.recalled] == [(PROJECT,)]


async def test_a_past_that_cannot_be_read_is_asked_for_again_a_few_times_and_stops_nothing() -> None:
    world = World()
    world.source.past = {PROJECT: Unavailable("503")}
    async with a_daemon(world, following()) as daemon:
        await daemon.poll()
        assert (len(world.source.recalled), knows_past(daemon)) == (1, [False])
        await world.clock.advance(WAITING_SECONDS)
        world.source.past = {PROJECT: Reading("fake", HOURS, START)}
        await daemon.poll()
        assert knows_past(daemon) == [True]


@pytest.mark.slow
async def test_after_an_hour_nobody_asks_any_more() -> None:
    world = World()
    async with a_daemon(world, following()) as daemon:
        for _ in range(TRIES_MAX + 3):
            await daemon.poll()
            await world.clock.advance(WAITING_SECONDS)
        assert len(world.source.recalled) == TRIES_MAX


async def test_rules_without_a_baseline_need_no_past() -> None:
    world = World()
    async with a_daemon(world, a_policy(detectors=(Threshold(),))) as daemon:
        await daemon.poll()
        assert world.source.recalled == []
