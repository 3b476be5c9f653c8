"""Facts: what cannot be a sample is none, and routes are the same counts once more."""

from typing import Any

import pytest

from daemon.core.facts import (
    ROUTE_LENGTH_MAX,
    ROUTES_MAX,
    ActivationOrigin,
    AliasJobStatus,
    RouteCounts,
    Sighting,
)
from tests.builders import START, a_sample, an_instant


@pytest.mark.parametrize(
    "facts", [{"errors": -1}, {"errors": 101}, {"errors": 60, "platform_errors": 41}, {"end": START}]
)
def test_what_cannot_be_a_sample_is_none(facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a sample"):
        a_sample(**facts)


@pytest.mark.parametrize(
    ("facts", "has_traffic"),
    [
        ({"requests": 0}, False),
        ({"requests": 1}, True),
        ({"requests": None}, False),
        ({"requests": None, "errors": 1}, True),
        ({"requests": None, "platform_errors": 1}, True),
    ],
)
def test_a_sample_has_traffic_when_anybody_was_counted(facts: dict[str, Any], has_traffic: bool) -> None:
    assert a_sample(**facts).has_traffic is has_traffic


def test_an_age_is_told_by_the_clock_that_never_steps_back() -> None:
    seen = Sighting(START, an_instant(10))
    assert seen.age_seconds(an_instant(25)) == 25
    assert Sighting(an_instant(60).at, an_instant(10)).age_seconds(an_instant(25)) == 15


def test_which_jobs_still_run_and_which_activations_restore() -> None:
    assert [one for one in AliasJobStatus if one.is_running] == [AliasJobStatus.PENDING, AliasJobStatus.IN_PROGRESS]
    assert {one for one in ActivationOrigin if not one.is_restoration} == {
        ActivationOrigin.FIRST_SEEN,
        ActivationOrigin.RELEASE,
    }


def some_routes(number: int) -> tuple[RouteCounts, ...]:
    return tuple(RouteCounts(f"/{one}", 1, 0) for one in range(number))


@pytest.mark.parametrize(
    "facts",
    [
        {"requests": 10, "errors": 2, "routes": (RouteCounts("/a", 7, 2), RouteCounts("/b", 3, 0))},
        {"requests": None, "errors": 2, "routes": (RouteCounts("/a", None, 2),)},
        {"requests": ROUTES_MAX + 1, "routes": some_routes(ROUTES_MAX + 1)},
        {"requests": 1, "routes": (RouteCounts("/" * ROUTE_LENGTH_MAX, 1, 0),)},
        {"requests": 10, "errors": 2, "platform_errors": 3, "routes": (RouteCounts("/a", 10, 2),)},
    ],
)
def test_routes_add_up_to_their_sample(facts: dict[str, Any]) -> None:
    assert a_sample(**facts).routes


@pytest.mark.parametrize(
    "facts",
    [
        {"requests": 10, "routes": (RouteCounts("/a", 9, 0),)},
        {"requests": 10, "errors": 1, "routes": (RouteCounts("/a", 10, 0),)},
        {"requests": 10, "routes": (RouteCounts("/a", None, 0),)},
        {"requests": 10, "routes": (RouteCounts("/a", 10, 0), RouteCounts("/b", None, 0))},
        {"requests": None, "errors": 0, "routes": (RouteCounts("/a", 0, 0),)},
        {"requests": 10, "errors": 3, "routes": (RouteCounts("/a", 8, 0), RouteCounts("/b", 2, 3))},
        {"requests": 10, "errors": 0, "routes": (RouteCounts("/a", 5, 1), RouteCounts("/b", 5, -1))},
        {"requests": ROUTES_MAX + 2, "routes": some_routes(ROUTES_MAX + 2)},
        {"requests": 1, "routes": (RouteCounts("/" * (ROUTE_LENGTH_MAX + 1), 1, 0),)},
    ],
)
def test_routes_that_are_not_the_sample_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="are not the sample"):
        a_sample(**facts)


def test_one_route_is_a_sample_of_its_own_counts() -> None:
    whole = a_sample(
        requests=10,
        errors=2,
        platform_errors=3,
        is_late=True,
        is_sampled=True,
        routes=(RouteCounts("/a", 6, 2), RouteCounts("/b", 4, 0)),
    )
    assert whole.on_route("/a") == a_sample(requests=6, errors=2, is_late=True, is_sampled=True)
    assert whole.on_route("/c") is None
    assert a_sample().on_route("/a") is None
