"""Who cannot see does nothing; who hears two stories asks a person; any other trouble can be lived with."""

import pytest

from daemon.core.guardrail import Reason, Ruling, Strictness
from daemon.core.signal import SignalReason, SignalState
from daemon.guardrails.signal import SignalGuardrail
from tests.unit.guardrails.cases import a_case, a_signal


@pytest.mark.parametrize("reason", list(SignalReason))
def test_I_01_blind_holds_whatever_the_reason(reason: SignalReason) -> None:
    ruling = SignalGuardrail().rule(a_case(signal=a_signal(SignalState.BLIND, reason, "402 since noon")))
    assert ruling == Ruling(Strictness.HOLD, Reason.BLIND, "blind: 402 since noon")


def test_before_anything_was_observed_nothing_is_done() -> None:
    assert SignalGuardrail().rule(a_case(signal=None)).strictness is Strictness.HOLD


def test_sources_that_tell_different_stories_need_a_person() -> None:
    signal = a_signal(SignalState.DEGRADED, SignalReason.DISAGREEING, "5 of 10 here, 0 of 10 there")
    ruling = SignalGuardrail().rule(a_case(signal=signal))
    sentence = "the sources disagree: 5 of 10 here, 0 of 10 there"
    assert ruling == Ruling(Strictness.REQUIRE_APPROVAL, Reason.SOURCES_DISAGREE, sentence)


def test_what_only_a_witness_saw_needs_a_person() -> None:
    signal = a_signal(SignalState.DEGRADED, SignalReason.WITNESS_ONLY, "probe: nothing else counts visitors")
    ruling = SignalGuardrail().rule(a_case(signal=signal))
    sentence = "only a witness counts: probe: nothing else counts visitors"
    assert ruling == Ruling(Strictness.REQUIRE_APPROVAL, Reason.WITNESS_ONLY, sentence)


@pytest.mark.parametrize(
    "reason", [one for one in SignalReason if one not in (SignalReason.DISAGREEING, SignalReason.WITNESS_ONLY)]
)
def test_any_other_degraded_signal_can_be_judged(reason: SignalReason) -> None:
    ruling = SignalGuardrail().rule(a_case(signal=a_signal(SignalState.DEGRADED, reason)))
    assert ruling.strictness is Strictness.ALLOW


def test_a_project_that_is_seen_is_free_to_be_acted_on() -> None:
    assert SignalGuardrail().rule(a_case()).strictness is Strictness.ALLOW
