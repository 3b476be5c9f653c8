"""A target of which nobody knows that it served just before the suspect is a guess, and a guess needs a person."""

from dataclasses import dataclass

from daemon.core.guardrail import Case, Reason, Ruling


@dataclass(frozen=True, slots=True)
class TargetOnRecordGuardrail:
    """Asks where only the age of builds speaks for the target, as when the daemon came after the suspect."""

    def rule(self, case: Case) -> Ruling:
        """Return REQUIRE_APPROVAL for a target that is not on record as serving before the suspect."""
        if case.is_target_on_record:
            return Ruling.allow()
        sentence = f"nothing tells what served before {case.suspect.id}: {case.target.id} is a guess"
        return Ruling.require_approval(Reason.TARGET_NOT_ON_RECORD, sentence)
