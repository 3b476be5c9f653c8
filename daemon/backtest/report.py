"""What a backtest found, for people and for machines."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from daemon.backtest.compare import Comparison
from daemon.backtest.labels import Score, Truth, add_up
from daemon.backtest.replay import Outcome, Replayed, Row
from daemon.core.detector import Gate
from daemon.core.facts import DeploymentId
from daemon.core.guardrail import Reason

UNKNOWN = (
    "After a rollback that never took place nobody knows what would have come: each is the last that is said of its "
    "suspect, and the replay goes on with the next activation in history."
)


@dataclass(frozen=True, slots=True)
class Report:
    """A whole backtest. `history`, `today` and `new` say in words where each came from."""

    history: str
    today: str
    new: str
    comparisons: Sequence[Comparison]

    @property
    def has_new_rollbacks(self) -> bool:
        """Whether the new policy would roll back what today's does not."""
        return any(one.added for one in self.comparisons)

    @property
    def project_days(self) -> float:
        """How much history there is."""
        return sum(((one.until - one.start) / timedelta(days=1) for one in self.comparisons), 0.0)


def tell(report: Report) -> Iterator[str]:
    """Yield the report as lines of text."""
    projects = _count(len(report.comparisons), "project")
    yield f"history: {report.history}; {projects}, {report.project_days:.1f} project-days"
    yield f"today: {report.today}; new: {report.new}; both as if posture were automatic, with all guardrails"
    defaults = sum(one.is_default for one in report.comparisons)
    if defaults:
        yield f"not in the new configuration, so that its defaults were taken: {_count(defaults, 'project')}"
    for one in report.comparisons:
        yield ""
        yield from _tell_project(one)
    yield ""
    yield from _tell_totals(report.comparisons)


def _tell_project(one: Comparison) -> Iterator[str]:
    yield (
        f"{one.name}: {one.start:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M} UTC, "
        f"{_count(one.activations, 'activation')}, counts read {one.lag.total_seconds():.0f} s after their end"
        f"{_tell_blind(one.new)}"
    )
    for row in one.added:
        yield from _tell_row("+", row, _instead(one.today, row.suspect, "today"))
    for row in one.removed:
        yield from _tell_row("-", row, _instead(one.new, row.suspect, "new"))
    for today, new in one.kept:
        yield from _tell_row("=", new, _difference(today, new))
    for row in one.new.rows:
        if row.outcome is Outcome.ALERT:
            yield f"  ! {row.at:%m-%d %H:%M:%S}  {row.suspect}: alerted only, {row.reason}: {row.why}"
    if not (one.added or one.removed or one.kept or one.new.rows):
        yield "  nothing would have been done, by either"


def _tell_blind(one: Replayed) -> str:
    return f", blind in {one.blind_polls} of {_count(one.polls, 'poll')}" if one.blind_polls else ""


def _tell_row(sign: str, row: Row, remark: str) -> Iterator[str]:
    onset = "" if row.seconds_from_onset is None else f", {row.seconds_from_onset:.0f} s after the onset"
    yield f"  {sign} {row.at:%m-%d %H:%M:%S}  {row.suspect} back to {row.target}{onset}{remark}"
    yield f"      {row.detector}: {row.sentence}"
    if row.gates:
        yield f"      gates: {', '.join(_tell_gate(gate) for gate in row.gates)}"


def _tell_gate(gate: Gate) -> str:
    value = "unknown" if gate.value is None else f"{gate.value:.4g}"
    return f"{gate.name} {value} {'>=' if gate.passed else '<'} {gate.threshold:.4g}"


def _instead(other: Replayed, suspect: DeploymentId, whose: str) -> str:
    """Return what the *other* policy would have done about the suspect."""
    alert = next((row for row in other.rows if row.suspect == suspect), None)
    return f" ({whose}: alerted only, {alert.reason})" if alert else f" ({whose}: nothing)"


def _difference(today: Row, new: Row) -> str:
    seconds = (new.at - today.at).total_seconds()
    when = f", {abs(seconds):.0f} s {'later' if seconds > 0 else 'sooner'} than today" if seconds else ""
    return when + (f", today back to {today.target}" if today.target != new.target else "")


def _tell_totals(comparisons: Sequence[Comparison]) -> Iterator[str]:
    added, removed, kept = (
        sum(len(rows) for rows in every)
        for every in (
            [one.added for one in comparisons],
            [one.removed for one in comparisons],
            [one.kept for one in comparisons],
        )
    )
    yield f"rollbacks: today {removed + kept}, new {added + kept}: {added} added, {removed} removed, {kept} kept"
    for whose, every in (("today", _replayed(comparisons, "today")), ("new", _replayed(comparisons, "new"))):
        yield _tell_unjudged(whose, every)
    for whose, total in (("today", _total(comparisons, "today")), ("new", _total(comparisons, "new"))):
        if total is not None:
            yield _tell_score(whose, total)
    if added + removed + kept:
        yield UNKNOWN


def _tell_unjudged(whose: str, every: Sequence[Replayed]) -> str:
    rollbacks = sum(row.outcome is Outcome.ROLLBACK for one in every for row in one.rows)
    alerts = sum(row.outcome is Outcome.ALERT for one in every for row in one.rows)
    unjudged = sum((one.unjudged for one in every), timedelta(0)) / timedelta(hours=1)
    unresumed = sum(one.unresumed for one in every)
    return (
        f"{whose}: {alerts} alerted only; judging stopped {_count(rollbacks, 'time')}, for {unjudged:.1f} h in all; "
        f"{_count(unresumed, 'time')} no later activation followed"
    )


def _tell_score(whose: str, total: Score) -> str:
    middle = total.median_seconds_to_act
    counts = ", ".join(f"{total.count(truth)} {truth.replace('_', ' ')}" for truth in Truth)
    acted = "" if middle is None else f", median time to act {middle:.0f} s"
    return f"{whose} against the labels: {counts}, {len(total.missed)} missed{acted}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _replayed(comparisons: Iterable[Comparison], whose: str) -> Sequence[Replayed]:
    return [one.today if whose == "today" else one.new for one in comparisons]


def _total(comparisons: Iterable[Comparison], whose: str) -> Score | None:
    scores = [one.today_score if whose == "today" else one.new_score for one in comparisons]
    known = [one for one in scores if one is not None]
    return add_up(known) if known else None


# For machines


def document(report: Report) -> dict[str, Any]:
    """Return the report as plain JSON values."""
    return {
        "history": report.history,
        "today": report.today,
        "new": report.new,
        "project_days": round(report.project_days, 3),
        "projects": [_project_document(one) for one in report.comparisons],
        "added": sum(len(one.added) for one in report.comparisons),
        "removed": sum(len(one.removed) for one in report.comparisons),
        "kept": sum(len(one.kept) for one in report.comparisons),
        "labels": {whose: _score_document(_total(report.comparisons, whose)) for whose in ("today", "new")},
    }


def _project_document(one: Comparison) -> dict[str, Any]:
    return {
        "project": one.project,
        "name": one.name,
        "from": one.start.isoformat(),
        "until": one.until.isoformat(),
        "lag_seconds": one.lag.total_seconds(),
        "activations": one.activations,
        "is_default_policy": one.is_default,
        "added": [_row_document(row) for row in one.added],
        "removed": [_row_document(row) for row in one.removed],
        "kept": [{"today": _row_document(today), "new": _row_document(new)} for today, new in one.kept],
        "today": _replayed_document(one.today),
        "new": _replayed_document(one.new),
    }


def _replayed_document(one: Replayed) -> dict[str, Any]:
    return {
        "alerts": [_row_document(row) for row in one.rows if row.outcome is Outcome.ALERT],
        "polls": one.polls,
        "blind_polls": one.blind_polls,
        "unjudged_seconds": one.unjudged.total_seconds(),
        "unresumed": one.unresumed,
    }


def _row_document(row: Row) -> dict[str, Any]:
    return {
        "at": row.at.isoformat(),
        "suspect": row.suspect,
        "target": row.target,
        "onset_at": _iso(row.onset_at),
        "seconds_from_onset": row.seconds_from_onset,
        "reason": None if row.reason is Reason.NONE else row.reason,
        "why": row.why or None,
        "detector": row.detector,
        "sentence": row.sentence,
        "gates": [
            {"name": gate.name, "value": gate.value, "threshold": gate.threshold, "passed": gate.passed}
            for gate in row.gates
        ],
    }


def _score_document(total: Score | None) -> dict[str, Any] | None:
    if total is None:
        return None
    return {
        **{truth.value: total.count(truth) for truth in Truth},
        "missed": [{"deployment": one.deployment, "at": one.at.isoformat()} for one in total.missed],
        "median_seconds_to_act": total.median_seconds_to_act,
        "rollbacks": [{"suspect": row.suspect, "truth": truth.value} for row, truth in total.truths],
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
