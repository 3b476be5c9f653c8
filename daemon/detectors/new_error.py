"""A kind of error that nobody has seen before, and that is frequent now: worth telling, and never enough to act."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from pydantic import Field

from daemon.core.detector import Finding, Gate, Verdict
from daemon.core.facts import Activation, DeploymentId, ErrorRateSample
from daemon.detectors.rule import Rule

KNOWN_MAX = 500
"""Kinds that are remembered; those not seen for longest are forgotten first."""
RECENT_MAX = 50
"""New kinds of one deployment that are counted; a deployment with more has other troubles."""
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NewKind:
    """A kind first seen since the deployment went live: what it is, how often, and the bucket of the first one."""

    title: str
    count: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class NewErrorMemory:
    """What a project's errors were before, and what is new since the deployment that serves went live.

    `known` holds when each kind was seen last. `watched` is the time in which kinds were told and nobody was on
    probation: before there is enough of it everything would be new. `counted_until` is None before the first sample.
    """

    known: Mapping[str, datetime] = field(default_factory=dict)
    watched: timedelta = timedelta(0)
    deployment: DeploymentId | None = None
    recent: Mapping[str, NewKind] = field(default_factory=dict)
    requests: int | None = 0
    errors: int = 0
    counted_until: datetime | None = None


class NewError(Rule):
    """Finds kinds of errors that the project never had, and that are frequent since a deployment went live.

    What a deployment brings in its first minutes teaches nothing, so that two bad ones in a row do not hide each other.
    """

    memory_type: ClassVar[type[NewErrorMemory]] = NewErrorMemory

    kind: Literal["new_error"] = "new_error"
    min_count: int = Field(
        default=10, ge=1, le=1_000_000, description="Errors of one new kind from which on it is frequent."
    )
    min_share: float = Field(
        default=0.1, ge=0, le=1, description="Share of all errors since the activation, 0..1, that the kind must have."
    )
    probation: timedelta = Field(
        default=timedelta(minutes=15),
        ge=timedelta(minutes=1),
        le=timedelta(days=1),
        description="Time after an activation in which errors are judged as new, and not learned as known.",
    )
    baseline_min: timedelta = Field(
        default=HOUR,
        ge=timedelta(minutes=1),
        le=timedelta(days=7),
        description="Time that must have been watched before anything can be called new.",
    )

    @property
    def name(self) -> str:
        """The key of this detector's memory."""
        return self.kind

    @property
    def rule(self) -> str:
        """What is told, in one sentence."""
        minutes = self.probation.total_seconds() / 60
        return (
            f"a kind of error that was never seen before, {self.min_count} times and {self.min_share:.0%} of all "
            f"errors within {minutes:.0f} min of an activation; told, never acted upon alone"
        )

    @property
    def needs_requests(self) -> bool:
        """False: errors tell of themselves."""
        return False

    @property
    def follows_production(self) -> bool:
        """True: what is new is new to the project."""
        return True

    @property
    def is_advisory(self) -> bool:
        """True: a new kind of error may be the better message for an old one."""
        return True

    @property
    def wants_kinds(self) -> bool:
        """True: it judges by nothing else."""
        return True

    def begin(self) -> NewErrorMemory:
        """Return an empty memory."""
        return NewErrorMemory()

    def update(
        self, memory: NewErrorMemory, sample: ErrorRateSample, activations: Sequence[Activation]
    ) -> tuple[NewErrorMemory, Finding]:
        """Return memory and finding after *sample*. One without kinds, or of counted time, changes nothing."""
        is_repeated = memory.counted_until is not None and sample.start < memory.counted_until and not sample.is_late
        if sample.kinds is None or is_repeated:
            return memory, self._find(memory, is_told=sample.kinds is not None)
        if memory.deployment != sample.deployment:
            memory = replace(memory, deployment=sample.deployment, recent={}, requests=0, errors=0)
        since = next((one.at for one in reversed(activations) if one.deployment.id == sample.deployment), None)
        is_proved = since is None or sample.start - since >= self.probation
        memory = self._learn(memory, sample) if is_proved else self._count(memory, sample)
        until = max(memory.counted_until or sample.end, sample.end)
        memory = replace(memory, counted_until=until)
        return memory, self._find(memory, is_told=True)

    def _learn(self, memory: NewErrorMemory, sample: ErrorRateSample) -> NewErrorMemory:
        seen = {one.key: sample.end for one in sample.kinds or ()}
        # Insertion keeps the order of time, so that the first ones are those not seen for longest.
        known = {key: at for key, at in memory.known.items() if key not in seen} | seen
        for key in list(known)[: max(0, len(known) - KNOWN_MAX)]:
            del known[key]
        watched = memory.watched + (timedelta(0) if sample.is_late else sample.end - sample.start)
        return replace(memory, known=known, watched=watched, recent={}, requests=0, errors=0)

    def _count(self, memory: NewErrorMemory, sample: ErrorRateSample) -> NewErrorMemory:
        recent = dict(memory.recent)
        for one in sample.kinds or ():
            if one.key in recent:
                recent[one.key] = replace(recent[one.key], count=recent[one.key].count + one.count)
            elif one.key not in memory.known and len(recent) < RECENT_MAX:
                recent[one.key] = NewKind(one.title, one.count, sample.start, sample.end)
        is_known = memory.requests is not None and sample.requests is not None
        requests = memory.requests + sample.requests if is_known else None  # type: ignore[operator]
        return replace(memory, recent=recent, requests=requests, errors=memory.errors + sample.errors)

    def _find(self, memory: NewErrorMemory, *, is_told: bool) -> Finding:
        newest = max(memory.recent.values(), key=lambda one: one.count, default=None)
        count = newest.count if newest else 0
        share = count / memory.errors if memory.errors else 0.0
        watched, needed = memory.watched.total_seconds(), self.baseline_min.total_seconds()
        gates = (
            Gate("baseline_min", watched, needed, watched >= needed),
            Gate("min_count", count, self.min_count, count >= self.min_count),
            Gate("min_share", share, self.min_share, share >= self.min_share),
        )
        is_found = newest is not None and is_told and all(gate.passed for gate in gates)
        return Finding(
            detector=self.name,
            verdict=self._verdict(gates[0], is_found=is_found, is_told=is_told),
            sentence=self._sentence(memory, newest, is_told=is_told),
            requests=memory.requests,
            errors=memory.errors,
            limit=self.min_share,
            onset_at=newest.start if newest and is_found else None,
            onset_before=newest.end if newest and is_found else None,
            gates=gates,
        )

    def _verdict(self, baseline: Gate, *, is_found: bool, is_told: bool) -> Verdict:
        if is_found:
            return Verdict.BREACHING
        return Verdict.HEALTHY if baseline.passed and is_told else Verdict.INCONCLUSIVE

    def _sentence(self, memory: NewErrorMemory, newest: NewKind | None, *, is_told: bool) -> str:
        if not is_told:
            return "the source tells no messages"
        if newest is None:
            return f"no new kind of error; {len(memory.known)} known"
        return f"new: {newest.title!r}, {newest.count} of {memory.errors} errors since {newest.start:%H:%M:%S} UTC"
