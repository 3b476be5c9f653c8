"""One rollback applied per suspect, and two requests, for ever."""

import pytest

from daemon.core.guardrail import Reason, Strictness
from daemon.guardrails.once_per_suspect import OncePerSuspectGuardrail
from tests.unit.guardrails.cases import a_case


@pytest.mark.parametrize(
    ("sends", "strictness"), [(0, Strictness.ALLOW), (1, Strictness.ALLOW), (2, Strictness.DENY), (3, Strictness.DENY)]
)
def test_I_16_a_third_request_is_denied(sends: int, strictness: Strictness) -> None:
    ruling = OncePerSuspectGuardrail().rule(a_case(sends=sends))
    assert ruling.strictness is strictness
    assert ruling.reason is (Reason.SENT_TWICE if strictness is Strictness.DENY else Reason.NONE)


def test_I_16_a_suspect_that_was_rolled_back_is_denied() -> None:
    ruling = OncePerSuspectGuardrail().rule(a_case(was_rolled_back=True))
    assert (ruling.strictness, ruling.reason) == (Strictness.DENY, Reason.ALREADY_ROLLED_BACK)
