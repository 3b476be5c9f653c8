"""What the answer of a range query means: counts of each project, deployment and moment, or why it is none. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictStr

from daemon.core.facts import DeploymentId, ErrorRateSample
from daemon.core.signal import SignalReason
from daemon.ports.errors import Unintelligible
from daemon.ports.source import Reading
from daemon.sources.http import DEPLOYMENT_ID
from daemon.vercel.answers import printable
from daemon.vercel.wire import EPOCH, WireModel, understand

MARK = "lastgood_count"
"""A label of ours that tells the two expressions apart in the one answer that holds both."""
SURPLUS_MAX = 1e-6
"""How far errors may exceed requests: sums of the same fractions in another order."""
REMARK = "PromQL info:"
"""How a remark on style begins, which some releases send among the warnings. Source: Prometheus, `util/annotations`."""

Moments = Mapping[float, datetime]
"""The moments that were asked for, by seconds since the epoch."""
Points = Mapping[datetime, float]


class Series(WireModel):
    """One series: its labels, and seconds since the epoch with values as texts."""

    metric: Mapping[StrictStr, StrictStr]
    values: list[tuple[Annotated[float, Field(strict=True)], StrictStr]]


class Matrix(WireModel):
    """The result of a range query."""

    result_type: Literal["matrix"] = Field(alias="resultType")
    result: list[Series]


class QueryAnswer(WireModel):
    """Source: Prometheus HTTP API, "Range queries"; for `isPartial` VictoriaMetrics, "Multi-level cluster setup"."""

    status: Literal["success"]
    data: Matrix
    warnings: list[StrictStr] | None = None
    is_partial: StrictBool = Field(default=False, alias="isPartial")


@dataclass(frozen=True, slots=True)
class Labels:
    """Names of the labels that say what a series counts."""

    project: str
    deployment: str


@dataclass(slots=True)
class Counts:
    """What an answer says of one project, by deployment. `trouble` is why it says nothing, '' for none."""

    requests: dict[str, Points] = field(default_factory=dict)
    errors: dict[str, Points] = field(default_factory=dict)
    trouble: str = ""


def read_series(answer: object, *, what: str) -> Sequence[Series]:
    """Return the series of a whole answer. Raises Unintelligible for a partial one, or one of another form.

    Thanos tells of a store that did not answer by a warning, VictoriaMetrics by `isPartial`.
    """
    found = understand(QueryAnswer, answer, what=what)
    warnings = [one for one in found.warnings or () if not one.startswith(REMARK)]
    if found.is_partial or warnings:
        why = printable(warnings[0]) if warnings else "it says isPartial"
        raise Unintelligible(f"{what}: a partial answer: {why}; taken as none", reason=SignalReason.TRUNCATED)
    return found.data.result


def sort_series(
    result: Sequence[Series], counts: Mapping[str, Counts], *, labels: Labels, moments: Moments, what: str
) -> None:
    """Add each series to the counts of its project, by what its project's label says ('' where it has none).

    Series of other projects are left out. Raises Unintelligible for what was not asked for.
    """
    if result and "" not in counts and not any(series.metric.get(labels.project) for series in result):
        raise Unintelligible(
            f"{what}: no series has a label {labels.project!r}; write `sum by ({labels.project}, ...)`"
        )
    for series in result:
        points = _points(series, moments, what=what)
        mark, project = series.metric.get(MARK), series.metric.get(labels.project, "")
        if mark not in ("requests", "errors"):
            raise Unintelligible(f"{what}: a series without the label {MARK} that was asked for; taken as no answer")
        if project not in counts:
            continue
        found, deployment = counts[project], series.metric.get(labels.deployment, "")
        side = found.requests if mark == "requests" else found.errors
        if deployment in side:
            found.trouble = f"{deployment or 'one group'} is counted twice; write `sum by ({labels.deployment}, ...)`"
        side[deployment] = points


def judge(
    counts: Counts, *, source: str, start: datetime, end: datetime, step: timedelta, missing_errors_are_zero: bool
) -> Reading:
    """Return what the counts of [*start*, *end*) come to; each ends at its moment and begins a *step* before.

    The watermark is the newest moment that has all of the project's counts, *start* where there is none. Raises
    Unintelligible for counts that contradict each other, or that are of no deployment.
    """
    if counts.trouble:
        raise Unintelligible(counts.trouble, reason=SignalReason.INCONSISTENT)
    named = {name: points for name, points in counts.requests.items() if DEPLOYMENT_ID.fullmatch(name)}
    if counts.requests and not named:
        raise Unintelligible("no series names its deployment by an id, dpl_...; label them so")
    missing = 0.0 if missing_errors_are_zero else math.nan
    found: dict[tuple[datetime, str], tuple[int, int] | None] = {}
    for name, points in named.items():
        errors = counts.errors.get(name, {})
        inside = {at: value for at, value in points.items() if start < at <= end and math.isfinite(value)}
        told = {(at, name): _count(value, errors.get(at, missing), name) for at, value in inside.items()}
        if None in told.values() and not errors:
            raise Unintelligible(_MISSING_ERRORS.format(deployment=name), reason=SignalReason.INCONSISTENT)
        found |= told
    return _reading(found, source=source, start=start, step=step)


_MISSING_ERRORS = (
    "requests of {deployment} and no series of errors; if it had none, let the expression for errors end in "
    "`or 0 * <requests>`, or set missing_errors_are_zero: true"
)


def _points(series: Series, moments: Moments, *, what: str) -> Points:
    points: dict[datetime, float] = {}
    for seconds, text in series.values:
        at = moments.get(seconds)
        if at is None:
            sentence = f"{what}: shifted window: a value at {seconds:.15g} s was not asked for; taken as no answer"
            raise Unintelligible(sentence, reason=SignalReason.SHIFTED_WINDOW)
        if points and at <= next(reversed(points)):
            sentence = f"{what}: the values of a series do not go forward in time; taken as no answer"
            raise Unintelligible(sentence, reason=SignalReason.INCONSISTENT)
        try:
            points[at] = float(text)
        except ValueError as error:
            raise Unintelligible(f"{what}: a value is not a number; taken as no answer") from error
    return points


def _count(requests: float, errors: float, deployment: str) -> tuple[int, int] | None:
    """Return whole requests and errors; None where nobody knows how many errors. A stale or NaN count is none."""
    if requests < 0 or errors < 0 or errors > requests * (1 + SURPLUS_MAX) + SURPLUS_MAX:
        sentence = f"{errors:g} errors of {requests:g} requests of {deployment}; taken as no answer"
        raise Unintelligible(sentence, reason=SignalReason.INCONSISTENT)
    whole = round(requests)
    if not whole:
        return 0, 0
    return (whole, min(round(errors), whole)) if math.isfinite(errors) else None


def _reading(
    found: Mapping[tuple[datetime, str], tuple[int, int] | None], *, source: str, start: datetime, step: timedelta
) -> Reading:
    whole = {at for at, _ in found} - {at for (at, _), count in found.items() if count is None}
    until = max(whole, default=start)
    samples = tuple(
        ErrorRateSample(DeploymentId(name), at - step, at, *count)
        for (at, name), count in sorted(found.items())
        # Beyond the watermark everything is asked once more, and what nobody asked for is no sample.
        if count and count[0] and at <= until
    )
    covered = len(whole) / ((until - start) // step) if whole else 1.0
    return Reading(source, samples, until, covered=covered)


def moments_between(start: datetime, end: datetime, step: timedelta) -> Moments:
    """Return the ends of the whole steps of [*start*, *end*), which both are whole seconds, in order of time."""
    steps = range(1, (end - start) // step + 1)
    return {(start + one * step - EPOCH).total_seconds(): start + one * step for one in steps}
