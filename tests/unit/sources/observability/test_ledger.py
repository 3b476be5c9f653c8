"""Every request is given once, whatever the order in which its counts come, come late, or are taken back."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.facts import DeploymentId, ErrorRateSample
from daemon.sources.observability.counts import NOBODY, NOTHING, ByMinute, Counts
from daemon.sources.observability.ledger import Advance, Given, advance

T = datetime(2026, 11, 21, 20, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
A, B = DeploymentId("dpl_a"), DeploymentId("dpl_b")
KEEP = timedelta(minutes=3)


def at(minutes: float) -> datetime:
    return T + minutes * MINUTE


def begun(until: datetime = T) -> Given:
    return Given(until, known_from=T)


def step(given: Given, found: dict[int, dict[DeploymentId, Counts]], until: float, keep: timedelta = KEEP) -> Advance:
    by_minute: ByMinute = {at(minute): cells for minute, cells in found.items()}
    return advance(given, by_minute, read_from=T, until=at(until), keep=keep)


def one(deployment: DeploymentId, start: float, end: float, *counts: int, late: bool = False) -> ErrorRateSample:
    requests, errors, platform = (*counts, 0, 0)[:3]
    return ErrorRateSample(deployment, at(start), at(end), requests, errors, platform_errors=platform, is_late=late)


def test_each_deployment_and_minute_with_requests_gives_one_sample_in_order_of_time():
    found = {1: {B: Counts(5), A: Counts(80)}, 0: {A: Counts(100, 10, 3)}}
    given = step(begun(), found, 2)
    assert list(given.samples) == [one(A, 0, 1, 100, 10, 3), one(A, 1, 2, 80), one(B, 1, 2, 5)]
    assert given.given.until == at(2)


def test_what_was_given_is_not_given_again():
    first = step(begun(), {0: {A: Counts(100, 10)}}, 1)
    second = step(first.given, {0: {A: Counts(100, 10)}, 1: {A: Counts(7)}}, 2)
    assert list(second.samples) == [one(A, 1, 2, 7)]


def test_a_growing_minute_is_given_in_increments_that_follow_each_other():
    first = step(begun(), {0: {A: Counts(10, 1)}}, 0.25)
    second = step(first.given, {0: {A: Counts(25, 3)}}, 0.5)
    third = step(second.given, {0: {A: Counts(60, 3)}, 1: {A: Counts(4, 4)}}, 1.25)
    assert list(first.samples) == [one(A, 0, 0.25, 10, 1)]
    assert list(second.samples) == [one(A, 0.25, 0.5, 15, 2)]
    assert list(third.samples) == [one(A, 0.5, 1, 35), one(A, 1, 1.25, 4, 4)]


def test_minutes_beyond_the_watermark_wait():
    first = step(begun(), {0: {A: Counts(10)}, 1: {A: Counts(99)}}, 1)
    assert list(first.samples) == [one(A, 0, 1, 10)]
    second = step(first.given, {0: {A: Counts(10)}, 1: {A: Counts(99)}}, 2)
    assert list(second.samples) == [one(A, 1, 2, 99)]


def test_late_counts_are_an_increment_of_their_own_whole_minute():
    first = step(begun(), {0: {A: Counts(10, 1)}}, 1)
    second = step(first.given, {0: {A: Counts(30, 6)}, 1: {A: Counts(5)}}, 2)
    assert list(second.samples) == [one(A, 0, 1, 20, 5, late=True), one(A, 1, 2, 5)]


def test_counts_that_are_taken_back_are_carried_and_make_no_sample():
    first = step(begun(), {0: {A: Counts(100, 20)}}, 1)
    second = step(first.given, {0: {A: Counts(90, 5)}}, 2)
    assert (list(second.samples), second.corrections) == ([], 1)
    third = step(second.given, {0: {A: Counts(90, 5)}, 2: {A: Counts(40, 16)}}, 3)
    assert (list(third.samples), third.corrections) == ([one(A, 2, 3, 30, 1)], 0)


def test_what_no_deployment_answered_is_counted_apart_and_once():
    first = step(begun(), {0: {A: Counts(10), NOBODY: Counts(30, 9)}}, 1)
    second = step(first.given, {0: {A: Counts(10), NOBODY: Counts(34, 9)}}, 2)
    assert (list(first.samples), first.left_out) == ([one(A, 0, 1, 10)], 30)
    assert (list(second.samples), second.left_out) == ([], 4)


def test_a_correction_of_one_deployment_touches_no_other():
    first = step(begun(), {0: {A: Counts(100), B: Counts(100)}}, 1)
    second = step(first.given, {0: {A: Counts(0), B: Counts(100)}, 1: {A: Counts(60), B: Counts(60)}}, 2)
    assert list(second.samples) == [one(B, 1, 2, 60)]


def test_counts_that_vanish_and_come_back_are_given_once():
    first = step(begun(), {0: {A: Counts(100, 20)}}, 1)
    second = step(first.given, {}, 2)
    third = step(second.given, {0: {A: Counts(100, 20)}, 2: {A: Counts(7, 1)}}, 3)
    assert list(second.samples) == []
    assert list(third.samples) == [one(A, 2, 3, 7, 1)]


def test_errors_that_come_without_a_request_wait_for_one():
    first = step(begun(), {0: {A: Counts(10, 0)}}, 1)
    second = step(first.given, {0: {A: Counts(10, 4, 1)}}, 2)
    third = step(second.given, {0: {A: Counts(10, 4, 1)}, 2: {A: Counts(3, 0)}}, 3)
    fourth = step(third.given, {0: {A: Counts(10, 4, 1)}, 2: {A: Counts(3, 0)}, 3: {A: Counts(9)}}, 4)
    assert (list(second.samples), second.corrections) == ([], 0)
    assert list(third.samples) == [one(A, 2, 3, 3, 3)]
    assert list(fourth.samples) == [one(A, 3, 4, 9, 1, 1)]


def test_errors_that_turn_out_to_be_the_platforms_are_taken_back_from_the_deployment():
    first = step(begun(), {0: {A: Counts(100, 20, 0)}}, 1)
    second = step(first.given, {0: {A: Counts(100, 0, 20)}, 1: {A: Counts(50, 20, 0)}}, 2)
    assert (list(second.samples), second.corrections) == ([one(A, 1, 2, 50, 0, 20)], 1)


@pytest.mark.parametrize(("minute", "is_given"), [(0, False), (1, True)])
def test_a_minute_is_forgotten_once_it_is_further_back_than_what_is_kept(minute, is_given):
    given, counted = begun(), {number: {A: Counts(10)} for number in range(4)}
    for number in counted:
        given = step(given, counted, number + 1).given
    assert min(given.counts) == at(1)
    late = step(given, {**counted, minute: {A: Counts(15)}}, 5)
    assert [sample.requests for sample in late.samples] == ([5] if is_given else [])


def test_what_is_kept_does_not_grow_with_time():
    given = begun()
    for number in range(200):
        counted = {n: {DeploymentId(f"dpl_{n}"): Counts(2 if n == number else 1)} for n in range(number + 1)}
        given = step(given, counted, number + 1).given
        assert len(given.counts) <= 3
        assert len(given.carried) <= 4


def test_a_debt_is_forgotten_with_its_minute():
    given = step(begun(), {0: {A: Counts(100)}}, 1).given
    given = step(given, {}, 2).given
    assert set(given.carried) == {A}
    given = step(given, {}, 5).given
    assert given.carried == {}
    assert list(step(given, {5: {A: Counts(9)}}, 6).samples) == [one(A, 5, 6, 9)]


def test_what_lies_before_the_first_minute_is_none_of_ours():
    given = Given(at(1.5), known_from=at(2))
    step_on = step(given, {0: {A: Counts(5)}, 1: {A: Counts(50)}, 2: {A: Counts(7)}}, 3)
    assert list(step_on.samples) == [one(A, 2, 3, 7)]


CHANGES = st.lists(
    st.one_of(
        # Minutes back, deployment, requests, errors and platform errors that come (or are taken back), in any order.
        st.tuples(
            st.integers(0, 4), st.sampled_from([A, B]), st.integers(-8, 20), st.integers(-4, 9), st.integers(0, 3)
        ),
        st.floats(0.05, 1.5),  # a poll, so many minutes later
    ),
    max_size=60,
)


@given(CHANGES)
def test_whatever_the_order_what_is_given_and_carried_is_the_truth(changes):
    truth: dict[tuple[datetime, DeploymentId], Counts] = {}
    given, now, totals, newest = begun(), 0.0, Counter[DeploymentId](), {}
    summed = {A: NOTHING, B: NOTHING}
    for change in [*changes, 5.0]:
        if isinstance(change, tuple):
            back, deployment, *counts = change
            key = (at(max(0, int(now) - back)), deployment)
            changed = truth.get(key, NOTHING).plus(Counts(*counts))
            requests = max(0, changed.requests)
            errors = min(max(0, changed.errors), requests)
            truth[key] = Counts(requests, errors, min(changed.platform_errors, requests - errors))
            continue
        now += change
        found: ByMinute = {}
        for (minute, deployment), cell in truth.items():
            found.setdefault(minute, {})[deployment] = cell
        before = given.until
        result = advance(given, found, read_from=T, until=at(now), keep=timedelta(hours=5))
        given = result.given
        assert list(result.samples) == sorted(result.samples, key=lambda one: one.start)
        for sample in result.samples:
            assert sample.end <= at(now)
            assert sample.is_late or sample.start >= newest.get(sample.deployment, T)
            assert not sample.is_late or (sample.end - sample.start == MINUTE and sample.end <= before)
            newest[sample.deployment] = max(newest.get(sample.deployment, T), sample.end)
            totals[sample.deployment] += 1
            counts = Counts(sample.requests or 0, sample.errors, sample.platform_errors)
            summed[sample.deployment] = summed[sample.deployment].plus(counts)
    for deployment, found_sum in summed.items():
        known = NOTHING
        for (_, whose), cell in truth.items():
            known = known.plus(cell) if whose == deployment else known
        carried = given.carried.get(deployment)
        assert found_sum.plus(carried.counts if carried else NOTHING) == known
