"""The lines of a history file: strict models, and how a project becomes lines and lines become a project again.

The first line is a header, the last one says how many projects there are. Between them each project has its section: a
`project` line, its activations in order of time, then its counts, a run of equal intervals a line. All times are
seconds since the header's epoch.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from daemon.backtest.history import (
    Counted,
    Header,
    Ids,
    Origin,
    ProjectHistory,
    RecordedActivation,
    Span,
    Times,
    in_order,
)
from daemon.core.facts import ActivationOrigin, DeploymentId, ErrorRateSample, ProjectId

FORMAT: Final = "lastgood-history"
VERSION: Final = 1
EPOCH = datetime(2001, 1, 1, tzinfo=UTC)
"""A Monday, so that times shifted by whole weeks can begin in its week."""
RUN_MAX = 60
"""Intervals that one line holds at most when we write it."""
COUNTS_MAX = 5_000_000
"""Intervals of one project that are held at once: a month of ten seconds for nineteen deployments."""
_INTERVALS_MAX = 10_000
_HOUR_SECONDS = 3600

Seconds = Annotated[float, Field(ge=-1e10, le=1e10, allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, le=_HOUR_SECONDS, allow_inf_nan=False)]
Delay = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1, max_length=_INTERVALS_MAX)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]


class Line(BaseModel):
    """What all lines share: no unknown keys, nothing converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class HeaderLine(Line):
    """The first line."""

    format: Literal["lastgood-history"] = FORMAT
    version: Literal[1] = VERSION
    epoch: AwareDatetime
    origin: Origin
    ids: Ids
    times: Times


class ProjectLine(Line):
    """Begins the section of one project, of which [start, until) is on record."""

    kind: Literal["project"] = "project"
    project: Id
    start: Seconds
    until: Seconds
    repeats: Count = 0


class ActivationLine(Line):
    """A deployment went live `at`; null: before the record, nobody knows when."""

    kind: Literal["activation"] = "activation"
    deployment: Id
    at: Seconds | None
    created: Seconds
    origin: ActivationOrigin
    commit: Id | None = None
    derived: bool = False


class CountsLine(Line):
    """Counts of one deployment in consecutive intervals of `seconds` each, from `start` on.

    `requests` is null where a source counts errors alone. `platform_errors` are missing where there are none.
    `delays` tells how many seconds after its end each interval was read; one number where it was the same for all.
    What is `late` came on top of what was known of its time.
    """

    kind: Literal["counts"] = "counts"
    deployment: Id
    start: Seconds
    seconds: Length
    requests: Counts | None
    errors: Counts
    platform_errors: Counts | None = None
    sampled: bool = False
    delays: Delay | Annotated[tuple[Delay, ...], Field(max_length=_INTERVALS_MAX)]
    late: bool = False

    def counts(self, epoch: datetime) -> Iterator[Counted]:
        """Yield the intervals. Raises ValueError where the arrays differ in length or count more errors than asked."""
        delays = self.delays if isinstance(self.delays, tuple) else (self.delays,) * len(self.errors)
        for beside in (self.requests, self.platform_errors, delays):
            if beside is not None and len(beside) != len(self.errors):
                raise ValueError(f"{len(beside)} and {len(self.errors)} intervals in one line; write as many of each")
        for index, errors in enumerate(self.errors):
            sample = ErrorRateSample(
                deployment=DeploymentId(self.deployment),
                start=_at(epoch, self.start + index * self.seconds),
                end=_at(epoch, self.start + (index + 1) * self.seconds),
                requests=None if self.requests is None else self.requests[index],
                errors=errors,
                is_sampled=self.sampled,
                platform_errors=0 if self.platform_errors is None else self.platform_errors[index],
                is_late=self.late,
            )
            yield Counted(sample, timedelta(milliseconds=round(delays[index] * 1000)))


class NoDataLine(Line):
    """The source could not be read in [start, until)."""

    kind: Literal["no_data"] = "no_data"
    start: Seconds
    until: Seconds


class EndLine(Line):
    """The last line: without it the file was cut off."""

    kind: Literal["end"] = "end"
    projects: Count


AnyLine = ProjectLine | ActivationLine | CountsLine | NoDataLine | EndLine
LINE: TypeAdapter[AnyLine] = TypeAdapter(Annotated[AnyLine, Field(discriminator="kind")])


# Writing


def header_line(header: Header) -> str:
    """Return the first line."""
    return _text(HeaderLine(epoch=EPOCH, origin=header.origin, ids=header.ids, times=header.times))


def end_line(projects: int) -> str:
    """Return the last line of a history of so many projects."""
    return _text(EndLine(projects=projects))


def project_lines(history: ProjectHistory) -> Iterator[str]:
    """Yield the section of one project."""
    yield _text(
        ProjectLine(
            project=history.project,
            start=_seconds(history.start),
            until=_seconds(history.until),
            repeats=history.repeats,
        )
    )
    for one in history.activations:
        yield _text(
            ActivationLine(
                deployment=one.deployment,
                at=None if one.at is None else _seconds(one.at),
                created=_seconds(one.created_at),
                origin=one.origin,
                commit=one.commit,
                derived=one.is_derived,
            )
        )
    for span in history.no_data:
        yield _text(NoDataLine(start=_seconds(span.start), until=_seconds(span.until)))
    for run in sorted(_runs(history.counts), key=lambda run: run[0].sample.start):
        yield _text(_counts_line(run))


def _runs(counts: Iterable[Counted]) -> Iterator[Sequence[Counted]]:
    """Yield the counts of each deployment in runs without a gap, all of one length and one kind."""
    by_kind: dict[tuple[DeploymentId, bool], list[Counted]] = defaultdict(list)
    for one in counts:
        by_kind[one.sample.deployment, one.sample.is_late].append(one)
    for theirs in by_kind.values():
        run: list[Counted] = []
        for one in theirs:
            if run and not (_goes_on(run[-1].sample, one.sample) and len(run) < RUN_MAX):
                yield run
                run = []
            run.append(one)
        yield run


def _goes_on(last: ErrorRateSample, following: ErrorRateSample) -> bool:
    is_same_kind = (last.requests is None, last.is_sampled) == (following.requests is None, following.is_sampled)
    is_same_length = following.end - following.start == last.end - last.start
    return following.start == last.end and is_same_length and is_same_kind


def _counts_line(run: Sequence[Counted]) -> CountsLine:
    samples = [one.sample for one in run]
    first = samples[0]
    requests = tuple(one.requests for one in samples if one.requests is not None)
    platform_errors = tuple(one.platform_errors for one in samples)
    delays = tuple(round(one.delay.total_seconds(), 3) for one in run)
    return CountsLine(
        deployment=first.deployment,
        start=_seconds(first.start),
        seconds=round((first.end - first.start).total_seconds(), 3),
        requests=None if first.requests is None else requests,
        errors=tuple(one.errors for one in samples),
        platform_errors=platform_errors if any(platform_errors) else None,
        sampled=first.is_sampled,
        delays=delays[0] if len(set(delays)) == 1 else delays,
        late=first.is_late,
    )


def _text(line: Line) -> str:
    """Return *line* as JSON, the head of each kind first, without what says nothing beyond its default."""
    said = line.model_dump(mode="json")
    left_out = {
        name
        for name, field_ in type(line).model_fields.items()
        if name not in ("kind", "format", "version") and not field_.is_required() and said[name] == field_.default
    }
    plain = {name: _plain(value) for name, value in said.items() if name not in left_out}
    return json.dumps(plain, separators=(",", ":"))


def _plain(value: object) -> object:
    """Return *value* with whole numbers written as such."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _seconds(moment: datetime) -> float:
    return round((moment - EPOCH).total_seconds(), 3)


def _at(epoch: datetime, seconds: float) -> datetime:
    # Vercel's times are whole milliseconds; the sum of two floats is not always.
    return epoch + timedelta(milliseconds=round(seconds * 1000))


# Reading


@dataclass(slots=True)
class Section:
    """The section of one project as it is read. Every `add` raises ValueError for a line that cannot be true."""

    epoch: datetime
    head: ProjectLine
    activations: list[RecordedActivation] = field(default_factory=list)
    counts: list[Counted] = field(default_factory=list)
    no_data: list[Span] = field(default_factory=list)
    counts_max: int = COUNTS_MAX
    _counted_until: dict[DeploymentId, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _refuse_backwards(self.head.start, self.head.until)

    def add_activation(self, line: ActivationLine) -> None:
        """Take in one activation, which is not older than the one before."""
        at = None if line.at is None else _at(self.epoch, line.at)
        if self.counts:
            raise ValueError("an activation after counts; write all activations of a project first")
        known = self.activations[-1].at if self.activations else None
        if self.activations and (at is None or (known is not None and at < known)):
            raise ValueError("the activation is older than the one before, or undated; write them in order of time")
        created_at = _at(self.epoch, line.created)
        deployment = DeploymentId(line.deployment)
        self.activations.append(
            RecordedActivation(deployment, at, created_at, line.origin, line.commit, is_derived=line.derived)
        )

    def add_counts(self, line: CountsLine) -> None:
        """Take in one run; on-time counts of one deployment come in order of time and count no time twice."""
        counts = list(line.counts(self.epoch))
        self.counts += counts
        if len(self.counts) > self.counts_max:
            raise ValueError(f"more than {self.counts_max} intervals of one project; record a shorter time")
        if line.late:
            return
        deployment = DeploymentId(line.deployment)
        known = self._counted_until.get(deployment)
        if known is not None and counts[0].sample.start < known:
            ended = _seconds(known) - _seconds(self.epoch)
            raise ValueError(
                f"counts of {deployment} begin at {line.start:.15g}, before {ended:.15g}, where its earlier ones end: "
                "out of order, or counted twice"
            )
        self._counted_until[deployment] = counts[-1].sample.end

    def add_no_data(self, line: NoDataLine) -> None:
        """Take in one span without data."""
        _refuse_backwards(line.start, line.until)
        self.no_data.append(Span(_at(self.epoch, line.start), _at(self.epoch, line.until)))

    def close(self) -> ProjectHistory:
        """Return the whole project."""
        return ProjectHistory(
            project=ProjectId(self.head.project),
            start=_at(self.epoch, self.head.start),
            until=_at(self.epoch, self.head.until),
            activations=tuple(self.activations),
            counts=in_order(self.counts),
            no_data=tuple(self.no_data),
            repeats=self.head.repeats,
        )


def _refuse_backwards(start: float, until: float) -> None:
    if start > until:
        raise ValueError(f"start {start:g} is later than until {until:g}")
