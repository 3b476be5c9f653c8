"""What webhooks tell: a foreign rollback stops us before production has moved, our own does not, a promotion dates."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.core.command import RollBack
from daemon.core.event import MoveTold
from daemon.core.facts import AliasJobType, Deployment
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from daemon.core.state import TOLD_PROMOTIONS_MAX
from tests.builders import (
    BAD,
    GOOD,
    OLD,
    Playbook,
    a_breached_playbook,
    a_deciding_playbook,
    a_deployment,
    a_released_playbook,
    a_sent_playbook,
)


def told(play: Playbook, kind: AliasJobType, target: Deployment, **facts: Any) -> Playbook:
    """Tell what a webhook said a moment ago."""
    defaults: dict[str, Any] = {"from_deployment": BAD.id, "at": play.moment.at}
    return play.happens(MoveTold, type=kind, to_deployment=target.id, **(defaults | facts))


def test_I_31_a_foreign_rollback_that_is_only_heard_of_makes_an_automatic_action_wait_for_a_person() -> None:
    play = a_breached_playbook()
    told(play, AliasJobType.ROLLBACK, OLD)
    play.targets_listed()
    play.expect_state(State.AWAITING_APPROVAL, Reason.STOOD_DOWN)
    assert OLD.id in play.ending


def test_I_31_a_foreign_rollback_heard_of_between_decision_and_request_stops_the_request() -> None:
    play = a_deciding_playbook()
    told(play, AliasJobType.ROLLBACK, OLD)
    play.preflight()
    assert play.count(RollBack) == 0
    play.expect_state(State.DETECTED, Reason.STOOD_DOWN)


def test_our_own_rollback_is_recognised_although_its_webhook_overtakes_its_answer() -> None:
    play = a_sent_playbook()
    told(play, AliasJobType.ROLLBACK, GOOD)
    assert play.state.hold is None


def test_a_rollback_to_our_target_long_after_our_request_is_somebody_elses() -> None:
    play = a_sent_playbook()
    play.after(601)
    told(play, AliasJobType.ROLLBACK, GOOD)
    assert play.state.hold is not None


@pytest.mark.parametrize(("seconds_late", "is_held"), [(0, True), (1799, True), (1800, False), (86_400, False)])
def test_a_rollback_that_is_told_when_its_hold_would_be_over_holds_nothing(seconds_late: int, is_held: bool) -> None:
    play = a_breached_playbook()
    told(play, AliasJobType.ROLLBACK, OLD, at=play.moment.at - timedelta(seconds=seconds_late))
    assert (play.state.hold is not None) is is_held


@pytest.mark.parametrize(("seconds_ago", "is_believed"), [(50, True), (7200, False)])
def test_a_promotion_that_was_told_dates_the_activation_where_that_is_plausible(
    seconds_ago: int, is_believed: bool
) -> None:
    play = Playbook().minutes(GOOD, 0.0, 3)
    at = play.moment.at - timedelta(seconds=seconds_ago)
    told(play, AliasJobType.PROMOTE, BAD, from_deployment=None, at=at)
    assert play.state.hold is None, "a promotion is no reason to stand back"
    play.serves(BAD).production()
    assert (play.state.activations[-1].at == at) is is_believed


def test_only_so_many_told_promotions_are_remembered_the_newest_ones() -> None:
    play = a_released_playbook()
    for number in range(TOLD_PROMOTIONS_MAX + 3):
        told(play, AliasJobType.PROMOTE, a_deployment(f"n{number}"))
    assert len(play.state.told_promotions) == TOLD_PROMOTIONS_MAX
    assert a_deployment(f"n{TOLD_PROMOTIONS_MAX + 2}").id in play.state.told_promotions
