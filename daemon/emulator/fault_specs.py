"""The faults that can be asked for, by a scenario or by the control endpoint: what each does and when it fires."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from daemon.emulator.durations import DurationMs
from daemon.emulator.strict import Misplaced, Strict


class RouteGroup(StrEnum):
    """A name for the routes of one concern, so that a fault can aim at them."""

    ANY = "*"
    USER = "user"
    TEAMS = "teams"
    PROJECT = "project"
    PROJECTS = "projects"
    DEPLOYMENT = "deployment"
    DEPLOYMENTS = "deployments"
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    ALIASES = "aliases"
    BUILDS = "builds"
    EVENTS = "events"
    SETTINGS = "settings"
    RECORDS = "records"
    RUNTIME_LOGS = "runtime_logs"
    ALERTS = "alerts"
    OBSERVABILITY = "observability"
    REQUEST_LOGS = "request_logs"
    ROLLING_RELEASE = "rolling_release"
    DRAINS = "drains"
    WEBHOOKS = "webhooks"
    UNKNOWN = "unknown"


class JobOutcome(StrEnum):
    """How an alias job ends. ``stuck`` stays in progress and ``stuck-pending`` pending, for ever."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    PARTIAL = "partial"
    STUCK = "stuck"
    STUCK_PENDING = "stuck-pending"


class BuildOutcome(StrEnum):
    """How a build ends that a client asked for."""

    READY = "READY"
    ERROR = "ERROR"
    CANCELED = "CANCELED"


_MOVES = frozenset({RouteGroup.ROLLBACK, RouteGroup.PROMOTE})
_COUNTS = frozenset({RouteGroup.OBSERVABILITY})


class When(StrEnum):
    """On which side of the request's effect a fault strikes."""

    BEFORE_APPLY = "before_apply"
    AFTER_APPLY = "after_apply"
    AFTER_ANSWER = "after_answer"


class FaultSpec(Strict):
    """What every fault says about when it fires."""

    concerns: ClassVar[frozenset[RouteGroup] | None] = None
    """The only routes on which this kind means anything, so that others do not use up its count; None means all."""

    id: str | None = Field(default=None, max_length=100)
    """Name to clear it by; None lets the emulator choose one."""
    route: RouteGroup = RouteGroup.ANY
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"] | None = None
    """None means any method."""
    project: str | None = None
    """Name of the only project it concerns; None means every request."""
    skip: int = Field(default=0, ge=0)
    """How many matching requests pass before it may fire."""
    count: int | None = Field(default=None, ge=1)
    """How often it fires; None means without end."""
    probability: float = Field(default=1.0, gt=0, le=1)
    """Chance that a matching request is hit, drawn from ``seed``."""
    seed: int = 0

    @model_validator(mode="after")
    def _can_fire(self) -> Self:
        if self.concerns is not None and self.route not in {RouteGroup.ANY, *self.concerns}:
            fitting = sorted({RouteGroup.ANY.value, *(route.value for route in self.concerns)})
            raise Misplaced(f"this kind of fault does nothing there, only on {', '.join(fitting)}", "route")
        return self


class StatusFault(FaultSpec):
    """Answer an error status; ``when: after_apply`` answers it though the write took effect."""

    kind: Literal["status"] = "status"
    status: int = Field(ge=400, le=599)
    code: str | None = None
    message: str | None = None
    retry_after_seconds: int | None = Field(default=None, ge=0)
    when: Literal[When.BEFORE_APPLY, When.AFTER_APPLY] = When.BEFORE_APPLY


class SlowFault(FaultSpec):
    """Wait ``delay`` of emulated time before the request takes effect, or between its effect and the answer."""

    kind: Literal["slow"] = "slow"
    delay: DurationMs
    when: Literal[When.BEFORE_APPLY, When.AFTER_APPLY] = When.BEFORE_APPLY


class ResetFault(FaultSpec):
    """Close the connection without an answer, before or after the request took effect."""

    kind: Literal["reset"] = "reset"
    when: Literal[When.BEFORE_APPLY, When.AFTER_APPLY] = When.BEFORE_APPLY


class HtmlFault(FaultSpec):
    """Answer 200 with a page of HTML, as a proxy in between might; the request takes no effect."""

    kind: Literal["html"] = "html"


class ContentTypeFault(FaultSpec):
    """Send ``Content-Type: application/json`` with the empty 201, which makes the real CLI fail."""

    concerns = _MOVES
    kind: Literal["content-type"] = "content-type"


class NoContentTypeFault(FaultSpec):
    """Send the body of an answer without a Content-Type, which the real CLI takes for no body at all."""

    kind: Literal["no-content-type"] = "no-content-type"


class StaleAliasRequestFault(FaultSpec):
    """Show the alias request before the newest one until the newest is ``seconds`` old."""

    concerns = frozenset({RouteGroup.PROJECT})
    kind: Literal["stale-alias-request"] = "stale-alias-request"
    seconds: float = Field(gt=0)


class JobFault(FaultSpec):
    """Let the alias jobs that are accepted end otherwise, or take another time."""

    concerns = _MOVES
    kind: Literal["job"] = "job"
    outcome: JobOutcome = JobOutcome.SUCCEEDED
    duration: DurationMs | None = None
    """None keeps the scenario's own duration."""


class BuildFault(FaultSpec):
    """Let the builds that clients ask for end otherwise, or take another time."""

    concerns = frozenset({RouteGroup.BUILDS})
    kind: Literal["build"] = "build"
    outcome: BuildOutcome = BuildOutcome.READY
    duration: DurationMs | None = None
    """None keeps the scenario's own duration."""
    error: str | None = None
    """What the log of a build that ends in ERROR says; None leaves it to the framework."""


class IngestLagFault(FaultSpec):
    """Hide the newest seconds of counts and log rows."""

    concerns = _COUNTS | {RouteGroup.REQUEST_LOGS, RouteGroup.RECORDS}
    kind: Literal["ingest-lag"] = "ingest-lag"
    seconds: float = Field(ge=0)


class ShiftedWindowFault(FaultSpec):
    """Answer an observability query for another window than was asked, and echo that one."""

    concerns = _COUNTS
    kind: Literal["shifted-window"] = "shifted-window"
    seconds: float
    """Added to start and end; negative means earlier."""


class TruncateFault(FaultSpec):
    """Keep only the largest ``groups`` of an observability answer; where the limit is echoed, this one is."""

    concerns = _COUNTS
    kind: Literal["truncate"] = "truncate"
    groups: int = Field(ge=0)


class PageFault(FaultSpec):
    """Answer at most ``rows`` of a page, fewer than were asked for, with what it takes to go on."""

    concerns = frozenset({RouteGroup.DEPLOYMENTS, RouteGroup.REQUEST_LOGS, RouteGroup.RECORDS})
    kind: Literal["page"] = "page"
    rows: int = Field(ge=1)


class TailLimitFault(FaultSpec):
    """End a live tail of the runtime logs after ``lines``, with the line that says so."""

    concerns = frozenset({RouteGroup.RUNTIME_LOGS})
    kind: Literal["tail-limit"] = "tail-limit"
    lines: int = Field(ge=0)
    message: str = "limit reached"


class NotifyFault(FaultSpec):
    """Send SIGKILL to a process of this machine when a request reaches a point (``on_request``: which one, from 1)."""

    kind: Literal["notify"] = "notify"
    kill_pid: int = Field(gt=1)
    when: When = When.BEFORE_APPLY
    on_request: int = Field(default=1, ge=1)
    count: int | None = Field(default=1, ge=1)


Fault = Annotated[
    StatusFault
    | SlowFault
    | ResetFault
    | HtmlFault
    | ContentTypeFault
    | NoContentTypeFault
    | StaleAliasRequestFault
    | JobFault
    | BuildFault
    | PageFault
    | IngestLagFault
    | ShiftedWindowFault
    | TruncateFault
    | TailLimitFault
    | NotifyFault,
    Field(discriminator="kind"),
]
