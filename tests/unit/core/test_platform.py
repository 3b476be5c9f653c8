"""Whether the platform is to blame: the vote of those that nobody deployed, at each of its bounds."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from daemon.core.detector import Finding, Verdict
from daemon.core.facts import Activation, ActivationOrigin, Instant, Sighting
from daemon.core.platform import ONSETS_MIN, SUSPECTED_FOR, Vote, is_concerned, suspicion, vote_of
from daemon.core.state import HoldPeriod, ProjectState, Watch
from tests.builders import GOOD, MINUTE, PROJECT, START, a_policy, a_production

POLICY = a_policy()
NOW = Instant(START, 5_000.0)
SECOND = timedelta(seconds=1)


def votes(*onset_seconds: float, healthy: int = 0) -> list[Vote]:
    return [*(Vote(START + timedelta(seconds=one)) for one in onset_seconds), *([Vote(None)] * healthy)]


@pytest.mark.parametrize(
    ("cast", "is_suspected"),
    [
        ([], False),
        (votes(0, 10), False),
        (votes(0, 10, 20), True),
        (votes(0, 10, 20, healthy=12), True),
        (votes(0, 10, 20, healthy=13), False),
        (votes(0, 10, 20, 30, healthy=16), True),
        (votes(0, 60, 119.9), True),
        (votes(0, 60, 120), False),
        # Not the oldest onset opens the two minutes that count.
        (votes(-600, 0, 60, 119), True),
        (votes(-600, -300, 0, 300), False),
    ],
)
def test_I_18_three_and_a_fifth_of_the_votes_within_two_minutes(cast: list[Vote], *, is_suspected: bool) -> None:
    assert ONSETS_MIN == 3
    assert bool(suspicion(cast)) is is_suspected
    assert bool(suspicion(reversed(cast))) is is_suspected, "the order of votes means nothing"


def test_a_suspicion_says_how_many_of_how_many_and_since_when() -> None:
    assert suspicion(votes(0, 5, 65, healthy=2)) == (
        f"errors began on 3 of 5 projects without a recent deployment within 2 min of {START:%H:%M:%S} UTC"
    )


def a_state(
    *, deployed: timedelta | None, onset: datetime | None = None, counted: timedelta = timedelta()
) -> ProjectState:
    """Return a project whose production went live *deployed* ago and was counted *counted* ago."""
    finding = Finding("threshold", Verdict.INCONCLUSIVE, "", 100, 9, 0.05, onset_at=onset, onset_before=onset)
    sighting = Sighting(START - counted, NOW)
    at = None if deployed is None else START - deployed
    return ProjectState(
        PROJECT,
        production=a_production(GOOD),
        activations=(Activation(GOOD, at, ActivationOrigin.RELEASE),),
        watches=(Watch(GOOD.id, counted=sighting, findings={"threshold": finding}),),
    )


@pytest.mark.parametrize(
    ("deployed", "has_vote"), [(None, True), (15 * MINUTE, True), (15 * MINUTE - SECOND, False), (MINUTE, False)]
)
def test_I_18_what_was_just_deployed_does_not_vote(deployed: timedelta | None, *, has_vote: bool) -> None:
    vote = vote_of(a_state(deployed=deployed, onset=START), POLICY, NOW)
    assert vote == (Vote(START) if has_vote else None)


@pytest.mark.parametrize(("counted", "has_vote"), [(5 * MINUTE, True), (5 * MINUTE + SECOND, False)])
def test_whose_visitors_nobody_counted_lately_cannot_tell(counted: timedelta, *, has_vote: bool) -> None:
    vote = vote_of(a_state(deployed=None, counted=counted), POLICY, NOW)
    assert vote == (Vote(None) if has_vote else None)


@pytest.mark.parametrize("age", [MINUTE, 15 * MINUTE, 40 * MINUTE])
def test_trouble_counts_for_as_long_as_it_lasts(age: timedelta) -> None:
    assert vote_of(a_state(deployed=None, onset=START - age), POLICY, NOW) == Vote(START - age)


@pytest.mark.parametrize(("after", "has_vote"), [(15 * MINUTE - SECOND, False), (15 * MINUTE, True)])
def test_I_18_what_a_deployment_broke_soon_after_it_is_no_vote_however_long_it_goes_on(
    after: timedelta, *, has_vote: bool
) -> None:
    deployed = 60 * MINUTE
    vote = vote_of(a_state(deployed=deployed, onset=START - deployed + after), POLICY, NOW)
    assert (vote is not None) is has_vote


def test_a_project_of_which_nothing_is_known_has_no_vote_and_is_told_nothing() -> None:
    for state in (ProjectState(PROJECT), ProjectState(PROJECT, production=a_production(None))):
        assert vote_of(state, POLICY, NOW) is None
        assert not is_concerned(state, POLICY, NOW)
    uncounted = replace(a_state(deployed=None), watches=())
    assert vote_of(uncounted, POLICY, NOW) is None


def test_only_who_is_in_trouble_is_told_and_not_at_every_poll() -> None:
    assert not is_concerned(a_state(deployed=MINUTE), POLICY, NOW)
    state = a_state(deployed=MINUTE, onset=START)
    assert is_concerned(state, POLICY, NOW)
    half = SUSPECTED_FOR.total_seconds() / 2
    told = replace(state, platform=HoldPeriod(NOW.elapsed + half, ""))
    assert not is_concerned(told, POLICY, NOW)
    assert is_concerned(told, POLICY, replace(NOW, elapsed=NOW.elapsed + 1))
