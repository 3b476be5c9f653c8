"""Nothing is done by somebody who cannot see."""

from daemon.core.guardrail import Case, Reason, Ruling
from daemon.core.signal import SignalReason, SignalState


class SignalGuardrail:
    """Holds while the project is not seen, and asks a person where sources disagree, or only a witness is heard."""

    def rule(self, case: Case) -> Ruling:
        """Return HOLD while blind, REQUIRE_APPROVAL on a doubtful story. Other degraded signals can be judged."""
        signal = case.signal
        if signal is None:
            return Ruling.hold(Reason.BLIND, "nothing was observed yet")
        if signal.state is SignalState.BLIND:
            return Ruling.hold(Reason.BLIND, f"blind: {signal.sentence}")
        if signal.reason is SignalReason.DISAGREEING:
            return Ruling.require_approval(Reason.SOURCES_DISAGREE, f"the sources disagree: {signal.sentence}")
        if signal.reason is SignalReason.WITNESS_ONLY:
            return Ruling.require_approval(Reason.WITNESS_ONLY, f"only a witness counts: {signal.sentence}")
        return Ruling.allow()
