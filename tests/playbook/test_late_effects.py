"""Requests that leave no trace, are sent again at most once, and sometimes take effect after all."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from daemon.core.action import Phase
from daemon.core.command import ListTargets, ObserveProduction, Preflight, RollBack
from daemon.core.event import OperatorVerb, RollbackOutcomeUnknown, RollbackRateLimited, RollbackRefused, RollbackUnsent
from daemon.core.facts import Activation, ActivationOrigin, AliasJobStatus, AliasJobType
from daemon.core.guardrail import Posture, Reason
from daemon.core.incident import State
from tests.builders import (
    BAD,
    FIX,
    GOOD,
    MINUTE,
    OLD,
    Playbook,
    RollsBack,
    a_policy,
    a_sent_playbook,
    an_accepted_playbook,
    notice,
    page,
)


def a_traceless_playbook() -> Playbook:
    """The request timed out, the action deadline passed, nothing happened: the second one is being prepared."""
    play = a_sent_playbook().happens(RollbackOutcomeUnknown, sentence="timed out")
    play.after(59).production().expect(ObserveProduction(1.0))
    return play.after(1).production().expect(Preflight())


def an_expired_playbook() -> Playbook:
    """The request left no trace and its decision grew old: DETECTED again, the request of unknown fate."""
    play = a_sent_playbook(a_policy(decision_ttl=MINUTE / 2)).happens(RollbackOutcomeUnknown, sentence="timed out")
    play.after(60).production().expect(notice(State.DETECTED))
    return play.expect_state(State.DETECTED, Reason.DECISION_EXPIRED)


def a_given_up_playbook() -> Playbook:
    """Both requests left no trace: ESCALATED."""
    play = a_traceless_playbook().preflight().expect(RollsBack(GOOD))
    play.happens(RollbackOutcomeUnknown, sentence="timed out").after(60).production().expect(page(State.ESCALATED))
    return play.expect_state(State.ESCALATED, Reason.OUTCOME_UNKNOWN)


def test_I_16_a_request_without_a_trace_is_sent_once_more_and_never_again() -> None:
    play = a_given_up_playbook()
    play.minutes(BAD, 0.3, 5).expect()
    assert play.count(RollBack) == 2
    assert len(play.pages) == 1


def test_I_16_a_third_request_is_denied_even_after_an_acknowledgement() -> None:
    play = a_given_up_playbook()
    play.operator(OperatorVerb.ACKNOWLEDGE).expect_state(State.CLOSED)
    play.minutes(BAD, 0.0, 3).minutes(BAD, 0.3, 2).expect(notice(State.DETECTED), ListTargets())
    play.targets_listed().expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.SENT_TWICE)
    assert play.count(RollBack) == 2


def test_I_16_a_suspect_that_was_rolled_back_and_brought_back_is_never_rolled_back_again() -> None:
    play = an_accepted_playbook().job().serves(GOOD).after(1).production().minutes(GOOD, 0.0, 2)
    play.expect_state(State.RESOLVED).after(3600)
    play.job(BAD, type=AliasJobType.PROMOTE).serves(BAD).production().minutes(BAD, 0.3, 2)
    play.targets_listed().expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.ALREADY_ROLLED_BACK)
    assert play.count(RollBack) == 1


def test_a_late_effect_while_the_second_request_is_prepared_needs_no_second_request() -> None:
    play = a_traceless_playbook().job().serves(GOOD).preflight().expect(notice(State.VERIFYING))
    assert play.count(RollBack) == 1
    assert play.state.activations[-1].origin is ActivationOrigin.OUR_ROLLBACK


def test_our_own_job_seen_at_the_last_look_is_followed_instead_of_sending_again() -> None:
    play = a_traceless_playbook().job(status=AliasJobStatus.PENDING).preflight().expect(ObserveProduction(1.0))
    assert play.incident.mitigation is not None
    assert play.incident.mitigation.phase is Phase.UNKNOWN
    play.job().serves(GOOD).after(1).production().expect(notice(State.VERIFYING))
    assert play.count(RollBack) == 1


def test_I_32_a_late_effect_after_the_decision_was_made_again_enters_verification() -> None:
    play = an_expired_playbook().job().serves(GOOD).production()
    play.expect(notice(State.MITIGATING), notice(State.VERIFYING))


def test_I_32_a_late_effect_while_held_enters_verification() -> None:
    play = an_expired_playbook()
    play.policy = a_policy(Posture.OBSERVE)
    play.minutes(BAD, 0.3).targets_listed().expect(page(State.HELD))
    play.job(status=AliasJobStatus.IN_PROGRESS).production().expect(notice(State.MITIGATING), ObserveProduction(1.0))
    play.job().serves(GOOD).after(1).production().expect(notice(State.VERIFYING))


def test_I_32_a_late_effect_while_a_new_decision_is_being_carried_out_enters_verification() -> None:
    play = an_expired_playbook().minutes(BAD, 0.3).targets_listed().expect(notice(State.MITIGATING), Preflight())
    play.job().serves(GOOD).preflight().expect(notice(State.VERIFYING))
    assert play.count(RollBack) == 1


def test_a_request_of_an_earlier_decision_to_another_target_is_not_confused_with_the_new_one() -> None:
    play = an_expired_playbook()
    play.targets = (OLD,)
    play.minutes(BAD, 0.3).targets_listed().expect_state(State.AWAITING_APPROVAL, Reason.TARGET_NOT_ON_RECORD)
    play.operator(OperatorVerb.APPROVE).targets_listed().preflight().expect(RollsBack(OLD))
    assert play.incident.mitigation is not None
    assert play.incident.mitigation.action.key.endswith("/2")


def test_a_second_request_that_never_left_leaves_the_first_of_unknown_fate() -> None:
    play = a_traceless_playbook().preflight().expect(RollsBack(GOOD)).happens(RollbackUnsent, sentence="no connection")
    assert play.state.sends == {BAD.id: 1}
    play.job().serves(GOOD).after(5).preflight().expect(notice(State.VERIFYING))


def test_I_31_after_a_rate_limit_a_rollback_to_our_target_is_somebody_elses() -> None:
    play = a_sent_playbook().happens(RollbackRateLimited, retry_after_seconds=30.0)
    play.after(10).job().serves(GOOD).production().expect(notice(State.STOOD_DOWN))
    assert play.state.activations[-1].origin is ActivationOrigin.FOREIGN_ROLLBACK


def test_I_31_after_a_refusal_a_rollback_to_our_target_is_somebody_elses() -> None:
    play = a_sent_playbook().happens(RollbackRefused, status=403, sentence="no")
    play.after(60).job().serves(GOOD).production().expect()
    assert play.state.activations[-1].origin is ActivationOrigin.FOREIGN_ROLLBACK
    assert play.state.hold is not None


def test_I_19_a_request_given_up_that_takes_effect_later_pages() -> None:
    play = a_given_up_playbook().after(30).job().serves(GOOD).production().expect(page())
    assert play.pages[-1].title == "prj_shop: late rollback"
    assert play.state.rolled_back == (BAD.id,)
    assert play.state.hold is None


def test_I_19_a_request_that_takes_effect_over_somebodys_release_pages_with_the_restoring_command() -> None:
    play = an_accepted_playbook().job(FIX, type=AliasJobType.PROMOTE).serves(FIX).after(1).production()
    play.expect(notice(State.STOOD_DOWN))
    play.after(2).job(GOOD, from_deployment=FIX.id).serves(GOOD).production().expect(page())
    assert play.pages[-1].next_step == "to restore what was there: vercel promote dpl_fix"
    assert FIX.id not in [one.deployment for one in play.state.known_bad]
    assert play.state.hold is not None


def test_I_19_a_late_effect_during_another_incident_pages_and_stands_down() -> None:
    play = a_given_up_playbook().serves(FIX).production().minutes(FIX, 0.0).minutes(FIX, 0.3, 2)
    play.expect(notice(State.DETECTED), ListTargets())
    play.job(GOOD, from_deployment=FIX.id).serves(GOOD).production().expect(page(), notice(State.STOOD_DOWN))


def test_two_requests_that_both_take_effect_late_are_one_rollback_of_one_suspect() -> None:
    play = a_given_up_playbook().after(30).job().serves(GOOD).production().expect(page())
    play.after(30).job(BAD, type=AliasJobType.PROMOTE).serves(BAD).production().expect()
    play.after(30).job().serves(GOOD).production().expect(page())
    assert play.state.rolled_back == (BAD.id,)
    assert [one.deployment for one in play.state.known_bad] == [BAD.id]


def test_a_suspect_whose_activation_is_forgotten_is_known_bad_all_the_same() -> None:
    play = an_accepted_playbook()
    forgotten = Activation(OLD, None, ActivationOrigin.RELEASE)
    play.state = replace(play.state, activations=(forgotten,))
    play.job().serves(GOOD).after(1).production().expect(notice(State.VERIFYING))
    assert [one.deployment for one in play.state.known_bad] == [BAD.id]


@pytest.mark.parametrize(
    ("seconds", "origin"), [(600, ActivationOrigin.OUR_ROLLBACK), (601, ActivationOrigin.FOREIGN_ROLLBACK)]
)
def test_what_moves_production_long_after_the_request_is_not_ours(seconds: int, origin: ActivationOrigin) -> None:
    play = a_given_up_playbook()
    play.after(seconds - 60).job().serves(GOOD).production()
    assert play.state.activations[-1].origin is origin


@pytest.mark.parametrize("prepare", [a_given_up_playbook, an_expired_playbook])
def test_a_later_rollback_of_another_suspect_to_the_same_target_is_not_ours(prepare: Callable[[], Playbook]) -> None:
    play = prepare().serves(FIX).production().after(3600)
    play.job(GOOD, from_deployment=FIX.id).serves(GOOD).production()
    assert play.state.activations[-1].origin is ActivationOrigin.FOREIGN_ROLLBACK
    assert FIX.id in [one.deployment for one in play.state.known_bad]


def test_I_31_a_rollback_to_the_target_of_an_escalated_verification_is_somebody_elses() -> None:
    play = an_accepted_playbook().job().serves(GOOD).after(1).production().minutes(GOOD, 0.3, 3)
    play.expect_state(State.ESCALATED)
    play.job(FIX, type=AliasJobType.PROMOTE).serves(FIX).after(10).production()
    play.after(10).job(GOOD, from_deployment=FIX.id).serves(GOOD).production().expect()
    assert play.state.activations[-1].origin is ActivationOrigin.FOREIGN_ROLLBACK
    assert FIX.id in [one.deployment for one in play.state.known_bad]
