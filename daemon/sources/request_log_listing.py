"""Reads the request log page by page within one frozen window, and refuses rows that cannot be what was asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.facts import ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import Unintelligible
from daemon.sources.request_log_rows import LogPage, LogRow
from daemon.vercel.owner import OwnerLookup
from daemon.vercel.transport import VercelTransport
from daemon.vercel.wire import floor_millisecond, to_iso, to_milliseconds, understand

ROUTE = "request_logs"
PATH = "/api/logs/request-logs"
FAILED = "5xx"
MILLISECOND = timedelta(milliseconds=1)
SLACK = timedelta(seconds=1)
"""How far a row may lie outside of the window, or out of order, before the answer is refused."""
PUBLIC_API = "https://api.vercel.com"
DASHBOARD = "https://vercel.com"
"""Where the request log of the public API lives. Source: Vercel CLI 58.4.4, `vercel logs`."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Distinct rows of [start, end). `is_complete` is False when the bound of pages cut off older ones."""

    start: datetime
    end: datetime
    rows: Sequence[LogRow]
    is_complete: bool

    @property
    def covered_from(self) -> datetime:
        """The time from which on rows are known: the window's start, or the oldest row of a cut listing."""
        return self.start if self.is_complete else min((row.timestamp for row in self.rows), default=self.end)

    @property
    def sure_from(self) -> datetime:
        """The time from which on every row is known: the oldest millisecond of a cut listing may be cut itself."""
        return self.start if self.is_complete else self.covered_from + MILLISECOND

    def knows(self, moment: datetime) -> bool:
        """Return whether every row of *moment* is here."""
        return self.sure_from <= moment < self.end

    @property
    def newest(self) -> datetime:
        """When the newest request began; the window's start where there is none."""
        return max((row.timestamp for row in self.rows), default=self.start)


class LogReader:
    """Asks `GET /api/logs/request-logs` for the production requests of one project after the other.

    *origin* is where the log lives; None: where the transport's API keeps it.
    """

    def __init__(self, transport: VercelTransport, *, origin: str | None) -> None:
        self._transport = transport
        self._owners = OwnerLookup(transport)
        self._origin = origin or _origin_of(transport.base_url)

    async def read(
        self, project: ProjectId, *, start: datetime, end: datetime, pages_max: int, failed_only: bool = False
    ) -> Listing:
        """Return the distinct rows of the window, which stays the same for every page.

        Raises Unavailable, RateLimited, Refused, or Unintelligible for rows that are malformed, out of order, outside
        of the window, or not of the kind that was asked for.
        """
        what = f"request log of {project}"
        rows: dict[str, LogRow] = {}
        is_at_end = False
        for number in range(pages_max):
            page = await self._read_page(project, start=start, end=end, number=number, failed_only=failed_only)
            # Rows that arrive late push others onto the next page, where they are seen a second time.
            fresh = [row for row in page.rows if row.request_id not in rows]
            for row in fresh:
                _check_row(row, failed_only=failed_only, start=start, end=end, what=what)
            _check_order(fresh, oldest=min((row.timestamp for row in rows.values()), default=end), what=what)
            rows |= {row.request_id: row for row in reversed(fresh)}
            # A last page that only repeats what is known does not show that there is nothing further back.
            is_at_end = not page.has_more and (bool(fresh) or not page.rows)
            if not page.has_more:
                break
        inside = [row for row in rows.values() if start <= row.timestamp < end]
        reaches_back = any(row.timestamp < start for row in rows.values())
        return Listing(start, end, inside, is_complete=reaches_back or is_at_end)

    async def _read_page(
        self, project: ProjectId, *, start: datetime, end: datetime, number: int, failed_only: bool
    ) -> LogPage:
        what = f"request log of {project}, page {number}"
        params: dict[str, str | int] = {
            "projectId": project,
            "ownerId": await self._owners.find(project),
            "page": number,
            "startDate": to_milliseconds(start),
            "endDate": to_milliseconds(end),
            "environment": "production",
        }
        if failed_only:
            params["statusCode"] = FAILED
        answer = await self._transport.read("GET", PATH, route=ROUTE, what=what, params=params, origin=self._origin)
        page = understand(LogPage, answer, what=what)
        if page.has_more and not page.rows:
            sentence = f"{what}: promises more rows and gives none; taken as no answer"
            raise Unintelligible(sentence, reason=SignalReason.TRUNCATED)
        return page


def ceil_millisecond(moment: datetime) -> datetime:
    """Return the first whole millisecond that is not before *moment*, in UTC."""
    floor = floor_millisecond(moment)
    return floor if floor == moment else floor + MILLISECOND


def _origin_of(api: str) -> str:
    return DASHBOARD if api == PUBLIC_API else api


def _check_order(rows: Iterable[LogRow], *, oldest: datetime, what: str) -> None:
    """Refuse rows that do not go back in time, for then the last of them is not the sample's beginning."""
    for row in rows:
        if row.timestamp > oldest + SLACK:
            sentence = f"{what}: rows are not newest first at {to_iso(row.timestamp)}; taken as no answer"
            raise Unintelligible(sentence, reason=SignalReason.INCONSISTENT)
        oldest = min(oldest, row.timestamp)


def _check_row(row: LogRow, *, failed_only: bool, start: datetime, end: datetime, what: str) -> None:
    """Refuse rows that were not asked for: a server ignores parameters that it does not know."""
    if not start - SLACK <= row.timestamp <= end + SLACK:
        sentence = f"{what}: shifted window: a row at {to_iso(row.timestamp)}; taken as no answer"
        raise Unintelligible(sentence, reason=SignalReason.SHIFTED_WINDOW)
    if row.environment not in (None, "production"):
        sentence = f"{what}: a row of {row.environment!r} instead of production; taken as no answer"
        raise Unintelligible(sentence, reason=SignalReason.INCONSISTENT)
    if failed_only and not row.is_failed:
        sentence = f"{what}: a row with status {row.status} among the 5xx; taken as no answer"
        raise Unintelligible(sentence, reason=SignalReason.INCONSISTENT)
