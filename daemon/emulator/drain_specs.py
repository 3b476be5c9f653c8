"""What a drain may be asked to do; strictly read. Source: Vercel OpenAPI, createDrain and updateDrain."""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from daemon.emulator.errors import bad_request

LogSource = Literal["build", "edge", "lambda", "static", "external", "firewall", "redirect"]
Environment = Literal["production", "preview"]
SpecT = TypeVar("SpecT", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class HttpDelivery(_Body):
    """Deliver by HTTP; S3, OTLP and ClickHouse are not emulated."""

    type: Literal["http"]
    endpoint: str
    encoding: Literal["json", "ndjson"]
    compression: Literal["gzip", "none"] = "none"
    headers: dict[str, str]
    secret: str | None = None


class _LogFilter(_Body):
    sources: tuple[LogSource, ...] | None = None


class _DeploymentFilter(_Body):
    environments: tuple[Environment, ...] | None = None


class _ProjectFilter(_Body):
    ids: tuple[str, ...] | None = None


class BasicFilter(_Body):
    """Which entries are wanted; what is None does not matter."""

    type: Literal["basic"] = "basic"
    log: _LogFilter = _LogFilter()
    deployment: _DeploymentFilter = _DeploymentFilter()
    project: _ProjectFilter = _ProjectFilter()


class ODataFilter(_Body):
    """Which entries are wanted, as an OData expression over their texts and numbers."""

    type: Literal["odata"]
    text: str


class FilterV2(_Body):
    """A filter in its versioned envelope."""

    version: Literal["v2"]
    filter: Annotated[BasicFilter | ODataFilter, Field(discriminator="type")]


class SamplingRule(_Body):
    """Keep the share ``rate`` (0..1) of the requests that the rule matches; None matches all."""

    type: Literal["head_sampling"]
    rate: float = Field(ge=0, le=1)
    env: Environment | None = None
    request_path: str | None = None


class _Schema(_Body):
    version: Literal["v1"]


class _Source(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Literal["self-served", "integration"] = "self-served"


class DrainSpec(_Body):
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


class DrainTestSpec(_Body):
    """A delivery that is to be tried out once."""

    schemas: dict[str, _Schema]
    delivery: HttpDelivery


def parse_drain(body: dict[str, Any]) -> DrainSpec:
    """Return the drain that *body* asks for; else a 400."""
    return _parsed(DrainSpec, body)


def parse_drain_test(body: dict[str, Any]) -> DrainTestSpec:
    """Return the delivery that *body* wants tried; else a 400."""
    return _parsed(DrainTestSpec, body)


def _parsed(kind: type[SpecT], body: dict[str, Any]) -> SpecT:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"]) or "body"
        raise bad_request(f"Invalid request: `{where}`: {detail['msg'].removeprefix('Value error, ')}") from error
