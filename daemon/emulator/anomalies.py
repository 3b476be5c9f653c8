"""Groups of alerts as Vercel's anomaly detection would raise them: a pure function of what was counted.

How Vercel decides is not public; this is a plain reading: many more 5xx than before, for three minutes.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from daemon.emulator.counts import CellKey
from daemon.emulator.durations import MINUTE_MS
from daemon.emulator.identifiers import base62

ERRORS_MIN = 5
RATIO_MIN = 0.02
WORSE_BY_FACTOR = 4.0
BASELINE_RATIO_MIN = 0.001
MINUTES_TO_BEGIN = 3
MINUTES_TO_END = 5
Cells = Iterable[tuple[int, Mapping[CellKey, int]]]


@dataclass(slots=True)
class Anomaly:
    """A stretch of minutes with too many 5xx. ``resolved_at_ms`` None: it goes on."""

    id: str
    project_id: str
    started_at_ms: int
    baseline_ratio: float
    updated_at_ms: int
    resolved_at_ms: int | None = None
    requests: int = 0
    errors: int = 0
    errors_by_place: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many errors each (route, deployment) answered."""

    @property
    def ratio(self) -> float:
        """Return the share of 5xx in it, 0..1."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def zscore(self) -> float:
        """Return by how many standard deviations of the baseline the share exceeds it."""
        spread = math.sqrt(self.baseline_ratio * (1 - self.baseline_ratio) / max(1, self.requests))
        return (self.ratio - self.baseline_ratio) / spread

    def add(self, minute: "_Minute") -> None:
        """Count a minute that belongs to it."""
        self.requests += minute.requests
        self.errors += minute.errors
        self.errors_by_place.update(minute.errors_by_place)
        self.updated_at_ms = minute.at_ms + MINUTE_MS


@dataclass(frozen=True, slots=True)
class _Minute:
    at_ms: int
    requests: int
    errors: int
    errors_by_place: Counter[tuple[str, str]]

    def is_bad(self, baseline_ratio: float) -> bool:
        if self.errors < ERRORS_MIN or self.errors < RATIO_MIN * self.requests:
            return False
        return self.errors > WORSE_BY_FACTOR * baseline_ratio * self.requests


def find_anomalies(project_id: str, cells: Cells) -> list[Anomaly]:
    """Return the anomalies within *cells* of production, which are in order of time; oldest first."""
    found: list[Anomaly] = []
    bad: list[_Minute] = []
    good_minutes = good_requests = good_errors = 0
    for at_ms, kinds in cells:
        minute = _minute(at_ms, kinds)
        if found and found[-1].resolved_at_ms is None:
            current = found[-1]
            good_minutes = 0 if minute.is_bad(current.baseline_ratio) else good_minutes + 1
            if good_minutes == MINUTES_TO_END:
                current.resolved_at_ms = minute.at_ms + MINUTE_MS
            elif not good_minutes:
                current.add(minute)
            continue
        baseline = max(BASELINE_RATIO_MIN, good_errors / good_requests if good_requests else 0.0)
        bad.append(minute)
        if not minute.is_bad(baseline):
            # What was bad for too short belongs to the baseline as well.
            good_requests += sum(item.requests for item in bad)
            good_errors += sum(item.errors for item in bad)
            bad = []
        elif len(bad) == MINUTES_TO_BEGIN:
            found.append(_begun(project_id, bad, baseline))
            bad, good_minutes = [], 0
    return found


def _begun(project_id: str, minutes: list[_Minute], baseline_ratio: float) -> Anomaly:
    started = minutes[0].at_ms
    identity = "alg_" + base62("alert-group", project_id, started, length=20)
    anomaly = Anomaly(identity, project_id, started, baseline_ratio, started)
    for minute in minutes:
        anomaly.add(minute)
    return anomaly


def _minute(at_ms: int, kinds: Mapping[CellKey, int]) -> _Minute:
    requests = 0
    errors: Counter[tuple[str, str]] = Counter()
    for key, count in kinds.items():
        if key.environment != "production":
            continue
        requests += count
        if key.http_status >= 500:
            errors[key.route, key.deployment_id] += count
    return _Minute(at_ms, requests, errors.total(), errors)
