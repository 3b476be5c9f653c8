"""What a scenario may say of one project: its history, its visitors, its settings."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from daemon.emulator.durations import DAY_MS, DurationMs
from daemon.emulator.shapes import TrafficShape
from daemon.emulator.strict import Misplaced, Strict

Ratio = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]


class ReadyStateSpec(StrEnum):
    """How a build of a scenario ends."""

    READY = "READY"
    ERROR = "ERROR"
    CANCELED = "CANCELED"


class FailureSpec(Strict):
    """A share of the requests that answers an error.

    In a deployment ``after`` counts from its first activation, in an outage from the moment it begins.
    """

    ratio: Ratio
    status: int = Field(default=500, ge=400, le=599)
    message: str | None = "Error: something broke"
    """What is logged; None logs nothing."""
    route: str | None = None
    error_code: str = ""
    after_ms: DurationMs = Field(default=0, alias="after")
    lasts_ms: DurationMs | None = Field(default=None, alias="lasts")


class CommitSpec(Strict):
    """The commit of a build; the sha defaults to one derived from the deployment's name."""

    message: str | None = None
    author: str = "Ada Lovelace"
    branch: str = "main"
    sha: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")


class BuildLogSpec(Strict):
    """What a build says besides what its framework's builds always say."""

    warnings: tuple[str, ...] = ()
    missing_env: tuple[Name, ...] = ()
    error: str | None = None
    """Why a build that ends in ERROR failed; None leaves it to the framework."""


class DeploymentSpec(Strict):
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


class RouteSpec(Strict):
    """A route of the site, its share of the requests and the statuses of its good answers (status: weight)."""

    path: str = Field(pattern=r"^/")
    weight: float = Field(default=1.0, gt=0)
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = "GET"
    source: Literal["serverless", "static", "edge-function", "edge-middleware"] = "serverless"
    statuses: dict[Annotated[int, Field(ge=100, le=599)], Annotated[float, Field(ge=0)]] = Field(
        default_factory=lambda: {200: 1.0}, min_length=1
    )

    @model_validator(mode="after")
    def _answers_something(self) -> Self:
        if not sum(self.statuses.values()) > 0:
            raise Misplaced("at least one weight must be above 0", "statuses")
        return self


_ROUTES = (
    RouteSpec(path="/", weight=40, statuses={200: 97, 304: 3}),
    RouteSpec(path="/products/[id]", weight=30, statuses={200: 96, 404: 4}),
    RouteSpec(path="/api/search", weight=15),
    RouteSpec(path="/api/cart", weight=10, method="POST", statuses={200: 95, 400: 5}),
    RouteSpec(path="/api/checkout", weight=5, method="POST", statuses={200: 92, 402: 8}),
)


class PreviewSpec(Strict):
    """Traffic of preview deployments: noise that must not be mistaken for production's."""

    requests_per_second: float = Field(default=0.0, ge=0, le=10_000)
    error_ratio: Ratio = 0.0


class TrafficSpec(Strict):
    """Who visits the site. Requests per second are the mean of a Poisson process."""

    requests_per_second: float = Field(default=10.0, ge=0, le=10_000)
    shape: TrafficShape = "flat"
    """How the mean changes with time; ``minutely`` is one request a minute, whatever the mean."""
    routes: tuple[RouteSpec, ...] = Field(default=_ROUTES, min_length=1)
    baseline_error_ratio: Ratio = 0.001
    baseline_status: int = Field(default=500, ge=500, le=599)
    caught_error_ratio: Ratio = 0.0
    """Share of the requests that log an exception and answer all the same."""
    firewall_denied_ratio: Ratio = 0.0
    preview: PreviewSpec = PreviewSpec()
    failures: tuple[FailureSpec, ...] = ()
    """What fails on every deployment, counted from the start of the emulator; ``after`` 0 means since ever."""


class VariableSpec(Strict):
    """An environment variable: its name and when it was written, never its value."""

    key: Name
    type: Literal["encrypted", "plain", "sensitive", "secret", "system"] = "encrypted"
    target: tuple[Literal["production", "preview", "development"], ...] = ("production", "preview", "development")
    age_ms: DurationMs = Field(default=10 * DAY_MS, alias="age")
    """How long before the start it was created."""
    updated_ms: DurationMs | None = Field(default=None, alias="updated")
    """How long before the start it was written last; None means never after its creation."""

    @model_validator(mode="after")
    def _is_written_after_its_creation(self) -> Self:
        if self.updated_ms is not None and self.updated_ms > self.age_ms:
            raise Misplaced(f"{self.key} cannot have been written before it was created, `age` ago", "updated")
        return self


class ExpirationSpec(Strict):
    """How long deployments are kept, by kind, and how many of the newest production ones are kept whatever their age.

    Source: Vercel docs, Deployment Retention; the kinds are those of the OpenAPI's ``deploymentExpiration``.
    """

    production_ms: DurationMs = Field(default=365 * DAY_MS, alias="production")
    preview_ms: DurationMs = Field(default=180 * DAY_MS, alias="preview")
    errored_ms: DurationMs = Field(default=90 * DAY_MS, alias="errored")
    canceled_ms: DurationMs = Field(default=30 * DAY_MS, alias="canceled")
    keep: int = Field(default=10, ge=0, le=100)


class ProjectSpec(Strict):
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

    @model_validator(mode="after")
    def _names_are_its_own(self) -> Self:
        names = [past.name for past in self.deployments]
        for index, past in enumerate(self.deployments):
            if past.name in names[:index]:
                message = f"two deployments of project {self.name!r} have the same name {past.name!r}"
                raise Misplaced(message, "deployments", index, "name")
            self.check_routes(past.failures, "deployments", index, "failures")
        self.check_routes(self.traffic.failures, "traffic", "failures")
        if self.production is not None:
            self._check_production(self.production)
        return self

    def _check_production(self, name: str) -> None:
        past = next((past for past in self.deployments if past.name == name), None)
        if past is None:
            names = [past.name for past in self.deployments]
            raise Misplaced(f"project {self.name!r}: production {name!r} is none of {names}", "production")
        if past.target != "production" or past.ends is not ReadyStateSpec.READY:
            message = f"deployment {name!r} cannot serve: it must be one for production that ends READY"
            raise Misplaced(message, "production")

    def check_routes(self, failures: tuple[FailureSpec, ...], *place: int | str) -> None:
        """Refuse failures of a route that nobody visits, which would never happen; *place* is where they stand."""
        for index, failure in enumerate(failures):
            self.check_route(failure.route, *place, index, "route")

    def check_route(self, path: str | None, *place: int | str) -> None:
        """Refuse a route that nobody visits; None is every route, and *place* is where *path* stands."""
        known = [route.path for route in self.traffic.routes]
        if path is not None and path not in known:
            raise Misplaced(f"project {self.name!r} has no route {path!r}, only {known}", *place)
