"""Everything fails alike, whatever serves: a rollback does not help. Source: spec of the detection rule, section 4."""

import math
import random

from daemon.certify.scene import (
    HOUR,
    MINUTE,
    Failing,
    Scene,
    arrivals,
    base_ratio,
    fail_between,
    one_release,
)
from daemon.certify.trace import Label, Trace, Truth

_SEEN_LATE_SECONDS = 60.0


def mid_life(rng: random.Random, scene: Scene) -> Trace:
    """Return an outage of 10 to 80 % that begins 20 min to 3 h after a healthy release and lasts 5 to 60 min."""
    start = rng.uniform(20 * MINUTE, 3 * HOUR)
    return _outage(rng, scene, "mid-life", start=start, lasts=rng.uniform(5, 60) * MINUTE)


def running(rng: random.Random, scene: Scene) -> Trace:
    """Return an outage of 10 to 80 % that began 5 to 45 min before a healthy release and goes on 30 to 60 min."""
    start = -rng.uniform(5, 45) * MINUTE
    return _outage(rng, scene, "already-running", start=start, lasts=-start + rng.uniform(30, 60) * MINUTE)


def seen_late(rng: random.Random, scene: Scene) -> Trace:
    """Return an outage that began 45 to 240 s before a healthy release and is seen at least a minute late.

    When production is seen to move, nothing that was counted is bad yet.
    """
    late = max(scene.lag_polls, math.ceil(_SEEN_LATE_SECONDS / scene.poll_seconds))
    later = Scene(scene.poll_seconds, late, scene.traffic)
    start = -rng.uniform(45, 240)
    return _outage(rng, later, "just-before-seen-late", start=start, lasts=-start + rng.uniform(30, 60) * MINUTE)


def _outage(rng: random.Random, scene: Scene, kind: str, *, start: float, lasts: float) -> Trace:
    size = rng.uniform(0.1, 0.8)
    requests = arrivals(rng, scene, after_seconds=max(0.0, start) + HOUR)
    ratios = [base_ratio(rng)] * len(requests)
    fail_between(ratios, scene, start, start + lasts, ratio=size)
    truth = Truth(Label.OUTAGE, kind, scene.poll_at(start), size)
    return one_release(rng, scene, truth, requests, before=Failing(ratios), after=Failing(ratios))
