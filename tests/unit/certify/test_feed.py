"""Whatever a poller reads, samples are possible, in order, and lose no count."""

from dataclasses import replace
from itertools import pairwise

import pytest

from daemon.certify.feed import Feed, time_of
from daemon.certify.kinds import BY_NAME, draw
from daemon.certify.trace import Counts, Label, Release, Trace, Truth
from tests.unit.certify.scenes import a_scene


def a_trace(requests: list[int | None], errors: list[int | None], **facts: object) -> Trace:
    trace = Trace(
        poll_seconds=10,
        polls=len(requests),
        releases=(Release(0, "dpl_P"),),
        counts={"dpl_P": Counts(0, tuple(requests), tuple(errors))},
        truth=Truth(Label.HEALTHY, "steady"),
    )
    return replace(trace, **facts)  # type: ignore[arg-type]


def read(trace: Trace) -> list[tuple[int, int, int | None, int]]:
    """Return (first poll, poll after the last, requests, errors) of each sample."""
    feed, seconds = Feed(trace), trace.poll_seconds
    start = time_of(trace, 0)
    return [
        (
            round((one.start - start).total_seconds() / seconds),
            round((one.end - start).total_seconds() / seconds),
            one.requests,
            one.errors,
        )
        for poll in range(trace.polls)
        for one in feed.samples(poll, "dpl_P")
    ]


def test_clean_counts_are_samples_as_they_are() -> None:
    assert read(a_trace([5, 0], [1, 0])) == [(0, 1, 5, 1), (1, 2, 0, 0)]


def test_errors_beyond_the_requests_wait_for_the_next_poll() -> None:
    assert read(a_trace([5, 9], [8, 1])) == [(0, 1, 5, 5), (1, 2, 9, 4)]


def test_errors_without_requests_wait_too() -> None:
    assert read(a_trace([0, 4], [3, 0])) == [(0, 1, 0, 0), (1, 2, 4, 3)]


def test_corrections_below_zero_are_taken_from_the_next_poll() -> None:
    assert read(a_trace([-4, 10, 5], [-2, 3, 0])) == [(0, 1, 0, 0), (1, 2, 6, 1), (2, 3, 5, 0)]


def test_a_missed_poll_gives_no_sample_and_its_backlog_comes_as_one_bucket() -> None:
    assert read(a_trace([5, None, None, 30], [0, None, None, 2])) == [(0, 1, 5, 0), (1, 4, 30, 2)]


def test_a_trace_that_begins_with_a_gap_begins_with_its_backlog() -> None:
    assert read(a_trace([None, 7], [None, 0])) == [(0, 2, 7, 0)]


def test_a_repeated_poll_comes_twice_and_one_that_was_missed_does_not() -> None:
    trace = a_trace([5, None, 6], [1, None, 0], repeats=frozenset({0, 1}))
    assert read(trace) == [(0, 1, 5, 1), (0, 1, 5, 1), (1, 3, 6, 0)]


@pytest.mark.parametrize("number", range(5))
def test_no_count_of_a_dirty_feed_is_lost_or_counted_twice(number: int) -> None:
    trace = replace(draw(BY_NAME["dirty-feed-bad"], a_scene(30), seed=2, number=number), repeats=frozenset())
    feed, counts = Feed(trace), trace.counts["dpl_A"]
    samples = [one for poll in range(trace.polls) for one in feed.samples(poll, "dpl_A")]
    owed = feed._owed["dpl_A"]
    assert sum(one.requests or 0 for one in samples) + owed.requests == sum(one or 0 for one in counts.requests)
    assert sum(one.errors for one in samples) + owed.errors == sum(one or 0 for one in counts.errors)
    assert all(one.end <= other.start for one, other in pairwise(samples))
