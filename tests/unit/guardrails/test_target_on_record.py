"""A guessed target needs a person."""

from daemon.core.guardrail import Reason, Strictness
from daemon.guardrails.target_on_record import TargetOnRecordGuardrail
from tests.unit.guardrails.cases import a_case


def test_what_served_before_on_record_needs_nobody() -> None:
    assert TargetOnRecordGuardrail().rule(a_case()).strictness is Strictness.ALLOW


def test_a_guess_needs_approval() -> None:
    ruling = TargetOnRecordGuardrail().rule(a_case(is_target_on_record=False))
    assert (ruling.strictness, ruling.reason) == (Strictness.REQUIRE_APPROVAL, Reason.TARGET_NOT_ON_RECORD)
    assert ruling.sentence == "nothing tells what served before dpl_bad: dpl_good is a guess"
