"""Deployments: lists with filters and pages, one by id or host, its builds and its aliases."""

from collections.abc import Callable, Iterable

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, limited, route
from daemon.emulator.errors import bad_request, not_found
from daemon.emulator.fault_specs import PageFault, RouteGroup
from daemon.emulator.model import Deployment

_STATES = frozenset({"BUILDING", "ERROR", "INITIALIZING", "QUEUED", "READY", "CANCELED", "BLOCKED"})
Condition = Callable[[Deployment], bool]


def list_deployments(call: Call) -> Answer:
    """Answer a page of deployments, newest first; ``until`` (exclusive) continues it. Source: Vercel OpenAPI."""
    limit = limited(call, default=20, maximum=100)
    page = call.strikes.first(PageFault)
    limit = limit if page is None else min(limit, page.rows)
    conditions = list(_conditions(call))
    found = [
        deployment
        for deployment in sorted(_candidates(call), key=lambda item: -item.created_at_ms)
        if all(holds(deployment) for holds in conditions)
    ]
    rows = [wire.deployment_row(call.world, deployment) for deployment in found[:limit]]
    return Answer(200, {"deployments": rows, "pagination": wire.pagination(rows, more=len(found) > limit)})


def _candidates(call: Call) -> list[Deployment]:
    """Return the deployments of the projects that the query names, or those of all."""
    names = _named_projects(call)
    if not names:
        return list(call.world.deployments.values())
    found = [call.world.find_project(name) for name in names]
    return [item for project in found if project is not None for item in call.world.deployments_of(project)]


def _named_projects(call: Call) -> set[str]:
    wanted = [*call.query.getlist("projectId"), *call.query.getlist("projectIds"), *call.query.getlist("projectIds[]")]
    return {name for text in wanted for name in text.split(",") if name}


def _conditions(call: Call) -> Iterable[Condition]:
    team = call.scoped_team()
    yield lambda item: call.can_reach(call.world.projects[item.project_id], team)
    yield from _project_conditions(call)
    yield from _time_conditions(call)
    yield from _state_conditions(call)
    yield from _commit_conditions(call)
    yield call.world.exists


def _project_conditions(call: Call) -> Iterable[Condition]:
    if app := call.query.get("app"):
        yield lambda item: call.world.projects[item.project_id].name == app


def _time_conditions(call: Call) -> Iterable[Condition]:
    since = call.whole_number("since", call.whole_number("from", None))
    until = call.whole_number("until", call.whole_number("to", None))
    if since is not None:
        yield lambda item: item.created_at_ms > since
    if until is not None:
        yield lambda item: item.created_at_ms < until


def _state_conditions(call: Call) -> Iterable[Condition]:
    if target := call.query.get("target"):
        yield lambda item: ("production" if item.is_production else "preview") == target
    if states := call.query.get("state"):
        wanted = {state.strip().upper() for state in states.split(",")}
        if not wanted <= _STATES:
            raise bad_request(f"Invalid request: `state` should be a comma-separated list of {sorted(_STATES)}.")
        yield lambda item: item.ready_state in wanted
    if candidate := call.query.get("rollbackCandidate"):
        is_wanted = candidate == "true"
        yield lambda item: item.is_rollback_candidate == is_wanted


def _commit_conditions(call: Call) -> Iterable[Condition]:
    if branch := call.query.get("branch"):
        yield lambda item: item.commit.branch == branch
    if sha := call.query.get("sha"):
        yield lambda item: item.commit.sha == sha
    if users := call.query.get("users"):
        yield lambda item: call.world.user.id in users.split(",")
    for key, value in call.query.multi_items():
        if key.startswith("meta-"):
            yield _has_meta(call, key.removeprefix("meta-"), value)


def _has_meta(call: Call, key: str, value: str) -> Condition:
    return lambda item: wire.meta(call.world, item).get(key) == value


def found(call: Call, wanted: str) -> Deployment:
    """Return the deployment that *wanted* names by id, generated host or production domain; else a 404."""
    team = call.scoped_team()
    deployment = call.world.deployments.get(wanted) or call.world.deployment_at(wanted)
    if deployment is None or not call.can_reach(call.world.projects[deployment.project_id], team):
        raise not_found("The deployment could not be found")
    if not call.world.exists(deployment):
        raise not_found("The deployment could not be found")
    return deployment


def show_deployment(call: Call) -> Answer:
    """Answer one deployment by id, generated host or production domain."""
    return Answer(200, wire.deployment(call.world, found(call, call.path["deployment"])))


def list_builds(call: Call) -> Answer:
    """Answer the builds of a deployment."""
    deployment = found(call, call.path["deployment"])
    return Answer(200, wire.builds(deployment, call.world.projects[deployment.project_id].spec.framework))


def list_aliases(call: Call) -> Answer:
    """Answer the domains that point to a deployment now. Source: Vercel OpenAPI, listDeploymentAliases."""
    deployment = found(call, call.path["deployment"])
    created = wire.iso(deployment.activated_at_ms or deployment.created_at_ms)
    rows = [
        {"uid": wire.alias_id(domain), "alias": domain, "created": created, "redirect": None}
        for domain in call.world.domains_of(deployment)
    ]
    return Answer(200, {"aliases": rows})


ROUTES = (
    route(RouteGroup.DEPLOYMENTS, "GET", "/{v}/deployments", list_deployments, versions="v6|v7"),
    route(RouteGroup.DEPLOYMENT, "GET", "/{v}/deployments/{deployment}", show_deployment, versions="v13"),
    route(RouteGroup.DEPLOYMENT, "GET", "/{v}/deployments/{deployment}/builds", list_builds, versions="v11"),
    route(RouteGroup.DEPLOYMENT, "GET", "/{v}/deployments/{deployment}/aliases", list_aliases, versions="v2"),
    route(RouteGroup.DEPLOYMENT, "GET", "/now/deployments/{deployment}/aliases", list_aliases),
)
