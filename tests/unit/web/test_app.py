"""Metrics and health over HTTP, asked without a socket."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from daemon.telemetry.metrics import Metrics
from daemon.web.app import Health, build_app

GOOD = Health(
    cycle_age_seconds=3.0,
    cycle_age_seconds_max=40.0,
    progress_age_seconds=3.0,
    progress_age_seconds_max=400.0,
    has_completed=True,
    is_leader=True,
    frozen=(),
)


class Site:
    """The app, a client for it, and the health that it shows."""

    def __init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry(), version="1.2.3")
        self.metrics.initialise(["prj_shop"])
        self.health = GOOD
        app = build_app(self.metrics.registry, lambda: self.health)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://lastgood")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.client:
        yield site


async def test_metrics_are_what_prometheus_reads(site: Site) -> None:
    answer = await site.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "charset=utf-8" in answer.headers["content-type"]
    families = {family.name: family for family in parse_text(answer.text)}
    assert families["lastgood_build_info"].samples[0].labels == {"version": "1.2.3"}
    assert {"lastgood_cycles", "lastgood_actions", "lastgood_incident_state"} <= families.keys()


async def test_metrics_are_openmetrics_for_whoever_asks_for_it(site: Site) -> None:
    answer = await site.client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    assert any(family.name == "lastgood_cycles" for family in parse_openmetrics(answer.text))


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "nonsense;;q=x", ";", "application/openmetrics-text"])
async def test_no_wish_for_a_format_is_an_error(site: Site, accept: str) -> None:
    assert (await site.client.get("/metrics", headers={"accept": accept})).status_code == 200


async def test_a_scrape_shows_what_happened_since_the_last(site: Site) -> None:
    site.metrics.leader.set(1)
    assert "lastgood_leader 1.0" in (await site.client.get("/metrics")).text
    site.metrics.leader.set(0)
    assert "lastgood_leader 0.0" in (await site.client.get("/metrics")).text


CASES = [
    ("healthy", {}, 200, 200),
    ("just started", {"has_completed": False}, 200, 503),
    ("its first cycle takes long", {"has_completed": False, "cycle_age_seconds": 41.0}, 200, 503),
    ("at the bound", {"cycle_age_seconds": 40.0}, 200, 200),
    ("over the bound, as while Vercel hangs", {"cycle_age_seconds": 40.001}, 200, 503),
    ("slow, but getting on", {"progress_age_seconds": 400.0}, 200, 200),
    ("stuck", {"progress_age_seconds": 400.001}, 503, 503),
    ("standing by", {"is_leader": False}, 200, 503),
    ("standing by, and its bell is silent", {"is_leader": False, "progress_age_seconds": 401.0}, 503, 503),
    ("one project is frozen", {"frozen": ("prj_shop",)}, 200, 503),
]


@pytest.mark.parametrize(("changes", "alive", "ready"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_health_says_whether_to_restart_and_readiness_whether_it_may_act(
    site: Site, changes: dict[str, object], alive: int, ready: int
) -> None:
    site.health = replace(GOOD, **changes)  # type: ignore[arg-type]
    answers = {path: await site.client.get(path) for path in ("/healthz", "/readyz")}
    assert [answers["/healthz"].status_code, answers["/readyz"].status_code] == [alive, ready]
    for answer in answers.values():
        assert answer.json() == {
            "ok": answer.status_code == 200,
            "leader": site.health.is_leader,
            "cycle_age_seconds": site.health.cycle_age_seconds,
            "cycle_age_seconds_max": 40.0,
            "progress_age_seconds": site.health.progress_age_seconds,
            "progress_age_seconds_max": 400.0,
            "frozen": list(site.health.frozen),
        }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
async def test_nothing_can_be_done_over_it(site: Site, method: str, path: str) -> None:
    assert (await site.client.request(method, path)).status_code == 405


async def test_there_is_nothing_else(site: Site) -> None:
    for path in ("/", "/docs", "/openapi.json", "/metrics/x"):
        assert (await site.client.get(path)).status_code == 404
