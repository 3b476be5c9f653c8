"""Rulings: the strictest wins, and where two are equally strict the first one has the word."""

from itertools import permutations

from daemon.core.guardrail import Reason, Ruling, Strictness, strictest

ALLOW = Ruling.allow()
ASK = Ruling.require_approval(Reason.COOLDOWN, "ask")
HOLD = Ruling.hold(Reason.PAUSED, "hold")
DENY = Ruling.deny(Reason.SENT_TWICE, "deny")


def test_the_strictest_ruling_wins_in_every_order() -> None:
    for order in permutations([ALLOW, ASK, HOLD, DENY]):
        for length in range(1, 5):
            assert strictest(order[:length]).strictness == max(one.strictness for one in order[:length])


def test_the_first_of_equally_strict_rulings_has_the_word() -> None:
    other = Ruling.hold(Reason.STALE_SAMPLES, "other")
    assert strictest([HOLD, other]) is HOLD
    assert strictest([other, HOLD]) is other


def test_no_guardrail_means_no_objection() -> None:
    assert strictest([]) == ALLOW
    assert ALLOW.strictness is Strictness.ALLOW
    assert ALLOW.reason is Reason.NONE


def test_every_ruling_says_how_strict_it_is_and_why() -> None:
    assert [one.strictness for one in (ALLOW, ASK, HOLD, DENY)] == sorted(Strictness)
    assert (DENY.reason, DENY.sentence) == (Reason.SENT_TWICE, "deny")
