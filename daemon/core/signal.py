"""How well a project's traffic is seen: a state that decisions look at, with a reason from a closed set."""

from dataclasses import dataclass
from enum import StrEnum

from daemon.core.facts import Instant


class SignalState(StrEnum):
    """Whether what the counts say can be gone by."""

    OBSERVING = "observing"
    DEGRADED = "degraded"
    """Something is wrong, and the counts can still be judged."""
    BLIND = "blind"
    """Nobody sees what visitors get: nothing is done."""


class SignalReason(StrEnum):
    """What is wrong with a signal: label values of metrics, so closed and short."""

    NONE = "none"
    NOT_POLLED = "not_polled"
    """No poll was completed for some intervals."""
    LAGGING = "lagging"
    """The newest complete counts are older than the bound."""
    NO_TRAFFIC = "no_traffic"
    """The source answers, and there is nobody to count."""
    TRUNCATED = "truncated"
    SHIFTED_WINDOW = "shifted_window"
    """The answer is about another time than the one asked for."""
    INCONSISTENT = "inconsistent"
    """The answer contradicts itself: a ratio over 1, one group counted twice, a total that does not add up."""
    SCHEMA_DRIFT = "schema_drift"
    """The answer is not of the form that its documentation promises."""
    DISAGREEING = "disagreeing"
    """Two sources tell different stories of the same time."""
    WITNESS_ONLY = "witness_only"
    """Only a source that is no judge has anything to say."""
    PLAN = "plan"
    """The plan does not grant the source (402)."""
    UNAUTHORIZED = "unauthorized"
    """The token is not valid, or not allowed to read this (401, 403, 404 for a project-scoped token)."""
    REFUSED = "refused"
    """Any other refusal."""
    RATE_LIMITED = "rate_limited"
    UNREACHABLE = "unreachable"
    """No answer: time-outs, resets, 5xx."""
    OVERFLOWING = "overflowing"
    """A receiver had to turn events away, so that its counts miss some."""
    TOKEN_EXPIRING = "token_expiring"  # noqa: S105 - a reason, not a password


@dataclass(frozen=True, slots=True)
class Signal:
    """How one project is seen, since when, and why, in a sentence for people."""

    state: SignalState
    reason: SignalReason
    sentence: str
    since: Instant


@dataclass(frozen=True, slots=True)
class SourceTrouble:
    """Why one source of a chain gave nothing to go by."""

    source: str
    reason: SignalReason
    sentence: str
