"""Measures how well the rules judge: false rollbacks, misses, delays and wrong rollbacks, beside the numbers to beat.

Run: python -m bench.detection [--days N] [--seed S] [--workers W] [--healthy] [--rule NAME ...]. Every rule is told
the same stories through the daemon's own `step`, with traffic from 0.5 to 100,000 requests a second and no lag: delays
are those on the counts as read. `--seed` chooses the stories; take a fresh one to see what a change is worth. The last
two rules compare a fixed sustain with a learned one, on a fleet of projects with seven kept deployments; one in four
starts cold.
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from daemon.certify.campaign import Campaign, plan_runs, run_campaign
from daemon.certify.kinds import HEALTHY, HISTORIES, STORIES
from daemon.certify.report import Delays, Report, Share, count
from daemon.certify.scene import Scene
from daemon.certify.trace import Label
from daemon.certify.traffic import Traffic
from daemon.core.detector import Detector
from daemon.core.guardrail import Posture
from daemon.core.policy import Policy
from daemon.detectors import DetectorSettings
from daemon.guardrails import complete

# Source: spec of the detection rule, section 8: per 1,000 project-days, shares, and seconds.
TO_BEAT = {
    "evidence-10s": "<= 1 /1000, missed <= 1.5 %, outages <= 0.5 %, median <= 120 s, p95 <= 660 s, jump-100 <= 30 s",
    "evidence-60s": "<= 1 /1000, median <= 240 s",
    "history-90s": "the baseline of the next line",
    "history-auto": "median of jump-10 <= 90 s, no worse in false rollbacks",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A detector as a configuration writes it, and how often is polled. *is_history* tells stories with a past."""

    name: str
    settings: dict[str, Any]
    poll_seconds: int
    is_history: bool = False


RULES = (
    Rule("evidence-10s", {"kind": "evidence"}, 10),
    Rule("evidence-60s", {"kind": "evidence", "sensitivity": "fast"}, 60),
    Rule("threshold-10s", {"kind": "threshold"}, 10),
    Rule("threshold-60s", {"kind": "threshold"}, 60),
    Rule("burn-rate-60s", {"kind": "burn_rate"}, 60),
    Rule("history-90s", {"kind": "evidence"}, 10, is_history=True),
    Rule("history-auto", {"kind": "evidence", "sustain": "auto"}, 10, is_history=True),
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--days", type=int, default=400, help="healthy project-days of each rule")
    arguments.add_argument("--seed", type=int, default=1, help="which stories are told")
    arguments.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments.add_argument("--healthy", action="store_true", help="tell nothing but healthy project-days")
    arguments.add_argument("--rule", nargs="+", choices=[rule.name for rule in RULES], default=None)
    chosen = arguments.parse_args()
    print(f"seed {chosen.seed}, {chosen.days} healthy project-days a rule; simulated")
    for rule in RULES:
        if chosen.rule is None or rule.name in chosen.rule:
            runs = _runs(rule, days=chosen.days, is_healthy_only=chosen.healthy)
            for line in _measured(rule, runs, seed=chosen.seed, workers=chosen.workers):
                print(line, flush=True)


def _runs(rule: Rule, *, days: int, is_healthy_only: bool) -> tuple[tuple[str, int], ...]:
    """Return how often each kind is told. Of the projects with a history one in four starts cold."""
    if rule.is_history:
        return tuple((kind.name, days * (1 if kind.name.startswith("cold") else 3) // 8) for kind in HISTORIES)
    healthy = {kind.name for kind in HEALTHY}
    return tuple((name, told) for name, told in plan_runs(days) if not is_healthy_only or name in healthy)


def _measured(rule: Rule, runs: tuple[tuple[str, int], ...], *, seed: int, workers: int) -> Iterator[str]:
    detector = _detector(rule.settings)
    if detector is None:
        yield f"\n{rule.name}: this tree has no such rule"
        return
    policy = Policy(Posture.AUTOMATIC, (detector,), complete(()))
    began = time.perf_counter()
    campaign = Campaign(policy, Scene(rule.poll_seconds, 0, Traffic()), seed, runs)
    report = count(run_campaign(campaign, workers=workers))
    seconds = time.perf_counter() - began
    told = f"{campaign.stories} stories in {seconds:.0f} s"
    yield f"\n{rule.name}: {rule.settings}, polls every {rule.poll_seconds} s ({told})"
    yield f"  to beat: {TO_BEAT.get(rule.name, 'nothing: what operators expect, for comparison')}"
    yield from _history_lines(report) if rule.is_history else _lines(report)


def _detector(settings: dict[str, Any]) -> Detector | None:
    """Return the detector; None where this tree does not know it."""
    try:
        detector: Detector = TypeAdapter(DetectorSettings).validate_python(settings)
    except ValidationError:
        return None
    return detector


def _lines(report: Report) -> Iterator[str]:
    calm = [row for row in report.of(HEALTHY) if row.kind.name != "cold-start"]
    without = Share(sum(row.wrong for row in calm), sum(row.runs for row in calm))
    yield f"  false rollbacks   {_per_thousand(report.false)}; without cold starts {_per_thousand(without)}"
    false = {row.kind.name: row.wrong for row in report.of(HEALTHY) if row.wrong}
    yield f"  false by kind     {false or 'none'}"
    if not report.stories:
        return
    yield f"  missed            {_percent(report.missed)}; misguided {_percent(report.misguided)}"
    yield f"  delay             median {report.delays.median} s, p95 {report.delays.p95} s"
    for name in ("mid-life", "already-running", "just-before-seen-late"):
        row = report.rows[name]
        yield f"  outage {name}: {_percent(Share(row.wrong, row.runs))} rolled back"
    yield from _kinds(report)
    yield from _stories(report)


def _kinds(report: Report) -> Iterator[str]:
    for row in report.rows.values():
        if row.kind.label is Label.BAD and row.kind not in STORIES:
            missed = f"missed {row.missed}/{row.runs}"
            yield f"    {row.kind.name:20s} {missed:14s} median {row.delays.median} s, p95 {row.delays.p95} s"


def _stories(report: Report) -> Iterator[str]:
    for row in report.stories:
        what = f"missed {row.missed}, asked {row.asked}, wrong {row.wrong} of {row.runs}"
        target = f", wrong target {row.astray}, again {row.again}" if row.kind.label is Label.BAD else ""
        yield f"    {row.kind.name:24s} {what}{target}"


def _history_lines(report: Report) -> Iterator[str]:
    rows = report.of(HISTORIES)
    well, broken = ([row for row in rows if row.kind.label is label] for label in (Label.HEALTHY, Label.BAD))
    together = Delays(tuple(sorted(one for row in broken for one in row.delays.seconds)))
    false = Share(sum(row.wrong for row in well), sum(row.runs for row in well))
    yield f"  the fleet         jump-10 median {together.median} s, p95 {together.p95} s; false {_per_thousand(false)}"
    for row in well:
        yield f"    {row.kind.name:22s} false {_per_thousand(Share(row.wrong, row.runs))}"
    for row in broken:
        counted = f"missed {row.missed}, wrong {row.wrong} of {row.runs}"
        yield f"    {row.kind.name:22s} median {row.delays.median} s, p95 {row.delays.p95} s, {counted}"


def _per_thousand(share: Share) -> str:
    low, high = share.interval
    return (
        f"{1000 * share.ratio:.2f} /1000 ({share.count} of {share.total}; 95 % {1000 * low:.1f} to {1000 * high:.1f})"
    )


def _percent(share: Share) -> str:
    low, high = share.interval
    return f"{share.ratio:.1%} ({share.count} of {share.total}; 95 % {low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()
