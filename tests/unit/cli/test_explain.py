"""`lastgood explain`: why a project is left alone, or not, to people and to machines."""

import json

import pytest

from daemon.core.state import ProjectState
from daemon.detectors.threshold import Threshold
from tests.builders import BAD, PROJECT, a_breached_playbook, a_policy, a_released_playbook
from tests.unit.cli.operating import Operated


@pytest.fixture
def operated(operated: Operated) -> Operated:
    """A daemon whose projects are judged by the threshold, as the playbook's are."""
    written = operated.config.read_text().replace("projects:", "defaults: {detectors: [{kind: threshold}]}\nprojects:")
    operated.config.write_text(written)
    return operated


def words(text: str) -> str:
    return " ".join(text.split())


def an_uneasy_state() -> ProjectState:
    return a_released_playbook(a_policy(detectors=(Threshold(),))).minutes(BAD, 0.0).minutes(BAD, 0.3).state


def test_every_gate_is_told_with_its_value_its_threshold_and_what_is_missing(operated: Operated) -> None:
    operated.save(an_uneasy_state())
    result = operated.run_configured("explain", "--json", "shop")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert (told["project"], told["production"], told["posture"]) == (PROJECT, BAD.id, "observe")
    [detector] = told["detectors"]
    assert (detector["detector"], detector["verdict"], detector["dry_run"]) == ("threshold", "inconclusive", False)
    gates = {one["gate"]: one for one in detector["gates"]}
    assert list(gates) == ["min_requests", "min_errors", "max_error_rate", "breaches_min"]
    assert gates["max_error_rate"]["value"] == 0.3
    assert gates["max_error_rate"]["passed"]
    assert (gates["breaches_min"]["value"], gates["breaches_min"]["threshold"]) == (1, 3)
    assert not gates["breaches_min"]["passed"]
    assert gates["breaches_min"]["margin"] == -2 / 3


def test_people_read_the_same_with_the_first_gate_that_fails(operated: Operated) -> None:
    operated.save(an_uneasy_state())
    told = words(operated.run_configured("explain", PROJECT).stdout)
    for part in ("serves production", "posture observe", "observing: test counts", "threshold: inconclusive"):
        assert part in told
    assert "rule: 3 of the last 5 windows" in told
    assert "first gate that fails: breaches_min" in told


def test_a_breach_has_passed_every_gate(operated: Operated) -> None:
    operated.save(a_breached_playbook().state)
    told = words(operated.run_configured("explain", "shop").stdout)
    assert "threshold: breaching" in told
    assert "every gate has passed" in told


def test_a_project_of_which_nothing_was_counted_says_so(operated: Operated) -> None:
    operated.save(ProjectState(PROJECT))
    told = words(operated.run_configured("explain", "shop").stdout)
    assert "nothing is known to serve production" in told
    assert "not polled to an end yet" in told
    assert "no counts of what serves yet" in told
    [detector] = json.loads(operated.run_configured("explain", "--json", "shop").stdout)["detectors"]
    assert (detector["verdict"], detector["gates"]) == (None, [])


def test_a_project_that_nobody_configured_or_polled_is_told_apart(operated: Operated) -> None:
    unknown = operated.run_configured("explain", "shpo")
    assert unknown.exit_code == 2
    assert "it names: shop, prj_blog" in words(unknown.output)
    assert operated.run_configured("explain", "shop").exit_code == 1
    operated.save(ProjectState(PROJECT))
    unpolled = operated.run_configured("explain", "prj_blog")
    assert unpolled.exit_code == 1
    assert "has not polled prj_blog yet" in unpolled.output
