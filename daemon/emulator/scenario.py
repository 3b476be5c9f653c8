"""What a scenario may say: team, projects, history, traffic, and what happens when; unknown keys are errors."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from daemon.emulator.durations import DurationMs
from daemon.emulator.fault_specs import Fault
from daemon.emulator.fleet_specs import FleetSpec
from daemon.emulator.knobs import Knobs
from daemon.emulator.shapes import TrafficShape

Ratio = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]


class Plan(StrEnum):
    """Vercel's plans, as far as they change answers."""

    HOBBY = "hobby"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class ReadyStateSpec(StrEnum):
    """How a build of a scenario ends."""

    READY = "READY"
    ERROR = "ERROR"
    CANCELED = "CANCELED"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TeamSpec(_Strict):
    """The team. ``observability_plus`` None means what the plan usually has: yes, except on hobby."""

    slug: Name = "acme"
    name: str = "Acme"
    id: str | None = Field(default=None, pattern=r"^team_\w+$")
    plan: Plan = Plan.PRO
    observability_plus: bool | None = None


class UserSpec(_Strict):
    """The account behind the tokens."""

    username: Name = "bot"
    name: str = "Bot"
    email: str = "bot@example.com"
    id: str | None = None


class TokenSpec(_Strict):
    """A bearer token: personal, of one ``team``, or project-scoped.

    ``projects`` makes it project-scoped: no user, no observability, other projects are not found.
    """

    value: str = Field(min_length=1)
    name: str = Field(min_length=1)
    read_only: bool = False
    projects: tuple[str, ...] | None = None
    team: Name | None = None
    """Slug of the only team that it reaches; None means every team."""


class FailureSpec(_Strict):
    """A share of the requests that answers an error.

    In a deployment ``after`` counts from its first activation, in an outage from the moment it begins.
    """

    ratio: Ratio
    status: int = Field(default=500, ge=400, le=599)
    message: str = "Error: something broke"
    route: str | None = None
    error_code: str = ""
    after_ms: DurationMs = Field(default=0, alias="after")
    lasts_ms: DurationMs | None = Field(default=None, alias="lasts")


class CommitSpec(_Strict):
    """The commit of a build; the sha defaults to one derived from the deployment's name."""

    message: str | None = None
    author: str = "Ada Lovelace"
    branch: str = "main"
    sha: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")


class BuildLogSpec(_Strict):
    """What a build says besides what its framework's builds always say."""

    warnings: tuple[str, ...] = ()
    missing_env: tuple[Name, ...] = ()
    error: str | None = None
    """Why a build that ends in ERROR failed; None leaves it to the framework."""


class DeploymentSpec(_Strict):
    """One build; ``name`` is how the scenario and the control endpoint speak of it (the API id is derived)."""

    name: Name
    id: str | None = Field(default=None, pattern=r"^dpl_\w+$")
    url: str | None = None
    target: Literal["production", "preview"] = "production"
    queue_ms: DurationMs = Field(default=0, alias="queue")
    """How long it waits before its build begins."""
    build_ms: DurationMs = Field(default=10_000, alias="build")
    ends: ReadyStateSpec = ReadyStateSpec.READY
    source: Literal["git", "cli", "redeploy", "import"] = "git"
    commit: CommitSpec = CommitSpec()
    failures: tuple[FailureSpec, ...] = ()
    meta: dict[str, str] = Field(default_factory=dict)
    auto_assign: bool = True
    """False is a ``--skip-domain`` build: it stays staged."""
    log: BuildLogSpec = BuildLogSpec()


class PastDeploymentSpec(DeploymentSpec):
    """A build from before the start; ``staged`` says that it never got the production domains."""

    age_ms: DurationMs = Field(alias="age")
    staged: bool = False


class RouteSpec(_Strict):
    """A route of the site, its share of the requests and the statuses of its good answers (status: weight)."""

    path: str = Field(pattern=r"^/")
    weight: float = Field(default=1.0, gt=0)
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = "GET"
    source: Literal["serverless", "static", "edge-function", "edge-middleware"] = "serverless"
    statuses: dict[int, float] = Field(default_factory=lambda: {200: 1.0}, min_length=1)


_ROUTES = (
    RouteSpec(path="/", weight=40, statuses={200: 97, 304: 3}),
    RouteSpec(path="/products/[id]", weight=30, statuses={200: 96, 404: 4}),
    RouteSpec(path="/api/search", weight=15),
    RouteSpec(path="/api/cart", weight=10, method="POST", statuses={200: 95, 400: 5}),
    RouteSpec(path="/api/checkout", weight=5, method="POST", statuses={200: 92, 402: 8}),
)


class PreviewSpec(_Strict):
    """Traffic of preview deployments: noise that must not be mistaken for production's."""

    requests_per_second: float = Field(default=0.0, ge=0, le=10_000)
    error_ratio: Ratio = 0.0


class TrafficSpec(_Strict):
    """Who visits the site. Requests per second are the mean of a Poisson process."""

    requests_per_second: float = Field(default=10.0, ge=0, le=10_000)
    shape: TrafficShape = "flat"
    """How the mean changes with time; ``minutely`` is one request a minute, whatever the mean."""
    routes: tuple[RouteSpec, ...] = Field(default=_ROUTES, min_length=1)
    baseline_error_ratio: Ratio = 0.001
    baseline_status: int = Field(default=500, ge=500, le=599)
    firewall_denied_ratio: Ratio = 0.0
    preview: PreviewSpec = PreviewSpec()
    failures: tuple[FailureSpec, ...] = ()
    """What fails on every deployment, counted from the start of the emulator; ``after`` 0 means since ever."""


class VariableSpec(_Strict):
    """An environment variable: its name and when it was written, never its value."""

    key: Name
    type: Literal["encrypted", "plain", "sensitive", "secret", "system"] = "encrypted"
    target: tuple[Literal["production", "preview", "development"], ...] = ("production", "preview", "development")
    age_ms: DurationMs = Field(default=864_000_000, alias="age")
    """How long before the start it was created."""
    updated_ms: DurationMs | None = Field(default=None, alias="updated")
    """How long before the start it was written last; None means never after its creation."""


class VariableChange(_Strict):
    """Somebody writes an environment variable, which a build from before does not know."""

    project: str
    key: Name
    target: tuple[Literal["production", "preview", "development"], ...] | None = None
    """None keeps what it was, or means all three for a new one."""


class ExpirationSpec(_Strict):
    """How long deployments are kept, by kind, and how many of the newest production ones are kept whatever their age.

    Source: Vercel docs, Deployment Retention; the kinds are those of the OpenAPI's ``deploymentExpiration``.
    """

    production_ms: DurationMs = Field(default=31_536_000_000, alias="production")
    preview_ms: DurationMs = Field(default=15_552_000_000, alias="preview")
    errored_ms: DurationMs = Field(default=7_776_000_000, alias="errored")
    canceled_ms: DurationMs = Field(default=2_592_000_000, alias="canceled")
    keep: int = Field(default=10, ge=0, le=100)


class ProjectSpec(_Strict):
    """One project and how it came to be what it is at the start."""

    name: Name
    team: Name | None = None
    """Slug of its team; None means the first one."""
    id: str | None = Field(default=None, pattern=r"^prj_\w+$")
    domains: tuple[str, ...] = ()
    framework: str = "nextjs"
    node_version: Literal["18.x", "20.x", "22.x", "24.x"] = "22.x"
    auto_assign: bool = True
    production: str | None = None
    """Name of the deployment that serves at the start; None means the newest one that ended READY and is not staged."""
    deployments: tuple[PastDeploymentSpec, ...] = ()
    traffic: TrafficSpec = TrafficSpec()
    env: tuple[VariableSpec, ...] = ()
    expiration: ExpirationSpec = ExpirationSpec()
    protection: Literal["none", "standard", "all"] = "none"
    """Who must log in: nobody, visitors of everything but production domains, everybody."""
    bypass_secrets: tuple[str, ...] = ()
    """Secrets of the protection bypass that exist since long."""
    priority: bool = False
    """A Priority project has records of CDN requests without Observability Plus. Source: Vercel CLI 64.0.2, logs."""


class DeploySpec(DeploymentSpec):
    """A build that begins while the emulator runs."""

    project: str


class MoveSpec(_Strict):
    """A promote or rollback by somebody else than the API client under test."""

    project: str
    deployment: str
    by: str = "human"
    description: str | None = None


class OutageSpec(FailureSpec):
    """Every deployment of the project fails the same way."""

    project: str


class ProjectRef(_Strict):
    """A project by name."""

    project: str


class FailuresSpec(_Strict):
    """New behaviour of a deployment, from now on; an empty list heals it."""

    project: str
    deployment: str
    failures: tuple[FailureSpec, ...] = ()


class Happening(_Strict):
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
        said = [name for name in type(self).model_fields if name != "at_ms" and getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"a happening needs exactly one of deploy, promote, rollback, ...; this one has {said}")
        return self


class JobsSpec(_Strict):
    """How long an alias job takes."""

    pending_ms: DurationMs = Field(default=300, alias="pending")
    duration_ms: DurationMs = Field(default=1_500, alias="duration")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.duration_ms < self.pending_ms:
            raise ValueError(
                f"jobs.duration ({self.duration_ms} ms) is shorter than jobs.pending ({self.pending_ms} ms)"
            )
        return self


class BuildsSpec(_Strict):
    """How long the builds take that clients ask for, and how the next ones end."""

    queue_ms: DurationMs = Field(default=500, alias="queue")
    duration_ms: DurationMs = Field(default=2_000, alias="duration")


class LagSpec(_Strict):
    """How old the newest visible counts and rows are."""

    metrics_ms: DurationMs = Field(default=30_000, alias="metrics")
    logs_ms: DurationMs = Field(default=5_000, alias="logs")


class Scenario(_Strict):
    """Everything that decides what the emulated world is and does."""

    name: Name = "unnamed"
    description: str = ""
    parameters: dict[str, float | int | str] = Field(default_factory=dict)
    seed: int = 1
    history_ms: DurationMs = Field(default=900_000, alias="history", le=86_400_000)
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
            raise ValueError("projects: a scenario needs at least one project, or a fleet")
        projects = {project.name: {past.name for past in project.deployments} for project in self.projects}
        if len(projects) != len(self.projects):
            raise ValueError("two projects have the same name")
        _check_teams(self)
        for project in self.projects:
            _check_history(project)
        for happening in sorted(self.happenings, key=lambda item: item.at_ms):
            _check_names(happening, projects)
        return self


def _check_teams(scenario: Scenario) -> None:
    slugs = [team.slug for team in (scenario.team, *scenario.teams)]
    if len(set(slugs)) != len(slugs):
        raise ValueError("two teams have the same slug")
    named = [(item.name, item.team) for item in scenario.projects] + [
        (item.name, item.team) for item in scenario.tokens
    ]
    for name, team in named:
        if team is not None and team not in slugs:
            raise ValueError(f"{name!r}: there is no team {team!r}, only {slugs}")


def _check_history(project: ProjectSpec) -> None:
    names = [past.name for past in project.deployments]
    if len(set(names)) != len(names):
        raise ValueError(f"project {project.name!r}: two deployments have the same name")
    if project.production is not None and project.production not in names:
        raise ValueError(f"project {project.name!r}: production {project.production!r} is none of {names}")


def _check_names(happening: Happening, projects: dict[str, set[str]]) -> None:
    for kind in ("deploy", "promote", "rollback", "outage", "end_outage", "failures", "variable"):
        detail = getattr(happening, kind)
        if detail is None:
            continue
        if detail.project not in projects:
            raise ValueError(f"happening {kind}: there is no project {detail.project!r}, only {sorted(projects)}")
        known = projects[detail.project]
        if kind == "deploy":
            if detail.name in known:
                raise ValueError(
                    f"happening deploy: project {detail.project!r} has a deployment {detail.name!r} already"
                )
            known.add(detail.name)
        elif kind in {"promote", "rollback", "failures"} and detail.deployment not in known:
            raise ValueError(f"happening {kind}: no deployment {detail.deployment!r} by then, only {sorted(known)}")
