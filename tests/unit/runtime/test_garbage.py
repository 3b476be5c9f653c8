"""Garbage in cycles is looked for seldom, and found all the same."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from daemon.runtime.garbage import collect_garbage_seldom


class _Knot:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_a_knot_is_found_among_the_young_and_the_old_are_hardly_ever_looked_at() -> None:
    collect_garbage_seldom()
    assert gc.isenabled()
    old_looks = gc.get_stats()[2]["collections"]
    knot = weakref.ref(_Knot())
    assert knot() is not None
    kept = [[number] for number in range(250_000)]
    assert knot() is None
    assert gc.get_stats()[2]["collections"] == old_looks
    assert len(kept) == 250_000
