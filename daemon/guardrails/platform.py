"""An outage of the platform is not cured by going back to another deployment on the same platform."""

from dataclasses import dataclass

from daemon.core.guardrail import Case, Reason, Ruling


@dataclass(frozen=True, slots=True)
class PlatformGuardrail:
    """Holds while projects that nobody deployed suffer as well, and leaves such an incident to a person afterwards."""

    def rule(self, case: Case) -> Ruling:
        """Return HOLD while the platform is suspected, and REQUIRE_APPROVAL where it was while this went on.

        What an outage did is still on record when it is over, and looks like the deployment's doing.
        """
        if case.platform_seconds_left > 0:
            return Ruling.hold(Reason.PLATFORM, f"the platform is suspected: {case.platform_sentence}")
        if case.was_platform_suspected:
            return Ruling.require_approval(Reason.PLATFORM, "the platform was suspected while this went on")
        return Ruling.allow()
