"""After somebody else moved production, an action needs approval until the hold is over."""

import pytest

from daemon.core.guardrail import Reason, Strictness
from daemon.guardrails.stood_down import StoodDownGuardrail
from tests.unit.guardrails.cases import a_case


@pytest.mark.parametrize(
    ("seconds", "strictness"),
    [
        (1800.0, Strictness.REQUIRE_APPROVAL),
        (0.1, Strictness.REQUIRE_APPROVAL),
        (0.0, Strictness.ALLOW),
        (-5.0, Strictness.ALLOW),
    ],
)
def test_I_31_a_hold_asks_until_it_is_over(seconds: float, strictness: Strictness) -> None:
    assert StoodDownGuardrail().rule(a_case(hold_seconds_left=seconds)).strictness is strictness


def test_the_reason_says_who_moved_what_and_how_long_it_holds() -> None:
    ruling = StoodDownGuardrail().rule(a_case(hold_seconds_left=60.0, hold_sentence="somebody else moved production"))
    assert ruling.reason is Reason.STOOD_DOWN
    assert ruling.sentence == "somebody else moved production; hands off for another 60 s"
