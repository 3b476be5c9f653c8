"""A baseline from the time before the daemon came: what the source remembers of it."""

from collections.abc import Iterable

from daemon.core.facts import DeploymentId, ErrorRateSample
from daemon.detectors.evidence.baseline import Baseline, learn
from daemon.detectors.evidence.buckets import Poll
from daemon.detectors.evidence.docket import EMPTY, Live, go_live, observe, observe_late
from daemon.detectors.evidence.knobs import Design


def learn_history(baseline: Baseline, samples: Iterable[ErrorRateSample], design: Design) -> Baseline:
    """Return the *baseline* after *samples* in order of time, of any deployment; those without requests are left out.

    Of each deployment but the first, the counts of the first attribution window teach nothing. Samples that overlap an
    earlier one are more of the same time.
    """
    first_counted: dict[DeploymentId, float] = {}
    docket = go_live(
        EMPTY._replace(baseline=baseline), Live(0, 0.0, is_first=True, is_dated=False, has_trial=False), design
    )
    for sample in samples:
        start, end, requests = sample.start.timestamp(), sample.end.timestamp(), sample.requests
        if requests is None:
            continue
        # What served when the history begins has proved itself before.
        since = first_counted.setdefault(sample.deployment, start if first_counted else float("-inf"))
        if start < since + design.window:
            continue
        if sample.is_late or (docket.clock is not None and start < docket.clock):
            docket = observe_late(docket, requests, sample.errors)
        else:
            docket = observe(docket, Poll(start, end, requests, sample.errors), design)
    if docket.opened is None:
        return docket.baseline
    return learn(docket.baseline, docket.opened, floor=design.limit_floor, lift=design.lift)
