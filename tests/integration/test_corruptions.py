"""Whatever comes of a source, nothing is done that should not be, the right thing is said, and it ends when it ends.

A deployment that fails three requests of ten serves all the while, so that a wrong step would be tempting, and that the
rollback which follows proves what held it.
"""

from typing import Any

import pytest

from tests.integration.corruptions.matrix import CASES, Absorbed, Case, Reason
from tests.integration.corruptions.play import play
from tests.integration.virtual_time import run_virtually

OFTEN = {
    "shifted-window-v2",
    "ratio-over-1-v2",
    "duplicate-rows-v2",
    "nan-prometheus",
    "html-with-200-metrics_v1",
    "401-midway-request_logs",
    "wrong-signature-log_drain",
    "missing-deployment-probe",
    "replayed-batches-log_drain",
    "open-minute-absent-v2_fine",
    "out-of-order-v2",
}
"""One of every sort is played each time; the whole matrix is a proof."""
CONTRADICTIONS = (Reason.INCONSISTENT, Reason.SHIFTED_WINDOW)


# A spoiled answer is told apart from one of those that nobody knows by leaving the latter at their defaults.
pytestmark = pytest.mark.default_answers


def _marked(cases: list[Case]) -> list[Any]:
    marks = {case.id: pytest.mark.slow if case.id in OFTEN else pytest.mark.proof for case in cases}
    return [pytest.param(case, id=case.id, marks=marks[case.id]) for case in cases]


HARMLESS = [case for case in CASES if isinstance(case.fate, Absorbed)]
CONTRADICTING = [case for case in CASES if getattr(case.fate, "reason", None) in CONTRADICTIONS]
UNUSABLE = [case for case in CASES if case not in HARMLESS and case not in CONTRADICTING]


def test_the_matrix_is_as_large_as_was_promised() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    assert len({case.corruption for case in CASES}) >= 24
    assert {case.id for case in CASES} >= OFTEN


@pytest.mark.parametrize("case", _marked(UNUSABLE))
def test_I_01_unusable_counts_cause_no_action_and_the_rollback_comes_when_they_heal(case: Case) -> None:
    run_virtually(play(case))


@pytest.mark.parametrize("case", _marked(CONTRADICTING))
def test_I_08_counts_that_contradict_themselves_are_discarded_until_they_heal(case: Case) -> None:
    run_virtually(play(case))


@pytest.mark.parametrize("case", _marked(HARMLESS))
def test_I_09_harmless_disorder_is_absorbed_and_every_request_counts_once(case: Case) -> None:
    run_virtually(play(case))
