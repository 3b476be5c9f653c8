"""Vercel as the platform that serves production: reads of it, and the rollback, which is the only verb."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from daemon.core.facts import AliasJob, AliasJobStatus, AliasJobType, Deployment, DeploymentId, Production, ProjectId
from daemon.core.signal import SignalReason
from daemon.ports.errors import OutcomeUnknown, PortError, Refused, Unintelligible
from daemon.vercel.transport import ActingTransport, VercelTransport
from daemon.vercel.wire import (
    AliasPage,
    DeploymentPage,
    DeploymentRow,
    LastAliasRequest,
    ListedProject,
    ProjectAnswer,
    ProjectIdentity,
    ProjectPage,
    RollingReleaseAnswer,
    RollingReleaseState,
    UserAnswer,
    understand,
)

TARGETS_PAGE_ROWS = 20
TARGETS_PAGES_MAX = 5
SWEEP_PROJECTS_MIN = 3
"""Fewer projects than this are read one by one."""
PROJECTS_PAGE_ROWS = 100
"""The most that Vercel gives. Source: Vercel OpenAPI, getProjects; Vercel CLI 64.0.2, `project ls`."""
PROJECTS_PAGES_MAX = 300
ALIASES_PAGE_ROWS = 20
ALIASES_PAGES_MAX = 5
DESCRIPTION_CHARACTERS_MAX = 250
"""Longer descriptions are refused. Source: Vercel CLI, pull request that introduced `description`."""
COMMIT_CHARACTERS_MAX = 2000
GIT_PROVIDERS = ("github", "gitlab", "bitbucket")


class VercelHosting:
    """Implements `ports.hosting.HostingReader` and `ProjectLister`. Raises the port's errors, and nothing else."""

    def __init__(self, transport: VercelTransport) -> None:
        self._transport = transport

    async def read_production(self, project: ProjectId) -> Production:
        """Return which deployment serves production now, and the newest alias job.

        The failed domains of a failed job are read too; where that read fails they are (), since a report must not
        hide production. A rolling release of which only the configuration is known costs one read more.
        Source: Vercel OpenAPI, getProject; Vercel CLI 64.0.2, `rollback status` (`rollbackInfo`).
        """
        what = f"project {project}"
        answer = await self._transport.read(
            "GET", f"/v9/projects/{_quoted(project)}", route="project", what=what, params={"rollbackInfo": "true"}
        )
        found = self._understand(answer, project=project, what=what)
        return replace(
            await self._to_production(found, project=project, what=what),
            alias_job=await self._read_alias_job(project, found.last_alias_request),
        )

    async def read_productions(
        self, projects: Sequence[ProjectId]
    ) -> AsyncIterator[Mapping[ProjectId, Production | PortError]]:
        """Yield what each of *projects* serves, as the pages of the team's projects tell it: see the port's warning.

        One request for 100 projects of the team; projects are read one by one where that costs less, be it that few are
        asked for or that few are left to be found. A row is read as strictly as a project. Rows need not tell the alias
        job, since that takes `rollbackInfo` for a single project. Only where rolling releases are configured and a row
        does not tell their state, that is read of the one project. A page that fails is the error of every project not
        yet found; a project on no page is Refused, unless a read of its own finds it. Source: Vercel OpenAPI,
        getProjects.
        """
        left = dict.fromkeys(projects)
        position: str | int | None = None
        for pages in range(PROJECTS_PAGES_MAX):
            if len(left) < SWEEP_PROJECTS_MIN or len(left) <= pages:
                yield await self._read_each(tuple(left))
                return
            try:
                page = await self._read_projects(position)
            except PortError as error:
                yield dict.fromkeys(left, error)
                return
            # A project that changes meanwhile may turn up on two pages.
            rows = {ProjectId(row["id"]): row for row in page.projects if row["id"] in left}
            yield await self._read_rows(rows)
            for project in rows:
                del left[project]
            if page.pagination.next in (None, position):
                yield await self._read_unlisted(tuple(left))
                return
            position = page.pagination.next
        message = f"the team has more than {PROJECTS_PAGES_MAX} pages of projects; read no further"
        yield dict.fromkeys(left, Unintelligible(message, reason=SignalReason.TRUNCATED))

    async def list_projects(self) -> Mapping[ProjectId, str]:
        """Return the name of every project of the team; a row or a page that cannot be read spoils the list.

        Source: Vercel OpenAPI, getProjects.
        """
        what, names = "the team's projects", dict[ProjectId, str]()
        position: str | int | None = None
        for _ in range(PROJECTS_PAGES_MAX):
            page = await self._read_projects(position)
            for row in page.projects:
                found = understand(ListedProject, row, what=what)
                _check_identity(found.id, found.account_id, project=found.id, team_id=self._transport.team_id)
                names[ProjectId(found.id)] = found.name
            if page.pagination.next is None:
                return names
            if page.pagination.next == position:
                raise Unintelligible(f"{what}: the position does not move on; taken as no answer")
            position = page.pagination.next
        message = f"the team has more than {PROJECTS_PAGES_MAX} pages of projects; read no further"
        raise Unintelligible(message, reason=SignalReason.TRUNCATED)

    async def list_targets(self, project: ProjectId) -> Sequence[Deployment]:
        """Return what Vercel calls rollback candidates, newest first, at most 100; the current one is among them.

        The filters are applied here once more: a server ignores parameters that it does not know.
        Source: Vercel OpenAPI, getDeployments (`rollbackCandidate`).
        """
        found: dict[DeploymentId, Deployment] = {}
        until: int | None = None
        for _ in range(TARGETS_PAGES_MAX):
            page = await self._read_targets(project, until)
            for row in page.deployments:
                deployment = to_deployment(row, project=project, what=f"targets of {project}")
                if row.target == "production" and deployment.is_rollback_candidate:
                    found[deployment.id] = deployment
            until = _next_cursor(page.pagination.next if page.pagination else None, before=until)
            if until is None:
                break
        return sorted(found.values(), key=lambda deployment: deployment.created_at, reverse=True)

    async def resolve_project(self, name_or_id: str) -> ProjectId:
        """Return the id of the project of that name or id. Raises Refused when it belongs to another team."""
        identity = await read_identity(self._transport, name_or_id)
        return ProjectId(identity.id)

    async def read_username(self) -> str | None:
        """Return whom the token belongs to; None for a project-scoped token, which has no user to show.

        Raises Refused (401, 403) for a token that is not valid. Source: Vercel CLI 64.0.2, `whoami`.
        """
        try:
            answer = await self._transport.read("GET", "/v2/user", route="user", what="the token's user")
        except Refused as error:
            if error.status == 404:
                return None
            raise
        user = understand(UserAnswer, answer, what="the token's user").user
        return user.username or user.email

    def _understand(self, answer: object, *, project: ProjectId, what: str) -> ProjectAnswer:
        found = understand(ProjectAnswer, answer, what=what)
        _check_identity(found.id, found.account_id, project=project, team_id=self._transport.team_id)
        return found

    async def _to_production(self, found: ProjectAnswer, *, project: ProjectId, what: str) -> Production:
        """Return what the answer says, its alias job without the domains that did not move."""
        serving, request = found.targets.production, found.last_alias_request
        return Production(
            deployment=to_deployment(serving, project=project, what=what) if serving else None,
            alias_job=to_alias_job(request) if request else None,
            auto_assigns_domains=found.auto_assigns_domains,
            is_rolling_release_active=await self._is_release_active(project, found.rolling_release),
        )

    async def _read_projects(self, position: str | int | None) -> ProjectPage:
        what = "the team's projects"
        params: dict[str, str | int] = {"limit": PROJECTS_PAGE_ROWS}
        if position is not None:
            params["from"] = position
        answer = await self._transport.read("GET", "/v10/projects", route="projects", what=what, params=params)
        return understand(ProjectPage, answer, what=what)

    async def _read_rows(self, rows: Mapping[ProjectId, object]) -> dict[ProjectId, Production | PortError]:
        async def read(project: ProjectId, row: object) -> Production | PortError:
            what = f"project {project}"
            try:
                found = self._understand(row, project=project, what=what)
                return await self._to_production(found, project=project, what=what)
            except PortError as error:
                return error

        read_rows = await asyncio.gather(*(read(project, row) for project, row in rows.items()))
        return dict(zip(rows, read_rows, strict=True))

    async def _read_unlisted(self, projects: Sequence[ProjectId]) -> dict[ProjectId, Production | PortError]:
        # One that changed while the pages were read may have moved to a page that was read already.
        if len(projects) < SWEEP_PROJECTS_MIN:
            return await self._read_each(projects)
        return {project: _not_listed(project) for project in projects}

    async def _read_each(self, projects: Sequence[ProjectId]) -> dict[ProjectId, Production | PortError]:
        async def read(project: ProjectId) -> Production | PortError:
            try:
                return await self.read_production(project)
            except PortError as error:
                return error

        return dict(zip(projects, await asyncio.gather(*map(read, projects)), strict=True))

    async def _read_targets(self, project: ProjectId, until: int | None) -> DeploymentPage:
        what = f"targets of {project}"
        params: dict[str, str | int] = {
            "projectId": project,
            "target": "production",
            "state": "READY",
            "rollbackCandidate": "true",
            "limit": TARGETS_PAGE_ROWS,
        }
        if until is not None:
            params["until"] = until
        answer = await self._transport.read("GET", "/v7/deployments", route="deployments", what=what, params=params)
        return understand(DeploymentPage, answer, what=what)

    async def _read_alias_job(self, project: ProjectId, request: LastAliasRequest | None) -> AliasJob | None:
        if request is None:
            return None
        job = to_alias_job(request)
        if job.status is not AliasJobStatus.FAILED:
            return job
        try:
            return replace(job, failed_aliases=await self._read_failed_aliases(project, job.type))
        except PortError:
            # Which domains failed is for the report; that the job failed is what everything else depends on.
            return job

    async def _read_failed_aliases(self, project: ProjectId, kind: AliasJobType) -> tuple[str, ...]:
        """Return the domains that did not move. Source: Vercel CLI 64.0.2, a failed rollback or promote."""
        what = f"failed aliases of {project}"
        names: list[str] = []
        until: int | None = None
        for _ in range(ALIASES_PAGES_MAX):
            params: dict[str, str | int] = {"failedOnly": "true", "limit": ALIASES_PAGE_ROWS}
            if until is not None:
                params["until"] = until
            path = f"/v9/projects/{_quoted(project)}/{kind.value}/aliases"
            answer = await self._transport.read("GET", path, route="aliases", what=what, params=params)
            page = understand(AliasPage, answer, what=what)
            names += [row.name for row in page.aliases if row.status == "failed"]
            until = _next_cursor(page.pagination.next if page.pagination else None, before=until)
            if until is None:
                break
        return tuple(dict.fromkeys(names))

    async def _is_release_active(self, project: ProjectId, release: Mapping[str, Any] | None) -> bool:
        """Return whether two deployments share production now.

        A project with rolling releases carries their configuration or their state; only the state tells.
        Source: Vercel OpenAPI, getProject and getRollingRelease.
        """
        if not release:
            return False
        what = f"rolling release of {project}"
        answer: object = {"rollingRelease": release}
        if "state" not in release:
            path = f"/v1/projects/{_quoted(project)}/rolling-release"
            answer = await self._transport.read("GET", path, route="rolling_release", what=what)
        found = understand(RollingReleaseAnswer, answer, what=what).rolling_release
        return found is not None and found.state is RollingReleaseState.ACTIVE


class VercelRollback:
    """Implements `ports.hosting.Rollback`: it can send production back to a deployment, and nothing else."""

    def __init__(self, transport: ActingTransport) -> None:
        self._transport = transport

    async def roll_back(self, project: ProjectId, *, target: DeploymentId, description: str) -> None:
        """Ask once for production to go back to *target*; returning means accepted (201), not done.

        *description* is cut to 250 characters. Any other 2xx raises OutcomeUnknown.
        Source: Vercel OpenAPI, requestRollback (no body, `description` in the query, 201).
        """
        assert target, "a rollback without a target only shows the status"
        what = f"rollback of {project} to {target}"
        status = await self._transport.write_once(
            "POST",
            f"/v1/projects/{_quoted(project)}/rollback/{_quoted(target)}",
            route="rollback",
            what=what,
            params={"description": description[:DESCRIPTION_CHARACTERS_MAX]} if description else {},
        )
        if status != 201:
            raise OutcomeUnknown(f"{what}: answered {status} instead of 201, which accepts nothing; read production")


async def read_identity(transport: VercelTransport, name_or_id: str) -> ProjectIdentity:
    """Return a project's id and its owner's. Raises Refused when it belongs to another team than the transport's."""
    what = f"project {name_or_id}"
    answer = await transport.read("GET", f"/v9/projects/{_quoted(name_or_id)}", route="project", what=what)
    identity = understand(ProjectIdentity, answer, what=what)
    asked = name_or_id if name_or_id.startswith("prj_") else identity.id
    _check_identity(identity.id, identity.account_id, project=asked, team_id=transport.team_id)
    return identity


def to_deployment(row: DeploymentRow, *, project: ProjectId, what: str) -> Deployment:
    """Return *row* as a deployment of *project*. Raises Unintelligible when it names another project."""
    if row.project_id not in (None, project):
        raise Unintelligible(f"{what}: {row.id} belongs to {row.project_id}; taken as no answer")
    meta = row.meta or {}
    return Deployment(
        id=DeploymentId(row.id),
        project=project,
        url=row.url,
        created_at=row.created_at,
        ready_state=row.ready_state,
        ready_substate=row.ready_substate,
        # A project's production target need not repeat what it is.
        is_production=row.target in (None, "production"),
        is_rollback_candidate=row.is_rollback_candidate is True,
        alias_assigned_at=row.alias_assigned,
        commit_sha=_commit_text(meta, "CommitSha"),
        commit_message=_commit_text(meta, "CommitMessage"),
        commit_author=_commit_text(meta, "CommitAuthorName") or _commit_text(meta, "CommitAuthorLogin"),
        branch=_commit_text(meta, "CommitRef"),
    )


def to_alias_job(request: LastAliasRequest) -> AliasJob:
    """Return *request* as a job. One of an unknown type or status counts as somebody's that runs, so that we wait."""
    is_known = request.type in set(AliasJobType) and request.status in set(AliasJobStatus)
    return AliasJob(
        type=AliasJobType(request.type) if request.type in set(AliasJobType) else AliasJobType.PROMOTE,
        status=AliasJobStatus(request.status) if is_known else AliasJobStatus.PENDING,
        from_deployment=DeploymentId(request.from_deployment) if request.from_deployment else None,
        to_deployment=DeploymentId(request.to_deployment),
        requested_at=request.requested_at,
    )


def _commit_text(meta: Mapping[str, Any], key: str) -> str | None:
    """Return the first git provider's text under *key*, cut to COMMIT_CHARACTERS_MAX; None when there is none.

    Source: Vercel OpenAPI, deployment `meta` (githubCommitSha, gitlabCommitSha, bitbucketCommitSha, and so on).
    """
    for provider in GIT_PROVIDERS:
        text = meta.get(provider + key)
        if isinstance(text, str) and text:
            return text[:COMMIT_CHARACTERS_MAX]
    return None


def _check_identity(found: str, account: str, *, project: str, team_id: str | None) -> None:
    if found != project:
        raise Unintelligible(f"project {project}: the answer is about {found}; taken as no answer")
    if team_id is not None and account != team_id:
        message = f"project {project} belongs to {account}, not to the configured {team_id}; correct the configuration"
        raise Refused(message, status=200, code="other_team")


def _not_listed(project: ProjectId) -> Refused:
    message = f"project {project} is on no page of the team's projects; correct the configuration, or the token's scope"
    return Refused(message, status=404, code="not_listed")


def _next_cursor(following: int | None, *, before: int | None) -> int | None:
    """Return the next page's cursor; None at the end, or when the cursor does not move on towards older rows."""
    if following is None or (before is not None and following >= before):
        return None
    return following


def _quoted(part: str) -> str:
    return quote(part, safe="")
