"""The observability query: what is asked, what is counted, and which answers are refused."""

import json
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.facts import ErrorRateSample
from daemon.ports.errors import Refused, Unavailable, Unintelligible
from daemon.sources.observability import GROUPS_MAX, Observability, ObservabilitySettings, ceil_minute, floor_minute
from daemon.vercel.wire import to_iso
from tests.unit.vercel.fakes import PROJECT, TEAM, a_transport, an_error, answers, by_path
from tests.unit.vercel.shapes import a_project_body

START = datetime(2026, 11, 21, 20, 10, tzinfo=UTC)
END = START + timedelta(minutes=2)
NOW = END + timedelta(seconds=75)
MINUTE = timedelta(minutes=1)
COUNT = "vercel_request_count_sum"


def a_cell(minute: int, deployment: object, status: object, count: object) -> dict[str, object]:
    return {
        "timestamp": to_iso(START + minute * MINUTE),
        "deployment_id": deployment,
        "http_status": status,
        COUNT: count,
    }


CELLS = (
    a_cell(0, "dpl_a", "200", 90),
    a_cell(1, "dpl_a", "200", 80),
    a_cell(0, "dpl_a", "500", 7),
    a_cell(1, "dpl_a", "500", 0),
    a_cell(0, "dpl_a", "503", 3),
    a_cell(1, "dpl_a", "503", 0),
    a_cell(0, "dpl_b", "200", 0),
    a_cell(1, "dpl_b", "200", 5),
)


def a_summary(cells) -> list[dict[str, object]]:
    totals: dict[tuple[object, object], object] = {}
    for cell in cells:
        key = (cell["deployment_id"], cell["http_status"])
        totals[key] = totals.get(key, 0) + cell[COUNT]
    return [{"deployment_id": d, "http_status": s, COUNT: n} for (d, s), n in totals.items()]


def an_answer(*cells, summary=None, start=START, end=END, **query: object) -> dict[str, object]:
    echo = {"startTime": to_iso(start), "endTime": to_iso(end), "limit": GROUPS_MAX} | query
    return {"query": echo, "data": list(cells), "summary": a_summary(cells) if summary is None else summary}


def a_source(*steps, settings=None, **more):
    transport, script, _ = a_transport(*steps, **more)
    return Observability(settings or ObservabilitySettings(), transport), script


async def collect(answer: object, *, since: datetime = START, now: datetime = NOW):
    source, _ = a_source(*answers(answer))
    return await source.collect(PROJECT, since=since, now=now)


# What is asked


async def test_one_grouped_query_asks_for_whole_minutes_up_to_the_lag():
    source, script = a_source(*answers(an_answer(*CELLS)))
    await source.collect(PROJECT, since=START, now=NOW)
    assert script.asked == ["POST /v2/observability/query"]
    assert script.query() == {"teamId": TEAM}
    assert script.body() == {
        "scope": {"type": "project", "ownerId": TEAM, "projectIds": [PROJECT]},
        "metric": "vercel.request.count",
        "aggregation": "sum",
        "startTime": "2026-11-21T20:10:00.000Z",
        "endTime": "2026-11-21T20:12:00.000Z",
        "granularity": {"minutes": 1},
        "groupBy": ["deployment_id", "http_status"],
        "filter": "environment eq 'production'",
        "limit": 500,
    }


async def test_a_personal_project_is_asked_for_under_its_owner():
    routes = {
        f"/v9/projects/{PROJECT}": [a_project_body(accountId="usr_1")],
        "/v2/observability/query": [an_answer(*CELLS)],
    }
    source, script = a_source(by_path(routes), team_id=None)
    await source.collect(PROJECT, since=START, now=NOW)
    assert script.body()["scope"]["ownerId"] == "usr_1"


@pytest.mark.parametrize(
    ("since", "now", "start", "end"),
    [
        (START, END + 60 * timedelta(seconds=1), START, END),
        (START, END + timedelta(seconds=119, microseconds=999999), START, END),
        (START - timedelta(microseconds=1), NOW, START, END),
        (START - MINUTE + timedelta(microseconds=1), NOW, START, END),
        (END - timedelta(minutes=60), NOW, END - timedelta(minutes=60), END),
        (END - timedelta(minutes=61), NOW, END - timedelta(minutes=60), END),
        (END - timedelta(days=9), NOW, END - timedelta(minutes=60), END),
    ],
)
async def test_the_window_is_whole_minutes_and_at_most_an_hour(since, now, start, end):
    source, script = a_source(*answers(an_answer(start=start, end=end)))
    await source.collect(PROJECT, since=since, now=now)
    assert (script.body()["startTime"], script.body()["endTime"]) == (to_iso(start), to_iso(end))


@pytest.mark.parametrize(
    ("since", "now"),
    [
        (START, START + MINUTE + timedelta(seconds=59)),
        (START + timedelta(seconds=1), END + timedelta(seconds=59)),
        (NOW, NOW),
        (NOW + timedelta(hours=1), NOW),
    ],
)
async def test_where_no_minute_is_complete_nothing_is_asked_and_the_watermark_stays(since, now):
    source, script = a_source(httpx.Response(500))
    reading = await source.collect(PROJECT, since=since, now=now)
    assert (list(reading.samples), reading.complete_until, reading.source) == ([], since, "observability")
    assert script.requests == []


async def test_the_lag_and_the_lookback_are_settings():
    settings = ObservabilitySettings(lag=timedelta(0), lookback_max=timedelta(minutes=1, seconds=30))
    source, script = a_source(*answers(an_answer(start=START + MINUTE)), settings=settings)
    await source.collect(PROJECT, since=START, now=END)
    assert script.body()["startTime"] == to_iso(START + MINUTE)


# What is counted


async def test_each_deployment_and_minute_with_requests_gives_one_sample_in_order_of_time():
    reading = await collect(an_answer(*reversed(CELLS)))
    assert list(reading.samples) == [
        ErrorRateSample("dpl_a", START, START + MINUTE, requests=100, errors=10),
        ErrorRateSample("dpl_a", START + MINUTE, END, requests=80, errors=0),
        ErrorRateSample("dpl_b", START + MINUTE, END, requests=5, errors=0),
    ]
    assert (reading.source, reading.complete_until) == ("observability", END)


@pytest.mark.parametrize("cells", [(), (a_cell(0, "dpl_a", "200", 0), a_cell(1, "dpl_a", "200", 0))])
async def test_a_window_without_any_count_has_no_sample_and_is_read_again(cells):
    reading = await collect(an_answer(*cells))
    assert (list(reading.samples), reading.complete_until) == ([], START)


@pytest.mark.parametrize("deployment", ["dpl_a", ""])
async def test_the_watermark_is_the_end_of_the_last_minute_with_any_count(deployment):
    reading = await collect(an_answer(a_cell(0, deployment, "200", 4), a_cell(1, deployment, "200", 0)))
    assert reading.complete_until == START + MINUTE


async def test_a_site_that_stays_idle_is_read_again_no_further_back_than_the_bound():
    now = START + timedelta(days=1)
    start = now - MINUTE - timedelta(hours=1)
    assert (await collect(an_answer(start=start, end=now - MINUTE), now=now)).complete_until == start


@pytest.mark.parametrize("late_by", [timedelta(0), timedelta(seconds=150), timedelta(minutes=20)])
@pytest.mark.slow
async def test_counts_that_come_later_than_the_lag_are_counted_once_all_the_same(late_by):
    now = START

    def serve(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        start, end = (datetime.fromisoformat(body[key]) for key in ("startTime", "endTime"))
        minutes = [n for n in range(120) if start <= START + n * MINUTE < end]
        known = [n for n in minutes if START + (n + 1) * MINUTE + late_by <= now]
        cells = [a_cell(n, "dpl_a", "500", 30 if n in known else 0) for n in minutes]
        return httpx.Response(200, json=an_answer(*cells, start=start, end=end))

    source, _ = a_source(serve)
    watermark, seen = START, []
    for step in range(4 * 45):
        now = START + timedelta(seconds=15 * step)
        reading = await source.collect(PROJECT, since=watermark, now=now)
        watermark = reading.complete_until
        seen += reading.samples
    starts = [sample.start for sample in seen]
    assert starts == [START + n * MINUTE for n in range(len(starts))]
    assert watermark == START + len(starts) * MINUTE
    assert now - watermark <= max(late_by, MINUTE) + MINUTE


async def test_a_minute_that_was_filled_with_zeros_is_no_sample():
    reading = await collect(an_answer(a_cell(0, "dpl_a", "200", 0), a_cell(1, "dpl_a", "200", 4)))
    assert [sample.start for sample in reading.samples] == [START + MINUTE]


@pytest.mark.parametrize(
    ("status", "errors"), [("499", 0), ("500", 4), ("599", 4), ("600", 0), ("999", 0), ("100", 0), (500, 4)]
)
async def test_errors_are_the_statuses_from_500_to_599(status, errors):
    (sample,) = (await collect(an_answer(a_cell(0, "dpl_a", status, 4)))).samples
    assert (sample.requests, sample.errors) == (4, errors)


@pytest.mark.parametrize(
    "cell",
    [
        a_cell(0, "dpl_a", "0", 50),
        a_cell(0, "dpl_a", "", 50),
        a_cell(0, "dpl_a", None, 50),
        a_cell(0, "dpl_a", 0, 50),
        a_cell(0, "", "500", 50),
        a_cell(0, None, "500", 50),
    ],
)
async def test_requests_without_a_status_or_a_deployment_are_not_counted(cell):
    reading = await collect(an_answer(cell, a_cell(0, "dpl_a", "200", 4)))
    assert list(reading.samples) == [ErrorRateSample("dpl_a", START, START + MINUTE, requests=4, errors=0)]


@pytest.mark.parametrize("minute", [-1, 2])
@pytest.mark.parametrize("in_summary", [True, False])
async def test_a_bucket_beside_the_window_is_left_out(minute, in_summary):
    inside = a_cell(0, "dpl_a", "200", 4)
    cells = (inside, a_cell(minute, "dpl_a", "200", 3))
    reading = await collect(an_answer(*cells, summary=a_summary(cells if in_summary else [inside])))
    assert [sample.requests for sample in reading.samples] == [4]


# What is refused


@pytest.mark.parametrize(
    "answer",
    [
        an_answer(*CELLS, start=START + MINUTE),
        an_answer(*CELLS, end=END + MINUTE),
        an_answer(*CELLS, start=START - timedelta(hours=1), end=END - timedelta(hours=1)),
        an_answer(a_cell(-2, "dpl_a", "200", 4)),
        an_answer(a_cell(3, "dpl_a", "200", 4)),
    ],
)
async def test_a_shifted_window_is_refused(answer):
    with pytest.raises(Unintelligible, match="shifted window"):
        await collect(answer)


async def test_an_echo_in_another_zone_is_the_same_window():
    zone = timezone(timedelta(hours=2))
    answer = an_answer(*CELLS, startTime=START.astimezone(zone).isoformat(), endTime=END.astimezone(zone).isoformat())
    assert (await collect(answer)).complete_until == END


@pytest.mark.parametrize(
    ("groups", "limit", "is_refused"), [(499, 500, False), (500, 500, True), (9, 10, False), (10, 10, True)]
)
async def test_I_01_a_truncated_answer_is_refused(groups, limit, is_refused):
    cells = [a_cell(0, f"dpl_{n}", "200", 1) for n in range(groups)]
    if not is_refused:
        assert len((await collect(an_answer(*cells, limit=limit))).samples) == groups
        return
    with pytest.raises(Unintelligible, match="truncated"):
        await collect(an_answer(*cells, limit=limit))


async def test_groups_are_counted_in_the_summary_not_in_the_buckets():
    cells = [a_cell(minute, f"dpl_{n}", "200", 1) for n in range(300) for minute in range(2)]
    assert len((await collect(an_answer(*cells))).samples) == 600


async def test_a_filter_that_was_not_applied_is_refused():
    with pytest.raises(Unintelligible, match="filter"):
        await collect(an_answer(*CELLS, filter=""))


@pytest.mark.parametrize("count", [-1, 1.0, 1.5, "5", None, True, [], 2**80 + 0.5])
@pytest.mark.parametrize("where", ["data", "summary"])
async def test_I_08_a_count_that_is_no_count_is_refused(count, where):
    answer = an_answer(a_cell(0, "dpl_a", "200", 4))
    answer[where] = [answer[where][0] | {COUNT: count}]
    with pytest.raises(Unintelligible, match=COUNT):
        await collect(answer)


async def test_I_08_not_a_number_is_refused():
    body = b'{"query":{},"data":[{"vercel_request_count_sum":NaN}],"summary":[]}'
    source, _ = a_source(httpx.Response(200, content=body, headers={"content-type": "application/json"}))
    with pytest.raises(Unintelligible):
        await source.collect(PROJECT, since=START, now=NOW)


@pytest.mark.parametrize("column", ["timestamp", "deployment_id", "http_status", COUNT])
async def test_a_missing_column_is_refused_and_named(column):
    answer = an_answer(a_cell(0, "dpl_a", "200", 4))
    del answer["data"][0][column]
    with pytest.raises(Unintelligible, match=rf"data\.0\.{column}"):
        await collect(answer)


@pytest.mark.parametrize("key", ["query", "data", "summary"])
async def test_a_missing_part_is_refused(key):
    answer = an_answer(*CELLS)
    del answer[key]
    with pytest.raises(Unintelligible, match=key):
        await collect(answer)


@pytest.mark.parametrize("status", ["5xx", "-1", "50", "5000", "099", "²00", 500.0, True, "OK", [500]])
async def test_a_status_that_is_no_status_is_refused(status):
    answer = an_answer(a_cell(0, "dpl_a", "200", 4))
    answer["data"][0]["http_status"] = status
    with pytest.raises(Unintelligible, match="http_status"):
        await collect(answer)


@pytest.mark.parametrize("timestamp", ["2026-11-21T20:10:30.000Z", "2026-11-21T20:10:00.000", 1795291800000, "now"])
async def test_a_bucket_that_does_not_begin_with_a_minute_is_refused(timestamp):
    answer = an_answer(a_cell(0, "dpl_a", "200", 4))
    answer["data"][0]["timestamp"] = timestamp
    with pytest.raises(Unintelligible):
        await collect(answer)


async def test_a_group_that_is_counted_twice_in_a_bucket_is_refused():
    with pytest.raises(Unintelligible, match="twice"):
        await collect(an_answer(a_cell(0, "dpl_a", "200", 4), a_cell(0, "dpl_a", "200", 4)))


@pytest.mark.parametrize("difference", [-1, 1])
async def test_a_summary_that_does_not_add_up_is_refused(difference):
    answer = an_answer(*CELLS)
    answer["summary"][0][COUNT] += difference
    with pytest.raises(Unintelligible, match="summary"):
        await collect(answer)


@pytest.mark.parametrize("missing", ["data", "summary"])
async def test_a_group_in_only_one_of_both_parts_is_refused(missing):
    answer = an_answer(*CELLS)
    answer[missing] = [row for row in answer[missing] if row["http_status"] != "500"]
    with pytest.raises(Unintelligible, match="summary"):
        await collect(answer)


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (an_error(402, "payment_required", "Observability Plus is required"), Refused),
        (an_error(404, "not_found", "Observability Data not found."), Refused),
        (an_error(408, "query_timeout"), Unavailable),
        (an_error(500), Unavailable),
        (httpx.Response(200, html="<html>"), Unintelligible),
    ],
)
async def test_trouble_is_told_and_never_a_zero(step, kind):
    source, _ = a_source(step)
    with pytest.raises(kind):
        await source.collect(PROJECT, since=START, now=NOW)


async def test_a_missing_plan_keeps_its_status():
    source, _ = a_source(an_error(402, "payment_required"))
    with pytest.raises(Refused) as caught:
        await source.collect(PROJECT, since=START, now=NOW)
    assert (caught.value.status, caught.value.code) == (402, "payment_required")


MOMENTS = st.datetimes(
    min_value=datetime(2000, 1, 1),
    max_value=datetime(2100, 1, 1),
    timezones=st.just(timezone(timedelta(hours=5, minutes=45))),
)


@given(MOMENTS)
def test_minutes_are_cut_on_the_clock_in_utc(moment):
    assert floor_minute(moment) <= moment <= ceil_minute(moment)
    assert ceil_minute(moment) - floor_minute(moment) in (timedelta(0), MINUTE)
    assert floor_minute(moment).timestamp() % 60 == 0
