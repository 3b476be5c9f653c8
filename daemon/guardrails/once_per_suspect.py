"""At most one rollback applied per suspect, for ever, and at most two requests sent."""

from dataclasses import dataclass

from daemon.core.action import SENDS_MAX
from daemon.core.guardrail import Case, Reason, Ruling


@dataclass(frozen=True, slots=True)
class OncePerSuspectGuardrail:
    """Denies a suspect that was rolled back from before, or for which two requests were sent."""

    def rule(self, case: Case) -> Ruling:
        """Return DENY when this suspect has had its rollback, whoever brought it back since."""
        if case.was_rolled_back:
            return Ruling.deny(
                Reason.ALREADY_ROLLED_BACK, f"{case.suspect.id} was rolled back before and somebody brought it back"
            )
        if case.sends >= SENDS_MAX:
            return Ruling.deny(Reason.SENT_TWICE, f"{case.sends} rollback requests were sent for {case.suspect.id}")
        return Ruling.allow()
