"""The source `probe` on a site that answers by script."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from daemon.core.facts import ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import Refused, Unavailable, Unintelligible
from daemon.ports.source import Reading, Wanted
from daemon.sources.probe import ProbeSettings
from tests.unit.sources.serving import by_path, text
from tests.unit.vercel.fakes import NOW, Script, StillClock

SHOP = ProjectId("prj_shop")
SITE = "www.example.com"
GOOD = text("ok", x_deployment_id="dpl_good")
BROKEN = text("oops", 500, x_deployment_id="dpl_good")
MILLISECOND = timedelta(milliseconds=1)


def a_probe(*steps: Any, **changes: Any) -> tuple[Any, Script, StillClock]:
    script, clock = Script(*steps), StillClock()
    settings = {"domains": [SITE], "paths": ["/api/health"]} | changes
    return ProbeSettings.model_validate(settings).open(clock, network=script), script, clock


async def collect(source: Any, since=NOW) -> Any:
    return (await source.collect([Wanted(SHOP, since)], now=NOW))[SHOP]


def counts(reading: Any) -> list[tuple[str, int, int]]:
    assert isinstance(reading, Reading), reading
    return [(one.deployment, one.requests or 0, one.errors) for one in reading.samples]


async def test_each_path_is_visited_so_often_one_after_another():
    source, script, _ = a_probe(GOOD, paths=["/", "/api/health?deep=1"], count=2)
    assert counts(await collect(source)) == [("dpl_good", 4, 0)]
    assert [str(one.url) for one in script.requests] == [f"https://{SITE}/", f"https://{SITE}/api/health?deep=1"] * 2
    assert {(one.method, one.headers["host"], one.headers["user-agent"]) for one in script.requests} == {
        ("GET", SITE, "lastgood-probe")
    }


async def test_who_serves_is_looked_at_before_and_after_where_the_site_can_tell():
    routes = by_path({"/version.txt": GOOD, "/api/health": text("oops", 500)})
    source, script, _ = a_probe(routes, identity_path="/version.txt", count=2)
    assert counts(await collect(source)) == [("dpl_good", 2, 2)]
    assert [one.url.path for one in script.requests] == ["/version.txt", *["/api/health"] * 2, "/version.txt"]


async def test_every_domain_is_visited():
    routes = by_path(
        {"a.example.com/api/health": GOOD, "b.example.com/api/health": text("ok", x_deployment_id="dpl_b")}
    )
    source, _, _ = a_probe(routes, domains=["a.example.com", "b.example.com"])
    assert counts(await collect(source)) == [("dpl_b", 3, 0), ("dpl_good", 3, 0)]


async def test_the_deployment_may_be_named_by_another_header():
    source, _, _ = a_probe(text("ok", x_built_as="dpl_x"), deployment_header="x-built-as")
    assert counts(await collect(source)) == [("dpl_x", 3, 0)]


async def test_the_site_may_be_reached_by_way_of_another_server():
    source, script, _ = a_probe(GOOD, via="http://127.0.0.1:4455")
    assert counts(await collect(source)) == [("dpl_good", 3, 0)]
    assert {(str(one.url), one.headers["host"]) for one in script.requests} == {
        ("http://127.0.0.1:4455/api/health", SITE)
    }


async def test_own_headers_go_along(tmp_path):
    path = tmp_path / "headers"
    path.write_text("x-vercel-protection-bypass: s3cret\nhost: elsewhere\n")
    source, script, _ = a_probe(GOOD, headers_file=path)
    await collect(source)
    assert {(one.headers["x-vercel-protection-bypass"], one.headers["host"]) for one in script.requests} == {
        ("s3cret", SITE)
    }
    path.unlink()
    assert type(await collect(source)) is Unavailable
    assert len(script.requests) == 3


# Time


async def test_a_sample_spans_the_time_of_its_visits_on_the_monotonic_clock():
    async def slow(request: httpx.Request) -> httpx.Response:
        await clock.sleep(0.5)
        # The wall clock is set back an hour meanwhile.
        clock.began -= timedelta(hours=1)
        return GOOD(request)

    source, _, clock = a_probe(slow, count=2)
    reading = await collect(source)
    [sample] = reading.samples
    assert (sample.start, sample.end) == (NOW, NOW + timedelta(seconds=1))
    assert (reading.complete_until, reading.lag) == (sample.end, timedelta(0))


async def test_a_round_that_took_no_time_still_has_a_span():
    source, _, _ = a_probe(GOOD)
    [sample] = (await collect(source)).samples
    assert sample.end - sample.start == MILLISECOND


async def test_each_round_is_told_once_to_whoever_goes_on_from_the_watermark_and_again_to_others():
    source, _, clock = a_probe(GOOD, GOOD, GOOD, BROKEN)
    first = await collect(source)
    clock.passed += 15
    second = await collect(source, since=first.complete_until)
    assert counts(first) == [("dpl_good", 3, 0)]
    assert counts(second) == [("dpl_good", 3, 3)]
    clock.passed += 15
    third = await collect(source, since=NOW)
    assert counts(third) == [("dpl_good", 3, 0), ("dpl_good", 3, 3), ("dpl_good", 3, 3)]
    assert [one.start - NOW for one in third.samples] == [timedelta(seconds=one) for one in (0, 15, 30)]


async def test_what_is_kept_is_bounded(monkeypatch):
    # A thousand rounds would make the test slow.
    monkeypatch.setattr("daemon.sources.probe.SAMPLES_KEPT_MAX", 2)
    source, _, clock = a_probe(GOOD)
    for _ in range(4):
        reading = await collect(source)
        clock.passed += 15
    assert [one.start - NOW for one in reading.samples] == [timedelta(seconds=one) for one in (30, 45)]


# Trouble


async def test_nobody_wanted_is_nobody_visited():
    source, script, _ = a_probe(GOOD)
    assert await source.collect([], now=NOW) == {}
    assert not script.requests


async def test_I_01_a_site_that_does_not_name_its_deployment_gives_no_sample():
    source, _, _ = a_probe(text("ok"))
    trouble = await collect(source)
    assert type(trouble) is Unintelligible
    assert "3 of 3 visits, 0 of them failed, do not say which deployment served" in str(trouble)


async def test_a_visit_without_an_answer_fails_between_two_that_have_one():
    source, _, _ = a_probe(GOOD, httpx.ReadTimeout("slow"), GOOD)
    assert counts(await collect(source)) == [("dpl_good", 3, 1)]


async def test_I_01_a_network_of_ours_without_any_answer_is_no_failure_of_the_site():
    source, _, _ = a_probe(httpx.ConnectError("no route"))
    trouble = await collect(source)
    assert type(trouble) is Unavailable
    assert f"GET {SITE}/api/health: connection trouble (ConnectError)" in str(trouble)


async def test_redirects_are_not_followed():
    source, script, _ = a_probe(text("", 308, Location="https://elsewhere.example.com/"))
    trouble = await collect(source)
    assert type(trouble) is Refused
    assert trouble.reason is SignalReason.REFUSED
    assert {one.url.host for one in script.requests} == {SITE}


async def test_a_page_without_end_is_left_when_enough_is_seen():
    source, _, _ = a_probe(text("x" * 200_000, x_deployment_id="dpl_good"))
    assert counts(await collect(source)) == [("dpl_good", 3, 0)]


def test_it_says_that_it_is_a_witness_of_one_project():
    source, _, _ = a_probe(GOOD)
    assert (source.name, source.is_witness, source.is_fleet_wide) == ("probe", True, False)


# Settings

SETTINGS = TypeAdapter(ProbeSettings)
LEAST = {"kind": "probe", "domains": [SITE], "paths": ["/"]}


def test_domains_and_paths_are_enough():
    settings = SETTINGS.validate_python(LEAST)
    assert (settings.count, settings.deployment_header, settings.lag) == (3, "x-deployment-id", timedelta(0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"domains": []}, "domains"),
        ({"domains": [f"{number}.example.com" for number in range(9)]}, "domains"),
        ({"domains": ["https://www.example.com"]}, "domains"),
        ({"domains": ["WWW.example.com"]}, "domains"),
        ({"paths": []}, "paths"),
        ({"paths": ["health"]}, "paths"),
        ({"paths": ["/#top"]}, "paths"),
        ({"paths": ["/a b"]}, "paths"),
        ({"identity_path": "version"}, "identity_path"),
        ({"count": 0}, "count"),
        ({"count": 21}, "count"),
        ({"count": 13}, "13 GETs a domain with a timeout of 5 s may take 65 s, at most 60 s"),
        ({"count": 11, "identity_path": "/v"}, "13 GETs a domain"),
        ({"timeout": timedelta(seconds=31)}, "timeout"),
        ({"deployment_header": "X-Deployment"}, "deployment_header"),
        ({"via": "127.0.0.1"}, "via"),
        ({"via": "http://far.example.com", "headers_file": "/run/headers"}, "clear text"),
        ({"every": 1}, "every"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong, message):
    with pytest.raises(ValidationError, match=message):
        SETTINGS.validate_python(LEAST | wrong)


@pytest.mark.parametrize("right", [{"count": 12}, {"count": 10, "identity_path": "/v"}, {"paths": ["/a?b=c&d"]}])
def test_settings_at_their_bounds_are_taken(right):
    SETTINGS.validate_python(LEAST | right)


def test_every_setting_says_what_it_does():
    fields = ProbeSettings.model_json_schema()["properties"]
    assert all(field.get("description", "").endswith(".") for name, field in fields.items() if name != "kind")
