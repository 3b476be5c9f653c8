"""The table of recordings is whole, says what is true, and stands in the documentation."""

import re
import shlex

import pytest

from tests.conformance.recording import RECORDINGS, load_recording
from tests.conformance.table import PAGE, load_index, proofs_by_case, written

RECORDED = 98


def test_every_recording_is_in_the_index_once_with_a_case_or_a_reason() -> None:
    rows = load_index()
    assert len({row.recording for row in rows}) == len(rows) == RECORDED
    assert [row.recording for row in rows if (row.case is None) == (not row.reason)] == []


def test_every_case_belongs_to_one_recording() -> None:
    cases = sorted(file.stem for file in RECORDINGS.glob("*.yaml") if file.name != "world.yaml")
    assert sorted(row.case for row in load_index() if row.case) == cases


@pytest.mark.parametrize("row", [row for row in load_index() if row.case], ids=lambda row: row.recording)
def test_a_case_runs_the_recorded_command_of_the_recorded_client_to_the_recorded_end(row) -> None:
    case = load_recording(row.case)
    assert case.arguments == tuple(shlex.split(row.command))
    assert (case.version, case.exit_code) == (row.cli, row.exit)


def test_every_case_is_reproduced_by_a_test() -> None:
    assert sorted({row.case for row in load_index() if row.case} - set(proofs_by_case())) == []


@pytest.mark.slow
def test_the_page_is_what_the_index_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page), "write it anew: python -m tests.conformance.table"


def test_the_words_of_the_rollback_guide_that_no_longer_work_say_so() -> None:
    """Vercel's guide "Rolling back a production deployment" uses these words, which the CLI of today refuses."""
    for name in ("logs-of-the-guide", "logs-by-level-of-the-guide"):
        case = load_recording(name)
        assert case.exit_code == 2
        assert any(re.search(r"was removed\. Use `vercel logs", line) for line in case.stderr)
