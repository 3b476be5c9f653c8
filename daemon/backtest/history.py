"""Recorded history of projects as facts: what served since when, and what was counted. It holds no verdicts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median_low

from daemon.core.facts import ActivationOrigin, DeploymentId, ErrorRateSample, ProjectId


class Ids(StrEnum):
    """What stands for projects, deployments and commits."""

    PSEUDONYMS = "pseudonyms"
    NAMES = "names"


class Times(StrEnum):
    """Whether the days are the real ones. Shifted ones keep the weekday, the hour and every distance."""

    SHIFTED = "shifted"
    TRUE = "true"


class Origin(StrEnum):
    """Where a history was recorded."""

    JOURNAL = "journal"
    """The daemon's own record."""
    SOURCE = "source"
    """Counts pulled back from a source; activations are derived from them."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Header:
    """What is true of a whole history."""

    origin: Origin
    ids: Ids = Ids.NAMES
    times: Times = Times.TRUE


@dataclass(frozen=True, slots=True)
class RecordedActivation:
    """A deployment began to serve production. `at` is None for one that served before the record and nothing dates.

    `created_at` tells older builds from newer ones. `commit` is None where it is not known. `is_derived` says that
    nobody saw it: its first count stands for it.
    """

    deployment: DeploymentId
    at: datetime | None
    created_at: datetime
    origin: ActivationOrigin
    commit: str | None = None
    is_derived: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts, and how long after the end of their time they were read."""

    sample: ErrorRateSample
    delay: timedelta


@dataclass(frozen=True, slots=True)
class Span:
    """The time [start, until) in which a source could not be read."""

    start: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class ProjectHistory:
    """What is on record of one project in [start, until).

    `counts` are in order of their ends; those of one deployment never overlap, but for late ones, which come on top.
    Time without counts is time in which nobody was counted, or, within `no_data`, in which nobody could count. *No
    data is not zero errors.* `repeats` tells how many were left out because their time was counted before.
    """

    project: ProjectId
    start: datetime
    until: datetime
    activations: Sequence[RecordedActivation] = ()
    counts: Sequence[Counted] = ()
    no_data: Sequence[Span] = ()
    repeats: int = 0

    @property
    def lag(self) -> timedelta:
        """The median of the delays, late counts aside; 0 without counts."""
        # Not the mean: one reading after a pause is late for a whole backlog.
        delays = [one.delay for one in self.counts if not one.sample.is_late]
        return median_low(delays) if delays else timedelta(0)


def in_order(counts: Iterable[Counted]) -> tuple[Counted, ...]:
    """Return *counts* as a history holds them."""
    return tuple(sorted(counts, key=lambda one: (one.sample.end, one.sample.start)))


class HistoryError(Exception):
    """A history that cannot be used. The message says where and what now."""
