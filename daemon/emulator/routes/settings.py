"""Settings of a project: variables by name, domains, aliases, the protection bypass, the reason of a rollback."""

import itertools
from typing import Any

from daemon.emulator import protection, wire
from daemon.emulator.call import Answer, Call, limited, route
from daemon.emulator.errors import bad_request, conflict, not_found
from daemon.emulator.fault_specs import RouteGroup
from daemon.emulator.model import Project, RollbackDescription

DESCRIPTION_MAX_CHARACTERS = 250
_SECRET_CHARACTERS = 32


def list_variables(call: Call) -> Answer:
    """Answer the environment variables: names, types, targets and times, never a value.

    Source: Vercel OpenAPI, filterProjectEnvs. ``decrypt`` is ignored: the emulator has no values.
    """
    project = call.scoped_project()
    rows = [
        {
            "id": item.id,
            "key": item.key,
            "type": item.kind,
            "target": list(item.targets),
            "configurationId": None,
            "createdAt": item.created_at_ms,
            "updatedAt": item.updated_at_ms,
            "createdBy": call.world.user.id,
            "updatedBy": None,
        }
        for item in project.variables.values()
    ]
    return Answer(200, {"envs": rows})


def list_domains(call: Call) -> Answer:
    """Answer the domains that a promote or rollback moves. Source: Vercel OpenAPI, getProjectDomains."""
    project = call.scoped_project()
    limit = limited(call, default=20, maximum=100)
    rows = [_domain(project, name) for name in project.domains]
    page = {"count": len(rows[:limit]), "next": None, "prev": None}
    return Answer(200, {"domains": rows[:limit], "pagination": page})


def _domain(project: Project, name: str) -> wire.Json:
    return {
        "name": name,
        "apexName": ".".join(name.split(".")[-2:]),
        "projectId": project.id,
        "redirect": None,
        "redirectStatusCode": None,
        "gitBranch": None,
        "customEnvironmentId": None,
        "createdAt": project.created_at_ms,
        "updatedAt": project.created_at_ms,
        "verified": True,
    }


def show_alias(call: Call) -> Answer:
    """Answer what a production domain points to, by its name or id. Source: Vercel OpenAPI, getAlias."""
    team, wanted = call.scoped_team(), call.path["alias"]
    for project in call.world.projects.values():
        for domain in project.domains if call.can_reach(project, team) else ():
            if wanted in (domain, wire.alias_id(domain)):
                return Answer(200, _alias(call, project, domain))
    raise not_found("The alias could not be found")


def list_aliases(call: Call) -> Answer:
    """Answer production domains and what they point to, those of the newest project first. Source: Vercel OpenAPI.

    ``domain``, ``projectId`` and ``rollbackDeploymentId``, a deployment whose domains a rollback would move, narrow it.
    """
    team, wanted = call.scoped_team(), set(call.query.getlist("domain"))
    rows = (
        _alias(call, project, domain)
        for project in call.world.projects_of(team)
        if call.can_reach(project, team) and _is_asked_for(call, project)
        for domain in project.assigned(call.world.now_ms)
        if not wanted or domain in wanted
    )
    # A fleet has thousands of projects, which come to life when they are looked at: no more of them than needed.
    shown = list(itertools.islice(rows, limited(call, default=20, maximum=100)))
    return Answer(200, {"aliases": shown, "pagination": {"count": len(shown), "next": None, "prev": None}})


def _is_asked_for(call: Call, project: Project) -> bool:
    target = call.world.deployments.get(call.query.get("rollbackDeploymentId", ""))
    if "rollbackDeploymentId" in call.query and (target is None or target.project_id != project.id):
        return False
    return call.query.get("projectId", project.id) in (project.id, project.name)


def _alias(call: Call, project: Project, domain: str) -> wire.Json:
    user = call.world.user
    serving = call.world.deployments.get(project.assigned(call.world.now_ms).get(domain, ""))
    if serving is None:
        raise not_found("The alias could not be found")
    since = [item.at_ms for item in project.assignments if item.by_domain.get(domain) == serving.id]
    created = since[0] if since else project.created_at_ms
    return {
        "uid": wire.alias_id(domain),
        "alias": domain,
        "created": wire.iso(created),
        "createdAt": created,
        "updatedAt": since[-1] if since else created,
        "creator": {"uid": user.id, "username": user.username, "email": user.email},
        "deploymentId": serving.id,
        "deployment": {"id": serving.id, "url": serving.url, "meta": "{}"},
        "projectId": project.id,
        "redirect": None,
        "redirectStatusCode": None,
        "deletedAt": None,
    }


def change_bypass(call: Call) -> Answer:
    """Make, note or revoke a secret of the protection bypass. Source: Vercel OpenAPI, updateProjectProtectionBypass.

    An empty body makes a secret, as Vercel CLI 64.0.2 does before `vercel curl`.
    """
    project = call.scoped_project()
    body = call.body if isinstance(call.body, dict) else {}
    unknown = sorted(set(body) - {"generate", "revoke", "update"})
    if unknown:
        raise bad_request(f"Invalid request: should NOT have additional property `{unknown[0]}`.")
    revoke, update = _part(body, "revoke"), _part(body, "update")
    applied = []
    if revoke is not None:
        if not protection.revoke_secret(project, str(revoke.get("secret"))):
            raise not_found("The secret of the protection bypass could not be found")
        applied.append("revoke a bypass secret")
    if update is not None:
        applied.append(_note_secret(project, update))
    if "generate" in body or not body or (revoke is not None and revoke.get("regenerate") is True):
        _generate(call, project, _part(body, "generate") or {})
        applied.append("make a bypass secret")
    return Answer(200, {"protectionBypass": wire.bypasses(call.world, project)}, ", ".join(applied))


def _part(body: wire.Json, name: str) -> wire.Json | None:
    part = body.get(name)
    if part is not None and not isinstance(part, dict):
        raise bad_request(f"Invalid request: `{name}` should be object.")
    return part


def _generate(call: Call, project: Project, wanted: wire.Json) -> None:
    secret = wanted.get("secret")
    if secret is not None and (not isinstance(secret, str) or len(secret) != _SECRET_CHARACTERS):
        raise bad_request(f"Invalid request: `generate.secret` should be {_SECRET_CHARACTERS} characters.")
    if secret in project.bypasses:
        raise conflict("The secret of the protection bypass exists already")
    protection.add_secret(call.world, project, secret=secret, note=_text(wanted.get("note")))


def _note_secret(project: Project, update: wire.Json) -> str:
    known = project.bypasses.get(str(update.get("secret")))
    if known is None:
        raise not_found("The secret of the protection bypass could not be found")
    noted = type(known)(known.secret, known.created_at_ms, _text(update.get("note")))
    project.bypasses = {**project.bypasses, known.secret: noted}
    return "note a bypass secret"


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise bad_request("Invalid request: `note` should be string.")
    return value


def describe_rollback(call: Call) -> Answer:
    """Write the reason of the rollback that is in force. Source: Vercel OpenAPI, update-description."""
    project = call.scoped_project()
    text = require_description(call.json_object().get("description"))
    target = call.world.deployment(project, call.path["deployment"])
    job = project.jobs[-1] if project.jobs else None
    if not project.pinned or job is None or job.to_id != target.id:
        raise not_found("No rollback to this deployment is in force.")
    project.description = RollbackDescription(text, call.world.now_ms)
    return Answer(200, {}, f"describe the rollback to {target.name} ({target.id})")


def require_description(text: object) -> str:
    """Return the reason of a rollback; what is no text or too long is a 400.

    Source: Vercel CLI, pull request that introduced ``description``.
    """
    if not isinstance(text, str) or len(text) > DESCRIPTION_MAX_CHARACTERS:
        raise bad_request(f"Invalid request: `description` should be at most {DESCRIPTION_MAX_CHARACTERS} characters.")
    return text


ROUTES = (
    route(RouteGroup.SETTINGS, "GET", "/{v}/projects/{project}/env", list_variables, versions="v8|v9|v10"),
    route(RouteGroup.SETTINGS, "GET", "/{v}/projects/{project}/domains", list_domains, versions="v8|v9"),
    route(RouteGroup.SETTINGS, "GET", "/{v}/aliases", list_aliases, versions="v4"),
    route(RouteGroup.SETTINGS, "GET", "/{v}/now/aliases", list_aliases, versions="v3"),
    route(RouteGroup.SETTINGS, "GET", "/{v}/aliases/{alias}", show_alias, versions="v4"),
    route(
        RouteGroup.SETTINGS,
        "PATCH",
        "/{v}/projects/{project}/protection-bypass",
        change_bypass,
        versions="v1",
        mutating=True,
    ),
    route(
        RouteGroup.SETTINGS,
        "PATCH",
        "/{v}/projects/{project}/rollback/{deployment}/update-description",
        describe_rollback,
        versions="v1|v9|v10",
        mutating=True,
    ),
)
