"""What earlier collections read, so that a row which appears later is known to be late, and is counted once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.core.facts import ProjectId
from daemon.sources.request_log_listing import Listing
from daemon.sources.request_log_rows import LogRow

FAILING_MAX = 16
"""So many failing deployments are remembered, those that failed last: a project serves few at a time."""


@dataclass(frozen=True, slots=True)
class Span:
    """Time whose rows were all counted as far as they had been logged. `newest` is when the newest of them began."""

    start: datetime
    end: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read up to `until`: the spans that were counted, and when the requests of all known rows began.

    `failing` holds, for each deployment that was seen to fail lately, when its newest failed request began.
    """

    until: datetime
    spans: tuple[Span, ...] = ()
    rows: Mapping[str, datetime] = field(default_factory=dict)
    failing: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def known_from(self) -> datetime:
        """When the oldest span that is remembered begins; `until` without one."""
        return self.spans[0].start if self.spans else self.until

    def is_late(self, row: LogRow) -> bool:
        """Return whether *row* appeared after its time was counted. Of time that was not counted, nothing is late."""
        return row.request_id not in self.rows and any(one.start <= row.timestamp < one.end for one in self.spans)

    def is_late_failure(self, row: LogRow) -> bool:
        """Return the same of a row that only the list of failures can show.

        Beyond the newest row that was known then it is no late one, but one of a log that lags as a whole, of which the
        successes are not known either.
        """
        return row.request_id not in self.rows and any(one.start <= row.timestamp <= one.newest for one in self.spans)

    def then(self, listing: Listing, late: Iterable[LogRow], *, start: datetime, keep_from: datetime) -> "Seen":
        """Return what is known after *listing*, of which the time from *start* on was counted, and *late* rows.

        Only what began since *keep_from* is remembered.
        """
        rows = {name: began for name, began in self.rows.items() if began >= keep_from}
        rows |= {row.request_id: row.timestamp for row in (*listing.rows, *late)}
        spans = [span for span in self.spans if span.end > keep_from]
        counted_from = max(start, listing.sure_from)
        if counted_from < listing.end:
            spans.append(Span(counted_from, listing.end, listing.newest))
        return Seen(listing.end, tuple(spans), rows, self._failing_after((*listing.rows, *late)))

    def _failing_after(self, rows: Iterable[LogRow]) -> Mapping[str, datetime]:
        failing = dict(self.failing)
        for row in rows:
            if row.deployment and row.is_failed and row.is_countable:
                failing[row.deployment] = max(row.timestamp, failing.get(row.deployment, row.timestamp))
        newest_first = sorted(failing.items(), key=lambda one: one[1], reverse=True)
        return dict(newest_first[:FAILING_MAX])


class Memory:
    """What is known of each project: as of the newest collection, and as of the one before.

    The one before is needed when the outcome of the newest was lost on its way to the store: then it is asked for
    again, and everything late is to be found again. Bounded by the projects of the configuration.
    """

    def __init__(self) -> None:
        self._seen: dict[ProjectId, tuple[Seen, ...]] = {}

    def recall(self, project: ProjectId, *, since: datetime) -> Seen:
        """Return what was known at the watermark *since*: nothing, where somebody else counted in between."""
        return next((one for one in self._seen.get(project, ()) if one.until == since), Seen(since))

    def keep(self, project: ProjectId, *, before: Seen, now: Seen) -> None:
        """Remember *now*, and what it was built on."""
        self._seen[project] = (before, now)
