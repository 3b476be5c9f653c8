"""The operator's thresholds and posture, as `step` reads them. Settings build it; nothing here parses."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from daemon.core.detector import Detector
from daemon.core.guardrail import Guardrail, Posture


class Combination(StrEnum):
    """When the detectors of a policy breach together; those on dry run have no say."""

    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Policy:
    """One project's policy under one configuration.

    `attribution_window`: an onset later than this after an activation is not the deployment's fault.
    `decision_ttl`: an older decision is made again, never carried out. `action_deadline`: how long a request whose
    outcome is unknown may still be at work. `alias_job_stale_after`: a job that runs longer is stuck.
    `lag_max`: counts that are older say nothing of now. `poll_gap_max`: a longer pause between two polls is told.
    `blind_after`: how long nobody may watch before somebody is paged. `digest` names the configuration in logs.
    """

    posture: Posture
    detectors: tuple[Detector, ...]
    guardrails: tuple[Guardrail, ...]
    combine: Combination = Combination.ANY
    attribution_window: timedelta = timedelta(minutes=15)
    decision_ttl: timedelta = timedelta(minutes=3)
    action_deadline: timedelta = timedelta(seconds=60)
    alias_job_stale_after: timedelta = timedelta(minutes=3)
    verification_deadline: timedelta = timedelta(minutes=10)
    approval_ttl: timedelta = timedelta(minutes=30)
    stand_down_hold: timedelta = timedelta(minutes=30)
    lag_max: timedelta = timedelta(minutes=5)
    poll_gap_max: timedelta = timedelta(minutes=2)
    blind_after: timedelta = timedelta(minutes=10)
    observe_every: timedelta = timedelta(seconds=1)
    digest: str = ""
