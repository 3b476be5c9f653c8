"""After a human or another robot moved production, an automatic action needs a person's approval for a while."""

from dataclasses import dataclass

from daemon.core.guardrail import Case, Reason, Ruling


@dataclass(frozen=True, slots=True)
class StoodDownGuardrail:
    """Asks while a hold is in force."""

    def rule(self, case: Case) -> Ruling:
        """Return REQUIRE_APPROVAL until the hold has passed."""
        if case.hold_seconds_left <= 0:
            return Ruling.allow()
        return Ruling.require_approval(
            Reason.STOOD_DOWN, f"{case.hold_sentence}; hands off for another {case.hold_seconds_left:.0f} s"
        )
