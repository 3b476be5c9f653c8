"""What each HTTP answer means."""

from datetime import UTC, datetime

import pytest

from daemon.ports.errors import OutcomeUnknown, RateLimited, Refused, Unavailable, Unintelligible
from daemon.vercel.answers import (
    REASON_CHARACTERS_MAX,
    RETRY_AFTER_SECONDS_MAX,
    Answer,
    judge_read,
    judge_write,
    parse_retry_after,
    read_reason,
)

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
JSON = "application/json; charset=utf-8"
ERROR = b'{"error":{"code":"conflict","message":"A rollback is already in progress"}}'


def read(answer: Answer) -> object:
    return judge_read(answer, what="project prj_1", now=NOW)


def write(answer: Answer) -> int:
    return judge_write(answer, what="rollback of prj_1 to dpl_9", now=NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_a_read_answered_with_json_gives_its_value(status):
    assert read(Answer(status, JSON, body=b'{"id": [1, null]}')) == {"id": [1, None]}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (300, Unintelligible),
        (301, Unintelligible),
        (304, Unintelligible),
        (308, Unintelligible),
        (400, Refused),
        (401, Refused),
        (402, Refused),
        (403, Refused),
        (404, Refused),
        (408, Unavailable),
        (409, Refused),
        (410, Refused),
        (413, Refused),
        (422, Refused),
        (429, RateLimited),
        (499, Refused),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
        (599, Unavailable),
    ],
)
def test_every_other_status_of_a_read_is_one_error_of_the_tree(status, kind):
    with pytest.raises(kind) as caught:
        read(Answer(status, JSON, body=ERROR))
    assert type(caught.value) is kind
    assert f"project prj_1: answered {status}: A rollback is already in progress" in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, "text/html", body=b"<html>Sign in</html>"),
        Answer(200, None, body=b"{}"),
        Answer(204, None),
        Answer(200, JSON, body=b""),
        Answer(200, JSON, body=b"{"),
        Answer(200, JSON, body=b"<html>"),
        Answer(200, JSON, body=b'{"requests": NaN}'),
        Answer(200, JSON, body=b"[Infinity]"),
        Answer(200, JSON, body=b"\xff"),
        Answer(200, JSON, body=b"[" * 100_000),
        Answer(200, JSON, body=b"{}", is_overlong=True),
    ],
)
def test_a_read_that_is_not_whole_plain_json_is_unintelligible(answer):
    with pytest.raises(Unintelligible):
        read(answer)


def test_a_body_that_breaks_off_is_no_answer():
    with pytest.raises(Unavailable):
        read(Answer(200, JSON, body=b'{"a": 1}', is_cut=True))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_write_gives_its_status_whatever_its_body(status):
    assert write(Answer(status, "text/html", body=b"<html>", is_cut=True)) == status


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, OutcomeUnknown),
        (303, OutcomeUnknown),
        (307, OutcomeUnknown),
        (400, Refused),
        (401, Refused),
        (402, Refused),
        (403, Refused),
        (404, Refused),
        (408, OutcomeUnknown),
        (409, Refused),
        (410, Refused),
        (422, Refused),
        (429, RateLimited),
        (499, Refused),
        (500, OutcomeUnknown),
        (502, OutcomeUnknown),
        (503, OutcomeUnknown),
        (504, OutcomeUnknown),
        (599, OutcomeUnknown),
    ],
)
def test_every_other_status_of_a_write_is_one_error_of_the_tree(status, kind):
    with pytest.raises(kind) as caught:
        write(Answer(status, JSON, body=ERROR, retry_after="7"))
    assert type(caught.value) is kind
    assert f"rollback of prj_1 to dpl_9: answered {status}" in str(caught.value)


def test_a_refusal_carries_status_and_the_servers_own_word():
    with pytest.raises(Refused) as caught:
        write(Answer(409, JSON, body=ERROR))
    assert (caught.value.status, caught.value.code) == (409, "conflict")


@pytest.mark.parametrize("judge", [read, write])
@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), (None, None), ("soon", None)])
def test_rate_limited_says_how_long_to_wait_if_the_server_did(judge, header, seconds):
    with pytest.raises(RateLimited) as caught:
        judge(Answer(429, JSON, header, ERROR))
    assert caught.value.retry_after_seconds == seconds


def test_an_overloaded_server_that_names_a_wait_is_a_rate_limit_for_reads():
    with pytest.raises(RateLimited) as caught:
        read(Answer(503, JSON, "3"))
    assert caught.value.retry_after_seconds == 3


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("3600", 3600.0),
        ("3601", RETRY_AFTER_SECONDS_MAX),
        ("9" * 400, RETRY_AFTER_SECONDS_MAX),
        ("Sat, 21 Nov 2026 20:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 20:01:30 -0000", 90.0),
        ("Sat, 21 Nov 2026 19:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2036 19:00:00 GMT", RETRY_AFTER_SECONDS_MAX),
        ("", None),
        (None, None),
        ("-5", None),
        ("1.5", None),
        ("nan", None),
        ("1e3", None),
        ("²", None),
        ("Sat, 99 Nov 2026 20:01:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_bounds(value, seconds):
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (ERROR, ("conflict", "A rollback is already in progress")),
        (b'{"err":{"code":"x","message":"y"}}', ("x", "y")),
        (b'{"code":"x","message":"y"}', ("x", "y")),
        (b'{"error":"text"}', ("", "")),
        (b'{"error":{"code":5,"message":["a"]}}', ("", "")),
        (b"[]", ("", "")),
        (b"<html>", ("", "")),
        (b"", ("", "")),
        (b'{"error":{"code":"a\\nb","message":"x\\u001b[31m"}}', ("a b", "x [31m")),
    ],
)
def test_the_reason_is_read_from_every_shape_of_the_error_envelope(body, reason):
    assert read_reason(body) == reason


def test_a_long_reason_is_cut():
    _, message = read_reason(b'{"error":{"message":"' + b"x" * 5000 + b'"}}')
    assert len(message) == REASON_CHARACTERS_MAX
