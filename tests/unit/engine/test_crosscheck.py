"""Second opinions: asked for seldom, compared over the same time, and standing until the next round."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from daemon.core.facts import ErrorRateSample, ProjectId
from daemon.core.signal import SignalReason
from daemon.engine.crosscheck import CrossCheck
from daemon.ports.errors import PortError, Refused
from daemon.ports.source import Reading, Wanted
from tests.builders import BAD, PROJECT
from tests.fakes.clock import VirtualClock

OTHER = ProjectId("prj_other")
MINUTE = timedelta(minutes=1)


def minutes(start: datetime, end: datetime, ratio: float) -> list[ErrorRateSample]:
    """A hundred requests a minute, a share of them failed."""
    count = int((end - start) / MINUTE)
    spans = [(start + MINUTE * n, start + MINUTE * (n + 1)) for n in range(count)]
    return [ErrorRateSample(BAD.id, *span, 100, round(100 * ratio)) for span in spans]


class Witness:
    """A source with an opinion of its own; `ratio` is its error ratio, `trouble` keeps it from answering."""

    def __init__(self, name: str, ratio: float = 0.0, *, fleet: bool = False) -> None:
        self.name, self.ratio, self.is_fleet_wide = name, ratio, fleet
        self.is_witness = False
        self.trouble: PortError | None = None
        self.before_answer: Callable[[], None] | None = None
        self.asked: list[list[Wanted]] = []

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> dict[ProjectId, Reading | PortError]:
        self.asked.append(list(wanted))
        if self.before_answer:
            self.before_answer()
        return {one.project: self.trouble or self.reading(one.since, now) for one in wanted}

    def reading(self, since: datetime, until: datetime) -> Reading:
        return Reading(self.name, minutes(since, until, self.ratio), until)


class House:
    """A cross-check of one or two projects, with a judge and a witness."""

    def __init__(self, *projects: ProjectId, fleet: bool = False) -> None:
        self.clock = VirtualClock()
        self.judge, self.witness = Witness("judge"), Witness("witness", fleet=fleet)
        chains = dict.fromkeys(projects or (PROJECT,), (self.judge, self.witness))
        self.crosscheck = CrossCheck(chains, self.clock)

    async def judge_for(self, count: int, *, project: ProjectId = PROJECT, by: Witness | None = None) -> None:
        """Let so many minutes pass, and note what was judged of them."""
        since = self.clock.now()
        await self.clock.advance(count * 60)
        self.crosscheck.note(project, (by or self.judge).reading(since, self.clock.now()), since=since)

    @property
    def reasons(self) -> list[SignalReason]:
        return [one.reason for one in self.crosscheck.findings(PROJECT)]


async def test_the_same_story_is_no_finding_and_another_one_stands_until_it_is_the_same_again() -> None:
    house = House()
    house.judge.ratio = 0.3
    await house.judge_for(5)
    await house.crosscheck.check()
    [finding] = house.crosscheck.findings(PROJECT)
    assert (finding.source, finding.reason) == ("witness", SignalReason.DISAGREEING)
    assert "0 of 500" in finding.sentence
    assert "judge counts 150 of 500" in finding.sentence
    house.witness.ratio = 0.3
    await house.judge_for(5)
    assert house.reasons == [SignalReason.DISAGREEING], "it stands until somebody was asked again"
    await house.crosscheck.check()
    assert house.reasons == []


async def test_each_round_asks_for_the_time_since_the_last_one_and_never_the_judge() -> None:
    house = House()
    began = house.clock.now()
    for _ in range(2):
        await house.judge_for(5)
        await house.crosscheck.check()
    assert [[one.since for one in asked] for asked in house.witness.asked] == [[began], [began + 5 * MINUTE]]
    assert house.judge.asked == []


async def test_nothing_further_back_than_half_an_hour_is_compared() -> None:
    house = House()
    await house.judge_for(60)
    await house.crosscheck.check()
    assert house.witness.asked[0][0].since == house.clock.now() - timedelta(minutes=30)


async def test_a_witness_that_cannot_be_heard_is_told_before_it_is_needed() -> None:
    house = House()
    house.witness.trouble = Refused("no plan", status=402)
    await house.judge_for(5)
    await house.crosscheck.check()
    assert house.reasons == [SignalReason.PLAN]
    house.witness.trouble = None
    await house.crosscheck.check()
    assert house.reasons == []


async def test_a_disagreement_outlives_a_change_of_the_judge_until_the_two_were_compared_again() -> None:
    house = House()
    house.judge.ratio = 0.3
    await house.judge_for(5)
    await house.crosscheck.check()
    await house.judge_for(2, by=house.witness)
    [finding] = house.crosscheck.findings(PROJECT)
    assert finding.reason is SignalReason.DISAGREEING
    house.judge.trouble = Refused("no plan", status=402)
    await house.crosscheck.check()
    assert house.reasons == [SignalReason.DISAGREEING], "silence is no agreement"
    house.judge.trouble, house.judge.ratio = None, 0.0
    await house.crosscheck.check()
    assert house.reasons == []


async def test_a_sample_of_the_last_moments_is_compared_with_the_same_moments() -> None:
    house = House()
    await house.judge_for(4)
    house.judge.ratio = 0.5
    await house.judge_for(2)
    house.witness.ratio = 0.5
    now = house.clock.now()
    house.witness.reading = lambda since, until: Reading("witness", minutes(now - 2 * MINUTE, now, 0.5), until)  # type: ignore[method-assign]
    await house.crosscheck.check()
    assert house.reasons == []


async def test_a_fleet_wide_witness_is_asked_once_for_all_projects_and_another_one_by_one() -> None:
    for fleet, asked in ((True, [[PROJECT, OTHER]]), (False, [[PROJECT], [OTHER]])):
        house = House(PROJECT, OTHER, fleet=fleet)
        await house.judge_for(1)
        await house.judge_for(1, project=OTHER)
        await house.crosscheck.check()
        assert [[one.project for one in each] for each in house.witness.asked] == asked


async def test_a_project_with_one_source_has_nobody_to_ask() -> None:
    clock = VirtualClock()
    alone = Witness("alone")
    crosscheck = CrossCheck({PROJECT: [alone]}, clock)
    crosscheck.note(PROJECT, alone.reading(clock.now() - MINUTE, clock.now()), since=clock.now() - MINUTE)
    await crosscheck.check()
    assert (alone.asked, crosscheck.findings(PROJECT)) == ([], ())


async def test_what_is_watched_in_another_way_is_compared_anew_and_the_rest_goes_on() -> None:
    house = House(PROJECT, OTHER)
    house.judge.ratio = 0.3
    for project in (PROJECT, OTHER):
        await house.judge_for(5, project=project)
    await house.crosscheck.check()
    both = (house.judge, house.witness)
    house.crosscheck.watch({PROJECT: both, OTHER: (house.judge, Witness("witness"))})
    assert [len(house.crosscheck.findings(one)) for one in (PROJECT, OTHER)] == [1, 0]
    house.crosscheck.watch({OTHER: both})
    assert house.crosscheck.findings(PROJECT) == ()


async def test_what_is_no_longer_watched_when_the_answer_comes_is_not_compared() -> None:
    for fleet in (True, False):
        house = House(PROJECT, OTHER, fleet=fleet)
        house.judge.ratio = 0.3
        await house.judge_for(5)
        await house.judge_for(5, project=OTHER)
        house.witness.before_answer = lambda house=house: house.crosscheck.watch({OTHER: (house.judge, house.witness)})
        await house.crosscheck.check()
        assert house.crosscheck.findings(PROJECT) == ()
        assert [one.reason for one in house.crosscheck.findings(OTHER)] == [SignalReason.DISAGREEING]


async def test_whoever_is_no_longer_watched_when_the_turn_comes_is_not_asked_for() -> None:
    house = House(PROJECT, OTHER)
    await house.judge_for(5)
    await house.judge_for(5, project=OTHER)
    house.witness.before_answer = lambda: house.crosscheck.watch({PROJECT: (house.judge, house.witness)})
    await house.crosscheck.check()
    assert [[one.project for one in asked] for asked in house.witness.asked] == [[PROJECT]]
