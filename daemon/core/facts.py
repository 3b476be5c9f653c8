"""What the daemon knows about the world, as immutable values: deployments, production, samples, activations."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType

ProjectId = NewType("ProjectId", str)
DeploymentId = NewType("DeploymentId", str)
IncidentId = NewType("IncidentId", str)


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment, told twice.

    `at` is the wall clock (aware UTC), for records and for matching Vercel's own timestamps. `elapsed` is seconds on a
    clock that never steps back, restarts included; every cooldown, deadline and age is measured on it.
    """

    at: datetime
    elapsed: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something dated by another clock (`told`), and the moment at which we first saw it.

    Its age is what the wall clocks said then, plus the time that has elapsed since: a wall clock that steps afterwards
    makes it neither younger nor older.
    """

    told: datetime
    seen: Instant

    def age_seconds(self, now: Instant) -> float:
        """Return the age at *now*, never negative."""
        return max(0.0, (self.seen.at - self.told).total_seconds()) + now.elapsed - self.seen.elapsed


class ReadyState(StrEnum):
    """Build state of a deployment. Source: Vercel OpenAPI, deployment `readyState`."""

    QUEUED = "QUEUED"
    INITIALIZING = "INITIALIZING"
    BUILDING = "BUILDING"
    READY = "READY"
    ERROR = "ERROR"
    CANCELED = "CANCELED"
    BLOCKED = "BLOCKED"
    DELETED = "DELETED"


class ReadySubstate(StrEnum):
    """Whether a READY deployment has seen production traffic. Source: Vercel OpenAPI, `readySubstate`."""

    STAGED = "STAGED"
    ROLLING = "ROLLING"
    PROMOTED = "PROMOTED"


@dataclass(frozen=True, slots=True)
class Deployment:
    """An immutable build. Texts of the commit are None when the build did not come from git."""

    id: DeploymentId
    project: ProjectId
    url: str
    created_at: datetime
    ready_state: ReadyState
    ready_substate: ReadySubstate | None = None
    is_production: bool = True
    is_rollback_candidate: bool = False
    alias_assigned_at: datetime | None = None
    commit_sha: str | None = None
    commit_message: str | None = None
    commit_author: str | None = None
    branch: str | None = None


class AliasJobStatus(StrEnum):
    """Progress of the job that moves production domains. Source: Vercel OpenAPI, `lastAliasRequest.jobStatus`."""

    PENDING = "pending"
    IN_PROGRESS = "in-progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def is_running(self) -> bool:
        """Whether the job may still move domains."""
        return self in (AliasJobStatus.PENDING, AliasJobStatus.IN_PROGRESS)


class AliasJobType(StrEnum):
    """What asked for the move. Source: Vercel OpenAPI, `lastAliasRequest.type`."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class AliasJob:
    """The newest alias job of a project, ours or anybody's: `lastAliasRequest`.

    `from_deployment` is None where Vercel does not say. `failed_aliases` is only read for a failed job.
    """

    type: AliasJobType
    status: AliasJobStatus
    from_deployment: DeploymentId | None
    to_deployment: DeploymentId
    requested_at: datetime
    failed_aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Production:
    """What one read of the project said about production. `deployment` is None when nothing serves production.

    `auto_assigns_domains` is None where the answer did not carry the field: then nobody may act on it.
    """

    deployment: Deployment | None
    alias_job: AliasJob | None = None
    auto_assigns_domains: bool | None = None
    is_rolling_release_active: bool = False


KINDS_MAX = 20
"""Kinds of errors that one sample tells apart."""


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """How often errors of one kind were seen. `key` identifies the kind, `title` shows it to people."""

    key: str
    title: str
    count: int


ROUTES_MAX = 10
"""So many routes are told apart, those with the most requests; the others share one count."""
ROUTE_LENGTH_MAX = 200
"""Routes come from outside: no more of their text than this is kept anywhere."""
OTHER_ROUTES = "(other)"
"""What all routes beyond the bound, and requests without a route, are counted under."""


@dataclass(frozen=True, slots=True)
class RouteCounts:
    """Requests and 5xx errors of one route, as `ErrorRateSample` means them. Its name is text from outside."""

    route: str
    requests: int | None
    errors: int


@dataclass(frozen=True, slots=True)
class ErrorRateSample:
    """Requests and 5xx errors of one deployment over [start, end), from one source.

    `requests` is None where the source counts errors alone: then there is no ratio. `errors` are the deployment's own;
    5xx answers that the platform itself gave are kept apart in `platform_errors`, and are among the requests.
    `is_sampled` says that the counts are a share of the traffic, not all of it. `is_late` says that they come on top of
    what was given of that time before; a sample that is not late and overlaps an earlier one repeats it. *No data is
    not zero errors*: a source that does not know gives no sample. A sample of zero requests says that the source knows
    that nobody asked. `kinds` are the commonest kinds among the deployment's errors, at most KINDS_MAX; None where
    the source does not tell what the errors said. `routes` are the same counts once more, by route: at most
    ROUTES_MAX and the others together. They are empty where the source was not asked for them, or cannot tell.
    """

    deployment: DeploymentId
    start: datetime
    end: datetime
    requests: int | None
    errors: int
    is_sampled: bool = False
    platform_errors: int = 0
    is_late: bool = False
    kinds: tuple[ErrorKind, ...] | None = None
    routes: tuple[RouteCounts, ...] = ()

    def __post_init__(self) -> None:
        failed = self.errors + self.platform_errors
        is_possible = self.requests is None or failed <= self.requests
        if not (self.errors >= 0 and self.platform_errors >= 0 and is_possible and self.start < self.end):
            raise ValueError(f"not a sample: {failed} of {self.requests} requests in {self.start}..{self.end}")
        if self.routes:
            self._check_routes()

    def _check_routes(self) -> None:
        is_bounded = len(self.routes) <= ROUTES_MAX + 1 and all(
            len(one.route) <= ROUTE_LENGTH_MAX for one in self.routes
        )
        errors = sum(one.errors for one in self.routes)
        known = [one.requests for one in self.routes if one.requests is not None]
        requests = sum(known) if len(known) == len(self.routes) else None
        is_possible = all(
            one.errors >= 0 and (one.requests is None or one.errors <= one.requests) for one in self.routes
        )
        if not (is_bounded and is_possible and (requests, errors) == (self.requests, self.errors)):
            raise ValueError(f"{len(self.routes)} routes of {errors} errors and {requests} requests are not the sample")

    def on_route(self, route: str) -> "ErrorRateSample | None":
        """Return the counts of *route* alone; None where they are not told apart."""
        found = next((one for one in self.routes if one.route == route), None)
        if found is None:
            return None
        return replace(self, requests=found.requests, errors=found.errors, platform_errors=0, routes=())

    @property
    def has_traffic(self) -> bool:
        """Whether anybody was counted. Where errors alone are, a sample without any tells of nobody."""
        return bool(self.requests or self.errors or self.platform_errors)


class ActivationOrigin(StrEnum):
    """How a deployment came to serve production, as far as we can tell."""

    FIRST_SEEN = "first_seen"
    """It already served when we first looked."""
    RELEASE = "release"
    """A promote or an auto-assignment, by anyone."""
    OUR_ROLLBACK = "our_rollback"
    FOREIGN_ROLLBACK = "foreign_rollback"
    BROUGHT_BACK = "brought_back"
    """Somebody promoted a deployment older than the one that it replaced."""

    @property
    def is_restoration(self) -> bool:
        """Whether an older deployment was brought back, so that it is no suspect of its own."""
        return self not in (ActivationOrigin.FIRST_SEEN, ActivationOrigin.RELEASE)


@dataclass(frozen=True, slots=True)
class Activation:
    """The moment a deployment began to serve production. `at` is None when nothing plausible dates it.

    `not_before` is when the deployment before was last seen serving, less the slack between two clocks; None where we
    saw none before. Counted requests may pull `at` back to it.
    """

    deployment: Deployment
    at: datetime | None
    origin: ActivationOrigin
    not_before: datetime | None = None
