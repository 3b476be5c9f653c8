"""The shapes of traffic: what a day, an hour and a minute of each look like."""

from statistics import fmean

import pytest

from daemon.emulator import ManualClock, World
from daemon.emulator.shapes import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    TrafficShape,
    is_minutes_second,
    mean_of_second,
)
from tests.unit.emulator.driving import a_project, a_scenario

MONDAY_MS = 1_795_392_000_000 - 1_795_392_000_000 % DAY_MS


def minutes(shape: TrafficShape, *, hours: int = 24, key: str = "k") -> list[float]:
    first = MONDAY_MS
    return [mean_of_second(shape, 1.0, at_ms=first + step * MINUTE_MS, key=key) for step in range(hours * 60)]


def test_flat_traffic_does_not_change() -> None:
    assert set(minutes("flat")) == {1.0}


def test_daily_traffic_is_low_at_night_and_lower_on_sundays() -> None:
    def hour(number: int, day: int = 0) -> float:
        return mean_of_second("daily", 1.0, at_ms=MONDAY_MS + day * DAY_MS + number * HOUR_MS, key="k")

    assert hour(4) < 0.4 < 1.5 < hour(16)
    week = [fmean(hour(number, day) for number in range(24)) for day in range(7)]
    assert sorted(week)[:2] == pytest.approx([0.6, 0.6])
    assert fmean(week) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("shape", "factor", "low"), [("bursts", 8.0, 0.7), ("bots", 15.0, 1.0), ("quiet", 1.0, 0.0)])
def test_bursts_come_at_times_that_the_key_decides(shape: TrafficShape, factor: float, low: float) -> None:
    seen = minutes(shape)
    assert set(seen) == {factor, low}
    assert 0.01 < seen.count(factor) / len(seen) < 0.3
    assert seen == minutes(shape)
    assert seen != minutes(shape, key="other")


def test_one_request_a_minute_comes_in_the_same_second_of_every_minute() -> None:
    seconds = [is_minutes_second(MONDAY_MS + step * SECOND_MS, "k") for step in range(600)]
    assert sum(seconds) == 10
    assert {step % 60 for step, hit in enumerate(seconds) if hit} == {seconds.index(True)}


def test_a_project_of_one_request_a_minute_gets_exactly_that() -> None:
    traffic = {"requests_per_second": 50, "shape": "minutely"}
    clock = ManualClock()
    world = World(a_scenario(projects=[a_project(traffic=traffic)], history="0s"), clock)
    clock.advance(600)
    world.advance()
    assert len(world.traffic_of(world.project("web")).counts.rows) == 10


def test_a_burst_can_be_seen_in_the_requests() -> None:
    traffic = {"requests_per_second": 2, "shape": "bursts"}
    clock = ManualClock()
    world = World(a_scenario(projects=[a_project(traffic=traffic)], history="0s"), clock)
    clock.advance(3600)
    world.advance()
    rows = world.traffic_of(world.project("web")).counts.rows
    counts = [
        sum(row.at_ms // MINUTE_MS == clock.now_ms() // MINUTE_MS - step for row in rows) for step in range(1, 60)
    ]
    assert max(counts) > 5 * sorted(counts)[len(counts) // 2]
