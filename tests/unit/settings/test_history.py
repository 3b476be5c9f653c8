"""The past against the thresholds: what is everyday, what was never reached, and where the past says nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

from daemon.core.facts import DeploymentId, ErrorRateSample
from daemon.settings import Settings
from daemon.settings.history import WINDOWS_MIN, judge_by_history

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def samples(*counts: tuple[int | None, int]) -> list[ErrorRateSample]:
    """One sample a minute: requests and errors."""
    return [
        ErrorRateSample(DeploymentId("dpl_a"), START + MINUTE * n, START + MINUTE * (n + 1), requests, errors)
        for n, (requests, errors) in enumerate(counts)
    ]


def found(past: list[ErrorRateSample], **detector: Any) -> list[str]:
    settings = Settings.model_validate(
        {"projects": [{"name": "blog"}, {"name": "shop", "detectors": [{"kind": "threshold", **detector}]}]}
    )
    found = list(judge_by_history(settings, 1, past))
    assert all(one.inputs[0][:4] == ("projects", 1, "detectors", 0) for one in found)
    return [f"{one.inputs[0][-1]}: {one.message.partition(';')[0]}" for one in found]


def test_a_threshold_above_everyday_and_traffic_enough_is_no_finding() -> None:
    assert found(samples(*[(20, 0)] * 20, *[(100, 4)] * 20)) == []


def test_a_threshold_that_the_middle_window_reaches_is_everyday_and_one_just_above_is_not() -> None:
    past = samples(*[(100, 0)] * 15, *[(100, 5)] * 16)
    assert found(past, max_error_rate=0.05) == [
        "max_error_rate: max_error_rate 0.05 is everyday: of the windows on record that have enough requests the "
        "middle one failed at 0.05"
    ]
    assert found(past, max_error_rate=0.051) == []
    assert found(samples(*[(100, 0)] * 16, *[(100, 50)] * 15)) == [], "a bad hour is not everyday"


def test_requests_that_no_window_ever_had_are_told_and_what_one_had_is_enough() -> None:
    past = samples(*[(3, 0)] * 40, (19, 0))
    assert found(past) == [
        "min_requests: min_requests 20 was never met: the busiest of 41 windows on record had 19 requests, so that "
        "nothing would ever be called bad"
    ]
    assert found(past, min_requests=19) == []


def test_a_longer_window_holds_more() -> None:
    assert found(samples(*[(10, 0)] * 60), window="PT2M") == []


def test_too_short_a_past_and_errors_counted_alone_say_nothing() -> None:
    assert found(samples(*[(3, 3)] * (WINDOWS_MIN - 1))) == []
    assert len(found(samples(*[(3, 3)] * WINDOWS_MIN))) == 1
    assert found(samples(*[(None, 50)] * 50)) == []
    assert found(samples(*[(3, 3)] * 50), errors_per_minute_max=1) == []
