"""What is asked in either dialect, what is counted, and which answers are refused."""

import pytest

from daemon.core.facts import ErrorRateSample
from daemon.sources.exclusions import Exclusions
from daemon.sources.observability.dialect_metrics_v1 import FILTERS as KQL
from daemon.sources.observability.dialect_v2 import FILTERS as ODATA
from daemon.sources.observability.question import Asked
from daemon.vercel.wire import to_iso
from tests.unit.sources.observability.serving import (
    MINUTE,
    PROJECT,
    SECOND,
    START,
    TEAM,
    V1_PATH,
    V2_PATH,
    Counts,
    Watcher,
    totals,
)

END = START + 2 * MINUTE
NOW = END + 75 * SECOND
V2, V1 = "v2", "metrics_v1"
BOTH = pytest.mark.parametrize("dialect", [V2, V1])


def some_counts() -> Counts:
    counts = Counts()
    counts.show(0, 90)
    counts.show(1, 80)
    counts.show(0, 7, status=500)
    counts.show(0, 3, status=503)
    counts.show(0, 2, status=500, code="INTERNAL_UNEXPECTED_ERROR")
    counts.show(1, 5, deployment="dpl_b")
    return counts


# What is asked


async def test_the_public_dialect_asks_for_5xx_first_and_then_for_all_by_project_and_deployment():
    watcher = Watcher(some_counts(), dialect=V2)
    await watcher.read(NOW)
    assert watcher.asked == [f"POST {V2_PATH}"] * 2
    assert watcher.script.query() == {"teamId": TEAM}
    errors, requests = watcher.script.body(0), watcher.script.body(1)
    assert errors == {
        "scope": {"type": "project", "ownerId": TEAM, "projectIds": [PROJECT]},
        "metric": "vercel.request.count",
        "aggregation": "sum",
        "startTime": "2026-11-21T20:10:00.000Z",
        "endTime": "2026-11-21T20:12:00.000Z",
        "granularity": {"minutes": 1},
        "groupBy": ["project_id", "deployment_id", "http_status", "error_code"],
        "filter": "environment eq 'production' and waf_action ne 'deny' and http_status ge 100"
        " and http_status ge 500 and http_status le 599",
        "limit": 500,
    }
    assert requests == errors | {
        "endTime": "2026-11-21T20:13:15.000Z",
        "groupBy": ["project_id", "deployment_id"],
        "filter": "environment eq 'production' and waf_action ne 'deny' and http_status ge 100",
    }


async def test_the_newer_dialect_asks_the_same_in_its_own_words():
    watcher = Watcher(some_counts(), dialect=V1)
    await watcher.read(NOW)
    assert watcher.asked == [f"POST {V1_PATH}"] * 2
    errors, requests = watcher.script.body(0), watcher.script.body(1)
    assert errors == {
        "scope": {"ownerId": TEAM, "projectIds": [PROJECT]},
        "timeRange": {"start": "2026-11-21T20:10:00.000Z", "end": "2026-11-21T20:12:00.000Z"},
        "bucketSeconds": 60,
        "groupBy": ["projectId", "deploymentId", "httpStatus", "errorCode"],
        "filter": '(environment:"production") AND (NOT wafAction:"deny") AND (httpStatus >= 100)'
        " AND (httpStatus >= 500 AND httpStatus <= 599)",
        "metrics": {"value": {"metric": "vercel.request.count", "aggregation": "count"}},
        "outputs": ["value"],
        "seriesSelection": {
            "limit": 500,
            "mode": "exact",
            "rankBy": [{"metric": "value", "direction": "desc"}],
        },
    }
    assert requests == errors | {
        "timeRange": {"start": "2026-11-21T20:10:00.000Z", "end": "2026-11-21T20:14:00.000Z"},
        "groupBy": ["projectId", "deploymentId"],
        "filter": '(environment:"production") AND (NOT wafAction:"deny") AND (httpStatus >= 100)',
    }


async def test_fine_asks_once_for_everything_up_to_this_moment():
    watcher = Watcher(some_counts(), dialect=V2, resolution="fine")
    await watcher.read(NOW)
    assert watcher.asked == [f"POST {V2_PATH}"]
    assert watcher.script.body()["groupBy"] == ["project_id", "deployment_id", "http_status", "error_code"]
    assert watcher.script.body()["filter"] == ODATA[Asked.EVERYTHING] == ODATA[Asked.REQUESTS]
    assert watcher.script.body()["endTime"] == to_iso(NOW)
    assert KQL[Asked.EVERYTHING] == KQL[Asked.REQUESTS]


@pytest.mark.parametrize(("dialect", "scope"), [(V2, {"type": "owner", "ownerId": TEAM}), (V1, {"ownerId": TEAM})])
async def test_many_projects_are_asked_for_through_their_owner(dialect, scope):
    watcher = Watcher(some_counts(), dialect=dialect)
    await watcher.ask(NOW, *[f"prj_{number}" for number in range(20)])
    assert [body["scope"] for body in (watcher.script.body(0), watcher.script.body(1))] == [scope, scope]


# What is counted


@BOTH
@pytest.mark.parametrize("resolution", ["closed", "fine"])
async def test_each_deployment_and_minute_with_requests_gives_one_sample(dialect, resolution):
    watcher = Watcher(some_counts(), dialect=dialect, resolution=resolution)
    reading = await watcher.read(NOW)
    assert list(reading.samples) == [
        ErrorRateSample("dpl_a", START, START + MINUTE, requests=102, errors=10, platform_errors=2),
        ErrorRateSample("dpl_a", START + MINUTE, END, requests=80, errors=0),
        ErrorRateSample("dpl_b", START + MINUTE, END, requests=5, errors=0),
    ]
    assert (reading.source, reading.complete_until) == ("observability", END)


@BOTH
@pytest.mark.parametrize("resolution", ["closed", "fine"])
@pytest.mark.parametrize(("status", "errors"), [("499", 0), ("500", 4), ("599", 4), ("600", 0), ("999", 0), ("100", 0)])
async def test_errors_are_the_statuses_from_500_to_599(dialect, resolution, status, errors):
    counts = Counts()
    counts.show(0, 4, status=status)
    (sample,) = (await Watcher(counts, dialect=dialect, resolution=resolution).read(NOW)).samples
    assert (sample.requests, sample.errors) == (4, errors)


@BOTH
@pytest.mark.parametrize("status", ["0", ""])
async def test_requests_without_a_status_are_not_counted(dialect, status):
    counts = Counts()
    counts.show(0, 50, status=status)
    counts.show(0, 4)
    (sample,) = (await Watcher(counts, dialect=dialect, resolution="fine").read(NOW)).samples
    assert sample.requests == 4


@BOTH
@pytest.mark.parametrize("resolution", ["closed", "fine"])
async def test_requests_that_no_deployment_answered_are_not_counted(dialect, resolution):
    counts = Counts()
    counts.show(0, 50, deployment="", status=500)
    counts.show(0, 50, project="", deployment="", status=500)
    counts.show(0, 4)
    reading = await Watcher(counts, dialect=dialect, resolution=resolution).read(NOW)
    (sample,) = reading.samples
    assert (sample.deployment, sample.requests, sample.errors) == ("dpl_a", 4, 0)
    assert reading.left_out == 50


@pytest.mark.parametrize(
    ("code", "platform"),
    [
        ("INTERNAL_UNEXPECTED_ERROR", True),
        ("INTERNAL_FUNCTION_NOT_READY", True),
        ("FUNCTION_INVOCATION_FAILED", False),
        ("NO_RESPONSE_FROM_FUNCTION", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("resolution", ["closed", "fine"])
async def test_errors_of_the_platforms_own_are_kept_apart(resolution, code, platform):
    counts = Counts()
    counts.show(0, 30)
    counts.show(0, 4, status=502, code=code)
    (sample,) = (await Watcher(counts, resolution=resolution).read(NOW)).samples
    assert (sample.requests, sample.errors, sample.platform_errors) == (34, 0 if platform else 4, 4 if platform else 0)


@BOTH
async def test_a_null_for_what_was_not_there_is_the_same_as_nothing(dialect):
    counts = some_counts()

    def nulls(answer):
        for row in (*answer.get("data", ()), *answer.get("series", ()), *answer["summary"]):
            named = row.get("dimensions", row)
            named |= {key: value or None for key, value in named.items() if key in ("error_code", "errorCode")}
        return answer

    counts.bend = nulls
    reading = await Watcher(counts, dialect=dialect).read(NOW)
    assert [one.errors for one in reading.samples] == [10, 0, 0]


# What is excluded


@pytest.mark.parametrize(
    ("dialect", "added"),
    [
        (V2, " and route ne '/api/health' and route ne '/it''s'"),
        (V1, ' AND (NOT route:"/api/health") AND (NOT route:"/it\'s")'),
    ],
)
async def test_routes_that_are_excluded_are_not_asked_for(dialect, added):
    watcher = Watcher(some_counts(), dialect=dialect, exclusions=Exclusions(routes=("/api/health", "/it's")))
    await watcher.read(NOW)
    filters = ODATA if dialect == V2 else KQL
    assert [body["filter"] for body in map(watcher.script.body, (0, 1))] == [
        filters[Asked.ERRORS] + added,
        filters[Asked.REQUESTS] + added,
    ]


async def test_a_sign_that_ends_a_text_ends_none():
    watcher = Watcher(some_counts(), dialect=V1, exclusions=Exclusions(routes=('/a"b\\c',)))
    await watcher.read(NOW)
    assert watcher.script.body(0)["filter"].endswith(r' AND (NOT route:"/a\"b\\c")')


@BOTH
async def test_a_status_that_is_excluded_is_a_request_and_no_error(dialect):
    watcher = Watcher(some_counts(), dialect=dialect, exclusions=Exclusions(statuses=(503,)))
    reading = await watcher.read(NOW)
    kept = Watcher(some_counts(), dialect=dialect)
    everything = await kept.read(NOW)
    assert totals(everything.samples) == (187, 10, 2)
    assert totals(reading.samples) == (187, 7, 2)
