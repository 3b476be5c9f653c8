"""Attribution at its boundaries: the onset against activation and window, and how far a fault is followed back."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.core.attribution import attribute
from daemon.core.detector import Finding, Verdict
from daemon.core.facts import Activation, ActivationOrigin, Deployment
from daemon.core.guardrail import Reason
from daemon.core.state import ProjectState, Watch
from tests.builders import BAD, FIX, GOOD, MINUTE, PROJECT, START, a_policy

WINDOW = 15 * MINUTE
POLICY = a_policy(attribution_window=WINDOW)
SECOND = timedelta(seconds=1)


def a_finding(onset: datetime | None = START, **facts: Any) -> Finding:
    defaults: dict[str, Any] = {
        "onset_at": onset,
        "onset_before": onset + MINUTE if onset else None,
        "verdict": Verdict.BREACHING,
    }
    return Finding("threshold", sentence="", requests=100, errors=50, limit=0.05, **(defaults | facts))


def went_live(
    deployment: Deployment = BAD,
    at: datetime | None = START,
    origin: ActivationOrigin = ActivationOrigin.RELEASE,
) -> Activation:
    return Activation(deployment, at, origin)


def a_state(*activations: Activation, watches: tuple[Watch, ...] = ()) -> ProjectState:
    return ProjectState(PROJECT, activations=activations, watches=watches)


def in_trouble(deployment: Deployment, onset: datetime, healthy_until: datetime | None = None) -> Watch:
    finding = a_finding(onset, verdict=Verdict.INCONCLUSIVE)
    return Watch(deployment.id, healthy_until=healthy_until, findings={"threshold": finding})


@pytest.mark.parametrize(
    ("onset", "reason"),
    [
        (START - MINUTE - SECOND, Reason.ONSET_OUTSIDE_WINDOW),
        (START - MINUTE, Reason.ONSET_OUTSIDE_WINDOW),
        (START - MINUTE + SECOND, Reason.NONE),
        (START, Reason.NONE),
        (START + WINDOW - SECOND, Reason.NONE),
        (START + WINDOW, Reason.ONSET_OUTSIDE_WINDOW),
    ],
)
def test_I_06_the_onset_must_lie_in_the_suspects_own_window(onset: datetime, reason: Reason) -> None:
    attribution = attribute(a_state(went_live()), a_finding(onset), POLICY)
    assert attribution.suspect == BAD
    assert attribution.reason is reason
    assert bool(attribution.objection) is (reason is not Reason.NONE)


@pytest.mark.parametrize(("at", "onset"), [(None, START), (START, None)])
def test_what_nothing_dates_is_nobodys_fault(at: datetime | None, onset: datetime | None) -> None:
    attribution = attribute(a_state(went_live(at=at)), a_finding(onset), POLICY)
    assert attribution.reason is Reason.ACTIVATION_UNKNOWN


@pytest.mark.parametrize("origin", [ActivationOrigin.OUR_ROLLBACK, ActivationOrigin.FOREIGN_ROLLBACK])
def test_a_restored_deployment_is_no_suspect(origin: ActivationOrigin) -> None:
    attribution = attribute(a_state(went_live(origin=origin)), a_finding(), POLICY)
    assert attribution.reason is Reason.RESTORED_DEPLOYMENT


@pytest.mark.parametrize(
    ("earlier_onset", "suspect"), [(START - SECOND, BAD), (START, FIX)], ids=["before the handover", "at the handover"]
)
def test_I_06_a_fault_is_followed_back_to_the_one_that_had_it_first(
    earlier_onset: datetime, suspect: Deployment
) -> None:
    state = a_state(went_live(BAD, START - 5 * MINUTE), went_live(FIX), watches=(in_trouble(BAD, earlier_onset),))
    assert attribute(state, a_finding(), POLICY).suspect == suspect


def test_a_fault_is_followed_back_over_several_deployments() -> None:
    watches = (in_trouble(GOOD, START - 9 * MINUTE), in_trouble(BAD, START - 5 * MINUTE))
    state = a_state(
        went_live(GOOD, START - 10 * MINUTE), went_live(BAD, START - 5 * MINUTE), went_live(FIX), watches=watches
    )
    attribution = attribute(state, a_finding(), POLICY)
    assert attribution.suspect == GOOD
    assert attribution.finding.onset_at == START - 9 * MINUTE
    assert attribution.reason is Reason.NONE


@pytest.mark.parametrize(("healthy_until", "suspect"), [(START, BAD), (START + SECOND, FIX)])
def test_a_fault_is_not_followed_past_a_deployment_that_was_healthy(
    healthy_until: datetime, suspect: Deployment
) -> None:
    watches = (in_trouble(BAD, START - MINUTE), Watch(FIX.id, healthy_until=healthy_until))
    state = a_state(went_live(BAD, START - 5 * MINUTE), went_live(FIX), watches=watches)
    assert attribute(state, a_finding(START + 3 * MINUTE), POLICY).suspect == suspect


def test_a_fault_is_not_followed_past_a_restored_deployment() -> None:
    restored = went_live(GOOD, START, ActivationOrigin.FOREIGN_ROLLBACK)
    state = a_state(went_live(BAD, START - 5 * MINUTE), restored, watches=(in_trouble(BAD, START - MINUTE),))
    attribution = attribute(state, a_finding(START + MINUTE), POLICY)
    assert (attribution.suspect, attribution.reason) == (GOOD, Reason.RESTORED_DEPLOYMENT)


def test_where_the_handover_has_no_date_the_earlier_trouble_is_taken_as_the_same() -> None:
    state = a_state(went_live(BAD, START - MINUTE), went_live(FIX, None), watches=(in_trouble(BAD, START),))
    assert attribute(state, a_finding(), POLICY).suspect == BAD


def test_a_detector_that_follows_production_names_the_suspect_itself() -> None:
    served = a_state(went_live(GOOD, START), went_live(BAD, START + 3 * MINUTE), went_live(FIX, START + 6 * MINUTE))
    attribution = attribute(served, a_finding(START + 4 * MINUTE, suspect=BAD.id), POLICY)
    assert (attribution.suspect, attribution.objection) == (BAD, "")
    late = attribute(served, a_finding(START + 3 * MINUTE + WINDOW, suspect=BAD.id), POLICY)
    assert (late.suspect, late.reason) == (BAD, Reason.ONSET_OUTSIDE_WINDOW)


def test_a_suspect_that_is_not_on_record_leaves_what_serves_to_answer() -> None:
    attribution = attribute(a_state(went_live(FIX)), a_finding(suspect=BAD.id), POLICY)
    assert attribution.suspect == FIX
