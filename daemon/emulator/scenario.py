"""What a scenario may say: teams, tokens, projects, and what happens when; names that nobody bears are errors."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from daemon.emulator.durations import DAY_MS, DurationMs
from daemon.emulator.fault_specs import Fault
from daemon.emulator.fleet_specs import FleetSpec
from daemon.emulator.knobs import Knobs
from daemon.emulator.project_specs import DeploymentSpec, FailureSpec, Name, ProjectSpec
from daemon.emulator.strict import Misplaced, Strict


class Plan(StrEnum):
    """Vercel's plans, as far as they change answers."""

    HOBBY = "hobby"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class TeamSpec(Strict):
    """The team. ``observability_plus`` None means what the plan usually has: yes, except on hobby."""

    slug: Name = "acme"
    name: str = "Acme"
    id: str | None = Field(default=None, pattern=r"^team_\w+$")
    plan: Plan = Plan.PRO
    observability_plus: bool | None = None


class UserSpec(Strict):
    """The account behind the tokens."""

    username: Name = "bot"
    name: str = "Bot"
    email: str = "bot@example.com"
    id: str | None = None


class TokenSpec(Strict):
    """A bearer token: personal, of one ``team``, or project-scoped.

    ``projects`` makes it project-scoped: no user, no observability, other projects are not found.
    """

    value: str = Field(min_length=1)
    name: str = Field(min_length=1)
    read_only: bool = False
    projects: tuple[str, ...] | None = None
    team: Name | None = None
    """Slug of the only team that it reaches; None means every team."""


class VariableChange(Strict):
    """Somebody writes an environment variable, which a build from before does not know."""

    project: str
    key: Name
    target: tuple[Literal["production", "preview", "development"], ...] | None = None
    """None keeps what it was, or means all three for a new one."""


class DeploySpec(DeploymentSpec):
    """A build that begins while the emulator runs."""

    project: str


class MoveSpec(Strict):
    """A promote or rollback by somebody else than the API client under test."""

    project: str
    deployment: str
    by: str = "human"
    description: str | None = None


class OutageSpec(FailureSpec):
    """Every deployment of the project fails the same way."""

    project: str


class ProjectRef(Strict):
    """A project by name."""

    project: str


class FailuresSpec(Strict):
    """New behaviour of a deployment, from now on; an empty list heals it."""

    project: str
    deployment: str
    failures: tuple[FailureSpec, ...] = ()


class Happening(Strict):
    """One thing that happens ``at`` a time after the start; exactly one of the other keys."""

    at_ms: DurationMs = Field(alias="at")
    deploy: DeploySpec | None = None
    promote: MoveSpec | None = None
    rollback: MoveSpec | None = None
    outage: OutageSpec | None = None
    end_outage: ProjectRef | None = None
    failures: FailuresSpec | None = None
    variable: VariableChange | None = None
    fault: Fault | None = None
    clear_fault: str | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = [name for name in self._kinds() if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"a happening needs exactly one of {', '.join(self._kinds())}; this one has {said}")
        return self

    @classmethod
    def _kinds(cls) -> list[str]:
        return [name for name in cls.model_fields if name != "at_ms"]

    @property
    def what(self) -> tuple[str, object]:
        """Return the key that says what happens, and what it says."""
        [said] = [(name, detail) for name in self._kinds() if (detail := getattr(self, name)) is not None]
        return said


class JobsSpec(Strict):
    """How long an alias job takes."""

    pending_ms: DurationMs = Field(default=300, alias="pending")
    duration_ms: DurationMs = Field(default=1_500, alias="duration")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.duration_ms < self.pending_ms:
            message = f"jobs.duration ({self.duration_ms} ms) is shorter than jobs.pending ({self.pending_ms} ms)"
            raise Misplaced(message, "duration")
        return self


class BuildsSpec(Strict):
    """How long the builds take that clients ask for; how they end is for a fault to say."""

    queue_ms: DurationMs = Field(default=500, alias="queue")
    duration_ms: DurationMs = Field(default=2_000, alias="duration")


class LagSpec(Strict):
    """How old the newest visible counts and rows are."""

    metrics_ms: DurationMs = Field(default=30_000, alias="metrics")
    logs_ms: DurationMs = Field(default=5_000, alias="logs")


class Scenario(Strict):
    """Everything that decides what the emulated world is and does."""

    name: Name = "unnamed"
    description: str = ""
    parameters: dict[str, float | int | str] = Field(default_factory=dict)
    seed: int = 1
    history_ms: DurationMs = Field(default=900_000, alias="history", le=DAY_MS)
    """How much traffic there was before the start."""
    rows_kept: int = Field(default=20_000, ge=100, le=1_000_000)
    team: TeamSpec = TeamSpec()
    teams: tuple[TeamSpec, ...] = ()
    """Further teams of the same account; ``team`` is the default one."""
    user: UserSpec = UserSpec()
    tokens: tuple[TokenSpec, ...] = (
        TokenSpec(value="tok_emulator_read", name="reader", read_only=True),
        TokenSpec(value="tok_emulator_act", name="actor"),
    )
    knobs: Knobs = Field(default_factory=Knobs)
    jobs: JobsSpec = JobsSpec()
    builds: BuildsSpec = BuildsSpec()
    lag: LagSpec = LagSpec()
    projects: tuple[ProjectSpec, ...] = ()
    fleet: FleetSpec | None = None
    """Projects that are generated; None means those of ``projects`` only."""
    happenings: tuple[Happening, ...] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if not self.projects and self.fleet is None:
            raise Misplaced("a scenario needs at least one project, or a fleet", "projects")
        _check_teams(self)
        _check_projects(self)
        _check_tokens(self)
        _check_happenings(self)
        return self


def _check_teams(scenario: Scenario) -> None:
    slugs = [team.slug for team in (scenario.team, *scenario.teams)]
    for index, slug in enumerate(slugs[1:]):
        if slug in slugs[: index + 1]:
            raise Misplaced(f"two teams have the same slug {slug!r}", "teams", index, "slug")
    of_projects = [("projects", index, item.name, item.team) for index, item in enumerate(scenario.projects)]
    of_tokens = [("tokens", index, item.name, item.team) for index, item in enumerate(scenario.tokens)]
    for kind, index, name, team in (*of_projects, *of_tokens):
        if team is not None and team not in slugs:
            raise Misplaced(f"{name!r}: there is no team {team!r}, only {slugs}", kind, index, "team")


def _check_projects(scenario: Scenario) -> None:
    taken: set[str] = set()

    def claim(what: str, value: str | None, *place: int | str) -> None:
        if value is not None and (claimed := f"{what} {value}") in taken:
            raise Misplaced(f"the {claimed} is given twice; it can belong to one only", "projects", *place)
        taken.add(f"{what} {value}")

    for index, project in enumerate(scenario.projects):
        claim("project name", project.name, index, "name")
        claim("id", project.id, index, "id")
        for number, domain in enumerate(project.domains):
            claim("domain", domain, index, "domains", number)
        for number, past in enumerate(project.deployments):
            claim("id", past.id, index, "deployments", number, "id")


def _check_tokens(scenario: Scenario) -> None:
    values = [token.value for token in scenario.tokens]
    projects = {name for project in scenario.projects for name in (project.name, project.id)}
    for index, token in enumerate(scenario.tokens):
        if token.value in values[:index]:
            raise Misplaced(f"the token {token.name!r} has the value of another one", "tokens", index, "value")
        for place, name in enumerate(token.projects or ()):
            # The names of a fleet's projects, and ids that nobody chose, are known only later.
            if scenario.fleet is None and not name.startswith("prj_") and name not in projects:
                message = f"the token {token.name!r}: there is no project {name!r}, only {_names(scenario)}"
                raise Misplaced(message, "tokens", index, "projects", place)


def _names(scenario: Scenario) -> list[str]:
    return sorted(project.name for project in scenario.projects)


def _check_happenings(scenario: Scenario) -> None:
    projects = {project.name: project for project in scenario.projects}
    builds = {project.name: {past.name for past in project.deployments} for project in scenario.projects}
    # In order of time: a build can be promoted only after it has begun.
    for index, happening in sorted(enumerate(scenario.happenings), key=lambda item: item[1].at_ms):
        kind, detail = happening.what
        name = getattr(detail, "project", None)
        if name is None:
            continue
        if name not in projects:
            message = f"happening {kind}: there is no project {name!r}, only {_names(scenario)}"
            raise Misplaced(message, "happenings", index, kind, "project")
        _check_build(detail, builds[name], "happenings", index, kind)
        if isinstance(detail, DeploySpec | FailuresSpec):
            projects[name].check_routes(detail.failures, "happenings", index, kind, "failures")
        elif isinstance(detail, OutageSpec):
            projects[name].check_route(detail.route, "happenings", index, kind, "route")


def _check_build(detail: object, known: set[str], *place: int | str) -> None:
    """Refuse a build whose name is taken, and what speaks of a build that is not among the *known* ones by then."""
    if isinstance(detail, DeploySpec):
        if detail.name in known:
            message = f"happening deploy: project {detail.project!r} has a deployment {detail.name!r} already"
            raise Misplaced(message, *place, "name")
        known.add(detail.name)
    elif isinstance(detail, MoveSpec | FailuresSpec) and detail.deployment not in known:
        message = f"happening {place[-1]}: no deployment {detail.deployment!r} by then, only {sorted(known)}"
        raise Misplaced(message, *place, "deployment")
