"""An operator's pause stops every action until it expires or is lifted."""

from dataclasses import dataclass

from daemon.core.guardrail import Case, Reason, Ruling


@dataclass(frozen=True, slots=True)
class PauseGuardrail:
    """Holds while paused."""

    def rule(self, case: Case) -> Ruling:
        """Return HOLD while an operator's pause is in force."""
        if case.paused_by is None:
            return Ruling.allow()
        return Ruling.hold(Reason.PAUSED, f"paused by {case.paused_by}")
