"""Vercel's webhooks as facts: what happened to which project, and when. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AliasChoices, AliasPath, Field, StrictStr, StringConstraints
from pydantic_core import from_json

from daemon.core.facts import DeploymentId, ProjectId
from daemon.ports.errors import Unintelligible
from daemon.vercel.wire import Milliseconds, Name, WireModel, understand

WHAT = "webhook"


@dataclass(frozen=True, slots=True)
class Promoted:
    """Production was moved to a deployment, by hand or by auto-assignment; told after it moved."""

    project: ProjectId
    deployment: DeploymentId
    at: datetime


@dataclass(frozen=True, slots=True)
class RollbackRequested:
    """Somebody asked for a rollback, we or another; told when it was accepted, perhaps before production moves.

    `from_deployment` and `user` are None where they were not said.
    """

    project: ProjectId
    from_deployment: DeploymentId | None
    to_deployment: DeploymentId
    user: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Succeeded:
    """A production build is ready, its blocking checks included; it need not serve."""

    project: ProjectId
    deployment: DeploymentId
    at: datetime


class ReleaseChange(StrEnum):
    """What became of a rolling release. Source: Vercel OpenAPI, createWebhook `project.rolling-release.*`."""

    STARTED = "started"
    APPROVED = "approved"
    COMPLETED = "completed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class ReleaseChanged:
    """A rolling release began, went on or ended. Its deployments are None where they were not said."""

    project: ProjectId
    change: ReleaseChange
    base: DeploymentId | None
    canary: DeploymentId | None
    at: datetime


@dataclass(frozen=True, slots=True)
class AlertTriggered:
    """Vercel raised an alert of its own. `project` is None where the payload, which nobody documents, names none."""

    project: ProjectId | None
    at: datetime


Told = Promoted | RollbackRequested | Succeeded | ReleaseChanged | AlertTriggered


@dataclass(frozen=True, slots=True)
class Webhook:
    """One delivery. `id` is the same when it is delivered again; `told` is None for what does not concern us."""

    id: str
    type: str
    at: datetime
    told: Told | None


class _Envelope(WireModel):
    """Source: Vercel docs, Webhooks API, "Payload"."""

    type: Annotated[StrictStr, StringConstraints(min_length=1, max_length=200)]
    id: Annotated[StrictStr, StringConstraints(min_length=1, max_length=200)]
    at: Milliseconds = Field(alias="createdAt")
    payload: Any = None


class _DeploymentPayload(WireModel):
    """Source: Vercel docs, Webhooks API, deployment.*; `target` is None for a preview, or "staging"."""

    project: Name = Field(validation_alias=AliasPath("project", "id"))
    deployment: Name = Field(validation_alias=AliasPath("deployment", "id"))
    target: StrictStr | None = None


class _RollbackPayload(WireModel):
    """Source: Vercel docs, Webhooks API, deployment.rollback."""

    project: Name = Field(validation_alias=AliasPath("project", "id"))
    from_deployment: Name | None = Field(None, alias="fromDeploymentId")
    to_deployment: Name = Field(alias="toDeploymentId")
    user: Name | None = Field(None, validation_alias=AliasPath("user", "id"))


class _ReleasePayload(WireModel):
    """Source: none of Vercel's; third parties that saw it."""

    project: Name = Field(validation_alias=AliasChoices("projectId", AliasPath("project", "id")))
    base: Name | None = Field(None, validation_alias=AliasPath("rollingRelease", "default", "baseDeploymentId"))
    canary: Name | None = Field(None, validation_alias=AliasPath("rollingRelease", "default", "targetDeploymentId"))


class _AlertPayload(WireModel):
    """Source: none; these are the places where others' payloads have the project."""

    project: Name = Field(
        validation_alias=AliasChoices("projectId", AliasPath("project", "id"), AliasPath("group", "projectId"))
    )


def parse_webhook(body: bytes) -> Webhook:
    """Return what *body* tells. Raises Unintelligible for what is no webhook, or lacks what it is about."""
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Unintelligible(f"{WHAT}: not JSON; taken as none") from error
    envelope = understand(_Envelope, document, what=WHAT)
    tell = _TELL.get(envelope.type)
    told = tell(envelope.payload, envelope.at) if tell else None
    return Webhook(envelope.id, envelope.type, envelope.at, told)


def _tell_promoted(payload: object, at: datetime) -> Told | None:
    found = understand(_DeploymentPayload, payload, what=WHAT)
    # What is promoted to another environment names it; production need not be repeated.
    is_production = found.target in (None, "production")
    return Promoted(ProjectId(found.project), DeploymentId(found.deployment), at) if is_production else None


def _tell_succeeded(payload: object, at: datetime) -> Told | None:
    found = understand(_DeploymentPayload, payload, what=WHAT)
    is_production = found.target == "production"
    return Succeeded(ProjectId(found.project), DeploymentId(found.deployment), at) if is_production else None


def _tell_rollback(payload: object, at: datetime) -> Told:
    found = understand(_RollbackPayload, payload, what=WHAT)
    left = DeploymentId(found.from_deployment) if found.from_deployment else None
    return RollbackRequested(ProjectId(found.project), left, DeploymentId(found.to_deployment), found.user, at)


def _tell_alert(payload: object, at: datetime) -> Told:
    try:
        project = ProjectId(understand(_AlertPayload, payload, what=WHAT).project)
    except Unintelligible:
        # Nobody documents the payload; that there is an alert is worth knowing without it.
        project = None
    return AlertTriggered(project, at)


def _release_teller(change: ReleaseChange) -> Callable[[object, datetime], Told]:
    def tell(payload: object, at: datetime) -> Told:
        found = understand(_ReleasePayload, payload, what=WHAT)
        base, canary = (DeploymentId(one) if one else None for one in (found.base, found.canary))
        return ReleaseChanged(ProjectId(found.project), change, base, canary, at)

    return tell


_TELL: Mapping[str, Callable[[object, datetime], Told | None]] = {
    "deployment.promoted": _tell_promoted,
    "deployment.rollback": _tell_rollback,
    "deployment.succeeded": _tell_succeeded,
    "alerts.triggered": _tell_alert,
    **{f"project.rolling-release.{change}": _release_teller(change) for change in ReleaseChange},
}
EVENTS_WANTED = tuple(sorted(_TELL))
"""The events that a webhook should be subscribed to; others are answered and counted."""
