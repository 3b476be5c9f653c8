"""Confidence limits of an error ratio, against exact sums and against published values."""

from fractions import Fraction
from math import comb

import pytest

from daemon.core.binomial import lower_limit, probability_at_most, upper_limit


def exact(errors: int, requests: int, ratio: Fraction) -> Fraction:
    """P(X <= errors) as an exact sum."""
    terms = (comb(requests, k) * ratio**k * (1 - ratio) ** (requests - k) for k in range(errors + 1))
    return sum(terms, Fraction(0))


@pytest.mark.parametrize("requests", [1, 2, 3, 7, 20, 45])
@pytest.mark.parametrize(
    "ratio", [Fraction(1, 1000), Fraction(1, 50), Fraction(3, 10), Fraction(1, 2), Fraction(97, 100)]
)
def test_the_distribution_is_the_exact_sum(requests: int, ratio: Fraction) -> None:
    for errors in range(requests + 1):
        expected = float(exact(errors, requests, ratio))
        assert probability_at_most(errors, requests, float(ratio)) == pytest.approx(expected, rel=1e-9, abs=1e-13)


def test_the_distribution_at_its_ends() -> None:
    assert probability_at_most(-1, 10, 0.5) == 0.0
    assert probability_at_most(10, 10, 0.5) == 1.0
    assert probability_at_most(3, 10, 0.0) == 1.0
    assert probability_at_most(3, 10, 1.0) == 0.0


@pytest.mark.parametrize("requests", [1, 5, 30])
def test_the_limits_are_where_the_exact_tail_is_five_percent(requests: int) -> None:
    for errors in range(requests):
        upper = Fraction(upper_limit(errors, requests))
        assert float(exact(errors, requests, upper)) == pytest.approx(0.05, abs=1e-9)
    for errors in range(1, requests + 1):
        lower = Fraction(lower_limit(errors, requests))
        assert float(1 - exact(errors - 1, requests, lower)) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("requests", [1, 10, 59, 150, 10_000, 1_000_000])
def test_without_errors_the_upper_limit_has_a_closed_form(requests: int) -> None:
    assert upper_limit(0, requests) == pytest.approx(1 - 0.05 ** (1 / requests), rel=1e-6)
    assert lower_limit(0, requests) == 0.0


@pytest.mark.parametrize("requests", [1, 10, 59, 150, 10_000])
def test_when_everything_fails_the_lower_limit_has_a_closed_form(requests: int) -> None:
    assert lower_limit(requests, requests) == pytest.approx(0.05 ** (1 / requests), rel=1e-9)
    assert upper_limit(requests, requests) == 1.0


@pytest.mark.parametrize(
    ("errors", "requests", "confidence", "lower", "upper"),
    [
        # Two-sided 95 % limits, so one-sided 97.5 %: Newcombe 1998, table I, method 5 (Clopper and Pearson).
        (81, 263, 0.975, 0.2527, 0.3676),
        (15, 148, 0.975, 0.0578, 0.1617),
        (0, 20, 0.975, 0.0000, 0.1684),
        (1, 29, 0.975, 0.0009, 0.1776),
    ],
)
def test_the_limits_are_the_published_ones(
    errors: int, requests: int, confidence: float, lower: float, upper: float
) -> None:
    assert lower_limit(errors, requests, confidence=confidence) == pytest.approx(lower, abs=5e-5)
    assert upper_limit(errors, requests, confidence=confidence) == pytest.approx(upper, abs=5e-5)


@pytest.mark.parametrize(("errors", "requests"), [(500, 10_000), (20_000, 1_000_000), (300_000, 10_000_000)])
def test_for_many_requests_the_limits_are_those_of_the_normal_approximation(errors: int, requests: int) -> None:
    ratio = errors / requests
    deviation = 1.6448536 * (ratio * (1 - ratio) / requests) ** 0.5
    assert upper_limit(errors, requests) == pytest.approx(ratio + deviation, rel=5e-3)
    assert lower_limit(errors, requests) == pytest.approx(ratio - deviation, rel=5e-3)


@pytest.mark.parametrize(("errors", "requests"), [(0, 1), (1, 2), (5, 100), (99, 100), (5_000, 100_000)])
def test_the_limits_enclose_the_ratio(errors: int, requests: int) -> None:
    assert 0.0 <= lower_limit(errors, requests) <= errors / requests <= upper_limit(errors, requests) <= 1.0


def test_without_requests_nothing_is_known() -> None:
    assert (lower_limit(0, 0), upper_limit(0, 0)) == (0.0, 1.0)
    assert upper_limit(7, None) == 1.0


@pytest.mark.parametrize(("limit", "requests"), [(0.02, 150), (0.05, 60), (0.3, 10), (0.9, 4)])
def test_three_over_the_limit_is_enough_to_prove_a_spotless_recovery(limit: float, requests: int) -> None:
    assert upper_limit(0, requests) <= limit
