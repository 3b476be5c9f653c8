"""Turns entries of a drain into counts: each request once, whatever the number of its entries and of their deliveries.

Pure but for what it remembers: no clock, no I/O. Invariant: a request is in at most one cell; in the one of 5xx if any
of its entries said so. What is remembered is bounded by `ids_max` and `remembered_for`.
"""

from collections import Counter
from collections.abc import Sequence, Set
from datetime import UTC, datetime, timedelta

from daemon.core.facts import OTHER_ROUTES, ROUTE_LENGTH_MAX, DeploymentId, ProjectId
from daemon.ports.buckets import BUCKET, RouteCount
from daemon.ports.drain import EntryOutcome
from daemon.web.drain.entries import Entry, Environment, Origin, PathType, Proxy

BUCKET_MS = BUCKET // timedelta(milliseconds=1)
AHEAD_MAX_MS = 600_000
"""Entries from further in the future have a wrong date; clocks differ by less."""
_CRASHED = -1
_CRASH_STATUS = 500
_DENIED = "deny"
_STATUS_MIN, _STATUS_MAX = 100, 999
_ERRORS = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def moment_of(milliseconds: int) -> datetime:
    """Return the moment *milliseconds* after the epoch. Raises OverflowError for what no calendar has."""
    return _EPOCH + milliseconds * _MILLISECOND


def milliseconds_of(moment: datetime) -> int:
    """Return *moment* as milliseconds since the epoch."""
    return (moment - _EPOCH) // _MILLISECOND


class _Cell:
    """Requests of one deployment, bucket, route and status; `count` is what was not handed over yet."""

    __slots__ = ("bucket", "count", "owner", "route", "status_class")

    def __init__(self, owner: "_Deployment", bucket: int, route: str, status_class: int) -> None:
        self.owner = owner
        self.bucket = bucket
        self.route = route
        self.status_class = status_class
        self.count = 0


class _Deployment:
    """What is remembered of one deployment: its requests, in two generations, and its cells."""

    __slots__ = ("cells", "id", "older", "opened", "project", "seen")

    def __init__(self, project: str, id_: str) -> None:
        self.project = project
        self.id = id_
        self.seen: dict[str, _Cell] = {}
        self.older: dict[str, _Cell] = {}
        self.cells: dict[tuple[int, str | None, int], _Cell] = {}
        self.opened: Counter[int] = Counter()
        """How many cells each bucket has."""


class Tally:
    """Counts entries.

    A request is remembered for `remembered_for` at least, unless more than `ids_max` came meanwhile: then only half as
    many, the newest ones, are sure to be. `routes_max` bounds the cells of one deployment and bucket; beyond it routes
    share one for each status.
    """

    def __init__(self, *, ids_max: int, remembered_for: timedelta, routes_max: int) -> None:
        self.outcomes: Counter[EntryOutcome] = Counter()
        self.uncollected = 0
        """Requests that were counted and not collected yet."""
        self._ids_max = ids_max
        self._remembered_ms = remembered_for // _MILLISECOND
        self._routes_max = routes_max
        self._deployments: dict[str, _Deployment] = {}
        self._dirty: list[_Cell] = []
        self._ids = 0
        self._turned_at_ms = 0
        self._stream = ""
        self._heard: set[tuple[str, str]] = set()

    def count(self, entries: Sequence[Entry], *, arrived_ms: int, stream: str) -> None:
        """Count *entries*, which arrived at *arrived_ms* on *stream*.

        A request counts in the bucket of its first entry's `timestamp`, which for one that took long lies nearer to its
        answer than `proxy.timestamp`: a time-out of a minute would else come when nobody looks at its minute any more.
        """
        self._turn(arrived_ms)
        self._stream = stream
        oldest_ms, newest_ms = arrived_ms - self._remembered_ms, arrived_ms + AHEAD_MAX_MS
        deployments, dirty = self._deployments, self._dirty
        production, background, firewall = Environment.PRODUCTION, PathType.BACKGROUND, Origin.FIREWALL
        crashed, lowest, highest = _CRASHED, _STATUS_MIN, _STATUS_MAX
        open_cell, bucket_ms = self._open_cell, BUCKET_MS
        fresh = repeated = 0
        for entry in entries:
            proxy = entry.proxy
            request = entry.request_id
            at = entry.timestamp
            # This loop decides the receiver's throughput: what is usual is done here, all else by `_read_unusual`.
            if (
                proxy is None
                or not request
                or entry.environment is not production
                or proxy.waf_action is not None
                or proxy.path_type is background
                or entry.source is firewall
                or entry.status_code == crashed
                or (status := proxy.status_code) is None
                or not lowest <= status <= highest
                or not oldest_ms <= at <= newest_ms
            ):
                read = _read_unusual(entry, oldest_ms=oldest_ms, newest_ms=newest_ms)
                if isinstance(read, EntryOutcome):
                    self.outcomes[read] += 1
                    continue
                request, status = read
            deployment = deployments.get(entry.deployment_id)
            if deployment is None:
                if not entry.deployment_id or not entry.project_id:
                    self.outcomes[EntryOutcome.NO_REQUEST] += 1
                    continue
                deployment = deployments[entry.deployment_id] = _Deployment(entry.project_id, entry.deployment_id)
            seen = deployment.seen
            known = seen.get(request) or deployment.older.get(request)
            if known is not None:
                repeated += 1
                if 500 <= status <= 599 and known.status_class != _ERRORS:
                    self._move_to_errors(request, known)
                continue
            cell = deployment.cells.get((at // bucket_ms, entry.path, status))
            if cell is None:
                cell = open_cell(deployment, at // bucket_ms, entry.path, status)
            if not cell.count:
                dirty.append(cell)
            cell.count += 1
            seen[request] = cell
            fresh += 1
        self._ids += fresh
        self.uncollected += fresh
        self.outcomes[EntryOutcome.COUNTED] += fresh
        self.outcomes[EntryOutcome.REPEATED] += repeated

    def collect(self, *, rows_max: int) -> tuple[list[RouteCount], Set[tuple[str, str]]]:
        """Return at most *rows_max* counts that were not collected yet, and which projects were heard on which streams.

        What is more waits for the next time.
        """
        taken, self._dirty[:rows_max] = self._dirty[:rows_max], []
        rows: dict[tuple[str, str, int, str, int], int] = {}
        for cell in taken:
            if cell.count:
                owner = cell.owner
                key = (owner.project, owner.id, cell.bucket, cell.route, cell.status_class)
                rows[key] = rows.get(key, 0) + cell.count
                self.uncollected -= cell.count
                cell.count = 0
        counts = [
            RouteCount(ProjectId(project), DeploymentId(deployment), moment_of(bucket * BUCKET_MS), route, kind, count)
            for (project, deployment, bucket, route, kind), count in rows.items()
            if count
        ]
        heard, self._heard = self._heard, set()
        return counts, heard

    @property
    def has_more(self) -> bool:
        """Whether counts wait to be collected."""
        return bool(self._dirty)

    @property
    def remembered(self) -> int:
        """How many requests are remembered."""
        return sum(len(one.seen) + len(one.older) for one in self._deployments.values())

    def _open_cell(self, deployment: _Deployment, bucket: int, path: str | None, status: int) -> _Cell:
        """Return the cell for a route or status that is new in its bucket.

        Routes come from outside, and visitors may think of any number of paths: beyond the bound they share a cell.
        """
        self._heard.add((self._stream, deployment.project))
        if deployment.opened[bucket] >= self._routes_max:
            path = OTHER_ROUTES
        elif path is not None:
            path = path[:ROUTE_LENGTH_MAX]
        key = (bucket, path, status)
        cell = deployment.cells.get(key)
        if cell is None:
            cell = deployment.cells[key] = _Cell(deployment, bucket, path or "", status // 100)
            deployment.opened[bucket] += 1
        return cell

    def _move_to_errors(self, request: str, known: _Cell) -> None:
        """Count a request as failed that was counted otherwise: its crash was told after its first entry."""
        owner = known.owner
        cell = self._open_cell(owner, known.bucket, known.route, _CRASH_STATUS)
        for one, step in ((known, -1), (cell, +1)):
            if not one.count:
                self._dirty.append(one)
            one.count += step
        generation = owner.seen if request in owner.seen else owner.older
        generation[request] = cell

    def _turn(self, now_ms: int) -> None:
        """Forget the older generation when the younger one is old or large enough to take its place."""
        is_old = now_ms - self._turned_at_ms >= self._remembered_ms
        if not is_old and self._ids < self._ids_max // 2:
            return
        self._turned_at_ms, self._ids = now_ms, 0
        oldest = (now_ms - self._remembered_ms) // BUCKET_MS
        for id_, one in list(self._deployments.items()):
            if not one.seen:
                # Cells that were not collected yet are in the list of those that are to be.
                del self._deployments[id_]
                continue
            one.seen, one.older = {}, one.seen
            one.cells = {key: cell for key, cell in one.cells.items() if cell.bucket >= oldest}
            one.opened = Counter(cell.bucket for cell in one.cells.values())


def _read_unusual(entry: Entry, *, oldest_ms: int, newest_ms: int) -> EntryOutcome | tuple[str, int]:
    """Return the request's id and status, or why the entry is not counted.

    Source: Vercel docs, Log Drains reference: a proxy's -1 is a revalidation in the background; a function's -1 means
    that it crashed.
    """
    proxy = entry.proxy
    if proxy is not None and (proxy.status_code == _CRASHED or proxy.path_type is PathType.BACKGROUND):
        return EntryOutcome.BACKGROUND
    if entry.source is Origin.FIREWALL or (proxy is not None and proxy.waf_action == _DENIED):
        return EntryOutcome.DENIED
    has_crashed = entry.status_code == _CRASHED and entry.source is Origin.LAMBDA
    request, status = _request_of(entry, proxy), _CRASH_STATUS if has_crashed else _status_of(entry, proxy)
    if request is None or status is None or not entry.deployment_id:
        return EntryOutcome.NO_REQUEST
    if entry.environment is not Environment.PRODUCTION:
        return EntryOutcome.NOT_PRODUCTION
    if entry.timestamp < oldest_ms:
        return EntryOutcome.LATE
    return EntryOutcome.AHEAD if entry.timestamp > newest_ms else (request, status)


def _request_of(entry: Entry, proxy: Proxy | None) -> str | None:
    return entry.request_id or (proxy.vercel_id if proxy is not None else None) or None


def _status_of(entry: Entry, proxy: Proxy | None) -> int | None:
    """Return the status that the visitor got; None for an entry that is not about a request, or says none."""
    if proxy is None:
        return None
    known = [status for status in (proxy.status_code, entry.status_code) if status is not None]
    return next((status for status in known if _STATUS_MIN <= status <= _STATUS_MAX), None)
