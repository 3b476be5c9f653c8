"""What looking at the same minutes again tells: the lag of ingestion, and whether open minutes grow."""

from datetime import UTC, datetime, timedelta

import pytest

from daemon.sources.observability.looks import Look, Looks

T = datetime(2026, 11, 21, 20, 10, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
SETTLED = timedelta(seconds=60)


def watch(looks: Looks, *, lag: float, every: float, until: float, per_minute: int = 600, begin: float = 5.0) -> None:
    """Look from time to time at counts that are visible *lag* seconds after they happened."""
    at = begin
    while at <= until:
        totals = {}
        for minute in range(int(until // 60) + 1):
            seconds = min(60.0, max(0.0, at - lag - 60 * minute))
            if int(per_minute * seconds / 60):
                totals[T + minute * MINUTE] = int(per_minute * seconds / 60)
        looks.add(Look(T + at * SECOND, 1, totals))
        at += every


@pytest.mark.parametrize("every", [5, 10, 60])
@pytest.mark.parametrize("lag", [3, 30, 75, 150])
def test_the_lag_is_measured_from_closed_and_from_fine_looks(lag, every):
    looks = Looks(settled_after=SETTLED)
    watch(looks, lag=lag, every=every, until=900)
    assert looks.lag is not None
    assert abs(looks.lag.total_seconds() - lag) <= 6
    assert abs(looks.lag_max.total_seconds() - lag) <= 6


def test_before_the_first_measurement_the_assumed_lag_holds():
    looks = Looks(settled_after=SETTLED)
    assert (looks.lag, looks.lag_max) == (None, SETTLED)
    watch(looks, lag=30, every=10, until=50)
    assert (looks.lag, looks.lag_max) == (None, SETTLED)


def test_stragglers_are_no_part_of_the_lag():
    looks = Looks(settled_after=SETTLED)
    watch(looks, lag=30, every=10, until=190)
    assert looks.lag is not None
    looks.add(Look(T + 200 * SECOND, 1, {T: 606, T + MINUTE: 606}))
    looks.add(Look(T + 210 * SECOND, 1, {T: 606, T + MINUTE: 606}))
    assert abs(looks.lag.total_seconds() - 30) < 1


def test_a_gap_between_looks_is_not_taken_for_lag():
    looks = Looks(settled_after=SETTLED)
    looks.add(Look(T + 5 * SECOND, 1, {}))
    looks.add(Look(T + 600 * SECOND, 1, {T: 600}))
    looks.add(Look(T + 610 * SECOND, 1, {T: 600}))
    assert looks.lag is None


def test_too_few_requests_tell_nothing():
    looks = Looks(settled_after=SETTLED)
    watch(looks, lag=30, every=10, until=600, per_minute=19)
    assert looks.lag is None


def test_a_measurement_does_not_last_for_ever():
    looks = Looks(settled_after=SETTLED)
    watch(looks, lag=200, every=10, until=600)
    assert looks.lag_max > timedelta(seconds=190)
    looks.add(Look(T + timedelta(hours=1), 1, {}))
    assert (looks.lag, looks.lag_max) == (None, SETTLED)


def test_a_minute_that_still_grows_is_not_measured():
    looks = Looks(settled_after=SETTLED)
    for seconds, count in ((5, 0), (65, 20), (125, 500), (185, 600)):
        looks.add(Look(T + seconds * SECOND, 1, {T: count}))
    assert looks.lag is None
    looks.add(Look(T + 245 * SECOND, 1, {T: 600}))
    assert looks.lag == 75 * SECOND


def test_looks_at_other_projects_are_not_compared():
    looks = Looks(settled_after=SETTLED)
    looks.add(Look(T + 40 * SECOND, 1, {T: 100}))
    looks.add(Look(T + 70 * SECOND, 2, {T: 600}))
    looks.add(Look(T + 130 * SECOND, 2, {T: 600}))
    assert looks.lag is None
    assert not looks.grows


@pytest.mark.parametrize(("lag", "grows"), [(0, True), (30, True), (44, True), (60, False), (90, False)])
def test_growth_is_what_is_seen_inside_of_an_open_minute(lag, grows):
    looks = Looks(settled_after=timedelta(seconds=100))
    watch(looks, lag=lag, every=10, until=400)
    assert looks.grows is grows
    assert looks.may_grow(T + 400 * SECOND) is grows


def test_growth_is_known_before_the_minute_is_over():
    looks = Looks(settled_after=SETTLED)
    looks.add(Look(T + 20 * SECOND, 1, {T: 10}))
    assert not looks.grows
    looks.add(Look(T + 30 * SECOND, 1, {T: 11}))
    assert looks.grows


def test_that_open_minutes_are_absent_takes_three_minutes_to_believe_and_an_hour_to_doubt():
    looks = Looks(settled_after=SETTLED)
    watch(looks, lag=90, every=10, until=235)
    assert looks.may_grow(T + 235 * SECOND)
    looks.add(Look(T + 240 * SECOND, 1, {T + n * MINUTE: 600 for n in range(3)}))
    assert not looks.may_grow(T + 240 * SECOND)
    assert not looks.may_grow(T + timedelta(minutes=63, seconds=59))
    assert looks.may_grow(T + timedelta(minutes=64))


@pytest.mark.parametrize(("age", "is_absent"), [(44, False), (45, True)])
def test_an_open_minute_without_counts_is_absent_only_towards_its_end(age, is_absent):
    looks = Looks(settled_after=SETTLED)
    for minute in range(3):
        looks.add(Look(T + (60 * minute + age) * SECOND, 1, {T + n * MINUTE: 600 for n in range(minute)}))
    looks.add(Look(T + 240 * SECOND, 1, {T + n * MINUTE: 600 for n in range(3)}))
    assert looks.may_grow(T + 240 * SECOND) is not is_absent


def test_open_minutes_may_vanish_after_they_grew():
    looks = Looks(settled_after=SETTLED)
    watch(looks, lag=20, every=10, until=300)
    assert looks.grows
    for minute in range(6, 12):
        looks.add(Look(T + (60 * minute + 50) * SECOND, 1, {T + (minute - 2) * MINUTE: 600}))
        looks.add(Look(T + (60 * minute + 55) * SECOND, 1, {T + (minute - 2) * MINUTE: 600}))
    assert not looks.grows
