"""A fleet in a world: thousands of projects that cost nothing until somebody looks at one.

Invariant: what a project is does not depend on when, or in which order, projects are looked at.
"""

import itertools
from collections.abc import Callable
from typing import Protocol

from daemon.emulator import fleet_words as words
from daemon.emulator import genesis
from daemon.emulator.durations import MINUTE_MS
from daemon.emulator.fleet_plan import (
    PlannedBuild,
    PlannedOutage,
    Traits,
    Trouble,
    future_of,
    name_of,
    outages_of,
    past_of,
    plan_of_team,
    traits_of,
)
from daemon.emulator.fleet_specs import FleetSpec
from daemon.emulator.identifiers import base62, commit_sha, host_label
from daemon.emulator.lazy import LazyDeployments, LazyProject
from daemon.emulator.model import (
    Commit,
    Deployment,
    Failure,
    Project,
    ReadyState,
    ReadySubstate,
    Team,
    failure_from,
)
from daemon.emulator.project_specs import BuildLogSpec, CommitSpec, ProjectSpec, ReadyStateSpec, RouteSpec, TrafficSpec
from daemon.emulator.scenario import DeploySpec, TeamSpec

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NUMBER_DIGITS = 4
_BOT_ROUTES = tuple(RouteSpec(path=path, weight=8, source="static", statuses={404: 1.0}) for path in words.BOT_PATHS)
_NO_LOG = BuildLogSpec()


class Ground(Protocol):
    """What a fleet needs of the world that it is put into."""

    start_ms: int
    deployments: dict[str, Deployment]

    @property
    def fleet_teams(self) -> list[Team]:
        """Return the teams in the fleet's order."""
        ...

    def register(self, project: Project) -> None:
        """Let *project* be found."""
        ...

    def adopt(self, project: Project, deployments: list[Deployment]) -> None:
        """Let *project* have had *deployments*."""
        ...

    def schedule(self, at_ms: int, effect: Callable[[int], None]) -> None:
        """Let *effect* happen at *at_ms*."""
        ...

    def begin_build(self, spec: DeploySpec, at_ms: int) -> Deployment:
        """Begin a build at *at_ms*."""
        ...

    def has_build(self, project: Project, name: str) -> bool:
        """Tell whether *project* has a deployment called *name*."""
        ...


def team_specs(spec: FleetSpec) -> list[TeamSpec]:
    """Return the teams of a fleet; the first one is called acme."""
    return [
        TeamSpec(
            slug="acme" if number == 0 else f"team-{number + 1}",
            name="Acme" if number == 0 else f"Team {number + 1}",
            plan=plan_of_team(spec, number),
        )
        for number in range(spec.teams)
    ]


class Fleet:
    """The projects of a fleet by their number, and how to make one of them real."""

    def __init__(self, spec: FleetSpec) -> None:
        """Plan the fleet that *spec* describes; nothing is made yet."""
        self.spec = spec
        self._projects: list[LazyProject] = []
        self._by_name: dict[str, LazyProject] = {}
        self._numbers: dict[str, int] = {}
        self._teams: list[Team] = []
        self._ground: Ground | None = None

    # Being put into a world

    def populate(self, ground: Ground) -> None:
        """Register every project with *ground* and schedule the first build of each after the start."""
        self._ground, self._teams = ground, ground.fleet_teams
        for number in range(self.spec.teams * self.spec.projects):
            project = self._project(number)
            self._projects.append(project)
            self._by_name[project.name] = project
            self._numbers[project.id] = number
            ground.register(project)
            self._schedule_build(number, 0)
        assert isinstance(ground.deployments, LazyDeployments)
        ground.deployments.owner_of = self.owner_of
        ground.deployments.settle_all = self.settle_all

    def _project(self, number: int) -> LazyProject:
        team, name = self.team_of(number), name_of(self.spec, number)
        return LazyProject(
            id="prj_" + base62("project", team.slug, name, length=24),
            name=name,
            team_id=team.id,
            domains=(f"{name}-{team.slug}.vercel.app", f"{name}.example.com"),
            created_at_ms=team.created_at_ms + (number + 1) * MINUTE_MS,
            maker=lambda project: self._settle(project, number),
        )

    def has(self, project: Project) -> bool:
        """Tell whether *project* belongs to the fleet."""
        return project.id in self._numbers

    def number_of(self, project: Project) -> int:
        """Return the number of one of the fleet's projects."""
        return self._numbers[project.id]

    def team_of(self, number: int) -> Team:
        """Return the team of the project with the *number*."""
        return self._teams[number // self.spec.projects]

    def settle_all(self) -> None:
        """Make the past of every project; with thousands of them that takes seconds."""
        for project in self._projects:
            project.settle()

    def settle_host(self, host: str) -> None:
        """Make the past of the project to which *host*, a generated URL, may belong."""
        label = host.partition(".")[0]
        while "-" in label:
            label = label.rpartition("-")[0]
            if (project := self._by_name.get(label)) is not None:
                project.settle()
                return

    def owner_of(self, deployment_id: str) -> Project | None:
        """Return the project whose number *deployment_id* bears; None when it bears none."""
        digits = deployment_id.removeprefix("dpl_")[:_NUMBER_DIGITS]
        if len(deployment_id) != 32 or any(digit not in _DIGITS for digit in digits):
            return None
        number = 0
        for digit in digits:
            number = number * len(_DIGITS) + _DIGITS.index(digit)
        return self._projects[number] if number < len(self._projects) else None

    def deployment_id(self, number: int, name: str) -> str:
        """Return the id of the deployment *name* of the project with the *number*, which it begins with."""
        digits, left = "", number
        for _ in range(_NUMBER_DIGITS):
            left, digit = divmod(left, len(_DIGITS))
            digits = _DIGITS[digit] + digits
        return f"dpl_{digits}{base62('fleet', self.spec.seed, number, name, length=28 - _NUMBER_DIGITS)}"

    # Making a project real

    def _settle(self, project: LazyProject, number: int) -> None:
        ground = self._ground
        assert ground is not None, "a project is settled only once it stands in a world"
        traits = traits_of(self.spec, number)
        project.spec = project_spec(traits)
        past = past_of(self.spec, traits)
        deployments = [self._past_deployment(project, number, build) for build in past]
        _serve_in_turn(project, past, deployments, ground.start_ms)
        project.outages = [_outage(item, ground.start_ms) for item in outages_of(self.spec, traits)]
        ground.adopt(project, deployments)

    def _past_deployment(self, project: Project, number: int, build: PlannedBuild) -> Deployment:
        assert self._ground is not None
        created_ms = self._ground.start_ms + build.at_ms
        state, ready_ms = ReadyState(build.ends), self._ground.start_ms + min(build.ready_ms, 0)
        team = self.team_of(number)
        identity = (team.slug, project.name, build.name)
        return Deployment(
            id=self.deployment_id(number, build.name),
            name=build.name,
            project_id=project.id,
            url=f"{project.name}-{host_label('url', self.spec.seed, *identity)}-{team.slug}.vercel.app",
            is_production=build.is_production,
            created_at_ms=created_ms,
            commit=Commit(commit_sha(self.spec.seed, *identity), build.message, build.author, build.branch),
            source="git",
            ready_state=state,
            substate=ReadySubstate.STAGED if build.is_production else None,
            ready_at_ms=ready_ms if state is ReadyState.READY else None,
            building_at_ms=created_ms,
            ended_at_ms=ready_ms,
            failure_specs=() if build.trouble is None else build.trouble.failures,
            log=_log(build),
        )

    # What happens after the start

    def _schedule_build(self, number: int, index: int) -> None:
        """Schedule a project's build with the *index* after the start, if there is one before the horizon."""
        assert self._ground is not None
        build = self._future_build(number, index)
        if build is not None:
            at_ms = self._ground.start_ms + build.at_ms
            self._ground.schedule(at_ms, lambda begins_ms: self._begin_build(number, index, begins_ms))

    def _future_build(self, number: int, index: int) -> PlannedBuild | None:
        # Drawn anew each time: thousands of half-used generators would cost more memory than this costs time.
        builds = future_of(self.spec, traits_of(self.spec, number))
        return next(itertools.islice(builds, index, None), None)

    def _begin_build(self, number: int, index: int, at_ms: int) -> None:
        assert self._ground is not None
        build = self._future_build(number, index)
        assert build is not None
        if self._ground.has_build(self._projects[number], build.name):
            return  # Somebody gave a build of their own this name.
        self._ground.begin_build(self._deploy_spec(number, build), at_ms)
        self._schedule_build(number, index + 1)

    def _deploy_spec(self, number: int, build: PlannedBuild) -> DeploySpec:
        return DeploySpec(
            project=self._projects[number].name,
            name=build.name,
            id=self.deployment_id(number, build.name),
            target="production" if build.is_production else "preview",
            build=f"{build.build_ms}ms",
            ends=ReadyStateSpec(build.ends),
            commit=CommitSpec(message=build.message, author=build.author, branch=build.branch),
            failures=() if build.trouble is None else build.trouble.failures,
            log=_log(build),
        )


def project_spec(traits: Traits) -> ProjectSpec:
    """Return what a scenario would say of a project with these *traits*."""
    routes = TrafficSpec().routes
    traffic = TrafficSpec(
        requests_per_second=traits.requests_per_second,
        shape=traits.shape,
        routes=(*routes, *_BOT_ROUTES) if traits.shape == "bots" else routes,
    )
    return ProjectSpec(name=traits.name, framework=traits.framework, traffic=traffic)


def _log(build: PlannedBuild) -> BuildLogSpec:
    if not (build.warnings or build.missing_env or build.build_error):
        return _NO_LOG
    return BuildLogSpec(warnings=build.warnings, missing_env=build.missing_env, error=build.build_error)


def _serve_in_turn(project: Project, past: list[PlannedBuild], deployments: list[Deployment], start_ms: int) -> None:
    """Let each good production build have served until the next one, or until it was rolled back."""
    good: Deployment | None = None
    for build, deployment in zip(past, deployments, strict=True):
        if deployment.ready_at_ms is None or not deployment.is_production:
            continue
        genesis.serve(project, deployment, deployment.ready_at_ms)
        if build.rolled_back_at_ms is not None:
            assert good is not None, "nobody goes back where nothing was good"
            genesis.serve(project, good, start_ms + build.rolled_back_at_ms)
        good = deployment if build.is_good else good


def _outage(planned: PlannedOutage, start_ms: int) -> Failure:
    trouble: Trouble = planned.trouble
    failure = failure_from(trouble.failures[0], start_ms + planned.from_ms)
    failure.until_ms = start_ms + planned.until_ms
    return failure
