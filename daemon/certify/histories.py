"""Projects whose earlier deployments were kept and show how long a cold start lasts there: what can be learned.

Source: spec of the detection rule, 3.7, learned sustain.
"""

import random
from dataclasses import replace

from daemon.certify.scene import (
    BEFORE_SECONDS,
    HOUR,
    MINUTE,
    PREVIOUS,
    SUSPECT,
    Failing,
    Ratios,
    Scene,
    answer,
    arrivals,
    bad,
    base_ratio,
    fail_between,
    healthy,
)
from daemon.certify.trace import Release, Trace, Truth

_KEPT = 7
_EVERY_SECONDS = 40 * MINUTE


def warm_healthy(rng: random.Random, scene: Scene) -> Trace:
    """Return one more healthy release of a project with seven kept ones, 40 min apart, none of which started cold."""
    return _history(rng, scene, healthy("history-healthy"), size=0.0, blip=0.0)


def warm_jump_10(rng: random.Random, scene: Scene) -> Trace:
    """Return a release with a jump to 10 % on such a project."""
    return _history(rng, scene, bad("history-jump-10", scene, size=0.1), size=0.1, blip=0.0)


def cold_healthy(rng: random.Random, scene: Scene) -> Trace:
    """Return one more healthy release of a project whose releases all start cold.

    For 30 to 150 s, give or take a fifth each time, 5 to 60 % fail.
    """
    return _history(rng, scene, healthy("cold-history-healthy"), size=0.0, blip=rng.uniform(30, 150))


def cold_jump_10(rng: random.Random, scene: Scene) -> Trace:
    """Return a release with a jump to 10 % on such a project; its cold start fails besides."""
    truth = bad("cold-history-jump-10", scene, size=0.1)
    return _history(rng, scene, truth, size=0.1, blip=rng.uniform(30, 150))


def _history(rng: random.Random, scene: Scene, truth: Truth, *, size: float, blip: float) -> Trace:
    requests = arrivals(rng, scene, after_seconds=HOUR)
    base = [base_ratio(rng)] * len(requests)
    ratio = rng.uniform(0.05, 0.6)
    times = [-(number + 1) * _EVERY_SECONDS for number in reversed(range(_KEPT))]
    assert times[0] > -BEFORE_SECONDS, "the history has room for all of them"
    kept = [(at, f"dpl_K{number}") for number, at in enumerate(times)]
    ratios = {PREVIOUS: base}
    for at, name in (*kept, (0.0, SUSPECT)):
        ratios[name] = _with_cold_start(base, scene, at, blip * rng.uniform(0.8, 1.2), ratio)
    fail_between(ratios[SUSPECT], scene, 0, HOUR, ratio=size)
    releases = [Release(scene.poll_at(at), name) for at, name in (*kept, (0.0, SUSPECT))]
    if truth.target:
        truth = replace(truth, target=kept[-1][1])
    return Trace(
        poll_seconds=scene.poll_seconds,
        polls=len(requests),
        releases=(Release(0, PREVIOUS), *releases),
        counts={name: answer(rng, requests, Failing(one)) for name, one in ratios.items()},
        truth=truth,
        live_from=scene.released,
        lag_polls=scene.lag_polls,
    )


def _with_cold_start(base: Ratios, scene: Scene, at: float, seconds: float, ratio: float) -> Ratios:
    ratios = base[:]
    fail_between(ratios, scene, at, at + seconds, ratio=ratio)
    return ratios
