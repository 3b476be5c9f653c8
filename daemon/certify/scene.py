"""What all stories share: the rhythm of polls, the visitors, and how error ratios become counts."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.certify.chance import clustered, log_uniform
from daemon.certify.trace import Counts, Label, Release, Trace, Truth
from daemon.certify.traffic import Traffic, visitors

HOUR, MINUTE = 3_600.0, 60.0
BEFORE_SECONDS = 6 * HOUR
"""What the daemon has learned from before the release that is judged."""
AFTER_HEALTHY_SECONDS = 3 * HOUR
"""How long a healthy release is watched: from the attribution window's end on, no error can be blamed on it."""
FOUND_WITHIN_SECONDS = HOUR
"""A bad deployment found later counts as missed. Source: spec of the detection rule, section 4."""
FOUND_WITHIN_LOW_SECONDS = 6 * HOUR
"""The same where only 1 to 5 requests a minute come."""
PREVIOUS, SUSPECT = "dpl_P", "dpl_A"
BASE_RATIOS = (1e-5, 3e-3)
"""Error ratios of projects that are well: evenly on a log scale."""
LOW_RATES = (1 / 60, 5 / 60)
"""Requests a second at low traffic: 1 to 5 a minute."""

Ratios = list[float]
"""The error ratio, 0..1, of each poll of a trace."""


@dataclass(frozen=True, slots=True)
class Scene:
    """How often is polled, how late counts are (in polls), and how many visitors come."""

    poll_seconds: int
    lag_polls: int
    traffic: Traffic

    def polls(self, seconds: float) -> int:
        """Return how many polls *seconds* take, at least one."""
        return max(1, round(seconds / self.poll_seconds))

    @property
    def released(self) -> int:
        """The poll with which the release that is judged goes live."""
        return self.polls(BEFORE_SECONDS)

    def poll_at(self, seconds: float) -> int:
        """Return the poll in which the time lies that is *seconds* after the release (before it, if negative)."""
        return self.released + int(seconds // self.poll_seconds)


@dataclass(frozen=True, slots=True)
class Failing:
    """How a deployment fails: a ratio for each poll, and how much the failures of one poll correlate (0..1)."""

    ratios: Ratios
    correlation: float = 0.0


def base_ratio(rng: random.Random) -> float:
    """Return the error ratio, 0..1, of a project that is well."""
    return log_uniform(rng, *BASE_RATIOS)


def arrivals(rng: random.Random, scene: Scene, *, after_seconds: float, rate: float | None = None) -> list[int]:
    """Return the requests of each poll, whoever answers; *rate* a second where the story needs its own."""
    polls = scene.released + scene.polls(after_seconds)
    wanted = rate if rate is not None else scene.traffic.drawn(rng)
    return visitors(rng, polls=polls, poll_seconds=scene.poll_seconds, requests_per_second=wanted)


def fail_between(ratios: Ratios, scene: Scene, start: float, end: float, *, ratio: float) -> None:
    """Let *ratio* more of the requests fail from *start* to *end*, in seconds after the release.

    A poll that the failure shares only a part of gets that part of it.
    """
    seconds = scene.poll_seconds
    for poll in range(max(0, scene.poll_at(start)), min(len(ratios), scene.poll_at(end) + 1)):
        begins = (poll - scene.released) * seconds
        share = (min(end, begins + seconds) - max(start, begins)) / seconds
        if share > 0:
            ratios[poll] = 1 - (1 - ratios[poll]) * (1 - ratio * share)


def answer(
    rng: random.Random, requests: Sequence[int], failing: Failing, *, first: int = 0, end: int | None = None
) -> Counts:
    """Return what a deployment answers to *requests* from poll *first* up to *end* (None: the last)."""
    counted = tuple(requests[first:end])
    pairs = zip(counted, failing.ratios[first:end], strict=True)
    errors = tuple(clustered(rng, count, ratio, correlation=failing.correlation) for count, ratio in pairs)
    return Counts(first, counted, errors)


def one_release(
    rng: random.Random,
    scene: Scene,
    truth: Truth,
    requests: Sequence[int],
    *,
    before: Failing,
    after: Failing,
) -> Trace:
    """Return the story of one release: *before* is how the former deployment fails, *after* how the new one does."""
    released = scene.released
    return Trace(
        poll_seconds=scene.poll_seconds,
        polls=len(requests),
        releases=(Release(0, PREVIOUS), Release(released, SUSPECT)),
        counts={
            PREVIOUS: answer(rng, requests, before, end=released),
            SUSPECT: answer(rng, requests, after, first=released),
        },
        truth=truth,
        live_from=released if truth.onset_poll is None else min(released, truth.onset_poll),
        lag_polls=scene.lag_polls,
    )


def healthy(kind: str) -> Truth:
    """Return the truth of a story in which nothing is wrong."""
    return Truth(Label.HEALTHY, kind)


def bad(kind: str, scene: Scene, *, size: float, onset_seconds: float = 0.0, target: str = PREVIOUS) -> Truth:
    """Return the truth of a deployment that fails from *onset_seconds* after the release on, at worst by *size*."""
    return Truth(Label.BAD, kind, scene.poll_at(onset_seconds), size, target)
