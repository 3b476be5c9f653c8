"""Counts by route: the busiest are told apart, the others add up, and no text from outside is kept at any length."""

import pytest

from daemon.core.facts import OTHER_ROUTES, ROUTE_LENGTH_MAX, ROUTES_MAX, RouteCounts
from daemon.sources.routes import RouteTally, busiest_routes, counts_by_route, route_name


@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("/a", "/a"),
        ("", OTHER_ROUTES),
        (None, OTHER_ROUTES),
        ("/" * ROUTE_LENGTH_MAX, "/" * ROUTE_LENGTH_MAX),
        ("/" * (ROUTE_LENGTH_MAX + 1), "/" * ROUTE_LENGTH_MAX),
        ("/\x1b[2J\n/é", "/?[2J?/é"),
    ],
)
def test_a_route_is_named_by_no_more_than_people_can_be_told(route: str | None, name: str) -> None:
    assert route_name(route) == name


def test_the_busiest_routes_are_those_with_most_requests_whatever_their_errors() -> None:
    many = {f"/{number:02}": RouteTally(100 + number) for number in range(ROUTES_MAX)}
    failing = {"/bad": RouteTally(99, 99), OTHER_ROUTES: RouteTally(10_000)}
    assert busiest_routes([many, failing]) == tuple(sorted(many, reverse=True))
    assert busiest_routes([many, failing, {"/bad": RouteTally(2)}])[-2:] == ("/01", "/bad")


def test_of_equally_busy_routes_the_name_decides() -> None:
    assert busiest_routes([{"/b": RouteTally(1), "/a": RouteTally(1), "/c": RouteTally(2)}]) == ("/c", "/a", "/b")
    assert busiest_routes([]) == ()


def test_each_named_route_is_there_and_all_others_together() -> None:
    tally = {"/a": RouteTally(5, 1), "/b": RouteTally(3, 2), OTHER_ROUTES: RouteTally(4, 4)}
    assert counts_by_route(tally, ("/a", "/quiet")) == (
        RouteCounts("/a", 5, 1),
        RouteCounts("/quiet", 0, 0),
        RouteCounts(OTHER_ROUTES, 7, 6),
    )
    assert counts_by_route({"/a": RouteTally(5, 1)}, ("/a",)) == (RouteCounts("/a", 5, 1),)


def test_of_errors_alone_nobody_knows_the_requests() -> None:
    counts = counts_by_route({"/a": RouteTally(5, 5), "/b": RouteTally(1, 1)}, ("/a",), has_requests=False)
    assert counts == (RouteCounts("/a", None, 5), RouteCounts(OTHER_ROUTES, None, 1))
