"""One route that fails: it is found, rolled back for, and recovery is that route's own, never the other routes'."""

from typing import Any

import pytest

from daemon.core.command import RollBack
from daemon.core.event import RollbackAccepted
from daemon.core.facts import Deployment, ErrorRateSample, RouteCounts
from daemon.core.incident import State
from daemon.detectors.threshold import Threshold
from tests.builders import BAD, GOOD, Playbook, a_policy, a_sample

RULE = Threshold(breaches_min=2, windows=3, per_route=True)
Counts = dict[str, tuple[int, int]]
CALM: Counts = {"/": (4000, 0), "/pay": (100, 0)}
FAILING: Counts = {"/": (4000, 0), "/pay": (100, 30)}


def told(play: Playbook, deployment: Deployment, counts: Counts, n: int = 1, *, by_route: bool = True) -> Playbook:
    """Let *n* minutes pass in which *deployment* answers so many requests of each route."""
    for _ in range(n):
        start = play.moment.at
        play.after(60).cycle(a_counted_sample(deployment, counts, by_route=by_route, start=start))
    return play


def a_counted_sample(deployment: Deployment, counts: Counts, *, by_route: bool, **facts: Any) -> ErrorRateSample:
    routes = tuple(RouteCounts(route, *one) for route, one in counts.items())
    return a_sample(
        deployment,
        requests=sum(requests for requests, _ in counts.values()),
        errors=sum(errors for _, errors in counts.values()),
        routes=routes if by_route else (),
        **facts,
    )


def a_restored_playbook() -> Playbook:
    """Return a playbook in which production is back on good, for one route that failed on bad."""
    play = told(Playbook(a_policy(detectors=(RULE,))), GOOD, CALM, 3).serves(BAD).production()
    told(play, BAD, FAILING, 2).targets_listed().preflight()
    assert play.count(RollBack) == 1
    play.happens(RollbackAccepted).job()
    play.after(3).serves(GOOD).production()
    play.expect_state(State.VERIFYING)
    return play


def test_one_route_that_fails_is_enough_for_a_rollback_and_names_itself() -> None:
    play = a_restored_playbook()
    assert (play.incident.suspect, play.incident.finding.route) == (BAD, "/pay")
    assert (play.incident.finding.requests, play.incident.finding.errors) == (100, 30)
    assert "route /pay: 30 of 100 requests failed" in play.incident.finding.sentence


def test_recovery_is_the_routes_own() -> None:
    play = told(a_restored_playbook(), GOOD, CALM, 1)
    assert play.incident.recovery is not None
    assert play.incident.recovery.requests == 100
    told(play, GOOD, CALM, 5).expect_state(State.RESOLVED)
    # Forty times as many requests to other routes do not prove that this one is well.
    told(a_restored_playbook(), GOOD, FAILING, 6).expect_state(State.ESCALATED)


@pytest.mark.parametrize("counts", [{"/": (4000, 0)}, {"/": (4000, 0), "(other)": (100, 0)}])
def test_without_the_routes_counts_nobody_knows_whether_it_helped(counts: Counts) -> None:
    play = told(a_restored_playbook(), GOOD, counts, 8)
    play.expect_state(State.VERIFYING)
    told(play, GOOD, counts, 3).expect_state(State.ESCALATED)
    assert "recovery is not proved" in play.ending
    told(play := a_restored_playbook(), GOOD, CALM, 8, by_route=False)
    play.expect_state(State.VERIFYING)


def test_the_counts_of_another_route_are_not_taken_for_those_of_the_suspects() -> None:
    play = told(Playbook(a_policy(detectors=(RULE,))), GOOD, CALM, 3).serves(BAD).production()
    told(play, BAD, FAILING, 2)
    worse: Counts = {"/": (4000, 0), "/pay": (100, 30), "/cart": (100, 90)}
    told(play, BAD, worse, 2)
    assert play.state.watch(BAD.id).findings["threshold"].route == "/cart"
    play.targets_listed().preflight()
    play.happens(RollbackAccepted).job()
    play.after(3).serves(GOOD).production()
    assert (play.incident.finding.route, play.incident.finding.errors) == ("/pay", 30)
