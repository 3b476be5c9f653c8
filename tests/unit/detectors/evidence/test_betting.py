"""Evidence: the reference values R1 and R3 of the specification, how the prior is spent, and what can never happen."""

import math
from fractions import Fraction

import pytest

from daemon.detectors.evidence.betting import (
    CAPITAL_MAX,
    NO_BETS,
    STAKES,
    WEIGHTS,
    Capital,
    bet,
    evidence,
    prior_mass,
)

WINDOW = 900.0
POLL = 10.0


def evidence_of(buckets: list[tuple[int, int]], limit: float, *, poll: float = POLL) -> float:
    capital = NO_BETS
    for index, (requests, errors) in enumerate(buckets):
        mass = prior_mass((index + 1) * poll, poll, WINDOW)
        capital = bet(capital, lift=errors / requests / limit, mass=mass)
    return evidence(capital)


def exact_evidence(buckets: list[tuple[int, int]], limit: Fraction) -> Fraction:
    """The definition itself, with fractions: a weighted sum over every onset and stake of the product since then."""
    stakes = [Fraction(15, 100), Fraction(1, 2), Fraction(9, 10), Fraction(99, 100)]
    weights = [Fraction(1, 5), Fraction(1, 5), Fraction(3, 10), Fraction(3, 10)]
    polls = 90
    prior = [Fraction(7, 10)] + [Fraction(3, 10) / (polls - 1)] * (polls - 1)
    total = Fraction(0)
    for onset, mass in enumerate(prior):
        for stake, weight in zip(stakes, weights, strict=True):
            product = Fraction(1)
            for requests, errors in buckets[onset:]:
                product *= 1 - stake + stake * Fraction(errors, requests) / limit
            total += mass * weight * product
    return total


R1 = [
    ([(100, 0)], "0.02", -0.669235),
    ([(100, 2)], "0.02", 0.0),
    ([(100, 10)], "0.02", 1.082347),
    ([(100, 10)] * 3, "0.02", 3.927485),
    ([(100, 10)] * 6, "0.02", 8.561762),
    ([(50, 50)] * 3, "0.02", 10.761264),
    ([(1, 1)] * 3, "0.02", 10.761264),
    ([(100, 0)] * 30 + [(100, 30)] * 5, "0.02", 7.245868),
    ([(200, 0), (150, 3), (80, 8), (60, 9), (75, 10), (64, 0), (90, 18)], "0.02", 2.742412),
    ([(500, 40)] * 10, "0.06", 2.053709),
]


@pytest.mark.parametrize(("buckets", "limit", "expected"), R1)
def test_agrees_with_the_reference_values_and_with_an_exact_sum_over_every_onset(
    buckets: list[tuple[int, int]], limit: str, expected: float
) -> None:
    found = evidence_of(buckets, float(limit))
    assert math.log(found) == pytest.approx(expected, abs=5e-7)
    assert found == pytest.approx(float(exact_evidence(buckets, Fraction(limit))), rel=1e-12)


@pytest.mark.parametrize(("p", "requests", "errors", "expected"), [(0.1, 40, 5, 5.066666), (0.5, 10, 4, 8.837836)])
def test_on_single_requests_a_bettor_is_the_binomial_likelihood_ratio(
    p: float, requests: int, errors: int, expected: float
) -> None:
    limit = 0.02
    ratio = (p / limit) ** errors * ((1 - p) / (1 - limit)) ** (requests - errors)
    assert math.log(ratio) == pytest.approx(expected, abs=5e-7)
    # A bettor of ours with stake c has won the likelihood ratio of p = limit + c * (1 - limit).
    for index, stake in enumerate(STAKES):
        alternative = limit + stake * (1 - limit)
        capital = NO_BETS
        for poll in range(requests):
            lift = 1 / limit if poll < errors else 0.0
            capital = bet(capital, lift=lift, mass=1.0)
        expected_ratio = (alternative / limit) ** errors * ((1 - alternative) / (1 - limit)) ** (requests - errors)
        assert capital[index] == pytest.approx(WEIGHTS[index] * expected_ratio, rel=1e-9)


@pytest.mark.parametrize(("poll", "polls"), [(10.0, 90), (60.0, 15), (7.0, 128), (600.0, 2), (3600.0, 2), (15.0, 60)])
def test_the_prior_has_its_first_poll_and_shares_the_rest_among_the_others_of_the_window(
    poll: float, polls: int
) -> None:
    masses = [prior_mass((index + 1) * poll, poll, WINDOW) for index in range(polls + 3)]
    spent = [0.0, *masses]
    shares = [after - before for before, after in zip(spent, masses, strict=False)]
    assert shares[0] == pytest.approx(0.7)
    assert shares[1:polls] == pytest.approx([0.3 / (polls - 1)] * (polls - 1))
    assert shares[polls:] == [0.0, 0.0, 0.0]
    assert masses[-1] == pytest.approx(1.0)


def test_polls_of_changing_length_never_spend_more_than_everything_nor_take_any_back() -> None:
    capital, age = NO_BETS, 0.0
    for poll in (60.0, 60.0, 15.0, 15.0, 600.0, 10.0, 30.0, 900.0, 1.0):
        age += poll
        before, capital = capital.spent, bet(capital, lift=1.0, mass=prior_mass(age, poll, WINDOW))
        assert before <= capital.spent <= 1.0 + 1e-12


def test_a_first_poll_that_began_before_the_activation_is_the_first_poll() -> None:
    assert prior_mass(3.0, POLL, WINDOW) == pytest.approx(0.7)
    assert prior_mass(13.0, POLL, WINDOW) == pytest.approx(0.7 + 0.3 / 89)


def test_the_mass_of_polls_without_a_closed_bucket_waits_for_the_next_one() -> None:
    waited = bet(NO_BETS, lift=5.0, mass=prior_mass(6 * POLL, POLL, WINDOW))
    assert waited.spent == pytest.approx(0.7 + 5 * 0.3 / 89)
    # Everything that was waiting bets on this bucket, as if the errors began with it.
    expected = waited.spent * sum(w * (1 - c + c * 5.0) for c, w in zip(STAKES, WEIGHTS, strict=True))
    assert evidence(waited) == pytest.approx(expected + 1 - waited.spent)


def test_mass_that_waited_until_after_the_window_is_still_bet() -> None:
    assert bet(NO_BETS, lift=1.0, mass=prior_mass(2000.0, POLL, WINDOW)).spent == pytest.approx(1.0)


def test_no_poll_after_the_window_brings_a_new_bet() -> None:
    capital = bet(NO_BETS, lift=0.0, mass=prior_mass(WINDOW, POLL, WINDOW))
    later = bet(capital, lift=50.0, mass=prior_mass(WINDOW + POLL, POLL, WINDOW))
    assert later.spent == pytest.approx(1.0)
    assert evidence(later) == pytest.approx(
        sum(w * (1 - c) * (1 - c + c * 50.0) for c, w in zip(STAKES, WEIGHTS, strict=True))
    )


def test_capital_stops_before_a_float_ends() -> None:
    capital = NO_BETS
    for _ in range(1000):
        capital = bet(capital, lift=50.0, mass=1.0)
    assert capital == Capital(CAPITAL_MAX, CAPITAL_MAX, CAPITAL_MAX, CAPITAL_MAX, 1.0)
    assert math.isfinite(evidence(capital))


@pytest.mark.parametrize("errors", range(100))
def test_more_errors_in_a_bucket_never_make_the_evidence_smaller(errors: int) -> None:
    start = bet(NO_BETS, lift=3.0, mass=0.8)
    less, more = (bet(start, lift=found / 100 / 0.02, mass=0.9) for found in (errors, errors + 1))
    assert evidence(more) > evidence(less)


def test_a_bucket_at_the_limit_changes_nothing_and_one_without_errors_takes_capital() -> None:
    assert evidence(bet(NO_BETS, lift=1.0, mass=0.7)) == pytest.approx(1.0)
    assert 0.0 < evidence(bet(NO_BETS, lift=0.0, mass=1.0)) < 1.0
