"""Why a project is left alone, or not: every detector's gates in order, and how far the first one is from passing."""

from dataclasses import dataclass

from daemon.core.detector import Detector, Finding, Gate
from daemon.core.policy import Policy
from daemon.core.state import ProjectState


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one detector makes of the deployment that serves. `finding` is None before it saw any counts of it."""

    detector: Detector
    finding: Finding | None

    @property
    def first_failed(self) -> Gate | None:
        """The first condition that is not met; None when all are, and when nothing is known."""
        return next((gate for gate in self.finding.gates if not gate.passed), None) if self.finding else None


def judgements(state: ProjectState, policy: Policy) -> tuple[Judgement, ...]:
    """Return what each detector of *policy* last made of what serves production, those with a say first."""
    findings = state.watch(state.serving.id).findings if state.serving else {}
    ordered = sorted(policy.detectors, key=lambda one: one.dry_run or one.is_advisory)
    return tuple(Judgement(detector, findings.get(detector.name)) for detector in ordered)


def leading(state: ProjectState, policy: Policy) -> Judgement | None:
    """Return the judgement that a project's gauges show: the first with a say and a finding; None without one."""
    judged = [one for one in judgements(state, policy) if one.finding]
    heard = (one for one in judged if not (one.detector.dry_run or one.detector.is_advisory))
    return next(heard, None)


def margin(gate: Gate) -> float | None:
    """Return how far *gate* is from its threshold, as a share of the threshold: 0 and more when it passed, else less.

    -0.25 means that a quarter is missing. None when its value is not known.
    """
    if gate.value is None:
        return None
    scale = abs(gate.threshold) or 1.0
    distance = abs(gate.value - gate.threshold) / scale
    return distance if gate.passed else -distance
