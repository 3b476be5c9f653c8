"""Recorded history of projects as facts: what served since when, and what was counted. It holds no verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

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
class LateSample:
    """Counts that came on top of what was known of their time, `delay` after its end."""

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

    `samples` are in order of their ends, those of one deployment never overlap, and each was read `lag` after its end.
    Time without samples is time in which nobody was counted, or, within `no_data`, in which nobody could count. *No
    data is not zero errors.* `repeats` counts samples that were left out because their time was counted before.
    """

    project: ProjectId
    start: datetime
    until: datetime
    lag: timedelta
    activations: Sequence[RecordedActivation] = ()
    samples: Sequence[ErrorRateSample] = ()
    late: Sequence[LateSample] = ()
    no_data: Sequence[Span] = ()
    repeats: int = 0

    @property
    def days(self) -> float:
        """How many days it covers."""
        return (self.until - self.start) / timedelta(days=1)


class HistoryError(Exception):
    """A history that cannot be used. The message says where and what now."""
