"""What a policy would have done: rollbacks where and when hand calculation puts them, and silence after them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.backtest.history import ProjectHistory, Span, in_order
from daemon.backtest.replay import Outcome, Replayed, Row, replay
from daemon.core.facts import ActivationOrigin, DeploymentId
from daemon.core.guardrail import Posture, Reason
from daemon.core.policy import Policy
from daemon.detectors.threshold import Threshold
from daemon.guardrails.cooldown import Cooldown
from tests.builders import MINUTE, a_policy, guardrails_without
from tests.unit.backtest.histories import (
    BAD,
    FIX,
    GOOD,
    LAG,
    OLD,
    POLICY,
    SERVED_BEFORE,
    START,
    a_bad_release,
    a_history,
    an_activation,
    at,
    counts,
)


def rows(replayed: Replayed, outcome: Outcome) -> list[Row]:
    return [row for row in replayed.rows if row.outcome is outcome]


def the_rollback(history: ProjectHistory, policy: Policy = POLICY) -> Row:
    [row] = replay(history, policy).rows
    assert row.outcome is Outcome.ROLLBACK
    return row


def test_a_bad_release_is_rolled_back_once_the_second_bad_minute_was_read() -> None:
    row = the_rollback(a_bad_release())
    # Bad minutes end at 31 and 32, and are read a minute later.
    assert (row.at, row.onset_at, row.seconds_from_onset) == (at(33), at(30), 180.0)
    assert (row.suspect, row.target, row.reason, row.detector) == (BAD, GOOD, Reason.NONE, "threshold")
    assert row.sentence.startswith("30 of 100 requests failed")
    assert {gate.name: (gate.value, gate.passed) for gate in row.gates}["breaches_min"] == (2, True)


@pytest.mark.parametrize("posture", list(Posture))
def test_the_posture_of_the_policy_does_not_matter(posture: Posture) -> None:
    assert the_rollback(a_bad_release(), a_policy(posture)).at == at(33)


@pytest.mark.parametrize(("errors", "acts"), [(4, False), (5, True), (6, True)])
def test_the_threshold_decides_at_its_bound(errors: int, acts: bool) -> None:
    assert bool(replay(a_bad_release(errors), POLICY).rows) is acts


def test_a_longer_lag_acts_later_by_as_much() -> None:
    [row] = replay(a_bad_release(), POLICY, lag=LAG + 30 * timedelta(seconds=1)).rows
    assert row.at == at(33.5)
    assert the_rollback(a_bad_release(lag=timedelta(0))).at == at(32)


def test_counts_older_than_the_guardrail_allows_only_alert() -> None:
    [row] = replay(a_bad_release(lag=timedelta(minutes=4, seconds=1)), POLICY).rows
    assert (row.outcome, row.reason, row.target) == (Outcome.ALERT, Reason.STALE_SAMPLES, GOOD)
    assert "241 s old" in row.why


def test_nothing_is_said_of_the_time_between_a_rollback_and_the_next_activation() -> None:
    replayed = replay(a_bad_release(), POLICY)
    assert (replayed.unjudged, replayed.unresumed) == (27 * MINUTE, 0)
    # One a minute: from the first to the rollback at 33, and after the activation at 60 to the last counts at 121.
    assert replayed.polls == 33 + 61


def test_a_rollback_that_no_activation_follows_is_the_last_word() -> None:
    replayed = replay(a_bad_release(fixed=False), POLICY)
    assert (replayed.unjudged, replayed.unresumed, len(replayed.rows)) == (87 * MINUTE, 1, 1)


def test_judging_goes_on_with_the_next_activation_and_never_goes_back_to_the_suspect() -> None:
    worse = DeploymentId("dpl_worse")
    activations = [SERVED_BEFORE, an_activation(BAD, 10), an_activation(worse, 70)]
    samples = counts(GOOD, range(10)) + counts(BAD, range(10, 70), 30) + counts(worse, range(70, 120), 50)
    first, second = replay(a_history(samples, activations), POLICY).rows
    assert (first.suspect, first.target, first.at) == (BAD, GOOD, at(13))
    assert (second.suspect, second.target, second.at) == (worse, GOOD, at(73))


@pytest.mark.parametrize(
    ("minutes_after", "outcome", "reason"), [(29, Outcome.ALERT, Reason.COOLDOWN), (31, Outcome.ROLLBACK, Reason.NONE)]
)
def test_a_hypothetical_rollback_begins_the_cooldown(minutes_after: int, outcome: Outcome, reason: Reason) -> None:
    worse, went_live = DeploymentId("dpl_worse"), 13 + minutes_after - 3
    activations = [SERVED_BEFORE, an_activation(BAD, 10), an_activation(worse, went_live)]
    samples = counts(GOOD, range(10)) + counts(BAD, range(10, went_live), 30) + counts(worse, range(went_live, 60), 50)
    second = replay(a_history(samples, activations, until=at(60)), POLICY).rows[1]
    assert (second.suspect, second.outcome, second.reason) == (worse, outcome, reason)
    without = replace(POLICY, guardrails=guardrails_without(Cooldown))
    assert replay(a_history(samples, activations, until=at(60)), without).rows[1].outcome is Outcome.ROLLBACK


@pytest.mark.parametrize("back_to", [GOOD, OLD])
def test_the_rollback_that_history_had_later_is_no_reason_to_stand_down(back_to: DeploymentId) -> None:
    former = [an_activation(OLD, -5000), an_activation(GOOD, -300)]
    made = next(one.created_at for one in former if one.deployment == back_to)
    back = an_activation(back_to, 40, ActivationOrigin.FOREIGN_ROLLBACK, created_at=made)
    worse = an_activation(DeploymentId("dpl_worse"), 60)
    samples = counts(GOOD, range(30)) + counts(BAD, range(30, 40), 30) + counts(back_to, range(40, 60))
    samples += counts(worse.deployment, range(60, 120), 50)
    activations = [*former, an_activation(BAD, 30), back, worse]
    first, second = replay(a_history(samples, activations), replace(POLICY, stand_down_hold=2 * 60 * MINUTE)).rows
    assert [one.suspect for one in (first, second)] == [BAD, worse.deployment]
    assert (second.outcome, second.target) == (Outcome.ROLLBACK, back_to)


def test_what_history_went_back_from_is_the_suspect_and_not_the_target_that_never_was() -> None:
    former = [an_activation(OLD, -5000), an_activation(GOOD, -300)]
    back = an_activation(OLD, 40, ActivationOrigin.FOREIGN_ROLLBACK, created_at=former[0].created_at)
    again = an_activation(GOOD, 50, created_at=former[1].created_at)
    worse = an_activation(DeploymentId("dpl_worse"), 70)
    samples = counts(GOOD, [*range(30), *range(50, 70)]) + counts(BAD, range(30, 40), 30) + counts(OLD, range(40, 50))
    samples += counts(worse.deployment, range(70, 120), 50)
    _, second = replay(a_history(samples, [*former, an_activation(BAD, 30), back, again, worse]), POLICY).rows
    assert (second.suspect, second.target) == (worse.deployment, GOOD)


def test_a_suspect_that_is_released_again_is_not_rolled_back_again() -> None:
    back = an_activation(GOOD, 40, ActivationOrigin.FOREIGN_ROLLBACK, created_at=SERVED_BEFORE.created_at)
    once, again = an_activation(BAD, 30), an_activation(BAD, 80, created_at=at(28))
    samples = counts(GOOD, [*range(30), *range(40, 80)]) + counts(BAD, [*range(30, 40), *range(80, 120)], 30)
    first, second = replay(a_history(samples, [SERVED_BEFORE, once, back, again]), POLICY).rows
    assert (first.outcome, second.outcome) == (Outcome.ROLLBACK, Outcome.ALERT)
    assert (second.suspect, second.reason) == (BAD, Reason.ALREADY_ROLLED_BACK)


def test_a_rollback_that_somebody_made_before_us_makes_us_stand_down() -> None:
    back = an_activation(GOOD, 32, ActivationOrigin.FOREIGN_ROLLBACK, created_at=SERVED_BEFORE.created_at)
    worse = an_activation(DeploymentId("dpl_worse"), 50)
    samples = counts(GOOD, [*range(30), *range(32, 50)]) + counts(BAD, range(30, 32), 30)
    samples += counts(worse.deployment, range(50, 120), 50)
    [row] = replay(a_history(samples, [SERVED_BEFORE, an_activation(BAD, 30), back, worse]), POLICY).rows
    assert (row.suspect, row.outcome, row.reason) == (worse.deployment, Outcome.ALERT, Reason.STOOD_DOWN)


@pytest.mark.parametrize(("onset", "reason"), [(44, Reason.NONE), (45, Reason.ONSET_OUTSIDE_WINDOW)])
def test_an_onset_after_the_attribution_window_only_alerts(onset: int, reason: Reason) -> None:
    samples = counts(GOOD, range(30)) + counts(BAD, range(30, onset)) + counts(BAD, range(onset, 120), 30)
    [row] = replay(a_history(samples, [SERVED_BEFORE, an_activation(BAD, 30)]), POLICY).rows
    assert row.reason is reason
    assert row.at == at(onset + 3)


def test_the_first_deployment_ever_only_alerts() -> None:
    samples = counts(BAD, range(5, 60), 30)
    [row] = replay(a_history(samples, [an_activation(BAD, 5)]), POLICY).rows
    assert (row.outcome, row.reason, row.target) == (Outcome.ALERT, Reason.NO_TARGET, None)


def test_what_served_before_the_record_is_a_way_back() -> None:
    then = [an_activation(OLD, -5000), an_activation(GOOD, -300)]
    back = an_activation(OLD, -200, ActivationOrigin.FOREIGN_ROLLBACK, created_at=then[0].created_at)
    samples = counts(OLD, range(30)) + counts(BAD, range(30, 60), 30)
    row = the_rollback(a_history(samples, [*then, back, an_activation(BAD, 30)], until=at(60)))
    assert row.target == OLD
    row = the_rollback(a_history(samples, [*then, an_activation(BAD, 30)], until=at(60)))
    assert row.target == GOOD


def test_an_alert_that_is_still_open_when_history_ends_is_told() -> None:
    history = a_bad_release(lag=timedelta(minutes=4, seconds=1), fixed=False)
    [row] = replay(history, POLICY).rows
    assert row.reason is Reason.STALE_SAMPLES


def test_time_without_counts_is_polled_and_proves_nothing() -> None:
    samples = counts(GOOD, [*range(10), *range(100, 110)])
    replayed = replay(a_history(samples), POLICY)
    assert replayed.rows == ()
    assert replayed.polls == 119


def test_blind_time_holds_back_what_it_would_have_done() -> None:
    history = a_bad_release(fixed=False)
    # The last counts are those that complete the breach; from then on nobody can count.
    before = tuple(one for one in history.counts if one.sample.end <= at(31))
    completing = tuple(one for one in history.counts if one.sample.end == at(32))
    blind = replace(history, counts=before + completing, no_data=(Span(at(33.5), at(120)),))
    assert the_rollback(blind).at == at(33)
    assert replay(replace(blind, counts=before, no_data=(Span(at(32.5), at(120)),)), POLICY).rows == ()


def test_time_without_data_is_blind_time_and_time_without_visitors_is_not() -> None:
    healthy = a_history(counts(GOOD, [*range(30), *range(60, 90)]), until=at(90))
    # Nobody could count from 32 to 42: blind from the third failed poll on, until the first one that reads again.
    spans = (Span(at(31.5), at(42)),)
    assert replay(replace(healthy, no_data=spans), POLICY).blind_polls == 8
    assert replay(healthy, POLICY).blind_polls == 0


def test_late_counts_are_known_when_they_came_and_not_before() -> None:
    healthy = counts(GOOD, range(30)) + counts(BAD, range(30, 50), 2)
    activations = [SERVED_BEFORE, an_activation(BAD, 30)]
    more = counts(BAD, [31, 32], 40, is_late=True)
    assert replay(a_history(healthy, activations, until=at(50)), POLICY).rows == ()
    # Ten minutes after the end of minute 32 both are known; then, three windows back, they say nothing any more.
    assert replay(a_history(healthy + more, activations, late=10 * MINUTE, until=at(50)), POLICY).rows == ()
    soon = a_history(healthy + more, activations, late=1.5 * MINUTE, until=at(50))
    assert the_rollback(soon).at == at(34.5)
    # Counts that came late come no sooner because others are read at once.
    [row] = replay(soon, POLICY, lag=timedelta(0)).rows
    assert row.at == at(34.5)


def test_each_count_is_read_when_it_was_read_and_what_was_read_together_stays_together() -> None:
    history = a_bad_release()
    delays = {at(31): 2.5 * MINUTE, at(32): 1.5 * MINUTE}
    uneven = tuple(replace(one, delay=delays.get(one.sample.end, one.delay)) for one in history.counts)
    replayed = replay(replace(history, counts=in_order(uneven)), POLICY)
    # Minutes 30 and 31 were both read half a minute past 33.
    assert [row.at for row in replayed.rows] == [at(33.5)]


def test_counts_that_were_read_sooner_than_usual_count_at_once() -> None:
    history = a_bad_release()
    soon = tuple(replace(one, delay=0.1 * MINUTE) if one.sample.end == at(32) else one for one in history.counts)
    assert the_rollback(replace(history, counts=soon)).at == at(32.1)


class Following(Threshold):
    """A detector with one memory of the project, which sees whatever serves production and nothing else."""

    @property
    def follows_production(self) -> bool:
        return True


def test_a_detector_that_follows_production_sees_what_serves_and_is_judged_alike() -> None:
    policy = replace(POLICY, detectors=(Following(breaches_min=2, windows=3),))
    assert the_rollback(a_bad_release(), policy).at == at(33)
    # Somebody looks at bad before it serves: nobody's production fails.
    looked_at = counts(GOOD, range(120)) + counts(BAD, range(10, 20), 100)
    assert replay(a_history(looked_at), policy).rows == ()


def test_two_policies_of_one_history_do_not_touch_each_other() -> None:
    history = a_bad_release()
    strict = replace(POLICY, detectors=(Threshold(breaches_min=2, windows=3, max_error_rate=0.5),))
    assert replay(history, strict).rows == ()
    assert the_rollback(history).at == at(33)
    assert replay(history, POLICY) == replay(history, POLICY)


def test_errors_without_requests_are_judged_by_a_detector_that_counts_them() -> None:
    policy = replace(POLICY, detectors=(Threshold(errors_per_minute_max=20, breaches_min=2, windows=3),))
    samples = counts(GOOD, range(30), 0, None) + counts(BAD, range(30, 120), 25, None)
    row = the_rollback(a_history(samples, [SERVED_BEFORE, an_activation(BAD, 30)]), policy)
    assert row.at == at(33)
    assert row.at > START
    assert row.suspect != FIX
