"""Counts what a policy did in many stories, with exact confidence intervals."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.certify.kinds import BAD, BY_NAME, HEALTHY, OUTAGES, STORIES, Kind
from daemon.certify.trace import Label
from daemon.certify.verdict import Judged
from daemon.core import binomial

_ONE_SIDED = 0.975
"""The confidence of each limit of a two-sided 95 % interval."""
_BLIND_FROM = 0.5
"""A kind of which more than this share is missed is one that the policy cannot see."""


@dataclass(frozen=True, slots=True)
class Share:
    """*count* of *total*, with the 95 % Clopper-Pearson interval of the probability behind it."""

    count: int
    total: int

    @property
    def ratio(self) -> float:
        """The share, 0..1; 0 of nothing."""
        return self.count / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The limits of the probability, 0..1; of nothing is nothing known: 0 and 1."""
        if not self.total:
            return 0.0, 1.0
        low = binomial.lower_limit(self.count, self.total, confidence=_ONE_SIDED)
        return low, binomial.upper_limit(self.count, self.total, confidence=_ONE_SIDED)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        low, high = self.interval
        return {"count": self.count, "total": self.total, "ratio": self.ratio, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds from the first errors to the decision, shortest first."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float | None:
        """The median; None where nothing was found."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def p95(self) -> float | None:
        """The delay that 95 % do not exceed; None where nothing was found."""
        return self.seconds[math.ceil(0.95 * len(self.seconds)) - 1] if self.seconds else None

    def as_json(self) -> dict[str, Any]:
        """Return plain values; None where nothing was found."""
        return {"found": len(self.seconds), "median_seconds": self.median, "p95_seconds": self.p95}


@dataclass(frozen=True, slots=True)
class Row:
    """All stories of one kind. `obstacle` is what stood against acting most often, with its threshold."""

    kind: Kind
    runs: int
    acted: int
    delays: Delays
    early: int
    astray: int
    again: int
    asked: int
    obstacle: tuple[str, float]

    @property
    def missed(self) -> int:
        """Bad releases that were not rolled back in time, those included that a person was asked about."""
        return self.runs - self.acted if self.kind.label is Label.BAD else 0

    @property
    def wrong(self) -> int:
        """Stories in which it acted and should not have, or not like that."""
        if self.kind.label is not Label.BAD:
            return self.acted
        return self.early + self.astray + self.again

    @property
    def is_unseen(self) -> bool:
        """Whether more than half are missed."""
        return self.missed > _BLIND_FROM * self.runs

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        obstacle, threshold = self.obstacle
        return {
            "kind": self.kind.name,
            "label": self.kind.label.value,
            "runs": self.runs,
            "acted": self.acted,
            "missed": self.missed,
            "before_onset": self.early,
            "wrong_target": self.astray,
            "rolled_back_again": self.again,
            "asked_a_person": self.asked,
            "stopped_by": obstacle,
            "stopped_at": threshold,
            "delay": self.delays.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What a policy is worth. `rows` stand by the name of their kind."""

    rows: Mapping[str, Row]

    def of(self, kinds: Iterable[Kind]) -> list[Row]:
        """Return the rows of those *kinds* that were told."""
        return [self.rows[kind.name] for kind in kinds if kind.name in self.rows]

    @property
    def false(self) -> Share:
        """Rollbacks on healthy project-days, each with one release."""
        return _share(self.of(HEALTHY), "wrong")

    @property
    def missed(self) -> Share:
        """Bad releases that were not rolled back in time."""
        return _share(self.of(BAD), "missed")

    @property
    def misguided(self) -> Share:
        """Bad releases rolled back before there were errors, or to the wrong deployment."""
        return _share(self.of(BAD), "wrong")

    @property
    def outages(self) -> Share:
        """Outages that were rolled back."""
        return _share(self.of(OUTAGES), "wrong")

    @property
    def delays(self) -> Delays:
        """The delays of all kinds of bad releases together."""
        return Delays(tuple(sorted(one for row in self.of(BAD) for one in row.delays.seconds)))

    @property
    def stories(self) -> list[Row]:
        """The longer stories."""
        return self.of(STORIES)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "false_rollbacks": self.false.as_json(),
            "missed": self.missed.as_json(),
            "misguided": self.misguided.as_json(),
            "outages_rolled_back": self.outages.as_json(),
            "delay": self.delays.as_json(),
            "kinds": [row.as_json() for row in self.rows.values()],
        }


def count(judged: Sequence[Judged]) -> Report:
    """Return the report on *judged*."""
    by_kind: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by_kind[one.kind].append(one)
    return Report({name: _row(BY_NAME[name], told) for name, told in by_kind.items()})


def _row(kind: Kind, told: Sequence[Judged]) -> Row:
    obstacles = Counter((one.stopped_by, one.stopped_at) for one in told if not one.acted and one.stopped_by)
    [obstacle] = [key for key, _ in obstacles.most_common(1)] or [("", 0.0)]
    return Row(
        kind=kind,
        runs=len(told),
        acted=sum(one.acted for one in told),
        delays=Delays(tuple(sorted(one.delay_seconds for one in told if one.delay_seconds is not None))),
        early=sum(one.is_early for one in told),
        astray=sum(one.is_astray for one in told),
        again=sum(one.goes_on for one in told),
        asked=sum(one.is_asking for one in told),
        obstacle=obstacle,
    )


def _share(rows: Sequence[Row], what: str) -> Share:
    return Share(sum(getattr(row, what) for row in rows), sum(row.runs for row in rows))
