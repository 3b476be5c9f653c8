"""Webhooks as facts: strict about what they are about, blind to the rest, and tolerant where nothing is documented."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.ports.errors import Unintelligible
from daemon.vercel.webhooks import (
    EVENTS_WANTED,
    AlertTriggered,
    Promoted,
    ReleaseChange,
    ReleaseChanged,
    RollbackRequested,
    Succeeded,
    Told,
    Webhook,
    parse_webhook,
)
from tests.unit.vercel.shapes import with_field, without

AT_MS, AT = 1_795_291_200_000, datetime(2026, 11, 21, 20, tzinfo=UTC)
DEPLOYMENT = {
    "team": {"id": "team_1"},
    "user": {"id": "usr_1"},
    "deployment": {"id": "dpl_new", "meta": {}, "url": "web-abc-acme.vercel.app", "name": "web"},
    "links": {"deployment": "https://vercel.com/acme/web/new", "project": "https://vercel.com/acme/web"},
    "target": "production",
    "project": {"id": "prj_1"},
    "plan": "pro",
    "regions": ["iad1"],
}
ROLLBACK = {
    "team": None,
    "user": {"id": "usr_1"},
    "project": {"id": "prj_1"},
    "fromDeploymentId": "dpl_new",
    "toDeploymentId": "dpl_old",
}
RELEASE = {
    "projectId": "prj_1",
    "projectName": "web",
    "rollingRelease": {
        "state": "ACTIVE",
        "activeStageIndex": 0,
        "default": {"baseDeploymentId": "dpl_old", "targetDeploymentId": "dpl_new", "targetPercentage": 10},
    },
}


def a_body(type_: str, payload: object, **changes: object) -> bytes:
    return json.dumps(
        {"type": type_, "id": "evt_1", "createdAt": AT_MS, "region": None, "payload": payload} | changes
    ).encode()


def told(type_: str, payload: object) -> Told | None:
    return parse_webhook(a_body(type_, payload)).told


def test_a_webhook_says_what_and_when_under_an_id_of_its_own() -> None:
    found = parse_webhook(a_body("deployment.promoted", DEPLOYMENT))
    assert found == Webhook("evt_1", "deployment.promoted", AT, Promoted("prj_1", "dpl_new", AT))


def test_a_rollback_says_whence_whither_and_by_whom() -> None:
    assert told("deployment.rollback", ROLLBACK) == RollbackRequested("prj_1", "dpl_new", "dpl_old", "usr_1", AT)


@pytest.mark.parametrize("missing", ["fromDeploymentId", "user", "team", "user.id"])
def test_a_rollback_need_not_say_whence_nor_by_whom(missing: str) -> None:
    found = told("deployment.rollback", without(ROLLBACK, missing))
    assert isinstance(found, RollbackRequested)
    assert found.to_deployment == "dpl_old"
    assert (found.from_deployment is None) is (missing == "fromDeploymentId")
    assert (found.user is None) is missing.startswith("user")


def test_a_production_build_that_succeeded_is_told() -> None:
    assert told("deployment.succeeded", DEPLOYMENT) == Succeeded("prj_1", "dpl_new", AT)


@pytest.mark.parametrize(
    ("type_", "target", "is_told"),
    [
        ("deployment.succeeded", None, False),
        ("deployment.succeeded", "staging", False),
        ("deployment.promoted", None, True),
        ("deployment.promoted", "staging", False),
    ],
)
def test_other_environments_are_none_of_our_business(type_: str, target: str | None, is_told: bool) -> None:
    assert (told(type_, DEPLOYMENT | {"target": target}) is not None) is is_told


@pytest.mark.parametrize("change", ReleaseChange)
def test_a_rolling_release_is_told_stage_by_stage(change: ReleaseChange) -> None:
    found = told(f"project.rolling-release.{change}", RELEASE)
    assert found == ReleaseChanged("prj_1", change, "dpl_old", "dpl_new", AT)


@pytest.mark.parametrize("payload", [{"projectId": "prj_1"}, {"project": {"id": "prj_1"}, "rollingRelease": None}])
def test_of_a_rolling_release_only_the_project_must_be_told(payload: object) -> None:
    found = told("project.rolling-release.aborted", payload)
    assert found == ReleaseChanged("prj_1", ReleaseChange.ABORTED, None, None, AT)


@pytest.mark.parametrize(
    ("payload", "project"),
    [
        ({"projectId": "prj_1", "group": {"id": "g1"}}, "prj_1"),
        ({"project": {"id": "prj_1"}}, "prj_1"),
        ({"group": {"projectId": "prj_1"}}, "prj_1"),
        ({}, None),
        (None, None),
        ({"projectId": 5}, None),
        ([], None),
    ],
)
def test_an_alert_is_told_whatever_its_payload_is(payload: object, project: str | None) -> None:
    assert told("alerts.triggered", payload) == AlertTriggered(project, AT)


@pytest.mark.parametrize("type_", ["deployment.created", "deployment.ready", "test-webhook", "of.tomorrow"])
@pytest.mark.parametrize("payload", [DEPLOYMENT, None, "anything"])
def test_other_events_tell_nothing_and_their_payload_is_not_looked_at(type_: str, payload: object) -> None:
    assert told(type_, payload) is None


def test_what_to_subscribe_to_is_what_is_understood() -> None:
    assert EVENTS_WANTED == (
        "alerts.triggered",
        "deployment.promoted",
        "deployment.rollback",
        "deployment.succeeded",
        "project.rolling-release.aborted",
        "project.rolling-release.approved",
        "project.rolling-release.completed",
        "project.rolling-release.started",
    )


# What is no webhook


@pytest.mark.parametrize(
    ("type_", "payload", "field"),
    [
        ("deployment.promoted", DEPLOYMENT, "project.id"),
        ("deployment.promoted", DEPLOYMENT, "deployment.id"),
        ("deployment.succeeded", DEPLOYMENT, "project"),
        ("deployment.succeeded", DEPLOYMENT, "deployment"),
        ("deployment.rollback", ROLLBACK, "project.id"),
        ("deployment.rollback", ROLLBACK, "toDeploymentId"),
        ("project.rolling-release.started", RELEASE, "projectId"),
    ],
)
@pytest.mark.parametrize("value", ["absent", None, 5, "", ["x"], {"id": {}}, "x" * 513])
def test_what_an_event_is_about_must_be_there(
    type_: str, payload: dict[str, object], field: str, value: object
) -> None:
    broken = without(payload, field) if value == "absent" else with_field(payload, field, value)
    with pytest.raises(Unintelligible, match="webhook"):
        told(type_, broken)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": None},
        {"type": ""},
        {"type": "x" * 201},
        {"type": 5},
        {"id": None},
        {"id": ""},
        {"id": 7},
        {"id": "x" * 201},
        {"createdAt": None},
        {"createdAt": "2026-11-21T20:00:00Z"},
        {"createdAt": -1},
        {"createdAt": 1.5},
        {"createdAt": True},
        {"createdAt": 10**18},
    ],
)
@pytest.mark.parametrize("type_", ["deployment.promoted", "of.tomorrow"])
def test_an_envelope_of_another_form_is_no_webhook(type_: str, changes: dict[str, object]) -> None:
    with pytest.raises(Unintelligible):
        parse_webhook(a_body(type_, DEPLOYMENT, **changes))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"deployment.promoted"',
        b'{"type":"deployment.promoted"',
        b"\xff\xfe",
        b"<html>",
        b"[" * 5000,
        b'{"type":"deployment.promoted","id":"e","createdAt":NaN}',
    ],
)
def test_torn_or_other_text_is_no_webhook(body: bytes) -> None:
    with pytest.raises(Unintelligible):
        parse_webhook(body)


def test_what_is_wrong_is_named_and_never_shown() -> None:
    with pytest.raises(Unintelligible) as caught:
        told("deployment.rollback", ROLLBACK | {"toDeploymentId": ["s3cret"]})
    assert "toDeploymentId" in str(caught.value)
    assert "s3cret" not in str(caught.value)


_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just({"id": "prj_1"})


@given(st.sampled_from(EVENTS_WANTED), st.dictionaries(st.sampled_from([*DEPLOYMENT, *ROLLBACK, *RELEASE]), _VALUES))
def test_no_payload_is_a_surprise(type_: str, payload: dict[str, object]) -> None:
    try:
        found = told(type_, payload)
    except Unintelligible:
        return
    assert found is None or found.at == AT
