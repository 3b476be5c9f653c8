"""From the rows of an answer to counts by project, minute and deployment; what contradicts itself is refused."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from daemon.core.facts import DeploymentId, ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import Unintelligible
from daemon.sources.observability.counts import NOBODY, Counts, Table
from daemon.sources.observability.minutes import HOUR
from daemon.sources.observability.question import ERROR_MAX, ERROR_MIN, Asked, BucketRow, CountRow, Found, Question
from daemon.sources.observability.rows import NO_STATUS
from daemon.vercel.wire import PLATFORM_CODE, to_iso

Group = tuple[str, str, int, str]


def tabulate(found: Found, question: Question) -> Table:
    """Return what was counted; a project whose part contradicts itself is in `troubles`, and touches no other.

    Raises Unintelligible for an answer that is truncated, lies beside the window or ignores the filter: then no part of
    it can be trusted.
    """
    groups = len({_group(row) for row in found.summary})
    if groups >= found.groups_max:
        raise Unintelligible(
            f"{question.what}: truncated: {groups} groups of at most {found.groups_max}; taken as no answer",
            reason=SignalReason.TRUNCATED,
        )
    table = Table(groups=groups, troubles=dict(found.troubles))
    for row in found.buckets:
        _check_bucket(row, found, question)
        if question.start <= row.timestamp < question.end:
            _enter(row, table, question)
    _check_totals(found, table, question)
    return table


def _group(row: CountRow) -> Group:
    return row.project or "", row.deployment or "", row.status, row.error_code or ""


def _check_bucket(row: BucketRow, found: Found, question: Question) -> None:
    what, at = question.what, row.timestamp
    if not question.start - found.slack <= at < question.end + found.slack:
        raise Unintelligible(
            f"{what}: shifted window: a bucket at {to_iso(at)}; taken as no answer", reason=SignalReason.SHIFTED_WINDOW
        )
    if (at - question.start) % question.step:
        unit = "hour" if question.step == HOUR else "minute"
        raise Unintelligible(f"{what}: a bucket at {to_iso(at)}, not at a full {unit}; taken as no answer")
    if question.asked is Asked.ERRORS and not ERROR_MIN <= row.status <= ERROR_MAX:
        raise Unintelligible(f"{what}: a row of status {row.status} among the 5xx; taken as no answer")


def _enter(row: BucketRow, table: Table, question: Question) -> None:
    """Count one row. What has no project or no status only shows how far ingestion got."""
    if not row.requests:
        return
    table.seen[row.timestamp] = table.seen.get(row.timestamp, 0) + row.requests
    if not row.project or (question.asked.is_by_status and row.status == NO_STATUS):
        return
    is_error = question.exclusions.is_error(row.status)
    is_platforms = is_error and (row.error_code or "").startswith(PLATFORM_CODE)
    counts = Counts(
        requests=0 if question.asked is Asked.ERRORS else row.requests,
        errors=row.requests if is_error and not is_platforms else 0,
        platform_errors=row.requests if is_platforms else 0,
    )
    table.add(ProjectId(row.project), row.timestamp, DeploymentId(row.deployment or NOBODY), counts)


def _check_totals(found: Found, table: Table, question: Question) -> None:
    """Blame groups that are counted twice, or do not add up.

    Buckets beside the window may be in the summary or not: hence two bounds.
    """
    inside, every, summary = defaultdict[Group, int](int), defaultdict[Group, int](int), _totals(found.summary)
    known: set[tuple[datetime, Group]] = set()
    for row in found.buckets:
        group = _group(row)
        if (row.timestamp, group) in known:
            _blame(group, f"the bucket at {to_iso(row.timestamp)} counts one group twice", table, question)
        known.add((row.timestamp, group))
        every[group] += row.requests
        if question.start <= row.timestamp < question.end:
            inside[group] += row.requests
    for group in every.keys() | summary.keys():
        if not inside.get(group, 0) <= summary.get(group, 0) <= every.get(group, 0):
            counted = (
                f"the summary counts {summary.get(group, 0)} requests where the buckets hold {every.get(group, 0)}"
            )
            _blame(group, counted, table, question)


def _totals(rows: Iterable[CountRow]) -> Mapping[Group, int]:
    totals: dict[Group, int] = defaultdict(int)
    for row in rows:
        totals[_group(row)] += row.requests
    return totals


def _blame(group: Group, sentence: str, table: Table, question: Question) -> None:
    """Distrust the project of *group*. Raises Unintelligible where it has none: then nobody knows whose counts err."""
    project = ProjectId(group[0])
    whose = f"{question.asked} of {project}" if project else question.what
    trouble = Unintelligible(f"{whose}: {sentence}; taken as no answer", reason=SignalReason.INCONSISTENT)
    if not project:
        raise trouble
    table.troubles.setdefault(project, trouble)
