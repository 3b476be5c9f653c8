"""Longer stories: trains of deployments, fixes that fix nothing, feeds that nobody should trust.

Every deployment's answers are drawn for all the time after its release, so that a story goes on as it must when the
policy moves production. Source: spec of the detection rule, sections 3.8 and 8.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from daemon.certify.dirt import make_dirty
from daemon.certify.scene import (
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
    one_release,
)
from daemon.certify.trace import Release, Trace, Truth

NEXT = "dpl_B"
_TRAIN = ("dpl_A", "dpl_B", "dpl_C", "dpl_D", "dpl_E")
_SIZES = (0.1, 0.3, 0.6, 1.0)
_AFTER_SECONDS = 1.5 * HOUR
_FIX_AFTER_SECONDS = 45 * MINUTE
"""Later than the default cooldown, so that a second rollback needs nobody's approval."""


def train_same_fault(rng: random.Random, scene: Scene) -> Trace:
    """Return bad A, and half a minute to 8 min later B with the same fault: both must go, back to before A."""
    size, gap = rng.choice(_SIZES), _gap(scene, rng.uniform(0.5, 8) * MINUTE)
    requests, base = _project(rng, scene)
    broken = _failing(base, scene, 0, None, ratio=size)
    truth = bad("train-same-fault", scene, size=size)
    return _story(
        rng,
        scene,
        truth,
        requests,
        ratios={PREVIOUS: base, SUSPECT: broken, NEXT: broken},
        releases=[(0, SUSPECT), (gap, NEXT)],
    )


def healthy_then_bad(rng: random.Random, scene: Scene) -> Trace:
    """Return healthy A, and 2 to 12 min later bad B: only B must go, back to A."""
    size, gap = rng.choice(_SIZES), _gap(scene, rng.uniform(2, 12) * MINUTE)
    requests, base = _project(rng, scene)
    broken = _failing(base, scene, 0, None, ratio=size)
    truth = bad("healthy-then-bad", scene, size=size, onset_seconds=gap, target=SUSPECT)
    return _story(
        rng,
        scene,
        truth,
        requests,
        ratios={PREVIOUS: base, SUSPECT: base, NEXT: broken},
        releases=[(0, SUSPECT), (gap, NEXT)],
    )


def healed_by_next(rng: random.Random, scene: Scene) -> Trace:
    """Return bad A that B heals 20 to 90 s later: from then on nothing must be done."""
    size, gap = rng.choice(_SIZES), _gap(scene, rng.uniform(20, 90))
    requests, base = _project(rng, scene)
    broken = _failing(base, scene, 0, None, ratio=size)
    truth = replace(healthy("healed-by-next"), judged_from=scene.poll_at(gap))
    return _story(
        rng,
        scene,
        truth,
        requests,
        ratios={PREVIOUS: base, SUSPECT: broken, NEXT: base},
        releases=[(0, SUSPECT), (gap, NEXT)],
    )


def healthy_train(rng: random.Random, scene: Scene) -> Trace:
    """Return five healthy deployments 1 to 5 min apart, of which the first starts cold: 30 to 90 s at 5 to 60 %."""
    blips = [(rng.uniform(30, 90), rng.uniform(0.05, 0.6))]
    return _train(rng, scene, "healthy-train", blips)


def cold_train(rng: random.Random, scene: Scene) -> Trace:
    """Return five healthy deployments 1 to 5 min apart that all start cold: for 10 to 45 s each, at 5 to 60 %."""
    return _train(rng, scene, "cold-train", [(rng.uniform(10, 45), rng.uniform(0.05, 0.6)) for _ in _TRAIN])


def unvisited(rng: random.Random, scene: Scene) -> Trace:
    """Return a release that fails for all its visitors, of whom the first come 20 to 40 min after it went live."""
    first = rng.uniform(20, 40) * MINUTE
    requests, base = _project(rng, scene)
    for poll in range(scene.released, scene.poll_at(first)):
        requests[poll] = 0
    after = _failing(base, scene, 0, None, ratio=1.0)
    truth = bad("unvisited", scene, size=1.0, onset_seconds=first)
    return one_release(rng, scene, truth, requests, before=Failing(base), after=Failing(after))


def bad_fix(rng: random.Random, scene: Scene) -> Trace:
    """Return bad A, which is rolled back, and 45 to 75 min later a fix with the same fault: it must go back, too.

    Where nobody has rolled A back after 20 min, a person does.
    """
    size = rng.choice(_SIZES)
    trace = _after_incident(rng, scene, "bad-fix", size=size, is_fixed=False)
    onset = trace.truth.judged_from
    return replace(trace, truth=replace(trace.truth, onset_poll=onset, size=size))


def good_fix(rng: random.Random, scene: Scene) -> Trace:
    """Return bad A, which is rolled back, and 45 to 75 min later a fix that is well: it must stay."""
    return _after_incident(rng, scene, "good-fix", size=rng.choice(_SIZES), is_fixed=True)


def no_help(rng: random.Random, scene: Scene) -> Trace:
    """Return bad A whose damage outlasts it, as a migration's: it goes back to P once, and then nobody goes on."""
    size = rng.choice(_SIZES)
    requests, base = _project(rng, scene)
    broken = _failing(base, scene, 0, None, ratio=size)
    truth = bad("rollback-does-not-help", scene, size=size)
    # Only a fault that the release brought can be the release's: before it, P is well in the same ratios.
    trace = _story(rng, scene, truth, requests, ratios={PREVIOUS: broken, SUSPECT: broken}, releases=[(0, SUSPECT)])
    return replace(trace, goes_on=True)


def dirty_feed_bad(rng: random.Random, scene: Scene) -> Trace:
    """Return a release that fails for 10 to 100 %, read late, with gaps, repeats and corrections below zero."""
    size = rng.choice(_SIZES)
    requests, base = _project(rng, scene)
    after = Failing(_failing(base, scene, 0, None, ratio=size))
    truth = bad("dirty-feed-bad", scene, size=size)
    trace = one_release(rng, scene, truth, requests, before=Failing(base), after=after)
    return make_dirty(rng, trace, only=SUSPECT)


def dirty_feed_healthy(rng: random.Random, scene: Scene) -> Trace:
    """Return a healthy release, read late, with gaps, repeats and corrections below zero."""
    requests, base = _project(rng, scene)
    same = Failing(base)
    trace = one_release(rng, scene, healthy("dirty-feed-healthy"), requests, before=same, after=same)
    return make_dirty(rng, trace, only=SUSPECT)


def _after_incident(rng: random.Random, scene: Scene, kind: str, *, size: float, is_fixed: bool) -> Trace:
    requests = arrivals(rng, scene, after_seconds=_FIX_AFTER_SECONDS + 1.5 * HOUR)
    base = [base_ratio(rng)] * len(requests)
    broken = _failing(base, scene, 0, None, ratio=size)
    fix_at = _FIX_AFTER_SECONDS + rng.uniform(0, 30) * MINUTE
    truth = healthy(kind) if is_fixed else bad(kind, scene, size=size)
    truth = replace(truth, judged_from=scene.poll_at(fix_at))
    ratios = {PREVIOUS: base, SUSPECT: broken, NEXT: base if is_fixed else broken}
    releases = [(0.0, SUSPECT), (20 * MINUTE, PREVIOUS), (fix_at, NEXT)]
    trace = _story(rng, scene, truth, requests, ratios=ratios, releases=releases)
    return replace(trace, goes_on=True)


def _train(rng: random.Random, scene: Scene, kind: str, blips: Sequence[tuple[float, float]]) -> Trace:
    """Return a train of healthy deployments; *blips* are seconds and error ratio of the first ones' cold starts."""
    requests, base = _project(rng, scene)
    ratios, releases, at = {PREVIOUS: base}, list[tuple[float, str]](), 0.0
    warm = [(0.0, 0.0)] * (len(_TRAIN) - len(blips))
    for name, (seconds, ratio) in zip(_TRAIN, [*blips, *warm], strict=True):
        releases.append((at, name))
        ratios[name] = _failing(base, scene, at, at + seconds, ratio=ratio)
        at += _gap(scene, rng.uniform(1, 5) * MINUTE)
    return _story(rng, scene, healthy(kind), requests, ratios=ratios, releases=releases)


def _gap(scene: Scene, seconds: float) -> float:
    """Return *seconds*, or one poll where that is longer: a deployment that no poll sees is no part of a story."""
    return max(seconds, float(scene.poll_seconds))


def _project(rng: random.Random, scene: Scene) -> tuple[list[int], Ratios]:
    requests = arrivals(rng, scene, after_seconds=_AFTER_SECONDS)
    return requests, [base_ratio(rng)] * len(requests)


def _failing(base: Ratios, scene: Scene, start: float, end: float | None, *, ratio: float) -> Ratios:
    """Return *base* with *ratio* more failing from *start* to *end* (None: for good), in seconds after the release."""
    ratios = base[:]
    last = (len(base) - scene.released) * scene.poll_seconds
    fail_between(ratios, scene, start, last if end is None else end, ratio=ratio)
    return ratios


def _story(
    rng: random.Random,
    scene: Scene,
    truth: Truth,
    requests: Sequence[int],
    *,
    ratios: Mapping[str, Ratios],
    releases: Sequence[tuple[float, str]],
) -> Trace:
    """Return a trace of *releases*, each at its seconds after the first; going back to the first is a rollback."""
    planned = [Release(scene.poll_at(at), name, is_rollback=name == PREVIOUS) for at, name in releases]
    return Trace(
        poll_seconds=scene.poll_seconds,
        polls=len(requests),
        releases=(Release(0, PREVIOUS), *planned),
        counts={name: answer(rng, requests, Failing(one)) for name, one in ratios.items()},
        truth=truth,
        live_from=scene.released,
        lag_polls=scene.lag_polls,
    )
