"""What all detectors' settings share."""

from pydantic import BaseModel, ConfigDict, Field


class Rule(BaseModel):
    """A detector as the configuration writes it: frozen, with no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dry_run: bool = Field(
        default=False, description="Record and count this detector's verdicts, and never act upon them."
    )

    @property
    def is_advisory(self) -> bool:
        """Whether a breach is told and attached, and never alone a reason to act."""
        return False
