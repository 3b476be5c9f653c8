"""One activation under test: what a wrong reading of the rule would decide, and this one does not."""

import pytest

from daemon.detectors.evidence.baseline import UNTAUGHT, Counts, learn
from daemon.detectors.evidence.betting import evidence
from daemon.detectors.evidence.buckets import Bucket
from daemon.detectors.evidence.cusum import Onset
from daemon.detectors.evidence.knobs import Design
from daemon.detectors.evidence.trial import RECENT_BUCKETS_MAX, Held, Trial, begin_trial, gates, judge
from tests.unit.detectors.evidence.playing import BAD, DEAD, GOOD, Project, a_project

DESIGN = Design()
TENTH = [BAD] * 40


def test_a_steady_tenth_is_decided_at_the_twelfth_poll_of_ten_seconds() -> None:
    # Sustained 90 s and the newest 30 s: whole polls, the onset's and the present one included.
    project = a_project().release().polls([BAD] * 11)
    assert project.held is Held.NOTHING
    assert project.polls([BAD]).held is Held.ROLLBACK


def test_failing_wholly_is_decided_after_three_buckets() -> None:
    project = a_project().release().polls([DEAD] * 2)
    assert project.held is Held.NOTHING
    assert project.polls([DEAD]).held is Held.ROLLBACK


def test_failing_wholly_is_decided_after_two_polls_of_a_minute() -> None:
    project = a_project(poll=60.0).release().polls([DEAD])
    assert project.held is Held.NOTHING
    assert project.polls([DEAD]).held is Held.ROLLBACK


def test_the_last_buckets_must_be_severe_one_after_the_other() -> None:
    project = a_project().release().polls([DEAD, DEAD, (100, 79), DEAD, DEAD])
    assert project.held is Held.NOTHING
    assert project.polls([(100, 80)]).held is Held.ROLLBACK


def test_the_limit_is_frozen_and_not_moved_by_what_is_judged() -> None:
    project = a_project().release().polls([(100, 3)] * 8)
    limit = project.trial.limit
    assert project.seconds(3000, (100, 5)).trial.limit == limit == pytest.approx(0.02)


def test_no_errors_are_enough_until_there_are_five() -> None:
    # Two buckets of 50 requests with 2 errors each, and severe evidence from nowhere.
    trial = begin_trial(1, 0.0, UNTAUGHT, Design(level=0.09, sustain=0.0), sustain=0.0)
    design = Design(level=0.09, sustain=0.0)
    for index, errors in enumerate((4, 0, 0, 0)):
        trial = judge(trial, Bucket(10.0 * index, 10.0 * index + 10, 4, errors, 1, 10.0), design, may_decide=True)
    assert trial.held is Held.NOTHING


def a_trial(**facts: object) -> Trial:
    """Return a trial with a minute of a rate of a tenth behind it, and evidence enough, that lacks age alone."""
    onset = Onset(0.0, 10.0, 1, 1100, 110, 1100, 110)
    recent = ((100.0, 100, 10), (110.0, 100, 10))
    known = Trial(1, 0.0, 0.02, 0.0, 90.0, 0.02, 0.005, requests=1100, errors=110, nats=5.0, onset=onset, recent=recent)
    return known._replace(capital=known.capital._replace(cautious=1e6, spent=0.9), **facts)  # type: ignore[arg-type]


def next_bucket(trial: Trial, errors: int = 10, **facts: object) -> Trial:
    bucket = Bucket(110.0, 120.0, 100, errors, 1, 10.0)._replace(**facts)  # type: ignore[arg-type]
    return judge(trial, bucket, DESIGN, may_decide=True)


def test_the_reference_trial_decides() -> None:
    assert next_bucket(a_trial()).held is Held.ROLLBACK


def test_nothing_is_decided_when_it_may_not_be() -> None:
    bucket = Bucket(110.0, 120.0, 100, 10, 1, 10.0)
    assert judge(a_trial(), bucket, DESIGN, may_decide=False).held is Held.NOTHING


@pytest.mark.parametrize(("nats_min", "held"), [(5.47, Held.ROLLBACK), (5.48, Held.NOTHING)])
def test_the_sum_must_stand_out_from_the_past_day(nats_min: float, held: Held) -> None:
    assert next_bucket(a_trial(nats_min=nats_min)).held is held


def test_a_sum_at_forty_passes_any_gate() -> None:
    assert next_bucket(a_trial(nats=40.0, nats_min=40.0)).held is Held.ROLLBACK


def test_a_newest_bucket_below_the_limit_decides_nothing() -> None:
    assert next_bucket(a_trial(), errors=1).held is Held.NOTHING
    assert next_bucket(a_trial(), errors=2).held is Held.ROLLBACK


@pytest.mark.parametrize(("errors", "held"), [(10, Held.ROLLBACK), (4, Held.NOTHING)])
def test_errors_that_fell_to_less_than_half_are_watched_and_not_acted_upon(errors: int, held: Held) -> None:
    # 10 % since the onset; the newest 30 s, this bucket included, are at (5 + 5 + errors) / 300.
    recent = ((100.0, 100, 5), (110.0, 100, 5))
    assert next_bucket(a_trial(recent=recent), errors=errors).held is held


def test_recent_are_the_buckets_closed_in_the_last_thirty_seconds() -> None:
    recent = ((80.0, 1, 0), (90.0, 2, 0), (90.1, 3, 0), (110.0, 4, 0))
    judged = next_bucket(a_trial(recent=recent))
    assert judged.recent == ((90.1, 3, 0), (110.0, 4, 0), (120.0, 100, 10))


def test_recent_buckets_are_bounded() -> None:
    project = a_project(poll=0.5, history=60).release().polls([(50, 0)] * 100)
    assert len(project.trial.recent) == RECENT_BUCKETS_MAX


def test_an_onset_in_the_window_is_acted_upon_and_one_after_it_never() -> None:
    inside = a_project().release().seconds(890).polls(TENTH)
    assert inside.held is Held.ROLLBACK
    assert inside.trial.onset is not None
    assert inside.trial.onset.at - inside.trial.at == 890
    outside = a_project().release().seconds(900).polls([BAD] * 100)
    assert outside.held is Held.ALERT


def test_evidence_takes_no_new_bets_after_the_window() -> None:
    project = a_project().release().seconds(900)
    assert project.trial.capital.spent == pytest.approx(1.0)


@pytest.mark.parametrize(("level", "buckets"), [(1e-3, 15), (1e-2, 10)])
def test_a_late_onset_is_told_when_the_sum_reaches_the_level_and_not_before(level: float, buckets: int) -> None:
    # ln(1 / level) nats, at .47 nats a bucket.
    project = a_project(level=level).release().seconds(1000).polls([BAD] * (buckets - 1))
    assert project.held is Held.NOTHING
    assert project.polls([BAD]).held is Held.ALERT


def test_a_late_onset_must_stand_out_from_the_past_day_too() -> None:
    project = a_project().seconds(60, DEAD).seconds(120).release()
    assert project.trial.nats_min > 15.0
    project.seconds(1000).polls([BAD] * 20)
    assert project.trial.nats > 9.0
    assert project.held is Held.NOTHING


def test_an_incident_that_runs_at_the_activation_is_not_its_doing() -> None:
    project = a_project().seconds(120, (100, 30)).release().polls([(100, 60)] * 100)
    assert project.trial.onset is not None
    assert project.trial.onset.at < project.trial.at
    assert project.held is Held.ALERT


def test_three_nats_make_an_incident_and_less_do_not() -> None:
    # A bucket of 30 % is 1.13 nats.
    running = a_project().polls([(100, 30)] * 3).release()
    assert running.trial.nats == pytest.approx(3.395, abs=0.001)
    assert running.trial.onset is not None
    quiet = a_project().polls([(100, 30)] * 2).release()
    assert (quiet.trial.nats, quiet.trial.onset) == (0.0, None)


def test_what_runs_at_the_activation_ends_by_the_usual_limit_and_not_by_the_one_that_it_taught() -> None:
    project = a_project().seconds(600, (100, 30)).release().polls([(100, 29)] * 50)
    assert project.trial.limit > 0.5
    assert project.trial.calm_limit < 0.1
    assert not project.trial.calm.is_proved
    assert project.seconds(60).trial.calm.is_proved


def test_what_heals_ends_the_trouble_and_new_errors_begin_a_new_onset() -> None:
    project = a_project().release().polls([BAD] * 11 + [GOOD] * 3)
    assert (project.trial.nats, project.trial.onset) == (0.0, None)
    # Were the old onset kept, the first bad bucket would decide.
    project.polls([BAD] * 11)
    assert project.held is Held.NOTHING
    assert project.polls([BAD]).held is Held.ROLLBACK


def test_a_decision_holds_over_a_quiet_bucket_and_until_recovery_is_proved() -> None:
    project = a_project().release().polls([BAD] * 12 + [GOOD] * 2)
    assert project.held is Held.ROLLBACK
    assert project.polls([GOOD]).held is Held.NOTHING


def test_errors_that_began_just_before_the_activation_are_not_its_doing() -> None:
    # At a visitor every other second: 2 errors of 20 requests, then the activation.
    history = [(5, 0)] * 720 + [(5, 0), (5, 0), (5, 1), (5, 1)]
    project = Project().serves_already().polls(history).release()
    assert project.trial.nats == 0.0
    assert project.trial.before[0] == Counts(20, 2)
    project.polls([(5, 1)] * 60)
    assert project.held is Held.ALERT
    assert project.trial.onset is not None
    assert project.trial.onset.before == project.trial.at


def test_a_stray_error_before_the_activation_does_not_clear_it() -> None:
    project = Project().serves_already().polls([(5, 0)] * 723 + [(5, 1)]).release().polls([(5, 1)] * 60)
    assert project.held is Held.ROLLBACK


def test_a_stray_error_of_the_one_before_does_not_take_the_blame_off_its_bad_successor() -> None:
    # An error in every 300 visitors is usual here.
    usual = [(5, 0)] * 59 + [(5, 1)]
    project = Project().serves_already().polls(usual * 12).release().polls([(5, 0)] * 5 + [(5, 1)])
    assert 0.0 < project.trial.nats < 0.2
    project.release().polls([(5, 1)] * 60)
    assert project.suspect == 2
    assert len(project.held_at) == 1


def test_few_errors_of_the_one_before_that_are_as_many_as_its_successors_are_the_beginning() -> None:
    project = Project().serves_already().polls([(5, 0)] * 720).release().polls([(5, 1)] * 3).release()
    assert project.polls([(5, 1)] * 60).suspect == 1


def test_a_bucket_that_began_before_the_activation_dates_the_errors_at_it() -> None:
    trial = begin_trial(1, 7.0, UNTAUGHT, DESIGN, sustain=90.0)
    judged = judge(trial, Bucket(0.0, 10.0, 100, 50, 1, 10.0), DESIGN, may_decide=True)
    assert judged.onset == Onset(7.0, 10.0, 1, 100, 50, 100, 50)


def test_the_frozen_numbers_come_from_the_baseline_of_that_moment() -> None:
    baseline = UNTAUGHT
    for index in range(60):
        baseline = learn(baseline, Bucket(10.0 * index, 10.0 * index + 10, 100, 4, 0, 10.0), floor=0.02, lift=2.0)
    trial = begin_trial(3, 600.0, baseline, DESIGN, sustain=45.0)
    assert (trial.number, trial.at, trial.sustain) == (3, 600.0, 45.0)
    assert trial.limit == pytest.approx(2 * 240.5 / 6100)
    assert trial.usual == pytest.approx(240.5 / 6100)
    assert len(trial.before) == 5


def test_gates_are_told_without_an_onset_too() -> None:
    told = {gate.name: gate for gate in gates(begin_trial(1, 0.0, UNTAUGHT, DESIGN, sustain=90.0),
                                              Bucket(0.0, 10.0, 50, 0, 1, 10.0), DESIGN)}  # fmt: skip
    assert told["onset_in_window"].value is None
    assert not told["cusum"].passed
    assert evidence(begin_trial(1, 0.0, UNTAUGHT, DESIGN, sustain=90.0).capital) == 1.0
