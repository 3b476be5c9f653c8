"""Each request counts once, by what its visitor got; what is no visitor's request counts not at all."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.facts import OTHER_ROUTES, ROUTE_LENGTH_MAX
from daemon.ports.buckets import RouteCount
from daemon.ports.drain import EntryOutcome
from daemon.web.drain.entries import Entry, decode_lines
from daemon.web.drain.tally import AHEAD_MAX_MS, Tally, moment_of
from tests.unit.web.drain.receiving import START_MS, STREAM, an_entry, lines, requests

MINUTE_MS = 60_000


def a_tally(*, ids_max: int = 1000, routes_max: int = 10, minutes: int = 15) -> Tally:
    return Tally(ids_max=ids_max, remembered_for=timedelta(minutes=minutes), routes_max=routes_max)


def entries(*fields: dict[str, Any]) -> list[Entry]:
    return decode_lines(lines(fields))


def count(tally: Tally, *fields: dict[str, Any], at_ms: int = START_MS) -> None:
    tally.count(entries(*fields), arrived_ms=at_ms, stream=STREAM)


def rows(tally: Tally) -> list[RouteCount]:
    return tally.collect(rows_max=1_000_000)[0]


def sums(found: list[RouteCount]) -> tuple[int, int]:
    """Requests and errors."""
    return sum(one.requests for one in found), sum(one.requests for one in found if one.status_class == 5)


def counted(*fields: dict[str, Any]) -> tuple[int, int]:
    tally = a_tally()
    count(tally, *fields)
    return sums(rows(tally))


# What counts


def test_a_request_counts_under_its_project_deployment_bucket_route_and_class() -> None:
    tally = a_tally()
    count(tally, an_entry(at_ms=START_MS + 12_345, status=404), at_ms=START_MS + 15_000)
    assert rows(tally) == [RouteCount("prj_shop", "dpl_1", moment_of(START_MS + 10_000), "/cart", 4, 1)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(100, (1, 0)), (200, (1, 0)), (499, (1, 0)), (500, (1, 1)), (503, (1, 1)), (599, (1, 1)), (600, (1, 0))],
)
def test_5xx_is_an_error_and_nothing_else_is(status: int, expected: tuple[int, int]) -> None:
    assert counted(an_entry(status=status)) == expected


@pytest.mark.parametrize("status", [None, 0, 99, 1000, 10**30, -500])
def test_what_is_no_status_is_no_answer(status: int | None) -> None:
    assert counted(an_entry(status=status)) == (0, 0)


@pytest.mark.parametrize("proxy_status", [None, 0])
def test_the_entrys_status_speaks_where_the_proxy_is_silent(proxy_status: int | None) -> None:
    assert counted(an_entry(statusCode=502, proxy={"statusCode": proxy_status})) == (1, 1)


def test_the_proxys_status_is_what_the_visitor_got() -> None:
    assert counted(an_entry(statusCode=500, proxy={"statusCode": 200})) == (1, 0)


@pytest.mark.parametrize("proxy_status", [500, 200, None])
def test_a_crashed_function_is_an_error_whatever_the_proxy_says(proxy_status: int | None) -> None:
    assert counted(an_entry(statusCode=-1, proxy={"statusCode": proxy_status})) == (1, 1)


def test_a_crash_without_a_proxy_is_an_error_and_its_proxys_entry_counts_no_more() -> None:
    crash = an_entry(statusCode=-1) | {"proxy": None}
    assert counted(crash, an_entry(status=500)) == (1, 1)
    assert counted(an_entry(status=500), crash) == (1, 1)


def test_only_a_function_can_crash() -> None:
    assert counted(an_entry(source="static", statusCode=-1, proxy={"statusCode": 200})) == (1, 0)
    assert counted(an_entry(source="edge", statusCode=-1, proxy={"statusCode": None})) == (0, 0)


LEFT_OUT = {
    "a page rebuilt in the background": (an_entry(proxy={"statusCode": -1}), EntryOutcome.BACKGROUND),
    "a background function": (an_entry(proxy={"pathType": "background_func"}), EntryOutcome.BACKGROUND),
    "a crash in the background": (an_entry(statusCode=-1, proxy={"statusCode": -1}), EntryOutcome.BACKGROUND),
    "preview": (an_entry(environment="preview"), EntryOutcome.NOT_PRODUCTION),
    "an environment of the team's own": (an_entry(environment="staging"), EntryOutcome.NOT_PRODUCTION),
    "no environment": (an_entry(environment=None), EntryOutcome.NOT_PRODUCTION),
    "a crash in preview": (an_entry(environment="preview", statusCode=-1), EntryOutcome.NOT_PRODUCTION),
    "denied by the firewall": (an_entry(status=403, proxy={"wafAction": "deny"}), EntryOutcome.DENIED),
    "from the firewall": (an_entry(status=403, source="firewall"), EntryOutcome.DENIED),
    "a build's output": (an_entry(None, source="build", statusCode=None) | {"proxy": None}, EntryOutcome.NO_REQUEST),
    "a line without a proxy": (an_entry() | {"proxy": None}, EntryOutcome.NO_REQUEST),
    "no deployment": (an_entry(deploymentId=""), EntryOutcome.NO_REQUEST),
    "no project": (an_entry(projectId=""), EntryOutcome.NO_REQUEST),
    "no id at all": (an_entry(None, proxy={"vercelId": None}), EntryOutcome.NO_REQUEST),
    "empty ids": (an_entry("", proxy={"vercelId": ""}), EntryOutcome.NO_REQUEST),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_no_visitors_request_is_left_out(case: str) -> None:
    entry, outcome = LEFT_OUT[case]
    tally = a_tally()
    count(tally, entry, an_entry("another"))
    assert sums(rows(tally)) == (1, 0)
    assert tally.outcomes == {outcome: 1, EntryOutcome.COUNTED: 1, EntryOutcome.REPEATED: 0}


@pytest.mark.parametrize("action", ["log", "bypass", "challenge"])
def test_what_the_firewall_let_on_counts(action: str) -> None:
    assert counted(an_entry(status=500, proxy={"wafAction": action})) == (1, 1)


# Once


def test_a_request_with_many_entries_counts_once() -> None:
    middleware = an_entry(source="edge", path="/_middleware", proxy={"pathType": "middleware"})
    assert counted(middleware, an_entry(), an_entry(at_ms=START_MS + 20_000), an_entry()) == (1, 0)


def test_a_batch_that_comes_again_counts_nothing() -> None:
    tally = a_tally()
    batch = requests(20) + requests(5, first=20, status=500)
    count(tally, *batch)
    assert sums(rows(tally)) == (25, 5)
    count(tally, *batch, at_ms=START_MS + 5 * MINUTE_MS)
    assert rows(tally) == []
    assert tally.outcomes[EntryOutcome.REPEATED] == 25


@pytest.mark.parametrize("is_collected_between", [False, True])
def test_a_crash_that_is_told_after_the_first_entry_moves_the_request_to_the_errors(
    *, is_collected_between: bool
) -> None:
    tally = a_tally()
    count(tally, an_entry(), an_entry("other"))
    found = rows(tally) if is_collected_between else []
    count(tally, an_entry(statusCode=-1))
    count(tally, an_entry(statusCode=-1), an_entry())
    found += rows(tally)
    assert sums(found) == (2, 1)
    assert (sum(one.requests for one in found if one.status_class == 2)) == 1
    assert tally.uncollected == 0


def test_requests_without_an_id_are_told_apart_by_vercels() -> None:
    first, second = (an_entry(None, proxy={"vercelId": f"fra1::{number}"}) for number in (1, 2))
    assert counted(first, second, first) == (2, 0)


def test_the_same_id_of_two_deployments_is_two_requests() -> None:
    assert counted(an_entry(), an_entry(deploymentId="dpl_2")) == (2, 0)


TOLD = [
    an_entry("ok"),
    an_entry("ok", at_ms=START_MS + 11_000),
    an_entry("crash"),
    an_entry("crash", statusCode=-1),
    an_entry("crash", source="edge", status=None),
    an_entry("failed", status=503),
    an_entry("failed", source="edge", status=200),
    an_entry("preview", environment="preview", status=500),
    an_entry("rebuilt", proxy={"statusCode": -1}),
]


@pytest.mark.slow
@given(told=st.permutations(TOLD * 2), size=st.integers(1, 7), collected=st.sets(st.integers(0, 18)))
def test_neither_order_nor_batches_nor_repetition_change_the_counts(
    told: list[dict[str, Any]], size: int, collected: set[int]
) -> None:
    tally, found = a_tally(), []
    for first in range(0, len(told), size):
        count(tally, *told[first : first + size])
        if first in collected:
            found += rows(tally)
    assert sums(found + rows(tally)) == (3, 2)


# Time


@pytest.mark.parametrize(
    ("offset_ms", "outcome"),
    [
        (-15 * MINUTE_MS, EntryOutcome.COUNTED),
        (-15 * MINUTE_MS - 1, EntryOutcome.LATE),
        (30_000, EntryOutcome.COUNTED),
        (AHEAD_MAX_MS, EntryOutcome.COUNTED),
        (AHEAD_MAX_MS + 1, EntryOutcome.AHEAD),
        (-START_MS - 1, EntryOutcome.LATE),
        (10**30, EntryOutcome.AHEAD),
        (-(10**30), EntryOutcome.LATE),
    ],
)
def test_what_is_too_old_or_from_the_future_is_not_counted(offset_ms: int, outcome: EntryOutcome) -> None:
    tally = a_tally()
    count(tally, an_entry(at_ms=START_MS + offset_ms))
    assert tally.outcomes[outcome] == 1
    assert sums(rows(tally))[0] == (1 if outcome is EntryOutcome.COUNTED else 0)


@pytest.mark.parametrize(("at_ms", "bucket_ms"), [(0, 0), (9_999, 0), (10_000, 10_000)])
def test_a_bucket_is_ten_seconds_from_its_start_on(at_ms: int, bucket_ms: int) -> None:
    tally = a_tally()
    count(tally, an_entry(at_ms=START_MS + at_ms))
    assert [one.start for one in rows(tally)] == [moment_of(START_MS + bucket_ms)]


def test_a_request_is_remembered_for_as_long_as_its_entries_are_taken() -> None:
    tally = a_tally(minutes=1)
    for second in range(0, 300, 7):
        at_ms = START_MS + second * 1000
        count(tally, an_entry(f"at {second}", at_ms=at_ms), at_ms=at_ms)
        for earlier in range(0, second, 7):
            count(tally, an_entry(f"at {earlier}", at_ms=START_MS + earlier * 1000), at_ms=at_ms)
    assert sums(rows(tally))[0] == len(range(0, 300, 7))
    assert tally.remembered < 30


# Bounds


def test_no_more_requests_are_remembered_than_agreed() -> None:
    tally = a_tally(ids_max=100)
    for first in range(0, 5000, 10):
        count(tally, *requests(10, first=first))
        assert tally.remembered <= 110
    count(tally, *requests(50, first=4950))
    assert sums(rows(tally)) == (5000, 0), "the newest are remembered"


def test_a_deployment_that_nobody_asks_any_more_is_forgotten() -> None:
    tally = a_tally()
    count(tally, an_entry(deploymentId="dpl_old"))
    for minute in range(0, 60, 5):
        at_ms = START_MS + minute * MINUTE_MS
        count(tally, an_entry(f"{minute}", at_ms=at_ms), at_ms=at_ms)
    assert tally.remembered < 12
    assert {one.deployment for one in rows(tally)} == {"dpl_old", "dpl_1"}, "what it had counted is not lost"


def test_routes_beyond_the_bound_share_one_for_each_status() -> None:
    tally = a_tally(routes_max=3)
    count(tally, *(an_entry(f"{number}", path=f"/{number}") for number in range(50)))
    count(tally, *(an_entry(f"bad {number}", path=f"/{number}", status=500) for number in range(50)))
    found = {(one.route, one.status_class): one.requests for one in rows(tally)}
    assert found == {("/0", 2): 1, ("/1", 2): 1, ("/2", 2): 1, (OTHER_ROUTES, 2): 47, (OTHER_ROUTES, 5): 50}


def test_the_bound_of_routes_is_each_buckets_own() -> None:
    tally = a_tally(routes_max=2)
    for bucket in range(5):
        at_ms = START_MS + bucket * 10_000
        count(tally, *(an_entry(f"{bucket} {one}", path=f"/{one}", at_ms=at_ms) for one in range(2)), at_ms=at_ms)
    assert {one.route for one in rows(tally)} == {"/0", "/1"}


@pytest.mark.parametrize("length", [ROUTE_LENGTH_MAX, ROUTE_LENGTH_MAX + 1, 100_000])
def test_a_long_path_is_cut(length: int) -> None:
    tally = a_tally()
    count(tally, *(an_entry(f"{number}", path="/" * length) for number in range(3)))
    assert [(len(one.route), one.requests) for one in rows(tally)] == [(ROUTE_LENGTH_MAX, 3)]


def test_a_request_without_a_route_counts_under_an_empty_one() -> None:
    tally = a_tally()
    count(tally, an_entry("1", path=None), an_entry("2", path=""))
    assert [(one.route, one.requests) for one in rows(tally)] == [("", 2)]


def test_what_is_collected_at_once_is_bounded_and_the_rest_waits() -> None:
    tally = a_tally(routes_max=100)
    count(tally, *(an_entry(f"{number}", path=f"/{number}") for number in range(25)))
    sizes = []
    while tally.has_more:
        found, _ = tally.collect(rows_max=10)
        sizes.append(len(found))
    assert sizes == [10, 10, 5]
    assert tally.uncollected == 0


def test_many_requests_of_one_kind_are_one_count() -> None:
    tally = a_tally()
    count(tally, *requests(100))
    found, _ = tally.collect(rows_max=1)
    assert [one.requests for one in found] == [100]
    assert not tally.has_more


def test_it_tells_which_projects_were_heard_on_which_stream() -> None:
    tally = a_tally()
    tally.count(entries(an_entry("1")), arrived_ms=START_MS, stream="one")
    tally.count(entries(an_entry("2", projectId="prj_blog", deploymentId="dpl_2")), arrived_ms=START_MS, stream="two")
    tally.count(entries(an_entry("3", projectId="prj_preview", environment="preview")), arrived_ms=START_MS, stream="x")
    assert tally.collect(rows_max=10)[1] == {("one", "prj_shop"), ("two", "prj_blog")}
    assert tally.collect(rows_max=10) == ([], set())
