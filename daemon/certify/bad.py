"""Releases that break something, and stay broken. Source: spec of the detection rule, section 4."""

import random

from daemon.certify.chance import log_uniform
from daemon.certify.dirt import make_late
from daemon.certify.scene import (
    FOUND_WITHIN_LOW_SECONDS,
    FOUND_WITHIN_SECONDS,
    LOW_RATES,
    MINUTE,
    SUSPECT,
    Failing,
    Ratios,
    Scene,
    arrivals,
    bad,
    base_ratio,
    fail_between,
    one_release,
)
from daemon.certify.trace import Trace


def jump(rng: random.Random, scene: Scene, *, size: float, kind: str) -> Trace:
    """Return a release that fails for the share *size* (0..1) of its requests from the first one on."""
    requests, base = _project(rng, scene)
    after = _fail_from(base, scene, 0, ratio=size)
    return one_release(rng, scene, bad(kind, scene, size=size), requests, before=Failing(base), after=Failing(after))


def partial_route(rng: random.Random, scene: Scene) -> Trace:
    """Return a release that breaks a route with 5 to 40 % of the traffic, of which 90 to 100 % fail.

    The route's share of a poll varies: its failures correlate by 0.002 to 0.02.
    """
    size = rng.uniform(0.05, 0.4) * rng.uniform(0.9, 1)
    requests, base = _project(rng, scene)
    after = Failing(_fail_from(base, scene, 0, ratio=size), correlation=log_uniform(rng, 0.002, 0.02))
    return one_release(rng, scene, bad("partial-route", scene, size=size), requests, before=Failing(base), after=after)


def ramp(rng: random.Random, scene: Scene) -> Trace:
    """Return a release whose errors grow evenly to 10 to 50 % within 5 to 20 minutes, as when a pool runs dry."""
    size, length = rng.uniform(0.1, 0.5), rng.uniform(5, 20) * MINUTE
    requests, base = _project(rng, scene)
    after = base[:]
    for poll in range(scene.released, len(after)):
        age = (poll - scene.released + 0.5) * scene.poll_seconds
        after[poll] = 1 - (1 - base[poll]) * (1 - size * min(1.0, age / length))
    return one_release(rng, scene, bad("ramp", scene, size=size), requests, before=Failing(base), after=Failing(after))


def delayed(rng: random.Random, scene: Scene) -> Trace:
    """Return a release that fails for 5 to 80 % from 1 to 10 minutes after it went live on, as when a cache expires."""
    size, onset = log_uniform(rng, 0.05, 0.8), rng.uniform(1, 10) * MINUTE
    requests, base = _project(rng, scene, more_seconds=onset)
    after = _fail_from(base, scene, onset, ratio=size)
    truth = bad("delayed", scene, size=size, onset_seconds=onset)
    return one_release(rng, scene, truth, requests, before=Failing(base), after=Failing(after))


def low_traffic(rng: random.Random, scene: Scene) -> Trace:
    """Return a release that fails for 50 to 100 % of the 1 to 5 visitors a minute."""
    size = rng.uniform(0.5, 1)
    requests = arrivals(rng, scene, after_seconds=FOUND_WITHIN_LOW_SECONDS, rate=rng.uniform(*LOW_RATES))
    base = [base_ratio(rng)] * len(requests)
    after = _fail_from(base, scene, 0, ratio=size)
    truth = bad("low-traffic-bad", scene, size=size)
    return one_release(rng, scene, truth, requests, before=Failing(base), after=Failing(after))


def high_background(rng: random.Random, scene: Scene) -> Trace:
    """Return a release that fails for 15 to 40 % more, on a project where 1.5 to 5 % fail every day."""
    size = rng.uniform(0.15, 0.4)
    requests = arrivals(rng, scene, after_seconds=FOUND_WITHIN_SECONDS)
    base = [rng.uniform(0.015, 0.05)] * len(requests)
    before = Failing(base, correlation=log_uniform(rng, 0.0005, 0.005))
    after = Failing(_fail_from(base, scene, 0, ratio=size), correlation=before.correlation)
    return one_release(rng, scene, bad("high-background-bad", scene, size=size), requests, before=before, after=after)


def late_and_gaps(rng: random.Random, scene: Scene) -> Trace:
    """Return a release that fails for 10 to 70 %, of which up to 40 % of the counts come late and 2 % of polls fail."""
    size = log_uniform(rng, 0.1, 0.7)
    requests, base = _project(rng, scene)
    after = _fail_from(base, scene, 0, ratio=size)
    truth = bad("late-and-gaps-bad", scene, size=size)
    trace = one_release(rng, scene, truth, requests, before=Failing(base), after=Failing(after))
    return make_late(rng, trace, only=SUSPECT)


def _project(rng: random.Random, scene: Scene, *, more_seconds: float = 0.0) -> tuple[list[int], Ratios]:
    """Return the visitors of a project that was well, and its error ratios."""
    seconds = FOUND_WITHIN_SECONDS + scene.lag_polls * scene.poll_seconds + more_seconds
    requests = arrivals(rng, scene, after_seconds=seconds)
    return requests, [base_ratio(rng)] * len(requests)


def _fail_from(base: Ratios, scene: Scene, start: float, *, ratio: float) -> Ratios:
    """Return *base* with *ratio* more failing from *start*, in seconds after the release, to the end."""
    ratios = base[:]
    fail_between(ratios, scene, start, (len(base) - scene.released) * scene.poll_seconds, ratio=ratio)
    return ratios
