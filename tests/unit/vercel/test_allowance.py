"""Headers that nobody promises: understood where they make sense, and of no effect where they do not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.vercel.allowance import Allowance, read_allowance, read_date

DATE = "Sat, 21 Nov 2026 20:21:00 GMT"
SECOND = 1795292460
HEADERS = {
    "date": DATE,
    "x-ratelimit-limit": "500",
    "x-ratelimit-remaining": "7",
    "x-ratelimit-reset": str(SECOND + 30),
}


def test_what_is_left_is_told_with_the_seconds_until_its_renewal() -> None:
    assert read_allowance(HEADERS) == Allowance(remaining=7, resets_in_seconds=30, limit=500)


def test_the_limit_need_not_be_told() -> None:
    headers = {name: value for name, value in HEADERS.items() if name != "x-ratelimit-limit"}
    assert read_allowance(headers) == Allowance(7, 30, None)


@pytest.mark.parametrize("missing", ["date", "x-ratelimit-remaining", "x-ratelimit-reset"])
def test_headers_that_are_not_all_there_say_nothing(missing: str) -> None:
    assert read_allowance({name: value for name, value in HEADERS.items() if name != missing}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-ratelimit-remaining", "-1"),
        ("x-ratelimit-remaining", "many"),
        ("x-ratelimit-remaining", "1.5"),
        ("x-ratelimit-remaining", ""),
        ("x-ratelimit-remaining", "7, 8"),
        ("x-ratelimit-remaining", "\u0667"),
        ("x-ratelimit-remaining", "9" * 4301),
        ("x-ratelimit-reset", str(SECOND)),
        ("x-ratelimit-reset", str(SECOND - 1)),
        ("x-ratelimit-reset", str(SECOND + 3601)),
        ("x-ratelimit-reset", str(SECOND * 1000)),
        ("x-ratelimit-reset", "30"),
        ("x-ratelimit-reset", "soon"),
        ("date", "yesterday"),
    ],
)
def test_headers_without_sense_say_nothing(name: str, value: str) -> None:
    assert read_allowance(HEADERS | {name: value}) is None


@pytest.mark.parametrize("seconds", [1, 3600])
def test_a_renewal_within_an_hour_makes_sense(seconds: int) -> None:
    found = read_allowance(HEADERS | {"x-ratelimit-reset": str(SECOND + seconds)})
    assert found is not None
    assert found.resets_in_seconds == seconds


def test_a_date_without_a_zone_is_in_utc() -> None:
    assert read_date("Sat, 21 Nov 2026 20:21:00") == read_date(DATE)
    assert read_date(None) is None


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from([*HEADERS]), st.text(max_size=40)))
def test_no_header_is_an_error(headers: dict[str, str]) -> None:
    found = read_allowance(HEADERS | headers)
    assert found is None or found.remaining >= 0
