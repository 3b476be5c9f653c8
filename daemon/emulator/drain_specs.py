"""What a drain may be asked to do; strictly read. Source: Vercel OpenAPI, createDrain and updateDrain."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from daemon.emulator.strict import RequestBody, body_of

LogSource = Literal["build", "edge", "lambda", "static", "external", "firewall", "redirect"]
Environment = Literal["production", "preview"]


class HttpDelivery(RequestBody):
    """Deliver by HTTP; S3, OTLP and ClickHouse are not emulated."""

    type: Literal["http"]
    endpoint: str
    encoding: Literal["json", "ndjson"]
    compression: Literal["gzip", "none"] = "none"
    headers: dict[str, str]
    secret: str | None = None


class _LogFilter(RequestBody):
    sources: tuple[LogSource, ...] | None = None


class _DeploymentFilter(RequestBody):
    environments: tuple[Environment, ...] | None = None


class _ProjectFilter(RequestBody):
    ids: tuple[str, ...] | None = None


class BasicFilter(RequestBody):
    """Which entries are wanted; what is None does not matter."""

    type: Literal["basic"] = "basic"
    log: _LogFilter = _LogFilter()
    deployment: _DeploymentFilter = _DeploymentFilter()
    project: _ProjectFilter = _ProjectFilter()


class ODataFilter(RequestBody):
    """Which entries are wanted, as an OData expression over their texts and numbers."""

    type: Literal["odata"]
    text: str


class FilterV2(RequestBody):
    """A filter in its versioned envelope."""

    version: Literal["v2"]
    filter: Annotated[BasicFilter | ODataFilter, Field(discriminator="type")]


class SamplingRule(RequestBody):
    """Keep the share ``rate`` (0..1) of the requests that the rule matches; None matches all."""

    type: Literal["head_sampling"]
    rate: float = Field(ge=0, le=1)
    env: Environment | None = None
    request_path: str | None = None


class _Schema(RequestBody):
    version: Literal["v1"]


class _Source(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Literal["self-served", "integration"] = "self-served"


class DrainSpec(RequestBody):
    """A drain as it was asked for."""

    name: str = Field(min_length=1, max_length=100)
    projects: Literal["some", "all"]
    project_ids: tuple[str, ...] | None = None
    filter: FilterV2 | None = None
    schemas: dict[Literal["log", "trace", "analytics", "speedInsights"], _Schema] = Field(min_length=1)
    delivery: HttpDelivery
    sampling: tuple[SamplingRule, ...] = ()
    source: _Source = _Source()

    @model_validator(mode="after")
    def _names_its_projects(self) -> Self:
        if self.projects == "some" and not self.project_ids:
            raise ValueError("`projectIds` is required when `projects` is `some`")
        return self


class DrainTestSpec(RequestBody):
    """A delivery that is to be tried out once."""

    schemas: dict[str, _Schema]
    delivery: HttpDelivery


def parse_drain(body: dict[str, Any]) -> DrainSpec:
    """Return the drain that *body* asks for; else a 400."""
    return body_of(DrainSpec, body)


def parse_drain_test(body: dict[str, Any]) -> DrainTestSpec:
    """Return the delivery that *body* wants tried; else a 400."""
    return body_of(DrainTestSpec, body)
