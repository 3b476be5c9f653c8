"""The gates of a rollback, one by one, at both sides of every bound, in the order in which reasons are given."""

from typing import Any

import pytest

from daemon.detectors.evidence.gates import Standing, age_needed, examine, severe_buckets
from daemon.detectors.evidence.knobs import Design

DESIGN = Design(requests_min=50)
PASSING: dict[str, Any] = {
    "evidence": 1000.0, "rate": 0.02, "limit": 0.02, "nats": 6.0, "nats_min": 6.0, "requests": 100, "errors": 5,
    "onset_after": 0.0, "recent_rate": 0.025, "age": 120.0, "severe_run": 0, "poll": 10.0, "sustain": 90.0,
}  # fmt: skip
NAMES = [
    "evidence", "rate", "cusum", "min_errors", "min_requests", "onset_in_window", "recent_rate", "sustained_seconds",
]  # fmt: skip


def failed(**facts: Any) -> list[str]:
    return [gate.name for gate in examine(Standing(**(PASSING | facts)), DESIGN) if not gate.passed]


def test_are_always_all_told_in_one_order() -> None:
    assert [gate.name for gate in examine(Standing(**PASSING), DESIGN)] == NAMES
    assert failed() == []


@pytest.mark.parametrize(
    ("facts", "gate"),
    [
        ({"evidence": 999.9}, "evidence"),
        ({"rate": 0.0199}, "rate"),
        ({"nats": 5.99}, "cusum"),
        ({"nats": 0.0, "nats_min": 0.0}, "cusum"),
        ({"errors": 4, "recent_rate": 0.5}, "min_errors"),
        ({"requests": 49, "recent_rate": 0.5}, "min_requests"),
        ({"onset_after": -0.1}, "onset_in_window"),
        ({"onset_after": 900.0}, "onset_in_window"),
        ({"onset_after": None}, "onset_in_window"),
        ({"recent_rate": 0.0199, "errors": 5, "requests": 200}, "recent_rate"),
        ({"recent_rate": 0.049, "errors": 10}, "recent_rate"),
        ({"age": 119.0}, "sustained_seconds"),
    ],
)
def test_each_fails_alone_just_outside_its_bound(facts: dict[str, Any], gate: str) -> None:
    assert failed(**facts) == [gate]


@pytest.mark.parametrize(
    "facts",
    [
        {"onset_after": 899.9},
        {"nats": 0.001, "nats_min": 0.0},
        {"recent_rate": 0.05, "errors": 10},
        {"nats": 40.0, "nats_min": 40.0},
        {"requests": 50, "errors": 5, "recent_rate": 0.05},
    ],
)
def test_each_passes_at_its_bound(facts: dict[str, Any]) -> None:
    assert failed(**facts) == []


@pytest.mark.parametrize(
    ("poll", "run", "age", "is_enough"),
    [
        (10.0, 3, 30.0, True),
        (10.0, 3, 29.0, False),
        (10.0, 2, 60.0, False),
        (20.0, 2, 60.0, False),
        (20.0, 3, 40.0, True),
        (20.0, 3, 39.0, False),
        (21.0, 2, 42.0, True),
        (30.0, 2, 60.0, True),
        (30.0, 2, 59.0, False),
        (60.0, 1, 60.0, False),
        (60.0, 2, 120.0, True),
    ],
)
def test_nearly_total_failure_needs_three_buckets_or_two_of_long_polls_and_two_polls_of_age(
    poll: float, run: int, age: float, is_enough: bool
) -> None:
    assert ("sustained_seconds" not in failed(poll=poll, severe_run=run, age=age)) is is_enough


def test_nearly_total_failure_never_takes_longer_than_any_other() -> None:
    assert age_needed(Standing(**(PASSING | {"severe_run": 3, "poll": 100.0}))) == 120.0


def test_two_severe_buckets_are_enough_only_where_polls_are_longer_than_twenty_seconds() -> None:
    assert (severe_buckets(20.0), severe_buckets(20.1)) == (3, 2)
