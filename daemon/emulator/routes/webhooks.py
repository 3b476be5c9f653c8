"""Account webhooks. Source: Vercel OpenAPI, webhooks."""

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.delivery import require_loopback
from daemon.emulator.errors import bad_request
from daemon.emulator.fault_specs import RouteGroup
from daemon.emulator.webhooks import Webhook


def create(call: Call) -> Answer:
    """Make a webhook; its secret is shown this once. Source: Vercel OpenAPI, createWebhook."""
    team, body = call.account_team(), call.json_object()
    url = require_loopback(body.get("url"))
    events, project_ids = _texts(body, "events"), _texts(body, "projectIds")
    if events is None:
        raise bad_request("Invalid request: missing required property `events`.")
    for project_id in project_ids or ():
        call.reachable_project(project_id, team)
    webhook = call.deliveries.webhooks.create(team, url=url, events=events, project_ids=project_ids)
    return Answer(200, {**_shown(webhook), "secret": webhook.secret}, f"webhook {webhook.id} created")


def _texts(body: wire.Json, name: str) -> tuple[str, ...] | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise bad_request(f"Invalid request: `{name}` should be an array of strings.")
    return tuple(dict.fromkeys(value))


def list_all(call: Call) -> Answer:
    """Answer the team's webhooks, those of ``projectId`` only if it is given. Source: Vercel OpenAPI, getWebhooks."""
    wanted = call.query.get("projectId")
    found = call.deliveries.webhooks.of(call.account_team())
    shown = [item for item in found if wanted is None or item.project_ids is None or wanted in item.project_ids]
    return Answer(200, [_shown(item) for item in shown])


def show(call: Call) -> Answer:
    """Answer one webhook, without its secret."""
    return Answer(200, _shown(call.deliveries.webhooks.one(call.account_team(), call.path["webhook"])))


def delete(call: Call) -> Answer:
    """Delete a webhook: 204 with an empty body."""
    call.deliveries.webhooks.delete(call.account_team(), call.path["webhook"])
    return Answer(204, None, f"webhook {call.path['webhook']} deleted")


def _shown(webhook: Webhook) -> wire.Json:
    shown: wire.Json = {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.events),
        "ownerId": webhook.team_id,
        "createdAt": webhook.created_at_ms,
        "updatedAt": webhook.created_at_ms,
    }
    return shown if webhook.project_ids is None else {**shown, "projectIds": list(webhook.project_ids)}


ROUTES = (
    route(RouteGroup.WEBHOOKS, "POST", "/{v}/webhooks", create, versions="v1", mutating=True),
    route(RouteGroup.WEBHOOKS, "GET", "/{v}/webhooks", list_all, versions="v1"),
    route(RouteGroup.WEBHOOKS, "GET", "/{v}/webhooks/{webhook}", show, versions="v1"),
    route(RouteGroup.WEBHOOKS, "DELETE", "/{v}/webhooks/{webhook}", delete, versions="v1", mutating=True),
)
