"""Releases that are well, and what else happens on such days. Source: spec of the detection rule, section 4."""

import math
import random
from dataclasses import replace

from daemon.certify.chance import log_uniform, poisson, wandering
from daemon.certify.dirt import make_late
from daemon.certify.scene import (
    AFTER_HEALTHY_SECONDS,
    BEFORE_SECONDS,
    HOUR,
    LOW_RATES,
    MINUTE,
    SUSPECT,
    Failing,
    Ratios,
    Scene,
    arrivals,
    base_ratio,
    fail_between,
    healthy,
    one_release,
)
from daemon.certify.trace import Counts, Trace

_ADDED_BURSTS = 6


def steady(rng: random.Random, scene: Scene) -> Trace:
    """Return a release that changes nothing: independent errors at a constant ratio of 0.001 to 0.3 %."""
    requests = arrivals(rng, scene, after_seconds=AFTER_HEALTHY_SECONDS)
    same = Failing([base_ratio(rng)] * len(requests))
    return one_release(rng, scene, healthy("steady"), requests, before=same, after=same)


def overdispersed(rng: random.Random, scene: Scene) -> Trace:
    """Return a release on a project whose errors cluster.

    The log of the ratio (median 0.02 to 0.3 %) wanders by 0.5 with a memory of 8 min, errors of one poll correlate by
    0.001 to 0.01, and 1 to 5 times an hour clients retry what fails: up to 3 % of a poll's requests, for two polls.
    """
    requests = arrivals(rng, scene, after_seconds=AFTER_HEALTHY_SECONDS)
    ratios = _wandering_ratios(rng, log_uniform(rng, 2e-4, 3e-3), scene=scene, polls=len(requests))
    same = Failing(ratios, correlation=log_uniform(rng, 0.001, 0.01))
    trace = one_release(rng, scene, healthy("overdispersed"), requests, before=same, after=same)
    per_poll = rng.uniform(1, 5) * scene.poll_seconds / HOUR
    return replace(trace, counts={name: _with_retries(rng, one, per_poll) for name, one in trace.counts.items()})


def cold_start(rng: random.Random, scene: Scene) -> Trace:
    """Return a release that fails 5 to 60 % of its first 30 to 90 seconds, and is well from then on."""
    requests = arrivals(rng, scene, after_seconds=AFTER_HEALTHY_SECONDS)
    base = [base_ratio(rng)] * len(requests)
    blip = base[:]
    fail_between(blip, scene, 0, rng.uniform(30, 90), ratio=rng.uniform(0.05, 0.6))
    return one_release(rng, scene, healthy("cold-start"), requests, before=Failing(base), after=Failing(blip))


def flapping(rng: random.Random, scene: Scene) -> Trace:
    """Return a release on a project that bots make fail 3 to 12 times a day, for 20 to 90 s at 5 to 50 %."""
    requests = arrivals(rng, scene, after_seconds=AFTER_HEALTHY_SECONDS)
    ratios = [base_ratio(rng)] * len(requests)
    gap, at = 24 * HOUR / rng.uniform(3, 12), -BEFORE_SECONDS
    while (at := at + rng.expovariate(1 / gap)) < AFTER_HEALTHY_SECONDS:
        fail_between(ratios, scene, at, at + rng.uniform(20, 90), ratio=rng.uniform(0.05, 0.5))
    return one_release(rng, scene, healthy("flapping"), requests, before=Failing(ratios), after=Failing(ratios))


def high_background(rng: random.Random, scene: Scene) -> Trace:
    """Return a release on a project where 1.5 to 5 % fail every day, with a correlation of 0.0005 to 0.005."""
    requests = arrivals(rng, scene, after_seconds=AFTER_HEALTHY_SECONDS)
    same = Failing([rng.uniform(0.015, 0.05)] * len(requests), correlation=log_uniform(rng, 0.0005, 0.005))
    return one_release(rng, scene, healthy("high-background"), requests, before=same, after=same)


def low_traffic(rng: random.Random, scene: Scene) -> Trace:
    """Return a release that 1 to 5 visitors a minute see, of whom 0.01 to 1 % meet an error."""
    requests = arrivals(rng, scene, after_seconds=AFTER_HEALTHY_SECONDS, rate=rng.uniform(*LOW_RATES))
    same = Failing([log_uniform(rng, 1e-4, 0.01)] * len(requests))
    return one_release(rng, scene, healthy("low-traffic"), requests, before=same, after=same)


def late_and_gaps(rng: random.Random, scene: Scene) -> Trace:
    """Return a release of which up to 40 % of the counts come one or two polls late, and 2 % of the polls fail."""
    requests = arrivals(rng, scene, after_seconds=AFTER_HEALTHY_SECONDS)
    same = Failing([base_ratio(rng)] * len(requests))
    trace = one_release(rng, scene, healthy("late-and-gaps"), requests, before=same, after=same)
    return make_late(rng, trace, only=SUSPECT)


def traffic_bursts(rng: random.Random, scene: Scene) -> Trace:
    """Return a release in whose day traffic grows 3- to 30-fold six times, for 1 to 10 minutes; once just after it."""
    requests = arrivals(rng, scene, after_seconds=AFTER_HEALTHY_SECONDS)
    starts = [rng.uniform(-BEFORE_SECONDS, AFTER_HEALTHY_SECONDS) for _ in range(_ADDED_BURSTS - 1)]
    for start in (*starts, rng.uniform(0, 10 * MINUTE)):
        first = scene.poll_at(start)
        factor, polls = rng.uniform(3, 30), scene.polls(rng.uniform(1, 10) * MINUTE)
        for poll in range(first, min(first + polls, len(requests))):
            requests[poll] = poisson(rng, max(1, requests[poll]) * factor)
    same = Failing([base_ratio(rng)] * len(requests))
    return one_release(rng, scene, healthy("traffic-bursts"), requests, before=same, after=same)


def _wandering_ratios(rng: random.Random, median: float, *, scene: Scene, polls: int) -> Ratios:
    noise = wandering(rng, spread=0.5, seconds=scene.poll_seconds, memory_seconds=8 * MINUTE)
    return [min(1.0, median * math.exp(next(noise))) for _ in range(polls)]


def _with_retries(rng: random.Random, counted: Counts, per_poll: float) -> Counts:
    requests, errors = [one or 0 for one in counted.requests], [one or 0 for one in counted.errors]
    for poll in range(len(requests) - 1):
        if rng.random() < per_poll:
            tries = 1 + int(rng.uniform(0, 0.03) * requests[poll])
            for hit in (poll, poll + 1):
                requests[hit] += tries
                errors[hit] += tries
    return Counts(counted.start, tuple(requests), tuple(errors))
