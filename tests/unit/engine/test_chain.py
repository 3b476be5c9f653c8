"""A chain of sources: order, rest after trouble, and never nobody left to ask."""

from collections import deque
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from daemon.core.facts import ProjectId
from daemon.engine.chain import SourceChain
from daemon.ports.errors import PortError, Refused, Unavailable
from daemon.ports.source import Reading
from tests.fakes.clock import VirtualClock

SHOP = ProjectId("prj_shop")


class ScriptedSource:
    """Answers with what it was given: an error, or an empty reading up to the moment of asking."""

    def __init__(self, name: str, *answers: PortError | None) -> None:
        self.name = name
        self._answers = deque(answers)
        self.asked: list[datetime] = []

    async def collect(self, project: ProjectId, *, since: datetime, now: datetime) -> Reading:
        self.asked.append(since)
        answer = self._answers.popleft() if self._answers else None
        if answer:
            raise answer
        return Reading(self.name, (), now)


async def test_the_first_source_that_answers_counts() -> None:
    first, second = ScriptedSource("first"), ScriptedSource("second")
    reading = await SourceChain([first, second], VirtualClock()).collect(SHOP, since=None)
    assert reading.source == "first"
    assert not second.asked


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [(Refused("the plan has no metrics", status=402), 1800), (Unavailable("no answer"), 120)],
)
async def test_a_source_in_trouble_rests_and_is_then_asked_again(trouble: PortError, seconds: int) -> None:
    clock = VirtualClock()
    first, second = ScriptedSource("first", trouble), ScriptedSource("second")
    chain = SourceChain([first, second], clock)
    assert (await chain.collect(SHOP, since=None)).source == "second"
    await clock.advance(seconds - 1)
    assert (await chain.collect(SHOP, since=None)).source == "second"
    assert len(first.asked) == 1
    await clock.advance(1)
    assert (await chain.collect(SHOP, since=None)).source == "first"


async def test_what_keeps_the_first_source_silent_is_logged_once_for_each_rest() -> None:
    clock, down = VirtualClock(), Unavailable("no answer")
    chain = SourceChain([ScriptedSource("first", down, down), ScriptedSource("second")], clock)
    with capture_logs() as lines:
        for seconds in (60, 59, 1, 0):
            await chain.collect(SHOP, since=None)
            await clock.advance(seconds)
    told = {"event": "read.failed", "log_level": "warning", "project": SHOP, "what": "samples"}
    assert lines == [told | {"error": "first: no answer"}] * 2


async def test_when_all_rest_all_are_asked_again_at_once() -> None:
    down = Unavailable("no answer")
    chain = SourceChain([ScriptedSource("first", down), ScriptedSource("second", down)], VirtualClock())
    with pytest.raises(Unavailable, match="first: no answer; second: no answer"):
        await chain.collect(SHOP, since=None)
    assert (await chain.collect(SHOP, since=None)).source == "first"


async def test_it_goes_on_at_the_watermark_and_never_in_the_future() -> None:
    clock, source = VirtualClock(), ScriptedSource("only")
    chain = SourceChain([source], clock)
    before, after = clock.now() - timedelta(minutes=1), clock.now() + timedelta(hours=1)
    for since in (None, before, after, datetime(2001, 1, 1, tzinfo=UTC)):
        await chain.collect(SHOP, since=since)
    half_an_hour = clock.now() - timedelta(minutes=30)
    assert source.asked == [half_an_hour, before, half_an_hour, datetime(2001, 1, 1, tzinfo=UTC)]
