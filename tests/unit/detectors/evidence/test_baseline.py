"""What is normal: the reference values R4, what teaches and what does not, episodes, and the gate of the past day."""

import pytest

from daemon.detectors.evidence import baseline as subject
from daemon.detectors.evidence.baseline import (
    LONG_SPAN_SECONDS,
    UNTAUGHT,
    Baseline,
    frozen_limit,
    full_limit,
    gate,
    learn,
    learn_idle,
    long_limit,
    look_on,
    posterior_mean,
    precede,
    span_counts,
)
from daemon.detectors.evidence.buckets import Bucket

THETA, LIFT = 0.02, 2.0
R4 = [
    ((100000, 50), (1000, 0), (300, 0), 0.000504, 0.02, 0.02),
    ((100000, 3000), (1000, 35), (300, 12), 0.029975, 0.059950, 0.064545),
    ((0, 0), (0, 0), (0, 0), 0.005, 0.02, 0.02),
    ((360, 4), (15, 1), (5, 1), 0.009783, 0.02, 0.028571),
    ((200000, 400), (3000, 900), (1000, 700), 0.002001, 0.02, 0.9),
]


@pytest.mark.parametrize(("day", "long", "short", "p_long", "q_long", "q"), R4)
def test_agrees_with_the_reference_values(day, long, short, p_long, q_long, q) -> None:
    assert posterior_mean(*day, THETA) == pytest.approx(p_long, abs=5e-7)
    assert long_limit(*day, floor=THETA, lift=LIFT) == pytest.approx(q_long, abs=5e-7)
    assert full_limit(day, long, short, floor=THETA, lift=LIFT) == pytest.approx(q, abs=5e-7)


def test_rates_shrink_to_a_quarter_of_the_floor() -> None:
    assert posterior_mean(0, 0, 0.4) == pytest.approx(0.1)
    assert posterior_mean(100, 0, 0.4) == pytest.approx(0.05)


def taught(counts: list[tuple[int, int]], *, baseline: Baseline = UNTAUGHT, start: float = 0.0, poll: float = 10.0):
    """Return the baseline after one bucket a poll."""
    for index, (requests, errors) in enumerate(counts):
        at = start + index * poll
        baseline = learn(baseline, Bucket(at, at + poll, requests, errors, 0, poll), floor=THETA, lift=LIFT)
    return baseline


def test_spans_are_the_last_minutes_before_the_activation_and_begin_inside_a_minute_in_proportion() -> None:
    # One error a poll in the last 5 minutes, none before; activation 20 s into a minute.
    counts = [(100, 0)] * 152 + [(100, 1)] * 30
    known = taught(counts)
    requests, errors = span_counts(known, 1820.0, 300.0)
    assert requests == pytest.approx(3000)
    # 40 s of the minute in which the span begins, with its 4 errors in 60 s.
    assert errors == pytest.approx(26 + 4 * 40 / 60)
    assert span_counts(known, 1820.0, LONG_SPAN_SECONDS) == pytest.approx((9000, 30))


def test_a_span_holds_nothing_of_the_time_after_the_activation() -> None:
    known = taught([(100, 0)] * 90 + [(100, 50)] * 6)
    assert span_counts(known, 900.0, 300.0) == pytest.approx((3000, 0))


def test_a_span_reaches_back_two_hours_and_no_further() -> None:
    known = taught([(100, 0)] * 90)
    # Ten of the fifteen minutes lie within two hours.
    assert span_counts(known, 900.0 + 6600.0, LONG_SPAN_SECONDS) == pytest.approx((6000, 0))
    assert span_counts(known, 900.0 + 7200.0, LONG_SPAN_SECONDS) == (0.0, 0.0)


def test_the_long_rate_is_that_of_the_last_day_of_learned_time() -> None:
    known = taught([(100, 3)] * 24, poll=3600.0)
    assert (known.requests, known.errors) == (2400, 72)
    known = taught([(100, 0)] * 2, baseline=known, start=30 * 86400.0, poll=3600.0)
    assert (known.requests, known.errors) == (2400, 66)
    assert len(known.hours) == 23


def test_a_minute_is_sixty_seconds_and_two_hours_of_them_are_kept() -> None:
    known = taught([(100, 0)] * 900)
    assert len(known.minutes) + 1 == subject.MINUTES_MAX
    assert all(cell.end - cell.start == 60.0 for cell in known.minutes)


def test_time_in_which_nobody_came_counts_as_time() -> None:
    known = taught([(100, 7)] * 30)
    for index in range(30):
        known = learn_idle(known, 300.0 + 10 * index, 310.0 + 10 * index)
    assert span_counts(known, 600.0, 300.0) == pytest.approx((0, 0))
    assert span_counts(known, 600.0, 600.0) == pytest.approx((3000, 210))


def test_idle_time_alone_opens_minutes_too() -> None:
    known = learn_idle(UNTAUGHT, 0.0, 10.0)
    assert known.minute is not None
    assert (known.minute.start, known.minute.end) == (0.0, 10.0)


def trouble(buckets: int, rate: float = 0.3) -> list[tuple[int, int]]:
    return [(100, int(100 * rate))] * buckets


def test_an_episode_that_goes_on_is_part_of_the_last_minutes() -> None:
    known = taught([(100, 0)] * 360 + trouble(12))
    assert known.nats > 3.0
    assert frozen_limit(known, 3720.0, floor=THETA, lift=LIFT) > 0.2


def test_an_episode_that_has_ended_is_left_out_of_the_last_minutes_and_the_span_reaches_over_it() -> None:
    known = taught([(100, 0)] * 360 + trouble(12) + [(100, 0)] * 6)
    assert known.nats == 0.0
    assert known.trouble_since is None
    assert frozen_limit(known, 3780.0, floor=THETA, lift=LIFT) == pytest.approx(0.02)
    requests, errors = span_counts(known, 3780.0, LONG_SPAN_SECONDS)
    assert (requests, errors) == (9000, 0)
    # The past day knows of it nevertheless.
    assert known.errors == 360


def test_an_episode_ends_at_the_second_bucket_that_proves_it_not_at_the_first() -> None:
    # 150 requests prove a limit of 2 %: reached with the second bucket, agreed upon with the third.
    known = taught([(100, 0)] * 360 + trouble(12) + [(100, 0)] * 2)
    assert known.nats > 3.0
    assert taught([(100, 0)], baseline=known, start=3740.0).nats == 0.0


def test_trouble_that_never_was_an_episode_is_not_left_out() -> None:
    known = taught([(100, 0)] * 60 + [(100, 10)] + [(100, 0)] * 9)
    assert known.trouble_since is None
    assert span_counts(known, 700.0, 300.0)[1] == pytest.approx(10)


def test_an_episode_whose_sum_faded_is_not_over_before_it_is_proved() -> None:
    # A request a minute: the sum is back at zero long before 150 requests have come.
    known = taught([(1, 0)] * 60 + [(1, 1)] * 2, poll=60.0)
    assert known.nats > 3.0
    known = taught([(1, 0)] * 40, baseline=known, start=62 * 60.0, poll=60.0)
    assert known.nats == 0.0
    assert known.trouble_since == 3600.0
    assert span_counts(known, 102 * 60.0, 7200.0)[1] == pytest.approx(2)
    known = taught([(60, 0)] * 3, baseline=known, start=102 * 60.0, poll=60.0)
    assert known.trouble_since is None
    assert span_counts(known, 105 * 60.0, 7200.0)[1] == pytest.approx(0)


def test_what_an_onset_cuts_off_joins_its_neighbour_again() -> None:
    # An error every other bucket: onsets everywhere, and still no cell for each.
    known = taught([(100, 0), (100, 3)] * 180)
    assert len(known.minutes) <= 120
    assert known.minutes[0].start == 0.0


def test_the_baselines_sum_uses_the_limit_of_the_past_day_and_not_the_floor() -> None:
    quiet, noisy = taught([(1000, 0)] * 100), taught([(1000, 50)] * 100)
    assert learn(quiet, Bucket(1e4, 1e4 + 10, 1000, 60, 0, 10.0), floor=THETA, lift=LIFT).nats > 0.0
    assert learn(noisy, Bucket(1e4, 1e4 + 10, 1000, 60, 0, 10.0), floor=THETA, lift=LIFT).nats == 0.0


def test_the_gate_is_half_as_much_again_as_the_highest_sum_of_the_day_and_forty_at_most() -> None:
    assert gate(UNTAUGHT) == 0.0
    known = taught([(100, 0)] * 30 + trouble(4))
    assert gate(known) == pytest.approx(1.5 * known.nats)
    assert gate(taught([(100, 0)] * 900 + trouble(100))) == 40.0


def test_the_gate_knows_the_very_first_bucket() -> None:
    assert gate(taught([(100, 50)])) > 2.0


def test_the_gate_remembers_an_episode_that_ended_for_a_day() -> None:
    known = taught([(100, 0)] * 30 + trouble(4) + [(100, 0)] * 10)
    highest = gate(known)
    assert known.nats == 0.0
    assert highest > 4.5
    known = taught([(100, 0)] * 23, baseline=known, start=3600.0, poll=3600.0)
    assert gate(known) == highest
    known = taught([(100, 0)], baseline=known, start=24 * 3600.0, poll=3600.0)
    assert gate(known) == 0.0


def test_on_probation_nothing_is_learned_but_trouble_can_be_proved_over() -> None:
    known = taught([(100, 0)] * 360 + trouble(12))
    for index in range(3):
        at = 3720.0 + 10 * index
        known = look_on(known, Bucket(at, at + 10, 100, 0, 1, 10.0), floor=THETA, lift=LIFT)
    assert known.nats == 0.0
    assert known.requests == 37200


def test_on_probation_errors_raise_nothing() -> None:
    known = taught([(100, 0)] * 10)
    assert look_on(known, Bucket(100.0, 110.0, 100, 100, 1, 10.0), floor=THETA, lift=LIFT) == known


def test_the_past_lies_before_what_was_watched_and_a_day_of_it_is_kept() -> None:
    past = taught([(1_000, 1)] * 30, poll=3600.0)
    present = taught([(100, 2)] * 60, start=30 * 3600.0)
    both = precede(past, present)
    assert [one.start for one in both.hours] == [hour * 3600.0 for hour in range(7, 30)]
    assert (both.requests, both.errors) == (23 * 1_000 + 6_000, 23 + 120)
    assert (both.nats, both.minute, both.hour) == (present.nats, present.minute, present.hour)
    assert both.minutes[-len(present.minutes) :] == present.minutes
    assert precede(UNTAUGHT, present) == present
