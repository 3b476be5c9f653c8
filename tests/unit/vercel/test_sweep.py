"""Many productions by the page: each row read as strictly as a project, and never a word more than it says."""

import httpx
import pytest

from daemon.core.facts import AliasJobStatus, Production
from daemon.core.signal import SignalReason
from daemon.ports.errors import PortError, Refused, Unavailable, Unintelligible
from daemon.vercel import hosting as hosting_module
from daemon.vercel.hosting import VercelHosting
from tests.unit.vercel.emulated import productions
from tests.unit.vercel.fakes import TEAM, a_reader, an_error, answers, by_path
from tests.unit.vercel.shapes import BAD, GOOD, a_deployment_body, a_project_body, an_alias_request, without

PAGES = "/v10/projects"
FIRST, SECOND, THIRD, FOURTH = IDS = tuple(f"prj_{letter * 24}" for letter in "ABCD")
CONFIGURED = {"target": "production", "stages": [{"targetPercentage": 100}]}


def a_project(id_: str, **changes: object) -> dict[str, object]:
    serving = a_deployment_body(projectId=id_)
    return a_project_body(id=id_, targets={"production": serving}, **changes)


def a_page(*projects: object, following: object = None) -> dict[str, object]:
    return {"projects": list(projects), "pagination": {"count": len(projects), "next": following, "prev": None}}


def many(*changed: dict[str, object]) -> list[dict[str, object]]:
    """The rows of four projects, of which those given are as given."""
    by_id = {id_: a_project(id_) for id_ in IDS} | {row["id"]: row for row in changed}
    return list(by_id.values())


async def sweep(*bodies: object, projects=IDS, **routes: object):
    steps = by_path({PAGES: bodies, **{path: [body] for path, body in routes.items()}})
    transport, script, _ = a_reader(steps)
    return await productions(VercelHosting(transport), projects), script


async def test_the_pages_are_asked_for_with_the_position_that_the_one_before_told():
    rows = many()
    _, script = await sweep(a_page(*rows[:1], following=1795288759983), a_page(*rows[1:]))
    first, second = script.requests
    assert dict(first.url.params) == {"limit": "100", "teamId": TEAM}
    assert dict(second.url.params) == {"limit": "100", "from": "1795288759983", "teamId": TEAM}


async def test_a_position_may_be_a_token():
    rows = many()
    found, script = await sweep(a_page(*rows[:1], following="MFRGG==="), a_page(*rows[1:]))
    assert script.query() == {"limit": "100", "from": "MFRGG===", "teamId": TEAM}
    assert [type(one) for one in found.values()] == [Production] * 4


async def test_reading_ends_when_every_project_is_found():
    _, script = await sweep(a_page(*many(), following=5))
    assert len(script.requests) == 1


async def test_a_project_asked_for_twice_is_one_entry_and_one_seen_twice_is_read_once():
    odd = a_project(FIRST, autoAssignCustomDomains=False)
    page, again = a_page(a_project(FIRST), following=5), a_page(*many(odd))
    found, _ = await sweep(page, again, projects=(*IDS, FIRST))
    assert found.keys() == set(IDS)
    assert found[FIRST].auto_assigns_domains is True


async def test_others_projects_of_the_team_are_passed_over_whatever_they_look_like():
    found, _ = await sweep(a_page({"id": "prj_other"}, *many()))
    assert found.keys() == set(IDS)


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ("absent", None),
        (None, None),
        (an_alias_request(jobStatus="pending"), AliasJobStatus.PENDING),
        (an_alias_request(jobStatus="failed"), AliasJobStatus.FAILED),
        (an_alias_request(jobStatus="new-status"), AliasJobStatus.PENDING),
    ],
)
async def test_a_row_tells_the_alias_job_where_it_has_it_and_no_failed_domain(job, told):
    row = a_project(FIRST, lastAliasRequest=job)
    row = without(row, "lastAliasRequest") if job == "absent" else row
    found, script = await sweep(a_page(*many(row)))
    found_job = found[FIRST].alias_job
    assert (found_job and found_job.status) is told
    assert found_job is None or (found_job.to_deployment, found_job.failed_aliases) == (GOOD, ())
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "row",
    [
        without(a_project(FIRST), "targets"),
        without(a_project(FIRST), "accountId"),
        without(a_project(FIRST), "targets.production.readyState"),
        a_project(FIRST) | {"targets": None},
        a_project(FIRST) | {"targets": {"production": a_deployment_body(projectId=SECOND)}},
        a_project(FIRST) | {"autoAssignCustomDomains": "yes"},
        a_project(FIRST) | {"lastAliasRequest": {"jobStatus": "pending"}},
        a_project(FIRST) | {"rollingRelease": {"state": "DOUBTFUL"}},
    ],
)
async def test_a_row_that_cannot_be_trusted_is_that_projects_error_alone(row):
    found, _ = await sweep(a_page(*many(row)))
    assert isinstance(found[FIRST], Unintelligible)
    assert found[FIRST].reason is SignalReason.SCHEMA_DRIFT
    assert FIRST in str(found[FIRST])
    assert [type(found[id_]) for id_ in IDS[1:]] == [Production] * 3


async def test_a_row_without_a_production_deployment_serves_nothing():
    found, _ = await sweep(a_page(*many(a_project(FIRST) | {"targets": {}})))
    assert found[FIRST].deployment is None


async def test_a_project_of_another_team_is_refused():
    found, _ = await sweep(a_page(*many(a_project(FIRST, accountId="team_other"))))
    assert isinstance(found[FIRST], Refused)
    assert found[FIRST].code == "other_team"


@pytest.mark.parametrize(
    "page",
    [
        [],
        [a_project(id_) for id_ in IDS],
        {"projects": None, "pagination": {"next": None}},
        {"projects": many()},
        {"projects": many(), "pagination": None},
        {"projects": many(), "pagination": {"next": True}},
        {"projects": many(), "pagination": {"next": -1}},
        {"projects": [{"name": "web"}, *many()], "pagination": {"next": None}},
        {"projects": [{"id": 7}, *many()], "pagination": {"next": None}},
        {"projects": ["prj"], "pagination": {"next": None}},
        {},
    ],
)
async def test_a_page_of_another_form_is_everybodys_error(page):
    found, _ = await sweep(page)
    assert [type(one) for one in found.values()] == [Unintelligible] * 4


async def test_a_page_that_fails_is_the_error_of_those_not_found_before():
    found, _ = await sweep(a_page(a_project(FIRST), following=5), an_error(404, message="gone"))
    assert isinstance(found[FIRST], Production)
    assert [type(found[id_]) for id_ in IDS[1:]] == [Refused] * 3


@pytest.mark.parametrize("following", [None, 5])
async def test_many_projects_on_no_page_are_refused_with_what_to_do(following):
    bodies = [a_page(a_project(FIRST), following=5), a_page(a_project("prj_other"), following=following)]
    found, script = await sweep(*bodies)
    assert len(script.requests) == 2
    for id_ in IDS[1:]:
        assert isinstance(found[id_], Refused)
        assert (found[id_].status, found[id_].code) == (404, "not_listed")
        assert "correct the configuration" in str(found[id_])


@pytest.mark.parametrize("kind", ["there", "gone"])
async def test_a_few_projects_on_no_page_are_asked_for_themselves(kind):
    answer = a_project(FOURTH) if kind == "there" else an_error(404, "not_found")
    found, script = await sweep(a_page(*many()[:3]), **{f"/v9/projects/{FOURTH}": answer})
    assert script.asked == [f"GET {PAGES}", f"GET /v9/projects/{FOURTH}"]
    assert isinstance(found[FOURTH], Production if kind == "there" else Refused)


async def test_when_more_pages_were_read_than_projects_are_missing_they_are_read_one_by_one():
    others = [a_page(a_project(f"prj_other{number}"), following=number + 1) for number in range(9)]
    own = {f"/v9/projects/{id_}": a_project(id_) for id_ in IDS}
    own[f"/v9/projects/{SECOND}"] = an_error(403)
    found, script = await sweep(*others, **own)
    assert script.asked == [f"GET {PAGES}"] * 4 + [f"GET /v9/projects/{id_}" for id_ in IDS]
    assert [type(one) for one in found.values()] == [Production, Refused, Production, Production]


async def test_the_pages_are_bounded(monkeypatch):
    # A bound of hundreds of pages takes as many projects to reach.
    monkeypatch.setattr(hosting_module, "PROJECTS_PAGES_MAX", 2)
    pages = [a_page(a_project(f"prj_other{number}"), following=number + 1) for number in range(3)]
    found, script = await sweep(*pages)
    assert len(script.requests) == 2
    assert {type(one) for one in found.values()} == {Unintelligible}
    assert {one.reason for one in found.values() if isinstance(one, PortError)} == {SignalReason.TRUNCATED}


# Rolling releases


@pytest.mark.parametrize(
    ("release", "is_active"),
    [
        ({"state": "ACTIVE"}, True),
        ({"state": "COMPLETE"}, False),
        ({"state": "ABORTED"}, False),
        (None, False),
        ({}, False),
    ],
)
async def test_a_release_whose_state_the_row_tells_costs_no_request(release, is_active):
    found, script = await sweep(a_page(*many(a_project(FIRST, rollingRelease=release))))
    assert found[FIRST].is_rolling_release_active is is_active
    assert len(script.requests) == 1


@pytest.mark.parametrize(("state", "is_active"), [("ACTIVE", True), ("COMPLETE", False)])
async def test_a_mere_configuration_is_followed_to_the_state_of_that_one_project(state, is_active):
    path = f"/v1/projects/{FIRST}/rolling-release"
    release = {"rollingRelease": {"state": state}}
    row = a_project(FIRST, rollingRelease=CONFIGURED)
    found, script = await sweep(a_page(*many(row)), **{path: release})
    assert found[FIRST].is_rolling_release_active is is_active
    assert script.asked == [f"GET {PAGES}", f"GET {path}"]


async def test_a_release_that_cannot_be_read_is_that_projects_error_alone():
    row = a_project(FIRST, rollingRelease=CONFIGURED)
    found, _ = await sweep(a_page(*many(row)), **{f"/v1/projects/{FIRST}/rolling-release": httpx.Response(500)})
    assert isinstance(found[FIRST], Unavailable)
    assert [type(found[id_]) for id_ in IDS[1:]] == [Production] * 3


async def test_a_row_says_the_same_as_a_project():
    row = a_project(FIRST, lastAliasRequest=an_alias_request(jobStatus="succeeded"))
    transport, _, _ = a_reader(*answers(row))
    found, _ = await sweep(a_page(*many(row)))
    assert found[FIRST] == await VercelHosting(transport).read_production(FIRST)
    assert found[FIRST].deployment.id == BAD


# Which projects there are


async def listed(*bodies: object):
    transport, script, _ = a_reader(by_path({PAGES: bodies}))
    return await VercelHosting(transport).list_projects(), script


async def test_every_page_is_read_to_the_end_and_each_project_has_its_name():
    rows = [a_project(id_, name=name) for id_, name in zip(IDS, ("shop", "blog", "docs", "api"), strict=True)]
    found, script = await listed(a_page(*rows[:3], following=5), a_page(*rows[3:]))
    assert found == dict(zip(IDS, ("shop", "blog", "docs", "api"), strict=True))
    assert script.query() == {"limit": "100", "from": "5", "teamId": TEAM}


async def test_a_team_without_projects_is_an_empty_list():
    found, _ = await listed(a_page())
    assert found == {}


@pytest.mark.parametrize(
    ("pages", "error"),
    [
        ([a_page(a_project(FIRST, name="shop"), following=5), httpx.Response(500)], Unavailable),
        ([a_page(a_project(FIRST, name="shop"), following=5), a_page(following=5)], Unintelligible),
        ([a_page(a_project(FIRST, name="shop"), without(a_project(SECOND, name="x"), "name"))], Unintelligible),
        ([a_page(a_project(FIRST, name="shop", accountId="team_other"))], Refused),
    ],
)
async def test_a_list_that_is_not_complete_is_no_list(pages, error):
    with pytest.raises(error):
        await listed(*pages)


async def test_a_list_without_end_is_given_up(monkeypatch):
    # A real team of so many pages would take the test minutes.
    monkeypatch.setattr(hosting_module, "PROJECTS_PAGES_MAX", 2)
    pages = [a_page(a_project(id_, name="x"), following=number) for number, id_ in enumerate(IDS)]
    with pytest.raises(Unintelligible, match="more than 2 pages") as caught:
        await listed(*pages)
    assert caught.value.reason is SignalReason.TRUNCATED
