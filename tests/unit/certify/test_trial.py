"""A trial tells a story to the daemon's own `step`, and writes down what it would have done."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.certify.kinds import BAD, BY_NAME, HEALTHY, OUTAGES, STORIES, draw
from daemon.certify.trace import Trace
from daemon.certify.trial import Outcome, Rollback, run_trial
from daemon.core.policy import Policy
from daemon.detectors.threshold import Threshold
from daemon.guardrails import Cooldown, complete
from tests.unit.certify.scenes import ALWAYS, NEVER, a_policy, a_scene


def a_trace(name: str, number: int = 0, *, lag_polls: int = 0) -> Trace:
    return draw(BY_NAME[name], a_scene(lag_polls=lag_polls), seed=1, number=number)


def test_a_bad_release_is_rolled_back_to_what_served_before() -> None:
    trace = a_trace("jump-30")
    [rollback] = run_trial(trace, a_policy()).rollbacks
    assert (rollback.suspect, rollback.target) == ("dpl_A", "dpl_P")
    # Three bad windows of a minute, read as soon as the third is over.
    assert rollback.poll == trace.live_from + 2


def test_with_a_lag_the_decision_comes_one_lag_later() -> None:
    prompt, late = (run_trial(a_trace("jump-30", lag_polls=lag), a_policy()).rollbacks[0].poll for lag in (0, 3))
    assert late == prompt + 3


def test_the_posture_of_the_policy_does_not_matter() -> None:
    assert run_trial(a_trace("jump-100"), a_policy()).rollbacks


@pytest.mark.parametrize("name", ["jump-100", "steady", "already-running"])
def test_a_policy_that_finds_nothing_never_acts(name: str) -> None:
    assert run_trial(a_trace(name), a_policy(NEVER)).rollbacks == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", [kind.name for kind in (*HEALTHY, *BAD, *OUTAGES)])
def test_a_policy_that_always_finds_a_breach_acts_in_every_story(name: str) -> None:
    [rollback] = run_trial(a_trace(name), a_policy(ALWAYS)).rollbacks
    assert (rollback.suspect, rollback.target) == ("dpl_A", "dpl_P")


@pytest.mark.slow
def test_a_story_that_goes_on_is_told_after_the_rollback() -> None:
    trace = a_trace("bad-fix")
    outcome = run_trial(trace, a_policy())
    assert [(one.suspect, one.target) for one in outcome.rollbacks] == [("dpl_A", "dpl_P"), ("dpl_B", "dpl_P")]
    assert outcome.rollbacks[1].poll >= trace.truth.judged_from


@pytest.mark.slow
def test_a_rollback_that_does_not_help_is_not_followed_by_another() -> None:
    for number in range(4):
        assert len(run_trial(a_trace("rollback-does-not-help", number), a_policy()).rollbacks) == 1


@pytest.mark.slow
def test_within_the_cooldown_a_person_is_asked_instead() -> None:
    policy = replace(a_policy(), guardrails=complete((Cooldown(period=timedelta(hours=3)),)))
    trace = a_trace("bad-fix")
    outcome = run_trial(trace, policy)
    assert [one.suspect for one in outcome.rollbacks] == ["dpl_A"]
    assert outcome.asked_poll is not None
    assert outcome.asked_poll >= trace.truth.judged_from


def test_where_nobody_rolls_back_a_person_does_before_the_fix_comes() -> None:
    assert run_trial(a_trace("good-fix"), a_policy(NEVER)).rollbacks == ()


@pytest.mark.slow
def test_what_stood_against_acting_is_told() -> None:
    assert run_trial(a_trace("jump-3"), a_policy()).stopped_by == "max_error_rate"
    assert run_trial(a_trace("low-traffic-bad"), a_policy()).stopped_by == "min_requests"
    assert run_trial(a_trace("unvisited"), a_policy()).stopped_by == "onset_outside_window"


def test_counts_older_than_the_bound_leave_the_daemon_blind() -> None:
    outcome = run_trial(a_trace("jump-30", lag_polls=8), a_policy())
    assert outcome.rollbacks == ()
    assert outcome.stopped_by == "blind"


def test_a_dry_run_has_no_say() -> None:
    assert run_trial(a_trace("jump-100"), a_policy(Threshold(dry_run=True))).rollbacks == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", [kind.name for kind in (*HEALTHY, *OUTAGES, *STORIES, *BAD)])
@pytest.mark.parametrize("policy", [a_policy(), a_policy(Threshold(window=timedelta(minutes=3), windows=20))])
def test_a_story_that_ends_early_ends_no_differently(name: str, policy: Policy) -> None:
    for number in range(2):
        trace = a_trace(name, number)
        early, full = (run_trial(trace, policy, ends_early=early) for early in (True, False))
        assert early.rollbacks == full.rollbacks


def test_outcomes_are_plain_values() -> None:
    assert Outcome((Rollback(3, "dpl_A", "dpl_P"),)) == Outcome((Rollback(3, "dpl_A", "dpl_P"),))
