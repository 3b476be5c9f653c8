"""Cases for guardrail tests: nothing stands against the rollback unless a test says so."""

from datetime import timedelta
from typing import Any

from daemon.core.guardrail import Case, Posture
from daemon.core.signal import Signal, SignalReason, SignalState
from tests.builders import BAD, GOOD, Playbook, a_production


def a_signal(
    state: SignalState = SignalState.OBSERVING, reason: SignalReason = SignalReason.NONE, sentence: str = "counts"
) -> Signal:
    """Return how well the project is seen: well, unless said otherwise."""
    return Signal(state, reason, sentence, Playbook().moment)


def a_case(**facts: Any) -> Case:
    """Return a case in which bad serves, good is the target, and every guardrail would allow it."""
    defaults: dict[str, Any] = {
        "posture": Posture.AUTOMATIC,
        "suspect": BAD,
        "target": GOOD,
        "production": a_production(BAD),
        "moment": Playbook().moment,
        "paused_by": None,
        "hold_seconds_left": 0.0,
        "hold_sentence": "",
        "platform_seconds_left": 0.0,
        "platform_sentence": "",
        "was_platform_suspected": False,
        "sends": 0,
        "is_target_on_record": True,
        "was_rolled_back": False,
        "last_action_age_seconds": None,
        "counts_age_seconds": 0.0,
        "alias_job_age_seconds": 0.0,
        "alias_job_stale_after": timedelta(minutes=3),
        "signal": a_signal(),
    }
    return Case(**(defaults | facts))
