"""Whom to blame: the deployment that served at the onset, soon enough after it went live; else nobody."""

from datetime import timedelta

import pytest

from daemon.core.command import ListTargets, RollBack
from daemon.core.facts import AliasJobType
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from tests.builders import (
    BAD,
    FIX,
    GOOD,
    MINUTE,
    OLD,
    START,
    Playbook,
    a_deployment,
    a_policy,
    a_production,
    a_released_playbook,
    a_sample,
    notice,
    page,
)

NEXT = a_deployment("next", created_at=START)


def test_I_05_errors_of_other_deployments_do_not_count_against_the_one_that_serves() -> None:
    play = a_released_playbook()
    for _ in range(10):
        start = play.moment.at
        play.after(60).cycle(
            a_sample(BAD, start=start, requests=200),
            a_sample(FIX, start=start, requests=900, errors=900),
            a_sample(GOOD, start=start, requests=900, errors=900),
        )
    play.expect_state(None)


def test_I_05_the_suspects_own_errors_are_not_diluted_by_others() -> None:
    play = a_released_playbook()
    for _ in range(2):
        start = play.moment.at
        play.after(60).cycle(
            a_sample(GOOD, start=start, requests=90_000), a_sample(BAD, start=start, requests=200, errors=60)
        )
    play.expect(notice(State.DETECTED), ListTargets())
    assert play.incident.finding.requests == 200


def test_I_06_errors_that_ran_before_the_activation_page_only() -> None:
    play = Playbook().serves(a_deployment("good", alias_assigned_at=START - 20 * MINUTE))
    play.minutes(GOOD, 0.0, 3).minutes(GOOD, 0.3, 1)
    play.serves(BAD).production().minutes(BAD, 0.3, 2).expect(page(State.ESCALATED))
    play.expect_state(State.ESCALATED, Reason.SUSPECT_UNCLEAR)
    assert play.count(ListTargets) == 0


def test_I_06_a_breach_that_ran_before_the_activation_pages_only() -> None:
    play = Playbook().serves(a_deployment("good", alias_assigned_at=START - 20 * MINUTE))
    play.minutes(GOOD, 0.0, 3).minutes(GOOD, 0.3, 2)
    play.serves(BAD).production().minutes(BAD, 0.3, 2)
    assert [one.reason for one in play.state.unacknowledged] == [Reason.ONSET_OUTSIDE_WINDOW]
    assert play.count(ListTargets) == 0


def test_I_06_a_stray_error_of_the_deployment_before_does_not_make_it_the_suspect() -> None:
    play = Playbook().minutes(GOOD, 0.0, 3).minutes(GOOD, 0.1, 1, requests=10)
    play.serves(BAD).production().minutes(BAD, 0.3, 2)
    assert play.incident.suspect == BAD


def test_what_somebody_brought_back_is_never_rolled_back_and_what_it_replaced_is_no_way_back() -> None:
    play = a_released_playbook().minutes(BAD, 0.0, 5)
    play.job(GOOD, type=AliasJobType.PROMOTE).serves(GOOD).production().minutes(GOOD, 0.3, 3)
    play.expect_state(State.ESCALATED, Reason.RESTORED_DEPLOYMENT)
    assert [one.deployment for one in play.state.known_bad] == [BAD.id]
    assert play.count(ListTargets) == 0


def test_a_breach_after_the_suspect_was_healthy_again_is_another_one() -> None:
    play = Playbook().minutes(GOOD, 0.0, 3).minutes(GOOD, 0.3, 2).expect(page(State.ESCALATED))
    play.minutes(GOOD, 0.3, 3).expect()
    play.minutes(GOOD, 0.0, 10).expect()
    play.minutes(GOOD, 0.3, 2).expect(page(State.ESCALATED))


def test_I_06_errors_in_the_deployments_own_counts_before_it_went_live_page_only() -> None:
    play = Playbook().minutes(GOOD, 0.0, 3).serves(GOOD)
    play.minutes(BAD, 0.3, 1).serves(BAD).production().minutes(BAD, 0.3, 1).expect(page(State.ESCALATED))
    assert "errors began before dpl_bad went live" in play.ending


@pytest.mark.parametrize(("healthy_minutes", "state"), [(14, State.DETECTED), (15, State.ESCALATED)])
def test_I_06_an_onset_outside_the_attribution_window_pages_only(healthy_minutes: int, state: State) -> None:
    play = a_released_playbook(a_policy(attribution_window=15 * MINUTE))
    play.minutes(BAD, 0.0, healthy_minutes).minutes(BAD, 0.3, 2).expect_state(state)
    if state is State.ESCALATED:
        assert play.incident.reason is Reason.ONSET_OUTSIDE_WINDOW
        assert "errors began 15 min after dpl_bad went live" in play.ending


def test_I_06_in_a_train_with_the_same_fault_the_first_is_the_suspect() -> None:
    play = a_released_playbook().minutes(BAD, 0.3, 1)
    play.serves(FIX).production().minutes(FIX, 0.3, 2).expect(notice(State.DETECTED), ListTargets())
    assert (play.incident.suspect, play.incident.serving) == (BAD, FIX.id)
    play.targets = (FIX, BAD, GOOD, OLD)
    play.targets_listed().preflight()
    assert play.incident.target == GOOD
    play.job(from_deployment=FIX.id).serves(GOOD).after(61).production().expect_state(State.VERIFYING)
    assert [one.deployment for one in play.state.known_bad] == [BAD.id, FIX.id]
    assert play.state.known_bad[-1].commit_sha == "sha-fix"


def test_I_06_in_a_train_of_three_all_that_shared_the_fault_are_known_bad() -> None:
    play = a_released_playbook().minutes(BAD, 0.3, 1).serves(FIX).production().minutes(FIX, 0.3, 1)
    play.serves(NEXT).production().minutes(NEXT, 0.3, 2).expect(notice(State.DETECTED), ListTargets())
    play.targets_listed().preflight().job(from_deployment=NEXT.id).serves(GOOD).after(61).production()
    assert [one.deployment for one in play.state.known_bad] == [BAD.id, FIX.id, NEXT.id]


def test_I_06_a_healthy_deployment_followed_by_a_bad_one_is_the_way_back() -> None:
    play = a_released_playbook().minutes(BAD, 0.0, 3)
    play.serves(FIX).production().minutes(FIX, 0.3, 2).targets_listed()
    assert (play.incident.suspect, play.incident.target) == (FIX, BAD)


def test_I_06_a_release_that_healed_and_then_breaks_is_its_own_suspect() -> None:
    play = a_released_playbook().minutes(BAD, 0.3, 1)
    play.serves(FIX).production().minutes(FIX, 0.0, 3).expect_state(None)
    play.minutes(FIX, 0.3, 2).expect(notice(State.DETECTED), ListTargets())
    assert play.incident.suspect == FIX


def test_I_12_a_deployment_that_was_replaced_while_it_breached_is_no_way_back() -> None:
    play = a_released_playbook().minutes(BAD, 0.3, 2).expect_state(State.DETECTED)
    play.serves(FIX).production().expect(notice(State.STOOD_DOWN))
    play.minutes(FIX, 0.0, 3).minutes(FIX, 0.3, 2)
    play.targets = (FIX, BAD, GOOD, OLD)
    play.targets_listed()
    assert (play.incident.suspect, play.incident.target) == (FIX, GOOD)


def test_a_deployment_that_was_replaced_in_an_outage_not_its_own_stays_a_way_back() -> None:
    play = Playbook().minutes(GOOD, 0.0, 20).minutes(GOOD, 0.3, 2).expect_state(State.ESCALATED)
    play.serves(BAD).production()
    assert play.state.known_bad == ()


def test_an_activation_that_nothing_dates_pages_only() -> None:
    play = Playbook()
    play.world = a_production(BAD)
    play.minutes(BAD, 0.3, 2).expect(page(State.ESCALATED)).expect_state(State.ESCALATED, Reason.ACTIVATION_UNKNOWN)


def test_an_activation_before_we_came_that_vercel_dates_can_be_blamed() -> None:
    play = Playbook()
    play.world = a_production(a_deployment("bad", alias_assigned_at=START))
    play.minutes(BAD, 0.3, 2).expect(notice(State.DETECTED), ListTargets())


@pytest.mark.parametrize(("gap", "state"), [(15 * MINUTE, State.DETECTED), (16 * MINUTE, State.ESCALATED)])
def test_an_activation_somewhere_in_a_long_absence_is_unknown(gap: timedelta, state: State) -> None:
    play = Playbook(a_policy(attribution_window=15 * MINUTE)).minutes(GOOD, 0.0, 3)
    play.after(gap.total_seconds()).serves(BAD).production().minutes(BAD, 0.3, 2).expect_state(state)
    assert play.incident.reason is (Reason.NONE if state is State.DETECTED else Reason.ACTIVATION_UNKNOWN)


def test_an_activation_in_a_long_absence_is_dated_by_the_counts_of_the_time_between() -> None:
    play = Playbook().minutes(GOOD, 0.0, 3)
    start = play.moment.at
    backlog = [a_sample(GOOD, start=start + n * MINUTE) for n in range(20)]
    backlog += [a_sample(BAD, start=start + n * MINUTE, errors=50) for n in range(20, 30)]
    play.after(1800).serves(BAD).cycle(*backlog).expect(notice(State.DETECTED), ListTargets())
    assert play.state.activations[-1].at == start + 20 * MINUTE


def test_an_activation_between_two_looks_is_dated_by_its_first_count() -> None:
    play = Playbook().minutes(GOOD, 0.0, 3)
    start = play.moment.at
    play.after(300).serves(BAD).cycle(a_sample(GOOD, start=start), a_sample(BAD, start=start + MINUTE))
    assert play.state.activations[-1].at == start + MINUTE
    play.after(60).cycle(a_sample(BAD, start=play.moment.at - MINUTE))
    assert play.state.activations[-1].at == start + MINUTE


def test_an_activation_in_a_long_absence_that_the_alias_job_dates_is_known() -> None:
    play = Playbook().minutes(GOOD, 0.0, 3).after(3600).job(BAD, type=AliasJobType.PROMOTE).serves(BAD).after(60)
    play.production()
    assert play.state.activations[-1].at == play.moment.at - MINUTE


def test_implausible_dates_of_an_activation_are_not_taken() -> None:
    play = Playbook().minutes(GOOD, 0.0, 3)
    play.after(60).serves(a_deployment("bad", alias_assigned_at=START - timedelta(days=1)))
    play.job(BAD, type=AliasJobType.PROMOTE, requested_at=play.moment.at + timedelta(hours=1)).production()
    assert play.state.activations[-1].at == play.moment.at


def test_old_findings_of_a_deployment_that_comes_back_open_nothing_before_fresh_counts() -> None:
    play = a_released_playbook().minutes(BAD, 0.3, 2).job(GOOD).serves(GOOD).production().expect_state(State.STOOD_DOWN)
    play.minutes(GOOD, 0.0, 60).job(BAD, type=AliasJobType.PROMOTE).serves(BAD).production()
    play.after(60).cycle().expect()
    assert play.sentence == "watching: no counts of dpl_bad since it went live"
    play.minutes(BAD, 0.0, 5).expect()
    assert play.state.incident is None


def test_a_deployment_that_comes_back_and_breaks_again_has_a_new_onset() -> None:
    play = a_released_playbook().minutes(BAD, 0.3, 2).job(GOOD).serves(GOOD).production().minutes(GOOD, 0.0, 60)
    play.job(BAD, type=AliasJobType.PROMOTE).serves(BAD).production().minutes(BAD, 0.3, 2)
    play.expect(notice(State.DETECTED), ListTargets())
    assert play.incident.finding.onset_at == play.moment.at - 2 * MINUTE
    assert play.count(RollBack) == 0


def test_visits_to_many_other_deployments_do_not_make_us_forget_the_one_that_serves() -> None:
    play = a_released_playbook()
    for _ in range(2):
        start = play.moment.at
        previews = [a_sample(a_deployment(f"preview{number}"), start=start) for number in range(20)]
        play.after(60).cycle(a_sample(BAD, start=start, errors=30), *previews)
    play.expect(notice(State.DETECTED), ListTargets())
    assert len(play.state.watches) <= 8
