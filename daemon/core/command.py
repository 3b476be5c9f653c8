"""What the core asks of the world, in the imperative. The shell carries these out and answers with events."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from daemon.core.action import RollBackAction
from daemon.core.facts import IncidentId


class Severity(StrEnum):
    """Whether somebody should be woken."""

    NOTICE = "notice"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class ListTargets:
    """Read which deployments could be rolled back to; answered by TargetsListed or ReadFailed."""

    kind: Literal["list_targets"] = "list_targets"


@dataclass(frozen=True, slots=True)
class Preflight:
    """Read production once more before acting, after `delay_seconds`; answered by PreflightRead or ReadFailed."""

    delay_seconds: float = 0.0
    kind: Literal["preflight"] = "preflight"


@dataclass(frozen=True, slots=True)
class RollBack:
    """Send the rollback once, now; answered by one of the Rollback... events."""

    action: RollBackAction
    description: str
    kind: Literal["roll_back"] = "roll_back"


@dataclass(frozen=True, slots=True)
class ObserveProduction:
    """Read production after `delay_seconds`; answered by ProductionObserved or ReadFailed."""

    delay_seconds: float
    kind: Literal["observe_production"] = "observe_production"


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell people. `next_step` is what a person can do now, as a command where there is one ('' when nothing)."""

    incident: IncidentId
    severity: Severity
    title: str
    sentence: str
    next_step: str = ""
    kind: Literal["notify"] = "notify"


Command = Annotated[ListTargets | Preflight | RollBack | ObserveProduction | Notify, Field(discriminator="kind")]
