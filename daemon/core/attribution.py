"""Whom to blame: the deployment that served at the onset, if the onset lies soon enough after it went live."""

from dataclasses import dataclass
from datetime import timedelta

from daemon.core.detector import Finding, Verdict
from daemon.core.facts import Activation, Deployment, DeploymentId
from daemon.core.guardrail import Reason
from daemon.core.policy import Policy
from daemon.core.state import ProjectState
from daemon.core.verdict import onset_of


@dataclass(frozen=True, slots=True)
class Attribution:
    """The suspect of a breach. `objection` is '' when the onset is the suspect's fault; else nobody may act on it."""

    suspect: Deployment
    finding: Finding
    reason: Reason = Reason.NONE
    objection: str = ""


def attribute(state: ProjectState, finding: Finding, policy: Policy) -> Attribution:
    """Return who is to blame for *finding*, which breaches on the deployment that serves now.

    A detector that follows production names its suspect itself; where the one before was in trouble as well, whose
    fault it is cannot be told all the same.

    In a train of deployments the fault is followed back while the one before was in trouble as well: the suspect is
    the first of them. It is not followed past a deployment that was healthy for a while, nor past a restored one. An
    onset before its activation, or later than the policy's window after it, is not its doing.
    """
    window = policy.attribution_window
    index = _newest_activation(state, finding.suspect)
    while index > 0 and finding.suspect is None and (earlier := _trouble_before(state, index, policy)):
        if earlier.verdict is not Verdict.BREACHING and _was_healthy(state, state.activations[index - 1]):
            return _doubt(state, index, finding)
        index, finding = index - 1, earlier
    if finding.suspect is not None and index > 0 and _trouble_before(state, index, policy):
        return _doubt(state, index, finding)
    activation = state.activations[index]
    reason, objection = _object(activation, finding, window=window)
    if finding.is_alert and not objection:
        reason, objection = Reason.SUSPECT_UNCLEAR, f"nothing clears {activation.deployment.id}, and nothing blames it"
    return Attribution(activation.deployment, finding, reason, objection)


def _newest_activation(state: ProjectState, suspect: DeploymentId | None) -> int:
    """Return the index of the newest activation of *suspect*; of what serves when it is None, or not on record."""
    last = len(state.activations) - 1
    return next((i for i in range(last, -1, -1) if state.activations[i].deployment.id == suspect), last)


def _doubt(state: ProjectState, index: int, finding: Finding) -> Attribution:
    """A bad window at the end of a healthy life, and no more: its fault or its successor's, nobody can tell."""
    suspect, before = state.activations[index].deployment, state.activations[index - 1].deployment
    objection = f"{before.id} had a bad window just before {suspect.id} went live: whose fault it is cannot be told"
    return Attribution(suspect, finding, Reason.SUSPECT_UNCLEAR, objection)


def _trouble_before(state: ProjectState, index: int, policy: Policy) -> Finding | None:
    """Return the trouble that the deployment of activation *index* took over from the one before; None: none."""
    activation = state.activations[index]
    if activation.origin.is_restoration or _has_healed(state, activation):
        return None
    earlier = onset_of(state.watch(state.activations[index - 1].deployment.id), policy)
    if earlier is None or earlier.onset_at is None or activation.at is None:
        return earlier
    return earlier if earlier.onset_at < activation.at else None


def _was_healthy(state: ProjectState, activation: Activation) -> bool:
    """Return whether the deployment was called healthy at any time since it went live."""
    healthy_until = state.watch(activation.deployment.id).healthy_until
    return healthy_until is not None and (activation.at is None or healthy_until > activation.at)


def _has_healed(state: ProjectState, activation: Activation) -> bool:
    """Return whether the deployment was called healthy since it went live: what came before was over then."""
    return activation.at is not None and _was_healthy(state, activation)


def _object(activation: Activation, finding: Finding, *, window: timedelta) -> tuple[Reason, str]:
    who = activation.deployment.id
    if activation.origin.is_restoration:
        return Reason.RESTORED_DEPLOYMENT, f"{who} was restored by a rollback; a rollback is never rolled back"
    if activation.at is None or finding.onset_at is None or finding.onset_before is None:
        return Reason.ACTIVATION_UNKNOWN, f"nobody knows since when {who} serves production"
    if finding.onset_before <= activation.at:
        return Reason.ONSET_OUTSIDE_WINDOW, f"errors began before {who} went live"
    if finding.onset_at >= activation.at + window:
        minutes = (finding.onset_at - activation.at).total_seconds() / 60
        return Reason.ONSET_OUTSIDE_WINDOW, f"errors began {minutes:.0f} min after {who} went live"
    return Reason.NONE, ""
