"""After a restart: what was under way is looked at, never blindly repeated."""

import pytest

from daemon.core.command import ListTargets, ObserveProduction, Preflight, RollBack
from daemon.core.event import Resumed, RollbackAccepted, RollbackOutcomeUnknown
from daemon.core.facts import AliasJobType
from daemon.core.guardrail import Posture, Reason
from daemon.core.incident import State
from tests.builders import (
    BAD,
    FIX,
    GOOD,
    Playbook,
    RollsBack,
    a_breached_playbook,
    a_deciding_playbook,
    a_policy,
    a_sent_playbook,
    a_switched_playbook,
    an_accepted_playbook,
    notice,
    page,
)


def test_I_21_a_decision_not_yet_sent_looks_again_before_sending() -> None:
    play = a_deciding_playbook().after(20).happens(Resumed).expect(Preflight())
    play.preflight().expect(RollsBack(GOOD))


def test_I_21_a_decision_past_its_time_to_live_is_made_again() -> None:
    play = a_deciding_playbook().after(600).happens(Resumed).expect(Preflight())
    play.preflight().expect(notice(State.DETECTED)).expect_state(State.DETECTED, Reason.DECISION_EXPIRED)
    assert play.count(RollBack) == 0


def test_I_21_a_request_of_unknown_fate_is_observed_and_not_sent_again_while_it_may_be_at_work() -> None:
    play = a_sent_playbook().after(10).happens(Resumed).expect(ObserveProduction(0.0))
    play.production().expect(ObserveProduction(1.0))
    play.after(49).production().expect(ObserveProduction(1.0))
    play.after(1).production().expect(Preflight()).preflight().expect(RollsBack(GOOD))
    play.happens(RollbackAccepted).after(3).job().serves(GOOD).production().expect(notice(State.VERIFYING))
    assert play.count(RollBack) == 2


def test_I_21_a_request_of_unknown_fate_that_has_grown_old_is_decided_again_never_resent() -> None:
    play = a_sent_playbook().after(181).happens(Resumed).production().expect(notice(State.DETECTED))
    play.expect_state(State.DETECTED, Reason.DECISION_EXPIRED)
    assert play.count(RollBack) == 1


@pytest.mark.parametrize("seconds", [1, 61, 181, 86_400])
def test_I_21_a_target_that_serves_is_confirmation(seconds: int) -> None:
    for prepare in (a_sent_playbook, an_accepted_playbook):
        play = prepare().job().serves(GOOD).after(seconds).happens(Resumed).expect(ObserveProduction(0.0))
        play.production().expect(notice(State.VERIFYING))


def test_I_21_a_third_deployment_means_that_somebody_moved_it() -> None:
    play = a_sent_playbook().after(10).job(FIX, type=AliasJobType.PROMOTE).serves(FIX).happens(Resumed)
    play.production().expect(notice(State.STOOD_DOWN))


def test_I_21_an_accepted_request_is_still_accepted_after_a_restart() -> None:
    play = an_accepted_playbook().after(61).happens(Resumed).production().expect(ObserveProduction(1.0))
    play.after(119).production().expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.JOB_STUCK)


def test_I_21_the_second_request_is_counted_across_restarts() -> None:
    play = a_sent_playbook().happens(Resumed).after(60).production().expect(Preflight()).preflight()
    play.happens(Resumed).after(60).production().expect(page(State.ESCALATED))
    assert play.count(RollBack) == 2


def test_a_wait_that_vercel_asked_for_survives_a_restart() -> None:
    play = a_sent_playbook().happens(RollbackOutcomeUnknown, sentence="timed out").happens(Resumed)
    play.expect(ObserveProduction(0.0))


@pytest.mark.parametrize("posture", [Posture.OBSERVE, Posture.APPROVE])
def test_what_waits_for_a_tick_goes_on_with_the_next_one(posture: Posture) -> None:
    play = a_breached_playbook(a_policy(posture)).targets_listed()
    state = play.incident_state
    play.happens(Resumed).expect().expect_state(state)
    play.minutes(BAD, 0.3).expect_state(state)


def test_a_breach_just_detected_goes_on_with_the_next_tick() -> None:
    a_breached_playbook().happens(Resumed).expect().minutes(BAD, 0.3).expect(ListTargets())


def test_a_verification_interrupted_by_a_restart_is_finished_with_what_was_counted_meanwhile() -> None:
    play = a_switched_playbook().after(3600).happens(Resumed).expect().expect_state(State.VERIFYING)
    play.minutes(GOOD, 0.0, 1).expect(page(State.ESCALATED))
    backlog = a_switched_playbook().happens(Resumed)
    backlog.minutes(GOOD, 0.0, 2).expect(notice(State.RESOLVED))


def test_a_fresh_project_resumes_into_nothing() -> None:
    Playbook().happens(Resumed).expect()
