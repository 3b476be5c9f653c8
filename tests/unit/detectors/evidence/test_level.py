"""The promise itself: on honest traffic at the very limit, evidence reaches 1 / level in at most `level` of all lives.

Eight ways in which errors can be clustered, each with a mean of exactly the limit given the past; a life is 360 closed
buckets. The ninth violates the promise's one condition and is here so that nobody forgets: a burst over many buckets
*is* a raised mean given the past, and only the gates protect there.
"""

import bisect
import math
from collections.abc import Callable, Iterator
from random import Random  # noqa: TID251 - seeded, so that every run sees the same

import pytest

from daemon.detectors.evidence.betting import NO_BETS, bet, evidence, prior_mass

LIMIT, LEVEL = 0.02, 0.01
LIVES, BUCKETS = 4_000, 360
MASSES = [prior_mass(10.0 * (index + 1), 10.0, 900.0) for index in range(BUCKETS)]
Rates = Callable[[Random], Iterator[float]]


def binomial(chance: Random, requests: int, ratio: float) -> int:
    """Return how many of *requests* fail: successes are skipped in geometric leaps, so that it costs little."""
    if ratio <= 0.0:
        return 0
    if ratio >= 1.0:
        return requests
    failed, at, leap = -1, 0, math.log1p(-ratio)
    while at <= requests:
        failed += 1
        at += 1 + int(math.log(1.0 - chance.random()) / leap)
    return failed


def table(requests: int, ratio: float) -> list[float]:
    share, total, sums = (1.0 - ratio) ** requests, 0.0, []
    for errors in range(requests + 1):
        total += share
        sums.append(total)
        share *= (requests - errors) / (errors + 1) * ratio / (1.0 - ratio)
    return sums


def independent(requests: int, ratio: float = LIMIT) -> Rates:
    sums = table(requests, ratio)

    def rates(chance: Random) -> Iterator[float]:
        while True:
            yield min(requests, bisect.bisect_left(sums, chance.random())) / requests

    return rates


def overdispersed(rho: float, requests: int | None) -> Rates:
    """Ratios drawn from a beta law; requests of None are so many that the rate is the ratio itself."""
    scale = 1.0 / rho - 1.0

    def rates(chance: Random) -> Iterator[float]:
        while True:
            ratio = chance.betavariate(LIMIT * scale, (1.0 - LIMIT) * scale)
            yield ratio if requests is None else binomial(chance, requests, ratio) / requests

    return rates


def now_and_then(share: float, ratio: float) -> Rates:
    """Return a rate of *ratio* in a *share* of all buckets, and none in the others."""

    def rates(chance: Random) -> Iterator[float]:
        while True:
            burst = chance.random() < share
            yield ratio if burst and ratio == 1.0 else binomial(chance, 100, ratio if burst else 0.0) / 100

    return rates


def drifting(chance: Random) -> Iterator[float]:
    for bucket in range(BUCKETS):
        yield binomial(chance, 100, LIMIT * (0.25 + 0.75 * bucket / BUCKETS)) / 100


def lasting_bursts(chance: Random) -> Iterator[float]:
    """Bursts of 30 % over 6 buckets on average, 2 % over all time: the violation."""
    is_burst, begins = False, (LIMIT / 0.3) / (1 - LIMIT / 0.3) / 6
    while True:
        is_burst = chance.random() >= 1 / 6 if is_burst else chance.random() < begins
        yield binomial(chance, 100, 0.3) / 100 if is_burst else 0.0


HONEST: dict[str, Rates] = {
    "independent, 100 requests": independent(100),
    "independent, one request": independent(1),
    "beta-binomial 0.01, 200 requests": overdispersed(0.01, 200),
    "beta-binomial 0.05, 200 requests": overdispersed(0.05, 200),
    "beta-binomial 0.05, very many requests": overdispersed(0.05, None),
    "all or nothing": now_and_then(LIMIT, 1.0),
    "bursts of 40 %": now_and_then(LIMIT / 0.4, 0.4),
    "drifting up to the limit": drifting,
}


def crossings(rates: Rates, *, seed: int, lives: int) -> float:
    """Return the share of *lives* in which the evidence ever reaches 1 / LEVEL."""
    chance, crossed = Random(seed), 0
    for _ in range(lives):
        capital = NO_BETS
        for mass, rate in zip(MASSES, rates(chance), strict=False):
            capital = bet(capital, lift=rate / LIMIT, mass=mass)
            if evidence(capital) >= 1.0 / LEVEL:
                crossed += 1
                break
    return crossed / lives


@pytest.mark.proof
@pytest.mark.parametrize("model", HONEST)
def test_honest_traffic_at_the_limit_crosses_no_more_often_than_promised(model: str) -> None:
    noise = math.sqrt(LEVEL * (1 - LEVEL) / LIVES)
    assert crossings(HONEST[model], seed=20260301, lives=LIVES) <= LEVEL + 3 * noise


@pytest.mark.slow
def test_traffic_above_the_limit_crosses_so_that_the_proof_can_fail() -> None:
    assert crossings(independent(100, 0.03), seed=1, lives=200) > 0.99


@pytest.mark.slow
def test_bursts_over_many_buckets_break_the_promise_as_the_documentation_says() -> None:
    assert crossings(lasting_bursts, seed=1, lives=200) > 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("model", "mean"), [(model, LIMIT if "drift" not in model else 0.0125) for model in HONEST])
def test_the_models_have_the_mean_that_they_claim(model: str, mean: float) -> None:
    chance, found = Random(3), []
    for _ in range(60):
        found += [rate for rate, _ in zip(HONEST[model](chance), range(BUCKETS), strict=False)]
    deviation = math.sqrt(sum((rate - mean) ** 2 for rate in found)) / len(found)
    assert sum(found) / len(found) == pytest.approx(mean, abs=4 * deviation)
