"""The facts of the emulated world: teams, tokens, projects, deployments, alias jobs; no rules."""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from daemon.emulator.project_specs import BuildLogSpec, FailureSpec, ProjectSpec
from daemon.emulator.scenario import Plan
from daemon.emulator.splits import Split

Milliseconds = int


class ReadyState(StrEnum):
    """How far a build is. Source: Vercel OpenAPI, deployment.readyState."""

    QUEUED = "QUEUED"
    BUILDING = "BUILDING"
    READY = "READY"
    ERROR = "ERROR"
    CANCELED = "CANCELED"


UNFINISHED = frozenset({ReadyState.QUEUED, ReadyState.BUILDING})


class ReadySubstate(StrEnum):
    """Whether a production build has seen production traffic. Source: Vercel OpenAPI, deployment.readySubstate."""

    STAGED = "STAGED"
    ROLLING = "ROLLING"
    PROMOTED = "PROMOTED"


class JobKind(StrEnum):
    """What moves the production domains. The last two are ours: Vercel records no alias request for them."""

    ROLLBACK = "rollback"
    PROMOTE = "promote"
    AUTO_ASSIGN = "auto-assign"
    ROLLING_RELEASE = "rolling-release"


class JobStatus(StrEnum):
    """State of an alias job. Source: Vercel OpenAPI, project.lastAliasRequest.jobStatus."""

    PENDING = "pending"
    IN_PROGRESS = "in-progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


RUNNING = frozenset({JobStatus.PENDING, JobStatus.IN_PROGRESS})


class AliasStatus(StrEnum):
    """State of one domain within an alias job. Source: Vercel CLI 64.0.2, rollback status."""

    PENDING = "pending"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Team:
    """A Vercel team and what its plan grants."""

    id: str
    slug: str
    name: str
    plan: Plan
    observability_plus: bool
    created_at_ms: Milliseconds


@dataclass(frozen=True, slots=True)
class User:
    """The account that every token belongs to."""

    id: str
    username: str
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token: personal (both None), of one team (``team`` is its slug), or of some ``projects``."""

    value: str
    name: str
    read_only: bool
    projects: frozenset[str] | None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """What was built."""

    sha: str
    message: str
    author: str
    branch: str


@dataclass(slots=True)
class Failure:
    """A way to fail: the share *ratio* (0..1) of the requests to *route* (None: all) answers *status*.

    ``from_ms`` and ``until_ms`` are instants; None means since ever, and for ever. ``message`` None: nothing is logged.
    """

    ratio: float
    status: int
    message: str | None
    route: str | None
    error_code: str
    from_ms: Milliseconds | None
    until_ms: Milliseconds | None

    def is_active(self, at_ms: Milliseconds) -> bool:
        """Tell whether requests at *at_ms* can fail this way."""
        return (self.from_ms is None or self.from_ms <= at_ms) and (self.until_ms is None or at_ms < self.until_ms)


def ended(failures: Iterable[Failure], at_ms: Milliseconds) -> list[Failure]:
    """Return *failures* as they are when everything that goes on ends at *at_ms*; what had not begun never was."""
    return [
        item if item.until_ms is not None and item.until_ms <= at_ms else replace(item, until_ms=at_ms)
        for item in failures
        if item.from_ms is None or item.from_ms < at_ms
    ]


def failure_from(spec: FailureSpec, anchor_ms: Milliseconds | None) -> Failure:
    """Return *spec* with its relative times counted from *anchor_ms*; None means that the anchor has not come yet."""
    from_ms = until_ms = None
    if anchor_ms is not None:
        from_ms = anchor_ms + spec.after_ms
        until_ms = None if spec.lasts_ms is None else from_ms + spec.lasts_ms
    return Failure(spec.ratio, spec.status, spec.message, spec.route, spec.error_code, from_ms, until_ms)


@dataclass(slots=True)
class Deployment:
    """One immutable build. ``activated_at_ms`` None: it never served the production domains."""

    id: str
    name: str
    project_id: str
    url: str
    is_production: bool
    created_at_ms: Milliseconds
    commit: Commit
    source: str
    ready_state: ReadyState = ReadyState.BUILDING
    substate: ReadySubstate | None = None
    ready_at_ms: Milliseconds | None = None
    activated_at_ms: Milliseconds | None = None
    failure_specs: tuple[FailureSpec, ...] = ()
    failures: list[Failure] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)
    auto_assign: bool = True
    planned_build_ms: Milliseconds = 0
    planned_end: ReadyState = ReadyState.READY
    """How its build ends unless somebody cancels it; its log leads up to that."""
    building_at_ms: Milliseconds | None = None
    """When its build left the queue; None while it waits there."""
    ended_at_ms: Milliseconds | None = None
    """When its build was over, however it ended; None while it is at work."""
    deleted_at_ms: Milliseconds | None = None
    """When somebody or the retention deleted it; None while it exists."""
    log: BuildLogSpec = field(default_factory=BuildLogSpec)
    files: dict[str, str] = field(default_factory=dict)
    """The uploaded files by path, as the SHA-1 of their content; empty for a build from git."""

    @property
    def is_rollback_candidate(self) -> bool:
        """Tell what ``isRollbackCandidate`` says; it is true of the deployment that serves now as well."""
        is_promoted = self.ready_state is ReadyState.READY and self.substate is ReadySubstate.PROMOTED
        return self.is_production and is_promoted and self.deleted_at_ms is None


@dataclass(slots=True)
class AliasJob:
    """One move of the production domains, asked for and worked off in its own time."""

    id: str
    kind: JobKind
    project_id: str
    from_id: str | None
    to_id: str
    requested_at_ms: Milliseconds
    outcome: str
    by: str
    status: JobStatus = JobStatus.PENDING
    aliases: dict[str, AliasStatus] = field(default_factory=dict)
    finished_at_ms: Milliseconds | None = None
    rolling_release_id: str | None = None
    """The rolling release that the job aborts; None when there was none."""

    @property
    def is_running(self) -> bool:
        """Tell whether the job may still move something."""
        return self.status in RUNNING


@dataclass(frozen=True, slots=True)
class RollbackDescription:
    """The reason given for a rollback."""

    text: str
    created_at_ms: Milliseconds


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable. Its value is none of the emulator's business."""

    id: str
    key: str
    kind: str
    targets: tuple[str, ...]
    created_at_ms: Milliseconds
    updated_at_ms: Milliseconds


@dataclass(frozen=True, slots=True)
class BypassSecret:
    """What opens protected sites to a program."""

    secret: str
    created_at_ms: Milliseconds
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which deployment each production domain points to, from ``at_ms`` on."""

    at_ms: Milliseconds
    by_domain: Mapping[str, str]


@dataclass(slots=True)
class Project:
    """One Vercel project. ``pinned``: rolled back, so that new builds stay staged until a promote."""

    id: str
    name: str
    team_id: str
    spec: ProjectSpec
    domains: tuple[str, ...]
    created_at_ms: Milliseconds
    updated_at_ms: Milliseconds
    auto_assign: bool
    pinned: bool = False
    production_id: str | None = None
    jobs: list[AliasJob] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    outages: list[Failure] = field(default_factory=list)
    description: RollbackDescription | None = None
    splits: list[Split] = field(default_factory=list)
    variables: dict[str, Variable] = field(default_factory=dict)
    bypasses: dict[str, BypassSecret] = field(default_factory=dict)

    def settle(self) -> None:
        """Make sure that the past is there; that of an ordinary project always is."""

    def assigned(self, at_ms: Milliseconds) -> Mapping[str, str]:
        """Return the deployment id of every assigned production domain at *at_ms*; empty before the first one."""
        index = bisect.bisect_right(self.assignments, at_ms, key=lambda assignment: assignment.at_ms)
        return self.assignments[index - 1].by_domain if index else {}

    def split_at(self, at_ms: Milliseconds) -> Split:
        """Return how visitors are shared with a canary at *at_ms*; a split without a canary before the first one."""
        index = bisect.bisect_right(self.splits, at_ms, key=lambda split: split.at_ms)
        return self.splits[index - 1] if index else Split(0, None)

    def assign(self, at_ms: Milliseconds, by_domain: Mapping[str, str]) -> None:
        """Point the domains named in *by_domain* to other deployments from *at_ms* on."""
        merged = {**(self.assignments[-1].by_domain if self.assignments else {}), **by_domain}
        self.assignments.append(Assignment(at_ms, merged))

    def unassign(self, at_ms: Milliseconds, deployment_id: str) -> None:
        """Leave every domain that points to *deployment_id* without a deployment from *at_ms* on."""
        now = self.assignments[-1].by_domain if self.assignments else {}
        kept = {domain: item for domain, item in now.items() if item != deployment_id}
        self.assignments.append(Assignment(at_ms, kept))
