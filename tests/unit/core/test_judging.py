"""Which detector sees which samples: each deployment's own, or those of whatever serves production."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from daemon.core.detector import Finding, Verdict
from daemon.core.event import PastRecalled
from daemon.core.facts import Activation, ActivationOrigin, Deployment, DeploymentId, ErrorRateSample
from daemon.core.state import ProjectState
from tests.builders import BAD, FIX, GOOD, MINUTE, START, Playbook, a_policy, a_production, a_sample

SEEN = tuple[DeploymentId, ...]


@dataclass(frozen=True, slots=True)
class Onlooker:
    """A detector whose memory is the deployments that it saw samples of."""

    name: str
    follows_production: bool
    rule: str = "nothing"
    needs_requests: bool = False
    dry_run: bool = False
    is_advisory: bool = False
    wants_routes: bool = False
    wants_kinds: bool = False

    def begin(self) -> SEEN:
        return ()

    def learn(self, memory: SEEN, samples: Sequence[ErrorRateSample]) -> SEEN:
        return (*memory, *(DeploymentId(f"past {one.deployment}") for one in samples))

    def update(self, memory: SEEN, sample: ErrorRateSample, activations: Sequence[Activation]) -> tuple[SEEN, Finding]:
        assert activations, "whoever is judged serves"
        finding = Finding(self.name, Verdict.HEALTHY, f"{len(memory)} before", sample.requests, sample.errors, 0.05)
        return (*memory, sample.deployment), finding


def went_live(deployment: Deployment, minute: int | None) -> Activation:
    at = None if minute is None else START + minute * MINUTE
    return Activation(deployment, at, ActivationOrigin.RELEASE)


def after(*samples: ErrorRateSample, activations: tuple[Activation, ...], **policy: Any) -> ProjectState:
    detectors = (Onlooker("own", follows_production=False), Onlooker("whole", follows_production=True))
    play = Playbook(a_policy(detectors=detectors, **policy), world=a_production(activations[-1].deployment))
    serving = activations[-1].deployment
    play.state = replace(play.state, production=a_production(serving), activations=activations)
    return play.after(600).cycle(*samples).state


def minute(deployment: Deployment, number: int) -> ErrorRateSample:
    return a_sample(deployment, start=START + number * MINUTE)


RELEASED = (went_live(GOOD, None), went_live(BAD, 2), went_live(FIX, 4))


def test_a_detector_that_follows_production_sees_whatever_serves_in_its_time() -> None:
    told = [minute(GOOD, 1), minute(BAD, 1), minute(GOOD, 2), minute(BAD, 3), minute(FIX, 3), minute(FIX, 5)]
    state = after(*told, activations=RELEASED)
    assert state.memories == {"whole": (GOOD.id, BAD.id, FIX.id)}


def test_the_bucket_in_which_production_moves_is_of_both() -> None:
    moved = (went_live(GOOD, None), replace(went_live(BAD, 2), at=START + 2.5 * MINUTE))
    assert after(minute(GOOD, 2), minute(BAD, 2), activations=moved).memories == {"whole": (GOOD.id, BAD.id)}


def test_every_other_detector_has_a_memory_for_each_deployment_serving_or_not() -> None:
    state = after(minute(GOOD, 3), minute(BAD, 3), minute(OTHER, 3), activations=RELEASED)
    assert state.watch(GOOD.id).memories == {"own": (GOOD.id,)}
    assert state.watch(OTHER.id).memories == {"own": (OTHER.id,)}
    assert set(state.watch(GOOD.id).findings) == {"own"}
    assert set(state.watch(BAD.id).findings) == {"own", "whole"}


def test_what_a_detector_remembered_goes_when_the_policy_no_longer_names_it() -> None:
    state = after(minute(BAD, 3), activations=RELEASED)
    play = Playbook(a_policy(), state=state, world=a_production(FIX), seconds=660).cycle(minute(FIX, 10))
    assert play.state.memories == {}
    assert set(play.state.watch(FIX.id).memories) == {"threshold"}


def test_what_was_before_is_learned_once_by_those_that_follow_production() -> None:
    detectors = (Onlooker("own", follows_production=False), Onlooker("whole", follows_production=True))
    play = Playbook(a_policy(detectors=detectors))
    play.happens(PastRecalled, source="test", samples=(minute(GOOD, 0),))
    assert play.state.memories == {"whole": (f"past {GOOD.id}",)}
    play.happens(PastRecalled, source="test", samples=(minute(GOOD, 0), minute(BAD, 0)))
    assert play.state.memories == {"whole": (f"past {GOOD.id}",)}
    assert play.state.is_past_known


OTHER = replace(FIX, id=DeploymentId("dpl_other"))
