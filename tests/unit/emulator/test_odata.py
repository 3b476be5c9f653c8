"""The filter language of observability queries."""

import pytest

from daemon.emulator.errors import ApiError
from daemon.emulator.odata import parse_filter

ROW = {"http_status": "503", "environment": "production", "route": "/it's/[id]", "error_code": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("environment eq 'production'", True),
        ("environment ne 'production'", False),
        ("http_status ge 500", True),
        ("http_status gt 503", False),
        ("http_status lt 503.5 and http_status le 503", True),
        ("http_status eq '503'", True),
        ("http_status eq 503", True),
        ("error_code lt 5", False),
        ("route eq '/it''s/[id]'", True),
        ("not environment eq 'preview'", True),
        ("not (environment eq 'production' and http_status ge 500)", False),
        ("http_status eq 200 or http_status eq 503 and environment eq 'preview'", False),
        ("(http_status eq 200 or http_status eq 503) and environment eq 'production'", True),
        ("contains(route, '[id]') and startswith(route,'/it') and not endswith(route, 'x')", True),
        ("  environment   eq 'production'  ", True),
        ("http_status in ('500','503')", True),
        ("http_status in ('500', '504')", False),
        ("http_status in (500, 503.0)", True),
        ("environment in ('production') and not http_status in (500)", True),
    ],
)
def test_a_filter_means_what_odata_says(text: str, expected: bool) -> None:
    assert parse_filter(text, frozenset(ROW))(ROW) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "environment",
        "environment eq",
        "environment is 'x'",
        "colour eq 'x'",
        "environment eq 'open",
        "environment eq production",
        "(environment eq 'x'",
        "environment eq 'x')",
        "environment eq 'x' http_status eq 1",
        "contains(route 'x')",
        "contains(route, 5)",
        "and",
        "environment eq 'x' and",
        "environment = 'x'",
        "environment in 'x'",
        "environment in ()",
        "environment in ('x',)",
        "environment in ('x'",
        "environment in (production)",
        "(" * 60 + "http_status eq 1" + ")" * 60,
        "not " * 1000 + "http_status eq 1",
    ],
    ids=lambda text: text[:30],
)
def test_text_that_is_no_filter_is_a_bad_request(text: str) -> None:
    with pytest.raises(ApiError) as refusal:
        parse_filter(text, frozenset(ROW))
    assert refusal.value.status == 400
