"""Which answers are believed: everything that we rely on is checked, everything else is ignored."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.ports.errors import Unintelligible
from daemon.vercel.wire import (
    MILLISECONDS_MAX,
    AliasPage,
    DeploymentPage,
    ProjectAnswer,
    RollingReleaseAnswer,
    read_iso,
    read_milliseconds,
    to_iso,
    to_milliseconds,
    understand,
)
from tests.unit.vercel.shapes import a_project_body, a_row, an_alias_request, with_field, without

PROJECT_BODY = a_project_body(lastAliasRequest=an_alias_request())


def test_a_recorded_project_is_understood():
    found = understand(ProjectAnswer, PROJECT_BODY, what="project")
    assert found.targets.production.created_at == datetime(2026, 11, 21, 19, 19, 19, 983000, tzinfo=UTC)
    assert found.last_alias_request.requested_at == datetime(2026, 11, 21, 20, 20, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "path",
    [
        "id",
        "accountId",
        "targets",
        "targets.production.createdAt",
        "targets.production.readyState",
        "targets.production.url",
        "lastAliasRequest.jobStatus",
        "lastAliasRequest.type",
        "lastAliasRequest.toDeploymentId",
        "lastAliasRequest.requestedAt",
    ],
)
def test_a_missing_field_that_we_rely_on_is_named(path):
    with pytest.raises(Unintelligible) as caught:
        understand(ProjectAnswer, without(PROJECT_BODY, path), what="project prj_1")
    assert f"project prj_1: {path}: Field required" in str(caught.value)


def test_a_production_target_without_an_id_is_refused():
    body = without(without(PROJECT_BODY, "targets.production.id"), "targets.production.uid")
    with pytest.raises(Unintelligible, match=r"targets\.production\.id"):
        understand(ProjectAnswer, body, what="project")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", ""),
        ("id", 7),
        ("accountId", None),
        ("targets", None),
        ("targets", []),
        ("targets.production", "dpl_1"),
        ("targets.production.id", ""),
        ("targets.production.id", None),
        ("targets.production.createdAt", "1795288759983"),
        ("targets.production.createdAt", 1795288759983.5),
        ("targets.production.createdAt", True),
        ("targets.production.createdAt", None),
        ("targets.production.createdAt", -1),
        ("targets.production.createdAt", MILLISECONDS_MAX + 1),
        ("targets.production.readyState", "SLEEPING"),
        ("targets.production.readySubstate", "HALF"),
        ("targets.production.aliasAssigned", "yes"),
        ("lastAliasRequest.jobStatus", None),
        ("lastAliasRequest.type", 7),
        ("lastAliasRequest.toDeploymentId", ""),
        ("lastAliasRequest.requestedAt", 1795292459000.0),
        ("lastAliasRequest.requestedAt", "2026-11-21T20:20:59.000Z"),
        ("lastAliasRequest", "none"),
        ("autoAssignCustomDomains", "false"),
        ("autoAssignCustomDomains", 0),
        ("rollingRelease", True),
    ],
)
def test_a_field_of_the_wrong_kind_is_named_and_its_value_is_not_shown(path, value):
    with pytest.raises(Unintelligible) as caught:
        understand(ProjectAnswer, with_field(PROJECT_BODY, path, value), what="project")
    assert path in str(caught.value)
    if isinstance(value, str) and value:
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("targets.production", None),
        ("targets", {}),
        ("targets.production.readySubstate", None),
        ("targets.production.aliasAssigned", None),
        ("targets.production.meta", None),
        ("lastAliasRequest", None),
        ("lastAliasRequest.fromDeploymentId", None),
        ("autoAssignCustomDomains", None),
        ("aFieldThatCameYesterday", {"a": 1}),
    ],
)
def test_what_may_be_absent_may_be_absent(path, value):
    understand(ProjectAnswer, with_field(PROJECT_BODY, path, value), what="project")


@pytest.mark.parametrize("answer", [None, [], "text", 5, True])
def test_an_answer_that_is_no_object_is_refused(answer):
    with pytest.raises(Unintelligible):
        understand(ProjectAnswer, answer, what="project")


def test_many_troubles_are_told_briefly():
    with pytest.raises(Unintelligible, match="and 9 more"):
        understand(DeploymentPage, {"deployments": [{}, {}, {"id": 1}]}, what="list")


@pytest.mark.parametrize("alias", ["www.example.com", {"alias": "www.example.com", "deploymentId": "dpl_1"}])
def test_both_row_shapes_of_an_alias_job_are_understood(alias):
    page = understand(AliasPage, {"aliases": [{"alias": alias, "id": "als_1", "status": "failed"}]}, what="aliases")
    assert [row.name for row in page.aliases] == ["www.example.com"]


@pytest.mark.parametrize("alias", [None, "", {}, {"alias": None}, 5])
def test_an_alias_without_a_name_is_refused(alias):
    with pytest.raises(Unintelligible):
        understand(AliasPage, {"aliases": [{"alias": alias, "status": "failed"}]}, what="aliases")


@pytest.mark.parametrize("answer", [{}, {"rollingRelease": {}}, {"rollingRelease": {"state": "PAUSED"}}])
def test_a_rolling_release_in_an_unknown_state_is_refused(answer):
    with pytest.raises(Unintelligible):
        understand(RollingReleaseAnswer, answer, what="release")


@pytest.mark.parametrize("next_", ["1795288759983", 1.5, -1, True])
def test_a_cursor_that_is_no_time_is_refused(next_):
    with pytest.raises(Unintelligible):
        understand(DeploymentPage, {"deployments": [a_row()], "pagination": {"next": next_}}, what="list")


@given(st.integers(min_value=0, max_value=MILLISECONDS_MAX))
def test_milliseconds_survive_the_way_there_and_back(value):
    assert to_milliseconds(read_milliseconds(value)) == value


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))
def test_iso_times_survive_the_way_there_and_back(moment):
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert read_iso(to_iso(moment)) == whole


def test_times_of_other_zones_become_utc():
    moment = datetime(2026, 11, 21, 21, 0, tzinfo=timezone(timedelta(hours=1)))
    assert to_iso(moment) == "2026-11-21T20:00:00.000Z"
    assert read_iso("2026-11-21T21:00:00+01:00").isoformat() == "2026-11-21T20:00:00+00:00"


@pytest.mark.parametrize("text", ["2026-11-21", "2026-11-21T20:00:00", "soon", "", None, 1795288759983])
def test_a_time_without_an_offset_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        read_iso(text)
