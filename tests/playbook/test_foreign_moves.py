"""Somebody else at work: in every live state a foreign move wins, and what it means for what comes next."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from daemon.core.command import ListTargets, Preflight, RollBack
from daemon.core.facts import ActivationOrigin, AliasJobType
from daemon.core.guardrail import Posture, Reason
from daemon.core.incident import LIVE_STATES, State
from tests.builders import (
    BAD,
    FIX,
    GOOD,
    MINUTE,
    OLD,
    Playbook,
    a_breached_playbook,
    a_deciding_playbook,
    a_policy,
    a_production,
    a_released_playbook,
    a_switched_playbook,
    an_alias_job,
    notice,
    page,
)

LIVE: dict[State, Callable[[], Playbook]] = {
    State.DETECTED: a_breached_playbook,
    State.HELD: lambda: a_breached_playbook(a_policy(Posture.OBSERVE)).targets_listed(),
    State.AWAITING_APPROVAL: lambda: a_breached_playbook(a_policy(Posture.APPROVE)).targets_listed(),
    State.MITIGATING: a_deciding_playbook,
    State.VERIFYING: a_switched_playbook,
}


def test_the_table_of_live_playbooks_is_complete() -> None:
    assert set(LIVE) == LIVE_STATES


@pytest.mark.parametrize("state", sorted(LIVE))
@pytest.mark.parametrize("kind", [AliasJobType.PROMOTE, AliasJobType.ROLLBACK, None])
def test_I_31_any_foreign_move_while_an_incident_is_live_means_standing_down(
    state: State, kind: AliasJobType | None
) -> None:
    play = LIVE[state]().expect_state(state).after(5)
    sends = play.count(RollBack)
    play.serves(OLD)
    if kind:
        play.job(OLD, type=kind)
    play.production().expect(notice(State.STOOD_DOWN)).expect_state(State.STOOD_DOWN, Reason.FOREIGN_MOVE)
    assert play.state.hold is not None
    play.minutes(OLD, 0.0, 5).expect()
    assert play.count(RollBack) == sends


@pytest.mark.parametrize(("minutes", "is_held"), [(29, True), (31, False)])
def test_I_31_after_standing_down_an_action_needs_approval_for_a_while(minutes: int, is_held: bool) -> None:
    play = a_deciding_playbook().serves(FIX).production().expect_state(State.STOOD_DOWN)
    play.minutes(FIX, 0.0, minutes - 2)
    play.policy = a_policy(attribution_window=60 * MINUTE)
    play.minutes(FIX, 0.3, 2).targets_listed()
    play.expect(page(State.AWAITING_APPROVAL)) if is_held else play.expect(notice(State.MITIGATING), Preflight())


def test_I_31_a_foreign_rollback_without_an_incident_is_a_hold() -> None:
    play = a_released_playbook().minutes(BAD, 0.0, 3).job(GOOD).serves(GOOD).production().expect()
    assert play.state.activations[-1].origin is ActivationOrigin.FOREIGN_ROLLBACK
    assert play.state.hold is not None
    assert play.state.hold.sentence == "somebody else rolled production back to dpl_good"


@pytest.mark.parametrize("kind", [AliasJobType.PROMOTE, None])
def test_I_31_a_release_is_a_new_activation_and_no_hold(kind: AliasJobType | None) -> None:
    play = a_released_playbook().minutes(BAD, 0.0, 3).serves(FIX)
    if kind:
        play.job(FIX, type=kind)
    play.production().expect()
    assert play.state.activations[-1].deployment == FIX
    assert play.state.activations[-1].origin is ActivationOrigin.RELEASE
    assert play.state.hold is None


@pytest.mark.parametrize(("age", "is_held"), [(29 * MINUTE, True), (30 * MINUTE, False)])
def test_a_rollback_from_before_we_came_is_remembered_and_holds_only_while_young(age: timedelta, is_held: bool) -> None:
    play = Playbook()
    job = an_alias_job(GOOD, requested_at=play.moment.at - age)
    play.world = a_production(GOOD, alias_job=job)
    play.production()
    assert play.state.activations[-1].origin is ActivationOrigin.FOREIGN_ROLLBACK
    assert [one.deployment for one in play.state.known_bad] == [BAD.id]
    assert (play.state.hold is not None) is is_held


def test_a_foreign_rollback_whose_job_does_not_say_from_where_marks_what_served_before() -> None:
    play = a_released_playbook().job(GOOD, from_deployment=None).serves(GOOD).production()
    assert [(one.deployment, one.commit_sha) for one in play.state.known_bad] == [(BAD.id, "sha-bad")]


def test_a_foreign_rollback_of_which_nothing_is_known_before_marks_nothing() -> None:
    play = Playbook()
    play.world = a_production(GOOD, alias_job=an_alias_job(GOOD, from_deployment=None))
    assert play.production().state.known_bad == ()


def test_I_17_a_restored_deployment_that_breaches_pages_and_is_never_rolled_back() -> None:
    play = a_released_playbook().minutes(BAD, 0.3).job(GOOD).serves(GOOD).production()
    play.policy = a_policy(stand_down_hold=timedelta(0))
    play.minutes(GOOD, 0.3, 2).expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, Reason.RESTORED_DEPLOYMENT)
    assert play.incident.suspect == GOOD
    play.minutes(GOOD, 0.3, 10).expect()
    assert play.count(ListTargets) == play.count(RollBack) == 0


def test_a_read_in_which_nothing_serves_is_not_a_move() -> None:
    play = a_switched_playbook().serves(None).production().expect().expect_state(State.VERIFYING)
    play.serves(GOOD).production().expect().expect_state(State.VERIFYING)
    assert BAD.id in play.state.rolled_back
