"""From rows of the request log to samples: by deployment and minute, late rows in the newest sample of their own."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.facts import KINDS_MAX, DeploymentId, ErrorKind, ErrorRateSample, RouteCounts
from daemon.core.fingerprint import Fingerprint, fingerprint_of
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.request_log_rows import LogRow
from daemon.sources.routes import RouteTally, busiest_routes, counts_by_route, route_name

MINUTE = timedelta(minutes=1)
_SILENT = Fingerprint("silent", "(nothing was printed)")
"""The kind of failures that say nothing."""


@dataclass(slots=True)
class Tally:
    """What was counted of one deployment in one stretch of time."""

    requests: int = 0
    errors: int = 0
    platform_errors: int = 0
    routes: dict[str, RouteTally] = field(default_factory=dict)
    messages: Counter[str] = field(default_factory=Counter)

    def add(self, row: LogRow, exclusions: Exclusions) -> None:
        """Count *row*, whose status may be one that is no error."""
        is_error = exclusions.is_error(row.status)
        self.requests += 1
        is_own = is_error and not row.is_platforms
        self.errors += is_own
        # A path may be any text that a visitor thinks of: what has no route is not told apart.
        route = route_name(row.route)
        self.routes[route] = self.routes.get(route, RouteTally()).plus(RouteTally(1, int(is_own)))
        self.platform_errors += is_error and row.is_platforms
        if is_own:
            self.messages[row.message] += 1


@dataclass(frozen=True, slots=True)
class Found:
    """What one collection found: the rows of [start, end), and `late` ones of time that was counted before.

    `ignored` are late ones that count for nobody, now or later. `is_sampled` says that a bound of pages cut off what
    came before `start`. `has_all` says that the rows are all requests; False: failed ones alone, and deployments that
    are `failing` since then have none where none is found.
    """

    start: datetime
    end: datetime
    rows: Sequence[LogRow]
    late: Sequence[LogRow]
    is_sampled: bool
    has_all: bool = True
    failing: Mapping[str, datetime] = field(default_factory=dict)
    ignored: Sequence[LogRow] = ()
    exclusions: Exclusions = NOTHING_EXCLUDED
    wants_routes: bool = False
    wants_kinds: bool = False

    @property
    def counted(self) -> Sequence[LogRow]:
        """The rows that count, late ones included."""
        return [row for row in (*self.rows, *self.late) if self.counts(row)]

    def counts(self, row: LogRow) -> bool:
        """Return whether *row* counts."""
        return row.is_countable and not self.exclusions.leave_out(row.place or "")

    @property
    def left_out(self) -> int:
        """How many rows count for nobody: no deployment was asked, there is no answer, or the route is excluded."""
        return len(self.rows) + len(self.late) + len(self.ignored) - len(self.counted)


@dataclass(slots=True)
class _Cells:
    """Tallies by deployment and by the stretch of time, at most a minute of the clock, in which the rows began."""

    found: Found
    tallies: dict[DeploymentId, dict[datetime, Tally]] = field(default_factory=lambda: defaultdict(dict))

    def at(self, deployment: DeploymentId, began: datetime) -> Tally:
        minute = began.replace(second=0, microsecond=0)
        return self.tallies[deployment].setdefault(minute, Tally())

    def samples(self) -> Iterable[ErrorRateSample]:
        for deployment, minutes in self.tallies.items():
            told = _by_route(self.found, minutes.values())
            for (minute, tally), routes in zip(minutes.items(), told, strict=True):
                start, end = max(minute, self.found.start), min(minute + MINUTE, self.found.end)
                yield _sample(self.found, deployment, start, end, tally, routes=routes)


def samples_of(found: Found) -> tuple[ErrorRateSample, ...]:
    """Return one sample for every deployment and minute with rows, in order of time.

    Late rows are counted in the newest sample of their deployment. A deployment of which there are only late ones gives
    one sample of the whole time; so a request counts when it is answered, not when it began. Where failed rows are all
    there are, each failing deployment has a sample for every minute from its first failure on, be it of no errors.
    """
    cells = _Cells(found)
    for name, since in found.failing.items():
        for minute in _minutes(max(found.start, since), found.end):
            cells.at(DeploymentId(name), minute)
    for row in found.rows:
        if row.deployment and found.counts(row):
            cells.at(DeploymentId(row.deployment), row.timestamp).add(row, found.exclusions)
    apart: dict[DeploymentId, Tally] = defaultdict(Tally)
    for row in found.late:
        if row.deployment and found.counts(row):
            name = DeploymentId(row.deployment)
            minutes = cells.tallies.get(name)
            tally = minutes[max(minutes)] if minutes else apart[name]
            tally.add(row, found.exclusions)
    samples = list(cells.samples())
    for name, one in apart.items():
        [routes] = _by_route(found, [one])
        samples.append(_sample(found, name, found.start, found.end, one, routes=routes))
    return tuple(sorted(samples, key=lambda one: (one.start, one.deployment)))


def _minutes(start: datetime, end: datetime) -> Iterable[datetime]:
    minute = start.replace(second=0, microsecond=0)
    while minute < end:
        yield minute
        minute += MINUTE


def _by_route(found: Found, tallies: Collection[Tally]) -> Sequence[tuple[RouteCounts, ...]]:
    """Return the counts of each of *tallies* by the same routes; nothing of each where nobody asked for them."""
    if not found.wants_routes:
        return [()] * len(tallies)
    names = busiest_routes(one.routes for one in tallies)
    return [counts_by_route(one.routes, names, has_requests=found.has_all) for one in tallies]


def _sample(
    found: Found,
    name: DeploymentId,
    start: datetime,
    end: datetime,
    tally: Tally,
    *,
    routes: tuple[RouteCounts, ...],
) -> ErrorRateSample:
    return ErrorRateSample(
        name,
        start,
        end,
        tally.requests if found.has_all else None,
        tally.errors,
        is_sampled=found.is_sampled,
        platform_errors=tally.platform_errors,
        routes=routes,
        kinds=_kinds(tally.messages) if found.wants_kinds else None,
    )


def _kinds(messages: Counter[str]) -> tuple[ErrorKind, ...]:
    """Return the commonest kinds of *messages*, the commonest first."""
    kinds: Counter[Fingerprint] = Counter()
    for message, count in messages.items():
        kinds[fingerprint_of(message) or _SILENT] += count
    return tuple(ErrorKind(one.key, one.template, count) for one, count in kinds.most_common(KINDS_MAX))
