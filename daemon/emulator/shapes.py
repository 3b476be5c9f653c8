"""The shapes of traffic: how many requests a second of the year brings, as a pure function of seed and time."""

import math
import random
from functools import lru_cache
from typing import Literal

from daemon.emulator.durations import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

TrafficShape = Literal["flat", "daily", "bursts", "quiet", "minutely", "bots"]

BLOCK_MS = 10 * MINUTE_MS
BURST_FACTOR = 8.0
CRAWL_FACTOR = 15.0


def mean_of_second(shape: TrafficShape, mean: float, *, at_ms: int, key: str) -> float:
    """Return the expected requests of the second that begins at *at_ms*; *key* tells projects and seeds apart.

    ``minutely`` is not drawn but exact: one request in the same second of every minute, whatever *mean* is.
    """
    match shape:
        case "daily":
            return mean * _time_of_day(at_ms)
        case "bursts":
            return mean * (BURST_FACTOR if _in_burst(at_ms, key, one_in=4) else 0.7)
        case "bots":
            return mean * (CRAWL_FACTOR if _in_burst(at_ms, key, one_in=6) else 1.0)
        case "quiet":
            return mean if _in_burst(at_ms, key, one_in=3) else 0.0
        case _:
            return mean


def is_minutes_second(at_ms: int, key: str) -> bool:
    """Tell whether a ``minutely`` project gets its one request in the second that begins at *at_ms*."""
    return at_ms // SECOND_MS % 60 == _second_of(key)


def _time_of_day(at_ms: int) -> float:
    """Return the share of the mean at a time of the week: low at four in the night, high at four in the afternoon."""
    wave = 1 + 0.75 * math.sin(2 * math.pi * (at_ms % DAY_MS - 10 * HOUR_MS) / DAY_MS)
    weekday = (at_ms // DAY_MS + 3) % 7  # The epoch began on a Thursday.
    return wave * (0.6 if weekday >= 5 else 1.15)


def _in_burst(at_ms: int, key: str, *, one_in: int) -> bool:
    first_ms, last_ms = _burst_of(at_ms // BLOCK_MS, key, one_in)
    return first_ms <= at_ms % BLOCK_MS < last_ms


@lru_cache(maxsize=4096)
def _burst_of(block: int, key: str, one_in: int) -> tuple[int, int]:
    """Return where in its ten minutes a block's burst begins and ends; an empty stretch in most blocks."""
    rng = random.Random(f"{key}:burst:{block}")
    if rng.random() * one_in >= 1:
        return 0, 0
    first_ms = rng.randrange(0, BLOCK_MS - MINUTE_MS)
    return first_ms, first_ms + rng.randrange(MINUTE_MS, 3 * MINUTE_MS)


@lru_cache(maxsize=4096)
def _second_of(key: str) -> int:
    return random.Random(f"{key}:second").randrange(60)
