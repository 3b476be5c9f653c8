"""What a fleet is to look like: how many teams and projects, how they build, who visits them and how they break."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from daemon.emulator.durations import DAY_MS, DurationMs
from daemon.emulator.shapes import TrafficShape
from daemon.emulator.strict import Misplaced, Strict

Weight = Annotated[float, Field(ge=0)]


class ErrorShape(StrEnum):
    """How a failure comes and goes."""

    JUMP = "jump"
    RAMP = "ramp"
    PARTIAL_ROUTE = "partial-route"
    COLD_START = "cold-start"
    FLAPPING = "flapping"
    NEW_KIND = "new-kind"
    UPSTREAM_OUTAGE = "upstream-outage"


class RateSpec(Strict):
    """Requests per second of the projects: a log-normal draw around ``median``, at most ``most``."""

    median: float = Field(default=0.5, gt=0, le=1_000)
    most: float = Field(default=20.0, gt=0, le=10_000)


class FleetSpec(Strict):
    """A fleet. Weights need not add up to one; the same seed always makes the same fleet."""

    name: str = Field(default="fleet", pattern=r"^[A-Za-z0-9._-]+$")
    seed: int = 1
    teams: int = Field(default=1, ge=1, le=1_000)
    projects: int = Field(default=10, ge=1, le=100_000)
    """Projects of each team."""
    history_ms: DurationMs = Field(default=90 * DAY_MS, alias="history")
    """How far back the deployments go."""
    traffic_history_ms: DurationMs = Field(default=900_000, alias="traffic_history", le=DAY_MS)
    """How far back the visitors go."""
    horizon_ms: DurationMs = Field(default=7 * DAY_MS, alias="horizon")
    """How far ahead of the start builds and outages are planned."""
    deployments_per_week: float = Field(default=4.0, gt=0, le=500)
    """The median of the projects' rates."""
    deployments_most: int = Field(default=30, ge=1, le=1_000)
    """Deployments of a project at the start, the newest ones."""
    incident_ratio: float = Field(default=0.05, ge=0, le=1)
    """The share of the production builds that fail visitors."""
    outages_per_month: float = Field(default=0.5, ge=0, le=100)
    """Failures of a project that no deployment causes."""
    requests_per_second: RateSpec = RateSpec()
    plans: dict[Literal["hobby", "pro", "enterprise"], Weight] = Field(
        default={"hobby": 1.0, "pro": 3.0, "enterprise": 1.0}, min_length=1
    )
    traffic: dict[TrafficShape, Weight] = Field(
        default={"flat": 2, "daily": 4, "bursts": 1, "quiet": 2, "minutely": 1, "bots": 1}, min_length=1
    )
    errors: dict[ErrorShape, Weight] = Field(
        default={shape: 1.0 for shape in ErrorShape if shape is not ErrorShape.UPSTREAM_OUTAGE}, min_length=1
    )
    """The shapes of the failures that deployments cause."""

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> Self:
        for name in ("plans", "traffic", "errors"):
            if not sum(getattr(self, name).values()) > 0:
                raise Misplaced("at least one weight must be above 0", name)
        if ErrorShape.UPSTREAM_OUTAGE in self.errors:
            raise Misplaced("no deployment causes an upstream-outage; say outages_per_month", "errors")
        if self.teams * self.projects > 100_000:
            raise Misplaced(f"{self.teams} teams x {self.projects} projects are more than 100,000", "projects")
        return self
