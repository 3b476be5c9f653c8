"""What all detectors' settings share."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.detector import Memory
from daemon.core.facts import ErrorRateSample


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

    def learn(self, memory: Memory, _samples: Sequence[ErrorRateSample]) -> Memory:
        """Return *memory* as it is: most rules need no past."""
        return memory

    @property
    def wants_kinds(self) -> bool:
        """Whether it asks what the errors say: most rules count."""
        return False

    @property
    def wants_routes(self) -> bool:
        """Whether it judges routes beside the whole: most rules do not."""
        return False
