"""What was requested: counts per minute and kind for a day, per second for a while, and the newest rows; bounded."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from daemon.emulator.durations import MINUTE_MS

MINUTES_KEPT = 24 * 60
SECONDS_KEPT_MS = 15 * MINUTE_MS
"""How long counts stay exact to the second; a lag longer than this is rounded down to the minute."""


class CellKey(NamedTuple):
    """The kind of a request, as far as counts tell kinds apart."""

    deployment_id: str
    environment: str
    route: str
    http_status: int
    request_method: str
    error_code: str
    waf_action: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was answered. ``message`` None: nothing was logged."""

    at_ms: int
    number: int
    key: CellKey
    domain: str
    path: str
    source: str
    message: str | None
    duration_ms: int
    more_lines: tuple[tuple[str, str], ...] = ()
    """What was logged besides ``message``: level and text of each line."""


class Counts:
    """Counts and rows of one project. Invariant: a row is counted in exactly one second and one minute."""

    def __init__(self, rows_kept: int) -> None:
        """Keep at most *rows_kept* rows."""
        self.rows: deque[Request] = deque(maxlen=rows_kept)
        self._minutes: dict[int, Counter[CellKey]] = {}
        self._seconds: dict[int, Counter[CellKey]] = {}

    def add(self, requests: list[Request]) -> None:
        """Count *requests*, which are not older than what was added before."""
        for request in requests:
            second = request.at_ms - request.at_ms % 1000
            self._seconds.setdefault(second, Counter())[request.key] += 1
            self._minutes.setdefault(second - second % MINUTE_MS, Counter())[request.key] += 1
            self.rows.append(request)

    def prune(self, now_ms: int) -> None:
        """Forget what is too old to be kept."""
        _drop_before(self._seconds, now_ms - SECONDS_KEPT_MS)
        _drop_before(self._minutes, now_ms - MINUTES_KEPT * MINUTE_MS)

    def per_minute(
        self, *, from_ms: int, to_ms: int, visible_to_ms: int
    ) -> Iterator[tuple[int, Mapping[CellKey, int]]]:
        """Yield (minute, counts) of whole minutes in [from_ms, to_ms), without what is at or after *visible_to_ms*."""
        visible_second = visible_to_ms - visible_to_ms % 1000
        first = from_ms + -from_ms % MINUTE_MS
        for minute in range(first, min(to_ms, visible_second), MINUTE_MS):
            cells = self._minutes.get(minute)
            if cells is None:
                continue
            if minute + MINUTE_MS <= visible_second:
                yield minute, cells
            else:
                yield minute, self._part_of_minute(minute, visible_second)

    def _part_of_minute(self, minute: int, until_ms: int) -> Counter[CellKey]:
        part: Counter[CellKey] = Counter()
        for second in range(minute, until_ms, 1000):
            part.update(self._seconds.get(second, {}))
        return part

    def newest_rows(self, *, from_ms: int, until_ms: int) -> Iterator[Request]:
        """Yield the kept rows within [from_ms, until_ms), newest first."""
        for row in reversed(self.rows):
            if row.at_ms < from_ms:
                return
            if row.at_ms < until_ms:
                yield row


def _drop_before(cells: dict[int, Counter[CellKey]], oldest_ms: int) -> None:
    stale = []
    for key in cells:
        if key >= oldest_ms:
            break
        stale.append(key)
    for key in stale:
        del cells[key]
