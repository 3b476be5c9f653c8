"""The filter language of the newer observability routes, by what it accepts, finds and refuses."""

import pytest

from daemon.emulator.errors import ApiError
from daemon.emulator.kql import FieldKind, parse_kql

FIELDS = {
    "environment": FieldKind.TEXT,
    "route": FieldKind.TEXT,
    "message": FieldKind.TEXT,
    "httpStatus": FieldKind.NUMBER,
    "truncated": FieldKind.TRUTH,
}
RECORD = {"environment": "production", "route": "/api/[id]", "message": "Error: boom (x)", "httpStatus": 503}
HELD = [
    "environment:production",
    'environment:"production"',
    "environment = production",
    "environment != preview",
    "environment:(preview OR production)",
    "environment:(preview production)",
    "httpStatus:503",
    "httpStatus:(500 OR 503)",
    "httpStatus >= 500 AND httpStatus < 600",
    "httpStatus>=503",
    "httpStatus > 502",
    "httpStatus <= 503",
    "NOT httpStatus:500",
    "not httpStatus:500 and environment:production",
    '(environment:"production") AND (NOT route:"/x") AND (httpStatus >= 500)',
    "environment:production httpStatus:503",
    "route:*",
    "route:/api/*",
    "message:*boom*",
    'route:"/api/[id]"',
    r"message:Error\:*",
    "boom",
    '"error: BOOM"',
    "boom AND environment:production",
    "httpStatus:500 OR httpStatus:503 AND environment:production",
    "truncated:false",
]
MISSED = [
    "environment:preview",
    'environment:"prod*"',
    "environment != production",
    "environment:(preview OR staging)",
    "httpStatus < 500",
    "NOT environment:production",
    "environment:preview AND httpStatus:503 OR httpStatus:500",
    "missing",
    "truncated:true",
    "route != /api/*",
    "NOT route:*",
]
REFUSED = [
    "nobody:x",
    "httpStatus:many",
    "environment:",
    "environment:(production",
    "environment:production)",
    "environment:production AND",
    "OR environment:production",
    "()",
    ": x",
    "environment:AND",
    '"open',
    "(" * 60 + "environment:x" + ")" * 60,
]


@pytest.mark.parametrize("text", HELD)
def test_a_filter_that_holds(text: str) -> None:
    assert parse_kql(text, FIELDS, searched="message")(RECORD)


@pytest.mark.parametrize("text", MISSED)
def test_a_filter_that_does_not_hold(text: str) -> None:
    assert not parse_kql(text, FIELDS, searched="message")(RECORD)


@pytest.mark.parametrize("text", REFUSED)
def test_text_that_is_no_filter_is_refused_with_an_issue(text: str) -> None:
    with pytest.raises(ApiError) as refusal:
        parse_kql(text, FIELDS, searched="message")
    assert refusal.value.status == 400
    assert refusal.value.extra["issues"][0]["path"] == "filter"


def test_bare_words_are_refused_where_nothing_is_searched() -> None:
    with pytest.raises(ApiError, match="no condition"):
        parse_kql("boom", FIELDS)


def test_a_number_that_is_missing_is_never_equal_or_above() -> None:
    assert not parse_kql("httpStatus >= 0", FIELDS)({})
    assert not parse_kql("httpStatus:*", FIELDS)({})
