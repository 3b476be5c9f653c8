"""A quiet time after each action, in which the next one needs a person's approval."""

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.guardrail import Case, Reason, Ruling


class Cooldown(BaseModel):
    """Asks for approval when the project's last action is too recent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["cooldown"] = "cooldown"
    period: timedelta = Field(
        default=timedelta(minutes=30),
        ge=timedelta(0),
        le=timedelta(days=7),
        description="Time after an action in which the next one of the project needs approval; 0s turns it off.",
    )

    def rule(self, case: Case) -> Ruling:
        """Return REQUIRE_APPROVAL within `period` after the last action."""
        age = case.last_action_age_seconds
        if age is None or age >= self.period.total_seconds():
            return Ruling.allow()
        return Ruling.require_approval(
            Reason.COOLDOWN, f"last action {age:.0f} s ago, cooldown {self.period.total_seconds():.0f} s"
        )
