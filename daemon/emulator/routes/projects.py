"""Projects: one, many, their settings, and which deployment serves."""

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, limited, route
from daemon.emulator.errors import bad_request, not_found
from daemon.emulator.fault_specs import RouteGroup, StaleAliasRequestFault


def show_project(call: Call) -> Answer:
    """Answer one project; the alias request needs ``rollbackInfo=true`` (a knob)."""
    project = call.scoped_project()
    wanted = call.query.get("rollbackInfo") == "true" or call.world.knobs.alias_request == "always"
    stale = call.strikes.first(StaleAliasRequestFault)
    body = wire.project(
        call.world, project, with_alias_request=wanted, stale_seconds=0.0 if stale is None else stale.seconds
    )
    return Answer(200, body)


def list_projects(call: Call) -> Answer:
    """Answer a page of projects, newest first; ``from`` or ``until`` continues. Source: Vercel OpenAPI, getProjects."""
    team = call.scoped_team()
    limit = limited(call, default=20, maximum=100)
    before = call.whole_number("from", call.whole_number("until", None))
    search = call.query.get("search", "")
    found = [
        project
        for project in call.world.projects_of(team)
        if call.can_reach(project, team)
        and search in project.name
        and (before is None or project.created_at_ms < before)
    ]
    always = call.world.knobs.alias_request == "always"
    rows = [wire.project(call.world, project, with_alias_request=always) for project in found[:limit]]
    return Answer(200, {"projects": rows, "pagination": wire.pagination(rows, more=len(found) > limit)})


def update_project(call: Call) -> Answer:
    """Write ``autoAssignCustomDomains``, the only setting emulated so far. Source: Vercel OpenAPI, updateProject."""
    project = call.scoped_project()
    body = call.json_object()
    unknown = sorted(set(body) - {"autoAssignCustomDomains"})
    if unknown:
        raise bad_request(f"Invalid request: should NOT have additional property `{unknown[0]}`.")
    applied = None
    if "autoAssignCustomDomains" in body:
        wanted = body["autoAssignCustomDomains"]
        if not isinstance(wanted, bool):
            raise bad_request("Invalid request: `autoAssignCustomDomains` should be boolean.")
        call.world.moves.set_auto_assign(project, wanted)
        applied = f"autoAssignCustomDomains = {str(wanted).lower()}"
    return Answer(200, wire.project(call.world, project, with_alias_request=False), applied)


def show_production(call: Call) -> Answer:
    """Answer what serves production; 404 when nothing does. Source: Vercel CLI, logs --follow."""
    project = call.scoped_project()
    deployment = call.world.deployments.get(project.production_id or "")
    if deployment is None:
        raise not_found("No production deployment found.")
    return Answer(200, {"deployment": wire.deployment(call.world, deployment)})


ROUTES = (
    route(RouteGroup.PROJECT, "GET", "/{v}/projects/{project}", show_project),
    route(RouteGroup.PROJECT, "PATCH", "/{v}/projects/{project}", update_project, versions="v9", mutating=True),
    route(RouteGroup.PROJECTS, "GET", "/{v}/projects", list_projects, versions="v9|v10"),
    route(RouteGroup.PROJECT, "GET", "/projects/{project}/production-deployment", show_production),
    route(RouteGroup.PROJECT, "GET", "/{v}/projects/{project}/production-deployment", show_production),
)
