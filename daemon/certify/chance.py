"""Draws that the standard library lacks, from a seeded `random.Random`: counts, and a noise that remembers itself."""

import math
import random
from collections.abc import Iterator

_EXACT_BELOW = 30.0
"""Up to this mean counts are drawn exactly, by inversion; above it by the normal approximation."""
_TERMS_MAX = 1_000


def poisson(rng: random.Random, mean: float) -> int:
    """Return a Poisson count. Source: Devroye 1986, X.3.3, inversion by sequential search."""
    if mean <= 0:
        return 0
    if mean >= _EXACT_BELOW:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    chance, term, count = rng.random(), math.exp(-mean), 0
    while chance > term and count < _TERMS_MAX:
        chance -= term
        count += 1
        term *= mean / count
    return count


def binomial(rng: random.Random, trials: int, ratio: float) -> int:
    """Return how many of *trials* succeed, each with probability *ratio*. Source: Devroye 1986, X.4.1, inversion."""
    if trials <= 0 or ratio <= 0:
        return 0
    if ratio > 0.5:
        return trials - binomial(rng, trials, 1 - ratio)
    mean = trials * ratio
    if mean >= _EXACT_BELOW:
        return min(trials, max(0, round(rng.gauss(mean, math.sqrt(mean * (1 - ratio))))))
    chance, term, count = rng.random(), math.exp(trials * math.log1p(-ratio)), 0
    odds = ratio / (1 - ratio)
    while chance > term and count < trials:
        chance -= term
        term *= odds * (trials - count) / (count + 1)
        count += 1
    return count


def clustered(rng: random.Random, trials: int, ratio: float, *, correlation: float) -> int:
    """Return a beta-binomial count: as `binomial`, but trials of one call succeed together.

    *correlation* is that of two trials, 0..1; 0 is the binomial. Source: Skellam 1948, a beta-distributed ratio with
    a + b = 1 / correlation - 1.
    """
    if correlation <= 0 or ratio <= 0 or ratio >= 1:
        return binomial(rng, trials, ratio)
    weight = 1 / correlation - 1
    return binomial(rng, trials, rng.betavariate(ratio * weight, (1 - ratio) * weight))


def wandering(rng: random.Random, *, spread: float, seconds: float, memory_seconds: float) -> Iterator[float]:
    """Yield for ever a Gaussian AR(1) process of standard deviation *spread*, one value every *seconds*.

    It forgets with the time constant *memory_seconds*.
    """
    keeps = math.exp(-seconds / memory_seconds)
    innovation = spread * math.sqrt(1 - keeps * keeps)
    value = rng.gauss(0, spread)
    while True:
        yield value
        value = keeps * value + rng.gauss(0, innovation)


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    """Return a number between *low* and *high* whose logarithm is uniform."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))
