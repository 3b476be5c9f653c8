"""The platform's ports against an emulated Vercel: what is read of production, and what one rollback does to it."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.facts import AliasJobStatus, AliasJobType, Production, ProjectId, ReadyState, ReadySubstate
from daemon.emulator.rolling_specs import parse_config
from daemon.ports.errors import OutcomeUnknown, PortError, RateLimited, Refused, Unavailable, Unintelligible
from daemon.vercel.hosting import VercelHosting
from daemon.vercel.transport import VercelTransport
from tests.unit.vercel.emulated import Vercel, emulated, productions

ROLLING = {
    "enabled": True,
    "advancementType": "automatic",
    "stages": [{"targetPercentage": 10, "duration": 5}, {"targetPercentage": 100}],
}


@pytest.fixture
async def vercel() -> AsyncIterator[Vercel]:
    async with emulated() as vercel:
        yield vercel


async def roll_back(vercel: Vercel, target: str = "v2", description: str = "5xx at 20 %") -> None:
    await vercel.rollback.roll_back(vercel.project, target=vercel.id_of(target), description=description)


async def serving(vercel: Vercel) -> str:
    production = await vercel.hosting.read_production(vercel.project)
    return vercel.world.deployments[production.deployment.id].name


# Reading


async def test_production_is_what_the_world_says_it_is(vercel):
    found = await vercel.hosting.read_production(vercel.project)
    true = vercel.world.deployment("web", "good")
    assert (found.deployment.id, found.deployment.url, found.deployment.project) == (true.id, true.url, vercel.project)
    assert found.deployment.created_at == vercel.now - timedelta(hours=20)
    assert (found.deployment.ready_state, found.deployment.ready_substate) == (
        ReadyState.READY,
        ReadySubstate.PROMOTED,
    )
    assert (found.deployment.commit_sha, found.deployment.commit_message) == (true.commit.sha, "cart: keep items")
    assert (found.deployment.commit_author, found.deployment.branch) == ("Grace Hopper", "main")
    assert (found.alias_job, found.auto_assigns_domains, found.is_rolling_release_active) == (None, True, False)


async def test_a_project_without_deployments_serves_nothing():
    async with emulated(project={"deployments": []}) as vercel:
        assert (await vercel.hosting.read_production(vercel.project)).deployment is None


async def test_I_11_targets_are_the_ones_that_served_newest_first(vercel):
    targets = await vercel.hosting.list_targets(vercel.project)
    assert [target.id for target in targets] == [vercel.id_of(name) for name in ("good", "v2", "v1")]
    assert all(target.is_rollback_candidate and target.ready_substate is ReadySubstate.PROMOTED for target in targets)
    assert all(target.alias_assigned_at is not None for target in targets)


async def test_staged_previewed_and_broken_builds_are_no_targets():
    history = [
        {"name": "served", "age": "3d"},
        {"name": "broken", "age": "3h", "ends": "ERROR"},
        {"name": "preview", "age": "2h", "target": "preview"},
        {"name": "staged", "age": "1h", "staged": True},
    ]
    async with emulated(project={"deployments": history}) as vercel:
        targets = await vercel.hosting.list_targets(vercel.project)
        assert [target.id for target in targets] == [vercel.id_of("served")]


@pytest.mark.parametrize(("count", "found"), [(20, 20), (21, 21), (45, 45), (120, 100)])
async def test_a_long_history_is_read_in_pages_up_to_the_bound(count, found):
    history = [{"name": f"v{number}", "age": f"{number + 1}h"} for number in range(count)]
    async with emulated(project={"deployments": history}) as vercel:
        targets = await vercel.hosting.list_targets(vercel.project)
        assert [target.id for target in targets] == [vercel.id_of(f"v{number}") for number in range(found)]


async def test_a_project_is_found_by_name_and_by_id(vercel):
    assert await vercel.hosting.resolve_project("web") == vercel.project
    assert await vercel.hosting.resolve_project(vercel.project) == vercel.project
    with pytest.raises(Refused) as caught:
        await vercel.hosting.resolve_project("nowhere")
    assert caught.value.status == 404


async def test_the_token_tells_whose_it_is(vercel):
    assert await vercel.hosting.read_username() == "bot"


async def test_a_token_that_is_none_is_refused(vercel):
    transport = VercelTransport(
        "http://127.0.0.1:4455",
        lambda: "tok_wrong",
        clock=vercel.time,
        jitter=lambda: 0.0,
        transport=vercel.reader._client._transport,
    )
    async with transport:
        with pytest.raises(Refused) as caught:
            await VercelHosting(transport).read_production(vercel.project)
    assert caught.value.status == 403


async def test_a_project_that_is_not_there_is_refused(vercel):
    with pytest.raises(Refused) as caught:
        await vercel.hosting.read_production(ProjectId("prj_nowhere"))
    assert (caught.value.status, caught.value.code) == (404, "not_found")


@pytest.mark.parametrize("route", ["project", "deployments"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 503}, Unavailable),
        ({"kind": "status", "status": 429, "retry_after_seconds": 300}, RateLimited),
        ({"kind": "status", "status": 401}, Refused),
        ({"kind": "status", "status": 403}, Refused),
        ({"kind": "html"}, Unintelligible),
        ({"kind": "reset"}, Unavailable),
    ],
)
async def test_I_01_a_read_in_trouble_is_an_error_of_the_port(vercel, route, fault, error):
    vercel.fault(**fault, route=route)
    read = vercel.hosting.read_production if route == "project" else vercel.hosting.list_targets
    with pytest.raises(error) as caught:
        await read(vercel.project)
    assert type(caught.value) is error


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "reset"}])
async def test_a_read_survives_passing_trouble(vercel, fault):
    vercel.fault(**fault, route="project", count=2)
    assert await serving(vercel) == "good"


async def test_reads_change_nothing(vercel):
    await vercel.hosting.read_production(vercel.project)
    await vercel.hosting.list_targets(vercel.project)
    await vercel.hosting.read_username()
    assert vercel.mutations() == []


# Reading many at once


def a_team(count: int, **changes: Any) -> dict[str, Any]:
    """A scenario of so many projects, half of which serve their second deployment and the rest their only one."""
    histories = ([{"name": "v1", "age": "2d"}], [{"name": "v1", "age": "2d"}, {"name": "v2", "age": "1d"}])
    quiet = {"requests_per_second": 0}
    projects = [
        {"name": f"p{number}", "deployments": histories[number % 2], "traffic": quiet} for number in range(count)
    ]
    return {"projects": projects, **changes}


def all_of(vercel: Vercel) -> list[ProjectId]:
    return [ProjectId(project.id) for project in vercel.world.projects.values()]


def asked_of(vercel: Vercel) -> list[str]:
    return [entry.route for entry in vercel.world.ledger.entries]


@pytest.mark.parametrize(
    ("count", "asked"),
    [
        (3, ["projects"]),
        (100, ["projects"]),
        (102, ["projects", "project", "project"]),
        (103, ["projects", "projects"]),
        pytest.param(250, ["projects", "projects", "projects"], marks=pytest.mark.slow),
    ],
)
async def test_many_productions_are_read_by_the_page_and_are_the_same_as_one_by_one(count, asked):
    async with emulated(**a_team(count)) as vercel:
        projects = all_of(vercel)
        found = await productions(vercel.hosting, projects)
        assert asked_of(vercel) == asked
        assert found.keys() == set(projects)
        for project in (*projects[:3], projects[-1]):
            assert found[project] == await vercel.hosting.read_production(project)
        assert {vercel.world.deployments[one.deployment.id].name for one in found.values()} == {"v1", "v2"}


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_few_productions_are_read_one_by_one(count):
    async with emulated(**a_team(5)) as vercel:
        found = await productions(vercel.hosting, all_of(vercel)[:count])
        assert asked_of(vercel) == ["project"] * count
        assert [type(one) for one in found.values()] == [Production] * count


@pytest.mark.slow
async def test_a_few_projects_of_a_large_team_cost_no_more_than_twice_as_many_requests():
    async with emulated(**a_team(420)) as vercel:
        # The listing begins with the newest, so that the oldest come last.
        oldest = [ProjectId(vercel.world.project(f"p{number}").id) for number in range(4)]
        found = await productions(vercel.hosting, oldest)
        assert [type(one) for one in found.values()] == [Production] * 4
        assert asked_of(vercel) == ["projects"] * 4 + ["project"] * 4


@pytest.mark.parametrize("tells", ["with-flag", "always"])
async def test_a_row_tells_the_alias_job_or_none_and_never_another(tells):
    async with emulated(**a_team(5, knobs={"alias_request": tells})) as vercel:
        moved = vercel.world.project("p1")
        target = vercel.world.deployment("p1", "v1").id
        await vercel.rollback.roll_back(ProjectId(moved.id), target=target, description="")
        vercel.pass_time(5)
        found = (await productions(vercel.hosting, all_of(vercel)))[ProjectId(moved.id)]
        whole = await vercel.hosting.read_production(ProjectId(moved.id))
        assert whole.alias_job.to_deployment == target
        assert found == (whole if tells == "always" else replace(whole, alias_job=None))


async def test_trouble_with_one_project_touches_no_other():
    async with emulated(**a_team(5)) as vercel:
        nowhere, nowhere_else, third = (ProjectId(f"prj_nowhere{number}") for number in range(3))
        projects = all_of(vercel)
        found = await productions(vercel.hosting, [*projects, nowhere])
        assert isinstance(found[nowhere], Refused)
        assert (found[nowhere].status, found[nowhere].code) == (404, "not_found"), "it was asked for itself"
        found = await productions(vercel.hosting, [nowhere, *projects, nowhere_else, third])
        assert {found[one].code for one in (nowhere, nowhere_else, third)} == {"not_listed"}
        assert {found[one].status for one in (nowhere, nowhere_else, third)} == {404}
        assert all(isinstance(found[project], Production) for project in projects)


async def test_projects_of_a_token_that_reaches_only_some_are_refused_or_told():
    tokens = [{"value": "tok_emulator_read", "name": "some", "projects": ["p0", "p1"]}]
    tokens += [{"value": "tok_emulator_act", "name": "act"}]
    async with emulated(**a_team(6, tokens=tokens)) as vercel:
        found = await productions(vercel.hosting, all_of(vercel))
        kinds = {vercel.world.projects[project].name: type(one) for project, one in found.items()}
        assert {name for name, kind in kinds.items() if kind is Production} == {"p0", "p1"}
        assert set(kinds.values()) == {Production, Refused}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 503}, Unavailable),
        ({"kind": "status", "status": 429, "retry_after_seconds": 300}, RateLimited),
        ({"kind": "status", "status": 403}, Refused),
        ({"kind": "html"}, Unintelligible),
        ({"kind": "reset"}, Unavailable),
    ],
)
async def test_I_01_a_page_in_trouble_is_the_error_of_every_project_not_yet_found(fault, error):
    async with emulated(**a_team(110)) as vercel:
        vercel.fault(**fault, route="projects", skip=1)
        found = await productions(vercel.hosting, all_of(vercel))
        assert Counter(type(one) for one in found.values()) == {Production: 100, error: 10}


async def test_the_pages_survive_passing_trouble():
    async with emulated(**a_team(150)) as vercel:
        vercel.fault(kind="reset", route="projects", count=2)
        found = await productions(vercel.hosting, all_of(vercel))
        assert not [one for one in found.values() if isinstance(one, PortError)]


async def test_rolling_releases_cost_one_read_where_they_are_configured_and_none_elsewhere():
    async with emulated(**a_team(6, team={"plan": "enterprise"})) as vercel:
        vercel.world.rolling.configure(vercel.world.project("p2"), parse_config(ROLLING))
        found = await productions(vercel.hosting, all_of(vercel))
        assert asked_of(vercel) == ["projects", "rolling_release"]
        assert [one.is_rolling_release_active for one in found.values()] == [False] * 6


async def test_reading_many_changes_nothing():
    async with emulated(**a_team(5)) as vercel:
        await productions(vercel.hosting, all_of(vercel))
        assert vercel.mutations() == []


# Rolling back


@pytest.mark.default_answers
async def test_accepted_is_not_done_and_the_job_can_be_followed_to_its_end(vercel):
    await roll_back(vercel)
    seen = []
    for _ in range(4):
        found = await vercel.hosting.read_production(vercel.project)
        seen.append((vercel.world.deployments[found.deployment.id].name, found.alias_job.status))
        vercel.pass_time(0.5)
    assert seen[0] == ("good", AliasJobStatus.PENDING)
    assert ("good", AliasJobStatus.IN_PROGRESS) in seen
    assert seen[-1] == ("v2", AliasJobStatus.SUCCEEDED)
    assert found.alias_job.type is AliasJobType.ROLLBACK
    assert found.alias_job.from_deployment == vercel.id_of("good")
    assert found.alias_job.to_deployment == vercel.id_of("v2")
    assert found.alias_job.requested_at == vercel.now - timedelta(seconds=2)
    assert found.auto_assigns_domains is False


async def test_a_rollback_is_exactly_one_mutating_request_with_the_reason(vercel):
    await roll_back(vercel, description="x" * 300)
    assert vercel.mutations() == [f"POST /v1/projects/{vercel.project}/rollback/{vercel.id_of('v2')}"]
    assert vercel.world.project("web").description.text == "x" * 250


@pytest.mark.default_answers
@pytest.mark.parametrize(("outcome", "serves"), [("failed", "good"), ("partial", "good"), ("skipped", "good")])
async def test_a_job_that_ends_otherwise_is_told_as_it_ended(vercel, outcome, serves):
    vercel.fault(kind="job", outcome=outcome)
    await roll_back(vercel)
    vercel.pass_time(5)
    found = await vercel.hosting.read_production(vercel.project)
    assert vercel.world.deployments[found.deployment.id].name == serves
    expected = AliasJobStatus.SKIPPED if outcome == "skipped" else AliasJobStatus.FAILED
    assert found.alias_job.status is expected
    assert bool(found.alias_job.failed_aliases) is (outcome != "skipped")
    assert set(found.alias_job.failed_aliases) <= {"www.example.com", "web-acme.vercel.app"}


@pytest.mark.parametrize("rows", ["nested", "string"])
async def test_failed_domains_are_read_in_either_shape(rows):
    async with emulated(knobs={"alias_rows": rows}) as vercel:
        vercel.fault(kind="job", outcome="failed")
        await roll_back(vercel)
        vercel.pass_time(5)
        found = await vercel.hosting.read_production(vercel.project)
        assert set(found.alias_job.failed_aliases) == {"www.example.com", "web-acme.vercel.app"}


@pytest.mark.parametrize(("outcome", "status"), [("stuck", "in-progress"), ("stuck-pending", "pending")])
async def test_a_stuck_job_stays_running(vercel, outcome, status):
    vercel.fault(kind="job", outcome=outcome)
    await roll_back(vercel)
    vercel.pass_time(600)
    found = await vercel.hosting.read_production(vercel.project)
    assert found.alias_job.status is AliasJobStatus(status)
    assert found.alias_job.status.is_running


async def test_a_stale_alias_request_is_told_as_it_is_read(vercel):
    vercel.fault(kind="stale-alias-request", seconds=30)
    await roll_back(vercel)
    vercel.pass_time(5)
    found = await vercel.hosting.read_production(vercel.project)
    assert found.deployment.id == vercel.id_of("v2")
    assert found.alias_job is None


@pytest.mark.default_answers
async def test_a_foreign_promote_is_told_as_a_promote(vercel):
    vercel.world.request_promote(vercel.world.project("web"), vercel.id_of("v1"), by="human")
    vercel.pass_time(5)
    found = await vercel.hosting.read_production(vercel.project)
    assert (found.alias_job.type, found.deployment.id) == (AliasJobType.PROMOTE, vercel.id_of("v1"))


@pytest.mark.parametrize(
    ("fault", "error", "is_applied"),
    [
        ({"kind": "status", "status": 400}, Refused, False),
        ({"kind": "status", "status": 401}, Refused, False),
        ({"kind": "status", "status": 402}, Refused, False),
        ({"kind": "status", "status": 403}, Refused, False),
        ({"kind": "status", "status": 409}, Refused, False),
        ({"kind": "status", "status": 422}, Refused, False),
        ({"kind": "status", "status": 429, "retry_after_seconds": 1}, RateLimited, False),
        ({"kind": "status", "status": 500}, OutcomeUnknown, False),
        ({"kind": "status", "status": 500, "when": "after_apply"}, OutcomeUnknown, True),
        ({"kind": "status", "status": 503, "retry_after_seconds": 1}, OutcomeUnknown, False),
        ({"kind": "reset"}, OutcomeUnknown, False),
        ({"kind": "reset", "when": "after_apply"}, OutcomeUnknown, True),
        ({"kind": "html"}, OutcomeUnknown, False),
    ],
)
async def test_I_22_the_fate_of_the_write_is_told_apart_and_it_is_sent_once(vercel, fault, error, is_applied):
    vercel.fault(**fault, route="rollback")
    with pytest.raises(error) as caught:
        await roll_back(vercel)
    assert type(caught.value) is error
    assert len(vercel.mutations()) == 1
    vercel.pass_time(5)
    assert await serving(vercel) == ("v2" if is_applied else "good")


async def test_I_23_a_content_type_on_the_empty_201_does_not_confuse_us(vercel):
    vercel.fault(kind="content-type", route="rollback")
    await roll_back(vercel)
    assert len(vercel.mutations()) == 1


@pytest.mark.default_answers
async def test_a_rollback_to_what_serves_already_is_refused(vercel):
    with pytest.raises(Refused) as caught:
        await roll_back(vercel, target="good")
    assert caught.value.status == 409


@pytest.mark.default_answers
async def test_a_hobby_plan_refuses_an_older_target_with_its_reason():
    async with emulated(team={"plan": "hobby"}) as vercel:
        with pytest.raises(Refused, match="upgrade to pro") as caught:
            await roll_back(vercel, target="v1")
        assert (caught.value.status, caught.value.code) == (402, "payment_required")
        await roll_back(vercel, target="v2")


async def test_a_read_only_token_cannot_roll_back(vercel):
    vercel.actor._token = lambda: "tok_emulator_read"
    with pytest.raises(Refused) as caught:
        await roll_back(vercel)
    assert caught.value.status == 403


async def test_every_project_of_the_team_is_listed_with_its_name(vercel):
    assert await vercel.hosting.list_projects() == {vercel.project: "web"}
