"""What an operator can set about the detector `evidence`, and the numbers of the test that follow from it."""

import math
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from daemon.detectors.rule import Rule

_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)


ATTRIBUTION_WINDOW = 15 * _MINUTE
"""Where neither the rule nor its policy says otherwise."""


class Sensitivity(StrEnum):
    """How much evidence a rollback takes: the chance, for each deployment, that a good one ever shows so much."""

    STRICT = "strict"
    BALANCED = "balanced"
    FAST = "fast"

    @property
    def level(self) -> float:
        """The chance, 0..1: 1 in 10,000, in 1,000 or in 100 deployments."""
        return {Sensitivity.STRICT: 1e-4, Sensitivity.BALANCED: 1e-3, Sensitivity.FAST: 1e-2}[self]


class Design(NamedTuple):
    """The numbers of a test, in seconds and in ratios 0..1. `sustain` is None where it is learned."""

    limit_floor: float = 0.02
    lift: float = 2.0
    level: float = 1e-3
    sustain: float | None = 90.0
    window: float = 900.0
    errors_min: int = 5
    requests_min: int = 0
    severe_rate: float = 0.80

    @property
    def evidence_min(self) -> float:
        """How much evidence a rollback takes: by Ville's inequality a good deployment shows it with chance `level`."""
        return 1.0 / self.level

    @property
    def alert_nats(self) -> float:
        """How high the sum must be, in nats, to tell of errors that are not the deployment's fault."""
        return -math.log(self.level)


class Knobs(Rule):
    """The detector `evidence` as the configuration writes it."""

    kind: Literal["evidence"] = "evidence"
    max_error_rate: float = Field(
        default=0.02,
        gt=0,
        lt=0.5,
        description="Ratio of 5xx answers, 0..1, up to which no deployment is ever rolled back.",
    )
    min_lift: float = Field(
        default=2.0,
        ge=1,
        le=100,
        description="A deployment is bad only above so many times the error rate that was normal before it.",
    )
    sensitivity: Sensitivity | None = Field(
        default=None,
        description=(
            "Chance of ever rolling a good deployment back by chance: strict 1 in 10,000, balanced 1 in 1,000 (also "
            "when nothing is said), fast 1 in 100, which suits polls from 30 s on."
        ),
    )
    allowed_false_rollbacks_per_year: float | None = Field(
        default=None,
        gt=0,
        le=1_000,
        description="The same chance as a budget, in place of `sensitivity`; needs `deployments_per_year`.",
    )
    deployments_per_year: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="How many deployments a year share the budget `allowed_false_rollbacks_per_year`.",
    )
    sustain: timedelta | Literal["auto"] = Field(
        default=timedelta(seconds=90),
        description=(
            "How long errors must last, besides the newest 30 s, before a rollback; longer than a cold start fails. "
            "auto learns it from the last five deployments that were kept (30 s to 5 min)."
        ),
    )
    attribution_window: timedelta | None = Field(
        default=None,
        ge=_MINUTE,
        le=timedelta(days=1),
        description=(
            "Errors that begin later than this after a deployment went live are told, never rolled back; by default "
            "the policy's own `attribution_window`."
        ),
    )
    min_errors: int = Field(
        default=5, ge=1, le=1_000_000, description="Nothing is rolled back for fewer errors than this."
    )
    min_requests: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Nothing is rolled back on fewer requests than this; the evidence itself asks for enough of them.",
    )
    severe_error_rate: float = Field(
        default=0.80,
        gt=0.0,
        le=1,
        description="Ratio of 5xx answers, 0..1, from which on 30 s are enough, without waiting for `sustain`.",
    )

    @model_validator(mode="after")
    def _says_the_chance_once(self) -> "Knobs":
        budget = (self.allowed_false_rollbacks_per_year, self.deployments_per_year)
        if (budget[0] is None) != (budget[1] is None):
            raise ValueError(
                f"allowed_false_rollbacks_per_year {budget[0]} and deployments_per_year {budget[1]} need each other"
            )
        if self.sensitivity is not None and budget[0] is not None:
            raise ValueError(
                f"sensitivity {self.sensitivity} and allowed_false_rollbacks_per_year {budget[0]} say the same thing; "
                "keep one of the two"
            )
        if not 1e-9 <= self.level <= 0.1:
            raise ValueError(
                f"{budget[0]} false rollbacks in {budget[1]} deployments is a chance of {self.level:g}; "
                "it must lie between 1e-9 and 0.1"
            )
        return self

    @model_validator(mode="after")
    def _can_be_met(self) -> "Knobs":
        if self.sustain != "auto" and not _SECOND * 0 <= self.sustain <= timedelta(hours=1):
            raise ValueError(f"sustain {self.sustain} must lie between 0s and 1h")
        if self.severe_error_rate <= self.max_error_rate:
            raise ValueError(
                f"severe_error_rate {self.severe_error_rate} must be above max_error_rate {self.max_error_rate}"
            )
        return self

    @property
    def level(self) -> float:
        """The chance, 0..1, that a good deployment is ever rolled back by chance."""
        if self.allowed_false_rollbacks_per_year is not None and self.deployments_per_year is not None:
            return self.allowed_false_rollbacks_per_year / self.deployments_per_year
        return (self.sensitivity or Sensitivity.BALANCED).level

    @cached_property
    def design(self) -> Design:
        """The numbers of the test."""
        return Design(
            limit_floor=self.max_error_rate,
            lift=self.min_lift,
            level=self.level,
            sustain=None if self.sustain == "auto" else self.sustain.total_seconds(),
            window=(self.attribution_window or ATTRIBUTION_WINDOW).total_seconds(),
            errors_min=self.min_errors,
            requests_min=self.min_requests,
            severe_rate=self.severe_error_rate,
        )
