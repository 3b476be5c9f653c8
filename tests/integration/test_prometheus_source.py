"""The source `prometheus` and the expressions that its settings recommend, on a real Prometheus."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.core.facts import ProjectId
from daemon.ports.errors import PortError, Refused, Unintelligible
from daemon.ports.source import Reading, Wanted
from daemon.sources.prometheus import PrometheusSettings
from tests.contract.stages.prometheus import RealPrometheus
from tests.requires import requires_prometheus, requires_promtool

pytestmark = [pytest.mark.slow, requires_prometheus, requires_promtool]

START = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
SHOP, BLOG = ProjectId("prj_shop"), ProjectId("prj_blog")
BY = "sum by (project, deployment)"
REQUESTS = f"{BY} (increase(http_requests_total[{{window}}]))"
ERRORS = f'{BY} (increase(http_requests_total{{status=~"5.."}}[{{window}}]))'


@pytest.fixture
def server() -> RealPrometheus:
    return RealPrometheus()


def scrapes(project: str, deployment: str, status: int, *, a_second: float, seconds: range) -> Iterator[str]:
    """Lines of a counter that grows by so many requests a second, scraped at these seconds after the start."""
    labels = f'project="{project}",deployment="{deployment}",status="{status}"'
    for second in seconds:
        yield f"http_requests_total{{{labels}}} {1000 + a_second * second:g} {START.timestamp() + second:.3f}"


async def collect(server: RealPrometheus, *projects: ProjectId, minutes: float = 10.5, **changes: Any) -> Any:
    bound = timedelta(minutes=20)
    settings = {"url": server.url, "requests": REQUESTS, "errors": ERRORS, "lookback_max": bound} | changes
    source = PrometheusSettings.model_validate(settings).open()
    wanted = [Wanted(project, START + timedelta(minutes=1)) for project in projects]
    return await source.collect(wanted, now=START + timedelta(minutes=minutes))


def told(entry: Reading | PortError) -> list[tuple[int, int]]:
    assert isinstance(entry, Reading), entry
    return [(one.requests or 0, one.errors) for one in entry.samples]


async def test_the_recommended_expressions_count_scrapes_at_any_second(server):
    every = range(7, 600, 15)
    await server.serve(
        [
            *scrapes("prj_shop", "dpl_a", 200, a_second=2, seconds=every),
            *scrapes("prj_shop", "dpl_a", 500, a_second=0.5, seconds=every),
            *scrapes("prj_blog", "dpl_b", 200, a_second=1, seconds=every),
            *scrapes("prj_blog", "dpl_b", 503, a_second=1, seconds=every),
        ]
    )
    readings = await collect(server, SHOP, BLOG)
    assert told(readings[SHOP]) == [(150, 30)] * 9
    assert told(readings[BLOG]) == [(120, 60)] * 9
    assert {one.complete_until for one in readings.values()} == {START + timedelta(minutes=10)}


async def test_I_02_a_service_that_is_no_longer_scraped_ages_and_is_no_zero(server):
    await server.serve(
        [
            *scrapes("prj_shop", "dpl_a", 200, a_second=1, seconds=range(0, 241, 15)),
            *scrapes("prj_shop", "dpl_a", 500, a_second=1, seconds=range(0, 241, 15)),
        ]
    )
    reading = (await collect(server, SHOP))[SHOP]
    assert told(reading) == [(120, 60)] * 3
    assert reading.complete_until == START + timedelta(minutes=4)


async def test_I_02_a_service_without_a_counter_of_errors_is_refused_until_its_expression_says_zero(server):
    await server.serve(scrapes("prj_shop", "dpl_a", 200, a_second=1, seconds=range(0, 600, 15)))
    entry = (await collect(server, SHOP))[SHOP]
    assert type(entry) is Unintelligible
    assert "`or 0 * <requests>`" in str(entry)
    remedied = await collect(server, SHOP, errors=f"{ERRORS} or 0 * {REQUESTS}")
    assert told(remedied[SHOP]) == [(60, 0)] * 9


async def test_an_expression_may_choose_the_project_itself(server):
    await server.serve(
        [
            *scrapes("the-shop", "dpl_a", 200, a_second=1, seconds=range(0, 600, 15)),
            *scrapes("the-blog", "dpl_b", 200, a_second=3, seconds=range(0, 600, 15)),
        ]
    )
    selector = 'http_requests_total{project="{project}", deployment=~"{deployment}"'
    expressions = {
        "requests": f"sum by (deployment) (increase({selector}}}[{{window}}]))",
        "errors": f'sum by (deployment) (increase({selector}, status=~"5.."}}[{{window}}])) # of {{project}}',
    }
    readings = await collect(server, SHOP, project_value="the-shop", missing_errors_are_zero=True, **expressions)
    assert told(readings[SHOP]) == [(60, 0)] * 9


async def test_an_expression_that_is_none_is_refused_in_the_servers_words(server):
    await server.serve([])
    entry = (await collect(server, SHOP, requests="sum by (project"))[SHOP]
    assert type(entry) is Refused
    assert "answered 400" in str(entry)
    assert "parse error" in str(entry)


async def test_nothing_known_of_anybody_is_no_sample(server):
    await server.serve([])
    assert told((await collect(server, SHOP))[SHOP]) == []
