"""Makes history of counts that a source still has: pulled window by window, with activations derived from them.

What nobody saw it cannot tell: who moved production, and which build is older than its first count.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from daemon.backtest.history import Counted, HistoryError, ProjectHistory, RecordedActivation, in_order
from daemon.core.facts import ActivationOrigin, DeploymentId, ErrorRateSample, ProjectId
from daemon.ports.errors import PortError
from daemon.ports.source import Source, Wanted

FIRST_COUNT_AGE_MAX = timedelta(minutes=10)
"""A first count so long before a deployment leads was somebody who looked at it before it went live."""
INTERVALS_LED_MIN = 3
"""A deployment that served before serves again once it has most of the requests in so many intervals in a row."""


@dataclass(slots=True)
class _Pulled:
    """What was pulled of one project so far."""

    since: datetime
    counts: list[Counted] = field(default_factory=list)


async def pull(
    source: Source,
    projects: Sequence[ProjectId],
    *,
    since: datetime,
    until: datetime,
    window: timedelta,
    lag: timedelta,
) -> Sequence[ProjectHistory]:
    """Return the counts of *projects* in [since, until), asked for as if it were the end of each *window* in turn.

    *window* is shorter than what one collection of the source reaches back. *lag* is the one that a daemon would read
    them with: the past does not show it. Raises HistoryError where the source does not give what is asked of it.
    """
    pulled = {project: _Pulled(since) for project in projects}
    now = since
    while now < until:
        now = min(now + window, until)
        readings = await source.collect([Wanted(one, pulled[one].since) for one in projects], now=now)
        for project, reading in readings.items():
            if isinstance(reading, PortError):
                what = f"{project}: {source.name} gives no counts from {pulled[project].since:%Y-%m-%d %H:%M} UTC on"
                raise HistoryError(f"{what}: {reading}; ask for less with --from") from reading
            theirs = pulled[project]
            theirs.counts += [Counted(one, now - one.end if one.is_late else lag) for one in reading.samples]
            theirs.since = reading.complete_until
    return [_history(project, pulled[project], since=since, until=until) for project in projects]


def _history(project: ProjectId, pulled: _Pulled, *, since: datetime, until: datetime) -> ProjectHistory:
    counts = in_order(pulled.counts)
    samples = [one.sample for one in counts if not one.sample.is_late]
    return ProjectHistory(
        project=project,
        start=since,
        until=until,
        activations=tuple(derive_activations(samples, start=since)),
        counts=counts,
    )


def derive_activations(samples: Sequence[ErrorRateSample], *, start: datetime) -> Iterator[RecordedActivation]:
    """Yield who began to serve when, from counts in order of time: what has most of an interval's requests serves.

    A new one went live with its first count; the first of all before the record, nobody knows when. One that served
    before was brought back when it leads INTERVALS_LED_MIN intervals in a row, the first of them dates it.
    """
    first_counts: dict[DeploymentId, datetime] = {}
    for sample in samples:
        if sample.has_traffic:
            first_counts.setdefault(sample.deployment, sample.start)
    served: dict[DeploymentId, datetime] = {}
    serving: DeploymentId | None = None
    newest = start
    back: list[tuple[DeploymentId, datetime]] = []
    for leader, led_from in _leaders(samples):
        back = [*(one for one in back if one[0] == leader), (leader, led_from)]
        if leader == serving:
            continue
        is_known = leader in served
        if is_known and len(back) < INTERVALS_LED_MIN:
            continue
        is_early = led_from - first_counts[leader] > FIRST_COUNT_AGE_MAX
        at = back[0][1] if is_known else max(led_from if is_early else first_counts[leader], newest)
        yield _activation(leader, at, served, is_first=serving is None, start=start)
        newest, serving = max(at, newest), leader


def _activation(
    leader: DeploymentId, at: datetime, served: dict[DeploymentId, datetime], *, is_first: bool, start: datetime
) -> RecordedActivation:
    if leader in served:
        return RecordedActivation(leader, at, served[leader], ActivationOrigin.BROUGHT_BACK, is_derived=True)
    served[leader] = start - timedelta(days=1) if is_first else at
    origin = ActivationOrigin.FIRST_SEEN if is_first else ActivationOrigin.RELEASE
    return RecordedActivation(leader, None if is_first else at, served[leader], origin, is_derived=True)


def _leaders(samples: Sequence[ErrorRateSample]) -> Iterator[tuple[DeploymentId, datetime]]:
    """Yield who has most of the requests in each interval that ends at the same time, and when it begins."""
    for _, group in groupby(samples, key=attrgetter("end")):
        counted = [one for one in group if one.has_traffic]
        if counted:
            leader = max(counted, key=lambda one: one.errors if one.requests is None else one.requests)
            yield leader.deployment, leader.start
