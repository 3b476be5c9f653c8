"""What happened, in the past tense. Time enters the core only as the `moment` of an event."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from daemon.core.facts import AliasJobType, Deployment, DeploymentId, ErrorRateSample, Instant, Production
from daemon.core.signal import SignalReason, SourceTrouble


@dataclass(frozen=True, slots=True)
class Resumed:
    """The daemon started, or took the project over: whatever was under way must be looked at again."""

    moment: Instant
    kind: Literal["resumed"] = "resumed"


@dataclass(frozen=True, slots=True)
class ProductionObserved:
    """Production was read."""

    moment: Instant
    production: Production
    kind: Literal["production_observed"] = "production_observed"


@dataclass(frozen=True, slots=True)
class SamplesObserved:
    """A source was read: buckets in order of time, complete up to `complete_until`.

    `troubles` are those of other sources of the project's chain. `lag_seconds` is the ingest lag as measured, None
    where this reading could not tell. `covered` is the share of the time, 0..1, that the samples speak for; `left_out`
    counts requests that were seen and count for nobody.
    """

    moment: Instant
    source: str
    samples: tuple[ErrorRateSample, ...]
    complete_until: datetime
    troubles: tuple[SourceTrouble, ...] = ()
    lag_seconds: float | None = None
    covered: float = 1.0
    left_out: int = 0
    kind: Literal["samples_observed"] = "samples_observed"


@dataclass(frozen=True, slots=True)
class PastRecalled:
    """What was counted before anybody watched, coarsely and in order of time: it tells what is normal."""

    moment: Instant
    source: str
    samples: tuple[ErrorRateSample, ...]
    kind: Literal["past_recalled"] = "past_recalled"


@dataclass(frozen=True, slots=True)
class PlatformSuspected:
    """Projects that nobody deployed lately suffer at the same time: `sentence` says how many of how many."""

    moment: Instant
    sentence: str
    kind: Literal["platform_suspected"] = "platform_suspected"


class ReadTarget(StrEnum):
    """What could not be read."""

    PRODUCTION = "production"
    SAMPLES = "samples"
    TARGETS = "targets"
    PREFLIGHT = "preflight"


@dataclass(frozen=True, slots=True)
class ReadFailed:
    """A read gave nothing to go by. `sentence` says what, why and what now."""

    moment: Instant
    what: ReadTarget
    sentence: str
    reason: SignalReason = SignalReason.UNREACHABLE
    kind: Literal["read_failed"] = "read_failed"


@dataclass(frozen=True, slots=True)
class MoveTold:
    """A webhook said that somebody asked for production to move, or that it moved: hearsay until production is read.

    `from_deployment` is None where it was not said. `at` is the webhook's own time.
    """

    moment: Instant
    type: AliasJobType
    from_deployment: DeploymentId | None
    to_deployment: DeploymentId
    at: datetime
    kind: Literal["move_told"] = "move_told"


@dataclass(frozen=True, slots=True)
class TargetsListed:
    """Rollback candidates were read, newest first."""

    moment: Instant
    deployments: tuple[Deployment, ...]
    kind: Literal["targets_listed"] = "targets_listed"


@dataclass(frozen=True, slots=True)
class PreflightRead:
    """Production was read immediately before the action."""

    moment: Instant
    production: Production
    kind: Literal["preflight_read"] = "preflight_read"


@dataclass(frozen=True, slots=True)
class RollbackAccepted:
    """Vercel answered 201: accepted, not done."""

    moment: Instant
    kind: Literal["rollback_accepted"] = "rollback_accepted"


@dataclass(frozen=True, slots=True)
class RollbackRefused:
    """Vercel said no, with this HTTP status."""

    moment: Instant
    status: int
    sentence: str
    kind: Literal["rollback_refused"] = "rollback_refused"


@dataclass(frozen=True, slots=True)
class RollbackRateLimited:
    """Vercel answered 429: surely not applied, to be tried again after `retry_after_seconds`."""

    moment: Instant
    retry_after_seconds: float
    kind: Literal["rollback_rate_limited"] = "rollback_rate_limited"


@dataclass(frozen=True, slots=True)
class RollbackUnsent:
    """The request surely never left: no connection, or no right to act any more."""

    moment: Instant
    sentence: str
    kind: Literal["rollback_unsent"] = "rollback_unsent"


@dataclass(frozen=True, slots=True)
class RollbackOutcomeUnknown:
    """The request was sent and its fate is unknown."""

    moment: Instant
    sentence: str
    kind: Literal["rollback_outcome_unknown"] = "rollback_outcome_unknown"


class OperatorVerb(StrEnum):
    """What an operator can ask for."""

    PAUSE = "pause"
    RESUME = "resume"
    APPROVE = "approve"
    REJECT = "reject"
    ACKNOWLEDGE = "acknowledge"


@dataclass(frozen=True, slots=True)
class OperatorRequested:
    """A person asked for something. `for_seconds` bounds a pause (None: until resumed).

    `incident` narrows the other verbs to one incident (None: whichever it concerns).
    """

    moment: Instant
    verb: OperatorVerb
    by: str
    reason: str = ""
    for_seconds: float | None = None
    incident: str | None = None
    kind: Literal["operator_requested"] = "operator_requested"


@dataclass(frozen=True, slots=True)
class CycleEnded:
    """All that one poll gathered has been told: time to decide."""

    moment: Instant
    kind: Literal["cycle_ended"] = "cycle_ended"


Event = Annotated[
    Resumed
    | ProductionObserved
    | SamplesObserved
    | ReadFailed
    | MoveTold
    | PastRecalled
    | PlatformSuspected
    | TargetsListed
    | PreflightRead
    | RollbackAccepted
    | RollbackRefused
    | RollbackRateLimited
    | RollbackUnsent
    | RollbackOutcomeUnknown
    | OperatorRequested
    | CycleEnded,
    Field(discriminator="kind"),
]
