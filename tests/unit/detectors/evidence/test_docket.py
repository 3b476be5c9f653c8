"""A project's docket: who is fed, who is blamed, what teaches, and what a missed or repeated poll may never do."""

import pytest

from daemon.detectors.evidence.buckets import Owed, Poll
from daemon.detectors.evidence.docket import TRIALS_MAX, Live, date_back, deciding, go_live, observe, observe_late
from daemon.detectors.evidence.trial import Held
from tests.unit.detectors.evidence.playing import BAD, DEAD, GOOD, Project, a_project


def test_the_first_quarter_of_an_hour_of_a_release_teaches_nothing() -> None:
    project = a_project()
    known = project.docket.baseline.requests
    project.release().seconds(900, (100, 1))
    assert project.docket.baseline.requests == known
    assert project.seconds(10).docket.baseline.requests == known + 100


def test_the_first_quarter_of_an_hour_of_a_restored_deployment_teaches_nothing_either() -> None:
    project = a_project().release().polls([DEAD] * 4).restore(0)
    known = project.docket.baseline.requests
    project.seconds(900, (100, 1))
    assert project.docket.baseline.requests == known
    assert project.seconds(10).docket.baseline.requests == known + 100


def test_what_served_when_we_came_teaches_from_the_first_poll() -> None:
    assert Project().serves_already().polls([GOOD]).docket.baseline.requests == 100


def test_a_second_bad_deployment_is_not_saved_by_the_first() -> None:
    project = a_project().release().seconds(60, (100, 30)).release()
    assert project.trial.limit == pytest.approx(0.02)
    assert project.trial.nats == 0.0


def test_no_bucket_holds_counts_of_two_deployments() -> None:
    project = Project().serves_already().polls([(20, 0)]).release().polls([(20, 20)])
    assert project.docket.newest is not None
    assert (project.docket.newest.requests, project.docket.newest.number) == (20, 0)
    assert project.docket.opened is not None
    assert (project.docket.opened.requests, project.docket.opened.number) == (20, 1)


def test_bad_followed_by_the_same_fault_goes_back_to_before_the_first() -> None:
    project = a_project().release().polls([BAD] * 5).release().polls([BAD] * 7)
    assert project.suspect == 1


def test_good_followed_by_bad_blames_the_second() -> None:
    project = a_project().release().polls([GOOD] * 20).release().polls([BAD] * 12)
    assert project.suspect == 2


def test_good_followed_by_bad_blames_the_second_though_the_first_trial_decides() -> None:
    project = a_project().release().polls([GOOD] * 5).release().polls([BAD] * 12)
    assert [one.held for one in project.docket.trials if one.number] == [Held.ROLLBACK, Held.ROLLBACK]
    assert [one.onset.number for one in project.docket.trials if one.onset and one.number] == [2, 2]


def test_a_deployment_that_heals_ends_it() -> None:
    project = a_project().release().polls([BAD] * 11).release().polls([GOOD] * 60)
    assert project.held_at == []
    # What begins much later is not laid at the first one's door.
    project.polls([BAD] * 6)
    assert project.held_at == []


def test_the_first_deployment_can_only_be_told_of() -> None:
    project = Project().serves_already().polls([DEAD] * 12)
    assert project.held is Held.ALERT
    assert project.suspect is None


def test_a_restoration_starts_no_trial_and_settles_those_of_what_was_rolled_back() -> None:
    project = a_project(history=60).release().polls([DEAD] * 4)
    assert project.held is Held.ROLLBACK
    project.restore(0)
    # Not even the one of what was restored goes on: its errors were those of the deployment in between.
    assert project.docket.trials == ()
    assert project.polls([DEAD] * 20).held is not Held.ROLLBACK


def test_a_rollback_over_two_deployments_settles_both() -> None:
    project = a_project().release().polls([DEAD] * 4).release().polls([DEAD] * 4)
    assert [one.number for one in project.docket.trials] == [1, 2]
    assert project.restore(0).docket.trials == ()


def test_a_restoration_leaves_trials_that_it_has_nothing_to_do_with() -> None:
    project = a_project().release().seconds(30).release().seconds(30).release().seconds(30).restore(2)
    assert [one.number for one in project.docket.trials] == [1, 2]


def test_a_trial_whose_suspect_was_rolled_back_is_settled_though_its_own_deployment_serves_again() -> None:
    project = a_project().release().seconds(60).release().polls([BAD] * 12)
    assert project.suspect == 2
    project.restore(1)
    assert [one.number for one in project.docket.trials if one.number] == []


def test_what_was_restored_is_never_rolled_back() -> None:
    project = a_project().release().seconds(60).release().seconds(60).restore(1)
    assert [one.number for one in project.docket.trials if one.number] == [1]
    project.polls([DEAD] * 12)
    assert project.held is Held.ALERT
    assert project.held_at == []


def test_a_trial_is_fed_for_four_windows() -> None:
    project = a_project().release().seconds(3590)
    assert [one.number for one in project.docket.trials] == [1]
    assert project.seconds(10).docket.trials == ()


def test_a_trial_of_what_was_replaced_ends_then_even_in_trouble() -> None:
    project = a_project().release().seconds(100).release().polls([(100, 2)] * 10 + [(100, 3)])
    assert project.docket.trials[0].onset is not None
    project.seconds(3600 - 100 - 110 - 10, (100, 2))
    assert [one.number for one in project.docket.trials] == [1, 2]
    assert [one.number for one in project.seconds(10, (100, 2)).docket.trials] == [2]


def test_thin_trouble_that_began_in_the_window_of_what_still_serves_is_followed_beyond() -> None:
    project = a_project().release().polls([(100, 3)]).seconds(4000, (100, 2))
    assert [one.number for one in project.docket.trials] == [1]
    assert project.polls([GOOD] * 3).docket.trials == ()


@pytest.mark.slow
def test_a_rollback_that_stands_is_kept_beyond_four_windows_and_an_alert_is_not() -> None:
    held = a_project().release().seconds(4000, BAD)
    assert held.held is Held.ROLLBACK
    told = a_project().release().seconds(1000).seconds(3000, BAD)
    assert told.docket.trials == ()


def test_the_oldest_of_more_than_eight_trials_goes() -> None:
    project = a_project()
    for _ in range(10):
        project.release().seconds(30)
    assert [one.number for one in project.docket.trials] == list(range(3, 11))
    assert len(project.docket.trials) == TRIALS_MAX


def test_a_missed_poll_closes_a_bucket_in_time_and_decides_nothing() -> None:
    project = a_project().release().polls([BAD] * 11 + [(20, 20)] + [None] * 5)
    assert project.docket.opened is None
    assert project.held is Held.NOTHING
    # The same with a poll that was read, and in which nobody came.
    assert a_project().release().polls([BAD] * 11 + [(20, 20)] + [(0, 0)] * 5).held is Held.ROLLBACK


def test_missed_polls_alone_never_decide_nor_teach() -> None:
    project = a_project().release().polls([BAD] * 11)
    known = project.docket
    assert project.polls([None] * 50).held is Held.NOTHING
    assert project.docket == known._replace(clock=project.docket.clock)


def test_the_prior_of_polls_without_traffic_and_in_an_open_bucket_waits_for_the_next_that_closes() -> None:
    project = a_project().release().polls([(0, 0)] * 5 + [(30, 0)])
    assert project.trial.capital.spent == 0.0
    assert project.polls([(30, 0)]).trial.capital.spent == pytest.approx(0.7 + 6 * 0.3 / 89)


def test_a_gap_between_samples_is_missed_polls() -> None:
    told, missed = a_project().release(), a_project().release()
    for project in (told, missed):
        project.polls([BAD] * 4 + [(20, 2)])
    missed.polls([None] * 12).polls([BAD])
    told.now += 120.0
    told.polls([BAD])
    assert told.docket.trials == missed.docket.trials
    assert told.docket.newest == missed.docket.newest


def test_a_repeated_poll_changes_nothing() -> None:
    project = a_project().release().polls([BAD] * 5)
    repeated = Poll(project.now - 10.0, project.now, 100, 100)
    assert observe(project.docket, repeated, project.design) == project.docket
    overlapping = Poll(project.now - 5.0, project.now + 5.0, 100, 100)
    assert observe(project.docket, overlapping, project.design) == project.docket


def test_late_counts_join_the_open_bucket_and_close_none() -> None:
    project = a_project().release().polls([(20, 1)])
    late = observe_late(project.docket, 100, 50)
    assert late.opened is not None
    assert (late.opened.requests, late.opened.errors) == (120, 51)
    assert late.newest == project.docket.newest


def test_late_counts_without_an_open_bucket_come_with_the_next_poll() -> None:
    project = a_project().release()
    project.docket = observe_late(project.docket, 10, 4)
    assert project.docket.owed == Owed(10, 4)
    project.polls([None])
    assert project.docket.opened is None
    project.polls([(5, 0)])
    assert project.docket.opened is not None
    assert (project.docket.opened.requests, project.docket.opened.errors) == (15, 4)


def test_late_counts_that_cannot_be_are_owed() -> None:
    project = a_project().release().polls([(20, 1)])
    late = observe_late(project.docket, 0, 30)
    assert late.opened is not None
    assert (late.opened.requests, late.opened.errors) == (20, 1)
    assert late.owed == Owed(0, 30)


def test_what_is_owed_stays_with_its_deployment() -> None:
    project = a_project().polls([(0, 50)]).release()
    assert project.docket.owed == Owed()


def test_nothing_is_decided_before_the_counts_reach_a_change_that_is_known() -> None:
    project = a_project().release().polls([BAD] * 20, may_decide=False)
    assert project.held is Held.NOTHING
    assert project.polls([BAD]).held is Held.ROLLBACK


def test_what_is_late_for_the_one_before_is_left_to_the_release_that_may_have_done_it() -> None:
    project = a_project().release().seconds(890).release().polls([GOOD] * 2 + [DEAD] * 5)
    assert [one.held for one in project.docket.trials] == [Held.NOTHING, Held.ROLLBACK]
    assert project.suspect == 2


def test_the_oldest_decision_speaks_and_a_rollback_before_an_alert() -> None:
    project = a_project().release().seconds(300).release().polls([GOOD] * 2)
    older, newer = project.docket.trials
    alert, rollback = older._replace(held=Held.ALERT), newer._replace(held=Held.ROLLBACK)
    assert deciding(project.docket) is None
    assert deciding(project.docket._replace(trials=(alert, rollback))) == rollback
    assert deciding(project.docket._replace(trials=(alert, newer._replace(held=Held.ALERT)))) == alert


def test_a_healthy_fix_ends_an_incident_and_the_next_bad_one_is_blamed() -> None:
    # Trouble in the old age of what served, a fix, and five minutes later something bad.
    project = a_project().seconds(600, (100, 30)).release().seconds(300).release()
    assert (project.trial.nats, project.trial.onset) == (0.0, None)
    # The gate remembers the day: it takes forty nats now.
    assert project.polls([DEAD] * 20).suspect is None
    assert project.polls([DEAD] * 20).suspect == 2


def test_an_activation_that_was_earlier_than_thought_moves_its_trial_and_its_probation() -> None:
    project = a_project().release().polls([GOOD])
    at = project.trial.at
    moved = date_back(project.docket, 1, at - 100.0, project.design)
    assert moved.trials[-1].at == at - 100.0
    assert moved.probation_until == at + 800.0
    # Of an activation whose counts did not begin yet there is nothing to move.
    assert date_back(project.docket, 2, at, project.design) == project.docket


def test_a_release_that_had_its_time_before_we_came_is_not_tried() -> None:
    project = Project()
    project.docket = go_live(project.docket, Live(0, -5000.0, has_trial=False), project.design)
    assert project.docket.trials == ()
    assert project.polls([GOOD]).docket.baseline.requests == 100


def test_a_docket_remembers_the_newest_restorations_alone() -> None:
    project = a_project(history=60)
    for _ in range(12):
        project.release().restore(0)
    assert project.docket.restorations == (10, 12, 14, 16, 18, 20, 22, 24)


@pytest.mark.parametrize("counts", [(0, 7), (-5, 0), (-5, 9), (3, -2), (3, 50)])
def test_impossible_counts_neither_raise_nor_decide(counts: tuple[int, int]) -> None:
    assert a_project(history=600).release().polls([counts]).held is Held.NOTHING
