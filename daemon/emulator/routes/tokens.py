"""The token as it sees itself: ``GET /v5/user/tokens/current``."""

import hashlib

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.errors import not_found
from daemon.emulator.fault_specs import RouteGroup


def show_token(call: Call) -> Answer:
    """Answer what the token is; a project-scoped one, which has no user, is not found. Only ``current`` is known.

    Source: Vercel OpenAPI, getAuthToken.
    """
    if call.token.projects is not None or call.path["token"] not in ("current", _id(call)):
        raise not_found("Token not found.")
    return Answer(200, {"token": _token(call)})


def _id(call: Call) -> str:
    return hashlib.sha256(call.token.value.encode()).hexdigest()


def _token(call: Call) -> wire.Json:
    world, token = call.world, call.token
    created_at_ms = world.team.created_at_ms
    team = None if token.team is None else call.team_named(token.team)
    scope = {"type": "user"} if team is None else {"type": "team", "teamId": team.id}
    # A token of a scenario lives for ever; a world may hold one that does not.
    expires_at_ms = getattr(token, "expires_at_ms", None)
    expiry = {} if expires_at_ms is None else {"expiresAt": expires_at_ms}
    return {
        "id": _id(call),
        "name": token.name,
        "type": "token",
        "origin": "manual",
        "scopes": [{**scope, "origin": "manual", "createdAt": created_at_ms, **expiry}],
        "createdAt": created_at_ms,
        "activeAt": world.now_ms,
        **expiry,
    }


ROUTES = (route(RouteGroup.USER, "GET", "/{v}/user/tokens/{token}", show_token, versions="v5"),)
