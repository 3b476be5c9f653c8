"""The platform's ports against an emulated Vercel: what is read of production, and what one rollback does to it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from daemon.core.facts import AliasJobStatus, AliasJobType, ProjectId, ReadyState, ReadySubstate
from daemon.ports.errors import OutcomeUnknown, RateLimited, Refused, Unavailable, Unintelligible
from daemon.vercel.hosting import VercelHosting
from daemon.vercel.transport import VercelTransport
from tests.unit.vercel.emulated import Vercel, emulated


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
