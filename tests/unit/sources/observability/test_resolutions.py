"""Minutes that are read while they grow, the lag that is measured, and switching between both resolutions."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.ports.source import Reading
from tests.unit.sources.observability.serving import (
    MINUTE,
    PROJECT,
    SECOND,
    START,
    Counts,
    Watcher,
    show_until,
    spans,
    totals,
    visible,
)

# Looking closely


async def poll(watcher: Watcher, counts: Counts, seconds: float, *, lag: float = 30.0, close_up: bool) -> Reading:
    show_until(counts, 40, now=seconds, lag=lag)
    return await watcher.read(START + seconds * SECOND, close_up=close_up)


async def test_auto_reads_closed_minutes_until_something_was_activated():
    counts = Counts()
    watcher = Watcher(counts)
    for seconds in range(10, 400, 10):
        await poll(watcher, counts, seconds, close_up=False)
    assert {len(body["groupBy"]) for body in counts.bodies} == {2, 4}
    assert len(counts.bodies) == 2 * 5


async def test_auto_turns_fine_once_growth_was_seen_and_gives_increments_at_every_poll():
    counts = Counts()
    watcher = Watcher(counts)
    for seconds in range(10, 300, 10):
        await poll(watcher, counts, seconds, close_up=True)
    for seconds in range(300, 400, 10):
        before = watcher.watermarks[PROJECT]
        reading = await poll(watcher, counts, seconds, close_up=True)
        assert len(reading.samples) >= 1
        assert reading.complete_until - before == 10 * SECOND
        assert START + seconds * SECOND - reading.complete_until == pytest.approx(30 * SECOND, abs=2 * SECOND)
    assert {len(body["groupBy"]) for body in counts.bodies} == {4}


async def test_the_first_closed_look_at_a_close_up_gives_closed_minutes_only():
    counts = visible(3, now=130)
    reading = await Watcher(counts).read(START + 130 * SECOND, close_up=True)
    assert spans(reading.samples) == [(0, 60, 60, 6)]


async def test_auto_stays_closed_where_the_open_minute_is_absent():
    counts = Counts()
    watcher = Watcher(counts)
    for seconds in range(10, 900, 10):
        show_until(counts, 40, now=60 * (seconds // 60), lag=0)
        await watcher.read(START + seconds * SECOND, close_up=True)
    counts.bodies.clear()
    for seconds in range(900, 1020, 10):
        show_until(counts, 40, now=60 * (seconds // 60), lag=0)
        await watcher.read(START + seconds * SECOND, close_up=True)
    assert len(counts.bodies) == 2 * 2
    assert spans(watcher.given[PROJECT]) == [(60.0 * n, 60.0 * n + 60, 60, 6) for n in range(15)]


@pytest.mark.parametrize("is_refused", [True, False])
async def test_counts_of_more_projects_are_not_taken_for_growth(is_refused):
    counts = Counts()
    watcher = Watcher(counts, dialect="v2")
    for minute in range(8):
        # An open minute shows its counts at once and adds nothing; now and then those of a second project are seen.
        counts.show(minute, 30)
        counts.show(minute, 60, project="prj_other")
        for seconds in (20, 40):
            is_seen = minute % 2 and seconds == 40
            counts.unknown = set() if is_seen or not is_refused else {"prj_other"}
            more = ["prj_other"] if is_seen or is_refused else []
            await watcher.ask(START + minute * MINUTE + seconds * SECOND, PROJECT, *more, close_up=True)
    assert [one.end - one.start for one in watcher.given[PROJECT]] == [MINUTE] * 6


async def test_closed_never_looks_closer():
    counts = Counts()
    watcher = Watcher(counts, resolution="closed")
    for seconds in range(10, 400, 10):
        await poll(watcher, counts, seconds, close_up=True)
    assert len(counts.bodies) == 2 * 5
    assert spans(watcher.given[PROJECT]) == [(60.0 * n, 60.0 * n + 60, 60, 6) for n in range(5)]


async def test_fine_looks_at_every_project_at_every_poll():
    counts = Counts()
    watcher = Watcher(counts, resolution="fine")
    for seconds in range(10, 400, 10):
        await poll(watcher, counts, seconds, close_up=False)
    assert len(counts.bodies) == 39
    assert len(watcher.given[PROJECT]) > 20
    assert totals(watcher.given[PROJECT])[0] == pytest.approx(365, abs=5)


async def test_I_09_fine_gives_nothing_of_minutes_that_ingestion_has_not_reached():
    counts = Counts()
    watcher = Watcher(counts, resolution="fine")
    for seconds in range(10, 300, 10):
        await poll(watcher, counts, seconds, close_up=False)
    stalled = watcher.watermarks[PROJECT]
    for seconds in range(300, 500, 10):
        reading = await watcher.read(START + seconds * SECOND)
        assert list(reading.samples) == []
        assert reading.complete_until <= START + 300 * SECOND
    assert watcher.watermarks[PROJECT] >= stalled


@pytest.mark.slow
async def test_the_tail_of_a_minute_is_no_late_increment_where_the_lag_is_known():
    counts = Counts()
    watcher = Watcher(counts)
    for seconds in range(10, 900, 10):
        await poll(watcher, counts, seconds, close_up=True)
    given = [sample for sample in watcher.given[PROJECT] if sample.start >= START + 300 * SECOND]
    assert not any(one.is_late for one in given)
    assert all(one.end <= two.start for one, two in pairwise(given))


async def test_the_lag_is_measured_and_told():
    counts = Counts()
    watcher = Watcher(counts, resolution="closed")
    for seconds in range(15, 600, 15):
        reading = await poll(watcher, counts, seconds, lag=41, close_up=False)
    assert reading.lag == pytest.approx(41 * SECOND, abs=2 * SECOND)


async def test_a_minute_stays_closed_for_as_long_as_counts_are_known_to_lag():
    counts = Counts()
    watcher = Watcher(counts, resolution="closed")
    for seconds in range(15, 1200, 15):
        await poll(watcher, counts, seconds, lag=100, close_up=False)
    counts.bodies.clear()
    for seconds in range(1200, 1320, 15):
        await poll(watcher, counts, seconds, lag=100, close_up=False)
    assert len(counts.bodies) == 2 * 2
    assert spans(watcher.given[PROJECT])[-2:] == [(60 * n, 60 * n + 60.0, 60, 6) for n in (18, 19)]


CLOSE = st.lists(st.booleans(), min_size=20, max_size=60)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(CLOSE, st.integers(3, 40), st.sampled_from([20, 30, 55, 70]))
def test_switching_between_both_resolutions_counts_every_request_once(close_ups, every, lag):
    async def play() -> None:
        counts = Counts()
        watcher = Watcher(counts)
        seconds = 0
        for is_close_up in close_ups:
            seconds += every
            await poll(watcher, counts, seconds, lag=lag, close_up=is_close_up)
        show_until(counts, seconds // 60 + 1, now=seconds + 600)
        for _ in range(6):
            seconds += 60
            await watcher.read(START + seconds * SECOND)
        assert totals(watcher.given[PROJECT]) == counted(counts)

    asyncio.run(play())


EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["dpl_a", "dpl_b"]),
            st.integers(0, 2),  # minutes back
            st.sampled_from(["200", "499", "500", "503"]),
            st.sampled_from(["", "INTERNAL_X"]),
            st.integers(-5, 30),
        ),
        st.tuples(st.integers(1, 30), st.booleans(), st.booleans()),  # seconds until a poll, close-up, kept
    ),
    min_size=10,
    max_size=80,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(EVENTS, st.sampled_from(["closed", "fine", "auto"]), st.sampled_from(["v2", "metrics_v1"]))
def test_late_counts_corrections_and_lost_readings_in_any_order_end_with_the_truth(events, resolution, dialect):
    async def play() -> None:
        counts = Counts()
        watcher = Watcher(counts, resolution=resolution, dialect=dialect, late_max=timedelta(minutes=15))
        seconds = 0
        for event in events:
            if len(event) == 5:
                deployment, back, status, code, count = event
                change(counts, max(0, seconds // 60 - back), count, deployment=deployment, status=status, code=code)
                continue
            wait, is_close_up, is_kept = event
            seconds += wait
            await watcher.ask(START + seconds * SECOND, close_up=is_close_up, keep=is_kept)
        # Enough further traffic pays what was taken back, and shows that ingestion goes on.
        for minute in range(seconds // 60 + 1, seconds // 60 + 5):
            for deployment in ("dpl_a", "dpl_b"):
                counts.show(minute, 5000, deployment=deployment)
                counts.show(minute, 3000, deployment=deployment, status=500)
                counts.show(minute, 2000, deployment=deployment, status=500, code="INTERNAL_X")
        for minute in range(9):
            await watcher.read(START + (seconds + 60 * minute) * SECOND)
        assert totals(watcher.given[PROJECT]) == counted(counts)

    asyncio.run(play())


def change(counts: Counts, minute: int, count: int, *, deployment: str, status: str, code: str) -> None:
    """Count more, or take back at most what is there."""
    key = (START + minute * MINUTE, PROJECT, deployment, status, code)
    counts.show(minute, max(count, -counts.cells[key]), deployment=deployment, status=status, code=code)


def counted(counts: Counts) -> tuple[int, int, int]:
    failed = {key: count for key, count in counts.cells.items() if key[3].startswith("5")}
    platform = sum(count for key, count in failed.items() if key[4])
    return counts.cells.total(), sum(failed.values()) - platform, platform
