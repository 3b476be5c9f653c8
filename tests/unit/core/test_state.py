"""The state of a project: what it says when nothing is known, and that it stays bounded."""

from dataclasses import replace

from daemon.core.detector import Finding, Verdict
from daemon.core.facts import Activation, ActivationOrigin, DeploymentId
from daemon.core.state import ProjectState, Watch
from tests.builders import BAD, GOOD, PROJECT, START, a_breached_playbook, a_production


def test_before_the_first_look_nothing_serves() -> None:
    assert ProjectState(PROJECT).serving is None
    assert ProjectState(PROJECT, production=a_production(None)).serving is None
    assert ProjectState(PROJECT, production=a_production(GOOD)).serving == GOOD


def test_a_deployment_without_a_watch_gets_a_fresh_one() -> None:
    watch = ProjectState(PROJECT).watch(GOOD.id)
    assert watch == Watch(GOOD.id)


def test_the_newest_watch_replaces_the_one_before() -> None:
    state = ProjectState(PROJECT, watches=(Watch(GOOD.id), Watch(BAD.id)))
    watches = state.with_watch(Watch(GOOD.id, healthy_until=START))
    assert watches == (Watch(BAD.id), Watch(GOOD.id, healthy_until=START))


def test_what_never_served_gives_way_to_what_serves_or_is_a_suspect() -> None:
    state = replace(a_breached_playbook().state, activations=(Activation(GOOD, None, ActivationOrigin.FIRST_SEEN),))
    for number in range(50):
        state = replace(state, watches=state.with_watch(Watch(DeploymentId(f"dpl_{number}"))))
    kept = [watch.deployment for watch in state.watches]
    assert kept == [GOOD.id, BAD.id, *(f"dpl_{number}" for number in range(44, 50))]


def test_a_ratio_without_requests_is_unknown_and_not_zero() -> None:
    assert Finding("d", Verdict.INCONCLUSIVE, "", 0, 0, 0.1).error_ratio is None
    assert Finding("d", Verdict.BREACHING, "", 4, 1, 0.1).error_ratio == 0.25
