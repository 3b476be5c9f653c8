"""How far the operator lets the daemon go: observe, approve or automatic."""

from dataclasses import dataclass

from daemon.core.guardrail import Case, Posture, Reason, Ruling


@dataclass(frozen=True, slots=True)
class PostureGuardrail:
    """Holds in `observe`, asks in `approve`."""

    def rule(self, case: Case) -> Ruling:
        """Return the ruling that the posture demands."""
        match case.posture:
            case Posture.OBSERVE:
                return Ruling.hold(Reason.POSTURE_OBSERVE, "posture is observe: it may only watch and tell")
            case Posture.APPROVE:
                return Ruling.require_approval(Reason.POSTURE_APPROVE, "posture is approve: a person decides")
            case Posture.AUTOMATIC:
                return Ruling.allow()
