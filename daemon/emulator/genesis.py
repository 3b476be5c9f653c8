"""How a scenario becomes the facts of a world at its start."""

from dataclasses import replace

from daemon.emulator.durations import DAY_MS, MINUTE_MS
from daemon.emulator.identifiers import base62, commit_sha, host_label
from daemon.emulator.model import (
    BypassSecret,
    Commit,
    Deployment,
    Project,
    ReadyState,
    ReadySubstate,
    Team,
    Token,
    User,
    Variable,
    failure_from,
)
from daemon.emulator.project_specs import DeploymentSpec, ProjectSpec
from daemon.emulator.scenario import Plan, Scenario, TeamSpec, VariableChange


def teams_of(scenario: Scenario, start_ms: int) -> dict[str, Team]:
    """Return the scenario's teams by their id; the first one is the account's default."""
    teams = [_team_of(spec, start_ms) for spec in (scenario.team, *scenario.teams)]
    return {team.id: team for team in teams}


def _team_of(spec: TeamSpec, start_ms: int) -> Team:
    plus = spec.plan is not Plan.HOBBY if spec.observability_plus is None else spec.observability_plus
    team_id = spec.id or "team_" + base62("team", spec.slug, length=24)
    return Team(team_id, spec.slug, spec.name, spec.plan, plus, start_ms - 900 * DAY_MS)


def user_of(scenario: Scenario) -> User:
    """Return the account behind the scenario's tokens."""
    spec = scenario.user
    return User(spec.id or base62("user", spec.username, length=24), spec.username, spec.email, spec.name)


def tokens_of(scenario: Scenario) -> dict[str, Token]:
    """Return the scenario's tokens by their value."""
    return {
        spec.value: Token(
            spec.value,
            spec.name,
            spec.read_only,
            projects=None if spec.projects is None else frozenset(spec.projects),
            team=spec.team,
        )
        for spec in scenario.tokens
    }


def project_of(spec: ProjectSpec, team: Team, number: int) -> Project:
    """Return a project without its deployments; *number* keeps the creation times of projects apart."""
    project_id = spec.id or "prj_" + base62("project", team.slug, spec.name, length=24)
    domains = (f"{spec.name}-{team.slug}.vercel.app", *spec.domains)
    created = team.created_at_ms + (number + 1) * MINUTE_MS
    project = Project(project_id, spec.name, team.id, spec, domains, created, created, spec.auto_assign)
    project.bypasses = {secret: BypassSecret(secret, created) for secret in spec.bypass_secrets}
    return project


def variables_of(spec: ProjectSpec, project: Project, start_ms: int) -> dict[str, Variable]:
    """Return the environment variables that *project* has at the start, by their key."""
    return {
        item.key: Variable(
            variable_id(project, item.key),
            item.key,
            item.type,
            tuple(item.target),
            start_ms - item.age_ms,
            start_ms - (item.age_ms if item.updated_ms is None else item.updated_ms),
        )
        for item in spec.env
    }


def variable_id(project: Project, key: str) -> str:
    """Return the id of an environment variable."""
    return base62("variable", project.id, key, length=16)


def variable_after(change: VariableChange, project: Project, at_ms: int) -> Variable:
    """Return the environment variable that *change* leaves behind at *at_ms*."""
    old = project.variables.get(change.key)
    if old is None:
        everywhere = ("production", "preview", "development")
        targets = tuple(change.target or everywhere)
        return Variable(variable_id(project, change.key), change.key, "encrypted", targets, at_ms, at_ms)
    return replace(old, targets=tuple(change.target or old.targets), updated_at_ms=at_ms)


def deployment_of(spec: DeploymentSpec, project: Project, team: Team, created_at_ms: int) -> Deployment:
    """Return a deployment whose build has just begun, or waits in its queue."""
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
        ready_state=ReadyState.QUEUED if spec.queue_ms else ReadyState.BUILDING,
        building_at_ms=None if spec.queue_ms else created_at_ms,
        log=spec.log,
        planned_build_ms=spec.build_ms,
        planned_end=ReadyState(spec.ends.value),
    )


def activate(deployment: Deployment, at_ms: int) -> None:
    """Note that *deployment* begins to serve production; the times of its failures count from its first activation."""
    deployment.substate = ReadySubstate.PROMOTED
    meet_visitors(deployment, at_ms)


def meet_visitors(deployment: Deployment, at_ms: int) -> None:
    """Note that *deployment* gets requests of production, perhaps only as a canary."""
    if deployment.activated_at_ms is None:
        deployment.activated_at_ms = at_ms
        deployment.failures = [failure_from(spec, at_ms) for spec in deployment.failure_specs]


def settle_history(project: Project, team: Team, start_ms: int) -> list[Deployment]:
    """Return the deployments from before the start, oldest first, and let *project* have had them in production."""
    project.variables = variables_of(project.spec, project, start_ms)
    deployments = []
    for spec in sorted(project.spec.deployments, key=lambda item: -item.age_ms):
        deployment = deployment_of(spec, project, team, start_ms - spec.age_ms)
        deployment.ready_state = ReadyState(spec.ends.value)
        ready_at_ms = min(deployment.created_at_ms + spec.queue_ms + spec.build_ms, start_ms)
        deployment.ready_at_ms = ready_at_ms if deployment.ready_state is ReadyState.READY else None
        deployment.building_at_ms = min(deployment.created_at_ms + spec.queue_ms, ready_at_ms)
        deployment.ended_at_ms = ready_at_ms
        if deployment.ready_at_ms is not None and deployment.is_production and not spec.staged:
            serve(project, deployment, ready_at_ms)
        deployments.append(deployment)
    wanted = next((item for item in deployments if item.name == project.spec.production), None)
    if wanted is not None and wanted.id != project.production_id:
        serve(project, wanted, start_ms - 1)
    return deployments


def serve(project: Project, deployment: Deployment, at_ms: int) -> None:
    """Let *deployment* have served every production domain from *at_ms* on."""
    activate(deployment, at_ms)
    project.production_id = deployment.id
    project.assign(at_ms, dict.fromkeys(project.domains, deployment.id))
