"""`lastgood status`: what it tells, to people and to machines."""

import json
import re

from daemon.core.guardrail import Reason
from daemon.core.state import Decision, Pause, ProjectState
from tests.builders import BAD, PROJECT, a_breached_playbook, a_production
from tests.unit.cli.operating import Operated


def an_escalated_state() -> ProjectState:
    play = a_breached_playbook()
    play.targets = []
    state = play.targets_listed().state
    assert state.unacknowledged
    return state


def test_json_tells_what_the_daemon_knows(operated: Operated) -> None:
    operated.save(a_breached_playbook().state, age_seconds=30)
    result = operated.run_configured("status", "--json")
    assert result.exit_code == 0
    [project] = json.loads(result.stdout)
    age = project.pop("last_poll_age_seconds")
    assert 30 <= age < 60
    assert project["project"] == PROJECT
    assert project["production"] == BAD.id
    assert project["incident"].startswith("inc_")
    assert project["incident_state"] == "detected"
    assert project["unacknowledged"] == []
    assert project["paused_by"] is None
    assert project["reason"] == "none"
    assert project["summary"].startswith("breach of dpl_bad")


def test_the_table_tells_the_same_to_people(operated: Operated) -> None:
    operated.save(a_breached_playbook().state, age_seconds=30)
    result = operated.run_configured("status")
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    for word in ("serves production", PROJECT, "detected", "breach of"):
        assert word in words
    # A busy machine may need some seconds to come to it.
    assert re.search(r"\b[3-5]\d s ago", words)


def test_it_tells_escalated_incidents_and_pauses(operated: Operated) -> None:
    state = an_escalated_state()
    operated.save(ProjectState(PROJECT, unacknowledged=state.unacknowledged, paused=Pause("grace", "", None)))
    [project] = json.loads(operated.run_configured("status", "--json").stdout)
    assert project["unacknowledged"] == [state.unacknowledged[0].id]
    assert project["paused_by"] == "grace"
    table = " ".join(operated.run_configured("status").stdout.split())
    assert "1 escalated" in table


def test_a_project_of_which_nothing_is_known_has_a_row_all_the_same(operated: Operated) -> None:
    operated.save(ProjectState(PROJECT))
    [project] = json.loads(operated.run_configured("status", "--json").stdout)
    assert (project["production"], project["incident"], project["counts_complete_until"]) == (None, None, None)
    assert "nothing known" in " ".join(operated.run_configured("status").stdout.split())


def test_it_only_looks(operated: Operated) -> None:
    operated.save(ProjectState(PROJECT, production=a_production(), decision=Decision(Reason.NONE, "all is well")))
    before = operated.store.read_bytes()
    assert operated.run_configured("status").exit_code == 0
    assert operated.store.read_bytes() == before


def test_without_a_store_it_says_what_to_do_and_creates_none(operated: Operated) -> None:
    result = operated.run_configured("status")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "lastgood run" in result.stderr
    assert not operated.store.exists()


def test_a_store_in_which_nothing_was_polled_says_so(operated: Operated) -> None:
    assert operated.asked() == []  # opening creates it
    assert "no project was polled yet" in operated.run_configured("status").stdout
    assert json.loads(operated.run_configured("status", "--json").stdout) == []
