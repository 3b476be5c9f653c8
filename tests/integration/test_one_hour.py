"""One hour of emulated traffic, counted by every source at its own rhythm, beside the world's own truth.

Seen with `pytest -s`: a table of what was counted, deployment by deployment.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from math import sqrt
from typing import Any

import pytest

from daemon.core.facts import ErrorRateSample
from daemon.ports.source import Reading, Wanted
from daemon.vercel.wire import to_milliseconds
from tests.contract.stages import Stage
from tests.contract.stages.log_drain import LogDrainStage
from tests.contract.stages.observability import LAG, MetricsV1Stage, ObservabilityStage
from tests.contract.stages.prometheus import PrometheusStage
from tests.contract.stages.request_logs import RequestLogsStage
from tests.unit.vercel.emulated import Vercel, emulated

pytestmark = [pytest.mark.proof, pytest.mark.default_answers]

HOUR_SECONDS = 3600
TAIL_SECONDS = 600
"""Polls go on until everything of the hour can have arrived."""
SURE = 3.89
"""Standard deviations of an interval that misses once in ten thousand."""
Totals = dict[str, tuple[int, int]]

BURST = {"ratio": 0.4, "status": 500, "error_code": "FUNCTION_INVOCATION_FAILED", "after": "5m", "lasts": "4m"}
SLOW = {"ratio": 0.03, "status": 504, "error_code": "FUNCTION_INVOCATION_TIMEOUT"}
HUNG_UP = {"ratio": 0.02, "status": 499}
PLATFORMS = {"ratio": 0.01, "status": 500, "error_code": "INTERNAL_FUNCTION_INVOCATION_FAILED"}


def an_hour(*, requests_per_second: float) -> dict[str, Any]:
    """Three deployments and a way back: a burst of crashes, time-outs, visitors who hang up, and a firewall."""
    traffic = {
        "requests_per_second": requests_per_second,
        "baseline_error_ratio": 0.01,
        "firewall_denied_ratio": 0.03,
        "preview": {"requests_per_second": 0.3, "error_ratio": 0.5},
        "failures": [HUNG_UP],
    }
    second = {"project": "web", "name": "second", "failures": [BURST, SLOW]}
    third = {"project": "web", "name": "third", "failures": [PLATFORMS]}
    happenings = [
        {"at": "620s", "deploy": second},
        {"at": "1540s", "promote": {"project": "web", "deployment": "good"}},
        {"at": "2225s", "deploy": third},
        {"at": "40m", "outage": {"project": "web", "ratio": 0.5, "status": 502, "lasts": "90s"}},
    ]
    return {"project": {"traffic": traffic}, "happenings": happenings, "rows_kept": 1_000_000}


@dataclass(slots=True)
class Hour:
    """What one source said of the hour."""

    began: datetime
    until: datetime
    samples: list[ErrorRateSample] = field(default_factory=list)
    covered: list[float] = field(default_factory=list)
    polls: int = 0

    @property
    def totals(self) -> Totals:
        requests: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        for sample in self.samples:
            assert sample.requests is not None
            requests[sample.deployment] += sample.requests
            errors[sample.deployment] += sample.errors + sample.platform_errors
        return {one: (requests[one], errors[one]) for one in requests}


def truth(vercel: Vercel, start: datetime, end: datetime, *, with_denied: bool = False) -> Totals:
    """Requests and errors of each deployment in production, as the world itself knows them."""
    requests: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    begin_ms, end_ms = to_milliseconds(start), to_milliseconds(end)
    for row in vercel.world.traffic_of(vercel.world.project("web")).counts.rows:
        is_counted = with_denied or row.key.waf_action != "deny"
        if row.key.environment == "production" and is_counted and begin_ms <= row.at_ms < end_ms:
            requests[row.key.deployment_id] += 1
            errors[row.key.deployment_id] += 500 <= row.key.http_status <= 599
    return {one: (requests[one], errors[one]) for one in requests}


async def live_through(stage: Stage, vercel: Vercel, *, every_seconds: float, **changes: Any) -> Hour:
    """Return what the source says while the hour passes; a production that just moved is looked at closely."""
    source = stage.build(vercel, **changes)
    hour = Hour(vercel.now, vercel.now)
    for number in range(int((HOUR_SECONDS + TAIL_SECONDS) / every_seconds)):
        vercel.pass_time(every_seconds)
        await stage.settle(vercel)
        is_close_up = 620 <= number * every_seconds <= 1520
        answers = await source.collect([Wanted(vercel.project, hour.until, is_close_up)], now=vercel.now)
        reading = answers[vercel.project]
        assert isinstance(reading, Reading), reading
        hour.until = reading.complete_until
        hour.samples += reading.samples
        hour.covered.append(reading.covered)
        hour.polls += 1
    return hour


def tell(title: str, vercel: Vercel, counted: Totals, known: Totals) -> None:
    """Print what was counted beside what there was."""
    names = {vercel.id_of(name): name for name in ("good", "second", "third")}
    print(f"\n{title}")
    for deployment, name in names.items():
        print(f"  {name:8} counted {counted.get(deployment)!s:16} in truth {known.get(deployment)!s:16}")


EXACT: list[tuple[type[Stage], str, float, dict[str, Any], tuple[Any, ...]]] = [
    (ObservabilityStage, "v2 closed", 15, {"resolution": "closed"}, ()),
    (MetricsV1Stage, "metrics_v1 closed", 15, {"dialect": "metrics_v1", "resolution": "closed"}, ()),
    (ObservabilityStage, "v2 fine", 15, {"resolution": "fine"}, ()),
    (MetricsV1Stage, "metrics_v1 fine", 15, {"dialect": "metrics_v1", "resolution": "fine"}, ()),
    (ObservabilityStage, "v2 auto", 15, {"resolution": "auto"}, ()),
    (LogDrainStage, "log_drain", 15, {}, ()),
    (RequestLogsStage, "request_logs, 20 pages", 30, {}, ()),
    (PrometheusStage, "prometheus", 300, {"lookback_max": "PT15M"}, getattr(PrometheusStage, "marks", ())),
]


@pytest.mark.parametrize(
    ("kind", "title", "every_seconds", "changes"),
    [pytest.param(*row[:4], id=row[1].replace(", ", "-").replace(" ", "-"), marks=row[4]) for row in EXACT],
)
async def test_every_source_counts_one_hour_of_traffic_exactly(
    kind: type[Stage], title: str, every_seconds: float, changes: dict[str, Any]
) -> None:
    async with emulated(**an_hour(requests_per_second=2)) as vercel:
        hour = await live_through(kind(), vercel, every_seconds=every_seconds, **changes)
        # An open minute is given as far as it is ingested, which is beyond the watermark.
        until = vercel.now - LAG if changes.get("resolution") == "fine" else hour.until
        # What an operator's own counters count includes what the firewall turned away in the emulated world.
        known = truth(vercel, hour.began, until, with_denied=kind is PrometheusStage)
        tell(title, vercel, hour.totals, known)
        assert (hour.until - hour.began).total_seconds() >= HOUR_SECONDS
        assert {vercel.id_of(name) for name in ("good", "second", "third")} == set(known)
        assert hour.totals == known


def interval(errors: int, requests: int) -> tuple[float, float]:
    """Return Wilson's interval for a ratio of errors. Source: Wilson 1927, "Probable inference"."""
    ratio, z2 = errors / requests, SURE**2
    middle = (ratio + z2 / (2 * requests)) / (1 + z2 / requests)
    half = SURE / (1 + z2 / requests) * sqrt(ratio * (1 - ratio) / requests + z2 / (4 * requests**2))
    # Without any error, or with nothing else, one end is exact, which rounding would miss by a hair.
    return (middle - half if errors else 0.0), (middle + half if errors < requests else 1.0)


def by_deployment(samples: Iterable[ErrorRateSample]) -> dict[str, list[ErrorRateSample]]:
    found: dict[str, list[ErrorRateSample]] = {}
    for sample in samples:
        found.setdefault(sample.deployment, []).append(sample)
    return found


async def test_a_few_pages_of_a_busy_site_are_a_sample_within_its_stated_error() -> None:
    async with emulated(**an_hour(requests_per_second=12)) as vercel:
        stage = RequestLogsStage()
        pages = {"request_pages_max": 2, "error_pages_max": 4}
        hour = await live_through(stage, vercel, every_seconds=15, **pages)
        known = truth(vercel, hour.began, hour.until)
        tell("request_logs, 2 pages", vercel, hour.totals, known)
        sampled = [sample for sample in hour.samples if sample.is_sampled]
        missed = 0
        for sample in sampled:
            requests, errors = truth(vercel, sample.start, sample.end).get(sample.deployment, (0, 0))
            assert sample.requests
            low, high = interval(sample.errors + sample.platform_errors, sample.requests)
            missed += requests > 0 and not low <= errors / requests <= high
        share = sum(hour.covered) / len(hour.covered)
        print(f"  {len(sampled)} samples, covering {share:.0%} of the time; outside of the interval: {missed}")
        assert len(sampled) > 200
        assert 0.2 < share < 0.9
        assert missed == 0
        for deployment, samples in by_deployment(hour.samples).items():
            requests, errors = known[deployment]
            counted = sum(one.requests or 0 for one in samples)
            assert counted < requests
            # What was sampled stands for the whole of the deployment's time.
            low, high = interval(sum(one.errors + one.platform_errors for one in samples), counted)
            assert low <= errors / requests <= high
