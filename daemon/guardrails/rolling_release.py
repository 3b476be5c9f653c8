"""While a rolling release is active, Vercel serves two deployments and only its own base is a way back."""

from dataclasses import dataclass

from daemon.core.guardrail import Case, Reason, Ruling


@dataclass(frozen=True, slots=True)
class RollingReleaseGuardrail:
    """Holds while a rolling release is active: undoing one is not supported yet, and a guess would end it for good."""

    def rule(self, case: Case) -> Ruling:
        """Return HOLD while a rolling release is active."""
        if case.production.is_rolling_release_active:
            return Ruling.hold(Reason.ROLLING_RELEASE, "a rolling release is active")
        return Ruling.allow()
