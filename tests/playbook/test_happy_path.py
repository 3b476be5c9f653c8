"""An incident from breach to recovery, and what is said at each step."""

from daemon.core.action import Phase
from daemon.core.command import ListTargets, ObserveProduction, Preflight, RollBack
from daemon.core.event import ReadFailed, ReadTarget, RollbackAccepted
from daemon.core.facts import ActivationOrigin, AliasJobStatus
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from tests.builders import (
    BAD,
    GOOD,
    Playbook,
    RollsBack,
    a_breached_playbook,
    a_production,
    a_released_playbook,
    a_sent_playbook,
    a_switched_playbook,
    notice,
)


def test_a_breach_is_rolled_back_and_the_recovery_proved() -> None:
    play = a_released_playbook()
    play.minutes(BAD, 0.3).expect()
    play.minutes(BAD, 0.3).expect(notice(State.DETECTED), ListTargets())
    play.targets_listed().expect(notice(State.MITIGATING), Preflight())
    play.preflight().expect(RollsBack(GOOD))
    play.happens(RollbackAccepted).expect(ObserveProduction(1.0))
    play.job(status=AliasJobStatus.PENDING).after(1).production().expect(ObserveProduction(1.0))
    play.job(status=AliasJobStatus.IN_PROGRESS).after(1).serves(GOOD).production().expect(ObserveProduction(1.0))
    play.job().after(1).production().expect(notice(State.VERIFYING))
    play.minutes(GOOD, 0.0).expect()
    play.minutes(GOOD, 0.0).expect(notice(State.RESOLVED)).expect_state(State.RESOLVED, Reason.NONE)
    assert not play.pages
    assert play.state.incident is None
    assert play.state.rolled_back == (BAD.id,)
    assert [one.deployment for one in play.state.known_bad] == [BAD.id]
    assert play.state.activations[-1].origin is ActivationOrigin.OUR_ROLLBACK


def test_a_healthy_release_is_left_alone() -> None:
    play = a_released_playbook().minutes(BAD, 0.0, 30)
    play.expect_state(None)
    assert not [one for one in play.log if not isinstance(one, ObserveProduction)]


def test_the_request_says_why_and_names_suspect_expected_and_target() -> None:
    play = a_sent_playbook()
    (request,) = [one for one in play.log if isinstance(one, RollBack)]
    assert (request.action.suspect, request.action.expected, request.action.target) == (BAD.id, BAD.id, GOOD.id)
    assert request.action.key == f"{play.incident.id}/1"
    assert "60 of 200 requests failed (30.0%, limit 5.0%)" in request.description
    assert play.incident.mitigation is not None
    assert play.incident.mitigation.phase is Phase.SENT


def test_resolving_tells_that_new_builds_stay_staged() -> None:
    play = a_switched_playbook().minutes(GOOD, 0.0, 2)
    assert "vercel promote" in play.log[-1].next_step  # type: ignore[union-attr]


def test_every_cycle_says_something() -> None:
    play = Playbook()
    play.world = a_production(None)
    assert "nothing serves production" in play.cycle().sentence
    play.serves(GOOD)
    assert "no counts of dpl_good" in play.cycle().sentence
    assert "0 of 200 requests failed" in play.minutes(GOOD, 0.0).sentence


def test_counts_that_cannot_be_read_are_said_and_forgotten_when_they_can() -> None:
    play = Playbook().minutes(GOOD, 0.0)
    play.happens(ReadFailed, what=ReadTarget.SAMPLES, sentence="no counts: 429")
    assert play.state.trouble == "no counts: 429"
    play.minutes(GOOD, 0.0)
    assert play.state.trouble == ""


def test_targets_that_cannot_be_read_are_asked_for_again_at_the_next_tick() -> None:
    play = a_breached_playbook()
    play.happens(ReadFailed, what=ReadTarget.TARGETS, sentence="targets unread").expect()
    play.expect_state(State.DETECTED)
    assert play.state.decision.reason is Reason.TARGETS_UNKNOWN
    play.minutes(BAD, 0.3).expect(ListTargets())


def test_targets_that_come_when_nobody_waits_for_them_change_nothing() -> None:
    play = a_released_playbook().targets_listed().expect()
    play.expect_state(None)
    a_sent_playbook().targets_listed().expect()
