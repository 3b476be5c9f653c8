"""The rule that operators know: an error ratio over a limit in M of the last N windows, with traffic to mean it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from daemon.core.detector import Finding, Gate, Verdict
from daemon.core.facts import ErrorRateSample


@dataclass(frozen=True, slots=True)
class Window:
    """Counts of one completed (or still open) window [start, end)."""

    start: datetime
    end: datetime
    requests: int
    errors: int


@dataclass(frozen=True, slots=True)
class Episode:
    """Trouble that began in the window [start, end).

    `requests` and `errors` are counted since then; the first window, which may be half healthy, only while it is alone.
    """

    start: datetime
    end: datetime
    windows: int
    requests: int
    errors: int


@dataclass(frozen=True, slots=True)
class ThresholdMemory:
    """Completed windows within the horizon, the open one, and the episode that is going on."""

    completed: tuple[Window, ...] = ()
    open: Window | None = None
    onset: Episode | None = None
    finding: Finding | None = None


class Threshold(BaseModel):
    """Breaches when at least `breaches_min` of the last `windows` windows have an error ratio over the limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_type: ClassVar[type[ThresholdMemory]] = ThresholdMemory

    kind: Literal["threshold"] = "threshold"
    window: timedelta = Field(
        default=timedelta(minutes=1),
        ge=timedelta(seconds=10),
        le=timedelta(hours=1),
        description="Length of one window; a window is judged once it is complete.",
    )
    max_error_rate: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.05, description="Ratio of 5xx answers to all requests, 0..1, from which on a window is bad."
    )
    min_requests: int = Field(
        default=20, ge=1, le=1_000_000, description="A window with fewer requests is never called bad."
    )
    min_errors: int = Field(
        default=5, ge=1, le=1_000_000, description="A window with fewer errors is never called bad."
    )
    breaches_min: int = Field(default=3, ge=2, le=60, description="How many of the last windows must be bad (M of N).")
    windows: int = Field(default=5, ge=2, le=60, description="How many of the last windows are looked at (N).")

    @model_validator(mode="after")
    def _can_be_met(self) -> "Threshold":
        if self.breaches_min > self.windows:
            raise ValueError(f"breaches_min {self.breaches_min} can never be met within windows {self.windows}")
        return self

    @property
    def name(self) -> str:
        """The key of this detector's memory."""
        return self.kind

    @property
    def rule(self) -> str:
        """What breaches, in one sentence."""
        return (
            f"{self.breaches_min} of the last {self.windows} windows of {self.window.total_seconds():.0f} s "
            f"with at least {self.max_error_rate:.1%} errors "
            f"({self.min_errors} errors and {self.min_requests} requests at least)"
        )

    def begin(self) -> ThresholdMemory:
        """Return an empty memory."""
        return ThresholdMemory()

    def update(self, memory: ThresholdMemory, sample: ErrorRateSample) -> tuple[ThresholdMemory, Finding]:
        """Return memory and finding after *sample*. What overlaps the counted past is counted once: ignored."""
        newest = memory.open or (memory.completed[-1] if memory.completed else None)
        if newest and sample.start < newest.end:
            return memory, memory.finding or self._find(memory)
        memory = self._count(memory, sample)
        finding = self._find(memory)
        return replace(memory, finding=finding), finding

    def _count(self, memory: ThresholdMemory, sample: ErrorRateSample) -> ThresholdMemory:
        window = Window(sample.start, sample.end, sample.requests, sample.errors)
        # An open window that waited longer than its own length is stale: what it held belongs to no judgement.
        if memory.open and sample.start - memory.open.end <= self.window:
            window = _merge(memory.open, window)
        if window.end - window.start < self.window:
            return replace(memory, open=window)
        horizon = window.end - self.window * self.windows
        completed = (*(one for one in memory.completed if one.end > horizon), window)
        return replace(memory, completed=completed, open=None, onset=self._onset(memory, completed, window))

    def _onset(self, memory: ThresholdMemory, completed: tuple[Window, ...], window: Window) -> Episode | None:
        """Return the episode with *window* in it; None when no recent window is bad: a stray error is no onset."""
        if not any(self._is_breaching(one) for one in completed):
            return None
        known = memory.onset
        # Trouble further back than the windows that are looked at was another episode.
        if known is None or not any(self._is_breaching(one) for one in completed[:-1]):
            return Episode(window.start, window.end, 1, window.requests, window.errors)
        counted = known if known.windows > 1 else replace(known, requests=0, errors=0)
        return replace(
            counted,
            windows=known.windows + 1,
            requests=counted.requests + window.requests,
            errors=counted.errors + window.errors,
        )

    def _is_hot(self, window: Window) -> bool:
        return window.errors > 0 and window.errors / window.requests >= self.max_error_rate

    def _is_breaching(self, window: Window) -> bool:
        return self._is_hot(window) and window.requests >= self.min_requests and window.errors >= self.min_errors

    def _find(self, memory: ThresholdMemory) -> Finding:
        if not memory.completed:
            return Finding(self.name, Verdict.INCONCLUSIVE, "no complete window yet", 0, 0, self.max_error_rate)
        newest = memory.completed[-1]
        breaches = sum(self._is_breaching(one) for one in memory.completed)
        verdict = self._verdict(newest, breaches)
        shown = memory.onset or newest
        return Finding(
            detector=self.name,
            verdict=verdict,
            sentence=self._sentence(newest, breaches),
            requests=shown.requests,
            errors=shown.errors,
            limit=self.max_error_rate,
            onset_at=memory.onset.start if memory.onset else None,
            onset_before=memory.onset.end if memory.onset else None,
            gates=self._gates(newest, breaches),
        )

    def _verdict(self, newest: Window, breaches: int) -> Verdict:
        if breaches >= self.breaches_min:
            return Verdict.BREACHING
        if breaches == 0 and newest.requests >= self.min_requests and not self._is_hot(newest):
            return Verdict.HEALTHY
        return Verdict.INCONCLUSIVE

    def _sentence(self, newest: Window, breaches: int) -> str:
        ratio = newest.errors / newest.requests if newest.requests else 0.0
        return (
            f"{newest.errors} of {newest.requests} requests failed ({ratio:.1%}, limit {self.max_error_rate:.1%}); "
            f"{breaches} of the last {self.windows} windows bad, {self.breaches_min} needed"
        )

    def _gates(self, newest: Window, breaches: int) -> tuple[Gate, ...]:
        ratio = newest.errors / newest.requests if newest.requests else None
        return (
            Gate("min_requests", newest.requests, self.min_requests, newest.requests >= self.min_requests),
            Gate("min_errors", newest.errors, self.min_errors, newest.errors >= self.min_errors),
            Gate("max_error_rate", ratio, self.max_error_rate, ratio is not None and ratio >= self.max_error_rate),
            Gate("breaches_min", breaches, self.breaches_min, breaches >= self.breaches_min),
        )


def _merge(first: Window, second: Window) -> Window:
    return Window(first.start, second.end, first.requests + second.requests, first.errors + second.errors)
