"""The positive test of recovery: minimum traffic, two buckets that agree, and each outcome at its boundary."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from daemon.core.binomial import lower_limit, upper_limit
from daemon.core.recovery import Recovery, RecoveryWatch, count_recovery
from tests.builders import GOOD, MINUTE, START, a_sample


def a_watch(limit: float = 0.02, suspect_upper_limit: float = 0.4) -> RecoveryWatch:
    return RecoveryWatch(since=START, limit=limit, suspect_upper_limit=suspect_upper_limit)


def counted(watch: RecoveryWatch, minutes: Sequence[tuple[int, int]]) -> tuple[RecoveryWatch, list[Recovery | None]]:
    """Return the watch and the judgements after minutes of (requests, errors) from the switch on."""
    judgements = []
    for number, (requests, errors) in enumerate(minutes):
        sample = a_sample(GOOD, start=START + number * MINUTE, requests=requests, errors=errors)
        watch, judgement = count_recovery(watch, sample)
        judgements.append(judgement)
    return watch, judgements


@pytest.mark.parametrize(("limit", "requests"), [(0.02, 150), (0.05, 60), (0.01, 300), (0.9, 4), (0.07, 43)])
def test_fewer_requests_than_three_over_the_limit_prove_nothing(limit: float, requests: int) -> None:
    assert a_watch(limit).requests_min == requests


def test_recovered_needs_the_minimum_and_two_buckets_that_say_so() -> None:
    _, judgements = counted(a_watch(), [(149, 0), (1, 0), (1, 0)])
    assert judgements == [None, None, Recovery.RECOVERED]
    _, judgements = counted(a_watch(), [(150, 0), (1, 0)])
    assert judgements == [None, Recovery.RECOVERED]


def test_buckets_that_disagree_begin_anew() -> None:
    # Spotless so far, then one bad minute that leaves it open, then spotless again.
    watch, judgements = counted(a_watch(), [(150, 0), (150, 9), (3_000, 0), (150, 0)])
    assert judgements == [None, None, None, Recovery.RECOVERED]
    assert (watch.requests, watch.errors) == (3_450, 9)


@pytest.mark.parametrize("errors", range(10))
def test_recovered_exactly_while_the_upper_limit_lies_at_or_below_the_limit(errors: int) -> None:
    _, judgements = counted(a_watch(), [(400, errors), (1, 0)])
    assert (judgements[-1] is Recovery.RECOVERED) is (upper_limit(errors, 401) <= 0.02)


@pytest.mark.parametrize("errors", range(8, 25))
def test_not_recovered_exactly_when_the_lower_limit_lies_above_the_limit(errors: int) -> None:
    _, judgements = counted(a_watch(), [(400, errors), (1, 0)])
    assert (judgements[-1] is Recovery.NOT_RECOVERED) is (lower_limit(errors, 401) > 0.02)


@pytest.mark.parametrize("errors", range(150, 200, 5))
def test_worse_exactly_when_the_lower_limit_lies_above_the_suspects_upper_one(errors: int) -> None:
    _, judgements = counted(a_watch(), [(400, errors), (1, 1)])
    is_worse = lower_limit(errors + 1, 401) > 0.4
    assert judgements[-1] is (Recovery.WORSE if is_worse else Recovery.NOT_RECOVERED)


def test_what_lies_between_stays_open() -> None:
    _, judgements = counted(a_watch(), [(400, 8)] * 8)
    assert judgements == [None] * 8


def test_a_bucket_closes_at_fifty_requests_or_after_a_minute() -> None:
    second = timedelta(seconds=10)
    watch = a_watch()
    for number, requests in enumerate([49, 1]):
        start = START + number * second
        watch, _ = count_recovery(watch, a_sample(GOOD, start=start, end=start + second, requests=requests))
        assert watch.requests == (0, 50)[number]
    for number in range(2, 8):
        assert watch.requests == 50
        start = START + number * second
        watch, _ = count_recovery(watch, a_sample(GOOD, start=start, end=start + second, requests=1))
    assert watch.requests == 56


def test_a_bucket_opens_at_the_first_request() -> None:
    watch, judgements = counted(a_watch(), [(0, 0)] * 5)
    assert judgements == [None] * 5
    assert watch.open_since is None
    half = timedelta(seconds=30)
    start = START + 5 * MINUTE
    watch, _ = count_recovery(watch, a_sample(GOOD, start=start, end=start + half, requests=1))
    assert (watch.open_since, watch.open_requests, watch.requests) == (start, 1, 0)


@pytest.mark.parametrize(("offset", "requests"), [(-1, 0), (0, 100), (1, 100)])
def test_samples_that_began_before_the_switch_do_not_count(offset: int, requests: int) -> None:
    start = START + timedelta(seconds=offset)
    watch, _ = count_recovery(a_watch(), a_sample(GOOD, start=start, requests=100))
    assert watch.requests == requests


def test_samples_that_overlap_what_was_counted_do_not_count_again() -> None:
    watch, _ = counted(a_watch(), [(100, 1)])
    for offset in (0, 30, 59):
        sample = a_sample(GOOD, start=START + timedelta(seconds=offset), requests=100, errors=100)
        assert count_recovery(watch, sample) == (watch, None)
    watch, _ = count_recovery(watch, a_sample(GOOD, start=START + MINUTE, requests=100))
    assert (watch.requests, watch.errors) == (200, 1)


def test_late_counts_are_added_to_the_open_bucket_and_close_none() -> None:
    watch, _ = counted(a_watch(), [(100, 1), (100, 1)])
    late = a_sample(GOOD, start=START, requests=60, errors=6, is_late=True)
    watch, judgement = count_recovery(watch, late)
    assert (watch.open_requests, watch.open_errors, watch.open_since) == (60, 6, START + 2 * MINUTE)
    assert (watch.requests, watch.counted_until, judgement) == (200, START + 2 * MINUTE, None)
    watch, _ = count_recovery(watch, a_sample(GOOD, start=START + 2 * MINUTE, requests=1))
    assert (watch.requests, watch.errors) == (261, 8)


def test_late_counts_of_before_the_switch_do_not_count() -> None:
    late = a_sample(GOOD, start=START - timedelta(seconds=1), requests=60, errors=60, is_late=True)
    assert count_recovery(a_watch(), late) == (a_watch(), None)


def test_I_02_counts_of_errors_alone_prove_nothing() -> None:
    watch, judgements = a_watch(), []
    for number in range(10):
        sample = a_sample(GOOD, start=START + number * MINUTE, requests=None, errors=number % 2 * 500)
        watch, judgement = count_recovery(watch, sample)
        judgements.append(judgement)
    assert (watch, set(judgements)) == (a_watch(), {None})


def test_no_traffic_never_recovers() -> None:
    _, judgements = counted(a_watch(), [(0, 0)] * 100)
    assert set(judgements) == {None}
