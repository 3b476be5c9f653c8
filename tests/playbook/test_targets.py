"""Where to go back to: never a guess, never known bad, and a page when there is nowhere."""

from itertools import permutations

import pytest

from daemon.core.command import RollBack
from daemon.core.facts import AliasJobType, Deployment, ReadyState, ReadySubstate
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from tests.builders import (
    BAD,
    FIX,
    GOOD,
    OLD,
    Playbook,
    a_breached_playbook,
    a_deployment,
    a_released_playbook,
    page,
)


@pytest.mark.parametrize("order", list(permutations([BAD, GOOD, OLD])))
def test_I_11_the_platforms_order_means_nothing(order: tuple[Deployment, ...]) -> None:
    play = a_breached_playbook(targets=order).targets_listed().preflight()
    assert play.incident.target == GOOD


@pytest.mark.parametrize(
    "facts",
    [
        {"ready_state": ReadyState.ERROR},
        {"ready_substate": ReadySubstate.STAGED},
        {"ready_substate": None},
        {"is_rollback_candidate": False},
        {"is_production": False},
        {"project": "prj_other"},
    ],
)
def test_I_11_what_cannot_serve_is_no_target_though_it_served_before(facts: dict[str, object]) -> None:
    play = a_breached_playbook(targets=(BAD, a_deployment("good", **facts), OLD)).targets_listed()
    assert play.incident.target == OLD


def test_I_11_the_target_differs_from_what_serves() -> None:
    play = a_breached_playbook(targets=(BAD,)).targets_listed().expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, Reason.NO_TARGET)


def test_I_12_a_deployment_that_a_person_rolled_back_from_is_no_target() -> None:
    play = Playbook().minutes(GOOD, 0.0, 3).serves(BAD).production().minutes(BAD, 0.0, 3)
    play.job(GOOD).serves(GOOD).production().after(3600)
    play.job(FIX, type=AliasJobType.PROMOTE, from_deployment=GOOD.id).serves(FIX).production().minutes(FIX, 0.3, 2)
    play.targets = (FIX, BAD, OLD)
    play.targets_listed()
    assert play.incident.target == OLD


def test_I_12_a_redeploy_of_the_suspects_commit_is_no_target() -> None:
    twin = a_deployment("twin", commit_sha="sha-bad", created_at=OLD.created_at)
    play = a_breached_playbook(targets=(BAD, twin)).targets_listed().expect(page(State.ESCALATED))
    assert "has the suspect's commit" in play.ending


def test_I_12_the_suspects_commit_is_a_way_back_where_that_deployment_served_cleanly() -> None:
    environment_change = a_deployment("bad", commit_sha="sha-good")
    play = Playbook().minutes(GOOD, 0.0, 3).serves(environment_change).production().minutes(BAD, 0.3, 2)
    play.targets_listed()
    assert (play.incident.suspect, play.incident.target) == (environment_change, GOOD)


def test_I_15_without_an_eligible_target_a_person_is_paged_and_nothing_is_guessed() -> None:
    play = a_breached_playbook(targets=()).targets_listed().expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, Reason.NO_TARGET)
    assert "Vercel offers no deployment to roll back to" in play.ending
    assert play.count(RollBack) == 0


def test_I_15_the_first_deployment_ever_has_no_way_back() -> None:
    play = Playbook(targets=(BAD,))
    play.serves(a_deployment("bad", alias_assigned_at=play.moment.at)).minutes(BAD, 0.3, 2).targets_listed()
    play.expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.NO_TARGET)


def test_a_newer_build_that_never_served_is_no_target() -> None:
    staged = a_deployment("staged", ready_substate=ReadySubstate.STAGED)
    newer = a_deployment("newer")
    play = a_released_playbook(targets=(newer, staged, BAD)).minutes(BAD, 0.3, 2).targets_listed()
    play.expect(page(State.ESCALATED))
    assert "dpl_newer is newer than the suspect" in play.ending
