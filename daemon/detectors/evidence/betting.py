"""Evidence that the mean error rate lies above a limit: capital won by betting on it, started at an unknown onset.

If each bucket's expected rate given the past is at most the limit, then P(evidence ever reaches 1/level) <= level:
every factor has a mean of at most 1 and is never negative, so that each started product is a supermartingale, and the
evidence is a convex mixture of them that begins at 1. Neither independence nor a binomial law is used.
Sources: Ville 1939; Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2024;
Shiryaev 1963 for the prior on the onset.
"""

from typing import NamedTuple

STAKES = (0.15, 0.5, 0.9, 0.99)
"""Shares of the capital that each bettor risks on every bucket; below 1, so that no factor is negative."""
WEIGHTS = (0.2, 0.2, 0.3, 0.3)
"""How the prior is shared among the bettors; they sum to 1."""
FIRST_POLL_MASS = 0.7
"""Prior probability that the errors begin with the first poll after the activation."""
CAPITAL_MAX = 1e280
"""Far above any level that is asked for, and far below where a float ends."""

_C1, _C2, _C3, _C4 = STAKES
_W1, _W2, _W3, _W4 = WEIGHTS
_WHOLE_POLL = 1e-6
"""A poll counts as whole when it lacks less than this share of itself: times are floats."""


class Capital(NamedTuple):
    """What the four bettors own, as multiples of the whole stake, and the prior mass of onsets that were bet on."""

    cautious: float = 0.0
    even: float = 0.0
    bold: float = 0.0
    boldest: float = 0.0
    spent: float = 0.0


NO_BETS = Capital()


def prior_mass(age: float, poll: float, window: float) -> float:
    """Return the prior probability, 0..1, of an onset within the first *age* seconds after the activation.

    *poll* is the present poll's length and *window* the attribution window, both in seconds. The first poll has 0.7,
    the others of the window share the rest evenly: N = max(2, floor(window / poll)) of them, the first included. It
    is a function of time alone, never of the counts, and never more than 1.
    """
    # Both without the first poll; int() rounds towards zero.
    later = max(1, int(window / poll + _WHOLE_POLL) - 1)
    reached = int(age / poll - _WHOLE_POLL)
    if reached >= later:
        return 1.0
    return FIRST_POLL_MASS + (1.0 - FIRST_POLL_MASS) * reached / later if reached > 0 else FIRST_POLL_MASS


def bet(capital: Capital, *, lift: float, mass: float) -> Capital:
    """Return the capital after one closed bucket whose rate is *lift* times the limit.

    *mass* is the prior probability, 0..1, of an onset up to now; what of it was not spent yet enters with this bucket:
    polls without traffic and polls inside an open bucket let it wait.
    """
    cautious, even, bold, boldest, spent = capital
    entering = mass - spent if mass > spent else 0.0
    gain = lift - 1.0
    cautious = (cautious + entering * _W1) * (1.0 + _C1 * gain)
    even = (even + entering * _W2) * (1.0 + _C2 * gain)
    bold = (bold + entering * _W3) * (1.0 + _C3 * gain)
    boldest = (boldest + entering * _W4) * (1.0 + _C4 * gain)
    if cautious + even + bold + boldest > CAPITAL_MAX:
        cautious, even = min(CAPITAL_MAX, cautious), min(CAPITAL_MAX, even)
        bold, boldest = min(CAPITAL_MAX, bold), min(CAPITAL_MAX, boldest)
    return Capital(cautious, even, bold, boldest, spent + entering)


def evidence(capital: Capital) -> float:
    """Return the evidence: the bettors' capital together, and 1 for each onset that was not bet on yet."""
    cautious, even, bold, boldest, spent = capital
    return cautious + even + bold + boldest + (1.0 - spent)
