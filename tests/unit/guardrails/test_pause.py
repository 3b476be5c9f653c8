"""An operator's pause holds."""

from daemon.core.guardrail import Reason, Ruling, Strictness
from daemon.guardrails.pause import PauseGuardrail
from tests.unit.guardrails.cases import a_case


def test_a_pause_holds_and_names_who_asked_for_it() -> None:
    ruling = PauseGuardrail().rule(a_case(paused_by="ann"))
    assert ruling == Ruling(Strictness.HOLD, Reason.PAUSED, "paused by ann")


def test_without_a_pause_nothing_is_held() -> None:
    assert PauseGuardrail().rule(a_case()).strictness is Strictness.ALLOW
