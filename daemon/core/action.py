"""The action that the daemon may take, and what is known of its progress."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from daemon.core.facts import DeploymentId, Instant, Production

SENDS_MAX = 2
"""At most so many rollback requests are sent for one suspect, for ever."""


@dataclass(frozen=True, slots=True)
class RollBackAction:
    """Take production from `expected` (what serves now) to `target`. `key` names the decision, for logs and Vercel."""

    key: str
    suspect: DeploymentId
    expected: DeploymentId
    target: DeploymentId


class Phase(StrEnum):
    """How far the request went, as far as we can prove."""

    PREPARING = "preparing"
    """Nothing is under way: the world is read once more before the request."""
    SENT = "sent"
    """The request is committed to; no answer yet."""
    ACCEPTED = "accepted"
    """Vercel answered 201: accepted, not done."""
    UNKNOWN = "unknown"
    """No trustworthy answer: it may have been applied or not."""


@dataclass(frozen=True, slots=True)
class Mitigation:
    """The action of an incident and its progress.

    `job_before` is the newest alias job's `requestedAt` at the last read before sending (None: there was none): only a
    newer job can be ours. `seen` is the look at production that the decision was made on. `not_before` is the `elapsed`
    time until which Vercel asked us to wait, 0 for at once.
    """

    action: RollBackAction
    decided: Instant
    phase: Phase = Phase.PREPARING
    sent: Instant | None = None
    job_before: datetime | None = None
    seen: Production | None = None
    not_before: float = 0.0
