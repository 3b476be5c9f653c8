"""How far the operator lets the daemon go."""

import pytest

from daemon.core.guardrail import Posture, Reason, Strictness
from daemon.guardrails.posture import PostureGuardrail
from tests.unit.guardrails.cases import a_case


@pytest.mark.parametrize(
    ("posture", "strictness", "reason"),
    [
        (Posture.OBSERVE, Strictness.HOLD, Reason.POSTURE_OBSERVE),
        (Posture.APPROVE, Strictness.REQUIRE_APPROVAL, Reason.POSTURE_APPROVE),
        (Posture.AUTOMATIC, Strictness.ALLOW, Reason.NONE),
    ],
)
def test_I_28_only_posture_automatic_acts_by_itself(posture: Posture, strictness: Strictness, reason: Reason) -> None:
    ruling = PostureGuardrail().rule(a_case(posture=posture))
    assert (ruling.strictness, ruling.reason) == (strictness, reason)
