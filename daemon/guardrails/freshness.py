"""Nothing is done on old news."""

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.guardrail import Case, Reason, Ruling


class Freshness(BaseModel):
    """Holds when the newest counts are too old."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["freshness"] = "freshness"
    age_max: timedelta = Field(
        default=timedelta(minutes=4),
        ge=timedelta(minutes=1),
        le=timedelta(hours=1),
        description="Greatest age of the newest complete counts, ingest lag included, at which an action is allowed.",
    )

    def rule(self, case: Case) -> Ruling:
        """Return HOLD when no counts are known, or none younger than `age_max`."""
        age = case.counts_age_seconds
        if age is None:
            return Ruling.hold(Reason.STALE_SAMPLES, "no counts were ever read")
        allowed = self.age_max.total_seconds()
        if age <= allowed:
            return Ruling.allow()
        return Ruling.hold(Reason.STALE_SAMPLES, f"the newest counts are {age:.0f} s old, {allowed:.0f} s allowed")
