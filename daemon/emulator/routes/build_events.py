"""Build events: the log of a build, as a list or as a stream that follows it until it is over."""

import json
from collections.abc import AsyncIterator

from daemon.emulator.build_log import Event, alias_event, build_events, state_event
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.errors import bad_request
from daemon.emulator.fault_specs import RouteGroup
from daemon.emulator.model import UNFINISHED, Deployment
from daemon.emulator.routes.deployments import found
from daemon.emulator.streams import STREAM_CONTENT_TYPE

FOLLOW_SECONDS_MAX = 3_000.0
FOLLOW_STEP_SECONDS = 0.1


def stream_events(call: Call) -> Answer:
    """Stream the log as the CLI reads it, one JSON object a line; without ``follow=1`` it ends at once.

    Source: Vercel CLI 64.0.2, inspect --logs and deploy.
    """
    deployment = found(call, call.path["deployment"])
    if call.query.get("follow") == "1":
        return Answer(200, content_type=STREAM_CONTENT_TYPE, stream=_followed(call, deployment, for_cli=True))
    return Answer(200, _lines(_chosen(call, deployment)), content_type=STREAM_CONTENT_TYPE)


def list_events(call: Call) -> Answer:
    """Answer the log as a JSON array, or stream it with ``follow=1``. Source: Vercel OpenAPI, getDeploymentEvents."""
    deployment = found(call, call.path["deployment"])
    if call.query.get("follow") == "1":
        return Answer(200, content_type=STREAM_CONTENT_TYPE, stream=_followed(call, deployment, for_cli=False))
    return Answer(200, [*_chosen(call, deployment), *_state(call, deployment)])


def _events(call: Call, deployment: Deployment) -> list[Event]:
    project = call.world.projects[deployment.project_id]
    return build_events(deployment, project, call.world.advance())


def _chosen(call: Call, deployment: Deployment) -> list[Event]:
    """Return the events that the query asks for: ``since``, ``until``, ``name``, ``direction``, ``limit``."""
    since, until = call.whole_number("since", None), call.whole_number("until", None)
    name, limit = call.query.get("name"), call.whole_number("limit", -1)
    assert limit is not None
    if limit < -1 or limit == 0:
        raise bad_request("Invalid request: `limit` should be -1 or above 0.")
    direction = call.query.get("direction") or "forward"
    if direction not in {"forward", "backward"}:
        raise bad_request("Invalid request: `direction` should be forward or backward.")
    wanted = [
        event
        for event in _events(call, deployment)
        if (since is None or event["created"] >= since)
        and (until is None or event["created"] <= until)
        and name in (None, "", event["info"]["name"])
    ]
    if direction == "backward":
        wanted.reverse()
    return wanted if limit == -1 else wanted[:limit]


def _state(call: Call, deployment: Deployment) -> list[Event]:
    """Return how the build ended, where ``delimiter=1`` asks for such events."""
    is_wanted = call.query.get("delimiter") == "1" and deployment.ready_state not in UNFINISHED
    return [state_event(deployment)] if is_wanted else []


async def _followed(call: Call, deployment: Deployment, *, for_cli: bool) -> AsyncIterator[str]:
    """Yield the lines of the log as they are written, until the build is over."""
    sent = 0
    since = call.whole_number("since", 0) or 0
    for _ in range(round(FOLLOW_SECONDS_MAX / FOLLOW_STEP_SECONDS)):
        events = _events(call, deployment)
        yield _lines([event for event in events[sent:] if event["created"] >= since])
        sent = len(events)
        if deployment.ready_state not in UNFINISHED:
            break
        await call.world.clock.sleep(FOLLOW_STEP_SECONDS)
    if deployment.ready_state in UNFINISHED:
        return
    yield _lines([alias_event(deployment)] if for_cli and deployment.ready_at_ms else _state(call, deployment))


def _lines(events: list[Event]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


ROUTES = (
    route(RouteGroup.EVENTS, "GET", "/{v}/now/deployments/{deployment}/events", stream_events, versions="v2|v3"),
    route(RouteGroup.EVENTS, "GET", "/{v}/deployments/{deployment}/events", list_events, versions="v2|v3"),
)
