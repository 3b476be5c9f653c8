"""Buckets in plain memory, for tests and simulation: the same promises, and nothing survives the process."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from daemon.core.facts import DeploymentId, ProjectId
from daemon.ports.buckets import BucketCount, Buckets, Delivery, Gap, GapReason, Heard, RouteCount, Standing

_Key = tuple[datetime, ProjectId, DeploymentId, str, int]


class MemoryBuckets(Buckets):
    """Buckets in memory; see `daemon.ports.buckets.Buckets`. No method awaits, so each is one transaction by itself."""

    def __init__(self) -> None:
        self._counts: dict[_Key, int] = defaultdict(int)
        self._receivers: dict[str, Delivery] = {}
        self._heard: dict[tuple[str, ProjectId | None], Heard] = {}
        self._gaps: dict[tuple[datetime, GapReason, ProjectId | None], Gap] = {}

    async def add(self, delivery: Delivery) -> None:
        """Add counts up, unless this delivery was taken before."""
        known = self._receivers.get(delivery.receiver)
        if known is not None and known.number >= delivery.number:
            return
        self._receivers[delivery.receiver] = replace(delivery, counts=(), heard=(), gaps=())
        for one in delivery.counts:
            self._counts[one.start, one.project, one.deployment, one.route, one.status_class] += one.requests
        for heard in delivery.heard:
            before = self._heard.get((heard.stream, heard.project))
            newest = max(heard.newest, before.newest) if before else heard.newest
            self._heard[heard.stream, heard.project] = replace(heard, newest=newest)
        for gap in delivery.gaps:
            self._gaps[gap.start, gap.reason, gap.project] = gap

    async def standing(self) -> Standing | None:
        """Return how the receivers are; None where there is none."""
        if not self._receivers:
            return None
        receivers = self._receivers.values()
        return Standing(
            began=min(one.began for one in receivers),
            alive=max(one.at for one in receivers),
            heard=list(self._heard.values()),
            gaps=sorted(self._gaps.values(), key=lambda gap: gap.start),
        )

    async def totals(self, *, start: datetime, end: datetime) -> Sequence[BucketCount]:
        """Return the counts of every deployment in the buckets of [start, end), in order of time."""
        found: dict[tuple[datetime, ProjectId, DeploymentId], list[int]] = defaultdict(lambda: [0, 0])
        for (at, project, deployment, _, status_class), requests in self._counts.items():
            if start <= at < end:
                sums = found[at, project, deployment]
                sums[0] += requests
                sums[1] += requests if status_class == 5 else 0
        return [
            BucketCount(project, deployment, at, *sums) for (at, project, deployment), sums in sorted(found.items())
        ]

    async def routes(self, project: ProjectId, *, start: datetime, end: datetime) -> Sequence[RouteCount]:
        """Return the counts of one project by route and status class, in order of time."""
        return [
            RouteCount(owner, deployment, at, route, status_class, requests)
            for (at, owner, deployment, route, status_class), requests in sorted(self._counts.items())
            if owner == project and start <= at < end
        ]

    async def prune(self, *, before: datetime) -> int:
        """Delete what is older; return how many rows went."""
        rows = self._rows()
        self._counts = defaultdict(int, {key: sum_ for key, sum_ in self._counts.items() if key[0] >= before})
        self._gaps = {key: gap for key, gap in self._gaps.items() if gap.end >= before}
        self._receivers = {name: one for name, one in self._receivers.items() if one.at >= before}
        return rows - self._rows()

    async def close(self) -> None:
        """Keep everything: there is no medium to release."""

    def _rows(self) -> int:
        return len(self._counts) + len(self._gaps) + len(self._receivers)
