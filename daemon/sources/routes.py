"""Counts by route: which routes are told apart, and what the others add up to. Visitors may think of any number."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from daemon.core.facts import OTHER_ROUTES, ROUTE_LENGTH_MAX, ROUTES_MAX, RouteCounts


class RouteTally(NamedTuple):
    """Requests of a route, and how many of them were answered with errors of the deployment's own."""

    requests: int = 0
    errors: int = 0

    def plus(self, other: "RouteTally") -> "RouteTally":
        """Return the sum."""
        return RouteTally(self.requests + other.requests, self.errors + other.errors)


ByRoute = Mapping[str, RouteTally]


def route_name(route: str | None) -> str:
    """Return the name under which requests to *route* are counted; None or '' is no route.

    It is told to people, so that no sign is left in it that a terminal would obey.
    """
    name = (route or OTHER_ROUTES)[:ROUTE_LENGTH_MAX]
    return name if name.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in name)


def busiest_routes(tallies: Iterable[ByRoute]) -> tuple[str, ...]:
    """Return the names of the ROUTES_MAX routes with most requests, the busiest first; of equals, by name.

    It is by requests and never by errors, so that being told apart says nothing of how a route does.
    """
    totals: Counter[str] = Counter()
    for tally in tallies:
        for route, one in tally.items():
            totals[route] += one.requests
    del totals[OTHER_ROUTES]
    return tuple(sorted(totals, key=lambda route: (-totals[route], route))[:ROUTES_MAX])


def counts_by_route(tally: ByRoute, names: Iterable[str], *, has_requests: bool = True) -> tuple[RouteCounts, ...]:
    """Return *tally* by the routes *names*, with zeros where nobody asked for one, and then all others together.

    Without *has_requests* errors are all that was counted, and of requests nobody knows.
    """
    named = {name: tally.get(name, RouteTally()) for name in names}
    other = RouteTally()
    for route, one in tally.items():
        if route not in named:
            other = other.plus(one)
    if other.requests:
        named[OTHER_ROUTES] = other
    return tuple(RouteCounts(route, one.requests if has_requests else None, one.errors) for route, one in named.items())
