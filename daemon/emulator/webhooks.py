"""Account webhooks: who wants to hear of which event, and the signed envelope in which it travels."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.emulator import wire
from daemon.emulator.delivery import SIGNATURE_HEADER, Outbox, Parcel, backoff_ms, signature
from daemon.emulator.durations import DAY_MS, HOUR_MS
from daemon.emulator.entitlements import require_paid
from daemon.emulator.errors import bad_request, not_found
from daemon.emulator.events import WorldEvent
from daemon.emulator.identifiers import base62
from daemon.emulator.model import Deployment, Team
from daemon.emulator.rolling import Release
from daemon.emulator.world import World

WEBHOOKS_MOST = 20
"""Source: Vercel docs, Webhooks: up to 20 custom webhooks a team."""
FIRST_RETRY_MS = 1_000
LONGEST_RETRY_MS = HOUR_MS
GIVEN_UP_AFTER_MS = DAY_MS
"""Source: Vercel docs, Webhooks API: retried with exponential backoff for up to 24 hours."""

SENT = frozenset(
    {
        "deployment.created",
        "deployment.ready",
        "deployment.succeeded",
        "deployment.error",
        "deployment.canceled",
        "deployment.promoted",
        "deployment.rollback",
        "project.rolling-release.started",
        "project.rolling-release.approved",
        "project.rolling-release.completed",
        "project.rolling-release.aborted",
        "alerts.triggered",
    }
)
"""The events that the emulated world knows."""

NEVER_SENT = frozenset(
    {
        "deployment.blocked",
        "deployment.build-requested",
        "deployment.cleanup",
        "deployment.checks.failed",
        "deployment.checks.succeeded",
        "firewall.attack",
        "observability.anomaly",
        "observability.anomaly-error",
        "observability.error-anomaly",
        "observability.usage-anomaly",
        "project.created",
        "project.removed",
        "project.renamed",
        "project.env-variable.created",
        "project.env-variable.deleted",
        "project.env-variable.updated",
        "test-webhook",
    }
)
"""Events that may be subscribed to and never come. Source: Vercel OpenAPI, createWebhook, events."""


@dataclass(slots=True)
class Webhook:
    """One subscription. ``project_ids`` None: every project of the team."""

    id: str
    team_id: str
    url: str
    events: tuple[str, ...]
    project_ids: tuple[str, ...] | None
    secret: str
    created_at_ms: int

    def next_attempt_ms(self, attempts: int, *, age_ms: int) -> int | None:
        """Return the wait before the next attempt; None after a day."""
        if age_ms >= GIVEN_UP_AFTER_MS:
            return None
        return backoff_ms(attempts, first_ms=FIRST_RETRY_MS, most_ms=LONGEST_RETRY_MS)

    def hear(self, *, delivered: bool, at_ms: int) -> None:
        """Take no note: a webhook has no state of health."""

    def wants(self, event: WorldEvent) -> bool:
        """Tell whether *event* is one that was subscribed to."""
        concerns = self.project_ids is None or event.project.id in self.project_ids
        return event.kind in self.events and event.project.team_id == self.team_id and concerns


class Webhooks:
    """Every webhook of a world; listens to its events."""

    def __init__(self, world: World, outbox: Outbox) -> None:
        """Begin with no webhook."""
        self._world = world
        self._outbox = outbox
        self._webhooks: dict[str, Webhook] = {}
        self._created = 0
        self._sent = 0
        world.events.listen(self._hear)

    @property
    def is_any(self) -> bool:
        """Tell whether there is a webhook."""
        return bool(self._webhooks)

    def create(self, team: Team, *, url: str, events: tuple[str, ...], project_ids: tuple[str, ...] | None) -> Webhook:
        """Make a webhook; on the hobby plan it is a 402, an unknown event or one too many a 400."""
        require_paid(team, "Webhooks")
        unknown = sorted(set(events) - SENT - NEVER_SENT)
        if unknown or not events:
            raise bad_request(f"Invalid request: `events` has no event {unknown[0] if unknown else 'at all'}.")
        if len(self.of(team)) >= WEBHOOKS_MOST:
            raise bad_request(f"You have reached the limit of {WEBHOOKS_MOST} webhooks.")
        self._created += 1
        number = self._created
        webhook = Webhook(
            id="account_hook_" + base62("webhook", team.id, number, length=24),
            team_id=team.id,
            url=url,
            events=events,
            project_ids=project_ids,
            secret=base62("webhook-secret", team.id, number, self._world.scenario.seed, length=24),
            created_at_ms=self._world.now_ms,
        )
        self._webhooks[webhook.id] = webhook
        return webhook

    def of(self, team: Team) -> list[Webhook]:
        """Return the webhooks of *team*, oldest first."""
        return [webhook for webhook in self._webhooks.values() if webhook.team_id == team.id]

    def subscribed_since(self, kind: str) -> dict[str, int]:
        """Return the ids of the projects of which somebody wants events of *kind*, and since when."""
        since: dict[str, int] = {}
        for webhook in self._webhooks.values():
            if kind not in webhook.events:
                continue
            everything = (item.id for item in self._world.projects_of(self._world.teams[webhook.team_id]))
            for project_id in everything if webhook.project_ids is None else webhook.project_ids:
                since[project_id] = min(since.get(project_id, webhook.created_at_ms), webhook.created_at_ms)
        return since

    def one(self, team: Team, webhook_id: str) -> Webhook:
        """Return one webhook of *team*; an unknown one is a 404."""
        webhook = self._webhooks.get(webhook_id)
        if webhook is None or webhook.team_id != team.id:
            raise not_found("Webhook not found.")
        return webhook

    def delete(self, team: Team, webhook_id: str) -> None:
        """Delete a webhook; what waits for it in the outbox still goes out."""
        del self._webhooks[self.one(team, webhook_id).id]

    def _hear(self, event: WorldEvent) -> None:
        wanting = [webhook for webhook in self._webhooks.values() if webhook.wants(event)]
        if not wanting:
            return
        self._sent += 1
        event_id = base62("event", self._world.start_ms, self._sent, length=24)
        body = json.dumps(envelope(self._world, event, event_id)).encode()
        for webhook in wanting:
            headers = {"content-type": "application/json", SIGNATURE_HEADER: signature(webhook.secret, body)}
            self._outbox.put(Parcel(event_id, webhook, webhook.url, headers, body, event.at_ms, event.at_ms))


def envelope(world: World, event: WorldEvent, event_id: str) -> wire.Json:
    """Return what is sent. Source: Vercel docs, Webhooks API, "Payload"."""
    payload = _PAYLOADS.get(event.kind, _deployment_payload)(world, event)
    return {"type": event.kind, "id": event_id, "createdAt": event.at_ms, "region": None, "payload": payload}


def _deployment_payload(world: World, event: WorldEvent) -> wire.Json:
    facts = event.deployment
    assert facts is not None, f"{event.kind} is about a deployment"
    whole = wire.deployment(world, facts)
    return {
        **_owners(world, event),
        "deployment": {"id": facts.id, "meta": whole["meta"], "url": facts.url, "name": event.project.name},
        "links": {"deployment": whole["inspectorUrl"], "project": whole["inspectorUrl"].rpartition("/")[0]},
        "target": whole["target"],
        "plan": whole["plan"],
        "regions": whole["regions"],
    }


def _rollback_payload(world: World, event: WorldEvent) -> wire.Json:
    target: Deployment | None = event.deployment
    assert target is not None
    return {**_owners(world, event), "fromDeploymentId": event.details.get("from"), "toDeploymentId": target.id}


def _release_payload(world: World, event: WorldEvent) -> wire.Json:
    """Return the payload that others saw live; Vercel documents none."""
    release: Release = event.details["release"]
    return {
        **_owners(world, event),
        "projectId": event.project.id,
        "projectName": event.project.name,
        "rollingRelease": {
            "state": release.state.value,
            "activeStageIndex": release.stage_index,
            "default": {
                "baseDeploymentId": release.base_id,
                "targetDeploymentId": release.canary_id,
                "targetPercentage": release.stage.percentage,
                "targetStartAt": release.started_at_ms,
                "targetUpdatedAt": release.updated_at_ms,
            },
        },
    }


def _alert_payload(world: World, event: WorldEvent) -> wire.Json:
    """Return a guess: no document and no observer shows this payload, so a knob chooses between two."""
    group: Mapping[str, Any] = event.details.get("group", {})
    shown = {"id": group.get("id")} if world.knobs.alerts_payload == "minimal" else dict(group)
    return {**_owners(world, event), "projectId": event.project.id, "group": shown}


def _owners(world: World, event: WorldEvent) -> wire.Json:
    return {"team": {"id": event.project.team_id}, "user": {"id": world.user.id}, "project": {"id": event.project.id}}


_PAYLOADS: Mapping[str, Callable[[World, WorldEvent], wire.Json]] = {
    "deployment.rollback": _rollback_payload,
    "alerts.triggered": _alert_payload,
    **{kind: _release_payload for kind in SENT if kind.startswith("project.rolling-release.")},
}
