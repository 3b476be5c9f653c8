"""A cumulative sum that is at zero while all is well: where it last left zero, the errors began.

Sources: Page 1954, "Continuous inspection schemes"; Hinkley 1970 for the last zero as the estimate of the onset.
"""

import math
from typing import NamedTuple

STAKE = 0.15
"""The share that the sum bets on each bucket; small, so that it forgets slowly and a single bucket moves it little."""
NATS_MAX = 40.0
"""The sum stops here, so that an outage of hours does not take days to fade."""
EPISODE_NATS = 3.0
"""From here on a sum that has left zero is an episode: trouble, not a stray error."""


def accumulate(nats: float, lift: float) -> float:
    """Return the sum, 0..40 nats, after one bucket whose rate is *lift* times the limit."""
    nats += math.log(1.0 + STAKE * (lift - 1.0))
    return 0.0 if nats <= 0.0 else min(NATS_MAX, nats)


class Onset(NamedTuple):
    """When the sum last left zero: the bucket [at, before), in seconds, of what went live with activation `number`.

    `requests` and `errors` are counted since then, that bucket's included; `own_requests` and `own_errors` while that
    activation still served.
    """

    at: float
    before: float
    number: int
    requests: int = 0
    errors: int = 0
    own_requests: int = 0
    own_errors: int = 0
