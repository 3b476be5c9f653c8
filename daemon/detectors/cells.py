"""Counts of a long time in few cells: minutes at first, coarser ones as they age, so that memory stays bounded."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from daemon.core.facts import ErrorRateSample

MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COARSER = ((60, 6 * 60), (5, 30))
"""Minutes in a cell, and the age in minutes from which on cells are that coarse; the coarsest first."""


class Cell(NamedTuple):
    """Counts of `width` minutes from the minute `start` on, numbered since 1970 began.

    `seen` is in how many of them anything was counted. Of the others nobody knows: no data is not zero errors.
    """

    start: int
    width: int
    requests: int
    errors: int
    seen: int = 1

    @property
    def began(self) -> datetime:
        """When its first minute begins."""
        return _EPOCH + self.start * MINUTE

    @property
    def ended(self) -> datetime:
        """When its last minute ends."""
        return self.began + self.width * MINUTE


class Total(NamedTuple):
    """What some cells hold together."""

    requests: int = 0
    errors: int = 0
    seen: int = 0

    @property
    def error_ratio(self) -> float | None:
        """Errors by requests, 0..1; None without requests."""
        return self.errors / self.requests if self.requests else None


def add_counts(
    cells: tuple[Cell, ...], sample: ErrorRateSample, *, until: datetime, horizon: timedelta
) -> tuple[Cell, ...]:
    """Return *cells*, which are in order of time, with the counts of *sample*. The newest counts end at *until*.

    A sample of several minutes is spread over them evenly: nobody knows better. What lies further back than *horizon*
    is forgotten. Cells stand on the clock's own grid; they are a minute wide, five minutes once they are half an hour
    old, an hour once they are six hours old: 37 + 67 and one for each hour of the horizon beyond, at the most.
    """
    oldest, known = _minute(until - horizon), len(cells)
    for piece in _pieces(sample, oldest):
        cells = _with(cells, piece)
    # Cells age by the minute, and with each minute comes a new one.
    if len(cells) == known:
        return cells
    return tuple(cell for cell in _coarsened(cells, _minute(until)) if cell.start >= oldest)


def cells_since(cells: Sequence[Cell], since: datetime) -> Sequence[Cell]:
    """Return the cells that lie after *since* as a whole; one that it cuts is left out."""
    first = -((_EPOCH - since) // MINUTE)
    return cells[bisect_left(cells, first, key=lambda cell: cell.start) :]


def total(cells: Sequence[Cell], since: datetime) -> Total:
    """Return what the cells hold together that lie after *since* as a whole."""
    requests = errors = seen = 0
    for cell in cells_since(cells, since):
        requests += cell.requests
        errors += cell.errors
        seen += cell.seen
    return Total(requests, errors, seen)


def find_onset(cells: Iterable[Cell], limit: float) -> Cell | None:
    """Return the cell with which errors began to run ahead of *limit*, a ratio; None where they do not.

    It is the one after the last zero of the cumulative sum of the errors beyond the limit. Source: E. S. Page,
    "Continuous inspection schemes", Biometrika 41, 1954; the last zero as an estimate of the change: D. V. Hinkley,
    "Inference about the change-point from cumulative sum tests", Biometrika 58, 1971.
    """
    onset, beyond = None, 0.0
    for cell in cells:
        beyond += cell.errors - limit * cell.requests
        if beyond <= 0:
            onset, beyond = None, 0.0
        elif onset is None:
            onset = cell
    return onset


def _minute(moment: datetime) -> int:
    return (moment - _EPOCH) // MINUTE


def _pieces(sample: ErrorRateSample, oldest: int) -> Iterator[Cell]:
    """Yield the minutes of *sample* from *oldest* on, each with its share of the counts."""
    length = sample.end - sample.start
    requests = sample.requests or 0

    def share(count: int, minute: int) -> int:
        """Return how many of *count* lie before *minute*."""
        passed = min(max(_EPOCH + minute * MINUTE - sample.start, timedelta(0)), length)
        return int(count * passed // length) if passed < length else count

    first, last = _minute(sample.start), _minute(sample.end - timedelta.resolution)
    for minute in range(max(first, oldest), last + 1):
        pair = (share(count, minute + 1) - share(count, minute) for count in (requests, sample.errors))
        yield Cell(minute, 1, *pair)


def _with(cells: tuple[Cell, ...], piece: Cell) -> tuple[Cell, ...]:
    """Return *cells* with the minute *piece*, in the cell that holds its minute or in one of its own."""
    for index in range(len(cells) - 1, -1, -1):
        cell = cells[index]
        if cell.start <= piece.start < cell.start + cell.width:
            fuller = cell._replace(requests=cell.requests + piece.requests, errors=cell.errors + piece.errors)
            return (*cells[:index], fuller, *cells[index + 1 :])
        if cell.start < piece.start:
            return (*cells[: index + 1], piece, *cells[index + 1 :])
    return (piece, *cells)


def _coarsened(cells: Sequence[Cell], now: int) -> Iterable[Cell]:
    """Return *cells* as coarse as their age makes them."""
    merged: dict[int, Cell] = {}
    for cell in cells:
        width = _width(cell.start, now)
        start = cell.start - cell.start % width
        known = merged.get(start, Cell(start, width, 0, 0, 0))
        merged[start] = Cell(
            start, width, known.requests + cell.requests, known.errors + cell.errors, known.seen + cell.seen
        )
    return merged.values()


def _width(minute: int, now: int) -> int:
    """Return how many minutes the cell of *minute* holds: as many as lie far enough back as a whole."""
    for width, age in _COARSER:
        if minute - minute % width + width <= now - age:
            return width
    return 1
