"""Moments keep their order and their microseconds as text; a naive datetime is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.dialects import sqlite

from daemon.stores.schema import UtcTimestamp

_DIALECT = sqlite.dialect()


def _text(value: datetime) -> str:
    text = UtcTimestamp().process_bind_param(value, _DIALECT)
    assert text is not None
    return text


def test_the_text_is_iso_8601_in_utc_with_microseconds() -> None:
    assert _text(datetime.fromisoformat("2026-03-01T13:00:00+01:00")) == "2026-03-01T12:00:00.000000+00:00"


def test_the_order_of_texts_is_the_order_of_time() -> None:
    start = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    steps = [timedelta(), timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=40), timedelta(days=365_000)]
    texts = [_text(start + step) for step in steps]
    assert texts == sorted(texts)
    assert {len(text) for text in texts} == {32}


@pytest.mark.parametrize("value", [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)])
def test_a_moment_comes_back_as_it_was(value: datetime) -> None:
    assert UtcTimestamp().process_result_value(_text(value), _DIALECT) == value


def test_nothing_stays_nothing() -> None:
    assert UtcTimestamp().process_bind_param(None, _DIALECT) is None
    assert UtcTimestamp().process_result_value(None, _DIALECT) is None


def test_a_naive_datetime_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        _text(datetime(2026, 1, 1))
