"""Did the errors begin before the activation? The last minutes before it, looked at again when their rate is known.

At a visitor every other second an outage that began a minute before a deployment is two or three errors by then: too
few for the running sum, which does not know yet how high the rate will be. Once it is known, two errors in the last
few requests before the activation speak for themselves.
Source: Hinkley 1970, the onset of greatest likelihood when the rates before and after it are known.
"""

import math
from collections.abc import Sequence

from daemon.detectors.evidence.baseline import Counts

ERRORS_MIN = 2
"""One stray error just before an activation proves nothing."""
_RATIO_MAX = 0.999
_RATIO_MIN = 1e-6


def likeness_nats(counts: Counts, *, usual: float, rate: float) -> float:
    """Return how much better the error ratio *rate* explains *counts* than the *usual* one does, in nats."""
    usual, rate = max(_RATIO_MIN, usual), min(_RATIO_MAX, rate)
    if rate <= usual:
        return 0.0
    failed, served = counts.errors, counts.requests - counts.errors
    return failed * math.log(rate / usual) + served * math.log((1 - rate) / (1 - usual))


def precedence_nats(before: Sequence[Counts], since: Counts, *, usual: float, rate: float, limit: float) -> float:
    """Return how much likelier the errors began in one of the last minutes *before* the activation than after, in nats.

    *before* are the newest minutes first, *since* what was counted between the activation and the onset: it can speak
    against, and never for it. *usual* is the error ratio of the past day and *rate* the one since the onset; minutes
    below the *limit* are no trouble. 0 where nothing speaks for it.
    """
    against = min(0.0, likeness_nats(since, usual=usual, rate=rate))
    likeliest, suffix = 0.0, Counts(0, 0)
    for counts in before:
        suffix = Counts(suffix.requests + counts.requests, suffix.errors + counts.errors)
        if suffix.errors >= ERRORS_MIN and suffix.errors >= limit * suffix.requests:
            likeliest = max(likeliest, likeness_nats(suffix, usual=usual, rate=rate))
    return max(0.0, likeliest + against)
