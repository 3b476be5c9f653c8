"""An active rolling release holds."""

import pytest

from daemon.core.guardrail import Reason, Strictness
from daemon.guardrails.rolling_release import RollingReleaseGuardrail
from tests.builders import BAD, a_production
from tests.unit.guardrails.cases import a_case


@pytest.mark.parametrize(
    ("is_active", "strictness", "reason"),
    [(True, Strictness.HOLD, Reason.ROLLING_RELEASE), (False, Strictness.ALLOW, Reason.NONE)],
)
def test_an_active_rolling_release_holds(is_active: bool, strictness: Strictness, reason: Reason) -> None:
    production = a_production(BAD, is_rolling_release_active=is_active)
    ruling = RollingReleaseGuardrail().rule(a_case(production=production))
    assert (ruling.strictness, ruling.reason) == (strictness, reason)
