"""What to do about each reason for which a signal is not what it should be: the one table, which the docs repeat."""

from collections.abc import Mapping
from dataclasses import dataclass

from daemon.core.signal import SignalReason
from daemon.ports.errors import PortError


@dataclass(frozen=True, slots=True)
class Advice:
    """What a reason means, and what to do about it."""

    meaning: str
    remedy: str


ADVICE: Mapping[SignalReason, Advice] = {
    SignalReason.NOT_POLLED: Advice(
        "no poll ended for some intervals, or none yet", "look at the machine: it slept, or lastgood hung"
    ),
    SignalReason.LAGGING: Advice(
        "counts come, and are older than `lag_max`", "Vercel's ingestion is late; see its status page"
    ),
    SignalReason.NO_TRAFFIC: Advice(
        "the source answers, and counts nobody; blind, and paged, where so many visitors were usual that 50 are "
        "missing (for a day at most)",
        "nothing, if the site is quiet; else look whether it is reachable at all",
    ),
    SignalReason.TRUNCATED: Advice("the answer was cut short", "fewer projects in one query, or a larger bound"),
    SignalReason.SHIFTED_WINDOW: Advice(
        "the answer is about another time", "retention of the plan, or the clock of this machine"
    ),
    SignalReason.INCONSISTENT: Advice("the answer contradicts itself", "wait; if it stays, report it"),
    SignalReason.SCHEMA_DRIFT: Advice("the answer has another form than documented", "a newer lastgood; report it"),
    SignalReason.DISAGREEING: Advice(
        "two sources tell different stories", "compare them by hand before you approve anything"
    ),
    SignalReason.WITNESS_ONLY: Advice(
        "every other source has nothing to say, and the probe is no judge",
        "repair the others; rollbacks wait for a person",
    ),
    SignalReason.PLAN: Advice("the plan does not grant the source", "remove the source, or buy the plan"),
    SignalReason.UNAUTHORIZED: Advice(
        "the token is not valid, or may not read this",
        "a team token of a member; project tokens cannot read counts",
    ),
    SignalReason.REFUSED: Advice("any other refusal", "the sentence says what Vercel said"),
    SignalReason.RATE_LIMITED: Advice(
        "Vercel, or our own budget, asked to wait", "a longer `poll.interval`, or fewer sources"
    ),
    SignalReason.UNREACHABLE: Advice("no answer at all", "the network, or Vercel's status page"),
    SignalReason.OVERFLOWING: Advice(
        "the drain's receiver had to turn events away",
        "a core of its own for the receiver (`lastgood drain`), or sampling at the drain",
    ),
    SignalReason.TOKEN_EXPIRING: Advice(
        "a token runs out within a week", "make a new one; its file is read again at every use"
    ),
}
"""Every reason but NONE, in the order of docs/signals.md, which has the same words."""


_OWN = {
    ("log_drain", SignalReason.UNREACHABLE): "start lastgood run (or lastgood drain); the lines on the drain tell more",
    ("prometheus", SignalReason.UNREACHABLE): "look whether the server of the source's url answers from here",
    ("prometheus", SignalReason.UNAUTHORIZED): "correct what the source's headers_file sends",
    ("probe", SignalReason.UNREACHABLE): "look whether the source's domains answer from here",
}
"""What to do where it is not Vercel that is asked."""


def remedy_for_source(kind: str, error: PortError) -> str:
    """Return what to do about a source of *kind* that ended with *error*."""
    return _OWN.get((kind, error.reason)) or remedy_of(error)


def remedy_for(reason: SignalReason) -> str:
    """Return what to do about *reason*, as a terminal shows it."""
    return ADVICE[reason].remedy.replace("`", "")


def remedy_of(error: PortError) -> str:
    """Return what to do about a read that ended with *error*."""
    return remedy_for(error.reason)
