"""The protocol of detectors: pure judges of error counts. Memory is opaque here and serialised by their own package."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from daemon.core.facts import Activation, DeploymentId, ErrorRateSample

Memory = Any
"""What a detector remembers: an immutable value that only the detector itself looks into."""


class Verdict(StrEnum):
    """What a detector thinks of a deployment. Trouble with the source is an error, never a verdict."""

    HEALTHY = "healthy"
    BREACHING = "breaching"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of a verdict: it passed when `value` reached `threshold`. `value` is None when nothing is known."""

    name: str
    value: float | None
    threshold: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """A detector's numbers and one sentence.

    `requests` and `errors` are counted since the onset, without its first bucket where there are later ones (since
    the window's start without an onset); `requests` is None where the source counts errors alone. `limit` is the
    error ratio, 0..1, above which the detector calls a deployment bad; for a detector that counts errors alone it
    is the one by which recovery is judged. The onset lies in [`onset_at`, `onset_before`), one bucket wide; both
    are None when nothing is wrong. `suspect` is the deployment that the detector itself blames for the onset; None
    where it leaves that to the core. `is_alert` says that the detector tells of trouble that it blames no
    deployment for: nobody may act on it alone. `acts_in` is how long it would take to breach if errors went on as
    they are now; None when they would never make it breach, or when nobody can tell. `route` is the route that the
    counts are about; None: all.
    """

    detector: str
    verdict: Verdict
    sentence: str
    requests: int | None
    errors: int
    limit: float
    onset_at: datetime | None = None
    onset_before: datetime | None = None
    gates: tuple[Gate, ...] = ()
    suspect: DeploymentId | None = None
    is_alert: bool = False
    acts_in: timedelta | None = None
    route: str | None = None

    @property
    def error_ratio(self) -> float | None:
        """Errors by requests, 0..1; None without requests, or where nobody counted them."""
        return self.errors / self.requests if self.requests else None


class Detector(Protocol):
    """A rule that judges samples in order of time, but for late ones.

    One that does not follow production has a memory for each deployment and sees that deployment's samples only. One
    that does has a single memory of the project, and sees the samples of whatever serves production.
    """

    @property
    def name(self) -> str:
        """Return the name under which memories and findings are kept; unique within a policy."""

    @property
    def rule(self) -> str:
        """Return in one sentence what the detector objects to, for people."""

    @property
    def needs_requests(self) -> bool:
        """Return whether it can judge nothing where a source counts errors alone."""

    @property
    def follows_production(self) -> bool:
        """Return whether its memory is the project's, not one deployment's."""

    @property
    def wants_kinds(self) -> bool:
        """Return whether it asks what the errors say."""

    @property
    def wants_routes(self) -> bool:
        """Return whether it judges the busiest routes beside the whole, where a source can tell them apart."""

    @property
    def dry_run(self) -> bool:
        """Return whether its verdicts are recorded and counted, and never acted upon."""

    @property
    def is_advisory(self) -> bool:
        """Return whether a breach that it finds is told to people and attached, and is never alone a reason to act."""

    def begin(self) -> Memory:
        """Return the memory of a deployment, or a project, of which nothing is known."""

    def learn(self, memory: Memory, samples: Sequence[ErrorRateSample]) -> Memory:
        """Return what is remembered after *samples* of the time before anybody watched, coarse and in order of time.

        They come once, perhaps after the first ones that were watched, and judge nobody.
        """

    def update(
        self, memory: Memory, sample: ErrorRateSample, activations: Sequence[Activation]
    ) -> tuple[Memory, Finding]:
        """Return what is remembered after *sample*, and what it means; *activations* are all on record, oldest first.

        Never raises. A replay changes nothing, but for a late sample: that one is always more of the same time.
        """
