"""The source `prometheus` on a server that answers by script."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from daemon.core.facts import ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import Misconfigured, PortError, RateLimited, Refused, Unavailable, Unintelligible
from daemon.ports.source import Reading, Wanted
from daemon.sources import prometheus
from daemon.sources.prometheus import PrometheusSettings
from tests.unit.sources.serving import jsonly, text
from tests.unit.vercel.fakes import Script

SHOP, BLOG, QUIET = (ProjectId(f"prj_{name}") for name in ("shop", "blog", "quiet"))
START = datetime.fromisoformat("2026-11-21T20:00:00+00:00")
NOW = START + timedelta(minutes=3, seconds=40)
REQUESTS = "sum by (project, deployment) (increase(http_requests_total[{window}]))"
ERRORS = 'sum by (project, deployment) (increase(http_requests_total{status=~"5.."}[{window}]))'
# What Prometheus 2.42 answered to both expressions, its labels in its own order.
RECORDED = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [
            {
                "metric": {"deployment": "dpl_a", "lastgood_count": "requests", "project": "prj_shop"},
                "values": [[1795291260, "60"], [1795291320, "58.666666666666664"], [1795291380, "61.33"]],
            },
            {
                "metric": {"deployment": "dpl_a", "lastgood_count": "errors", "project": "prj_shop"},
                "values": [[1795291260, "0"], [1795291320, "2.6666666666666665"], [1795291380, "30"]],
            },
            {
                "metric": {"deployment": "dpl_b", "lastgood_count": "requests", "project": "prj_blog"},
                "values": [[1795291260, "7"], [1795291320, "0"]],
            },
            {
                "metric": {"deployment": "dpl_b", "lastgood_count": "errors", "project": "prj_blog"},
                "values": [[1795291260, "7"], [1795291320, "0"]],
            },
        ],
    },
}
EMPTY = {"status": "success", "data": {"resultType": "matrix", "result": []}}


def a_source(*steps: Any, **changes: Any) -> tuple[Any, Script]:
    script = Script(*steps)
    settings = {"url": "https://metrics.example.com/prom", "requests": REQUESTS, "errors": ERRORS}
    return PrometheusSettings.model_validate(settings | changes).open(network=script), script


async def collect(source: Any, *projects: ProjectId, since: datetime = START, now: datetime = NOW):
    return await source.collect([Wanted(project, since) for project in projects], now=now)


def form_of(request: httpx.Request) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(request.content.decode()).items()}


def told(reading: Reading | PortError) -> list[tuple[str, int, int]]:
    assert isinstance(reading, Reading), reading
    return [(one.deployment, one.requests or 0, one.errors) for one in reading.samples]


# Asking


async def test_one_query_for_both_counts_of_all_projects():
    source, script = a_source(jsonly(RECORDED))
    readings = await collect(source, SHOP, BLOG, QUIET)
    assert source.is_fleet_wide
    [request] = script.requests
    assert (request.method, str(request.url)) == ("POST", "https://metrics.example.com/prom/api/v1/query_range")
    form = form_of(request)
    requests, errors = (one.replace("{window}", "60s") for one in (REQUESTS, ERRORS))
    assert form.pop("query") == (
        f'label_replace(\n{requests}\n, "lastgood_count", "requests", "lastgood_count", "")\nor\n'
        f'label_replace(\n{errors}\n, "lastgood_count", "errors", "lastgood_count", "")'
    )
    assert form == {"start": "1795291260", "end": "1795291380", "step": "60s", "nocache": "1"}
    assert told(readings[SHOP]) == [("dpl_a", 60, 0), ("dpl_a", 59, 3), ("dpl_a", 61, 30)]
    assert told(readings[BLOG]) == [("dpl_b", 7, 7)]
    assert told(readings[QUIET]) == []
    untils = [readings[project].complete_until - START for project in (SHOP, BLOG, QUIET)]
    assert untils == [timedelta(minutes=minutes) for minutes in (3, 2, 0)]


@pytest.mark.parametrize(
    ("since", "now", "asked"),
    [
        ("20:00:00", "20:01:29.999", None),
        ("20:00:00", "20:01:30", ("20:01:00", "20:01:00")),
        ("20:00:00.000001", "20:02:30", ("20:02:00", "20:02:00")),
        ("20:00:00.000001", "20:01:30", None),
        ("20:05:00", "20:03:00", None),
        ("19:00:00", "20:01:30", ("19:57:00", "20:01:00")),
    ],
)
async def test_whole_steps_are_asked_for_up_to_the_lag_and_back_to_the_bound(since, now, asked):
    since, now = (datetime.fromisoformat(f"2026-11-21T{one}+00:00") for one in (since, now))
    source, script = a_source(jsonly(EMPTY))
    reading = (await collect(source, SHOP, since=since, now=now))[SHOP]
    if asked is None:
        assert reading == Reading("prometheus", (), since)
        assert not script.requests
        return
    form = form_of(script.requests[0])
    times = [datetime.fromtimestamp(int(form[name]), tz=START.tzinfo) for name in ("start", "end")]
    assert [f"{one:%H:%M:%S}" for one in times] == list(asked)
    assert told(reading) == []
    assert reading.complete_until >= since


async def test_each_project_is_told_of_its_own_time_only():
    source, script = a_source(jsonly(RECORDED))
    late = START + timedelta(minutes=2)
    readings = await source.collect([Wanted(SHOP, late), Wanted(BLOG, START), Wanted(QUIET, NOW)], now=NOW)
    assert form_of(script.requests[0])["start"] == "1795291260"
    assert told(readings[SHOP]) == [("dpl_a", 61, 30)]
    assert told(readings[BLOG]) == [("dpl_b", 7, 7)]
    assert readings[QUIET] == Reading("prometheus", (), NOW)


async def test_nobody_wanted_is_nothing_asked():
    source, script = a_source(jsonly(EMPTY))
    assert await collect(source) == {}
    assert not script.requests


async def test_an_expression_that_names_the_project_is_asked_for_each():
    def answer(request: httpx.Request) -> httpx.Response:
        query = form_of(request)["query"]
        if "prj_blog" in query:
            return text("", 500)(request)
        unlabelled = [
            {**one, "metric": {name: value for name, value in one["metric"].items() if name != "project"}}
            for one in RECORDED["data"]["result"][:2]
        ]
        return jsonly(EMPTY | {"data": {"resultType": "matrix", "result": unlabelled}})(request)

    source, script = a_source(
        answer,
        requests='sum by (deployment) (increase(r{app="{project}", deployment=~"{deployment}"}[{window}]))',
        errors='sum by (deployment) (increase(e{app="{project}"}[{window}])) # of {project}',
        step=timedelta(minutes=1),
    )
    assert not source.is_fleet_wide
    readings = await collect(source, SHOP, BLOG)
    assert told(readings[SHOP]) == [("dpl_a", 60, 0), ("dpl_a", 59, 3), ("dpl_a", 61, 30)]
    assert type(readings[BLOG]) is Unavailable
    [query] = [form_of(one)["query"] for one in script.requests if "prj_shop" in form_of(one)["query"]]
    assert 'increase(r{app="prj_shop", deployment=~".+"}[60s])' in query
    # The comment ends with its line, not with the query.
    assert "# of prj_shop\n, " in query


@pytest.mark.parametrize("project", ['prj_a"} or vector(1) #', "prj_a'", "prj_a`", "prj_a\\", "prj_a\n", "prj_ä", ""])
async def test_a_project_that_could_end_a_string_of_promql_is_not_asked_for(project):
    source, script = a_source(jsonly(EMPTY), requests='r{p="{project}"}', errors='e{p="{project}"}')
    readings = await collect(source, ProjectId(project), SHOP)
    assert type(readings[project]) is Misconfigured
    assert told(readings[SHOP]) == []
    assert len(script.requests) == 1
    # Where no expression speaks of it, it is no trouble.
    source, _ = a_source(jsonly(RECORDED))
    readings = await collect(source, ProjectId(project), SHOP)
    assert told(readings[project]) == []
    assert len(told(readings[SHOP])) == 3


async def test_a_project_may_be_called_otherwise_in_its_label():
    series = [{**one, "metric": {**one["metric"], "project": "the-shop"}} for one in RECORDED["data"]["result"][:2]]
    others = RECORDED["data"]["result"][2:]
    answer = jsonly(EMPTY | {"data": {"resultType": "matrix", "result": [*series, *others]}})
    source, _ = a_source(answer, project_value="the-shop")
    assert not source.is_fleet_wide
    assert len(told((await collect(source, SHOP))[SHOP])) == 3


async def test_labels_may_have_other_names():
    names = {"project": "vercel_project", "deployment": "vercel_deployment", "lastgood_count": "lastgood_count"}
    series = [{**one, "metric": {names[k]: v for k, v in one["metric"].items()}} for one in RECORDED["data"]["result"]]
    answer = jsonly(EMPTY | {"data": {"resultType": "matrix", "result": series}})
    source, _ = a_source(answer, project_label="vercel_project", deployment_label="vercel_deployment")
    assert len(told((await collect(source, SHOP))[SHOP])) == 3


async def test_a_placeholder_is_not_looked_for_in_what_filled_another():
    source, script = a_source(jsonly(EMPTY), requests="a{p='{project}'}[{window}]", errors="b{p='{project}'}")
    await collect(source, ProjectId("prj_window"))
    assert "a{p='prj_window'}[60s]" in form_of(script.requests[0])["query"]


async def test_tenant_and_own_headers_go_along_and_a_rotated_one_at_once(tmp_path):
    path = tmp_path / "headers"
    path.write_text("Authorization: Bearer one")
    source, script = a_source(jsonly(EMPTY), tenant="team-1", headers_file=path)
    await collect(source, SHOP)
    path.write_text("Authorization: Bearer two")
    await collect(source, SHOP)
    sent = [request.headers for request in script.requests]
    assert [one["authorization"] for one in sent] == ["Bearer one", "Bearer two"]
    assert [one["x-scope-orgid"] for one in sent] == ["team-1", "team-1"]
    path.unlink()
    assert type((await collect(source, SHOP))[SHOP]) is Unavailable
    assert len(script.requests) == 2


# Trouble


async def test_trouble_with_one_project_touches_no_other():
    result = [*RECORDED["data"]["result"][:3]]
    source, _ = a_source(jsonly(EMPTY | {"data": {"resultType": "matrix", "result": result}}))
    readings = await collect(source, SHOP, BLOG)
    assert len(told(readings[SHOP])) == 3
    assert type(readings[BLOG]) is Unintelligible
    assert "missing_errors_are_zero" in str(readings[BLOG])


async def test_missing_errors_are_zero_where_the_settings_say_so():
    result = [*RECORDED["data"]["result"][:3]]
    source, _ = a_source(
        jsonly(EMPTY | {"data": {"resultType": "matrix", "result": result}}), missing_errors_are_zero=True
    )
    assert told((await collect(source, BLOG))[BLOG]) == [("dpl_b", 7, 0)]


@pytest.mark.parametrize(
    ("step", "error", "reason"),
    [
        (jsonly({"status": "error", "errorType": "bad_data", "error": "1:5: parse error"}, 400), Refused, "refused"),
        (text("no org id", 401), Refused, "unauthorized"),
        (text("404 page not found", 404), Refused, "refused"),
        (
            jsonly({"status": "error", "errorType": "execution", "error": "too many samples"}, 422),
            Unavailable,
            "unreachable",
        ),
        (text("slow down", 429, Retry_After="30"), RateLimited, "rate_limited"),
        (jsonly({"status": "error", "errorType": "timeout", "error": "timed out"}, 503), Unavailable, "unreachable"),
        (httpx.ConnectError("refused"), Unavailable, "unreachable"),
        (text("<html>Sign in</html>", content_type="text/html"), Unintelligible, "schema_drift"),
        (text("", 302, Location="https://login.example.com"), Unintelligible, "schema_drift"),
        (text("", content_type="application/json"), Unintelligible, "schema_drift"),
        (jsonly({"status": "success", "data": {"resultType": "vector", "result": []}}), Unintelligible, "schema_drift"),
        (jsonly(RECORDED | {"warnings": ["a store is away"]}), Unintelligible, "truncated"),
        (jsonly(RECORDED | {"isPartial": True}), Unintelligible, "truncated"),
    ],
)
async def test_I_01_lasting_trouble_is_the_entry_of_each_project(step, error, reason):
    source, _ = a_source(step)
    readings = await collect(source, SHOP, BLOG)
    for entry in (readings[SHOP], readings[BLOG]):
        assert type(entry) is error
        assert entry.reason is SignalReason(reason)
        assert str(entry).startswith("counts of 2 projects: ")


async def test_an_answer_over_the_bound_is_truncated(monkeypatch):
    # Sixteen megabytes would make the test slow.
    monkeypatch.setattr(prometheus, "ANSWER_BYTES_MAX", 100)
    source, _ = a_source(jsonly(RECORDED))
    entry = (await collect(source, SHOP))[SHOP]
    assert type(entry) is Unintelligible
    assert entry.reason is SignalReason.TRUNCATED


async def test_what_was_missed_in_trouble_is_told_once_it_heals():
    source, _ = a_source(jsonly(RECORDED | {"isPartial": True}), jsonly(RECORDED))
    assert type((await collect(source, SHOP))[SHOP]) is Unintelligible
    assert len(told((await collect(source, SHOP))[SHOP])) == 3


# Settings

SETTINGS = TypeAdapter(PrometheusSettings)
LEAST = {"kind": "prometheus", "url": "http://prometheus:9090", "requests": "a", "errors": "b"}


def test_an_address_and_two_expressions_are_enough():
    settings = SETTINGS.validate_python(LEAST)
    assert (settings.step, settings.lag, settings.missing_errors_are_zero) == (
        timedelta(seconds=60),
        timedelta(seconds=30),
        False,
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"url": None}, "url"),
        ({"requests": " "}, "requests"),
        ({"errors": "x" * 4001}, "errors"),
        ({"errors": "a"}, "same expression"),
        ({"requests": 'a{p="{project}"}'}, "only one of requests and errors says {project}"),
        ({"step": timedelta(seconds=4)}, "step"),
        ({"step": timedelta(minutes=10, seconds=1)}, "step"),
        ({"step": timedelta(seconds=15.5)}, "step is 15.5 s; write whole seconds"),
        ({"step": timedelta(minutes=5), "lookback_max": timedelta(minutes=9)}, "shorter than two steps of 300 s"),
        ({"project_label": "a-b"}, "project_label"),
        ({"deployment_label": "1a"}, "deployment_label"),
        ({"project_value": 'a"'}, "project_value"),
        ({"tenant": "a\nb"}, "tenant"),
        ({"headers_file": "relative"}, "headers_file"),
        ({"url": "http://far.example.com", "headers_file": "/run/headers"}, "clear text"),
        ({"extra": 1}, "extra"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong, message):
    with pytest.raises(ValidationError, match=message):
        SETTINGS.validate_python(LEAST | wrong)


@pytest.mark.parametrize(
    "right",
    [
        {"step": timedelta(seconds=5)},
        {"step": timedelta(minutes=10), "lookback_max": timedelta(minutes=20)},
        {"requests": 'a{p="{project}"}', "errors": 'b{p="{project}"}'},
        {"url": "http://127.0.0.1:9090", "headers_file": "/run/headers"},
    ],
)
def test_settings_at_their_bounds_are_taken(right):
    SETTINGS.validate_python(LEAST | right)


def test_every_setting_says_what_it_does():
    fields = PrometheusSettings.model_json_schema()["properties"]
    assert all(field.get("description", "").endswith(".") for name, field in fields.items() if name != "kind")


async def test_the_past_is_asked_for_in_whole_hours_up_to_where_a_first_collection_begins() -> None:
    source, script = a_source(jsonly(EMPTY))
    since = NOW - timedelta(hours=24)
    readings = await source.recall([SHOP, BLOG], since=since, now=NOW)
    assert set(readings) == {SHOP, BLOG}
    [request] = script.requests
    form = {key: value for key, [value] in parse_qs(request.content.decode()).items()}
    assert form["step"] == "3600s"
    assert "[3600s]" in form["query"]
    first, last = (datetime.fromtimestamp(int(form[key]), tz=NOW.tzinfo) for key in ("start", "end"))
    assert since < first - timedelta(hours=1) <= since + timedelta(hours=1), "a moment ends the hour that it counts"
    assert timedelta(minutes=30) <= NOW - last < timedelta(hours=2)
