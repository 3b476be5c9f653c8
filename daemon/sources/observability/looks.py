"""What repeated looks at the same minutes tell: how far ingestion lags, and whether an open minute's counts grow."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from daemon.sources.observability.minutes import MINUTE

LOOKS_MAX = 64
LAGS_MAX = 5
LAG_KEPT = timedelta(minutes=15)
GAP_MAX = timedelta(seconds=90)
"""Two looks further apart than this cannot tell when something appeared between them."""
COUNT_MIN = 20
"""A minute with fewer requests tells no share of itself."""
NONE_YET, NEARLY_ALL = 0.02, 0.98
"""Shares of a minute: stragglers, which may come minutes later, are no part of the lag."""
OPEN_AGE_MIN = timedelta(seconds=45)
"""An open minute that is younger may well have no counts yet."""
ABSENCES_MAX = 3
ABSENT_REST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Look:
    """Cumulative counts by minute as seen `at` one moment. Only looks at the same projects (`whose`) compare."""

    at: datetime
    whose: int
    totals: Mapping[datetime, int]

    def share(self, minute: datetime, whole: int) -> float:
        """Return how much of *minute*, 0..1, had been ingested."""
        return self.totals.get(minute, 0) / whole


class Looks:
    """Keeps the newest looks of one team.

    The lag is measured on a minute that is over: a look that saw a part of its requests saw it up to that part of its
    length, since requests come evenly enough within a minute.
    """

    def __init__(self, *, settled_after: timedelta) -> None:
        self._settled_after = settled_after
        self._looks: deque[Look] = deque(maxlen=LOOKS_MAX)
        self._lags: dict[datetime, timedelta] = {}
        self._absent_in: set[datetime] = set()
        self._absent_until: datetime | None = None
        self._grows = False

    @property
    def lag(self) -> timedelta | None:
        """The ingest lag as measured last; None before the first measurement."""
        return self._lags[max(self._lags)] if self._lags else None

    @property
    def lag_max(self) -> timedelta:
        """The longest of the last few measurements, or what is assumed before the first."""
        return max(self._lags.values(), default=self._settled_after)

    @property
    def grows(self) -> bool:
        """Whether counts of an open minute have been seen to grow."""
        return self._grows

    def may_grow(self, now: datetime) -> bool:
        """Whether looking at open minutes is worth it: they grow, or it is not known yet that they do not."""
        return self._absent_until is None or now >= self._absent_until

    def add(self, look: Look) -> None:
        """Take in one look, the newest."""
        earlier = [one for one in self._looks if one.whose == look.whose and one.at < look.at]
        self._looks.append(look)
        for minute, whole in look.totals.items():
            seen = [one for one in earlier if one.at > minute]
            is_settled = minute + MINUTE + self._settled_after <= look.at and whole >= COUNT_MIN
            lag = _measure(minute, whole, [*seen, look]) if is_settled else None
            if lag is not None:
                self._lags[minute] = lag
            self._note_growth(minute, whole, seen, now=look.at, is_settled=is_settled)
        newest = sorted(self._lags)[-LAGS_MAX:]
        self._lags = {minute: self._lags[minute] for minute in newest if minute >= look.at - LAG_KEPT}

    def _note_growth(
        self, minute: datetime, whole: int, seen: Sequence[Look], *, now: datetime, is_settled: bool
    ) -> None:
        open_looks = [one for one in seen if one.at < minute + MINUTE]
        if any(0 < one.totals.get(minute, 0) < whole for one in open_looks):
            self._grows, self._absent_until = True, None
            self._absent_in.clear()
        elif is_settled and any(one.at >= minute + OPEN_AGE_MIN for one in open_looks):
            self._absent_in.add(minute)
        if len(self._absent_in) >= ABSENCES_MAX:
            self._grows, self._absent_until = False, now + ABSENT_REST
            self._absent_in.clear()


def _measure(minute: datetime, whole: int, looks: Sequence[Look]) -> timedelta | None:
    """Return the lag that *looks*, in order of time, saw in *minute*; None where they cannot tell."""
    if len(looks) < 2 or looks[-2].share(minute, whole) < NEARLY_ALL:
        # It may still be growing, and then its whole is not known.
        return None
    parts = [one for one in looks if NONE_YET < one.share(minute, whole) < NEARLY_ALL]
    if parts:
        newest = parts[-1]
        return max(timedelta(0), newest.at - minute - MINUTE * newest.share(minute, whole))
    for one, two in pairwise(looks):
        if one.share(minute, whole) < NEARLY_ALL <= two.share(minute, whole) and two.at - one.at <= GAP_MAX:
            return max(timedelta(0), two.at - minute - MINUTE)
    # Whoever first looks when all of it is there cannot tell for how long it has been.
    return None
