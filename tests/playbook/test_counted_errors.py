"""Errors that nobody set against requests: a rule on their number acts on them, and they prove no recovery."""

from daemon.core.command import ListTargets, Preflight
from daemon.core.facts import Deployment
from daemon.core.guardrail import Posture
from daemon.core.incident import State, Trigger
from daemon.detectors.threshold import Threshold
from tests.builders import BAD, GOOD, Playbook, RollsBack, a_policy, a_released_playbook, a_sample, notice, page

COUNTING = Threshold(errors_per_minute_max=30, min_errors=5, breaches_min=2, windows=3)
POLICY = a_policy(detectors=(COUNTING,))


def errors_alone(play: Playbook, deployment: Deployment, errors: int, *, minutes: int) -> Playbook:
    """Let *minutes* pass of which nothing but the number of errors is known."""
    for _ in range(minutes):
        start = play.moment.at
        play.after(60).cycle(a_sample(deployment, start=start, requests=None, errors=errors))
    return play


def test_I_03_one_error_a_minute_fewer_than_the_limit_is_no_breach() -> None:
    errors_alone(a_released_playbook(POLICY), BAD, 29, minutes=5).expect_state(None)
    errors_alone(a_released_playbook(POLICY), BAD, 30, minutes=2).expect_state(State.DETECTED)


def test_counted_errors_roll_back_and_prove_no_recovery() -> None:
    play = errors_alone(a_released_playbook(POLICY), BAD, 80, minutes=2)
    play.expect(notice(State.DETECTED), ListTargets())
    play.targets_listed().expect(notice(State.MITIGATING), Preflight())
    play.preflight().expect(RollsBack(GOOD))
    play.job().after(3).serves(GOOD).production().expect_state(State.VERIFYING)
    errors_alone(play, GOOD, 0, minutes=10).expect(page(State.ESCALATED))
    assert play.incident.trail[-1].trigger is Trigger.UNVERIFIED
    assert "recovery is not proved" in play.ending


def test_requests_that_are_counted_after_the_rollback_do_prove_recovery() -> None:
    play = errors_alone(a_released_playbook(POLICY), BAD, 80, minutes=2)
    play.targets_listed().preflight().job().after(3).serves(GOOD).production()
    play.minutes(GOOD, 0.0, 2, requests=200).expect_state(State.RESOLVED)


def test_a_breach_of_counted_errors_that_is_over_is_left_alone() -> None:
    held = a_policy(Posture.APPROVE, detectors=(COUNTING,))
    play = errors_alone(a_released_playbook(held), BAD, 80, minutes=2).targets_listed()
    play.expect_state(State.AWAITING_APPROVAL)
    # A bad window among the last three is no health yet.
    errors_alone(play, BAD, 0, minutes=2).expect_state(State.AWAITING_APPROVAL)
    errors_alone(play, BAD, 0, minutes=1).expect_state(State.RESOLVED)
    assert play.incident.trail[-1].trigger is Trigger.BREACH_CLEARED


def test_I_01_a_ratio_is_never_breached_by_errors_alone() -> None:
    play = errors_alone(a_released_playbook(), BAD, 1_000_000, minutes=10).expect_state(None)
    assert "the source counts errors alone" in play.sentence


def test_late_counts_complete_a_breach() -> None:
    play = a_released_playbook().minutes(BAD, 0.3, 1)
    second = play.moment.at
    play.minutes(BAD, 0.0, 1).expect_state(None)
    play.after(10).cycle(a_sample(BAD, start=second, requests=60, errors=60, is_late=True)).expect_state(State.DETECTED)
