"""Learned sustain: from the five last deployments that were kept, and from nothing else."""

import pytest

from daemon.detectors.evidence.blips import learned_sustain
from daemon.detectors.evidence.trial import Held
from tests.unit.detectors.evidence.playing import DEAD, GOOD, Project, a_project


@pytest.mark.parametrize(
    ("blips", "sustain"),
    [
        ([], 90.0),
        ([10.0] * 4, 90.0),
        ([0.0] * 5, 30.0),
        ([24.0] * 5, 30.0),
        ([0.0, 0.0, 40.0, 0.0, 0.0], 50.0),
        ([0.0, 0.0, 300.0, 0.0, 0.0], 300.0),
        ([200.0, 0.0, 0.0, 0.0, 0.0, 0.0], 30.0),
    ],
)
def test_is_a_quarter_more_than_the_longest_of_the_last_five(blips: list[float], sustain: float) -> None:
    assert learned_sustain(blips) == sustain


def after(*deployments: list[tuple[int, int] | None], life: float = 1000.0) -> Project:
    project = a_project(sustain=None)
    for blip in deployments:
        project.release().polls(blip).seconds(life - 10.0 * len(blip))
    return project


def test_a_blip_is_the_time_from_the_activation_to_the_end_of_the_last_bucket_at_the_limit() -> None:
    project = after([GOOD, GOOD, DEAD, GOOD, (100, 2)])
    assert project.docket.blips == (50.0,)


def test_a_deployment_without_errors_has_a_blip_of_zero() -> None:
    assert after([GOOD]).docket.blips == (0.0,)


def test_five_are_remembered_and_the_next_trial_is_judged_by_them() -> None:
    project = after(*[[(100, 30)] * 6] * 6)
    assert project.docket.blips == (60.0,) * 5
    assert project.release().trial.sustain == 75.0


def test_four_are_not_enough() -> None:
    assert after(*[[(100, 30)] * 2] * 4).release().trial.sustain == 90.0


def test_errors_that_never_ended_by_themselves_count_as_none() -> None:
    project = after([(100, 3)] * 100, life=1000.0)
    assert project.docket.blips == ()
    assert project.release().docket.blips == (0.0,)


def test_errors_that_ended_after_the_window_are_a_blip_of_what_lay_inside() -> None:
    project = after([(100, 3)] * 95 + [GOOD] * 20, life=1200.0)
    assert project.docket.blips == (900.0,)


def test_what_was_rolled_back_teaches_nothing() -> None:
    project = a_project(sustain=None).release().polls([DEAD] * 4).restore(0).seconds(1000)
    assert project.docket.blips == ()
    project = a_project(sustain=None).release().seconds(800).polls([(100, 3)] * 20).restore(0)
    assert project.docket.blips == ()


def test_what_was_replaced_before_its_window_ended_teaches_nothing() -> None:
    assert a_project(sustain=None).release().seconds(890).release().docket.blips == ()
    assert a_project(sustain=None).release().seconds(900).release().docket.blips == (0.0,)


def test_what_served_when_we_came_and_what_nobody_visited_teach_nothing() -> None:
    assert a_project(sustain=None).docket.blips == ()
    assert a_project(sustain=None).release().seconds(5000, (0, 0)).release().docket.blips == ()


def test_a_short_learned_sustain_decides_sooner() -> None:
    project = after(*[[GOOD]] * 5).release().seconds(50, (100, 20))
    assert project.held is Held.NOTHING
    assert project.polls([(100, 20)]).held is Held.ROLLBACK
