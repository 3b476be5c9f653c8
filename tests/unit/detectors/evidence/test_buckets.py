"""Polls merged into buckets, and dirty counts made possible ones without losing any."""

import pytest

from daemon.detectors.evidence.buckets import NOTHING_OWED, Bucket, Owed, Poll, is_full, merge, settle


def test_counts_that_can_be_are_taken_as_they_are() -> None:
    assert settle(NOTHING_OWED, 10, 3) == (10, 3, NOTHING_OWED)
    assert settle(NOTHING_OWED, 10, 10) == (10, 10, NOTHING_OWED)


def test_errors_beyond_the_requests_wait_for_the_next_poll() -> None:
    assert settle(NOTHING_OWED, 10, 13) == (10, 10, Owed(0, 3))
    assert settle(Owed(0, 3), 20, 1) == (20, 4, NOTHING_OWED)


def test_errors_without_any_requests_wait_too() -> None:
    assert settle(NOTHING_OWED, 0, 2) == (0, 0, Owed(0, 2))


def test_corrections_below_zero_are_zero_now_and_taken_off_the_next_poll() -> None:
    assert settle(NOTHING_OWED, -3, 2) == (0, 0, Owed(-3, 2))
    assert settle(Owed(-3, 2), 10, 1) == (7, 3, NOTHING_OWED)
    assert settle(NOTHING_OWED, 10, -4) == (10, 0, Owed(0, -4))
    assert settle(Owed(0, -4), 10, 5) == (10, 1, NOTHING_OWED)


def test_no_count_is_lost_or_counted_twice() -> None:
    owed, polls = NOTHING_OWED, [(3, 9), (-5, 2), (40, -3), (0, 1), (60, 0)]
    requests = errors = 0
    for poll in polls:
        counted, failed, owed = settle(owed, *poll)
        assert 0 <= failed <= counted
        requests, errors = requests + counted, errors + failed
    assert (requests, errors, owed) == (98, 9, NOTHING_OWED)


def test_a_poll_without_traffic_opens_no_bucket() -> None:
    assert merge(None, Poll(0.0, 10.0, 0, 0), 1) is None
    assert merge(None, Poll(10.0, 20.0, 1, 0), 1) == Bucket(10.0, 20.0, 1, 0, 1, 10.0)


def test_an_open_bucket_grows_with_every_poll_and_with_missed_ones_in_time_alone() -> None:
    opened = Bucket(10.0, 20.0, 1, 0, 1, 10.0)
    assert merge(opened, Poll(20.0, 35.0, 4, 2), 1) == Bucket(10.0, 35.0, 5, 2, 1, 15.0)
    assert merge(opened, Poll(20.0, 50.0, 0, 0, is_missed=True), 1) == Bucket(10.0, 50.0, 1, 0, 1, 10.0)


@pytest.mark.parametrize(("requests", "end", "full"), [(50, 10.0, True), (49, 50.0, False), (1, 60.0, True)])
def test_closes_with_fifty_requests_or_sixty_seconds(requests: int, end: float, full: bool) -> None:
    bucket = Bucket(0.0, end, requests, 0, 1, 10.0)
    assert is_full(bucket) is full
    assert bucket.rate == 0.0
