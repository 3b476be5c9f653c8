"""What counts as a difference from a recording, and what does not: order within `&`, number of `+`, and times."""

import pytest

from daemon.emulator.ledger import LedgerEntry
from tests.conformance.recording import RECORDINGS, Recording, load_recording, words
from tests.conformance.vercel_cli import CliRun

USER, TEAM, PROJECT, POST, POLL = "GET /user", "GET /team", "GET /project", "POST /rollback {}", "GET /job"
RECORDED = Recording(
    arguments=("rollback", "x"),
    exit_code=0,
    requests=tuple(f"{line} -> 200" for line in (USER, f"& {TEAM}", f"& {PROJECT}", POST, f"+ {POLL}")),
    stdout=(),
    stderr=("Rollback in progress…", "> Success! [{took}]"),
)
STDERR = "Rollback in progress…\nRollback in progress…\n> Success! [818ms]\n"


def found(*requests: str, exit_code: int = 0, stdout: str = "", stderr: str = STDERR) -> list[str]:
    run = CliRun(RECORDED.arguments, exit_code, stdout, stderr)
    return RECORDED.differences(run, [entry(line) for line in requests])


def entry(line: str) -> LedgerEntry:
    method, path, body = (*line.split(), "")[:3]
    return LedgerEntry(
        number=1, at_ms=0, method=method, path=path, query="", body=body, token=None, route="", kind="read", status=200
    )


@pytest.mark.parametrize(
    "requests",
    [
        (USER, TEAM, PROJECT, POST, POLL),
        (USER, PROJECT, TEAM, POST, POLL),
        (USER, TEAM, PROJECT, POST, POLL, POLL, POLL),
    ],
    ids=["as recorded", "parallel swapped", "polled thrice"],
)
def test_the_order_of_parallel_requests_and_the_number_of_polls_are_free(requests: tuple[str, ...]) -> None:
    assert found(*requests) == []


@pytest.mark.parametrize(
    "requests",
    [
        (TEAM, USER, PROJECT, POST, POLL),
        (USER, TEAM, PROJECT, POST, POST, POLL),
        (USER, TEAM, PROJECT, POST),
        (USER, TEAM, PROJECT, POLL, POST),
        (USER, TEAM, TEAM, POST, POLL),
        (USER, TEAM, PROJECT, POST, POLL, USER),
        (USER, TEAM, PROJECT, "POST /rollback", POLL),
    ],
    ids=["order", "posted twice", "never polled", "polled before", "one team too many", "one more", "no body"],
)
def test_any_other_request_is_a_difference(requests: tuple[str, ...]) -> None:
    assert "--- requests recorded" in found(*requests)


def test_exit_code_and_words_are_compared() -> None:
    as_recorded = (USER, TEAM, PROJECT, POST, POLL)
    assert found(*as_recorded, exit_code=1) == ["exit code 1, recorded 0"]
    assert "+chatter" in found(*as_recorded, stdout="chatter")
    assert "-> Success! [{took}]" in found(*as_recorded, stderr="Rollback in progress…\n")


def test_times_are_replaced_and_other_numbers_are_not() -> None:
    text = "web was rolled back to dpl_06 (409) [1.2s]\nrequested at 21 November 2026 20:20:12 [6s ago]…\n"
    assert words(text) == ("web was rolled back to dpl_06 (409) [{took}]", "requested at {when} [{took} ago]…")


def test_every_recording_can_be_read_and_begins_by_asking_for_the_user() -> None:
    names = sorted(file.stem for file in RECORDINGS.glob("*.yaml") if file.name != "world.yaml")
    assert names
    for name in names:
        assert load_recording(name).requests[0].startswith("GET /v2/user -> "), name
