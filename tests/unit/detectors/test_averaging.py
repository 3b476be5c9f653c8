"""E-values of the whole and its routes together: an average whose weights nothing can move."""

import pytest

from daemon.detectors.averaging import average_e_value


@pytest.mark.parametrize(
    ("whole", "routes", "slots", "expected"),
    [
        (1.0, [], 10, 1.0),
        (12.0, [], 0, 12.0),
        (12.0, [], 10, 2.0),
        (0.5, [11_000.0, 0.5], 2, 11_001 / 3),
        (0.0, [0.0, 0.0], 2, 0.0),
        (0.0, [0.0], 2, 1 / 3),
        (1e280, [1e280] * 10, 10, 1e280),
    ],
)
def test_each_slot_weighs_the_same_whether_a_route_took_it_or_not(
    whole: float, routes: list[float], slots: int, expected: float
) -> None:
    assert average_e_value(whole, routes, slots=slots) == pytest.approx(expected)


def test_it_is_never_the_maximum_which_would_multiply_the_level() -> None:
    # Eleven fair bets, each of which ends at 1,000 once in a thousand times: together once in a thousand times as well.
    assert average_e_value(1000.0, [0.0] * 10, slots=10) < 1000


def test_more_routes_than_slots_are_a_bug() -> None:
    with pytest.raises(AssertionError, match="has a slot"):
        average_e_value(1.0, [1.0, 1.0], slots=1)
