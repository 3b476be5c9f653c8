"""A source that counts what a fake Vercel served: so many requests a bucket, and the share of errors a test sets."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.facts import Deployment, DeploymentId, ErrorRateSample, ProjectId
from daemon.ports.errors import PortError, Unavailable
from daemon.ports.source import Reading, Wanted
from tests.fakes.hosting import FakeHosting

_BUCKET = timedelta(seconds=30)
_LOOKBACK_MAX = timedelta(minutes=30)


@dataclass(slots=True, eq=False)
class FakeSource:
    """Whole half minutes up to now, of whatever served when each began. `troubles` are raised by the next calls.

    `before_answer` runs while a collection is under way, so that a test can do something meanwhile.
    """

    hosting: FakeHosting
    ratios: Mapping[DeploymentId, float] = field(default_factory=dict)
    requests_a_bucket: int = 100
    name: str = "fake"
    troubles: deque[PortError | None] = field(default_factory=deque)
    before_answer: Callable[[], Awaitable[None]] | None = None
    asked_since: list[datetime] = field(default_factory=list)
    asked_for_routes: list[bool] = field(default_factory=list)
    is_fleet_wide: bool = False
    is_witness: bool = False
    asked_together: list[int] = field(default_factory=list)
    past: Mapping[ProjectId, Reading | PortError] = field(default_factory=dict)
    recalled: list[tuple[tuple[ProjectId, ...], datetime]] = field(default_factory=list)

    async def collect(self, wanted: Sequence[Wanted], *, now: datetime) -> Mapping[ProjectId, Reading | PortError]:
        """Return one sample a bucket; none where nothing served."""
        self.asked_together.append(len(wanted))
        return {one.project: await self._collect_one(one, now) for one in wanted}

    async def recall(
        self, projects: Sequence[ProjectId], *, since: datetime, now: datetime
    ) -> Mapping[ProjectId, Reading | PortError]:
        """Return what a test put down as the past of each project."""
        self.recalled.append((tuple(projects), since))
        return {one: self.past.get(one, Unavailable("keeps no counts of the past")) for one in projects}

    async def _collect_one(self, wanted: Wanted, now: datetime) -> Reading | PortError:
        self.asked_since.append(wanted.since)
        self.asked_for_routes.append(wanted.wants_routes)
        if self.before_answer:
            await self.before_answer()
        trouble = self.troubles.popleft() if self.troubles else None
        if isinstance(trouble, PortError):
            return trouble
        if trouble:
            raise trouble
        start = max(wanted.since, now - _LOOKBACK_MAX)
        samples: list[ErrorRateSample] = []
        while start + _BUCKET <= now:
            deployment = self.hosting.served_at(start)
            if deployment:
                samples.append(self._sample(deployment, start))
            start += _BUCKET
        return Reading(self.name, samples, complete_until=start)

    def _sample(self, deployment: Deployment, start: datetime) -> ErrorRateSample:
        errors = round(self.requests_a_bucket * self.ratios.get(deployment.id, 0.0))
        return ErrorRateSample(deployment.id, start, start + _BUCKET, self.requests_a_bucket, errors)
