"""Which minutes are read and when, what the watermark says, and that every request is given once."""

from collections import Counter
from datetime import timedelta

import pytest

from daemon.core.signal import SignalReason
from daemon.ports.errors import Refused, Unavailable
from daemon.vercel.wire import to_iso
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
from tests.unit.vercel.fakes import an_error

END = START + 2 * MINUTE
NOW = END + 75 * SECOND
OTHER = "prj_OTHER"


# The window


@pytest.mark.parametrize(
    ("since", "now", "start", "end"),
    [
        (START, END + 60 * SECOND, START, END),
        (START, END + timedelta(seconds=119, microseconds=999999), START, END),
        (START - timedelta(microseconds=1), NOW, START, END),
        (START - MINUTE + timedelta(microseconds=1), NOW, START, END),
        (END - timedelta(minutes=60), NOW, END - timedelta(minutes=60), END),
        (END - timedelta(minutes=61), NOW, END - timedelta(minutes=60), END),
        (END - timedelta(days=9), NOW, END - timedelta(minutes=60), END),
    ],
)
async def test_the_window_is_whole_minutes_and_at_most_an_hour(since, now, start, end):
    watcher = Watcher(Counts(), since=since)
    await watcher.ask(now)
    assert (watcher.script.body(0)["startTime"], watcher.script.body(0)["endTime"]) == (to_iso(start), to_iso(end))
    assert watcher.script.body(1)["startTime"] == to_iso(start)


@pytest.mark.parametrize("resolution", ["closed", "fine", "auto"])
@pytest.mark.parametrize(
    ("since", "now"),
    [
        (START, START),
        (START + SECOND, START + 59 * SECOND),
        (NOW, NOW),
        (NOW + timedelta(hours=1), NOW),
    ],
)
async def test_where_no_minute_is_complete_nothing_is_asked_and_the_watermark_stays(resolution, since, now):
    watcher = Watcher(Counts(), since=since, resolution=resolution)
    reading = await watcher.read(now, close_up=resolution == "auto")
    assert (list(reading.samples), reading.complete_until, reading.source) == ([], since, "observability")
    assert watcher.asked == []


@pytest.mark.parametrize("since", [START, START + SECOND])
async def test_a_minute_stays_closed_for_as_long_as_the_lag_says(since):
    watcher = Watcher(visible(9, now=600), since=since, lag=timedelta(seconds=90))
    await watcher.ask(START + timedelta(seconds=149 if since == START else 209))
    assert watcher.asked == []
    assert (await watcher.read(START + 210 * SECOND)).complete_until == END


async def test_between_two_closed_minutes_nothing_is_asked():
    counts = visible(9, now=600)
    watcher = Watcher(counts)
    await watcher.read(NOW)
    watcher.forget_asked()
    for seconds in range(5, 45, 5):
        reading = await watcher.read(NOW + seconds * SECOND)
        assert (list(reading.samples), reading.complete_until) == ([], END)
    assert watcher.asked == []
    assert (await watcher.read(NOW + 45 * SECOND)).complete_until == END + MINUTE


async def test_the_closed_minutes_before_are_read_again_as_far_as_late_counts_may_come():
    watcher = Watcher(visible(9, now=900), late_max=timedelta(minutes=2))
    await watcher.read(NOW + 3 * MINUTE)
    await watcher.read(NOW + 4 * MINUTE)
    assert watcher.script.body()["startTime"] == to_iso(END + MINUTE)


# The watermark


@pytest.mark.parametrize("counts", [Counts(), visible(0, now=0)])
async def test_a_window_without_any_count_has_no_sample_and_is_read_again(counts):
    watcher = Watcher(counts)
    for _ in range(2):
        reading = await watcher.read(NOW)
        assert (list(reading.samples), reading.complete_until) == ([], START)
    assert len(watcher.asked) == 4


@pytest.mark.parametrize("deployment", ["dpl_a", ""])
async def test_the_watermark_is_the_end_of_the_last_minute_with_any_count(deployment):
    counts = Counts()
    counts.show(0, 4, deployment=deployment)
    assert (await Watcher(counts).read(NOW)).complete_until == START + MINUTE


async def test_an_open_minute_with_counts_is_no_closed_one():
    counts = visible(4, now=195)
    reading = await Watcher(counts).read(NOW)
    assert reading.complete_until == END
    assert totals(reading.samples) == (120, 12, 0)


async def test_a_quiet_project_goes_on_with_the_counts_of_its_team():
    counts = visible(9, now=600, project=OTHER)
    watcher = Watcher(counts)
    entries = await watcher.ask(NOW, PROJECT, OTHER)
    assert (list(entries[PROJECT].samples), entries[PROJECT].complete_until) == ([], END)


async def test_a_quiet_project_that_was_in_trouble_catches_up_though_it_is_alone_then():
    counts = visible(9, now=600, project=OTHER)
    watcher = Watcher(counts)
    counts.unknown = {PROJECT}
    assert isinstance((await watcher.ask(NOW, PROJECT, OTHER))[PROJECT], Refused)
    counts.unknown = set()
    assert (await watcher.read(NOW)).complete_until == END


async def test_counts_of_a_team_from_before_a_clock_stepped_back_prove_nothing():
    watcher = Watcher(visible(9, now=600, project=OTHER))
    await watcher.ask(NOW, PROJECT, OTHER)
    before = START - timedelta(minutes=30)
    watcher.watermarks[PROJECT] = before
    assert (await watcher.read(before + 5 * MINUTE)).complete_until == before


async def test_late_counts_of_a_quiet_project_are_given_though_its_watermark_has_passed():
    counts = visible(9, now=600, project=OTHER)
    watcher = Watcher(counts)
    await watcher.ask(NOW, PROJECT, OTHER)
    counts.show(1, 20, status=500)
    entries = await watcher.ask(NOW + MINUTE, PROJECT, OTHER)
    assert spans(entries[PROJECT].samples) == [(60, 120, 20, 20)]


async def test_a_site_that_stays_idle_is_read_again_no_further_back_than_the_bound():
    now = START + timedelta(days=1)
    watcher = Watcher(Counts())
    for step in range(3):
        reading = await watcher.read(now + step * MINUTE)
        assert reading.complete_until == now + step * MINUTE - MINUTE - timedelta(hours=1)


async def test_a_site_that_falls_idle_is_read_again_no_further_back_than_the_bound():
    watcher = Watcher(visible(9, now=600))
    await watcher.read(START + timedelta(minutes=11))
    watermark = (await watcher.read(START + timedelta(minutes=60))).complete_until
    assert watermark == START + timedelta(minutes=9)
    assert (await watcher.read(START + timedelta(minutes=90))).complete_until == START + timedelta(minutes=29)


async def test_a_site_that_falls_idle_ages_no_further_than_a_short_bound_either():
    watcher = Watcher(visible(9, now=600), lookback_max=timedelta(minutes=5))
    await watcher.read(START + timedelta(minutes=11))
    for minute in range(12, 30):
        watermark = (await watcher.read(START + timedelta(minutes=minute))).complete_until
        assert watermark == START + timedelta(minutes=max(9, minute - 6))


@pytest.mark.parametrize("late_by", [timedelta(0), timedelta(seconds=150), timedelta(minutes=20)])
@pytest.mark.slow
async def test_minutes_that_come_as_a_whole_and_late_are_counted_once_all_the_same(late_by):
    counts = Counts()
    watcher = Watcher(counts)
    shown = 0
    for step in range(4 * 45):
        now = START + timedelta(seconds=15 * step)
        while START + (shown + 1) * MINUTE + late_by <= now:
            counts.show(shown, 30, status=500)
            shown += 1
        await watcher.read(now)
    given = watcher.given[PROJECT]
    assert spans(given) == [(60.0 * n, 60.0 * n + 60, 30, 30) for n in range(len(given))]
    assert now - watcher.watermarks[PROJECT] <= max(late_by, MINUTE) + 2 * MINUTE


# What was missed, and what lies far back


async def test_a_reading_that_got_lost_is_given_again():
    counts = visible(9, now=900)
    watcher = Watcher(counts)
    first = await watcher.read(NOW)
    lost = await watcher.read(NOW + MINUTE, keep=False)
    assert spans(lost.samples) == [(120, 180, 60, 6)]
    again = await watcher.read(NOW + 2 * MINUTE)
    assert spans(again.samples) == [(120, 180, 60, 6), (180, 240, 60, 6)]
    assert totals([*first.samples, *again.samples]) == (240, 24, 0)


async def test_what_somebody_else_counted_in_between_is_not_counted_again():
    counts = visible(20, now=2000)
    watcher = Watcher(counts)
    await watcher.read(NOW)
    watcher.watermarks[PROJECT] = START + timedelta(minutes=7, seconds=20)
    reading = await watcher.read(START + timedelta(minutes=11))
    assert spans(reading.samples) == [(480, 540, 60, 6), (540, 600, 60, 6)]


@pytest.mark.parametrize("since", [timedelta(0), timedelta(seconds=1)])
async def test_a_minute_that_the_beginning_cuts_is_left_out(since):
    reading = await Watcher(visible(9, now=900), since=START + since).read(NOW)
    assert totals(reading.samples)[0] == (60 if since else 120)


async def test_a_project_far_behind_is_read_by_a_query_of_its_own():
    counts = visible(60, now=3600)
    show_until(counts, 60, now=3600, project=OTHER)
    watcher = Watcher(counts, since=START + timedelta(minutes=50))
    watcher.watermarks[OTHER] = START
    entries = await watcher.ask(START + timedelta(minutes=53), PROJECT, OTHER)
    starts = [body["startTime"] for body in counts.bodies]
    assert starts == [to_iso(START + timedelta(minutes=50))] * 2 + [to_iso(START)] * 2
    assert [body["scope"]["projectIds"] for body in counts.bodies] == [[PROJECT]] * 2 + [[OTHER]] * 2
    assert len(entries[PROJECT].samples) == 2
    assert len(entries[OTHER].samples) == 52


async def test_a_project_far_behind_that_is_in_trouble_keeps_no_other_waiting():
    counts = visible(60, now=3600)
    serve = counts.__call__
    watcher = Watcher(
        lambda request: an_error(500) if OTHER.encode() in request.content else serve(request),
        since=START + timedelta(minutes=50),
    )
    watcher.watermarks[OTHER] = START
    entries = await watcher.ask(START + timedelta(minutes=53), PROJECT, OTHER)
    assert isinstance(entries[OTHER], Unavailable)
    assert len(entries[PROJECT].samples) == 2


async def test_time_further_back_than_the_bound_is_not_covered_and_that_is_said():
    counts = visible(200, now=12000)
    watcher = Watcher(counts)
    reading = await watcher.read(START + timedelta(minutes=121))
    assert reading.complete_until == START + timedelta(minutes=120)
    assert reading.covered == pytest.approx(0.5)
    assert (await watcher.read(START + timedelta(minutes=122))).covered == 1.0


# Counts that come late, or are taken back


async def test_late_counts_are_an_increment_of_their_own_minute():
    counts = visible(9, now=900)
    watcher = Watcher(counts)
    await watcher.read(NOW)
    counts.show(0, 5, status=503)
    reading = await watcher.read(NOW + MINUTE)
    assert spans(reading.samples) == [(0, 60, 5, 5), (120, 180, 60, 6)]
    assert [one.is_late for one in reading.samples] == [True, False]


async def test_counts_later_than_what_is_read_again_are_lost():
    counts = visible(9, now=900)
    watcher = Watcher(counts, late_max=timedelta(minutes=1))
    await watcher.read(NOW + MINUTE)
    counts.show(0, 5, status=503)
    assert spans((await watcher.read(NOW + 2 * MINUTE)).samples) == [(180, 240, 60, 6)]


async def test_what_is_taken_back_is_told_and_carried():
    counts = visible(9, now=900)
    watcher = Watcher(counts)
    await watcher.read(NOW)
    counts.show(1, -54)
    counts.show(1, -6, status=500)
    reading = await watcher.read(NOW + MINUTE)
    assert (spans(reading.samples), reading.corrections) == ([], 1)
    reading = await watcher.read(NOW + 2 * MINUTE)
    assert (spans(reading.samples), reading.corrections) == ([(180, 240, 60, 6)], 0)


async def test_an_answer_without_any_count_takes_nothing_back():
    counts = visible(9, now=900)
    watcher = Watcher(counts)
    await watcher.read(NOW)
    shown, counts.cells = counts.cells, Counter()
    reading = await watcher.read(NOW + MINUTE)
    assert (spans(reading.samples), reading.corrections, reading.complete_until) == ([], 0, END)
    counts.cells = shown
    assert spans((await watcher.read(NOW + MINUTE)).samples) == [(120, 180, 60, 6)]


# Memory


@pytest.mark.slow
async def test_a_project_that_nobody_wants_any_more_is_forgotten():
    counts = visible(200, now=12000)
    show_until(counts, 200, now=12000, project=OTHER)
    watcher = Watcher(counts)
    await watcher.ask(NOW, PROJECT, OTHER)
    (team,) = watcher.source._teams.values()
    for minute in range(1, 62):
        await watcher.ask(NOW + minute * MINUTE, PROJECT)
    assert set(team._tracks) == {PROJECT}
    assert all(len(track.offered.counts) <= 4 for track in team._tracks.values())


async def test_more_errors_than_requests_are_the_trouble_of_one_project_alone():
    counts = visible(9, now=900)
    show_until(counts, 9, now=900, project=OTHER)

    def bend(answer):
        if len(answer["query"]["groupBy"]) == 2:
            for part in ("data", "summary"):
                answer[part] = [row for row in answer[part] if row["project_id"] != OTHER]
        return answer

    counts.bend = bend
    watcher = Watcher(counts)
    entries = await watcher.ask(NOW, PROJECT, OTHER)
    assert entries[OTHER].reason is SignalReason.INCONSISTENT
    assert totals(entries[PROJECT].samples) == (120, 12, 0)
