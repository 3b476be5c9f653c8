"""Minutes and milliseconds are cut on the clock in UTC."""

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from daemon.sources.observability.minutes import MINUTE, ceil_minute, floor_minute
from daemon.vercel.wire import floor_millisecond

MOMENTS = st.datetimes(
    min_value=datetime(2000, 1, 1),
    max_value=datetime(2100, 1, 1),
    timezones=st.just(timezone(timedelta(hours=5, minutes=45))),
)


@given(MOMENTS)
def test_minutes_are_cut_on_the_clock_in_utc(moment):
    assert floor_minute(moment) <= moment <= ceil_minute(moment)
    assert ceil_minute(moment) - floor_minute(moment) in (timedelta(0), MINUTE)
    assert floor_minute(moment).timestamp() % 60 == 0


@given(MOMENTS)
def test_what_vercels_times_cannot_carry_is_cut_off(moment):
    floor = floor_millisecond(moment)
    assert timedelta(0) <= moment - floor < timedelta(milliseconds=1)
    assert floor.microsecond % 1000 == 0
    assert floor.utcoffset() == timedelta(0)
