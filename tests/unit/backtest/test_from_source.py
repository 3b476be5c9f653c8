"""Counts pulled back from a source, window by window, and the activations that they tell of."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.backtest.from_source import derive_activations, pull
from daemon.backtest.history import HistoryError, ProjectHistory
from daemon.core.facts import ActivationOrigin, ErrorRateSample, ProjectId
from daemon.ports.errors import PortError, Refused
from daemon.ports.source import Reading, Readings, Wanted
from tests.builders import MINUTE
from tests.unit.backtest.histories import BAD, FIX, GOOD, LAG, SHOP, START, at, counts, samples_of

BLOG = ProjectId("prj_blog")


class Kept:
    """A source that has kept counts of the shop, gives a minute once it is over, and reaches back no further."""

    name = "kept"
    is_fleet_wide = True
    is_witness = False

    def __init__(self, samples: Sequence[ErrorRateSample], *, reach: timedelta = 30 * MINUTE) -> None:
        self._samples = samples
        self._reach = reach
        self.refuses_before: datetime | None = None
        self.asked: list[tuple[datetime, datetime]] = []

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> Readings:
        """Return what is kept of each project's window, or the one refusal."""
        entries: dict[ProjectId, Reading | PortError] = {}
        for one in wanted:
            assert now - one.since <= self._reach, "further back than it reaches"
            self.asked.append((one.since, now))
            if self.refuses_before and one.since < self.refuses_before:
                entries[one.project] = Refused("counts are kept for a day", status=400)
                continue
            until = now - MINUTE
            given = [sample for sample in self._samples if one.since <= sample.start and sample.end <= until]
            entries[one.project] = Reading(self.name, given if one.project == SHOP else [], max(until, one.since))
        return entries


async def pulled(source: Kept, *, projects: Sequence[ProjectId] = (SHOP,), **facts: Any) -> Sequence[ProjectHistory]:
    values: dict[str, Any] = {"since": START, "until": at(120), "window": 20 * MINUTE, "lag": LAG} | facts
    return await pull(source, projects, **values)


def told(samples: Sequence[ErrorRateSample]) -> list[tuple[str, datetime | None, ActivationOrigin]]:
    ordered = sorted(samples, key=lambda sample: (sample.end, sample.start))
    return [(one.deployment, one.at, one.origin) for one in derive_activations(ordered, start=START)]


async def test_every_count_is_pulled_once_and_no_window_reaches_too_far_back() -> None:
    kept = counts(GOOD, range(30)) + counts(BAD, range(30, 119))
    shop, blog = await pulled(Kept(kept), projects=(SHOP, BLOG))
    assert samples_of(shop) == kept
    assert (shop.project, shop.start, shop.until, shop.lag) == (SHOP, START, at(120), LAG)
    assert (blog.counts, blog.activations) == ((), ())


async def test_late_counts_keep_the_delay_after_which_they_were_there() -> None:
    late = counts(GOOD, [2], 1, 3, is_late=True)
    [history] = await pulled(Kept(counts(GOOD, range(5)) + late), until=at(20))
    assert [(one.sample, one.delay) for one in history.counts if one.sample.is_late] == [(late[0], 17 * MINUTE)]


async def test_a_source_that_refuses_is_told_with_what_to_do() -> None:
    source = Kept(counts(GOOD, range(60)))
    source.refuses_before = at(10)
    with pytest.raises(HistoryError, match=r"prj_shop: kept gives no counts from .* counts are kept for a day.*--from"):
        await pulled(source)


def test_the_first_deployment_served_before_and_the_next_goes_live_with_its_first_count() -> None:
    samples = counts(GOOD, range(31), 0, 100) + counts(BAD, [30], 0, 40) + counts(BAD, range(31, 60), 0, 100)
    assert told(samples) == [
        (GOOD, None, ActivationOrigin.FIRST_SEEN),
        # It leads from minute 31 on, and its first count was a minute before.
        (BAD, at(30), ActivationOrigin.RELEASE),
    ]


@pytest.mark.parametrize(("looked_at", "went_live"), [(30, 30), (29, 40)])
def test_somebody_who_looked_long_before_does_not_date_the_activation(looked_at: int, went_live: int) -> None:
    samples = counts(GOOD, range(40), 0, 100) + counts(BAD, [looked_at], 0, 1) + counts(BAD, range(40, 60), 0, 100)
    assert told(samples)[1] == (BAD, at(went_live), ActivationOrigin.RELEASE)


def test_stray_visitors_of_an_old_deployment_are_no_activation() -> None:
    samples = counts(GOOD, range(60), 0, 100) + counts(FIX, range(20, 25), 0, 3)
    assert [one for one, *_ in told(samples)] == [GOOD]


@pytest.mark.parametrize(("minutes", "is_back"), [(2, False), (3, True)])
def test_what_served_before_is_back_when_it_leads_for_a_while(minutes: int, is_back: bool) -> None:
    samples = counts(GOOD, range(10)) + counts(BAD, range(10, 20))
    samples += counts(GOOD, range(20, 20 + minutes)) + counts(BAD, range(20 + minutes, 40))
    back = (GOOD, at(20), ActivationOrigin.BROUGHT_BACK)
    assert (back in told(samples)) is is_back


def test_derived_activations_say_so_and_order_builds_by_their_first_counts() -> None:
    samples = counts(GOOD, range(10)) + counts(BAD, range(10, 20)) + counts(GOOD, range(20, 30))
    first, second, back = derive_activations(samples, start=START)
    assert all(one.is_derived for one in (first, second, back))
    assert first.created_at < START
    assert second.created_at == at(10)
    assert back.created_at == first.created_at


def test_where_nobody_was_counted_nobody_served() -> None:
    assert told(counts(GOOD, range(5), 0, 0)) == []


def test_errors_alone_tell_who_serves_as_well() -> None:
    samples = counts(GOOD, range(5), 1, None) + counts(BAD, range(5, 9), 9, None)
    assert [one for one, *_ in told(samples)] == [GOOD, BAD]
