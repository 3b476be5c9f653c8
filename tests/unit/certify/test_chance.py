"""The draws have the distribution that they promise, and come from the seed alone."""

import random  # noqa: TID251 - seeded, as in the certifier
import statistics
from itertools import islice

import pytest

from daemon.certify.chance import binomial, clustered, log_uniform, poisson, wandering

DRAWS = 4_000


@pytest.mark.parametrize("mean", [0.3, 4.0, 29.9, 30.0, 900.0])
def test_poisson_counts_have_their_mean_and_as_much_variance(mean: float) -> None:
    rng = random.Random(1)
    drawn = [poisson(rng, mean) for _ in range(DRAWS)]
    assert statistics.mean(drawn) == pytest.approx(mean, rel=0.06)
    assert statistics.variance(drawn) == pytest.approx(mean, rel=0.12)
    assert min(drawn) >= 0


def test_nobody_comes_where_nobody_is_expected() -> None:
    assert poisson(random.Random(1), 0.0) == 0


@pytest.mark.parametrize(("trials", "ratio"), [(20, 0.1), (500, 0.002), (400, 0.2), (400, 0.9), (10**7, 1e-6)])
def test_binomial_counts_have_their_mean_and_variance(trials: int, ratio: float) -> None:
    rng = random.Random(1)
    drawn = [binomial(rng, trials, ratio) for _ in range(DRAWS)]
    assert statistics.mean(drawn) == pytest.approx(trials * ratio, rel=0.06)
    assert statistics.variance(drawn) == pytest.approx(trials * ratio * (1 - ratio), rel=0.12)
    assert 0 <= min(drawn) <= max(drawn) <= trials


@pytest.mark.parametrize(("trials", "ratio", "expected"), [(0, 0.5, 0), (10, 0.0, 0), (10, 1.0, 10), (-1, 0.5, 0)])
def test_certain_outcomes_are_certain(trials: int, ratio: float, expected: int) -> None:
    assert binomial(random.Random(1), trials, ratio) == max(0, expected)


def test_clustered_counts_vary_more_by_their_correlation() -> None:
    rng = random.Random(1)
    drawn = [clustered(rng, 200, 0.1, correlation=0.02) for _ in range(DRAWS)]
    assert statistics.mean(drawn) == pytest.approx(20, rel=0.05)
    # Source of the factor: variance of the beta-binomial, 1 + (n - 1) x correlation times the binomial's.
    assert statistics.variance(drawn) == pytest.approx(18 * (1 + 199 * 0.02), rel=0.12)


def test_without_correlation_clustered_is_binomial() -> None:
    assert clustered(random.Random(3), 200, 0.1, correlation=0.0) == binomial(random.Random(3), 200, 0.1)


def test_a_wandering_value_keeps_its_spread_and_forgets_with_its_memory() -> None:
    values = list(islice(wandering(random.Random(1), spread=0.5, seconds=10, memory_seconds=100), 20_000))
    assert statistics.stdev(values) == pytest.approx(0.5, rel=0.1)
    assert statistics.correlation(values[:-10], values[10:]) == pytest.approx(0.368, abs=0.08)


def test_log_uniform_numbers_lie_within_their_bounds_with_the_geometric_mean_in_the_middle() -> None:
    rng = random.Random(1)
    drawn = [log_uniform(rng, 0.01, 1.0) for _ in range(DRAWS)]
    assert 0.01 <= min(drawn) <= max(drawn) <= 1.0
    assert statistics.median(drawn) == pytest.approx(0.1, rel=0.15)
