"""Who may let the daemon act: posture, approvals, pauses, holds, cooldowns, and how long a decision lives."""

from datetime import timedelta

import pytest

from daemon.core.command import ListTargets, ObserveProduction, Preflight, RollBack
from daemon.core.event import OperatorVerb, ReadFailed, ReadTarget, RollbackAccepted, RollbackOutcomeUnknown
from daemon.core.guardrail import Posture, Reason
from daemon.core.incident import State
from daemon.core.policy import Policy
from daemon.detectors.threshold import Threshold
from tests.builders import (
    BAD,
    FIX,
    GOOD,
    MINUTE,
    OLD,
    Playbook,
    RollsBack,
    a_breached_playbook,
    a_deciding_playbook,
    a_policy,
    a_switched_playbook,
    notice,
    page,
)

OBSERVE, APPROVE = a_policy(Posture.OBSERVE), a_policy(Posture.APPROVE)


def an_awaiting_playbook(policy: Policy = APPROVE) -> Playbook:
    """A person was asked: AWAITING_APPROVAL."""
    play = a_breached_playbook(policy).targets_listed().expect(page(State.AWAITING_APPROVAL))
    return play.expect_state(State.AWAITING_APPROVAL, Reason.POSTURE_APPROVE)


def test_I_28_posture_observe_never_asks_for_a_rollback() -> None:
    play = a_breached_playbook(OBSERVE).targets_listed().expect(page(State.HELD))
    play.expect_state(State.HELD, Reason.POSTURE_OBSERVE)
    for _ in range(60):
        play.minutes(BAD, 1.0).expect(ListTargets()).targets_listed().expect()
    play.operator(OperatorVerb.APPROVE).expect()
    assert play.count(RollBack) == play.count(Preflight) == 0


def test_I_28_posture_observe_tells_what_it_would_have_done_and_how_to_do_it_by_hand() -> None:
    play = a_breached_playbook(OBSERVE).targets_listed()
    assert "would roll dpl_bad back to dpl_good" in play.sentence
    assert play.log[-1].next_step == "by hand: vercel rollback good.example.app"  # type: ignore[union-attr]


def test_I_25_a_posture_that_became_observe_after_the_decision_stops_it() -> None:
    play = a_deciding_playbook()
    play.policy = OBSERVE
    play.preflight().expect(notice(State.DETECTED)).expect_state(State.DETECTED, Reason.POSTURE_OBSERVE)
    assert play.count(RollBack) == 0


def test_an_approved_rollback_is_carried_out() -> None:
    play = an_awaiting_playbook().operator(OperatorVerb.APPROVE).expect(ListTargets())
    play.targets_listed().expect(notice(State.MITIGATING), Preflight())
    play.preflight().expect(RollsBack(GOOD))
    assert play.incident.approved_by == "ann"


def test_waiting_for_an_approval_asks_once() -> None:
    play = an_awaiting_playbook().minutes(BAD, 0.3).expect().minutes(BAD, 0.3).expect()
    assert len(play.pages) == 1


def test_a_rejected_rollback_is_not_carried_out_and_the_breach_opens_nothing_new() -> None:
    play = an_awaiting_playbook().operator(OperatorVerb.REJECT, reason="it is the CDN").expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, Reason.REJECTED)
    assert "rejected by ann: it is the CDN" in play.sentence
    play.minutes(BAD, 0.3, 3).expect()
    assert play.count(RollBack) == 0


@pytest.mark.parametrize(("minutes", "state"), [(29, State.AWAITING_APPROVAL), (30, State.ESCALATED)])
def test_an_approval_that_does_not_come_expires(minutes: int, state: State) -> None:
    an_awaiting_playbook().minutes(BAD, 0.3, minutes).expect_state(state)


def test_an_approval_that_could_not_be_used_expires_too() -> None:
    play = an_awaiting_playbook().operator(OperatorVerb.APPROVE)
    play.happens(ReadFailed, what=ReadTarget.TARGETS, sentence="targets unread")
    play.minutes(BAD, 0.3).expect(ListTargets())
    play.minutes(BAD, 0.3, 29).expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.APPROVAL_EXPIRED)
    assert play.count(RollBack) == 0


def test_an_approval_counts_only_for_the_target_that_was_shown() -> None:
    play = an_awaiting_playbook()
    play.targets = (OLD,)
    play.operator(OperatorVerb.APPROVE).targets_listed().expect(page(State.AWAITING_APPROVAL))
    assert "the target changed: would roll dpl_bad back to dpl_old" in play.pages[-1].sentence
    play.operator(OperatorVerb.APPROVE).targets_listed().expect(notice(State.MITIGATING), Preflight())


def test_an_approval_that_a_guardrail_overrules_must_be_given_again() -> None:
    play = an_awaiting_playbook().operator(OperatorVerb.PAUSE).operator(OperatorVerb.APPROVE)
    play.targets_listed().expect(page(State.HELD)).expect_state(State.HELD, Reason.PAUSED)
    play.operator(OperatorVerb.RESUME).minutes(BAD, 0.3).targets_listed().expect(page(State.AWAITING_APPROVAL))
    assert play.incident.approved_by is None


@pytest.mark.parametrize("verb", [OperatorVerb.APPROVE, OperatorVerb.REJECT])
def test_an_answer_to_nothing_is_said_to_be_one(verb: OperatorVerb) -> None:
    play = a_breached_playbook().operator(verb).expect().expect_state(State.DETECTED)
    assert "nothing awaits an approval" in play.sentence


def test_an_answer_about_another_incident_does_not_count() -> None:
    play = an_awaiting_playbook().operator(OperatorVerb.APPROVE, incident="inc_other").expect()
    assert play.incident.approved_by is None
    play.operator(OperatorVerb.APPROVE, incident=play.incident.id).expect(ListTargets())


def test_a_pause_holds_and_its_end_frees() -> None:
    play = a_breached_playbook().operator(OperatorVerb.PAUSE, reason="launch day", for_seconds=120.0)
    assert play.sentence == "paused by ann: launch day"
    play.targets_listed().expect(page(State.HELD)).expect_state(State.HELD, Reason.PAUSED)
    play.minutes(BAD, 0.3).targets_listed().expect_state(State.HELD)
    play.minutes(BAD, 0.3).targets_listed().expect(notice(State.MITIGATING), Preflight())


def test_a_pause_without_an_end_lasts_until_it_is_lifted() -> None:
    play = a_breached_playbook().operator(OperatorVerb.PAUSE).targets_listed()
    play.minutes(BAD, 0.3, 600).targets_listed().expect_state(State.HELD, Reason.PAUSED)
    play.operator(OperatorVerb.RESUME).targets_listed().expect(notice(State.MITIGATING), Preflight())


def test_I_25_a_pause_between_decision_and_request_stops_it() -> None:
    play = a_deciding_playbook().operator(OperatorVerb.PAUSE).preflight().expect(notice(State.DETECTED))
    play.expect_state(State.DETECTED, Reason.PAUSED)
    assert play.count(RollBack) == 0


@pytest.mark.parametrize(("seconds", "is_sent"), [(180, True), (181, False)])
def test_I_25_a_decision_older_than_its_time_to_live_is_not_carried_out(seconds: int, is_sent: bool) -> None:
    play = a_deciding_playbook(a_policy(decision_ttl=3 * MINUTE)).after(seconds).preflight()
    play.expect(RollsBack(GOOD) if is_sent else notice(State.DETECTED))


def test_I_25_guardrails_of_the_newest_configuration_rule_before_the_request() -> None:
    play = a_deciding_playbook()
    play.policy = APPROVE
    play.preflight().expect(notice(State.DETECTED)).expect_state(State.DETECTED, Reason.POSTURE_APPROVE)


def test_I_25_thresholds_stay_with_the_incident() -> None:
    play = a_deciding_playbook()
    play.policy = a_policy(detectors=(Threshold(max_error_rate=0.5),))
    play.minutes(BAD, 0.9).preflight().happens(RollbackAccepted).job().serves(GOOD).after(1).production()
    play.expect_state(State.VERIFYING)
    assert (play.incident.finding.limit, play.incident.finding.errors) == (0.05, 60)
    assert play.incident.recovery is not None
    assert play.incident.recovery.limit == 0.05


def test_a_second_action_within_the_cooldown_needs_approval() -> None:
    play = a_switched_playbook().minutes(GOOD, 0.0, 2).expect_state(State.RESOLVED)
    play.serves(FIX).production().minutes(FIX, 0.3, 2).targets_listed().expect(page(State.AWAITING_APPROVAL))
    assert play.incident.reason is Reason.COOLDOWN


def test_the_second_request_of_an_incident_is_not_held_by_its_own_cooldown() -> None:
    play = a_deciding_playbook().preflight().happens(RollbackOutcomeUnknown, sentence="timed out")
    play.after(60).production().expect(Preflight()).preflight().expect(RollsBack(GOOD))


@pytest.mark.parametrize("state", [State.DETECTED, State.HELD, State.AWAITING_APPROVAL])
def test_a_breach_that_cleared_by_itself_is_resolved_without_action(state: State) -> None:
    play = {
        State.DETECTED: a_breached_playbook,
        State.HELD: lambda: a_breached_playbook(OBSERVE).targets_listed(),
        State.AWAITING_APPROVAL: an_awaiting_playbook,
    }[state]()
    play.expect_state(state).minutes(BAD, 0.0, 2).expect_state(state)
    play.minutes(BAD, 0.0).expect(notice(State.RESOLVED))
    assert "recovered by itself" in play.sentence
    assert play.count(RollBack) == 0


def test_silence_does_not_clear_a_breach_nor_let_anybody_act_on_it() -> None:
    play = a_breached_playbook()
    for _ in range(3):
        play.after(60).cycle().expect(ListTargets())
    play.after(60).cycle().expect(page(State.HELD)).expect_state(State.HELD, Reason.TARGETS_UNKNOWN)
    for _ in range(30):
        play.after(60).cycle().expect(ListTargets())
    play.targets_listed().expect_state(State.HELD, Reason.STALE_SAMPLES)


def test_an_acknowledged_breach_pages_nobody_again_until_it_was_over() -> None:
    play = an_awaiting_playbook().operator(OperatorVerb.REJECT).minutes(BAD, 0.3).expect()
    assert play.state.decision.reason is Reason.UNACKNOWLEDGED
    play.operator(OperatorVerb.ACKNOWLEDGE, incident="inc_other").expect_state(State.ESCALATED)
    play.operator(OperatorVerb.ACKNOWLEDGE).expect().expect_state(State.CLOSED)
    assert not play.state.unacknowledged
    play.minutes(BAD, 0.3, 5).expect()
    assert play.state.decision.reason is Reason.ACKNOWLEDGED
    play.minutes(BAD, 0.0, 3).expect()
    play.minutes(BAD, 0.3, 2).expect(notice(State.DETECTED), ListTargets())


def test_an_acknowledgement_of_nothing_is_said_to_be_one() -> None:
    assert "nothing waits for it" in a_breached_playbook().operator(OperatorVerb.ACKNOWLEDGE).sentence


def test_an_unacknowledged_incident_of_one_suspect_does_not_hide_another_suspect() -> None:
    play = an_awaiting_playbook().operator(OperatorVerb.REJECT)
    play.serves(FIX).production().minutes(FIX, 0.0, 3).minutes(FIX, 0.3, 2).expect(
        notice(State.DETECTED), ListTargets()
    )
    assert play.incident.suspect == FIX


def test_a_person_may_lift_a_hold() -> None:
    play = a_deciding_playbook().serves(FIX).preflight().expect_state(State.STOOD_DOWN)
    assert play.state.hold is not None
    assert play.operator(OperatorVerb.RESUME).state.hold is None


def test_the_observation_interval_is_the_policys() -> None:
    play = a_deciding_playbook(a_policy(observe_every=timedelta(seconds=7))).preflight()
    play.happens(RollbackOutcomeUnknown, sentence="timed out").expect(ObserveProduction(7.0))


def test_an_approval_that_comes_after_it_expired_leads_to_a_new_decision_that_asks_again() -> None:
    play = an_awaiting_playbook(a_policy(Posture.APPROVE, approval_ttl=5 * MINUTE))
    play.minutes(BAD, 0.3, 6).expect_state(State.ESCALATED, Reason.APPROVAL_EXPIRED)
    play.operator(OperatorVerb.APPROVE).expect().expect_state(State.CLOSED)
    play.minutes(BAD, 0.3).targets_listed().expect(page(State.AWAITING_APPROVAL))
    play.operator(OperatorVerb.APPROVE).targets_listed().expect(notice(State.MITIGATING), Preflight())


def test_I_31_what_a_person_rejected_and_took_is_not_rolled_back_when_their_fix_does_not_help() -> None:
    play = an_awaiting_playbook().operator(OperatorVerb.REJECT).operator(OperatorVerb.ACKNOWLEDGE)
    play.policy = a_policy(Posture.AUTOMATIC)
    play.serves(FIX).production().minutes(FIX, 0.3, 2)
    play.expect_state(State.ESCALATED, Reason.ACKNOWLEDGED)
    assert "a person took the breach of dpl_bad, and dpl_fix does not end it" in play.ending
    play.minutes(FIX, 0.3, 5).operator(OperatorVerb.ACKNOWLEDGE).minutes(FIX, 0.3, 5)
    assert play.state.decision.reason is Reason.ACKNOWLEDGED
    assert len(play.pages) == 3  # the approval, the rejection, the fix that did not help
    assert play.count(RollBack) == 0
