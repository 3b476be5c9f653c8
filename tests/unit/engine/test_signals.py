"""Chains of sources: order, rest after trouble, never nobody left to ask, and one collection for many projects."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.core.facts import ProjectId
from daemon.core.signal import SignalReason
from daemon.engine.crosscheck import CrossCheck
from daemon.engine.signals import Counted, Signals, Uncounted, Want
from daemon.engine.tokens import TokenWatch
from daemon.ports.errors import PortError, Refused, Unavailable
from daemon.ports.source import Reading, Wanted
from tests.fakes.clock import VirtualClock

SHOP, BLOG, DOCS = ProjectId("prj_shop"), ProjectId("prj_blog"), ProjectId("prj_docs")


class ScriptedSource:
    """Answers each project's next question with what it was given: an error, or an empty reading up to now."""

    def __init__(
        self,
        name: str,
        *answers: PortError | None,
        fleet: bool = False,
        but: Mapping[ProjectId, PortError] | None = None,
    ) -> None:
        self.name = name
        self.is_fleet_wide = fleet
        self.is_witness = name == "witness"
        self._answers = deque(answers)
        self._but = but or {}
        self.asked: list[list[Wanted]] = []

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> dict[ProjectId, Reading | PortError]:
        self.asked.append(list(wanted))
        trouble = self._answers.popleft() if self._answers else None
        return {one.project: self._but.get(one.project) or trouble or Reading(self.name, (), now) for one in wanted}


class House:
    """Signals over some chains, and what they delivered."""

    def __init__(self, chains: Mapping[ProjectId, Sequence[ScriptedSource]], *, seconds_max: float = 90.0) -> None:
        self.clock = VirtualClock()

        async def guard(work: Coroutine[Any, Any, None], _projects: Sequence[ProjectId]) -> None:
            await work

        self.signals = Signals(
            chains,
            self.clock,
            collect_seconds_max=seconds_max,
            guard=guard,
            crosscheck=CrossCheck(chains, self.clock),
            tokens=TokenWatch({}, clock=self.clock),
        )
        self._projects = list(chains)
        self.delivered: dict[ProjectId, Counted | Uncounted] = {}

    async def collect(self, since: datetime | None = None) -> None:
        """Ask for every project."""
        self.delivered.clear()
        await self.signals.collect([Want(project, since) for project in self._projects], self._deliver)

    async def _deliver(self, project: ProjectId, counted: Counted | Uncounted) -> None:
        assert project not in self.delivered, "each project is delivered once"
        self.delivered[project] = counted

    def source_of(self, project: ProjectId = SHOP) -> str:
        """Which source counted."""
        counted = self.delivered[project]
        assert isinstance(counted, Counted)
        return counted.reading.source


async def test_the_first_source_that_answers_counts() -> None:
    first, second = ScriptedSource("first"), ScriptedSource("second")
    house = House({SHOP: [first, second]})
    await house.collect()
    assert house.source_of() == "first"
    assert not second.asked


@pytest.mark.parametrize(
    ("trouble", "seconds", "reason"),
    [
        (Refused("the plan has no metrics", status=402), 1800, SignalReason.PLAN),
        (Unavailable("no answer"), 120, SignalReason.UNREACHABLE),
    ],
)
async def test_a_source_in_trouble_rests_is_named_meanwhile_and_is_then_asked_again(
    trouble: PortError, seconds: int, reason: SignalReason
) -> None:
    first, second = ScriptedSource("first", trouble), ScriptedSource("second")
    house = House({SHOP: [first, second]})
    for wait in (seconds - 1, 0):
        await house.collect()
        assert house.source_of() == "second"
        assert [(one.source, one.reason) for one in house.delivered[SHOP].troubles] == [("first", reason)]
        await house.clock.advance(wait)
    assert len(first.asked) == 1
    await house.clock.advance(1)
    await house.collect()
    assert house.source_of() == "first"
    assert house.delivered[SHOP].troubles == ()


async def test_what_keeps_the_first_source_silent_is_logged_once_while_it_stays_the_same() -> None:
    down = Unavailable("no answer")
    house = House({SHOP: [ScriptedSource("first", down, down), ScriptedSource("second")]})
    with capture_logs() as lines:
        for seconds in (60, 59, 1, 0):
            await house.collect()
            await house.clock.advance(seconds)
    told = {"event": "read.failed", "log_level": "warning", "project": SHOP, "what": "samples"}
    assert lines == [told | {"error": "first: no answer"}]


async def test_when_all_fail_all_causes_are_told_and_all_are_asked_again_at_once() -> None:
    refused, down = Refused("no plan", status=402), Unavailable("no answer")
    house = House({SHOP: [ScriptedSource("first", refused), ScriptedSource("second", down)]})
    await house.collect()
    counted = house.delivered[SHOP]
    assert isinstance(counted, Uncounted)
    assert (counted.reason, counted.sentence) == (SignalReason.PLAN, "first: no plan; second: no answer")
    await house.collect()
    assert house.source_of() == "first"


async def test_it_goes_on_at_the_watermark_and_never_in_the_future() -> None:
    source = ScriptedSource("only")
    house = House({SHOP: [source]})
    before, after = house.clock.now() - timedelta(minutes=1), house.clock.now() + timedelta(hours=1)
    for since in (None, before, after, datetime(2001, 1, 1, tzinfo=UTC)):
        await house.collect(since)
    half_an_hour = house.clock.now() - timedelta(minutes=30)
    asked = [one.since for [one] in source.asked]
    assert asked == [half_an_hour, before, half_an_hour, datetime(2001, 1, 1, tzinfo=UTC)]


async def test_a_fleet_wide_source_is_asked_once_for_all_and_the_others_one_by_one() -> None:
    fleet, single = ScriptedSource("fleet", fleet=True), ScriptedSource("single")
    house = House({SHOP: [fleet], BLOG: [fleet], DOCS: [single]})
    await house.collect()
    assert [[one.project for one in asked] for asked in fleet.asked] == [[SHOP, BLOG]]
    assert [[one.project for one in asked] for asked in single.asked] == [[DOCS]]
    assert {project: house.source_of(project) for project in (SHOP, BLOG, DOCS)} == {
        SHOP: "fleet",
        BLOG: "fleet",
        DOCS: "single",
    }


async def test_only_the_projects_that_a_fleet_wide_source_has_nothing_for_go_on_and_together() -> None:
    but = {SHOP: Unavailable("no shop"), DOCS: Unavailable("no docs")}
    first, second = ScriptedSource("first", fleet=True, but=but), ScriptedSource("second", fleet=True)
    house = House(dict.fromkeys((SHOP, BLOG, DOCS), (first, second)))
    await house.collect()
    assert [house.source_of(one) for one in (SHOP, BLOG, DOCS)] == ["second", "first", "second"]
    assert [[one.project for one in asked] for asked in second.asked] == [[SHOP, DOCS]]


async def test_a_witness_that_is_heard_alone_says_so() -> None:
    house = House({SHOP: [ScriptedSource("first", Unavailable("no answer")), ScriptedSource("witness")]})
    await house.collect()
    assert [one.reason for one in house.delivered[SHOP].troubles] == [
        SignalReason.WITNESS_ONLY,
        SignalReason.UNREACHABLE,
    ]


async def test_a_source_that_hangs_is_given_up_and_keeps_nobody_else_waiting() -> None:
    class Hanging(ScriptedSource):
        async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> dict[ProjectId, Reading | PortError]:
            await asyncio.Event().wait()
            return {}

    house = House(
        {SHOP: [Hanging("hangs"), ScriptedSource("second")], BLOG: [ScriptedSource("first")]}, seconds_max=0.01
    )
    await house.collect()
    assert (house.source_of(SHOP), house.source_of(BLOG)) == ("second", "first")
    assert "given up" in house.delivered[SHOP].troubles[0].sentence


async def test_a_source_that_stays_in_its_chain_goes_on_resting_and_one_that_is_new_is_asked_at_once() -> None:
    first, second = ScriptedSource("first", Unavailable("503")), ScriptedSource("second")
    house = House({SHOP: [first, second]})
    await house.collect()
    house.signals.watch({SHOP: [first, second, ScriptedSource("third")]})
    await house.collect()
    assert (len(first.asked), [one.source for one in house.delivered[SHOP].troubles]) == (1, ["first"])
    mended = ScriptedSource("first")
    house.signals.watch({SHOP: [mended, second]})
    await house.collect()
    assert (house.source_of(), house.delivered[SHOP].troubles) == ("first", ())
    assert len(mended.asked) == 1


async def test_a_chain_that_was_taken_away_and_came_back_begins_without_its_troubles() -> None:
    first, second = ScriptedSource("first", Refused("no plan", status=402)), ScriptedSource("second")
    house = House({SHOP: [first, second], BLOG: [second]})
    await house.collect()
    house.signals.watch({BLOG: [second]})
    house.signals.watch({SHOP: [first, second], BLOG: [second]})
    await house.collect()
    assert (house.source_of(), house.delivered[SHOP].troubles) == ("first", ())


async def test_nobody_to_ask_for_is_no_trouble() -> None:
    house = House({}, seconds_max=5.0)
    await house.collect()
    assert (house.delivered, house.signals.seconds_max) == ({}, 5.0)
