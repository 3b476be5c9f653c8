"""Drains, the trial of a delivery, and the proof that an endpoint is one's own. Source: Vercel OpenAPI, drains."""

from typing import Any

import httpx

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.delivery import require_loopback
from daemon.emulator.drain_specs import DrainSpec, HttpDelivery, parse_drain, parse_drain_test
from daemon.emulator.drains import VERIFY_HEADER, Drain, packed, verification_code, wanted_by
from daemon.emulator.entitlements import require_paid
from daemon.emulator.errors import bad_request
from daemon.emulator.fault_specs import RouteGroup
from daemon.emulator.model import Team

_SAMPLE = {
    "id": "1",
    "source": "lambda",
    "level": "info",
    "message": "This is a test of your drain.",
    "deploymentId": "dpl_test",
    "projectId": "prj_test",
    "host": "test.vercel.app",
    "environment": "production",
}


async def create(call: Call) -> Answer:
    """Make a drain, once its endpoint has proved to be the caller's (a knob). Source: Vercel OpenAPI, createDrain."""
    team, spec = call.account_team(), parse_drain(call.json_object())
    require_paid(team, "Drains")
    _check(call, team, spec)
    await _verify(call, team, spec.delivery)
    drain = call.deliveries.drains.create(team, spec)
    return Answer(200, _shown(drain), f"drain {drain.id} created")


def list_all(call: Call) -> Answer:
    """Answer the team's drains, those of ``projectId`` only if it is given. Source: Vercel OpenAPI, getDrains."""
    wanted = call.query.get("projectId")
    found = call.deliveries.drains.of(call.account_team())
    shown = [item for item in found if wanted is None or wanted in (item.spec.project_ids or (wanted,))]
    return Answer(200, {"drains": [_shown(item) for item in shown]})


def show(call: Call) -> Answer:
    """Answer one drain."""
    return Answer(200, _shown(_found(call)))


async def update(call: Call) -> Answer:
    """Change some of a drain's keys, null removes one; ``status`` switches it. Source: Vercel OpenAPI, updateDrain."""
    drain, body = _found(call), dict(call.json_object())
    status = body.pop("status", None)
    if status not in (None, "enabled", "disabled"):
        raise bad_request("Invalid request: `status` should be enabled or disabled.")
    before = drain.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec = parse_drain({name: value for name, value in {**before, **body}.items() if value is not None})
    team = call.account_team()
    _check(call, team, spec)
    if spec.delivery.endpoint != drain.spec.delivery.endpoint:
        await _verify(call, team, spec.delivery)
    call.deliveries.drains.update(drain, spec, status=status)
    return Answer(200, _shown(drain), f"drain {drain.id} updated")


def delete(call: Call) -> Answer:
    """Delete a drain: 204 with an empty body."""
    drain = _found(call)
    call.deliveries.drains.delete(drain)
    return Answer(204, None, f"drain {drain.id} deleted")


async def try_out(call: Call) -> Answer:
    """Send one sample entry and answer how that went. Source: Vercel OpenAPI, testDrain."""
    team, spec = call.account_team(), parse_drain_test(call.json_object())
    require_paid(team, "Drains")
    entry = {**_SAMPLE, "timestamp": call.world.now_ms}
    headers, body = packed(spec.delivery, spec.delivery.secret or "", [entry])
    outcome = await call.deliveries.courier.post(require_loopback(spec.delivery.endpoint), headers, body)
    if isinstance(outcome, httpx.Response) and outcome.is_success:
        return Answer(200, {})
    error = outcome if isinstance(outcome, str) else f"the endpoint answered {outcome.status_code}"
    return Answer(200, {"status": "error", "error": error, "endpoint": spec.delivery.endpoint})


def show_verification(call: Call) -> Answer:
    """Answer the code that an endpoint must send back. Source: Vercel Terraform provider, verify-endpoint."""
    return Answer(200, {"verificationCode": verification_code(call.account_team())})


def _found(call: Call) -> Drain:
    return call.deliveries.drains.one(call.account_team(), call.path["drain"])


def _check(call: Call, team: Team, spec: DrainSpec) -> None:
    require_loopback(spec.delivery.endpoint)
    wanted_by(spec.filter)
    for project_id in spec.project_ids or ():
        call.reachable_project(project_id, team)


async def _verify(call: Call, team: Team, delivery: HttpDelivery) -> None:
    """Refuse an endpoint that does not send the team's code back (400); where nothing goes out nothing is proved."""
    courier = call.deliveries.courier
    if call.world.knobs.drain_verification == "none" or courier.client is None:
        return
    code = verification_code(team)
    headers, body = packed(delivery, delivery.secret or "", [])
    outcome = await courier.post(delivery.endpoint, {**headers, VERIFY_HEADER: code}, body)
    if isinstance(outcome, str):
        raise bad_request(f"Endpoint verification failed: {outcome}")
    if not outcome.is_success or outcome.headers.get(VERIFY_HEADER) != code:
        raise bad_request(f"Endpoint verification failed: the answer has no header {VERIFY_HEADER} with the code.")


def _shown(drain: Drain) -> wire.Json:
    spec = drain.spec
    shown: dict[str, Any] = {
        "id": drain.id,
        "ownerId": drain.team_id,
        "teamId": drain.team_id,
        "name": spec.name,
        "schemas": {name: {"version": schema.version} for name, schema in spec.schemas.items()},
        "delivery": spec.delivery.model_dump(mode="json", exclude_none=True),
        "sampling": [rule.model_dump(mode="json", by_alias=True, exclude_none=True) for rule in spec.sampling],
        "source": {"kind": spec.source.kind},
        "status": drain.status,
        "createdAt": drain.created_at_ms,
        "updatedAt": drain.updated_at_ms,
    }
    if spec.project_ids is not None:
        shown["projectIds"] = list(spec.project_ids)
    if spec.filter is not None:
        shown["filterV2"] = spec.filter.model_dump(mode="json", by_alias=True, exclude_none=True)
    if drain.disabled_reason is not None:
        shown["disabledReason"] = drain.disabled_reason
    if drain.first_error_ms is not None:
        shown["firstErrorTimestamp"] = drain.first_error_ms
    return shown


ROUTES = (
    route(RouteGroup.DRAINS, "POST", "/{v}/drains", create, versions="v1", mutating=True),
    route(RouteGroup.DRAINS, "GET", "/{v}/drains", list_all, versions="v1"),
    route(RouteGroup.DRAINS, "POST", "/{v}/drains/test", try_out, versions="v1"),
    route(RouteGroup.DRAINS, "GET", "/{v}/drains/{drain}", show, versions="v1"),
    route(RouteGroup.DRAINS, "PATCH", "/{v}/drains/{drain}", update, versions="v1", mutating=True),
    route(RouteGroup.DRAINS, "DELETE", "/{v}/drains/{drain}", delete, versions="v1", mutating=True),
    route(RouteGroup.DRAINS, "GET", "/{v}/verify-endpoint", show_verification, versions="v1"),
)
