"""The request log: the newest requests as a sample, all failed ones as its witness."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from daemon.core.facts import ErrorRateSample
from daemon.ports.errors import Refused, Unavailable, Unintelligible
from daemon.sources.request_logs import RequestLogs, RequestLogsSettings
from daemon.vercel.wire import read_iso, to_iso, to_milliseconds
from tests.unit.vercel.fakes import PROJECT, TEAM, a_transport, an_error, by_path
from tests.unit.vercel.shapes import a_project_body

START = datetime(2026, 11, 21, 20, 10, 30, tzinfo=UTC)
END = START + timedelta(seconds=60)
NOW = END + timedelta(seconds=20)
PAGE = 50


def a_log_row(
    seconds: float, *, status: object = 200, number: int | None = None, **changes: object
) -> dict[str, object]:
    """A row *seconds* after START."""
    at = START + timedelta(seconds=seconds)
    return {
        "requestId": f"iad1::{seconds if number is None else number}",
        "timestamp": to_iso(at),
        "deploymentId": "dpl_a",
        "environment": "production",
        "requestMethod": "GET",
        "requestPath": "/api/me",
        "statusCode": status,
        "logs": [{"level": "error", "message": "boom"}],
        "events": [{"source": "serverless"}],
    } | changes


class RequestLog:
    """A server of rows, newest first, that knows only the class 5xx as a filter, as a step of the script."""

    def __init__(self, rows: Sequence[dict[str, object]], *, failed: Sequence[dict[str, object]] | None = None) -> None:
        self.rows = sorted(rows, key=lambda row: row["timestamp"], reverse=True)
        self.failed = [row for row in self.rows if _is_failed(row)] if failed is None else list(failed)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        rows = self.failed if request.url.params.get("statusCode") == "5xx" else self.rows
        first = int(request.url.params["page"]) * PAGE
        return httpx.Response(200, json={"rows": rows[first : first + PAGE], "hasMoreRows": len(rows) > first + PAGE})


def _is_failed(row: dict[str, object]) -> bool:
    return isinstance(row["statusCode"], int) and 500 <= row["statusCode"] <= 599


def a_source(*steps, more=None, **settings):
    transport, script, _ = a_transport(*steps, **(more or {}))
    return RequestLogs(RequestLogsSettings(**settings), transport), script


async def collect(log, *, since: datetime = START, now: datetime = NOW, **settings):
    source, _ = a_source(log, **settings)
    return await source.collect(PROJECT, since=since, now=now)


# What is asked


async def test_failed_and_all_requests_of_production_are_asked_for_in_one_frozen_window():
    rows = [a_log_row(n / 2, status=500) for n in range(60)]
    source, script = a_source(RequestLog(rows))
    await source.collect(PROJECT, since=START, now=NOW)
    queries = [script.query(n) for n in range(len(script.requests))]
    common = {
        "projectId": PROJECT,
        "ownerId": TEAM,
        "startDate": str(to_milliseconds(START)),
        "endDate": str(to_milliseconds(END)),
        "environment": "production",
        "teamId": TEAM,
    }
    failed = common | {"statusCode": "5xx"}
    assert queries == [failed | {"page": "0"}, failed | {"page": "1"}, common | {"page": "0"}, common | {"page": "1"}]
    assert {(request.url.host, request.url.path) for request in script.requests} == {
        ("vercel.com", "/api/logs/request-logs")
    }


@pytest.mark.parametrize(
    ("api", "configured", "asked"),
    [
        ("https://api.vercel.com", None, "https://vercel.com"),
        ("https://api.vercel.com/", None, "https://vercel.com"),
        ("http://127.0.0.1:4455", None, "http://127.0.0.1:4455"),
        ("https://api.vercel.com", "https://logs.example", "https://logs.example"),
    ],
)
async def test_the_log_is_read_from_the_dashboard_or_from_where_it_is_said_to_be(api, configured, asked):
    source, script = a_source(RequestLog([]), more={"base_url": api}, base_url=configured)
    await source.collect(PROJECT, since=START, now=NOW)
    assert str(script.requests[0].url).startswith(f"{asked}/api/logs/request-logs?")


async def test_a_personal_project_is_asked_for_under_its_owner():
    routes = {
        f"/v9/projects/{PROJECT}": [a_project_body(accountId="usr_1")],
        "/api/logs/request-logs": [{"rows": [], "hasMoreRows": False}],
    }
    source, script = a_source(by_path(routes), more={"team_id": None})
    await source.collect(PROJECT, since=START, now=NOW)
    assert script.query()["ownerId"] == "usr_1"


@pytest.mark.parametrize("since", [END, END + timedelta(seconds=1), NOW + timedelta(hours=1)])
async def test_where_no_time_has_passed_nothing_is_asked_and_the_watermark_stays(since):
    source, script = a_source(httpx.Response(500))
    reading = await source.collect(PROJECT, since=since, now=NOW)
    assert (list(reading.samples), reading.complete_until, reading.source) == ([], since, "request_logs")
    assert script.requests == []


async def test_the_window_reaches_back_no_further_than_the_bound():
    source, script = a_source(RequestLog([]), lookback_max=timedelta(minutes=3))
    reading = await source.collect(PROJECT, since=START - timedelta(days=1), now=NOW)
    assert script.query()["startDate"] == str(to_milliseconds(END - timedelta(minutes=3)))
    assert reading.complete_until == END


async def test_the_window_is_cut_to_milliseconds_inward():
    source, script = a_source(RequestLog([]))
    shift = timedelta(microseconds=1)
    reading = await source.collect(PROJECT, since=START + shift, now=NOW + shift)
    assert script.query()["startDate"] == str(to_milliseconds(START) + 1)
    assert reading.complete_until == END


# A count of everything


async def test_rows_that_reach_back_to_the_start_are_a_count():
    rows = [
        a_log_row(0, status=500),
        a_log_row(10),
        a_log_row(29.999, status=404),
        a_log_row(30, status=503),
        a_log_row(31, deploymentId="dpl_b"),
        a_log_row(59.999, status=499),
    ]
    reading = await collect(RequestLog(rows))
    edge = START + timedelta(seconds=30)
    assert list(reading.samples) == [
        ErrorRateSample("dpl_a", START, edge, requests=3, errors=1),
        ErrorRateSample("dpl_a", edge, END, requests=2, errors=1),
        ErrorRateSample("dpl_b", edge, END, requests=1, errors=0),
    ]
    assert (reading.source, reading.complete_until) == ("request_logs", END)


async def test_no_rows_are_no_sample_but_a_complete_window():
    reading = await collect(RequestLog([]))
    assert (list(reading.samples), reading.complete_until) == ([], END)


@pytest.mark.parametrize(("count", "is_sampled"), [(100, False), (101, True)])
async def test_only_rows_that_all_fit_are_a_count(count, is_sampled):
    rows = [a_log_row(59 - n / 10, number=n) for n in range(count)]
    samples = (await collect(RequestLog(rows))).samples
    assert {sample.is_sampled for sample in samples} == {is_sampled}
    assert sum(sample.requests for sample in samples) == 100


async def test_the_last_millisecond_belongs_to_the_next_window():
    log = RequestLog([a_log_row(0), a_log_row(60, status=500)])
    (sample,) = (await collect(log)).samples
    assert (sample.requests, sample.errors) == (1, 0)


async def test_a_request_that_is_seen_on_two_pages_is_counted_once():
    pages = [
        {"rows": [], "hasMoreRows": False},
        {"rows": [a_log_row(29), a_log_row(20)], "hasMoreRows": True},
        {"rows": [a_log_row(29), a_log_row(20), a_log_row(10)], "hasMoreRows": False},
    ]
    (sample,) = (await collect(by_path({"/api/logs/request-logs": pages}))).samples
    assert sample.requests == 3


@pytest.mark.parametrize(
    "changes", [{"statusCode": 0}, {"statusCode": -1}, {"deploymentId": ""}, {"deploymentId": None}, {"requestId": ""}]
)
async def test_requests_without_an_answer_or_a_deployment_are_not_counted(changes):
    (sample,) = (await collect(RequestLog([a_log_row(1), a_log_row(2, **changes)]))).samples
    assert sample.requests == 1


@pytest.mark.parametrize("status", [200, 502])
async def test_a_row_that_does_not_name_a_deployment_is_left_out(status):
    row = a_log_row(2, status=status)
    del row["deploymentId"]
    (sample,) = (await collect(RequestLog([a_log_row(1), row]))).samples
    assert (sample.requests, sample.errors) == (1, 0)


async def test_rows_of_which_none_names_a_deployment_are_refused():
    rows = [a_log_row(1), a_log_row(2)]
    for row in rows:
        del row["deploymentId"]
    with pytest.raises(Unintelligible, match="no row has a deploymentId"):
        await collect(RequestLog(rows))


async def test_a_row_that_does_not_repeat_its_environment_is_believed():
    row = a_log_row(1)
    del row["environment"]
    assert len((await collect(RequestLog([row]))).samples) == 1


# A sample


async def test_rows_that_do_not_reach_back_are_a_sample_of_the_time_that_they_cover():
    rows = [a_log_row(59.9 - n / 10, status=500 if n % 5 == 0 else 200, number=n) for n in range(300)]
    reading = await collect(RequestLog(rows), request_pages_max=1, error_pages_max=1)
    oldest = START + timedelta(seconds=55)
    assert list(reading.samples) == [ErrorRateSample("dpl_a", oldest, END, requests=50, errors=10, is_sampled=True)]
    assert reading.complete_until == END


async def test_a_page_of_one_single_millisecond_is_a_sample_too():
    rows = [a_log_row(50, number=n) for n in range(70)]
    (sample,) = (await collect(RequestLog(rows), request_pages_max=1)).samples
    assert (sample.start, sample.requests, sample.is_sampled) == (START + timedelta(seconds=50), 50, True)


async def test_a_cut_list_whose_rows_all_belong_to_the_next_window_is_no_sample():
    rows = [a_log_row(60.5, number=n) for n in range(70)] + [a_log_row(1, status=500)]
    reading = await collect(RequestLog(rows), request_pages_max=1)
    assert list(reading.samples) == []


# The witness


async def test_a_truncated_list_of_failures_witnesses_only_the_time_that_it_reaches():
    rows = [a_log_row(59.9 - n / 10, status=500, number=n) for n in range(150)]
    reading = await collect(RequestLog(rows), request_pages_max=20, error_pages_max=1)
    assert sum(sample.errors for sample in reading.samples) == 150
    assert not any(sample.is_sampled for sample in reading.samples)


@pytest.mark.parametrize(
    "failed",
    [
        [],
        [a_log_row(2, status=500)],
        [a_log_row(2, status=500), a_log_row(1, status=500), a_log_row(0.5, status=502)],
        [a_log_row(2, status=500), a_log_row(1, status=500, number=99)],
    ],
)
async def test_two_lists_that_disagree_about_failures_are_refused(failed):
    log = RequestLog([a_log_row(1, status=500), a_log_row(2, status=500), a_log_row(3)], failed=failed)
    with pytest.raises(Unintelligible, match="disagree"):
        await collect(log)


async def test_a_failure_that_only_the_list_of_failures_shows_within_the_sample_is_refused():
    rows = [a_log_row(59.9 - n / 10, number=n) for n in range(300)]
    log = RequestLog(rows, failed=[a_log_row(58.05, status=500)])
    with pytest.raises(Unintelligible, match="disagree about 1 rows"):
        await collect(log, request_pages_max=1)


async def test_failures_before_the_sample_are_no_contradiction():
    rows = [a_log_row(59.9 - n / 10, status=500 if n >= 50 else 200, number=n) for n in range(300)]
    reading = await collect(RequestLog(rows), request_pages_max=1, error_pages_max=20)
    assert sum(sample.errors for sample in reading.samples) == 0


async def test_failures_on_the_edge_of_a_cut_list_are_no_contradiction():
    rows = [a_log_row(50, status=500, number=n) for n in range(70)]
    (sample,) = (await collect(RequestLog(rows), request_pages_max=1, error_pages_max=2)).samples
    assert sample.errors == 50


# Slow failures


class SlowLog(RequestLog):
    """A log in which a row begins at its time and appears when its request has ended, *took* seconds later."""

    def __init__(self, rows: Sequence[tuple[dict[str, object], float]]) -> None:
        super().__init__([row for row, _ in rows])
        took = {row["requestId"]: timedelta(seconds=seconds) for row, seconds in rows}
        begins = [read_iso(row["timestamp"]) for row in self.rows]
        self._times = [
            (to_milliseconds(at), at + took[row["requestId"]], row) for at, row in zip(begins, self.rows, strict=True)
        ]
        self.now = START
        self.read_takes = timedelta(0)
        """How much time passes with each page."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.now += self.read_takes
        start, end = (int(request.url.params[key]) for key in ("startDate", "endDate"))
        rows = [row for at, appears, row in self._times if start <= at < end and appears <= self.now]
        return RequestLog(rows)(request)


async def follow(log: SlowLog, *, seconds: int, interval: int = 15, **settings: object) -> list[ErrorRateSample]:
    """Return what collections in a row find, each beginning where the one before ended."""
    source, _ = a_source(log, **settings)
    watermark, found = START, []
    for passed in range(interval, seconds + 1, interval):
        log.now = now = START + timedelta(seconds=passed)
        reading = await source.collect(PROJECT, since=watermark, now=now)
        assert all(watermark <= one.start < one.end <= reading.complete_until for one in reading.samples)
        watermark = reading.complete_until
        found += reading.samples
    return found


def counted(samples: Sequence[ErrorRateSample]) -> tuple[int, int]:
    return sum(one.requests for one in samples), sum(one.errors for one in samples)


def half_times_out(*, after: float, seconds: int, a_second: int = 1) -> SlowLog:
    """Every second request is answered at once, every other one times out."""
    times = [n / a_second for n in range(seconds * a_second)]
    return SlowLog([(a_log_row(at), 1) if n % 2 else (a_log_row(at, status=504), after) for n, at in enumerate(times)])


@pytest.mark.parametrize("after", [10, 25, 60, 300])
async def test_time_outs_are_counted_once_when_they_are_logged(after):
    found = await follow(half_times_out(after=after, seconds=60), seconds=390, interval=30)
    assert counted(found) == (60, 30)
    assert not any(one.is_sampled for one in found)


async def test_time_outs_of_everything_are_counted_too():
    log = SlowLog([(a_log_row(n, status=504), 60) for n in range(60)])
    assert counted(await follow(log, seconds=150)) == (60, 60)


async def test_a_log_that_lags_as_a_whole_is_counted_without_preferring_failures():
    log = SlowLog([(a_log_row(n / 10, status=500 if n % 20 == 0 else 200), 60) for n in range(1500)])
    requests, errors = counted(await follow(log, seconds=150, request_pages_max=1))
    assert requests > 200
    assert errors / requests == pytest.approx(0.05, abs=0.005)


async def test_slow_successes_that_the_list_reaches_are_counted_beside_slow_failures():
    log = SlowLog([(a_log_row(n, status=504 if n % 20 == 0 else 200), 60) for n in range(100)])
    assert counted(await follow(log, seconds=300)) == (100, 5)


async def test_a_sample_takes_its_share_of_the_time_outs_only():
    log = half_times_out(after=40, seconds=120, a_second=10)
    found = await follow(log, seconds=120, request_pages_max=1, error_pages_max=20)
    late = [one for one in found if one.start > START + timedelta(seconds=60)]
    requests, errors = counted(late)
    assert any(one.is_sampled for one in late)
    assert errors / requests == pytest.approx(0.5, abs=0.05)


async def test_what_is_later_than_the_bound_is_never_counted():
    log = half_times_out(after=60, seconds=120)
    assert counted(await follow(log, seconds=300, late_max=timedelta(seconds=20))) == (60, 0)


async def test_the_first_collection_and_one_after_a_gap_count_nothing_as_late():
    log = half_times_out(after=60, seconds=120)
    source, script = a_source(log)
    log.now = START + timedelta(seconds=45)
    await source.collect(PROJECT, since=START, now=log.now)
    log.now = START + timedelta(seconds=200)
    since = START + timedelta(seconds=170)
    assert list((await source.collect(PROJECT, since=since, now=log.now)).samples) == []
    assert script.query()["startDate"] == str(to_milliseconds(since))


async def test_a_collection_whose_outcome_was_lost_is_repeated_without_counting_twice():
    log = half_times_out(after=60, seconds=60)
    source, _ = a_source(log)
    for passed in (100, 115):
        log.now = now = START + timedelta(seconds=passed)
        assert counted((await source.collect(PROJECT, since=START, now=now)).samples)[0] <= 60


async def test_late_failures_of_a_replaced_deployment_stay_its_own():
    log = SlowLog(
        [(a_log_row(n, status=504), 60) for n in range(30)]
        + [(a_log_row(30.5 + n, deploymentId="dpl_b"), 1) for n in range(90)]
    )
    found = await follow(log, seconds=180)
    assert counted([one for one in found if one.deployment == "dpl_a"]) == (30, 30)
    assert counted([one for one in found if one.deployment == "dpl_b"]) == (90, 0)


@pytest.mark.parametrize("after", [21, 25, 30])
async def test_failures_that_are_logged_between_the_two_lists_refuse_nothing(after):
    log = half_times_out(after=after, seconds=45, a_second=2)
    log.read_takes = timedelta(seconds=1)
    assert counted(await follow(log, seconds=120)) == (90, 45)


# What is refused


@pytest.mark.parametrize("field", ["requestId", "timestamp", "statusCode"])
async def test_a_row_without_a_field_that_we_rely_on_is_refused_and_the_field_named(field):
    row = a_log_row(1)
    del row[field]
    with pytest.raises(Unintelligible, match=rf"rows\.0\.{field}"):
        await collect(by_path({"/api/logs/request-logs": [{"rows": [row], "hasMoreRows": False}]}))


@pytest.mark.parametrize(
    "changes",
    [
        {"requestId": ""},
        {"requestId": 7},
        {"requestId": None},
        {"timestamp": 1795291800000},
        {"timestamp": "2026-11-21T20:10:31"},
        {"timestamp": "soon"},
        {"deploymentId": 7},
        {"statusCode": "500"},
        {"statusCode": 500.0},
        {"statusCode": None},
        {"statusCode": True},
        {"statusCode": 1000},
        {"statusCode": -2},
    ],
)
async def test_a_row_with_a_field_of_the_wrong_kind_is_refused(changes):
    rows = [a_log_row(1) | changes]
    with pytest.raises(Unintelligible, match=next(iter(changes))):
        await collect(by_path({"/api/logs/request-logs": [{"rows": rows, "hasMoreRows": False}]}))


@pytest.mark.parametrize("answer", [{}, {"rows": []}, {"rows": [], "hasMoreRows": "no"}, {"hasMoreRows": False}, []])
async def test_a_page_that_is_no_page_is_refused(answer):
    with pytest.raises(Unintelligible):
        await collect(by_path({"/api/logs/request-logs": [answer]}))


async def test_a_page_that_promises_more_and_gives_nothing_is_refused():
    with pytest.raises(Unintelligible, match="promises more"):
        await collect(by_path({"/api/logs/request-logs": [{"rows": [], "hasMoreRows": True}]}))


@pytest.mark.parametrize(("seconds", "is_refused"), [(-1.001, True), (-1, False), (61, False), (61.001, True)])
async def test_a_row_far_outside_of_the_window_is_refused(seconds, is_refused):
    log = RequestLog([a_log_row(seconds)])
    if is_refused:
        with pytest.raises(Unintelligible, match="shifted window"):
            await collect(log)
    else:
        assert list((await collect(log)).samples) == []


async def test_a_page_that_reaches_before_the_start_is_a_count():
    rows = [a_log_row(20 - n, number=n) for n in range(21)] + [a_log_row(-0.5, number=n) for n in range(100, 200)]
    samples = (await collect(RequestLog(rows), request_pages_max=1)).samples
    assert sum(sample.requests for sample in samples) == 21
    assert not any(sample.is_sampled for sample in samples)


async def test_rows_of_another_environment_are_refused():
    with pytest.raises(Unintelligible, match="preview"):
        await collect(RequestLog([a_log_row(1, environment="preview")]))


async def test_a_filter_that_was_not_applied_is_refused():
    log = RequestLog([a_log_row(1)], failed=[a_log_row(1)])
    with pytest.raises(Unintelligible, match="status 200 among the 5xx"):
        await collect(log)


@pytest.mark.parametrize(("gap", "is_refused"), [(1.0, False), (1.001, True)])
async def test_rows_that_are_not_newest_first_are_refused(gap, is_refused):
    log = RequestLog([])
    log.rows = [a_log_row(10), a_log_row(10 + gap)]
    if is_refused:
        with pytest.raises(Unintelligible, match="newest first"):
            await collect(log)
    else:
        assert sum(sample.requests for sample in (await collect(log)).samples) == 2


async def test_a_second_page_that_is_newer_than_the_first_is_refused():
    log = RequestLog([])
    log.rows = [a_log_row(30 - n / 10, number=n) for n in range(50)] + [a_log_row(40, number=999)]
    with pytest.raises(Unintelligible, match="newest first"):
        await collect(log)


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (
            an_error(400, "bad_request", 'Validation error: statusCode must contain only integers at "statusCode"'),
            Refused,
        ),
        (an_error(403), Refused),
        (an_error(500), Unavailable),
        (httpx.Response(200, html="<html>Sign in</html>"), Unintelligible),
    ],
)
async def test_trouble_is_told_and_never_a_zero(step, kind):
    source, _ = a_source(step)
    with pytest.raises(kind):
        await source.collect(PROJECT, since=START, now=NOW)
