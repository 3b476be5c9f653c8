"""How a scenario becomes the facts of a world at its start."""

from daemon.emulator.identifiers import base62, commit_sha, host_label
from daemon.emulator.model import (
    Commit,
    Deployment,
    Project,
    ReadyState,
    ReadySubstate,
    Team,
    Token,
    User,
    failure_from,
)
from daemon.emulator.scenario import DeploymentSpec, Plan, ProjectSpec, Scenario

_DAY_MS = 86_400_000


def team_of(scenario: Scenario, start_ms: int) -> Team:
    """Return the scenario's team."""
    spec = scenario.team
    plus = spec.plan is not Plan.HOBBY if spec.observability_plus is None else spec.observability_plus
    team_id = spec.id or "team_" + base62("team", spec.slug, length=24)
    return Team(team_id, spec.slug, spec.name, spec.plan, plus, start_ms - 900 * _DAY_MS)


def user_of(scenario: Scenario) -> User:
    """Return the account behind the scenario's tokens."""
    spec = scenario.user
    return User(spec.id or base62("user", spec.username, length=24), spec.username, spec.email, spec.name)


def tokens_of(scenario: Scenario) -> dict[str, Token]:
    """Return the scenario's tokens by their value."""
    return {
        spec.value: Token(
            spec.value, spec.name, spec.read_only, None if spec.projects is None else frozenset(spec.projects)
        )
        for spec in scenario.tokens
    }


def project_of(spec: ProjectSpec, team: Team, number: int) -> Project:
    """Return a project without its deployments; *number* keeps the creation times of projects apart."""
    project_id = spec.id or "prj_" + base62("project", team.slug, spec.name, length=24)
    domains = (f"{spec.name}-{team.slug}.vercel.app", *spec.domains)
    created = team.created_at_ms + (number + 1) * 60_000
    return Project(project_id, spec.name, team.id, spec, domains, created, created, spec.auto_assign)


def deployment_of(spec: DeploymentSpec, project: Project, team: Team, created_at_ms: int) -> Deployment:
    """Return a deployment whose build has just begun."""
    identity = (team.slug, project.name, spec.name)
    commit = Commit(
        sha=spec.commit.sha or commit_sha(*identity),
        message=spec.commit.message or f"{spec.name}: change something",
        author=spec.commit.author,
        branch=spec.commit.branch,
    )
    is_production = spec.target == "production"
    return Deployment(
        id=spec.id or "dpl_" + base62("deployment", *identity, length=28),
        name=spec.name,
        project_id=project.id,
        url=spec.url or f"{project.name}-{host_label('url', *identity)}-{team.slug}.vercel.app",
        is_production=is_production,
        created_at_ms=created_at_ms,
        commit=commit,
        source=spec.source,
        substate=ReadySubstate.STAGED if is_production else None,
        failure_specs=spec.failures,
        failures=[failure_from(item, None) for item in spec.failures if item.after_ms == 0 and item.lasts_ms is None],
        meta=dict(spec.meta),
        auto_assign=spec.auto_assign,
    )


def activate(deployment: Deployment, at_ms: int) -> None:
    """Note that *deployment* begins to serve production; the times of its failures count from its first activation."""
    deployment.substate = ReadySubstate.PROMOTED
    if deployment.activated_at_ms is None:
        deployment.activated_at_ms = at_ms
        deployment.failures = [failure_from(spec, at_ms) for spec in deployment.failure_specs]


def settle_history(project: Project, team: Team, start_ms: int) -> list[Deployment]:
    """Return the deployments from before the start, oldest first, and let *project* have had them in production."""
    deployments = []
    for spec in sorted(project.spec.deployments, key=lambda item: -item.age_ms):
        deployment = deployment_of(spec, project, team, start_ms - spec.age_ms)
        deployment.ready_state = ReadyState(spec.ends.value)
        ready_at_ms = min(deployment.created_at_ms + spec.build_ms, start_ms)
        deployment.ready_at_ms = ready_at_ms if deployment.ready_state is ReadyState.READY else None
        if deployment.ready_at_ms is not None and deployment.is_production and not spec.staged:
            _serve(project, deployment, ready_at_ms)
        deployments.append(deployment)
    wanted = next((item for item in deployments if item.name == project.spec.production), None)
    if wanted is not None and wanted.id != project.production_id:
        _serve(project, wanted, start_ms - 1)
    return deployments


def _serve(project: Project, deployment: Deployment, at_ms: int) -> None:
    activate(deployment, at_ms)
    project.production_id = deployment.id
    project.assign(at_ms, dict.fromkeys(project.domains, deployment.id))
