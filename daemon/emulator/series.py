"""Counts as an observability answer shows them: grouped, cut into buckets, filled with zeros, limited."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daemon.emulator.counts import CellKey
from daemon.emulator.filters import Predicate
from daemon.emulator.model import Project
from daemon.emulator.odata import Row

DIMENSIONS = frozenset({*CellKey._fields, "project_id", "project_name"})
Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in whole buckets: ``start_ms`` inclusive, ``end_ms`` exclusive."""

    start_ms: int
    end_ms: int
    bucket_ms: int

    @classmethod
    def around(cls, start_ms: int, end_ms: int, bucket_ms: int) -> "Window":
        """Return the window rounded out to whole buckets."""
        return cls(start_ms - start_ms % bucket_ms, -(-end_ms // bucket_ms) * bucket_ms, bucket_ms)

    def buckets(self) -> range:
        """Return the first instant of every bucket."""
        return range(self.start_ms, self.end_ms, self.bucket_ms)


@dataclass(frozen=True, slots=True)
class Series:
    """Totals per group, largest first, and their parts per (bucket, group)."""

    totals: list[tuple[Group, int]]
    parts: dict[tuple[int, Group], int]
    rows_read: int


def dimensions_of(key: CellKey, project: Project) -> Row:
    """Return every dimension of a cell as text."""
    cell = {name: str(value) for name, value in key._asdict().items()}
    return {**cell, "project_id": project.id, "project_name": project.name}


def grouped(
    cells: Iterable[tuple[Project, int, CellKey, int]],
    *,
    window: Window,
    group_by: Sequence[str],
    holds: Predicate,
    limit: int,
) -> Series:
    """Sum *cells* (project, minute, kind, count) that *holds* accepts into the *limit* largest groups."""
    totals: Counter[Group] = Counter()
    parts: defaultdict[tuple[int, Group], int] = defaultdict(int)
    known: dict[tuple[str, CellKey], Group | None] = {}
    rows_read = 0
    for project, minute, key, count in cells:
        rows_read += 1
        if (project.id, key) not in known:
            row = dimensions_of(key, project)
            known[project.id, key] = tuple(row[name] for name in group_by) if holds(row) else None
        group = known[project.id, key]
        if group is not None:
            totals[group] += count
            parts[minute - minute % window.bucket_ms, group] += count
    if not group_by and not totals:
        totals[()] = 0
    largest = sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return Series(largest, dict(parts), rows_read)
