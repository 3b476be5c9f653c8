"""An incident from breach to end: an explicit transition table, which is the whole truth, and the facts it carries."""

from dataclasses import dataclass, replace
from enum import StrEnum

from daemon.core.action import Mitigation
from daemon.core.detector import Finding
from daemon.core.facts import Deployment, DeploymentId, IncidentId, Instant
from daemon.core.guardrail import Reason
from daemon.core.recovery import RecoveryWatch

_TRAIL_MAX = 60


class State(StrEnum):
    """Where an incident stands."""

    DETECTED = "detected"
    HELD = "held"
    AWAITING_APPROVAL = "awaiting_approval"
    MITIGATING = "mitigating"
    VERIFYING = "verifying"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    STOOD_DOWN = "stood_down"
    CLOSED = "closed"

    @property
    def is_live(self) -> bool:
        """Whether the daemon still works on it."""
        return self in LIVE_STATES

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self in TERMINAL_STATES


LIVE_STATES = frozenset({State.DETECTED, State.HELD, State.AWAITING_APPROVAL, State.MITIGATING, State.VERIFYING})
TERMINAL_STATES = frozenset({State.RESOLVED, State.STOOD_DOWN, State.CLOSED})


class Trigger(StrEnum):
    """What moves an incident."""

    AUTHORIZED = "authorized"
    APPROVAL_REQUIRED = "approval_required"
    HELD_BACK = "held_back"
    DENIED = "denied"
    APPROVAL_EXPIRED = "approval_expired"
    REJECTED = "rejected"
    BREACH_CLEARED = "breach_cleared"
    LATE_EFFECT = "late_effect"
    OBSERVED_ON_TARGET = "observed_on_target"
    DECIDE_AGAIN = "decide_again"
    REFUSED = "refused"
    FAILED = "failed"
    OUTCOME_UNKNOWN = "outcome_unknown"
    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    WORSE = "worse"
    UNVERIFIED = "unverified"
    FOREIGN_MOVE = "foreign_move"
    ACKNOWLEDGED = "acknowledged"


TRANSITIONS: dict[tuple[State, Trigger], State] = {
    (State.DETECTED, Trigger.AUTHORIZED): State.MITIGATING,
    (State.DETECTED, Trigger.APPROVAL_REQUIRED): State.AWAITING_APPROVAL,
    (State.DETECTED, Trigger.HELD_BACK): State.HELD,
    (State.DETECTED, Trigger.DENIED): State.ESCALATED,
    (State.DETECTED, Trigger.BREACH_CLEARED): State.RESOLVED,
    (State.DETECTED, Trigger.LATE_EFFECT): State.MITIGATING,
    (State.DETECTED, Trigger.FOREIGN_MOVE): State.STOOD_DOWN,
    (State.HELD, Trigger.AUTHORIZED): State.MITIGATING,
    (State.HELD, Trigger.APPROVAL_REQUIRED): State.AWAITING_APPROVAL,
    (State.HELD, Trigger.DENIED): State.ESCALATED,
    (State.HELD, Trigger.BREACH_CLEARED): State.RESOLVED,
    (State.HELD, Trigger.LATE_EFFECT): State.MITIGATING,
    (State.HELD, Trigger.FOREIGN_MOVE): State.STOOD_DOWN,
    (State.AWAITING_APPROVAL, Trigger.AUTHORIZED): State.MITIGATING,
    (State.AWAITING_APPROVAL, Trigger.HELD_BACK): State.HELD,
    (State.AWAITING_APPROVAL, Trigger.DENIED): State.ESCALATED,
    (State.AWAITING_APPROVAL, Trigger.APPROVAL_EXPIRED): State.ESCALATED,
    (State.AWAITING_APPROVAL, Trigger.REJECTED): State.ESCALATED,
    (State.AWAITING_APPROVAL, Trigger.BREACH_CLEARED): State.RESOLVED,
    (State.AWAITING_APPROVAL, Trigger.LATE_EFFECT): State.MITIGATING,
    (State.AWAITING_APPROVAL, Trigger.FOREIGN_MOVE): State.STOOD_DOWN,
    (State.MITIGATING, Trigger.OBSERVED_ON_TARGET): State.VERIFYING,
    (State.MITIGATING, Trigger.DECIDE_AGAIN): State.DETECTED,
    (State.MITIGATING, Trigger.REFUSED): State.ESCALATED,
    (State.MITIGATING, Trigger.FAILED): State.ESCALATED,
    (State.MITIGATING, Trigger.OUTCOME_UNKNOWN): State.ESCALATED,
    (State.MITIGATING, Trigger.FOREIGN_MOVE): State.STOOD_DOWN,
    (State.VERIFYING, Trigger.RECOVERED): State.RESOLVED,
    (State.VERIFYING, Trigger.NOT_RECOVERED): State.ESCALATED,
    (State.VERIFYING, Trigger.WORSE): State.ESCALATED,
    (State.VERIFYING, Trigger.UNVERIFIED): State.ESCALATED,
    (State.VERIFYING, Trigger.FOREIGN_MOVE): State.STOOD_DOWN,
    (State.ESCALATED, Trigger.ACKNOWLEDGED): State.CLOSED,
}
"""Every pair that may happen. A pair that is not here is a bug, and `Incident.move` says so."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of an incident's story."""

    moment: Instant
    source: State
    target: State
    trigger: Trigger
    reason: Reason
    sentence: str


@dataclass(frozen=True, slots=True)
class Incident:
    """One breach by one suspect.

    `serving` is what served when the incident opened: the suspect itself, or a later deployment with the same fault.
    `finding` is frozen at the opening; its limit judges the recovery. `target` is None until one was chosen.
    `approved_by` is None until a person approved. `platform_suspected`: while it was live, so that a person decides.
    """

    id: IncidentId
    suspect: Deployment
    serving: DeploymentId
    finding: Finding
    opened: Instant
    state: State = State.DETECTED
    reason: Reason = Reason.NONE
    target: Deployment | None = None
    mitigation: Mitigation | None = None
    recovery: RecoveryWatch | None = None
    switched: Instant | None = None
    approval_asked: Instant | None = None
    approved_by: str | None = None
    is_paged: bool = False
    platform_suspected: bool = False
    trail: tuple[Transition, ...] = ()

    def move(self, trigger: Trigger, moment: Instant, *, reason: Reason, sentence: str) -> "Incident":
        """Return the incident after *trigger*. A pair outside of TRANSITIONS is a bug."""
        target = TRANSITIONS.get((self.state, trigger))
        assert target is not None, f"{self.id}: {trigger} cannot happen in {self.state}"
        step = Transition(moment, self.state, target, trigger, reason, sentence)
        return replace(self, state=target, reason=reason, trail=(*self.trail, step)[-_TRAIL_MAX:])

    @property
    def ended(self) -> Instant | None:
        """When the daemon stopped working on it; None while it is live."""
        return None if self.state.is_live else self.trail[-1].moment
