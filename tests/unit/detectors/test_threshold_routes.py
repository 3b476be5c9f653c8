"""The threshold rule by route: which route is told, what keeps a project from being called well, and bounds."""

import json
from dataclasses import replace
from typing import Any

from daemon.core.detector import Finding, Verdict
from daemon.core.facts import ROUTES_MAX, ErrorRateSample, RouteCounts
from daemon.detectors import decode_memory, encode_memory
from daemon.detectors.threshold import Threshold, ThresholdMemory
from tests.builders import MINUTE, START, a_sample
from tests.unit.detectors.test_threshold import COUNTING, RULE, judged, minutes

ROUTED = RULE.model_copy(update={"per_route": True})


def routed(minute: float, by_route: dict[str, tuple[int | None, int]], **facts: Any) -> ErrorRateSample:
    """Return a minute with the counts of each route."""
    routes = tuple(RouteCounts(route, *counts) for route, counts in by_route.items())
    known = [one.requests for one in routes if one.requests is not None]
    return a_sample(
        start=START + minute * MINUTE,
        requests=sum(known) if known else None,
        errors=sum(one.errors for one in routes),
        routes=routes,
        **facts,
    )


def story(*minutes: dict[str, tuple[int | None, int]], rule: Threshold = ROUTED) -> tuple[ThresholdMemory, Finding]:
    return judged(rule, [routed(number, one) for number, one in enumerate(minutes)])


CALM: dict[str, tuple[int | None, int]] = {"/": (2000, 0), "/pay": (50, 0)}
TROUBLED: dict[str, tuple[int | None, int]] = {"/": (2000, 0), "/pay": (50, 20)}


def test_a_route_that_fails_is_found_where_the_whole_hides_it_and_names_itself() -> None:
    _, finding = story(CALM, TROUBLED, TROUBLED)
    assert (finding.verdict, finding.route) == (Verdict.BREACHING, "/pay")
    assert (finding.requests, finding.errors, finding.onset_at) == (50, 20, START + MINUTE)
    assert finding.sentence == (
        "route /pay: 20 of 50 requests failed (40.0%, limit 5.0%); 2 of the last 3 windows bad, 2 needed"
    )
    assert ROUTED.wants_routes
    assert not RULE.wants_routes
    _, finding = story(CALM, TROUBLED, TROUBLED, rule=RULE)
    assert (finding.verdict, finding.route) == (Verdict.HEALTHY, None)


def test_a_route_in_trouble_keeps_the_whole_from_being_called_healthy() -> None:
    _, finding = story(CALM, TROUBLED)
    assert (finding.verdict, finding.route, finding.acts_in) == (Verdict.INCONCLUSIVE, "/pay", MINUTE)
    _, finding = story(CALM, TROUBLED, CALM, CALM, CALM)
    assert (finding.verdict, finding.route) == (Verdict.HEALTHY, None)


def test_of_equal_trouble_the_whole_is_told_and_of_routes_the_worst() -> None:
    bad: dict[str, tuple[int | None, int]] = {"/": (100, 50), "/pay": (100, 90)}
    assert story(bad, bad)[1].route is None
    bad = {"/": (5000, 0), "/pay": (100, 50), "/cart": (100, 60)}
    assert story(bad, bad)[1].route == "/cart"


def test_a_route_with_little_traffic_is_no_news() -> None:
    quiet: dict[str, tuple[int | None, int]] = {"/": (2000, 0), "/pay": (19, 19)}
    assert story(quiet, quiet)[1].verdict is Verdict.HEALTHY


def test_what_is_no_route_is_not_judged_as_one() -> None:
    other: dict[str, tuple[int | None, int]] = {"/": (2000, 0), "(other)": (50, 50)}
    memory, finding = story(other, other)
    assert [route for route, _ in memory.routes] == ["/"]
    assert finding.verdict is Verdict.HEALTHY


def test_without_counts_by_route_the_whole_is_judged_alone() -> None:
    assert judged(ROUTED, minutes((100, 50), (100, 50)))[1].route is None
    memory, _ = story(TROUBLED)
    assert RULE.update(memory, routed(1, TROUBLED))[0].routes == ()


def test_a_route_in_trouble_that_is_no_longer_counted_is_neither_healthy_nor_breaching() -> None:
    gone: dict[str, tuple[int | None, int]] = {"/": (2000, 0)}
    assert story(TROUBLED, TROUBLED, gone, gone)[1].verdict is Verdict.BREACHING
    _, finding = story(TROUBLED, TROUBLED, *[gone] * 60)
    assert (finding.verdict, finding.route, finding.acts_in) == (Verdict.INCONCLUSIVE, "/pay", None)
    assert finding.sentence.endswith("; nobody knows how it has been since")
    _, finding = story(TROUBLED, TROUBLED, *[gone] * 5, CALM)
    assert (finding.verdict, finding.route) == (Verdict.HEALTHY, None)


def test_late_counts_of_a_route_are_added_to_its_windows() -> None:
    memory, before = story(CALM, TROUBLED, CALM)
    assert before.verdict is Verdict.INCONCLUSIVE
    _, finding = ROUTED.update(memory, routed(2, {"/pay": (10, 10), "/new": (5, 5)}, is_late=True))
    assert (finding.verdict, finding.route) == (Verdict.BREACHING, "/pay")


def test_I_04_replayed_counts_of_a_route_are_counted_once() -> None:
    memory, finding = story(CALM, TROUBLED)
    assert ROUTED.update(memory, routed(1, TROUBLED)) == (memory, finding)
    # Of a route that was counted further than the whole, what overlaps is left out.
    ahead = replace(memory, completed=(), open=None)
    assert ROUTED.update(ahead, routed(1, TROUBLED))[0].routes == memory.routes


def test_routes_that_are_remembered_are_bounded_whatever_comes() -> None:
    rule = ROUTED.model_copy(update={"windows": 60})
    many = [
        {f"/{number}/{one}": (100, 50) for one in range(ROUTES_MAX)} | {"(other)": (100, 0)} for number in range(50)
    ]
    memory, _ = story(*many, rule=rule)  # type: ignore[arg-type]
    assert len(memory.routes) <= 2 * ROUTES_MAX
    assert {route for route, _ in memory.routes} >= set(many[-1]) - {"(other)"}
    document = json.loads(json.dumps(encode_memory("threshold", memory)))
    assert decode_memory("threshold", document) == memory


def test_errors_a_minute_are_judged_by_route_as_well() -> None:
    rule = COUNTING.model_copy(update={"per_route": True})
    errors: dict[str, tuple[int | None, int]] = {"/": (None, 10), "/pay": (None, 15)}
    assert story(errors, errors, rule=rule)[1].verdict is Verdict.HEALTHY
    errors = {"/": (None, 0), "/pay": (None, 30)}
    assert story(errors, errors, rule=rule)[1].route is None
