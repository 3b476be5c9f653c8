"""Backtests over what a real daemon wrote, over what the emulator still counts, and over a month of a fleet."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.backtest.from_journal import read_journal
from daemon.backtest.history import ProjectHistory
from daemon.backtest.pulling import pull_histories
from daemon.backtest.replay import Outcome, replay
from daemon.core.facts import ActivationOrigin
from daemon.emulator import EmulatorServer, ManualClock
from daemon.emulator.fleet_specs import FleetSpec
from daemon.emulator.scenario_files import load_scenario
from daemon.settings import Settings
from tests.integration.recorded_fleet import record_fleet
from tests.integration.virtual_time import run_virtually
from tests.integration.whole_daemon import BOTH_SOURCES, Whole, whole_daemon
from tests.unit.backtest.histories import samples_of, write
from tests.unit.cli.operating import configured
from tests.unit.vercel.emulated import EmulatedTime

OBSERVABILITY = ({"kind": "observability"},)
A_MILLISECOND = timedelta(milliseconds=1)


async def lived(name: str, *, minutes: float, posture: str, **parameters: float) -> tuple[Whole, ProjectHistory]:
    """Return a daemon that watched the scenario *name* for so long, and what its journal tells of that."""
    scenario = load_scenario(name, {"requests_per_second": 5, **parameters})
    async with whole_daemon(scenario, posture=posture, sources=OBSERVABILITY) as whole:
        began = whole.clock.now()
        await whole.watch(minutes)
        history = await read_journal(whole.store, whole.project.id, since=began)
    assert history is not None
    return whole, history


@pytest.mark.slow
@pytest.mark.parametrize("posture", ["observe", "automatic"])
def test_the_journal_replays_to_what_the_daemon_decided(posture: str) -> None:
    whole, history = run_virtually(lived("bad-deployment", minutes=14, posture=posture))
    incident = whole.ended or whole.state.incident
    assert incident is not None
    assert whole.applied == (1 if posture == "automatic" else 0)
    [row] = replay(history, whole.project.policy()).rows
    assert incident.target is not None
    assert (row.outcome, row.suspect, row.target) == (Outcome.ROLLBACK, incident.suspect.id, incident.target.id)
    assert (row.onset_at, row.sentence) == (incident.finding.onset_at, incident.finding.sentence)
    assert abs(row.at - incident.opened.at) <= A_MILLISECOND
    moved = [one for one in history.activations if one.origin is ActivationOrigin.OUR_ROLLBACK]
    assert len(moved) == whole.applied


@pytest.mark.slow
@pytest.mark.parametrize("name", ["healthy", "blip"])
def test_a_journal_in_which_nothing_was_decided_replays_to_nothing(name: str) -> None:
    whole, history = run_virtually(lived(name, minutes=14, posture="automatic"))
    assert whole.ended is None
    assert replay(history, whole.project.policy()).rows == ()


@pytest.mark.slow
async def test_counts_that_a_source_still_has_are_pulled_and_replayed() -> None:
    clock, told = ManualClock(), list[str]()
    scenario = load_scenario("bad-deployment", {"requests_per_second": 2, "deploy_at": "40m"})
    async with EmulatorServer(scenario, clock=clock) as server:
        time = EmulatedTime(clock)
        since = time.now()
        clock.advance(3 * 3600)
        server.world.advance()
        settings = Settings.model_validate(
            {
                "vercel": {"api_url": server.url, "team": server.world.team.id, "read_token": "tok_emulator_read"},
                "defaults": {"sources": BOTH_SOURCES},
                "projects": [{"name": "web"}, {"id": "prj_other", "sources": [{"kind": "request_logs"}]}],
            }
        )
        pulled = [one async for one in pull_histories(settings, time, project="*", since=since, tell=told.append)]
        mutations = server.world.ledger.requests_total["mutating"]
    [history] = pulled
    good, bad = (server.world.deployment("web", name) for name in ("good", "bad"))
    assert [(one.deployment, one.origin) for one in history.activations] == [
        (good.id, ActivationOrigin.FIRST_SEEN),
        (bad.id, ActivationOrigin.RELEASE),
    ]
    assert 2 * 3600 * 2 * 0.95 < sum(one.requests or 0 for one in samples_of(history)) < 3 * 3600 * 2 * 1.05
    [row] = replay(history, settings.policy_for(settings.projects[0])).rows
    assert (row.outcome, row.suspect, row.target) == (Outcome.ROLLBACK, bad.id, good.id)
    assert mutations == 0
    assert told == [
        "prj_other: none of its sources keeps counts that could be pulled back; left out",
        "pulling 1 projects from observability",
    ]


FLEET = FleetSpec.model_validate(
    {
        "projects": 3,
        "seed": 8,
        "history": "10d",
        "traffic_history": "1m",
        "horizon": "30d",
        "incident_ratio": 0.2,
        "outages_per_month": 1,
        "errors": {"jump": 1},
        "traffic": {"flat": 1},
        "requests_per_second": {"median": 0.6, "most": 1.0},
    }
)
"""Three projects with a release every other day, of which every fifth fails visitors, and some outages."""
LOOSE, STRICT = 0.4, 0.1
MARGIN = 0.04
"""No planted failure is so close to a threshold that chance would decide."""


def a_policy(folder: Path, max_error_rate: float) -> str:
    detector = {"kind": "threshold", "window": "10m", "min_requests": 50, "breaches_min": 2, "windows": 3}
    defaults = {
        "detectors": [{**detector, "max_error_rate": max_error_rate}],
        "guardrails": [{"kind": "freshness", "age_max": "15m"}],
    }
    path = folder / f"{max_error_rate}.yaml"
    path.write_text(f"{(folder / 'lastgood.yaml').read_text()}defaults: {json.dumps(defaults)}\n")
    return str(path)


def rolled_back(rows: list[dict[str, Any]]) -> set[str]:
    return {row["suspect"] for row in rows}


@pytest.mark.slow
@pytest.mark.proof
def test_a_month_of_a_fleet_gives_back_the_planted_failures_that_each_threshold_covers(tmp_path: Path) -> None:
    histories, labels = record_fleet(FLEET, days=30)
    history, told = write(tmp_path, *histories), tmp_path / "labels.json"
    told.write_text(json.dumps(labels))
    operated = configured(tmp_path)
    today, new = a_policy(tmp_path, LOOSE), a_policy(tmp_path, STRICT)
    arguments = ("--config", today, "--policy", new, "--history", str(history), "--labels", str(told), "--json")
    result = operated.run("backtest", *arguments)
    said = json.loads(result.stdout)

    began = [one for one in labels["labels"] if one["atMs"] >= labels["startMs"]]
    planted = {one["deploymentId"]: one["ratio"] for one in began if one["cause"] == "deployment"}
    assert all(abs(ratio - limit) > MARGIN for ratio in planted.values() for limit in (LOOSE, STRICT))
    covered = {limit: {one for one, ratio in planted.items() if ratio > limit} for limit in (LOOSE, STRICT)}
    assert len(planted) > len(covered[STRICT]) > len(covered[LOOSE]) > 0
    assert [one["cause"] for one in began].count("upstream") > 0

    assert set().union(*(rolled_back(one["added"]) for one in said["projects"])) == covered[STRICT] - covered[LOOSE]
    assert all(one["removed"] == [] for one in said["projects"])
    kept = set().union(*(rolled_back([pair["new"] for pair in one["kept"]]) for one in said["projects"]))
    assert kept == covered[LOOSE]
    for whose, limit in (("today", LOOSE), ("new", STRICT)):
        found = said["labels"][whose]
        assert (found["true"], found["wrong_target"], found["false"]) == (len(covered[limit]), 0, 0)
        assert {one["deployment"] for one in found["missed"]} == planted.keys() - covered[limit]
