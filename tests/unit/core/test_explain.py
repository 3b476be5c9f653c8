"""Every detector's gates in order, and how far the first one is from passing."""

from dataclasses import dataclass

import pytest

from daemon.core.detector import Finding, Gate, Verdict
from daemon.core.explain import judgements, leading, margin
from daemon.core.state import ProjectState, Watch
from tests.builders import BAD, PROJECT, a_policy, a_production

GATES = (
    Gate("traffic", 40, 20, passed=True),
    Gate("errors", 3, 5, passed=False),
    Gate("rate", None, 0.05, passed=False),
)


@dataclass(frozen=True, slots=True)
class Named:
    """As much of a detector as an explanation looks at."""

    name: str
    dry_run: bool = False
    is_advisory: bool = False


def a_state(*findings: Finding) -> ProjectState:
    watch = Watch(BAD.id, findings={one.detector: one for one in findings})
    return ProjectState(PROJECT, production=a_production(BAD), watches=(watch,))


def a_finding(detector: str, *gates: Gate) -> Finding:
    return Finding(detector, Verdict.INCONCLUSIVE, "", 40, 3, 0.05, gates=gates)


def test_detectors_with_a_say_come_first_and_one_without_counts_has_no_finding() -> None:
    policy = a_policy(detectors=(Named("dry", dry_run=True), Named("quiet"), Named("loud")))
    found = judgements(a_state(a_finding("dry"), a_finding("loud", *GATES)), policy)
    assert [one.detector.name for one in found] == ["quiet", "loud", "dry"]
    assert [one.finding is None for one in found] == [True, False, False]
    first = leading(a_state(a_finding("dry"), a_finding("loud", *GATES)), policy)
    assert first is not None
    assert (first.detector.name, first.first_failed) == ("loud", GATES[1])


def test_nothing_leads_where_nothing_serves_or_only_a_dry_run_found_something() -> None:
    policy = a_policy(detectors=(Named("dry", dry_run=True), Named("loud")))
    assert leading(ProjectState(PROJECT), policy) is None
    assert leading(a_state(a_finding("dry")), policy) is None
    assert all(one.first_failed is None for one in judgements(ProjectState(PROJECT), policy))


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        (Gate("g", 40, 20, passed=True), 1.0),
        (Gate("g", 20, 20, passed=True), 0.0),
        (Gate("g", 15, 20, passed=False), -0.25),
        # One that passes below its threshold, such as an age.
        (Gate("g", 30, 20, passed=False), -0.5),
        (Gate("g", 3, 0, passed=True), 3.0),
        (Gate("g", None, 20, passed=False), None),
    ],
)
def test_a_margin_is_a_share_of_the_threshold_and_negative_while_the_gate_fails(
    gate: Gate, expected: float | None
) -> None:
    assert margin(gate) == expected
