"""As many projects go into one question as fit into one answer, and one project's trouble stays its own."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.facts import ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import PortError, Refused, Unavailable, Unintelligible
from daemon.sources.observability.counts import Table
from daemon.sources.observability.shards import OWNER_WIDE_MIN, PROJECTS_MAX, Outcome, Shards

T = datetime(2026, 11, 21, 20, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ids(count: int) -> list[ProjectId]:
    return [ProjectId(f"prj_{number:05}") for number in range(count)]


class Server:
    """Answers with one group a project, at most so many; refuses questions that name a stranger."""

    def __init__(self, *, groups_max: int = 500, strangers: int = 0, foreign: int = 0) -> None:
        self.groups_max = groups_max
        self.groups: dict[ProjectId, int] = {}
        self.refused: dict[ProjectId, int] = {}
        self.foreign = foreign
        self.asked: list[int | None] = []
        self.trouble: PortError | None = None

    async def __call__(self, projects: Sequence[ProjectId] | None) -> Table:
        self.asked.append(None if projects is None else len(projects))
        if self.trouble:
            raise self.trouble
        named = list(self.groups) if projects is None else projects
        refused = [self.refused[one] for one in named if one in self.refused and projects is not None]
        if refused:
            raise Refused("no such project", status=refused[0])
        groups = sum(self.groups.get(one, 0) for one in named) + (self.foreign if projects is None else 0)
        if groups >= self.groups_max:
            raise Unintelligible("truncated", reason=SignalReason.TRUNCATED)
        return Table(groups=groups)

    def forget_asked(self) -> list[int | None]:
        asked, self.asked = self.asked, []
        return asked


def a_server(count: int, *, groups: int = 1, **more: int) -> Server:
    server = Server(**more)
    server.groups = dict.fromkeys(ids(count), groups)
    return server


async def gather(shards: Shards, server: Server, count: int | Sequence[ProjectId], *, minute: int = 0) -> list[Outcome]:
    wanted = ids(count) if isinstance(count, int) else count
    outcomes = list(await shards.gather(wanted, server, now=T + minute * MINUTE))
    assert sorted(one for outcome in outcomes for one in outcome.projects) == sorted(wanted)
    return outcomes


def troubled(outcomes: Sequence[Outcome]) -> set[ProjectId]:
    return {one for outcome in outcomes if isinstance(outcome.answer, PortError) for one in outcome.projects}


@pytest.mark.parametrize(("count", "asked"), [(1, 1), (OWNER_WIDE_MIN - 1, 19), (OWNER_WIDE_MIN, None), (400, None)])
async def test_what_fits_into_one_answer_is_one_question(count, asked):
    server = a_server(count)
    outcomes = await gather(Shards(first_size=250), server, count)
    assert server.asked == [asked]
    assert [outcome.is_owner_wide for outcome in outcomes] == [asked is None]


async def test_an_owner_with_more_than_one_answer_holds_is_asked_in_parts_and_that_is_remembered():
    shards, server = Shards(first_size=250), a_server(1000)
    assert not troubled(await gather(shards, server, 1000))
    assert server.forget_asked() == [None, 250, 250, 250, 250]
    assert not troubled(await gather(shards, server, 1000))
    assert server.forget_asked() == [250, 250, 250, 250]


async def test_an_owner_whose_other_projects_fill_the_answer_is_asked_about_ours_by_name():
    shards, server = Shards(first_size=250), a_server(30, foreign=600)
    assert not troubled(await gather(shards, server, 30))
    assert not troubled(await gather(shards, server, 30))
    assert server.asked == [None, 30, 30]


async def test_a_part_that_does_not_fit_is_halved_and_the_cut_is_remembered():
    shards, server = Shards(first_size=250), a_server(250, groups=3)
    assert not troubled(await gather(shards, server, 250))
    assert server.forget_asked() == [None, 250, 125, 125]
    assert not troubled(await gather(shards, server, 250))
    assert server.forget_asked() == [125, 125]


async def test_small_neighbours_are_asked_together_again_once_they_fit_well():
    shards, server = Shards(first_size=250), a_server(250, groups=3)
    await gather(shards, server, 250)
    server.groups = dict.fromkeys(ids(250), 0) | dict.fromkeys(ids(200), 1)
    await gather(shards, server, 250)
    server.forget_asked()
    await gather(shards, server, 250)
    assert server.forget_asked() == [250]


async def test_neighbours_of_more_groups_than_that_stay_apart_so_that_nothing_is_split_and_merged_in_turn():
    shards, server = Shards(first_size=250), a_server(250, groups=3)
    await gather(shards, server, 250)
    server.groups = dict.fromkeys(ids(201), 1)
    for _ in range(3):
        server.forget_asked()
        await gather(shards, server, 250)
        assert server.asked == [125, 125]


async def test_a_poll_about_few_projects_does_not_merge_what_all_of_them_need_apart():
    shards, server = Shards(first_size=250), a_server(1000)
    await gather(shards, server, 1000)
    await gather(shards, server, ids(1000)[::100])
    server.forget_asked()
    await gather(shards, server, 1000)
    assert server.asked == [250, 250, 250, 250]


async def test_one_project_that_alone_does_not_fit_is_the_only_one_in_trouble():
    shards, server = Shards(first_size=250), a_server(40)
    server.groups[ids(40)[17]] = 600
    assert troubled(await gather(shards, server, 40)) == {ids(40)[17]}
    server.forget_asked()
    assert troubled(await gather(shards, server, 40)) == {ids(40)[17]}
    assert len(server.asked) <= 13


async def test_a_413_is_too_large_as_well():
    shards, server = Shards(first_size=250), a_server(10)

    async def ask(projects: Sequence[ProjectId] | None) -> Table:
        if projects and len(projects) > 3:
            raise Refused("result too large", status=413)
        return await server(projects)

    outcomes = await shards.gather(ids(10), ask, now=T)
    assert not troubled(outcomes)
    assert max(len(outcome.projects) for outcome in outcomes) <= 3


async def test_a_400_about_how_many_are_named_is_remembered_as_a_cut():
    shards, server = Shards(first_size=250), a_server(19)

    async def ask(projects: Sequence[ProjectId] | None) -> Table:
        table = await server(projects)
        if projects and len(projects) > 10:
            raise Refused("too many project ids", status=400)
        return table

    assert not troubled(await shards.gather(ids(19), ask, now=T))
    server.groups = dict.fromkeys(ids(19), 20)
    assert not troubled(await shards.gather(ids(19), ask, now=T))
    assert server.asked == [19, 9, 10, 10, 9]


@pytest.mark.parametrize("status", [400, 403])
async def test_a_passing_refusal_makes_questions_no_shorter_than_they_must_be(status):
    shards, server = Shards(first_size=250), a_server(19)
    for _ in range(9):
        server.refused = dict.fromkeys(ids(19), status)
        refused_once = iter([True])

        async def ask(projects: Sequence[ProjectId] | None, refused_once: Iterator[bool] = refused_once) -> Table:
            server.refused = server.refused if next(refused_once, False) else {}
            return await server(projects)

        await shards.gather(ids(19), ask, now=T)
    server.forget_asked()
    await gather(shards, server, 19)
    assert server.asked == ([10, 9] if status == 400 else [19])


async def test_no_question_names_more_projects_than_the_bound():
    shards, server = Shards(first_size=PROJECTS_MAX * 3), a_server(0, foreign=600)
    await gather(shards, server, PROJECTS_MAX * 2 + 1)
    assert server.asked == [None, PROJECTS_MAX, PROJECTS_MAX, 1]


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_refusal_that_is_about_one_project_is_its_own_and_from_then_on_it_is_asked_alone(status):
    shards, server = Shards(first_size=250), a_server(15)
    culprit = ids(15)[4]
    server.refused = {culprit: status}
    assert troubled(await gather(shards, server, 15)) == {culprit}
    server.forget_asked()
    assert troubled(await gather(shards, server, 15)) == {culprit}
    assert sorted(server.forget_asked()) == [1, 14]


async def test_several_projects_may_be_refused():
    shards, server = Shards(first_size=250), a_server(15)
    culprits = {ids(15)[0], ids(15)[9], ids(15)[14]}
    server.refused = dict.fromkeys(culprits, 404)
    assert troubled(await gather(shards, server, 15)) == culprits
    server.forget_asked()
    assert troubled(await gather(shards, server, 15)) == culprits
    assert sorted(server.asked) == [1, 1, 1, 12]


async def test_a_project_that_is_let_in_again_is_asked_with_the_others():
    shards, server = Shards(first_size=250), a_server(15)
    server.refused = {ids(15)[4]: 404}
    await gather(shards, server, 15)
    server.refused = {}
    await gather(shards, server, 15)
    server.forget_asked()
    await gather(shards, server, 15)
    assert server.asked == [15]


async def test_an_outcast_tries_with_the_others_after_half_an_hour():
    shards, server = Shards(first_size=250), a_server(15)
    server.refused = {ids(15)[4]: 404}
    await gather(shards, server, 15)
    server.forget_asked()
    await gather(shards, server, 15, minute=29)
    assert sorted(server.forget_asked()) == [1, 14]
    await gather(shards, server, 15, minute=30)
    assert server.asked[0] == 15


async def test_where_everybody_is_refused_no_culprit_is_searched_for_a_while():
    shards, server = Shards(first_size=250), a_server(15)
    server.trouble = Refused("not authorised", status=403)
    assert troubled(await gather(shards, server, 15)) == set(ids(15))
    server.forget_asked()
    assert troubled(await gather(shards, server, 15, minute=1)) == set(ids(15))
    assert server.forget_asked() == [15]
    server.trouble = None
    assert not troubled(await gather(shards, server, 15, minute=2))


async def test_the_search_for_culprits_is_bounded():
    shards, server = Shards(first_size=250), a_server(400, foreign=600)
    server.refused = dict.fromkeys(ids(400)[::2], 403)
    outcomes = await gather(shards, server, 400)
    assert len(server.asked) <= 45
    assert set(ids(400)[::2]) <= troubled(outcomes)


@pytest.mark.parametrize("trouble", [Unavailable("no answer"), Refused("plan", status=402), Unintelligible("drift")])
async def test_trouble_that_is_everybodys_is_not_searched(trouble):
    shards, server = Shards(first_size=250), a_server(15)
    server.trouble = trouble
    outcomes = await gather(shards, server, 15)
    assert [outcome.answer for outcome in outcomes] == [trouble]
    assert server.asked == [15]


async def test_nobody_asks_for_nobody():
    server = a_server(3)
    assert await gather(Shards(first_size=250), server, []) == []
    assert server.asked == []


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.dictionaries(st.integers(0, 60), st.integers(0, 30))), min_size=1, max_size=6
    )
)
def test_however_projects_come_and_go_each_is_in_one_outcome_and_only_its_own_size_troubles_it(polls):
    async def play() -> None:
        shards, server = Shards(first_size=10), Server(groups_max=20)
        for count, groups in polls:
            server.groups = {ProjectId(f"prj_{number:05}"): size for number, size in groups.items()}
            outcomes = await gather(shards, server, count)
            too_large = {one for one in ids(count) if server.groups.get(one, 0) >= 20}
            assert troubled(outcomes) == too_large

    asyncio.run(play())
