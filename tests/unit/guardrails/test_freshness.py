"""Nothing is done on old counts: the age at its boundary."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from daemon.core.guardrail import Reason, Strictness
from daemon.guardrails.freshness import Freshness
from tests.unit.guardrails.cases import a_case

FOUR_MINUTES = timedelta(minutes=4)


@pytest.mark.parametrize(
    ("age_seconds", "strictness"),
    [(0.0, Strictness.ALLOW), (240.0, Strictness.ALLOW), (240.1, Strictness.HOLD), (None, Strictness.HOLD)],
)
def test_I_09_counts_older_than_allowed_hold(age_seconds: float | None, strictness: Strictness) -> None:
    ruling = Freshness(age_max=FOUR_MINUTES).rule(a_case(counts_age_seconds=age_seconds))
    assert ruling.strictness is strictness
    assert ruling.reason is (Reason.STALE_SAMPLES if strictness is Strictness.HOLD else Reason.NONE)


def test_the_reason_tells_both_ages() -> None:
    ruling = Freshness(age_max=FOUR_MINUTES).rule(a_case(counts_age_seconds=300.0))
    assert ruling.sentence == "the newest counts are 300 s old, 240 s allowed"


@pytest.mark.parametrize("seconds", [59, 3601])
def test_an_age_out_of_bounds_is_refused(seconds: int) -> None:
    with pytest.raises(ValidationError):
        Freshness(age_max=timedelta(seconds=seconds))
