"""`lastgood backtest` and `lastgood record`: from the daemon's journal, and from a file, to a difference."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from daemon.core.event import Event
from daemon.core.state import ProjectState
from daemon.stores.sqlite import open_sqlite
from tests.builders import GOOD as GOOD_BUILD
from tests.builders import a_breached_playbook
from tests.unit.backtest.histories import BAD, FIX, GOOD, a_bad_release, at, write
from tests.unit.backtest.journals import keep
from tests.unit.cli.operating import Operated

ALWAYS = ("--from", "9000d")
"""Whatever day it is, what these tests put on record is not older."""


def policy(operated: Operated, name: str = "new.yaml", **threshold: Any) -> str:
    """Write the operator's configuration with another threshold, and return its path."""
    detector = {"kind": "threshold", "breaches_min": 2, "windows": 3} | threshold
    path = operated.folder / name
    path.write_text(f"{operated.config.read_text()}defaults: {{detectors: [{json.dumps(detector)}]}}\n")
    return str(path)


def journal(operated: Operated, events: list[Event], state: ProjectState) -> None:
    async def save() -> None:
        store = await open_sqlite(operated.store)
        await keep(store, events, state)
        await store.close()

    asyncio.run(save())


def a_breached_journal(operated: Operated) -> None:
    play = a_breached_playbook()
    journal(operated, play.events, play.state)


@pytest.fixture
def history(operated: Operated) -> str:
    return str(write(operated.folder, a_bad_release()))


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.slow
def test_an_added_rollback_is_told_with_its_moment_its_gates_and_what_today_does(
    operated: Operated, history: str
) -> None:
    today, new = policy(operated, "today.yaml", max_error_rate=0.5), policy(operated)
    result = operated.run("backtest", "--policy", new, "--config", today, "--history", history)
    assert result.exit_code == 0
    told = words(result.stdout)
    assert "shop: 2026-03-02 12:00 to 2026-03-02 14:00 UTC, 3 activations, counts read 60 s after their end" in told
    assert f"+ 03-02 12:33:00 {BAD} back to {GOOD}, 180 s after the onset (today: nothing)" in told
    assert "threshold: 30 of 100 requests failed (30.0%, limit 5.0%)" in told
    assert "max_error_rate 0.3 >= 0.05" in told
    assert "rollbacks: today 0, new 1: 1 added, 0 removed, 0 kept" in told
    assert "new: 0 alerted only; judging stopped 1 time, for 0.5 h in all; 0 times no later activation followed" in told
    assert "After a rollback that never took place nobody knows what would have come" in told


@pytest.mark.slow
def test_a_removed_and_a_kept_rollback_are_told(operated: Operated, history: str) -> None:
    strict, loose = policy(operated, "strict.yaml"), policy(operated, max_error_rate=0.5)
    removed = operated.run("backtest", "--policy", loose, "--config", strict, "--history", history)
    assert f"- 03-02 12:33:00 {BAD} back to {GOOD}, 180 s after the onset (new: nothing)" in words(removed.stdout)
    slower = policy(operated, "slower.yaml", breaches_min=4, windows=5)
    kept = operated.run("backtest", "--policy", slower, "--config", strict, "--history", history)
    assert "= 03-02 12:35:00" in words(kept.stdout)
    assert "120 s later than today" in kept.stdout


@pytest.mark.slow
def test_an_alert_is_told_with_its_reason(operated: Operated, history: str) -> None:
    new = policy(operated)
    result = operated.run("backtest", "--policy", new, "--config", new, "--history", history, "--lag", "5m")
    assert f"! 03-02 12:37:00 {BAD}: alerted only, stale_samples: would roll {BAD} back to {GOOD}" in words(
        result.stdout
    )
    assert "counts read 300 s after their end" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("max_error_rate", "status"), [(0.05, 1), (0.5, 0)])
def test_fail_on_new_fails_where_the_new_policy_acts_and_todays_does_not(
    operated: Operated, history: str, max_error_rate: float, status: int
) -> None:
    today, new = policy(operated, "today.yaml", max_error_rate=0.4), policy(operated, max_error_rate=max_error_rate)
    arguments = ("--policy", new, "--config", today, "--history", history)
    assert operated.run("backtest", *arguments, "--fail-on-new").exit_code == status
    assert operated.run("backtest", *arguments).exit_code == 0
    assert operated.run("backtest", "--policy", today, "--config", new, *arguments[4:], "--fail-on-new").exit_code == 0


@pytest.mark.slow
def test_json_tells_the_same_to_machines(operated: Operated, history: str) -> None:
    today, new = policy(operated, "today.yaml", max_error_rate=0.5), policy(operated)
    labels = operated.folder / "labels.json"
    at_ms = int(at(30).timestamp() * 1000)
    label = {"project": "shop", "projectId": "prj_shop", "cause": "deployment", "deploymentId": BAD, "atMs": at_ms}
    later = {**label, "deploymentId": FIX, "atMs": int(at(60).timestamp() * 1000)}
    labels.write_text(json.dumps({"labels": [{**label, "previousId": GOOD}, later]}))
    arguments = ("--policy", new, "--config", today, "--history", history, "--labels", str(labels))
    said = json.loads(operated.run("backtest", *arguments, "--json").stdout)
    assert (said["added"], said["removed"], said["kept"]) == (1, 0, 0)
    [project] = said["projects"]
    [row] = project["added"]
    assert (project["project"], project["name"]) == ("prj_shop", "shop")
    assert (row["suspect"], row["target"], row["seconds_from_onset"]) == (BAD, GOOD, 180.0)
    assert {gate["name"] for gate in row["gates"]} == {"min_requests", "min_errors", "max_error_rate", "breaches_min"}
    assert (project["new"]["unjudged_seconds"], project["today"]["unjudged_seconds"]) == (27 * 60.0, 0.0)
    labelled = said["labels"]["new"]
    assert (labelled["true"], labelled["false"], labelled["wrong_target"]) == (1, 0, 0)
    assert [one["deployment"] for one in labelled["missed"]] == [FIX]
    assert labelled["median_seconds_to_act"] == 180.0
    assert [one["deployment"] for one in said["labels"]["today"]["missed"]] == [BAD, FIX]
    text = words(operated.run("backtest", *arguments).stdout)
    assert "new against the labels: 1 true, 0 wrong target, 0 false, 1 missed, median time to act 180 s" in text
    assert "today against the labels: 0 true, 0 wrong target, 0 false, 2 missed" in text


# From the journal


@pytest.mark.slow
def test_the_journal_of_the_daemon_is_replayed_and_left_as_it_was(operated: Operated) -> None:
    a_breached_journal(operated)
    before = operated.store.read_bytes()
    result = operated.run_configured("backtest", "--policy", policy(operated), *ALWAYS, "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    [row] = said["projects"][0]["added"]
    assert (row["suspect"], row["target"]) == ("dpl_bad", GOOD_BUILD.id)
    assert str(operated.store) in said["history"]
    assert operated.store.read_bytes() == before


@pytest.mark.slow
def test_what_is_recorded_under_names_gives_the_same_difference_as_the_journal(operated: Operated) -> None:
    a_breached_journal(operated)
    recorded = operated.run_configured("record", *ALWAYS, "--names")
    path = operated.folder / "export.jsonl"
    path.write_text(recorded.stdout)
    arguments = ("--policy", policy(operated), "--json")
    from_file = json.loads(operated.run_configured("backtest", *arguments, "--history", str(path)).stdout)
    from_journal = json.loads(operated.run_configured("backtest", *arguments, *ALWAYS).stdout)
    assert from_file.pop("history") != from_journal.pop("history")
    assert from_file == from_journal
    assert "ids and days are real" in recorded.stderr


@pytest.mark.slow
def test_what_is_recorded_by_default_names_nobody_and_can_be_replayed(operated: Operated) -> None:
    a_breached_journal(operated)
    exports = [operated.run_configured("record", *ALWAYS) for _ in range(2)]
    assert "ids are pseudonyms of this export alone, days are shifted" in exports[0].stderr
    for name in ("prj_shop", "dpl_", "sha-", "example.app", "2026"):
        assert name not in exports[0].stdout
    assert exports[0].stdout != exports[1].stdout
    path = operated.folder / "export.jsonl"
    path.write_text(exports[0].stdout)
    result = operated.run_configured("backtest", "--policy", policy(operated), "--history", str(path))
    assert "so that its defaults were taken: 1 project\n" in result.stdout
    assert "1 added, 0 removed" in result.stdout


@pytest.mark.slow
def test_only_projects_that_match_are_recorded(operated: Operated) -> None:
    a_breached_journal(operated)
    kinds = [
        [
            json.loads(line).get("kind")
            for line in operated.run_configured("record", *ALWAYS, *extra).stdout.splitlines()
        ]
        for extra in (("--project", "sho*"), ("--project", "blog"))
    ]
    assert kinds[0][:2] == [None, "project"]
    assert kinds[1] == [None, "end"]


# What is wrong


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from", "yesterday"), "no length of time"),
        (("--from", "0s"), "no length of time"),
        (("--lag", "soon"), "no length of time"),
        (("--history", "x.jsonl", "--pull"), "history comes from one place"),
        (("--history", "none.jsonl"), "cannot read none.jsonl"),
        (("--labels", "none.json"), "cannot read none.json"),
        ((), "there is no store at"),
    ],
)
def test_a_mistake_is_told_and_exits_2(operated: Operated, arguments: tuple[str, ...], told: str) -> None:
    result = operated.run_configured("backtest", "--policy", str(operated.config), *arguments)
    assert result.exit_code == 2
    assert told in words(result.stderr.replace("│", ""))
    assert not operated.store.exists()


def test_a_policy_with_mistakes_is_refused_with_all_of_them(operated: Operated, history: str) -> None:
    new = policy(operated, max_error_rate=7)
    result = operated.run_configured("backtest", "--policy", new, "--history", history)
    assert result.exit_code == 2
    assert "max_error_rate" in result.stderr


def test_a_spoiled_history_is_told_with_its_line(operated: Operated, history: str) -> None:
    lines = Path(history).read_text().splitlines(keepends=True)
    Path(history).write_text("".join([*lines[:4], "{}\n", *lines[4:]]))
    result = operated.run_configured("backtest", "--policy", policy(operated), "--history", history)
    assert result.exit_code == 2
    assert f"lastgood: {history}, line 5: " in result.stderr
    assert result.stdout == ""


@pytest.mark.slow
def test_labels_of_pseudonyms_are_refused(operated: Operated) -> None:
    a_breached_journal(operated)
    path = operated.folder / "export.jsonl"
    path.write_text(operated.run_configured("record", *ALWAYS).stdout)
    labels = operated.folder / "labels.json"
    labels.write_text('{"labels": []}')
    arguments = ("--policy", policy(operated), "--history", str(path), "--labels", str(labels))
    result = operated.run_configured("backtest", *arguments)
    assert result.exit_code == 2
    assert "record it with --names" in result.stderr


@pytest.mark.slow
def test_nothing_to_compare_is_no_silent_success(operated: Operated, history: str) -> None:
    arguments = ("--policy", policy(operated), "--history", history, "--project", "none", "--fail-on-new")
    result = operated.run_configured("backtest", *arguments)
    assert result.exit_code == 2
    assert "no project that matches 'none' has counts" in result.stderr
    a_breached_journal(operated)
    assert operated.run_configured("backtest", "--policy", policy(operated), "--from", "1s").exit_code == 2


def test_recording_without_a_store_says_what_to_do_and_creates_none(operated: Operated) -> None:
    result = operated.run_configured("record")
    assert result.exit_code == 2
    assert "there is no store at" in result.stderr
    assert not operated.store.exists()
