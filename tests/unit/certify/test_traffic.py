"""Rates are written with a unit, and every shape of the day brings about as many visitors as were asked for."""

import random  # noqa: TID251 - seeded, as in the certifier
import statistics

import pytest

from daemon.certify.traffic import BadTraffic, Traffic, parse_traffic, visitors


@pytest.mark.parametrize(
    ("text", "rate", "shown"),
    [("50rps", 50.0, "50rps"), ("0.5rps", 0.5, "30rpm"), ("90rpm", 1.5, "1.5rps"), ("3rpm", 0.05, "3rpm")],
)
def test_a_rate_is_read_with_its_unit_and_shown_with_one(text: str, rate: float, shown: str) -> None:
    traffic = parse_traffic(text)
    assert traffic.requests_per_second == pytest.approx(rate)
    assert str(traffic) == shown


@pytest.mark.parametrize("text", ["50", "50 rps", "rps", "-1rps", "50rph", "1e3rps", "", "fifty rps"])
def test_a_rate_without_a_unit_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(BadTraffic, match="50rps"):
        parse_traffic(text)


@pytest.mark.parametrize("text", ["0rps", "0.01rpm", "1000001rps"])
def test_a_rate_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(BadTraffic, match="out of bounds"):
        parse_traffic(text)


def test_rates_at_the_bounds_are_taken() -> None:
    assert parse_traffic("1000000rps").requests_per_second == 1e6
    assert parse_traffic("0.02rpm").requests_per_second == pytest.approx(0.02 / 60)


def test_mixed_traffic_draws_each_storys_own_rate() -> None:
    rng = random.Random(1)
    rates = [parse_traffic("mixed").drawn(rng) for _ in range(300)]
    assert 0.5 <= min(rates) < 5
    assert 10_000 < max(rates) <= 100_000
    assert str(Traffic()) == "mixed"


def test_a_given_rate_is_the_same_in_every_story() -> None:
    assert Traffic(3.0).drawn(random.Random(1)) == 3.0


def test_visitors_come_at_about_the_rate_that_was_asked_for() -> None:
    means = [
        statistics.mean(visitors(random.Random(seed), polls=720, poll_seconds=120, requests_per_second=2.0))
        for seed in range(16)
    ]
    assert statistics.mean(means) == pytest.approx(240, rel=0.08)


def test_the_same_seed_brings_the_same_visitors() -> None:
    one, other = (visitors(random.Random(5), polls=50, poll_seconds=10, requests_per_second=9) for _ in range(2))
    assert one == other
