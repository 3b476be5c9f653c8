"""The positive test that trouble is over: silence proves nothing, fresh counts below the limit do.

Over are errors when the one-sided 95 % Clopper-Pearson upper limit of their rate, counted since the last bucket that
reached the limit, lies at or below the limit at two closed buckets in a row, with at least ceil(3 / limit) requests.
"""

import math
from typing import NamedTuple

from daemon.core import binomial

_DOUBT = 0.05
_BUCKETS_AGREEING = 2


class Calm(NamedTuple):
    """What was counted since the last bucket at or above the limit, and for how many buckets it has been enough.

    Once the end is proved nothing more is counted. `was_hot` says whether there ever was such a bucket; `is_proved`
    that the counts since then prove the end of it.
    """

    requests: int = 0
    errors: int = 0
    agreeing: int = 0
    was_hot: bool = False
    is_proved: bool = False


NOTHING_COUNTED = Calm()
_HOT = Calm(was_hot=True)


def requests_min(limit: float) -> int:
    """Return how many requests it takes to prove anything: three over the limit, the "rule of three"."""
    return math.ceil(3 / limit)


def count_calm(calm: Calm, requests: int, errors: int, limit: float) -> Calm:
    """Return what is known of the calm after one closed bucket; one at or above the *limit* ends it."""
    if errors / requests >= limit:
        return _HOT
    if calm.is_proved:
        return calm
    requests += calm.requests
    errors += calm.errors
    agreeing = calm.agreeing + 1 if is_below(errors, requests, limit) else 0
    return Calm(requests, errors, agreeing, calm.was_hot, agreeing >= _BUCKETS_AGREEING)


def is_below(errors: int, requests: int, limit: float) -> bool:
    """Return whether the 95 % upper limit of the error ratio lies at or below *limit*, with requests enough to say so.

    The upper limit is where P(X <= errors) falls to 5 %; so it is enough to look at that probability at *limit*.
    """
    if requests < requests_min(limit) or errors / requests > limit:
        return False
    return binomial.probability_at_most(errors, requests, limit) <= _DOUBT
