"""An outage of the platform is not cured by going back to another deployment on the same platform."""

from dataclasses import dataclass

from daemon.core.guardrail import Case, Reason, Ruling


@dataclass(frozen=True, slots=True)
class PlatformGuardrail:
    """Holds while projects that nobody deployed suffer as well."""

    def rule(self, case: Case) -> Ruling:
        """Return HOLD until the suspicion has not been told for a while."""
        if case.platform_seconds_left <= 0:
            return Ruling.allow()
        return Ruling.hold(Reason.PLATFORM, f"the platform is suspected: {case.platform_sentence}")
