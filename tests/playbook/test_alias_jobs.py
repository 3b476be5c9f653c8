"""What the alias job says, in each of its conditions, and why production has the last word."""

from datetime import timedelta

import pytest

from daemon.core.command import ListTargets, ObserveProduction, Preflight, RollBack
from daemon.core.event import RollbackOutcomeUnknown
from daemon.core.facts import AliasJobStatus, AliasJobType
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from tests.builders import (
    BAD,
    FIX,
    GOOD,
    MINUTE,
    OLD,
    START,
    RollsBack,
    a_breached_playbook,
    a_deciding_playbook,
    a_policy,
    a_released_playbook,
    a_sent_playbook,
    a_switched_playbook,
    an_accepted_playbook,
    an_alias_job,
    notice,
    page,
)

LONG_AGO = START - timedelta(days=3)


@pytest.mark.parametrize("status", [AliasJobStatus.PENDING, AliasJobStatus.IN_PROGRESS])
def test_I_23_production_on_the_target_is_not_success_while_the_job_runs(status: AliasJobStatus) -> None:
    play = an_accepted_playbook().job(status=status).serves(GOOD)
    play.after(1).production().expect(ObserveProduction(1.0)).expect_state(State.MITIGATING)
    play.after(178).production().expect(ObserveProduction(1.0))
    play.after(1).production().expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.JOB_STUCK)


def test_I_23_a_finished_job_is_not_success_while_production_has_not_moved() -> None:
    play = an_accepted_playbook().job(status=AliasJobStatus.SUCCEEDED)
    play.after(1).production().expect(ObserveProduction(1.0))
    play.after(179).production().expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.JOB_STUCK)


def test_I_23_a_skipped_job_is_not_success() -> None:
    play = an_accepted_playbook().job(status=AliasJobStatus.SKIPPED).after(1).production()
    play.expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.JOB_SKIPPED)


def test_I_23_a_job_skipped_because_production_is_there_already_counts_as_observed() -> None:
    play = an_accepted_playbook().job(status=AliasJobStatus.SKIPPED).serves(GOOD).after(1).production()
    play.expect(notice(State.VERIFYING))


def test_I_23_a_failed_job_pages_with_its_domains() -> None:
    play = an_accepted_playbook().job(status=AliasJobStatus.FAILED, failed_aliases=("www.example.com",))
    play.after(1).production().expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.JOB_FAILED)
    assert play.pages[0].sentence.endswith(": www.example.com")


def test_I_23_a_move_that_left_domains_behind_is_not_success() -> None:
    play = an_accepted_playbook().job(status=AliasJobStatus.FAILED, failed_aliases=("a.example.com", "b.example.com"))
    play.after(1).serves(GOOD).production().expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, Reason.JOB_PARTIAL)
    assert play.pages[0].sentence.endswith(": a.example.com, b.example.com")


def test_a_job_from_before_the_request_says_nothing_of_it() -> None:
    stale = an_alias_job(GOOD, status=AliasJobStatus.FAILED, requested_at=LONG_AGO)
    play = a_breached_playbook()
    play.world = play.world.__class__(BAD, alias_job=stale, auto_assigns_domains=True)
    play.production().targets_listed().preflight().expect(RollsBack(GOOD))
    play.happens(RollbackOutcomeUnknown, sentence="timed out").after(1).production().expect(ObserveProduction(1.0))
    play.after(1).serves(GOOD).production().expect(ObserveProduction(1.0))
    play.after(57).production().expect(ObserveProduction(1.0))
    play.after(1).production().expect(notice(State.VERIFYING))


def test_a_project_without_any_alias_job_is_judged_by_production_alone() -> None:
    play = an_accepted_playbook().serves(GOOD).after(59).production().expect(ObserveProduction(1.0))
    play.after(1).production().expect(notice(State.VERIFYING))


def test_I_19_a_rollback_that_replaced_something_else_pages_with_the_restoring_command() -> None:
    play = an_accepted_playbook().job(from_deployment=FIX.id).serves(GOOD).after(1).production()
    play.expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.JOB_MISAPPLIED)
    assert play.pages[0].next_step == "to restore what was there: vercel promote dpl_fix"
    assert FIX.id not in [one.deployment for one in play.state.known_bad]


def test_a_job_that_does_not_say_where_it_came_from_is_taken_as_ours() -> None:
    an_accepted_playbook().job(from_deployment=None).serves(GOOD).after(1).production().expect(notice(State.VERIFYING))


def test_I_19_a_move_before_the_last_look_means_standing_down_unsent() -> None:
    play = a_deciding_playbook().serves(FIX).preflight().expect(notice(State.STOOD_DOWN))
    play.expect_state(State.STOOD_DOWN, Reason.FOREIGN_MOVE)
    assert play.count(RollBack) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"alias_job": an_alias_job(BAD, type=AliasJobType.PROMOTE)},
        {"auto_assigns_domains": False},
        {"auto_assigns_domains": None},
    ],
)
def test_I_19_whatever_changed_since_the_decision_means_deciding_again(change: dict[str, object]) -> None:
    play = a_deciding_playbook().serves(BAD, **change).preflight().expect(notice(State.DETECTED))
    play.expect_state(State.DETECTED, Reason.CONFLICT)
    play.minutes(BAD, 0.3).expect(ListTargets()).targets_listed().preflight().expect(RollsBack(GOOD))


def test_I_19_a_rolling_release_that_began_since_the_decision_means_holding() -> None:
    play = a_deciding_playbook().serves(BAD, is_rolling_release_active=True).preflight()
    play.expect(notice(State.DETECTED)).expect_state(State.DETECTED, Reason.ROLLING_RELEASE)
    play.minutes(BAD, 0.3).targets_listed().expect(page(State.HELD))
    play.serves(BAD, is_rolling_release_active=False).minutes(BAD, 0.3).targets_listed()
    play.expect(notice(State.MITIGATING), Preflight())


def test_I_19_nothing_serving_at_the_last_look_means_deciding_again_and_then_holding_quietly() -> None:
    play = a_deciding_playbook().serves(None).preflight().expect(notice(State.DETECTED))
    play.minutes(BAD, 0.3).targets_listed().expect(notice(State.HELD)).expect_state(State.HELD)
    assert play.incident.reason is Reason.PRODUCTION_UNKNOWN
    play.minutes(BAD, 0.3).targets_listed().expect()
    assert play.count(RollBack) == 0


def test_I_20_a_young_alias_job_holds_the_rollback_and_its_end_frees_it() -> None:
    play = a_breached_playbook().job(BAD, type=AliasJobType.PROMOTE, status=AliasJobStatus.PENDING).production()
    play.targets_listed().expect(notice(State.HELD)).expect_state(State.HELD, Reason.ALIAS_JOB_RUNNING)
    play.minutes(BAD, 0.3).expect(ListTargets()).targets_listed().expect()
    play.job(BAD, type=AliasJobType.PROMOTE).minutes(BAD, 0.3).targets_listed()
    play.expect(notice(State.MITIGATING), Preflight())


def test_I_20_a_job_that_begins_between_decision_and_request_holds_it() -> None:
    play = a_deciding_playbook().job(BAD, type=AliasJobType.PROMOTE, status=AliasJobStatus.IN_PROGRESS).preflight()
    play.expect(notice(State.DETECTED)).expect_state(State.DETECTED, Reason.ALIAS_JOB_RUNNING)
    assert play.count(RollBack) == 0


def test_I_20_a_job_stuck_for_three_minutes_pages_and_holds_nobody() -> None:
    play = a_breached_playbook().job(BAD, type=AliasJobType.PROMOTE, status=AliasJobStatus.PENDING).production()
    play.minutes(BAD, 0.3, 2).targets_listed().expect(notice(State.HELD))
    play.minutes(BAD, 0.3).targets_listed().expect(page(), notice(State.MITIGATING), Preflight())
    assert "a promote to dpl_bad has been pending" in play.pages[0].sentence
    play.preflight().expect(RollsBack(GOOD))


def test_I_31_a_foreign_promote_after_our_rollback_means_standing_down() -> None:
    play = an_accepted_playbook().job(FIX, type=AliasJobType.PROMOTE).serves(FIX).after(1).production()
    play.expect(notice(State.STOOD_DOWN)).expect_state(State.STOOD_DOWN, Reason.FOREIGN_MOVE)
    assert play.state.hold is not None


def test_I_31_a_foreign_promote_to_our_very_target_is_a_foreign_move() -> None:
    play = an_accepted_playbook().after(5).job(GOOD, type=AliasJobType.PROMOTE).serves(GOOD).production()
    play.expect(notice(State.STOOD_DOWN))


def test_I_31_a_foreign_rollback_elsewhere_while_ours_is_under_way_means_standing_down() -> None:
    play = an_accepted_playbook().after(5).job(OLD).serves(OLD).production().expect(notice(State.STOOD_DOWN))
    assert play.state.rolled_back == ()
    assert [one.by for one in play.state.known_bad] == ["somebody else"]


def test_I_31_somebody_else_rolls_back_while_vercel_makes_us_wait() -> None:
    play = a_deciding_playbook().job().serves(GOOD).preflight().expect(notice(State.STOOD_DOWN))
    assert play.state.rolled_back == ()


def test_a_look_that_was_overtaken_by_a_newer_one_is_ignored() -> None:
    play = an_accepted_playbook()
    late, world = play.moment, play.world
    play.after(1).job().serves(GOOD).production().expect(notice(State.VERIFYING))
    play.event(type(play.events[0])(late, world)).expect()  # type: ignore[call-arg, arg-type]
    play.expect_state(State.VERIFYING)
    assert play.state.serving == GOOD


def test_an_overtaken_look_keeps_an_action_under_way_observed() -> None:
    play = an_accepted_playbook()
    late, world = play.moment, play.world
    play.after(1).production()
    play.event(type(play.events[0])(late, world)).expect(ObserveProduction(5.0))  # type: ignore[call-arg, arg-type]


def test_a_last_look_that_was_overtaken_is_taken_again() -> None:
    play = a_deciding_playbook()
    early = play.moment
    play.after(1).production().seconds -= 1
    assert play.moment == early
    play.preflight().expect(Preflight(5.0))
    play.after(5).preflight().expect(RollsBack(GOOD))


def test_after_the_switch_the_targets_own_counts_are_awaited() -> None:
    play = a_switched_playbook()
    assert play.incident.switched == play.moment
    assert play.incident.recovery is not None
    assert play.incident.recovery.since == play.moment.at


def test_a_preflight_read_that_nobody_waits_for_still_tells_of_production() -> None:
    play = a_released_playbook().serves(FIX).preflight().expect()
    assert play.state.serving == FIX


def test_the_sent_phase_is_observed_by_every_cycle() -> None:
    a_sent_playbook().after(1).production().expect(ObserveProduction(1.0))


def test_a_hold_that_was_expected_to_pass_pages_once_when_it_lasts() -> None:
    play = a_breached_playbook().job(FIX, type=AliasJobType.PROMOTE, status=AliasJobStatus.PENDING).production()
    play.policy = a_policy(alias_job_stale_after=60 * MINUTE)
    play.targets_listed().expect(notice(State.HELD))
    for _ in range(8):
        play.minutes(BAD, 0.3).targets_listed()
    assert len(play.pages) == 1
    assert "still held" in play.pages[0].sentence
