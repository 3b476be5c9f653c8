"""Vercel as the platform: what is read of production, and the one verb that moves it."""

from datetime import UTC, datetime

import httpx
import pytest

from daemon.core.facts import AliasJob, AliasJobStatus, AliasJobType, Deployment, Production, ReadyState, ReadySubstate
from daemon.ports.errors import OutcomeUnknown, RateLimited, Refused, Unavailable, Unintelligible
from daemon.ports.hosting import HostingReader, Rollback
from daemon.vercel.hosting import COMMIT_CHARACTERS_MAX, TARGETS_PAGES_MAX, VercelHosting, VercelRollback
from daemon.vercel.owner import OwnerLookup
from tests.unit.vercel.fakes import PROJECT, TEAM, a_transport, an_error, answers, by_path
from tests.unit.vercel.shapes import BAD, GOOD, META, STAGED, a_deployment_body, a_project_body, a_row, an_alias_request

PROJECT_PATH = f"/v9/projects/{PROJECT}"
ROLLBACK_ALIASES = f"{PROJECT_PATH}/rollback/aliases"
RELEASE_PATH = f"/v1/projects/{PROJECT}/rolling-release"
FAILED_ROW = {"alias": {"alias": "www.example.com", "deploymentId": BAD}, "id": "als_1", "status": "failed"}
CREATED = datetime(2026, 11, 21, 19, 19, 19, 983000, tzinfo=UTC)


def a_hosting(*steps, **settings):
    transport, script, _ = a_transport(*steps, **settings)
    return VercelHosting(transport), script


async def read(**changes: object) -> Production:
    hosting, _ = a_hosting(*answers(a_project_body(**changes)))
    return await hosting.read_production(PROJECT)


def test_the_ports_are_implemented():
    transport, _, _ = a_transport(httpx.Response(500))
    _reader: HostingReader = VercelHosting(transport)
    _actuator: Rollback = VercelRollback(transport)


# Reading production


async def test_production_carries_all_that_the_answer_has():
    hosting, script = a_hosting(*answers(a_project_body()))
    assert await hosting.read_production(PROJECT) == Production(
        deployment=Deployment(
            id=BAD,
            project=PROJECT,
            url="web-07abcdefg-acme.vercel.app",
            created_at=CREATED,
            ready_state=ReadyState.READY,
            ready_substate=ReadySubstate.PROMOTED,
            commit_sha=META["githubCommitSha"],
            commit_message="commit 7\n\nbody",
            commit_author="Ada",
            branch="main",
        ),
        auto_assigns_domains=True,
    )
    assert script.asked == [f"GET {PROJECT_PATH}"]
    assert script.query() == {"rollbackInfo": "true", "teamId": TEAM}


@pytest.mark.parametrize("targets", [{}, {"production": None}])
async def test_a_project_that_serves_nothing_has_no_production_deployment(targets):
    assert (await read(targets=targets)).deployment is None


@pytest.mark.parametrize(("value", "told"), [(False, False), (None, None), ("absent", None)])
async def test_the_auto_assignment_is_unknown_unless_told(value, told):
    body = a_project_body(autoAssignCustomDomains=value)
    if value == "absent":
        del body["autoAssignCustomDomains"]
    hosting, _ = a_hosting(*answers(body))
    assert (await hosting.read_production(PROJECT)).auto_assigns_domains is told


async def test_a_target_that_does_not_repeat_what_it_is_is_production():
    body = a_deployment_body()
    del body["target"], body["projectId"]
    assert (await read(targets={"production": body})).deployment.is_production


@pytest.mark.parametrize(
    ("value", "at"), [(1795288759983, CREATED), (True, None), (False, None), (None, None), ("absent", None)]
)
async def test_the_time_of_assignment_is_known_only_where_a_time_was_sent(value, at):
    body = a_deployment_body(aliasAssigned=value)
    if value == "absent":
        del body["aliasAssigned"]
    assert (await read(targets={"production": body})).deployment.alias_assigned_at == at


@pytest.mark.parametrize("provider", ["github", "gitlab", "bitbucket"])
async def test_the_commit_is_read_from_every_provider(provider):
    meta = {
        f"{provider}CommitSha": "abc",
        f"{provider}CommitMessage": "fix",
        f"{provider}CommitAuthorLogin": "ada",
        f"{provider}CommitRef": "main",
    }
    found = (await read(targets={"production": a_deployment_body(meta=meta)})).deployment
    assert (found.commit_sha, found.commit_message, found.commit_author, found.branch) == ("abc", "fix", "ada", "main")


@pytest.mark.parametrize("meta", [None, {}, {"gitDirty": "1", "githubCommitSha": "", "githubCommitMessage": 5}])
async def test_a_build_without_git_has_no_commit(meta):
    found = (await read(targets={"production": a_deployment_body(meta=meta)})).deployment
    assert (found.commit_sha, found.commit_message, found.commit_author, found.branch) == (None, None, None, None)


async def test_a_long_commit_message_is_cut():
    body = a_deployment_body(meta={"githubCommitMessage": "x" * 100_000})
    found = (await read(targets={"production": body})).deployment
    assert len(found.commit_message) == COMMIT_CHARACTERS_MAX


async def test_a_deployment_of_another_project_is_no_answer():
    with pytest.raises(Unintelligible, match="prj_other"):
        await read(targets={"production": a_deployment_body(projectId="prj_other")})


async def test_an_answer_about_another_project_is_no_answer():
    with pytest.raises(Unintelligible, match="prj_other"):
        await read(id="prj_other")


async def test_a_project_of_another_team_is_refused():
    with pytest.raises(Refused, match="team_other") as caught:
        await read(accountId="team_other")
    assert caught.value.code == "other_team"


async def test_without_a_configured_team_any_owner_is_accepted():
    hosting, _ = a_hosting(*answers(a_project_body(accountId="usr_1")), team_id=None)
    assert (await hosting.read_production(PROJECT)).deployment.id == BAD


# The alias job


@pytest.mark.parametrize("status", ["pending", "in-progress", "succeeded", "skipped"])
@pytest.mark.parametrize("kind", ["rollback", "promote"])
async def test_the_newest_alias_job_is_told_as_it_is(status, kind):
    found = await read(lastAliasRequest=an_alias_request(jobStatus=status, type=kind))
    assert found.alias_job == AliasJob(
        type=AliasJobType(kind),
        status=AliasJobStatus(status),
        from_deployment=BAD,
        to_deployment=GOOD,
        requested_at=datetime(2026, 11, 21, 20, 20, 59, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"jobStatus": "queued", "type": "rollback"}, "rollback"),
        ({"jobStatus": "succeeded", "type": "alias"}, "promote"),
        ({"jobStatus": "failed", "type": "alias"}, "promote"),
        ({"jobStatus": "", "type": ""}, "promote"),
    ],
)
async def test_a_job_of_a_new_type_or_status_is_somebody_at_work_and_hides_nothing(told, kind):
    found = await read(lastAliasRequest=an_alias_request(**told))
    assert found.deployment.id == BAD
    assert (found.alias_job.type, found.alias_job.status) == (AliasJobType(kind), AliasJobStatus.PENDING)
    assert found.alias_job.status.is_running


async def test_a_job_that_does_not_say_whence_is_told_so():
    assert (await read(lastAliasRequest=an_alias_request(fromDeploymentId=None))).alias_job.from_deployment is None


@pytest.mark.parametrize("kind", ["rollback", "promote"])
@pytest.mark.parametrize("alias", ["www.example.com", FAILED_ROW["alias"]])
async def test_a_failed_job_names_the_domains_that_did_not_move_in_either_shape(kind, alias):
    rows = [FAILED_ROW | {"alias": alias}, {"alias": "ok.example.com", "id": "als_2", "status": "completed"}]
    hosting, script = a_hosting(
        by_path(
            {
                PROJECT_PATH: [a_project_body(lastAliasRequest=an_alias_request(jobStatus="failed", type=kind))],
                f"{PROJECT_PATH}/{kind}/aliases": [{"aliases": rows, "pagination": None}],
            }
        )
    )
    found = await hosting.read_production(PROJECT)
    assert found.alias_job.failed_aliases == ("www.example.com",)
    assert script.query() == {"failedOnly": "true", "limit": "20", "teamId": TEAM}


async def test_all_pages_of_failed_domains_are_read_each_name_once():
    hosting, script = a_hosting(
        by_path(
            {
                PROJECT_PATH: [a_project_body(lastAliasRequest=an_alias_request(jobStatus="failed"))],
                ROLLBACK_ALIASES: [
                    {"aliases": [FAILED_ROW], "pagination": {"count": 1, "next": 500, "prev": None}},
                    {"aliases": [FAILED_ROW, FAILED_ROW | {"alias": "b.example.com"}], "pagination": {"next": None}},
                ],
            }
        )
    )
    found = await hosting.read_production(PROJECT)
    assert found.alias_job.failed_aliases == ("www.example.com", "b.example.com")
    assert script.query()["until"] == "500"


@pytest.mark.parametrize("trouble", [an_error(404), an_error(500), httpx.Response(200, json={"aliases": [{}]})])
async def test_production_is_told_even_when_the_failed_domains_cannot_be_read(trouble):
    hosting, _ = a_hosting(
        by_path(
            {
                PROJECT_PATH: [a_project_body(lastAliasRequest=an_alias_request(jobStatus="failed"))],
                ROLLBACK_ALIASES: [trouble],
            }
        )
    )
    found = await hosting.read_production(PROJECT)
    assert (found.deployment.id, found.alias_job.status, found.alias_job.failed_aliases) == (BAD, "failed", ())


# Rolling releases


@pytest.mark.parametrize(("state", "is_active"), [("ACTIVE", True), ("COMPLETE", False), ("ABORTED", False)])
async def test_a_rolling_release_is_active_only_in_its_active_state(state, is_active):
    found = await read(rollingRelease={"state": state, "activeStage": None})
    assert found.is_rolling_release_active is is_active


@pytest.mark.parametrize(("release", "is_active"), [(None, False), ({"state": "ACTIVE"}, True)])
async def test_the_mere_configuration_of_rolling_releases_is_followed_to_their_state(release, is_active):
    hosting, script = a_hosting(
        by_path(
            {
                PROJECT_PATH: [a_project_body(rollingRelease={"target": "production"})],
                RELEASE_PATH: [{"rollingRelease": release}],
            }
        )
    )
    assert (await hosting.read_production(PROJECT)).is_rolling_release_active is is_active
    assert script.asked == [f"GET {PROJECT_PATH}", f"GET {RELEASE_PATH}"]


async def test_a_rolling_release_in_doubt_is_no_answer():
    with pytest.raises(Unintelligible):
        await read(rollingRelease={"state": "PAUSED"})


# Targets


def a_page(*rows: object, following: int | None = None) -> dict[str, object]:
    return {"deployments": list(rows), "pagination": {"count": len(rows), "next": following, "prev": None}}


async def test_targets_are_the_platforms_candidates_newest_first():
    hosting, script = a_hosting(*answers(a_page(a_row(GOOD, createdAt=1), a_row(BAD, createdAt=2))))
    targets = await hosting.list_targets(PROJECT)
    assert [target.id for target in targets] == [BAD, GOOD]
    assert targets[0].is_rollback_candidate
    assert targets[0].alias_assigned_at == datetime(2026, 11, 21, 18, 20, 20, 983000, tzinfo=UTC)
    assert script.asked == ["GET /v7/deployments"]
    assert script.query() == {
        "projectId": PROJECT,
        "target": "production",
        "state": "READY",
        "rollbackCandidate": "true",
        "limit": "20",
        "teamId": TEAM,
    }


@pytest.mark.parametrize(
    "row",
    [
        a_row(STAGED, isRollbackCandidate=False),
        a_row(STAGED, isRollbackCandidate=None),
        a_row(STAGED, target=None),
        a_row(STAGED, target="staging"),
    ],
)
async def test_rows_that_the_filters_should_have_kept_away_are_no_targets(row):
    hosting, _ = a_hosting(*answers(a_page(row, a_row(GOOD))))
    assert [target.id for target in await hosting.list_targets(PROJECT)] == [GOOD]


async def test_no_candidates_are_no_targets():
    hosting, _ = a_hosting(*answers({"deployments": []}))
    assert await hosting.list_targets(PROJECT) == []


async def test_all_pages_are_read_up_to_the_bound():
    pages = [a_page(a_row(f"dpl_{n}", createdAt=1000 - n), following=1000 - n) for n in range(TARGETS_PAGES_MAX + 3)]
    hosting, script = a_hosting(*answers(*pages))
    assert len(await hosting.list_targets(PROJECT)) == TARGETS_PAGES_MAX
    assert [script.query(n).get("until") for n in range(3)] == [None, "1000", "999"]
    assert len(script.requests) == TARGETS_PAGES_MAX


@pytest.mark.parametrize("following", [500, 501])
async def test_a_cursor_that_does_not_move_ends_the_reading(following):
    page = a_page(a_row(GOOD), following=500)
    hosting, script = a_hosting(*answers(page, a_page(a_row(GOOD), following=following)))
    assert [target.id for target in await hosting.list_targets(PROJECT)] == [GOOD]
    assert len(script.requests) == 2


ODD_ROWS = [a_row(BAD, readyState="WAITING"), a_row(BAD, readySubstate="RETIRED"), a_row(BAD, id=None), {}, None]


@pytest.mark.parametrize("odd", ODD_ROWS)
async def test_a_row_that_we_do_not_understand_is_no_target_and_keeps_no_other_from_being_one(odd):
    hosting, _ = a_hosting(*answers(a_page(odd, a_row(GOOD))))
    assert [target.id for target in await hosting.list_targets(PROJECT)] == [GOOD]


async def test_a_list_of_which_no_row_is_understood_is_refused_and_the_fields_named():
    hosting, _ = a_hosting(*answers(a_page(*ODD_ROWS)))
    with pytest.raises(Unintelligible, match=r"deployments\.0\.readyState"):
        await hosting.list_targets(PROJECT)


async def test_a_row_of_another_project_makes_the_list_untrustworthy():
    hosting, _ = a_hosting(*answers(a_page(a_row(GOOD, projectId="prj_other"))))
    with pytest.raises(Unintelligible):
        await hosting.list_targets(PROJECT)


# Who and what


async def test_a_project_is_found_by_its_name():
    hosting, script = a_hosting(*answers(a_project_body()))
    assert await hosting.resolve_project("we/b?") == PROJECT
    assert script.requests[0].url.raw_path.startswith(b"/v9/projects/we%2Fb%3F?")


async def test_a_project_asked_by_id_must_answer_by_that_id():
    hosting, _ = a_hosting(*answers(a_project_body(id="prj_other")))
    with pytest.raises(Unintelligible):
        await hosting.resolve_project(PROJECT)


async def test_a_project_of_another_team_is_not_resolved():
    hosting, _ = a_hosting(*answers(a_project_body(accountId="team_other")))
    with pytest.raises(Refused, match="team_other"):
        await hosting.resolve_project("web")


@pytest.mark.parametrize(
    ("body", "name"), [({"username": "bot", "email": "b@example.com"}, "bot"), ({"email": "b@x"}, "b@x"), ({}, "")]
)
async def test_the_token_tells_whose_it_is(body, name):
    hosting, _ = a_hosting(*answers({"user": body}))
    assert await hosting.read_username() == name


async def test_a_project_scoped_token_has_no_user():
    hosting, _ = a_hosting(an_error(404, "not_found", "User not found."))
    assert await hosting.read_username() is None


async def test_an_invalid_token_is_refused():
    hosting, _ = a_hosting(an_error(403, "forbidden", "Not authorized"))
    with pytest.raises(Refused):
        await hosting.read_username()


async def test_the_owner_is_the_team_or_is_read_once():
    transport, script, _ = a_transport(*answers(a_project_body(accountId="usr_1")), team_id=None)
    owners = OwnerLookup(transport)
    assert [await owners.find(PROJECT), await owners.find(PROJECT)] == ["usr_1", "usr_1"]
    assert len(script.requests) == 1
    assert await OwnerLookup(a_transport(httpx.Response(500))[0]).find(PROJECT) == TEAM


# The rollback


async def roll_back(*steps, description: str = "5xx at 20 %: 40 of 200 & more", target: str = GOOD):
    transport, script, clock = a_transport(*steps)
    try:
        await VercelRollback(transport).roll_back(PROJECT, target=target, description=description)
    finally:
        assert len(script.requests) == 1
        assert clock.slept == []
    return script


async def test_a_rollback_is_one_post_without_a_body():
    script = await roll_back(httpx.Response(201))
    assert script.asked == [f"POST /v1/projects/{PROJECT}/rollback/{GOOD}"]
    assert script.query() == {"description": "5xx at 20 %: 40 of 200 & more", "teamId": TEAM}
    assert script.requests[0].content == b""


@pytest.mark.parametrize(("length", "sent"), [(249, 249), (250, 250), (251, 250)])
async def test_the_description_is_cut_to_what_is_accepted(length, sent):
    script = await roll_back(httpx.Response(201), description="x" * length)
    assert len(script.query()["description"]) == sent


async def test_an_empty_description_is_not_sent():
    assert "description" not in (await roll_back(httpx.Response(201), description="")).query()


async def test_ids_cannot_lead_to_another_route():
    script = await roll_back(httpx.Response(201), target="../promote/x?y#z")
    assert script.requests[0].url.raw_path.startswith(
        f"/v1/projects/{PROJECT}/rollback/..%2Fpromote%2Fx%3Fy%23z".encode()
    )


async def test_I_23_a_json_content_type_on_the_empty_201_is_an_acceptance_all_the_same():
    await roll_back(httpx.Response(201, headers={"content-type": "application/json"}))


@pytest.mark.parametrize(
    "step",
    [
        httpx.Response(200, json={"error": {"code": "conflict", "message": "no"}}),
        httpx.Response(200),
        httpx.Response(202),
        httpx.Response(204),
    ],
)
async def test_I_23_any_other_2xx_is_not_an_acceptance(step):
    with pytest.raises(OutcomeUnknown, match=f"rollback of {PROJECT} to {GOOD}: answered {step.status_code} instead"):
        await roll_back(step)


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (an_error(402, "payment_required", "To roll back further, upgrade to pro"), Refused),
        (an_error(409, "conflict", "A rollback is already in progress"), Refused),
        (an_error(422), Refused),
        (an_error(429, **{"retry-after": "5"}), RateLimited),
        (an_error(500), OutcomeUnknown),
        (httpx.ReadTimeout("slow"), OutcomeUnknown),
        (httpx.ConnectError("refused"), Unavailable),
    ],
)
async def test_I_22_the_fate_of_a_rollback_is_told_apart(step, kind):
    with pytest.raises(kind) as caught:
        await roll_back(step)
    assert type(caught.value) is kind


async def test_a_rollback_without_a_target_is_a_bug():
    transport, script, _ = a_transport(httpx.Response(201))
    with pytest.raises(AssertionError):
        await VercelRollback(transport).roll_back(PROJECT, target="", description="x")
    assert script.requests == []


def test_I_26_the_actuator_has_one_verb():
    assert [name for name in dir(VercelRollback) if not name.startswith("_")] == ["roll_back"]
