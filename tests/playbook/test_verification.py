"""After the switch: recovered, not recovered, worse, or unverified, each told exactly once."""

import pytest

from daemon.core.command import ListTargets, RollBack
from daemon.core.event import RollbackAccepted
from daemon.core.facts import AliasJobType
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from tests.builders import (
    BAD,
    FIX,
    GOOD,
    MINUTE,
    a_policy,
    a_released_playbook,
    a_sample,
    a_switched_playbook,
    notice,
    page,
)

POLICY = a_policy(verification_deadline=10 * MINUTE)


@pytest.mark.parametrize(
    ("ratio", "requests", "state", "words"),
    [
        (0.0, 200, State.RESOLVED, "recovered on dpl_good: 0 of 400"),
        (0.2, 200, State.ESCALATED, "not recovered on dpl_good"),
        (0.9, 200, State.ESCALATED, "worse on dpl_good than before"),
    ],
)
def test_I_32_the_targets_own_counts_decide(ratio: float, requests: int, state: State, words: str) -> None:
    play = a_switched_playbook(POLICY).minutes(GOOD, ratio, 1, requests=requests).expect()
    play.minutes(GOOD, ratio, 1, requests=requests).expect_state(state)
    assert words in play.ending
    play.expect(notice(State.RESOLVED) if state is State.RESOLVED else page(State.ESCALATED))


def test_I_32_worse_tells_how_to_undo() -> None:
    play = a_switched_playbook(POLICY).minutes(GOOD, 0.9, 2)
    assert play.pages[-1].next_step == "to undo: vercel promote bad.example.app"


@pytest.mark.parametrize(("ratio", "requests"), [(0.0, 0), (0.0, 5), (0.05, 100)])
def test_I_32_what_cannot_be_told_by_the_deadline_is_unverified_and_pages_once(ratio: float, requests: int) -> None:
    play = a_switched_playbook(POLICY).minutes(GOOD, ratio, 9, requests=requests)
    play.expect_state(State.VERIFYING).minutes(GOOD, ratio, 1, requests=requests)
    play.expect(page(State.ESCALATED)).expect_state(State.ESCALATED)
    assert "recovery is not proved" in play.ending
    play.minutes(GOOD, ratio, 5, requests=requests)
    assert len(play.pages) == 1


def test_I_32_no_traffic_at_all_is_unverified_and_never_recovered() -> None:
    play = a_switched_playbook(POLICY)
    for _ in range(10):
        play.after(60).cycle()
    play.expect(page(State.ESCALATED))


def test_I_32_recovered_needs_enough_traffic_on_the_target_and_two_buckets_that_say_so() -> None:
    # ceil(3 / 0.05) = 60 requests.
    play = a_switched_playbook(POLICY).minutes(GOOD, 0.0, requests=58).expect()
    play.minutes(GOOD, 0.0, requests=1).expect()
    play.minutes(GOOD, 0.0, requests=1).expect()
    play.minutes(GOOD, 0.0, requests=0).expect()
    play.minutes(GOOD, 0.0, requests=1).expect(notice(State.RESOLVED))


def test_I_32_the_suspects_own_counts_prove_nothing_about_the_target() -> None:
    play = a_switched_playbook(POLICY).minutes(BAD, 0.0, 5).expect_state(State.VERIFYING)
    play.minutes(BAD, 1.0, 4).expect_state(State.VERIFYING)


def test_counts_from_before_the_switch_prove_nothing() -> None:
    play = a_switched_playbook(POLICY)
    assert play.incident.recovery is not None
    before = play.incident.recovery.since - MINUTE
    play.after(30).cycle(a_sample(GOOD, start=before, requests=10_000))
    assert play.incident.recovery.requests == 0


def test_a_cycle_in_verification_says_how_far_it_is() -> None:
    play = a_switched_playbook(POLICY).minutes(GOOD, 0.0, requests=50).expect()
    assert play.sentence == "verifying: 0 of 50 requests failed since the switch, 60 needed to tell"


def test_I_17_a_rollback_that_did_not_help_is_not_followed_by_another() -> None:
    play = a_switched_playbook(POLICY).minutes(GOOD, 0.3, 30)
    play.expect_state(State.ESCALATED)
    assert play.count(RollBack) == 1
    assert len(play.pages) == 1
    assert play.state.decision.reason is Reason.UNACKNOWLEDGED


def test_I_17_a_breach_of_the_target_after_recovery_pages() -> None:
    play = a_switched_playbook(POLICY).minutes(GOOD, 0.0, 5).expect_state(State.RESOLVED)
    play.minutes(GOOD, 0.3, 2).expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, Reason.RESTORED_DEPLOYMENT)
    assert play.incident.suspect == GOOD
    assert play.count(RollBack) == 1


def test_I_17_a_breach_of_a_target_that_was_only_unverified_pages_as_well() -> None:
    play = a_switched_playbook(POLICY).minutes(GOOD, 0.0, 10, requests=2).expect_state(State.ESCALATED)
    play.minutes(GOOD, 0.3, 2).expect(page(State.ESCALATED))
    assert len(play.pages) == 2


def test_a_bad_fix_after_an_incident_is_an_incident_of_its_own() -> None:
    play = a_switched_playbook(a_policy(stand_down_hold=0 * MINUTE)).minutes(GOOD, 0.0, 40)
    play.serves(FIX).production().minutes(FIX, 0.3, 2).expect(notice(State.DETECTED), ListTargets())
    play.targets_listed()
    assert play.incident.target == GOOD
    play.preflight()
    assert play.count(RollBack) == 2


def test_the_suspects_newest_counts_are_the_measure_of_worse() -> None:
    play = a_released_playbook().minutes(BAD, 0.1, 2).targets_listed()
    assert (play.incident.finding.errors, play.incident.finding.requests) == (20, 200)
    play.minutes(BAD, 1.0, 1)
    play.preflight().happens(RollbackAccepted).job().serves(GOOD).after(1).production().expect_state(State.VERIFYING)
    assert (play.incident.finding.errors, play.incident.finding.requests) == (220, 400)


def test_a_look_that_still_shows_the_suspect_after_the_switch_is_stale_while_our_job_is_the_newest() -> None:
    play = a_switched_playbook(POLICY).after(5).serves(BAD).production().expect().expect_state(State.VERIFYING)
    assert play.state.serving == GOOD
    play.serves(GOOD).minutes(GOOD, 0.0, 3).expect_state(State.RESOLVED)


def test_I_31_the_suspect_brought_back_by_a_newer_job_is_somebody_at_work() -> None:
    play = a_switched_playbook(POLICY).after(5)
    play.job(BAD, type=AliasJobType.PROMOTE).serves(BAD).production().expect_state(State.STOOD_DOWN)
