"""Which deployment to go back to. Vercel does not choose: `vercel rollback` without a target only shows a status."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.core.facts import Activation, AliasJob, Deployment, DeploymentId, ReadyState, ReadySubstate
from daemon.core.state import KnownBad


@dataclass(frozen=True, slots=True)
class NoTarget:
    """Nothing is eligible: the sentence says why each candidate fell."""

    sentence: str


def choose_rollback_target(
    candidates: Sequence[Deployment],
    *,
    suspect: Deployment,
    serving: DeploymentId,
    activations: Sequence[Activation],
    known_bad: Sequence[KnownBad],
    alias_job: AliasJob | None = None,
) -> Deployment | NoTarget:
    """Return the deployment to go back to, or why there is none; the platform's order of *candidates* means nothing.

    Preferred is what served just before the suspect, on record; else the newest build older than the suspect.
    Eligible is only what Vercel calls a rollback candidate: READY, production, PROMOTED (it has served before).
    Source: Vercel docs, Instant Rollback, "Eligible deployments"; Vercel OpenAPI, `isRollbackCandidate`.
    """
    objections = {
        candidate.id: _object(candidate, suspect=suspect, serving=serving, activations=activations, known_bad=known_bad)
        for candidate in candidates
    }
    eligible = {candidate.id: candidate for candidate in candidates if not objections[candidate.id]}
    for deployment in served_before(suspect, activations, alias_job):
        if deployment in eligible:
            return eligible[deployment]
    if eligible:
        return max(eligible.values(), key=lambda candidate: candidate.created_at)
    return NoTarget(_explain(objections))


def served_before(
    suspect: Deployment, activations: Sequence[Activation], alias_job: AliasJob | None
) -> list[DeploymentId]:
    """Return what served before the suspect, newest first: by our own record, else by the job that moved it."""
    positions = [index for index, one in enumerate(activations) if one.deployment.id == suspect.id]
    before = [one.deployment.id for one in reversed(activations[: positions[-1]])] if positions else []
    if alias_job and alias_job.to_deployment == suspect.id and alias_job.from_deployment and not before:
        return [alias_job.from_deployment]
    return before


def _object(
    candidate: Deployment,
    *,
    suspect: Deployment,
    serving: DeploymentId,
    activations: Sequence[Activation],
    known_bad: Sequence[KnownBad],
) -> str:
    """Return why *candidate* cannot be the target, or ''."""
    if candidate.id in (serving, suspect.id):
        return "serves now" if candidate.id == serving else "is the suspect"
    if candidate.project != suspect.project:
        return "belongs to another project"
    if not candidate.is_production or candidate.ready_state is not ReadyState.READY:
        return "is not a ready production build"
    if candidate.ready_substate is not ReadySubstate.PROMOTED or not candidate.is_rollback_candidate:
        return "never served production, or Vercel does not offer it for rollback"
    if any(candidate.id == bad.deployment for bad in known_bad):
        return "was rolled back from"
    if candidate.created_at >= suspect.created_at:
        return "is newer than the suspect"
    if _served_cleanly(candidate.id, activations):
        return ""
    if candidate.commit_sha and candidate.commit_sha == suspect.commit_sha:
        return "has the suspect's commit"
    if candidate.commit_sha and any(candidate.commit_sha == bad.commit_sha for bad in known_bad):
        return "has a known bad commit"
    return ""


def _served_cleanly(deployment: DeploymentId, activations: Sequence[Activation]) -> bool:
    """Return whether we saw it serve: known bad ones were sorted out before, so what we saw was clean."""
    return any(one.deployment.id == deployment for one in activations)


def _explain(objections: dict[DeploymentId, str]) -> str:
    if not objections:
        return "Vercel offers no deployment to roll back to"
    fallen = "; ".join(f"{one} {objection}" for one, objection in objections.items())
    return f"none of {len(objections)} candidates is eligible: {fallen}"
