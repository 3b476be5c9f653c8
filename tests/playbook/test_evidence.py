"""What counts as evidence: enough requests and errors, several closed windows, complete, fresh, and counted once."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.command import ListTargets, Preflight, RollBack
from daemon.core.event import CycleEnded, SamplesObserved
from daemon.core.facts import DeploymentId, ErrorRateSample
from daemon.core.guardrail import Reason
from daemon.core.incident import State
from daemon.detectors.threshold import Threshold
from tests.builders import (
    BAD,
    GOOD,
    MINUTE,
    START,
    Playbook,
    RollsBack,
    a_breached_playbook,
    a_deciding_playbook,
    a_policy,
    a_released_playbook,
    a_sample,
    notice,
)

RULE = Threshold(min_requests=20, min_errors=5, max_error_rate=0.05, breaches_min=2, windows=3)


def after_two_minutes(requests: int, errors: int) -> Playbook:
    """Return a playbook in which bad answered so in each of two minutes."""
    play = a_released_playbook(a_policy(detectors=(RULE,)))
    for _ in range(2):
        start = play.moment.at
        play.after(60).cycle(a_sample(BAD, start=start, requests=requests, errors=errors))
    return play


@pytest.mark.parametrize(
    ("requests", "errors", "state"),
    [
        (20, 5, State.DETECTED),
        (19, 5, None),
        (20, 4, None),
        (100, 5, State.DETECTED),
        (101, 5, None),
        (1, 1, None),
        (4, 4, None),
    ],
)
def test_I_03_nothing_happens_below_the_policys_minimum(requests: int, errors: int, state: State | None) -> None:
    after_two_minutes(requests, errors).expect_state(state)


def test_I_03_one_closed_window_fewer_than_needed_is_not_enough() -> None:
    rule = Threshold(breaches_min=3, windows=5)
    play = a_released_playbook(a_policy(detectors=(rule,))).minutes(BAD, 1.0, 2).expect_state(None)
    play.minutes(BAD, 1.0).expect(notice(State.DETECTED), ListTargets())


def test_I_04_a_single_window_cannot_act_however_bad() -> None:
    a_released_playbook().minutes(BAD, 1.0, 1, requests=1_000_000).expect_state(None)


def test_I_04_a_replayed_window_counts_once() -> None:
    play = a_released_playbook()
    sample = a_sample(BAD, start=play.moment.at, requests=1000, errors=900)
    play.after(60)
    for _ in range(10):
        play.cycle(sample).expect()
    play.expect_state(None)


def test_I_04_overlapping_windows_count_once() -> None:
    play = a_released_playbook()
    start = play.moment.at
    play.after(119)
    for offset in range(0, 60, 10):
        play.cycle(a_sample(BAD, start=start + timedelta(seconds=offset), requests=1000, errors=900)).expect()
    play.expect_state(None)


def test_I_04_one_window_told_in_small_pieces_is_one_window() -> None:
    play = a_released_playbook()
    for _ in range(6):
        start = play.moment.at
        end = start + timedelta(seconds=10)
        play.after(10).cycle(a_sample(BAD, start=start, end=end, requests=100, errors=90)).expect()
    play.expect_state(None)


@pytest.mark.parametrize(("requests", "errors"), [(10, 11), (10, -1), (-1, -1), (0, 1), (10, float("nan"))])
def test_I_08_counts_that_cannot_be_are_no_sample(requests: int, errors: int) -> None:
    with pytest.raises(ValueError, match="not a sample"):
        a_sample(requests=requests, errors=errors)


def test_I_08_an_interval_without_length_is_no_sample() -> None:
    with pytest.raises(ValueError, match="not a sample"):
        a_sample(end=START)


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(requests=st.integers(-5, 50), errors=st.integers(-5, 50))
def test_I_08_every_sample_has_a_ratio_between_nought_and_one(requests: int, errors: int) -> None:
    try:
        sample = ErrorRateSample(DeploymentId("dpl_1"), START, START + MINUTE, requests, errors)
    except ValueError:
        assert not 0 <= errors <= requests
    else:
        assert 0 <= sample.errors <= sample.requests


def test_I_08_numerator_and_denominator_come_from_the_same_windows() -> None:
    play = a_released_playbook().minutes(BAD, 0.0, 5, requests=9_000).minutes(BAD, 0.3, 2)
    assert (play.incident.finding.errors, play.incident.finding.requests) == (60, 200)


def test_I_09_counts_beyond_the_watermark_are_not_judged() -> None:
    play = a_released_playbook()
    start = play.moment.at
    play.after(300)
    bad = tuple(a_sample(BAD, start=start + n * MINUTE, errors=90) for n in range(4))
    play.event(SamplesObserved(play.moment, "test", bad, complete_until=start + MINUTE))
    assert play.state.samples_until == start + MINUTE
    assert play.state.watch(BAD.id).counted_until == start + MINUTE
    play.event(CycleEnded(play.moment)).expect()
    play.event(SamplesObserved(play.moment, "test", bad, complete_until=start + 2 * MINUTE))
    play.event(CycleEnded(play.moment)).expect(notice(State.DETECTED), ListTargets())


def test_I_09_a_watermark_in_the_future_is_not_believed() -> None:
    play = a_released_playbook()
    now = play.moment.at
    bad = tuple(a_sample(BAD, start=now + n * MINUTE, errors=90) for n in range(4))
    play.event(SamplesObserved(play.moment, "test", bad, complete_until=now + 5 * MINUTE))
    assert play.state.samples_until == now
    assert play.state.watch(BAD.id).counted_until is None


def test_I_09_the_watermark_never_goes_back() -> None:
    play = a_released_playbook()
    before = play.state.samples_until
    play.event(SamplesObserved(play.moment, "test", (), complete_until=START))
    assert play.state.samples_until == before


@pytest.mark.parametrize(("seconds", "is_fresh"), [(240, True), (241, False)])
def test_I_09_nothing_is_done_on_counts_that_have_grown_old(seconds: int, is_fresh: bool) -> None:
    play = a_breached_playbook().after(seconds).targets_listed()
    play.expect(notice(State.MITIGATING), Preflight()) if is_fresh else play.expect(notice(State.HELD))
    assert play.incident.reason is (Reason.NONE if is_fresh else Reason.STALE_SAMPLES)


def test_I_09_counts_that_grow_old_between_decision_and_request_stop_it() -> None:
    play = a_breached_playbook().after(200).targets_listed().expect(notice(State.MITIGATING), Preflight())
    play.after(41).preflight().expect(notice(State.DETECTED)).expect_state(State.DETECTED, Reason.STALE_SAMPLES)
    a_deciding_playbook().after(40).preflight().expect(RollsBack(GOOD))


def test_no_counts_at_all_never_open_an_incident() -> None:
    play = a_released_playbook()
    for _ in range(30):
        play.after(60).cycle().expect()
    assert play.count(RollBack) == 0


def test_a_detector_that_the_policy_no_longer_names_has_no_say() -> None:
    play = a_released_playbook().minutes(BAD, 0.3, 1)
    play.policy = a_policy(detectors=())
    play.minutes(BAD, 0.3, 3).expect_state(None)
    assert play.state.watch(BAD.id).memories == {}
    assert play.state.watch(BAD.id).healthy_until is None
