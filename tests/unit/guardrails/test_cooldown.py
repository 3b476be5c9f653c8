"""The quiet time after an action, at its boundary and in its settings."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from daemon.core.guardrail import Reason, Strictness
from daemon.guardrails.cooldown import Cooldown
from tests.unit.guardrails.cases import a_case


@pytest.mark.parametrize(
    ("age", "strictness"),
    [
        (None, Strictness.ALLOW),
        (0.0, Strictness.REQUIRE_APPROVAL),
        (599.9, Strictness.REQUIRE_APPROVAL),
        (600.0, Strictness.ALLOW),
    ],
)
def test_an_action_within_the_period_needs_approval(age: float | None, strictness: Strictness) -> None:
    rule = Cooldown(period=timedelta(minutes=10))
    assert rule.rule(a_case(last_action_age_seconds=age)).strictness is strictness


def test_the_reason_tells_both_times() -> None:
    ruling = Cooldown(period=timedelta(minutes=10)).rule(a_case(last_action_age_seconds=240.0))
    assert (ruling.reason, ruling.sentence) == (Reason.COOLDOWN, "last action 240 s ago, cooldown 600 s")


def test_no_period_turns_it_off() -> None:
    assert Cooldown(period=timedelta(0)).rule(a_case(last_action_age_seconds=0.0)).strictness is Strictness.ALLOW


@pytest.mark.parametrize("seconds", [-1, 7 * 86_400 + 1])
def test_a_period_out_of_bounds_is_refused(seconds: int) -> None:
    with pytest.raises(ValidationError):
        Cooldown(period=timedelta(seconds=seconds))
