"""Answer bodies: the facts of the world in Vercel's shapes, rich enough for its CLI and its SDK."""

from datetime import UTC, datetime
from typing import Any

from daemon.emulator import jobs
from daemon.emulator.build_log import build_id, builder_of
from daemon.emulator.counts import Request
from daemon.emulator.durations import DAY_MS
from daemon.emulator.identifiers import base62
from daemon.emulator.log_lines import LogLine, lines_of
from daemon.emulator.model import AliasJob, Deployment, JobKind, Project, ReadyState, Team, User
from daemon.emulator.project_specs import ExpirationSpec
from daemon.emulator.world import World

Json = dict[str, Any]


def iso(at_ms: int) -> str:
    """Return an instant as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def user(account: User, team: Team) -> Json:
    """Return the body of ``GET /v2/user``. Source: Vercel SDK 1.28.35, getAuthUser; ``limited`` must be absent."""
    return {
        "user": {
            "id": account.id,
            "email": account.email,
            "name": account.name,
            "username": account.username,
            "avatar": None,
            "version": "northstar",
            "defaultTeamId": team.id,
            "createdAt": team.created_at_ms,
            "softBlock": None,
            "billing": None,
            "resourceConfig": {},
            "stagingPrefix": account.username,
            "hasTrialAvailable": False,
        }
    }


def team(facts: Team) -> Json:
    """Return the body of ``GET /teams/{id}``. Source: Vercel CLI 64.0.2."""
    return {
        "id": facts.id,
        "slug": facts.slug,
        "name": facts.name,
        "avatar": None,
        "billing": {"plan": facts.plan.value, "status": "active"},
        "membership": {"role": "OWNER", "confirmed": True},
        "createdAt": facts.created_at_ms,
        "updatedAt": facts.created_at_ms,
    }


def pagination(rows: list[Json], *, more: bool, key: str = "createdAt") -> Json:
    """Return the timestamp cursor of a page; ``next`` is None on the last one. Source: Vercel OpenAPI, Pagination."""
    return {
        "count": len(rows),
        "next": rows[-1][key] if rows and more else None,
        "prev": rows[0][key] if rows else None,
    }


def project(world: World, facts: Project, *, with_alias_request: bool, stale_seconds: float = 0.0) -> Json:
    """Return a project. Source: Vercel OpenAPI, getProject; Vercel CLI 64.0.2 for ``lastAliasRequest``."""
    production = world.production_as_read(facts)
    region = {"functionDefaultRegions": ["iad1"]}
    body: Json = {
        "id": facts.id,
        "name": facts.name,
        "accountId": facts.team_id,
        "createdAt": facts.created_at_ms,
        "updatedAt": facts.updated_at_ms,
        "framework": facts.spec.framework,
        "nodeVersion": facts.spec.node_version,
        "directoryListing": False,
        "live": False,
        "autoAssignCustomDomains": world.reads_auto_assign(facts),
        "targets": {"production": deployment(world, production)} if production else {},
        "latestDeployments": [deployment(world, item) for item in _latest(world, facts)],
        "alias": [_project_alias(facts, domain) for domain in facts.domains],
        "link": _git_link(world, facts),
        "env": [],
        "features": {},
        "rollingRelease": None if (config := world.rolling.config(facts)) is None else config.as_json(),
        "protectionBypass": bypasses(world, facts),
        "deploymentExpiration": _expiration(facts.spec.expiration),
        "defaultResourceConfig": region,
        "resourceConfig": region,
    }
    if with_alias_request:
        stale_seconds = max(stale_seconds, world.knobs.stale_reads_seconds)
        shown = jobs.last_shown(facts.jobs, now_ms=world.now_ms, stale_seconds=stale_seconds)
        body["lastAliasRequest"] = None if shown is None else alias_request(shown)
        body["lastRollbackTarget"] = None
    if facts.description is not None and facts.pinned:
        body["rollbackDescription"] = {
            "userId": world.user.id,
            "username": world.user.username,
            "description": facts.description.text,
            "createdAt": facts.description.created_at_ms,
        }
    return body


def _latest(world: World, facts: Project) -> list[Deployment]:
    return [item for item in world.deployments_of(facts) if world.exists(item)][-1:]


def bypasses(world: World, facts: Project) -> Json:
    """Return ``protectionBypass``: what opens the protected sites of a project, by secret. Source: Vercel OpenAPI."""
    return {
        item.secret: {
            "scope": "automation-bypass",
            "createdAt": item.created_at_ms,
            "createdBy": world.user.id,
            **({} if item.note is None else {"note": item.note}),
        }
        for item in facts.bypasses.values()
    }


def _expiration(spec: ExpirationSpec) -> Json:
    """Return ``deploymentExpiration``, in days. Source: Vercel OpenAPI, getProject."""
    return {
        "expirationDays": spec.preview_ms // DAY_MS,
        "expirationDaysProduction": spec.production_ms // DAY_MS,
        "expirationDaysCanceled": spec.canceled_ms // DAY_MS,
        "expirationDaysErrored": spec.errored_ms // DAY_MS,
        "deploymentsToKeep": spec.keep,
    }


def _project_alias(facts: Project, domain: str) -> Json:
    return {
        "domain": domain,
        "environment": "production",
        "target": "PRODUCTION",
        "deployment": None,
        "createdAt": facts.created_at_ms,
    }


def alias_id(domain: str) -> str:
    """Return the id of the alias *domain*."""
    return "als_" + base62("alias", domain, length=16)


def _git_link(world: World, facts: Project) -> Json:
    return {
        "type": "github",
        "org": world.team_of(facts).slug,
        "repo": facts.name,
        "repoId": 1,
        "repoOwnerId": 2,
        "gitCredentialId": "",
        "productionBranch": "main",
        "sourceless": True,
        "createdAt": facts.created_at_ms,
        "updatedAt": facts.created_at_ms,
        "deployHooks": [],
    }


def alias_request(job: AliasJob) -> Json:
    """Return ``lastAliasRequest``. Source: Vercel OpenAPI, getProject."""
    return {
        "fromDeploymentId": job.from_id,
        "toDeploymentId": job.to_id,
        "fromRollingReleaseId": job.rolling_release_id,
        "jobStatus": job.status.value,
        "requestedAt": job.requested_at_ms,
        "type": (JobKind.ROLLBACK if job.kind is JobKind.ROLLBACK else JobKind.PROMOTE).value,
    }


def meta(world: World, facts: Deployment) -> dict[str, str]:
    """Return the git metadata of a deployment. Source: Vercel CLI 64.0.2, list --json."""
    commit = facts.commit
    if not commit.sha:
        return dict(facts.meta)
    login = commit.author.split()[0].lower()
    owner = world.projects[facts.project_id].name
    team = world.team_of(world.projects[facts.project_id])
    return {
        "githubCommitSha": commit.sha,
        "githubCommitMessage": commit.message,
        "githubCommitRef": commit.branch,
        "githubCommitAuthorName": commit.author,
        "githubCommitAuthorLogin": login,
        "githubCommitAuthorEmail": f"{login}@example.com",
        "githubOrg": team.slug,
        "githubRepo": owner,
        "githubCommitOrg": team.slug,
        "githubCommitRepo": owner,
        "githubDeployment": "1",
        **facts.meta,
    }


def deployment(world: World, facts: Deployment) -> Json:
    """Return a whole deployment. Source: Vercel SDK 1.28.35, getDeployment, full variant."""
    aliases = world.domains_of(facts)
    owner = world.projects[facts.project_id]
    team = world.team_of(owner)
    body: Json = {
        "id": facts.id,
        "uid": facts.id,
        "version": 2,
        "name": owner.name,
        "url": facts.url,
        "projectId": facts.project_id,
        "ownerId": team.id,
        "team": {"id": team.id, "slug": team.slug, "name": team.name},
        "readyState": facts.ready_state.value,
        "status": facts.ready_state.value,
        "target": "production" if facts.is_production else None,
        "meta": meta(world, facts),
        "creator": {"uid": world.user.id, "username": world.user.username},
        "alias": aliases,
        # True as well of a build that got no domain: clients wait for it once a build is ready.
        "aliasAssigned": facts.ready_state is ReadyState.READY,
        "aliasAssignedAt": facts.activated_at_ms if aliases else None,
        "aliasError": None,
        "inspectorUrl": _inspector_url(world, facts),
        "regions": ["iad1"],
        "routes": None,
        "public": False,
        "type": "LAMBDAS",
        "plan": team.plan.value,
        "build": {"env": []},
        "env": [],
        "buildSkipped": False,
        "createdIn": "iad1",
        "integrations": {"status": "skipped", "startedAt": facts.created_at_ms},
        "projectSettings": {"framework": owner.spec.framework},
        "source": facts.source,
        "isInConcurrentBuildsQueue": False,
        "isInSystemBuildsQueue": False,
        **_times(facts),
        "bootedAt": facts.created_at_ms,
    }
    return body | _substate(facts) | _build_error(facts)


def deployment_row(world: World, facts: Deployment) -> Json:
    """Return a deployment as lists show it. Source: Vercel OpenAPI, getDeployments; Vercel CLI 64.0.2."""
    body: Json = {
        "uid": facts.id,
        "id": facts.id,
        "name": world.projects[facts.project_id].name,
        "projectId": facts.project_id,
        "url": facts.url,
        "state": facts.ready_state.value,
        "readyState": facts.ready_state.value,
        "type": "LAMBDAS",
        "creator": {"uid": world.user.id, "username": world.user.username, "email": world.user.email},
        "inspectorUrl": _inspector_url(world, facts),
        "meta": meta(world, facts),
        "target": "production" if facts.is_production else None,
        "aliasAssigned": facts.activated_at_ms or False,
        "aliasError": None,
        "source": facts.source,
        "isRollbackCandidate": facts.is_rollback_candidate,
        **_times(facts),
    }
    return body | _substate(facts) | _build_error(facts)


def _times(facts: Deployment) -> Json:
    times: Json = {
        "created": facts.created_at_ms,
        "createdAt": facts.created_at_ms,
        # The SDK insists on a number, so a build that waits in its queue shows when it was created.
        "buildingAt": facts.building_at_ms or facts.created_at_ms,
    }
    return times if facts.ready_at_ms is None else {**times, "ready": facts.ready_at_ms}


def _substate(facts: Deployment) -> Json:
    has_one = facts.substate is not None and facts.ready_state is ReadyState.READY
    return {"readySubstate": facts.substate} if has_one else {}


def _build_error(facts: Deployment) -> Json:
    if facts.ready_state is not ReadyState.ERROR:
        return {}
    return {
        "errorCode": "BUILD_FAILED",
        "errorMessage": 'Command "npm run build" exited with 1',
        "errorStep": "buildStep",
    }


def _inspector_url(world: World, facts: Deployment) -> str:
    owner = world.projects[facts.project_id]
    return f"https://vercel.com/{world.team_of(owner).slug}/{owner.name}/{facts.id.removeprefix('dpl_')}"


def builds(facts: Deployment, framework: str) -> Json:
    """Return the body of ``GET /v11/deployments/{id}/builds``. Source: Vercel CLI 64.0.2, inspect."""
    build: Json = {
        "id": build_id(facts),
        "deploymentId": facts.id,
        "entrypoint": ".",
        "use": builder_of(framework),
        "readyState": facts.ready_state.value,
        "createdAt": facts.created_at_ms,
        "readyStateAt": facts.ended_at_ms or facts.building_at_ms or facts.created_at_ms,
        "output": [],
    }
    return {"builds": [build]}


def request_id(row: Request) -> str:
    """Return how Vercel would name a request."""
    return f"iad1::{row.number:08d}-{row.at_ms}"


def request_row(world: World, row: Request) -> Json:
    """Return a row of the request log, as observed live by others and read by Vercel CLI 58.4.4."""
    facts = world.deployments[row.key.deployment_id]
    logs = [{"level": line.level, "message": line.message, "messageTruncated": False} for line in lines_of(row)]
    return {
        "requestId": request_id(row),
        "timestamp": iso(row.at_ms),
        "deploymentId": facts.id,
        "environment": row.key.environment,
        "deploymentDomain": facts.url,
        "branch": facts.commit.branch,
        "domain": row.domain,
        "requestMethod": row.key.request_method,
        "requestPath": row.path,
        "statusCode": row.key.http_status,
        "errorCode": row.key.error_code,
        "route": row.key.route,
        "cache": "MISS",
        "wafAction": row.key.waf_action,
        "traceId": "",
        "logs": logs,
        "requestDurationMs": row.duration_ms,
        "clientRegion": "fra1",
        "hasFunctionCrashed": row.key.error_code == "FUNCTION_INVOCATION_FAILED",
        "events": [
            {
                "source": row.source,
                "route": row.key.route,
                "httpStatus": row.key.http_status,
                "region": "iad1",
                "durationMs": row.duration_ms,
                "functionRuntime": "nodejs22.x",
            }
        ],
        "requestTags": [],
    }


def runtime_log_line(row: Request, line: LogLine, number: int) -> Json:
    """Return a line of the live tail; *number* tells the lines of a request apart. Source: Vercel OpenAPI."""
    return {
        "level": line.level,
        "message": line.message,
        "messageTruncated": False,
        "rowId": f"{request_id(row)}-{number}",
        "source": row.source if row.source != "static" else "request",
        "timestampInMs": row.at_ms,
        "domain": row.domain,
        "requestMethod": row.key.request_method,
        "requestPath": row.path,
        "responseStatusCode": row.key.http_status,
    }
