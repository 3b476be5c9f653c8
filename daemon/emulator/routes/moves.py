"""Moving production: rollback, promote, and how far their aliases are."""

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, limited, route
from daemon.emulator.fault_specs import JobFault, RouteGroup
from daemon.emulator.model import AliasJob, JobKind
from daemon.emulator.routes.settings import require_description


def roll_back(call: Call) -> Answer:
    """Accept a rollback: 201 with an empty body and no Content-Type. Source: Vercel OpenAPI, requestRollback."""
    description = call.query.get("description")
    if description is not None:
        require_description(description)
    job = call.world.request_rollback(
        call.scoped_project(),
        call.path["deployment"],
        by=call.token.name,
        description=description,
        fault=call.strikes.first(JobFault),
    )
    return _accepted(call, job)


def promote(call: Call) -> Answer:
    """Accept a promote: 201 with an empty body and no Content-Type, or 202 where it has to wait for a rolling release.

    Source: Vercel OpenAPI, requestPromote.
    """
    project = call.scoped_project()
    is_queued = call.world.rolling.active(project) is not None
    begun = call.world.request_promote(
        project, call.path["deployment"], by=call.token.name, fault=call.strikes.first(JobFault)
    )
    if isinstance(begun, AliasJob):
        return _accepted(call, begun)
    target = call.path["deployment"]
    return Answer(202, {}, f"promote of {target} queued") if is_queued else Answer(201, None, f"release of {target}")


def _accepted(call: Call, job: AliasJob) -> Answer:
    project = call.world.projects[job.project_id]
    names = {deployment.id: deployment.name for deployment in call.world.deployments_of(project)}
    origin = names.get(job.from_id or "", "nothing")
    return Answer(201, None, f"{job.kind} {origin} ({job.from_id}) -> {names[job.to_id]} ({job.to_id})")


def list_rollback_aliases(call: Call) -> Answer:
    """Answer the aliases of the newest rollback."""
    return _list_aliases(call, JobKind.ROLLBACK)


def list_promote_aliases(call: Call) -> Answer:
    """Answer the aliases of the newest promote. Source: Vercel OpenAPI, listPromoteAliases."""
    return _list_aliases(call, JobKind.PROMOTE)


def _list_aliases(call: Call, kind: JobKind) -> Answer:
    project = call.scoped_project()
    limit = limited(call, default=20, maximum=100)
    job = next((job for job in reversed(project.jobs) if job.kind is kind), None)
    failed_only = call.query.get("failedOnly") == "true"
    assigned = project.assigned(call.world.now_ms)
    rows: list[wire.Json] = []
    for domain, status in () if job is None else job.aliases.items():
        if failed_only and status != "failed":
            continue
        nested = {"alias": domain, "deploymentId": assigned.get(domain)}
        alias = nested if call.world.knobs.alias_rows == "nested" else domain
        rows.append({"alias": alias, "id": wire.alias_id(domain), "status": status.value})
    body = {"aliases": rows[:limit], "pagination": {"count": len(rows[:limit]), "next": None, "prev": None}}
    return Answer(200, body)


ROUTES = (
    route(RouteGroup.ALIASES, "GET", "/{v}/projects/{project}/rollback/aliases", list_rollback_aliases),
    route(RouteGroup.ALIASES, "GET", "/{v}/projects/{project}/promote/aliases", list_promote_aliases),
    route(
        RouteGroup.ROLLBACK,
        "POST",
        "/{v}/projects/{project}/rollback/{deployment}",
        roll_back,
        versions="v1|v9",
        mutating=True,
    ),
    route(
        RouteGroup.PROMOTE,
        "POST",
        "/{v}/projects/{project}/promote/{deployment}",
        promote,
        versions="v1|v9|v10",
        mutating=True,
    ),
)
