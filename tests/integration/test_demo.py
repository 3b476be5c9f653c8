"""The demo as a newcomer starts it: a process of its own, judged by what it prints and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

TREE = Path(__file__).resolve().parents[2]
CLOCK_FACTOR = "20"


def run_demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Return the ended demo, which leaves its own folder within *folder*."""
    command = [sys.executable, "-W", "error", "-m", "daemon", "demo", "--clock-factor", CLOCK_FACTOR, *options]
    environment = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.run(command, cwd=TREE, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return run_demo(tmp_path_factory.mktemp("demo"), "--json")


@pytest.fixture(scope="module")
def outcome(demo: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(demo.stdout)
    return found


def test_the_demo_catches_rolls_back_and_verifies(
    demo: subprocess.CompletedProcess[str], outcome: dict[str, Any]
) -> None:
    assert (demo.returncode, demo.stderr) == (0, "")
    assert outcome["ok"] is True
    assert outcome["rollbacks_sent"] == 1
    assert outcome["production"] == outcome["target"] != outcome["suspect"]


def test_the_demos_timeline_is_in_order(outcome: dict[str, Any]) -> None:
    assert [one["state"] for one in outcome["timeline"]] == ["mitigating", "verifying", "resolved"]
    times = [one["at"] for one in outcome["timeline"]]
    assert times == sorted(times)


def test_the_demo_shows_the_metrics_that_moved(outcome: dict[str, Any]) -> None:
    assert all(growth > 0 for growth in outcome["metrics"].values())
    confirmed = [name for name in outcome["metrics"] if "lastgood_actions_total" in name and "confirmed" in name]
    assert [outcome["metrics"][name] for name in confirmed] == [1]


def test_the_demo_leaves_a_store_that_status_reads(outcome: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "daemon", "status", "--json", "-c", f"{outcome['folder']}/lastgood.yaml"]
    status = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=True)
    [project] = json.loads(status.stdout)
    assert project["production"] == outcome["target"]
    assert project["incident"] is None


def test_I_39_the_demos_log_tells_the_story_without_a_token(outcome: dict[str, Any]) -> None:
    folder = Path(outcome["folder"])
    log = (folder / "lastgood.log").read_text()
    assert "incident.moved" in log
    for token in ("read-token", "act-token"):
        assert (folder / token).read_text() not in log


@pytest.mark.proof
def test_a_scenario_without_a_way_back_fails_sends_nothing_and_says_where_to_look(tmp_path: Path) -> None:
    demo = run_demo(tmp_path, "--scenario", "no-target")
    assert (demo.returncode, demo.stderr) == (1, "")
    for words in ("posture automatic", "clock factor 20", "escalated", "Metrics that moved", "-m daemon status -c"):
        assert words in demo.stdout
    assert "FAILED" in demo.stdout
    assert "rollback requests by the emulator's own ledger: 0" in demo.stdout


def test_an_unknown_scenario_is_one_line_that_names_those_that_exist(tmp_path: Path) -> None:
    demo = run_demo(tmp_path, "--scenario", "nonsense")
    assert (demo.returncode, demo.stdout) == (2, "")
    assert demo.stderr.count("\n") == 1
    assert "bad-deployment" in demo.stderr
    assert list(tmp_path.iterdir()) == []
