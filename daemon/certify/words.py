"""A report in words and tables, for people: what the policy costs, what it brings, and what it cannot see."""

from collections.abc import Iterator, Sequence

from daemon.certify.kinds import BAD, HEALTHY, OUTAGES
from daemon.certify.report import Delays, Report, Row, Share
from daemon.certify.trace import Label

_OBSTACLES = {
    "min_requests": "fewer requests than the {0:g} of min_requests come in a window",
    "min_errors": "fewer errors than the {0:g} of min_errors come in time",
    "errors_per_minute_max": "fewer errors than {0:g} a minute come",
    "max_error_rate": "the error ratio stays below max_error_rate {0:.3g}",
    "breaches_min": "there are never {0:g} bad windows at once",
    "evidence": "the evidence does not reach {0:g}",
    "rate": "the error ratio stays below the limit {0:.3g}",
    "cusum": "it does not stand out from the trouble of the past day",
    "sustained_seconds": "it does not last for {0:.0f} s",
    "recent_rate": "the newest errors are fewer than before",
    "onset_in_window": "errors seem to begin outside the attribution window",
    "blind": "the counts are older than lag_max: the daemon is blind",
    "stale_samples": "the counts are older than the guardrail freshness allows",
    "cooldown": "the cooldown asks a person first",
    "onset_outside_window": "errors seem to begin outside the attribution window",
    "suspect_unclear": "whose fault it is cannot be told",
    "no_target": "there is no deployment to go back to",
    "stood_down": "somebody else moved production lately",
    "unacknowledged": "on-call was told of it before and has not acknowledged",
}


def false_rollbacks(share: Share, *, deployments_per_year: int) -> Iterator[str]:
    """Yield the false-rollback rate in the operator's own terms: by project-days and by years."""
    (low, high), days = share.interval, 1_000
    yield (
        f"False rollbacks  {share.count} in {share.total} healthy project-days: {share.ratio * days:.1f} in 1,000 "
        f"(95 % interval {low * days:.1f} to {high * days:.1f})"
    )
    year = deployments_per_year
    yield (
        f"                 at {year:,} deployments a year: {share.ratio * year:.1f} a year "
        f"({low * year:.1f} to {high * year:.1f})"
    )


def summary(report: Report) -> Iterator[str]:
    """Yield what is missed, misguided and late, over all kinds."""
    yield f"Missed           {_percent(report.missed)} bad releases"
    yield f"Misguided        {_percent(report.misguided)} went to the wrong deployment, or came before the errors"
    yield f"Outages          {_percent(report.outages)} rolled back, which does not help"
    yield f"Delay            {_delay(report.delays)} from the first errors to the decision"


def tables(report: Report) -> Iterator[str]:
    """Yield a table for each group of kinds."""
    yield "Bad releases"
    yield from _table(report.of(BAD))
    yield ""
    yield "Healthy project-days and outages"
    yield from _table(report.of((*HEALTHY, *OUTAGES)))
    if report.stories:
        yield ""
        yield "Longer stories"
        yield from _table(report.stories)


def unseen(report: Report) -> list[str]:
    """Return a sentence for each kind of bad release of which more than half are missed."""
    return [_why_unseen(row) for row in report.rows.values() if row.is_unseen]


def _why_unseen(row: Row) -> str:
    gate, threshold = row.obstacle
    words, size = row.kind.words, row.kind.size
    missed = f"missed {row.missed} of {row.runs}"
    if row.asked > row.runs / 2:
        return f"{words}: a person is asked instead ({missed})"
    if size is not None and gate in ("max_error_rate", "rate") and size < threshold:
        limit = "the limit" if gate == "rate" else gate
        return f"{words} is below {limit} {threshold * 100:.3g} % ({missed})"
    if gate == "":
        return f"{words}: no detector says anything ({missed})"
    why = _OBSTACLES.get(gate, "{gate} is not met").format(threshold, gate=gate)
    return f"{words}: mostly {why} ({missed})"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    heading = ("kind", "runs", "acted", "asked", "wrong", "median", "p95")
    cells = [heading, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heading))]
    for line in cells:
        padded = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        yield "  ".join(["", line[0].ljust(widths[0]), *padded[1:]]).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    is_bad = row.kind.label is Label.BAD
    delays = (_seconds(row.delays.median), _seconds(row.delays.p95)) if is_bad else ("", "")
    return row.kind.name, str(row.runs), str(row.acted), str(row.asked), str(row.wrong), *delays


def _percent(share: Share) -> str:
    low, high = share.interval
    return f"{share.count} of {share.total} ({share.ratio:.1%}, 95 % interval {low:.1%} to {high:.1%})"


def _delay(delays: Delays) -> str:
    return f"median {_seconds(delays.median)}, 95 % within {_seconds(delays.p95)}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s"
