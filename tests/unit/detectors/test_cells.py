"""Counts in few cells: nothing is lost or counted twice, age makes cells coarser, and their number is bounded."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.facts import ErrorRateSample
from daemon.detectors.cells import Cell, Total, add_counts, find_onset, total
from tests.builders import MINUTE, START, a_sample

HOUR = 60 * MINUTE


def a_minute(number: float, requests: int = 100, errors: int = 0, **facts: Any) -> ErrorRateSample:
    return a_sample(start=START + number * MINUTE, requests=requests, errors=errors, **facts)


def cells_of(samples: Iterable[ErrorRateSample], horizon: timedelta = 72 * HOUR) -> tuple[Cell, ...]:
    cells: tuple[Cell, ...] = ()
    until = START
    for sample in samples:
        until = max(until, sample.end)
        cells = add_counts(cells, sample, until=until, horizon=horizon)
    return cells


def seen_from(cells: Iterable[Cell]) -> list[tuple[float, int, int, int, int]]:
    """Return each cell's first minute after START, its width and its counts."""
    return [((one.began - START) / MINUTE, one.width, one.requests, one.errors, one.seen) for one in cells]


def test_pieces_of_a_minute_make_one_cell_of_it() -> None:
    pieces = [a_minute(0, 10, 1, end=START + MINUTE / 2), a_minute(0.5, 20, 2, end=START + MINUTE)]
    assert seen_from(cells_of(pieces)) == [(0, 1, 30, 3, 1)]
    cell = cells_of(pieces)[0]
    assert (cell.began, cell.ended) == (START, START + MINUTE)


def test_a_minute_without_requests_was_seen_and_one_without_counts_was_not() -> None:
    assert seen_from(cells_of([a_minute(0, 0), a_minute(2)])) == [(0, 1, 0, 0, 1), (2, 1, 100, 0, 1)]


def test_a_sample_over_several_minutes_is_spread_evenly_and_loses_nothing() -> None:
    long = a_minute(0.5, 100, 11, end=START + 3 * MINUTE)
    assert seen_from(cells_of([long])) == [(0, 1, 20, 2, 1), (1, 1, 40, 4, 1), (2, 1, 40, 5, 1)]


def test_late_counts_go_into_the_cell_in_which_they_lie_or_into_one_of_their_own() -> None:
    known = [a_minute(1), a_minute(4)]
    assert seen_from(cells_of([*known, a_minute(1, 5, 2), a_minute(2, 7, 3), a_minute(0, 9, 4)])) == [
        (0, 1, 9, 4, 1),
        (1, 1, 105, 2, 1),
        (2, 1, 7, 3, 1),
        (4, 1, 100, 0, 1),
    ]


@pytest.mark.parametrize(("newest", "width"), [(33, 1), (34, 5), (388, 5), (418, 5), (419, 60)])
def test_cells_become_coarser_when_they_are_old_enough_as_a_whole(newest: int, width: int) -> None:
    oldest = cells_of([a_minute(0), a_minute(3, 50, 5), a_minute(newest)])[0]
    counts = (100, 0, 1) if width == 1 else (150, 5, 2)
    assert seen_from([oldest]) == [(0, width, *counts)]


def test_late_counts_of_a_coarse_cell_are_in_it_and_of_a_minute_that_nobody_knows() -> None:
    cells = cells_of([a_minute(0), a_minute(40), a_minute(2, 10, 1), a_minute(6, 20, 2)])
    assert seen_from(cells) == [(0, 5, 110, 1, 1), (5, 5, 20, 2, 1), (40, 1, 100, 0, 1)]


def test_what_lies_further_back_than_the_horizon_is_forgotten_and_never_taken_in() -> None:
    cells = cells_of([a_minute(0), a_minute(1), a_minute(10), a_minute(0.5, 5, 5)], horizon=10 * MINUTE)
    assert seen_from(cells) == [(1, 1, 103, 3, 1), (10, 1, 100, 0, 1)]


@pytest.mark.slow
def test_cells_are_bounded_in_number_whatever_comes() -> None:
    cells = cells_of((a_minute(number, 1) for number in range(8 * 60)), horizon=6 * HOUR)
    assert len(cells) <= 37 + 67
    cells = cells_of((a_minute(number, 1) for number in range(80 * 60)), horizon=72 * HOUR)
    assert len(cells) <= 37 + 67 + 66
    assert sum(one.requests for one in cells) >= 71 * 60


def test_a_total_leaves_out_the_cell_that_its_beginning_cuts() -> None:
    cells = cells_of([a_minute(number, 100, number) for number in range(4)])
    assert total(cells, START + MINUTE) == Total(300, 6, 3)
    assert total(cells, START + MINUTE + timedelta.resolution) == Total(200, 5, 2)
    assert total(cells, START + 4 * MINUTE) == Total()


def test_a_total_without_requests_has_no_ratio() -> None:
    assert Total(200, 5, 2).error_ratio == 0.025
    assert Total(0, 0, 3).error_ratio is None


@pytest.mark.parametrize(
    ("errors", "onset"),
    [
        ([0, 0, 0], None),
        ([1, 1, 1], None),
        ([0, 30, 30], 1),
        # A stray error is forgotten as soon as the requests after it allow it.
        ([2, 0, 0, 30], 3),
        ([3, 1, 0, 30], 0),
        ([30, 0, 0, 30], 0),
    ],
)
def test_the_onset_is_where_errors_began_to_run_ahead_of_the_limit(errors: list[int], onset: int | None) -> None:
    found = find_onset(cells_of(a_minute(number, 100, one) for number, one in enumerate(errors)), limit=0.01)
    assert (found.began - START) / MINUTE == onset if found else onset is None


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 600), st.integers(0, 50), st.integers(0, 50)), max_size=30)
)
def test_every_request_is_counted_once_and_cells_never_overlap(story: list[tuple[int, int, int, int]]) -> None:
    samples = [
        a_sample(
            start=START + timedelta(seconds=10 * at),
            end=START + timedelta(seconds=10 * at + length),
            requests=good + bad,
            errors=bad,
        )
        for at, length, good, bad in story
    ]
    cells = cells_of(samples)
    assert sum(one.requests for one in cells) == sum(one.requests or 0 for one in samples)
    assert sum(one.errors for one in cells) == sum(one.errors for one in samples)
    assert all(one.ended <= other.began for one, other in pairwise(cells))
    assert all(1 <= one.seen <= one.width for one in cells)
