"""Rolling releases: their state, their configuration, the slots of the plan, and moving one on."""

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.errors import bad_request
from daemon.emulator.fault_specs import RouteGroup
from daemon.emulator.model import Deployment, Project
from daemon.emulator.rolling import Release, ReleaseState, Stage
from daemon.emulator.rolling_specs import parse_config
from daemon.emulator.scenario import Plan
from daemon.emulator.world import World


def show(call: Call) -> Answer:
    """Answer the newest release, or the newest in ``state``. Source: Vercel OpenAPI, getRollingRelease."""
    project = call.scoped_project()
    state = call.query.get("state")
    if state is not None and state not in set(ReleaseState):
        raise bad_request(f"Invalid request: `state` should be one of {[item.value for item in ReleaseState]}.")
    return _answer(call, project, call.world.rolling.latest(project, state))


def show_config(call: Call) -> Answer:
    """Answer the configuration, null when rolling releases are off. Source: Vercel OpenAPI, getRollingReleaseConfig."""
    config = call.world.rolling.config(call.scoped_project())
    return Answer(200, {"rollingRelease": None if config is None else config.as_json()})


def configure(call: Call) -> Answer:
    """Set the configuration; ``enabled: false`` switches it off. Source: Vercel CLI 64.0.2, its `configure`."""
    project, config = call.scoped_project(), parse_config(call.json_object())
    call.world.rolling.configure(project, config)
    if config is None:
        return Answer(200, {"rollingRelease": None}, "rolling releases off")
    return Answer(200, {"rollingRelease": config.as_json()}, f"rolling releases {config.advancement_type}")


def delete_config(call: Call) -> Answer:
    """Switch rolling releases off. Source: Vercel OpenAPI, deleteRollingReleaseConfig."""
    call.world.rolling.configure(call.scoped_project(), None)
    return Answer(200, {"rollingRelease": None}, "rolling releases off")


def show_billing(call: Call) -> Answer:
    """Answer how many projects may still be configured. Source: Vercel OpenAPI, getRollingReleaseBillingStatus."""
    team = call.world.team_of(call.scoped_project())
    slots = call.world.rolling.free_slots(team)
    if team.plan is Plan.HOBBY:
        return Answer(200, _billing(0, "plan_not_supported", "Rolling Releases need the Pro or Enterprise plan."))
    if slots is None:
        return Answer(200, _billing("unlimited", "unlimited_slots", "Any number of projects may be configured."))
    if slots:
        return Answer(200, _billing(slots, "available_slots", f"{slots} more projects may be configured."))
    enabled = call.world.rolling.enabled_projects(team)
    body = _billing(0, "no_available_slots", "Every slot is in use.")
    return Answer(200, {**body, "enabledProjects": enabled})


def _billing(slots: int | str, reason: str, message: str) -> wire.Json:
    return {"availableSlots": slots, "reason": reason, "message": message}


def start(call: Call) -> Answer:
    """Start a release of a production build. Source: Vercel OpenAPI, startRollingRelease."""
    project = call.scoped_project()
    canary = call.world.deployment(project, _text(call, "canaryDeploymentId"))
    release = call.world.rolling.start(project, canary, by=call.token.name)
    return _answer(call, project, release, f"rolling release of {canary.name} ({canary.id}) started")


def approve(call: Call) -> Answer:
    """Move on to the next stage. Source: Vercel CLI 64.0.2, rolling-release approve; the active index is optional."""
    project, body = call.scoped_project(), call.json_object()
    wanted, active = body.get("nextStageIndex"), body.get("activeStageIndex")
    for index in (wanted, 0 if active is None else active):
        if not isinstance(index, int) or isinstance(index, bool):
            raise bad_request("Invalid request: `nextStageIndex` should be a number.")
    assert isinstance(wanted, int)
    canary_id = _text(call, "canaryDeploymentId")
    release = call.world.rolling.approve(project, next_index=wanted, canary_id=canary_id)
    return _answer(call, project, release, f"rolling release of {canary_id}: stage {wanted} approved")


def complete(call: Call) -> Answer:
    """Let the canary take over at once. Source: Vercel OpenAPI, completeRollingRelease."""
    project, canary_id = call.scoped_project(), _text(call, "canaryDeploymentId")
    release = call.world.rolling.complete(project, canary_id=canary_id)
    return _answer(call, project, release, f"rolling release of {canary_id} completed")


def _text(call: Call, name: str) -> str:
    value = call.json_object().get(name)
    if not isinstance(value, str):
        raise bad_request(f"Invalid request: `{name}` should be string.")
    return value


def _answer(call: Call, project: Project, release: Release | None, applied: str | None = None) -> Answer:
    shown = None if release is None else release_body(call.world, project, release)
    return Answer(200, {"rollingRelease": shown}, applied)


def release_body(world: World, project: Project, release: Release) -> wire.Json:
    """Return a release. ``duration`` is in seconds here. Source: Vercel OpenAPI, getRollingRelease."""
    following = release.next_stage
    body: wire.Json = {
        "state": release.state.value,
        "substate": None if release.paused_share is None else "PAUSED",
        "startedAt": release.started_at_ms,
        "updatedAt": release.updated_at_ms,
        "advancementType": release.advancement,
        "queuedDeploymentId": release.queued_id,
        "activeStage": None if release.state is ReleaseState.ABORTED else _stage(release.stage),
        "nextStage": None if following is None else _stage(following),
        "stages": [_stage(stage) for stage in release.stages],
        "currentDeployment": _deployment(world, project, release.base_id),
        "canaryDeployment": _deployment(world, project, release.canary_id),
    }
    is_uneven = release.paused_share is not None or release.stage.shifts_linearly
    if release.state is ReleaseState.ACTIVE and is_uneven:
        body["currentCanaryPercentage"] = round(world.rolling.share(project, world.now_ms) * 100, 2)
    return body


def _stage(stage: Stage) -> wire.Json:
    shown: wire.Json = {
        "index": stage.index,
        "isFinalStage": stage.is_final,
        # Whole numbers as such: a program may print them as they stand.
        "targetPercentage": int(stage.percentage) if stage.percentage.is_integer() else stage.percentage,
        "requireApproval": stage.requires_approval,
        "duration": None if stage.duration_ms is None else stage.duration_ms // 1000,
    }
    return {**shown, "linearShift": True} if stage.shifts_linearly else shown


def _deployment(world: World, project: Project, deployment_id: str) -> wire.Json | None:
    facts: Deployment | None = world.deployments.get(deployment_id)
    if facts is None:
        return None
    return {
        "id": facts.id,
        "name": project.name,
        "createdAt": facts.created_at_ms,
        "readyState": facts.ready_state.value,
        "url": facts.url,
        "target": "production",
        "source": facts.source,
    }


_BASE = "/{v}/projects/{project}/rolling-release"
ROUTES = (
    route(RouteGroup.ROLLING_RELEASE, "GET", _BASE, show, versions="v1"),
    route(RouteGroup.ROLLING_RELEASE, "GET", f"{_BASE}/config", show_config, versions="v1"),
    route(RouteGroup.ROLLING_RELEASE, "PATCH", f"{_BASE}/config", configure, versions="v1", mutating=True),
    route(RouteGroup.ROLLING_RELEASE, "DELETE", f"{_BASE}/config", delete_config, versions="v1", mutating=True),
    route(RouteGroup.ROLLING_RELEASE, "GET", f"{_BASE}/billing", show_billing, versions="v1"),
    route(RouteGroup.ROLLING_RELEASE, "POST", f"{_BASE}/start", start, versions="v1", mutating=True),
    route(RouteGroup.ROLLING_RELEASE, "POST", f"{_BASE}/approve-stage", approve, versions="v1", mutating=True),
    route(RouteGroup.ROLLING_RELEASE, "POST", f"{_BASE}/complete", complete, versions="v1", mutating=True),
)
