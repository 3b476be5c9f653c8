"""The request log: the newest requests as a sample, all failed ones as its witness, or failed ones alone."""

from datetime import timedelta

import httpx
import pytest

from daemon.core.facts import ErrorRateSample, ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import Refused, Unavailable, Unintelligible
from daemon.ports.source import Reading, Wanted
from daemon.sources.exclusions import Exclusions
from daemon.sources.request_logs import PROJECTS_AT_ONCE, RequestLogsSettings
from daemon.vercel.wire import to_milliseconds
from tests.fakes.clock import next_turn
from tests.unit.sources.request_log import (
    END,
    NOW,
    PATH,
    START,
    RequestLog,
    SlowLog,
    a_log_row,
    a_source,
    collect,
    counted,
    read,
)
from tests.unit.vercel.emulated import emulated
from tests.unit.vercel.fakes import PROJECT, TEAM, an_error, by_path
from tests.unit.vercel.shapes import a_project_body

OTHERS = [ProjectId(f"prj_{number:024}") for number in range(12)]

# What is asked


async def test_failed_and_all_requests_of_production_are_asked_for_in_one_frozen_window():
    rows = [a_log_row(n / 2, status=500) for n in range(60)]
    source, script = a_source(RequestLog(rows))
    await read(source)
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
    assert {(request.url.host, request.url.path) for request in script.requests} == {("vercel.com", PATH)}


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
    await read(source)
    assert str(script.requests[0].url).startswith(f"{asked}/api/logs/request-logs?")


async def test_a_personal_project_is_asked_for_under_its_owner():
    routes = {
        f"/v9/projects/{PROJECT}": [a_project_body(accountId="usr_1")],
        PATH: [{"rows": [], "hasMoreRows": False}],
    }
    source, script = a_source(by_path(routes), more={"team_id": None})
    await read(source)
    assert script.query()["ownerId"] == "usr_1"


@pytest.mark.parametrize("counts", ["ratio", "errors"])
@pytest.mark.parametrize("since", [END, END + timedelta(seconds=1), NOW + timedelta(hours=1)])
async def test_where_no_time_has_passed_nothing_is_asked_and_the_watermark_stays(since, counts):
    source, script = a_source(httpx.Response(500), counts=counts)
    reading = await read(source, since=since)
    assert (list(reading.samples), reading.complete_until, reading.source) == ([], since, "request_logs")
    assert script.requests == []


async def test_the_window_is_cut_to_milliseconds_inward():
    source, script = a_source(RequestLog([]))
    shift = timedelta(microseconds=1)
    reading = await read(source, since=START + shift, now=NOW + shift)
    assert script.query()["startDate"] == str(to_milliseconds(START) + 1)
    assert reading.complete_until == END


# How far back


async def test_the_window_reaches_back_no_further_than_the_bound_and_says_what_it_left_out():
    source, script = a_source(RequestLog([]), lookback_max=timedelta(minutes=3))
    reading = await read(source, since=END - timedelta(minutes=12))
    assert script.query()["startDate"] == str(to_milliseconds(END - timedelta(minutes=3)))
    assert (reading.complete_until, reading.covered) == (END, 0.25)


@pytest.mark.parametrize("lag", [timedelta(0), timedelta(minutes=10)])
async def test_nothing_is_asked_that_the_shortest_retention_may_have_dropped(lag):
    source, script = a_source(RequestLog([]), lag=lag, lookback_max=timedelta(minutes=60))
    reading = await read(source, since=NOW - timedelta(hours=2))
    assert script.query()["startDate"] == str(to_milliseconds(NOW - timedelta(minutes=59)))
    assert reading.covered < 0.5


async def test_nor_is_what_came_late_looked_for_further_back():
    source, script = a_source(RequestLog([]), lookback_max=timedelta(minutes=60), late_max=timedelta(minutes=15))
    first = await read(source, since=START - timedelta(minutes=20))
    later = NOW + timedelta(minutes=55)
    await read(source, since=first.complete_until, now=later)
    assert script.query()["startDate"] == str(to_milliseconds(later - timedelta(minutes=59)))


@pytest.mark.slow
@pytest.mark.parametrize("counts", ["ratio", "errors"])
@pytest.mark.parametrize("plan", ["hobby", "pro", "enterprise"])
async def test_no_plan_makes_the_source_claim_more_than_the_log_still_holds(plan, counts):
    traffic = {"requests_per_second": 0.05, "baseline_error_ratio": 0.5}
    team = {"plan": plan, "observability_plus": False}
    async with emulated(team=team, project={"traffic": traffic}) as vercel:
        since = vercel.now
        vercel.pass_time(2 * 3600)
        pages = {"request_pages_max": 20, "error_pages_max": 20}
        bounds = {"lookback_max": timedelta(minutes=60), "lag": timedelta(minutes=10)}
        settings = RequestLogsSettings(counts=counts, **pages, **bounds)
        wanted = [Wanted(vercel.project, since)]
        reading = (await settings.open(vercel.reader).collect(wanted, now=vercel.now))[vercel.project]
        assert isinstance(reading, Reading)
        claimed_from = reading.complete_until - reading.covered * (reading.complete_until - since)
        rows = [
            row
            for row in vercel.world.traffic_of(vercel.world.project("web")).counts.rows
            if to_milliseconds(claimed_from) <= row.at_ms < to_milliseconds(reading.complete_until)
        ]
        failed = sum(row.key.http_status >= 500 for row in rows)
        assert failed > 20
        assert counted(reading.samples) == (len(rows) if counts == "ratio" else 0, failed)
        assert claimed_from > vercel.now - timedelta(hours=1)
        assert 0 < reading.covered < 0.5


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
    assert (reading.source, reading.complete_until, reading.covered) == ("request_logs", END, 1.0)


async def test_no_rows_are_no_sample_but_a_complete_window():
    reading = await collect(RequestLog([]))
    assert (list(reading.samples), reading.complete_until, reading.covered, reading.lag) == ([], END, 1.0, None)


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
    reading = await collect(by_path({PATH: pages}))
    assert counted(reading.samples) == (3, 0)
    assert reading.covered == 1.0


async def test_a_server_that_repeats_one_page_gives_a_sample_of_that_page_and_no_count():
    page = {"rows": [a_log_row(n, number=n) for n in (40, 30, 20)], "hasMoreRows": True}
    pages = [{"rows": [], "hasMoreRows": False}, page, page | {"hasMoreRows": False}]
    reading = await collect(by_path({PATH: pages}))
    assert [(one.requests, one.is_sampled) for one in reading.samples] == [(1, True), (2, True)]
    assert reading.covered == pytest.approx(40 / 60)


@pytest.mark.parametrize(
    "changes",
    [{"statusCode": 0}, {"statusCode": -1}, {"deploymentId": ""}, {"deploymentId": None}, {"wafAction": "deny"}],
)
async def test_requests_without_an_answer_or_a_deployment_are_left_out_and_their_number_told(changes):
    reading = await collect(RequestLog([a_log_row(1), a_log_row(2, **changes), a_log_row(3, **changes)]))
    assert counted(reading.samples) == (1, 0)
    assert reading.left_out == 2


async def test_what_the_platform_itself_could_not_answer_is_kept_apart():
    rows = [
        a_log_row(1),
        a_log_row(2, status=500, errorCode="INTERNAL_FUNCTION_SERVICE_UNAVAILABLE"),
        a_log_row(3, status=504, errorCode="FUNCTION_INVOCATION_TIMEOUT"),
        a_log_row(4, status=404, errorCode="INTERNAL_DEPLOYMENT_FETCH_FAILED"),
    ]
    (sample,) = (await collect(RequestLog(rows))).samples
    assert (sample.requests, sample.errors, sample.platform_errors) == (4, 1, 1)


async def test_a_row_that_does_not_repeat_its_environment_is_believed():
    row = a_log_row(1)
    del row["environment"]
    assert len((await collect(RequestLog([row]))).samples) == 1


# How old the newest rows are


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 30),
        ({"requestDurationMs": 9_000}, 21),
        ({"requestDurationMs": 999_000}, 0),
        ({"requestDurationMs": "9"}, 30),
    ],
)
async def test_the_lag_is_the_age_of_the_newest_request_that_ended(changes, seconds):
    rows = [a_log_row(n, requestDurationMs=0) for n in (10, 20)] + [a_log_row(50, requestDurationMs=0) | changes]
    assert (await collect(RequestLog(rows))).lag == timedelta(seconds=seconds)


# A sample


async def test_rows_that_do_not_reach_back_are_a_sample_of_the_time_that_they_cover():
    rows = [a_log_row(59.9 - n / 10, status=500 if n % 5 == 0 else 200, number=n) for n in range(300)]
    reading = await collect(RequestLog(rows), request_pages_max=1, error_pages_max=1)
    oldest = START + timedelta(seconds=55)
    assert list(reading.samples) == [ErrorRateSample("dpl_a", oldest, END, requests=50, errors=10, is_sampled=True)]
    assert (reading.complete_until, reading.covered) == (END, pytest.approx(5 / 60))


async def test_a_page_of_one_single_millisecond_is_a_sample_too():
    rows = [a_log_row(50, number=n) for n in range(70)]
    (sample,) = (await collect(RequestLog(rows), request_pages_max=1)).samples
    assert (sample.start, sample.requests, sample.is_sampled) == (START + timedelta(seconds=50), 50, True)


async def test_a_cut_list_whose_rows_all_belong_to_the_next_window_is_no_sample():
    rows = [a_log_row(60.5, number=n) for n in range(70)] + [a_log_row(1, status=500)]
    reading = await collect(RequestLog(rows), request_pages_max=1)
    assert (list(reading.samples), reading.covered) == ([], 0.0)


async def test_a_page_that_reaches_before_the_start_is_a_count():
    rows = [a_log_row(20 - n, number=n) for n in range(21)] + [a_log_row(-0.5, number=n) for n in range(100, 200)]
    reading = await collect(RequestLog(rows), request_pages_max=1)
    assert counted(reading.samples) == (21, 0)
    assert not any(sample.is_sampled for sample in reading.samples)
    assert reading.covered == 1.0


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
    with pytest.raises(Unintelligible, match="disagree") as caught:
        await collect(log)
    assert caught.value.reason is SignalReason.INCONSISTENT


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


# Several projects


def by_project(logs: dict[str, RequestLog | httpx.Response]):
    """Answer each project from its own log."""

    def answer(request: httpx.Request) -> httpx.Response:
        log = logs[request.url.params["projectId"]]
        return log if isinstance(log, httpx.Response) else log(request)

    return answer


async def test_each_project_is_read_in_its_own_window_and_counted_for_itself():
    logs = {
        one: RequestLog([a_log_row(40 + n, number=n) for n in range(index + 1)]) for index, one in enumerate(OTHERS)
    }
    source, script = a_source(by_project(logs))
    wanted = [Wanted(one, START + timedelta(seconds=index)) for index, one in enumerate(OTHERS)]
    readings = await source.collect(wanted, now=NOW)
    assert {one: counted(readings[one].samples)[0] for one in OTHERS} == {
        one: index + 1 for index, one in enumerate(OTHERS)
    }
    asked = {(request.url.params["projectId"], request.url.params["startDate"]) for request in script.requests}
    assert asked == {(one.project, str(to_milliseconds(one.since))) for one in wanted}


async def test_trouble_with_one_project_is_its_own_entry():
    drifted = httpx.Response(200, json={"rows": [{}], "hasMoreRows": False})
    logs = {OTHERS[0]: RequestLog([a_log_row(1)]), OTHERS[1]: an_error(403), OTHERS[2]: drifted}
    source, _ = a_source(by_project(logs))
    readings = await source.collect([Wanted(one, START) for one in OTHERS[:3]], now=NOW)
    first, second, third = (readings[one] for one in OTHERS[:3])
    assert isinstance(first, Reading)
    assert counted(first.samples) == (1, 0)
    assert isinstance(second, Refused)
    assert (type(third), third.reason) == (Unintelligible, SignalReason.SCHEMA_DRIFT)


async def test_no_more_than_a_few_projects_are_read_at_once():
    at_work, most = 0, 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        for _ in range(30):
            await next_turn()
        at_work -= 1
        return RequestLog([])(request)

    source, _ = a_source(answer)
    readings = await source.collect([Wanted(one, START) for one in OTHERS], now=NOW)
    assert (len(readings), most) == (len(OTHERS), PROJECTS_AT_ONCE)


async def test_a_project_is_one_reading_of_its_own_so_that_nobody_waits_for_another():
    assert not a_source(RequestLog([]))[0].is_fleet_wide


# Trouble


@pytest.mark.parametrize("counts", ["ratio", "errors"])
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
async def test_trouble_is_told_and_never_a_zero(step, kind, counts):
    with pytest.raises(kind):
        await collect(step, counts=counts)


# By route


@pytest.mark.parametrize(("counts", "requests"), [("ratio", (3, 1, 2)), ("errors", (None, None, None))])
async def test_wanted_routes_add_up_to_their_sample(counts, requests):
    rows = [
        a_log_row(1, route="/pay"),
        a_log_row(2, status=500, route="/pay"),
        a_log_row(3, status=502, route="/pay", errorCode="INTERNAL_X"),
        a_log_row(4, status=503, route="/a"),
        a_log_row(5, status=500, route=None, requestPath="/any/text"),
        a_log_row(6, route="", requestPath="/more"),
    ]
    source, _ = a_source(RequestLog(rows), counts=counts)
    wanted = [Wanted(PROJECT, START, wants_routes=True)]
    reading = (await source.collect(wanted, now=NOW))[PROJECT]
    sample = reading.samples[0]
    named = dict(zip(("/pay", "/a", "(other)"), zip(requests, (1, 1, 1), strict=True), strict=True))
    assert {one.route: (one.requests, one.errors) for one in sample.routes} == named
    assert (sample.errors, sample.platform_errors) == (3, 1)


async def test_routes_that_nobody_wants_are_not_told():
    assert (await collect(RequestLog([a_log_row(1, route="/pay")]))).samples[0].routes == ()


async def test_late_rows_of_a_deployment_that_has_no_others_are_told_by_route_as_well():
    slow = a_log_row(5, status=504, route="/slow", number="slow")
    source, _ = a_source(log := SlowLog([(slow, 60)]))
    since = START
    for seconds in (40, 100):
        log.now = now = START + timedelta(seconds=seconds)
        reading = (await source.collect([Wanted(PROJECT, since, wants_routes=True)], now=now))[PROJECT]
        since = reading.complete_until
    (sample,) = reading.samples
    assert [(one.route, one.requests, one.errors) for one in sample.routes] == [("/slow", 1, 1)]


# What is excluded


@pytest.mark.parametrize("counts", ["ratio", "errors"])
async def test_routes_that_are_excluded_are_left_out_by_route_or_by_path_where_there_is_none(counts):
    rows = [
        a_log_row(1, status=500, route="/api/health"),
        a_log_row(2, status=500, route="", requestPath="/api/health"),
        a_log_row(3, route="/api/health"),
        a_log_row(4, status=500, route="/shop", requestPath="/api/health"),
        a_log_row(5, route="/shop"),
    ]
    source, _ = a_source(RequestLog(rows), exclusions=Exclusions(routes=("/api/*",)), counts=counts)
    reading = await read(source)
    assert sum(one.errors for one in reading.samples) == 1
    if counts == "ratio":
        assert counted(reading.samples) == (2, 1)
    assert reading.left_out == (3 if counts == "ratio" else 2)


async def test_a_status_that_is_excluded_is_a_request_and_no_error_of_anybodys():
    own, platforms = a_log_row(1, status=501), a_log_row(2, status=501, errorCode="INTERNAL_UNEXPECTED_ERROR")
    rows = [own, platforms, a_log_row(3, status=502), a_log_row(4)]
    source, _ = a_source(RequestLog(rows), exclusions=Exclusions(statuses=(501,)))
    (sample,) = (await read(source)).samples
    assert (sample.requests, sample.errors, sample.platform_errors) == (4, 1, 0)


@pytest.mark.parametrize("told", [{}, {"route": None}, {"route": 7, "requestPath": []}, {"route": ""}])
async def test_rows_that_tell_no_route_are_refused_where_routes_are_excluded_and_counted_elsewhere(told):
    row = a_log_row(1)
    del row["requestPath"]
    log = RequestLog([row | told])
    assert counted((await collect(log)).samples) == (1, 0)
    source, _ = a_source(log, exclusions=Exclusions(routes=("/api/health",)))
    with pytest.raises(Unintelligible, match="rows without a route") as refusal:
        await read(source)
    assert refusal.value.reason is SignalReason.SCHEMA_DRIFT


def said(message: str) -> dict[str, str]:
    return {"level": "error", "message": message}


async def test_what_failures_say_is_told_by_kind_to_those_who_ask() -> None:
    rows = [
        a_log_row(1, status=500, logs=[{"level": "info", "message": "hi"}, said("user 12: boom")]),
        a_log_row(2, status=500, logs=[said("user 999: boom")]),
        a_log_row(3, status=502, logs=[]),
        a_log_row(4, status=503, logs=None),
        a_log_row(5, status=500, logs=[said("late")], errorCode="INTERNAL_FUNCTION_SERVICE"),
        a_log_row(6, status=200, logs=[said("caught")]),
    ]
    for wants_kinds in (True, False):
        source, _ = a_source(RequestLog(rows))
        [reading] = (await source.collect([Wanted(PROJECT, START, wants_kinds=wants_kinds)], now=NOW)).values()
        assert isinstance(reading, Reading)
        [sample] = reading.samples
        assert (sample.errors, sample.platform_errors) == (4, 1)
        told = None if sample.kinds is None else [(one.title, one.count) for one in sample.kinds]
        expected = [("user <n>: boom", 2), ("(nothing was printed)", 2)]
        assert told == (expected if wants_kinds else None)


@pytest.mark.parametrize(
    "logs", [None, "boom", {"message": "boom"}, [None], ["boom"], [{"level": 3}], [{"message": 7}], [{"message": ""}]]
)
async def test_a_log_that_nobody_understands_is_silence_and_no_trouble(logs: object) -> None:
    source, _ = a_source(RequestLog([a_log_row(1, status=500, logs=logs)]))
    [reading] = (await source.collect([Wanted(PROJECT, START, wants_kinds=True)], now=NOW)).values()
    assert isinstance(reading, Reading)
    [sample] = reading.samples
    assert [one.title for one in sample.kinds or ()] == ["(nothing was printed)"]
