"""The protocol of guardrails: vetoes on acting, each with a reason from a closed set. The strictest ruling wins."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Protocol

from daemon.core.facts import Deployment, Instant, Production
from daemon.core.signal import Signal


class Posture(StrEnum):
    """How far the operator lets the daemon go."""

    OBSERVE = "observe"
    APPROVE = "approve"
    AUTOMATIC = "automatic"


class Strictness(IntEnum):
    """Rulings in order: the larger wins."""

    ALLOW = 0
    REQUIRE_APPROVAL = 1
    HOLD = 2
    DENY = 3


class Reason(StrEnum):
    """Why the daemon acted or did not: label values of metrics, so closed and short."""

    NONE = "none"
    POSTURE_OBSERVE = "posture_observe"
    POSTURE_APPROVE = "posture_approve"
    PAUSED = "paused"
    COOLDOWN = "cooldown"
    STOOD_DOWN = "stood_down"
    PLATFORM = "platform"
    ALREADY_ROLLED_BACK = "already_rolled_back"
    SENT_TWICE = "sent_twice"
    STALE_SAMPLES = "stale_samples"
    ALIAS_JOB_RUNNING = "alias_job_running"
    ROLLING_RELEASE = "rolling_release"
    PRODUCTION_UNKNOWN = "production_unknown"
    NO_TARGET = "no_target"
    TARGETS_UNKNOWN = "targets_unknown"
    ONSET_OUTSIDE_WINDOW = "onset_outside_window"
    ACTIVATION_UNKNOWN = "activation_unknown"
    RESTORED_DEPLOYMENT = "restored_deployment"
    SUSPECT_UNCLEAR = "suspect_unclear"
    TARGET_NOT_ON_RECORD = "target_not_on_record"
    BLIND = "blind"
    SOURCES_DISAGREE = "sources_disagree"
    WITNESS_ONLY = "witness_only"
    DECISION_EXPIRED = "decision_expired"
    APPROVAL_EXPIRED = "approval_expired"
    REJECTED = "rejected"
    UNAUTHORIZED = "unauthorized"
    PLAN = "plan"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNPROCESSABLE = "unprocessable"
    REFUSED = "refused"
    JOB_FAILED = "job_failed"
    JOB_PARTIAL = "job_partial"
    JOB_SKIPPED = "job_skipped"
    JOB_STUCK = "job_stuck"
    JOB_MISAPPLIED = "job_misapplied"
    OUTCOME_UNKNOWN = "outcome_unknown"
    FOREIGN_MOVE = "foreign_move"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a guardrail says of one proposed action, and why, for logs, metrics and people alike."""

    strictness: Strictness
    reason: Reason
    sentence: str

    @classmethod
    def allow(cls) -> "Ruling":
        """No objection."""
        return cls(Strictness.ALLOW, Reason.NONE, "nothing stands against it")

    @classmethod
    def require_approval(cls, reason: Reason, sentence: str) -> "Ruling":
        """A person may decide."""
        return cls(Strictness.REQUIRE_APPROVAL, reason, sentence)

    @classmethod
    def hold(cls, reason: Reason, sentence: str) -> "Ruling":
        """Not now: asked again at every tick."""
        return cls(Strictness.HOLD, reason, sentence)

    @classmethod
    def deny(cls, reason: Reason, sentence: str) -> "Ruling":
        """Never, for this incident."""
        return cls(Strictness.DENY, reason, sentence)


@dataclass(frozen=True, slots=True)
class Case:
    """A proposed rollback and everything that a guardrail may look at. All ages are seconds on `elapsed` time.

    `counts_age_seconds` is the age of the newest counts of what serves production, None without any. The platform
    is suspected for another `platform_seconds_left`, 0 and less when it is not. `signal` is how well the project is
    seen, None before the first poll was told to its end.
    """

    posture: Posture
    suspect: Deployment
    target: Deployment
    is_target_on_record: bool
    production: Production
    moment: Instant
    paused_by: str | None
    hold_seconds_left: float
    hold_sentence: str
    platform_seconds_left: float
    platform_sentence: str
    was_platform_suspected: bool
    sends: int
    was_rolled_back: bool
    last_action_age_seconds: float | None
    counts_age_seconds: float | None
    alias_job_age_seconds: float
    alias_job_stale_after: timedelta
    signal: Signal | None


class Guardrail(Protocol):
    """A veto. Pure; looks only at the case."""

    def rule(self, case: Case) -> Ruling:
        """Return the ruling on *case*."""


def strictest(rulings: Iterable[Ruling]) -> Ruling:
    """Return the strictest ruling, the first of equals; ALLOW when there is none."""
    return max(rulings, key=lambda ruling: ruling.strictness, default=Ruling.allow())
