"""While the platform is suspected nothing is rolled back."""

import pytest

from daemon.core.guardrail import Reason, Strictness
from daemon.guardrails.platform import PlatformGuardrail
from tests.unit.guardrails.cases import a_case


@pytest.mark.parametrize(
    ("seconds", "strictness"), [(300.0, Strictness.HOLD), (0.1, Strictness.HOLD), (0.0, Strictness.ALLOW)]
)
def test_I_18_a_suspicion_holds_until_it_is_over(seconds: float, strictness: Strictness) -> None:
    assert PlatformGuardrail().rule(a_case(platform_seconds_left=seconds)).strictness is strictness


def test_the_reason_says_what_the_others_suffer() -> None:
    ruling = PlatformGuardrail().rule(a_case(platform_seconds_left=1.0, platform_sentence="errors began on 4 of 9"))
    assert (ruling.reason, ruling.sentence) == (Reason.PLATFORM, "the platform is suspected: errors began on 4 of 9")


def test_afterwards_a_person_decides() -> None:
    ruling = PlatformGuardrail().rule(a_case(was_platform_suspected=True))
    assert (ruling.strictness, ruling.reason) == (Strictness.REQUIRE_APPROVAL, Reason.PLATFORM)
