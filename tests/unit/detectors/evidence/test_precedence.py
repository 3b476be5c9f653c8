"""Errors that began just before an activation are not its doing, even where there were too few of them to notice."""

import pytest

from daemon.detectors.evidence.baseline import Counts
from daemon.detectors.evidence.precedence import precedence_nats

NONE = Counts(0, 0)


def nats(before: list[Counts], *, since: Counts = NONE, usual: float = 0.003, rate: float = 0.12, limit: float = 0.02):
    return precedence_nats(before, since, usual=usual, rate=rate, limit=limit)


def test_two_errors_in_the_last_requests_speak_for_an_earlier_onset() -> None:
    # 2 ln(.12 / .003) + 15 ln(.88 / .997), by hand.
    assert nats([Counts(17, 2)]) == pytest.approx(5.505, abs=0.001)


def test_one_stray_error_proves_nothing() -> None:
    assert nats([Counts(5, 1)]) == 0.0


def test_two_errors_long_before_speak_for_nothing() -> None:
    assert nats([Counts(60, 0), Counts(60, 2)]) == 0.0


def test_good_counts_between_the_activation_and_the_onset_speak_against_it() -> None:
    assert nats([Counts(17, 2)], since=Counts(60, 0)) < 3.0


def test_errors_between_the_activation_and_the_onset_do_not_speak_for_it() -> None:
    assert nats([Counts(600, 0)], since=Counts(1000, 100)) == 0.0
    assert nats([Counts(17, 2)], since=Counts(1000, 100)) == nats([Counts(17, 2)])


def test_the_likeliest_of_the_last_minutes_counts() -> None:
    assert nats([Counts(20, 2), Counts(20, 3), Counts(60, 0)]) == pytest.approx(nats([Counts(40, 5)]))


def test_a_rate_below_the_limit_is_no_trouble_however_much_was_counted() -> None:
    assert nats([Counts(100_000, 1_900)], rate=0.03) == 0.0
    assert nats([Counts(100_000, 2_000)], rate=0.03) > 3.0


def test_without_a_rise_or_without_a_past_nothing_speaks_for_it() -> None:
    assert nats([Counts(100, 50)], usual=0.3, rate=0.2) == 0.0
    assert nats([]) == 0.0


def test_total_failure_and_a_past_without_errors_are_finite() -> None:
    assert 0.0 < nats([Counts(10, 10)], usual=0.0, rate=1.0) < 1e4
