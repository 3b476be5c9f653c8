"""How many visitors come: the operator's own rate, in one of four shapes of a day. All shapes are our own."""

import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from daemon.certify.chance import log_uniform, poisson, wandering

DAY_SECONDS = 86_400
_RATE = re.compile(r"(\d+(?:\.\d+)?)(rps|rpm)", re.ASCII)
_RATE_MIN, _RATE_MAX = 1 / 3600, 1e6
_MIXED = "mixed"
_MIXED_MIN, _MIXED_MAX = 0.5, 100_000.0
_SHAPES = ("flat", "daily", "bursts", "quiet")
_BLOCK_SECONDS = 600
_QUIET = 0.1
"""What is left of the traffic when it is quiet; a release that nobody sees at all is a story of its own."""


class BadTraffic(ValueError):
    """A rate that cannot be read; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests a second on average; None draws each story's own, from 0.5 to 100,000, evenly on a log scale."""

    requests_per_second: float | None = None

    def drawn(self, rng: random.Random) -> float:
        """Return the requests a second of one story."""
        return self.requests_per_second or log_uniform(rng, _MIXED_MIN, _MIXED_MAX)

    def __str__(self) -> str:
        rate = self.requests_per_second
        if rate is None:
            return _MIXED
        return f"{rate:g}rps" if rate >= 1 else f"{rate * 60:g}rpm"


def parse_traffic(text: str) -> Traffic:
    """Return the traffic that *text* means: `50rps`, `90rpm` or `mixed`. Raises BadTraffic for anything else."""
    if text == _MIXED:
        return Traffic()
    match = _RATE.fullmatch(text)
    if match is None:
        raise BadTraffic(f"{text!r} is not a rate; write 50rps (a second), 90rpm (a minute) or mixed")
    rate = float(match[1]) / (60 if match[2] == "rpm" else 1)
    if not _RATE_MIN <= rate <= _RATE_MAX:
        raise BadTraffic(f"{text} is out of bounds; write something between 0.02rpm and {_RATE_MAX:.0f}rps")
    return Traffic(rate)


def visitors(rng: random.Random, *, polls: int, poll_seconds: float, requests_per_second: float) -> list[int]:
    """Return requests of each poll: Poisson around a shape of the day, which wanders by some 10 % within minutes."""
    shape = rng.choice(_SHAPES)
    level = _levels(rng, shape, poll_seconds)
    noise = wandering(rng, spread=0.1, seconds=poll_seconds, memory_seconds=300)
    mean = requests_per_second * poll_seconds
    return [poisson(rng, mean * next(level) * math.exp(next(noise))) for _ in range(polls)]


def _levels(rng: random.Random, shape: str, poll_seconds: float) -> Iterator[float]:
    """Yield the share of the mean that each poll gets: a wave over the day, or a level for each ten minutes."""
    at, phase = 0.0, rng.uniform(0, DAY_SECONDS)
    block, level = -1, 1.0
    while True:
        if shape == "daily":
            level = 1 + 0.7 * math.sin(2 * math.pi * (at + phase) / DAY_SECONDS)
        elif int(at // _BLOCK_SECONDS) != block and shape != "flat":
            block = int(at // _BLOCK_SECONDS)
            level = _block_level(rng, shape)
        yield level
        at += poll_seconds


def _block_level(rng: random.Random, shape: str) -> float:
    if shape == "bursts":
        return rng.uniform(3, 6) if rng.random() < 1 / 6 else 0.3
    return 1.45 if rng.random() < 2 / 3 else _QUIET
