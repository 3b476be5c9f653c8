"""The rule that operators know: too many errors in M of the last N windows, as a share of requests or by the minute."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import Field, model_validator

from daemon.core.detector import Finding, Gate, Verdict
from daemon.core.facts import OTHER_ROUTES, ROUTES_MAX, Activation, ErrorRateSample
from daemon.detectors.rule import Rule
from daemon.detectors.windows import MINUTE, Episode, Window, add, episode_of, shared_time

ROUTE_SHOWN_MAX = 80
"""So much of a route's name is told in a sentence."""


@dataclass(frozen=True, slots=True)
class Track:
    """Completed windows within the horizon, the open one, and the episode that is going on.

    While no completed window is bad there is no episode; while one is, there is one, and it began with it or before.
    """

    completed: tuple[Window, ...] = ()
    open: Window | None = None
    onset: Episode | None = None


@dataclass(frozen=True, slots=True)
class ThresholdMemory(Track):
    """The windows of all requests, the newest finding, and the windows of each route.

    There are at most ROUTES_MAX with new counts, and as many that were in trouble when no more came.
    """

    finding: Finding | None = None
    routes: tuple[tuple[str, Track], ...] = ()


_Track = TypeVar("_Track", bound=Track)


class Threshold(Rule):
    """Breaches when at least `breaches_min` of the last `windows` windows are bad.

    Bad is an error ratio from `max_error_rate` on or, where `errors_per_minute_max` is given instead, so many errors
    a minute, however many requests there were. Where `breaches_min` equals `windows`, so many bad ones in a row are
    needed. With `per_route` each of the ten busiest routes is judged in the same way beside the whole, so that one that
    fails is not lost among the others. With more to judge, more is called bad by chance: `min_errors` holds for each.
    """

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
    errors_per_minute_max: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description=(
            "5xx answers a minute from which on a window is bad, for a source that counts errors alone; "
            "in place of `max_error_rate` and `min_requests`, which must then not be given."
        ),
    )
    min_requests: int = Field(
        default=20, ge=1, le=1_000_000, description="A window with fewer requests is never called bad."
    )
    min_errors: int = Field(
        default=5, ge=1, le=1_000_000, description="A window with fewer errors is never called bad."
    )
    breaches_min: int = Field(default=3, ge=2, le=60, description="How many of the last windows must be bad (M of N).")
    windows: int = Field(default=5, ge=2, le=60, description="How many of the last windows are looked at (N).")
    until: timedelta | None = Field(
        default=None,
        ge=MINUTE,
        le=timedelta(days=1),
        description="How long after a deployment went live trouble has to begin to be called a breach; by default for "
        "as long as it serves.",
    )

    per_route: bool = Field(
        default=False,
        description="Whether to judge the ten busiest routes beside the whole; log_drain and request_logs know them.",
    )

    @model_validator(mode="after")
    def _can_be_met(self) -> "Threshold":
        if self.breaches_min > self.windows:
            raise ValueError(f"breaches_min {self.breaches_min} can never be met within windows {self.windows}")
        return self

    @model_validator(mode="after")
    def _is_one_rule(self) -> "Threshold":
        beside = [key for key in ("max_error_rate", "min_requests") if key in self.model_fields_set]
        if self.errors_per_minute_max is not None and beside:
            raise ValueError(
                f"errors_per_minute_max {self.errors_per_minute_max} counts errors alone, and {beside[0]} is about "
                "their share of the requests; keep one of the two"
            )
        return self

    @property
    def name(self) -> str:
        """The key of this detector's memory."""
        return self.kind

    @property
    def follows_production(self) -> bool:
        """False: each deployment is judged by its own windows."""
        return False

    @property
    def wants_routes(self) -> bool:
        """Whether routes are judged beside the whole."""
        return self.per_route

    @property
    def needs_requests(self) -> bool:
        """Whether the rule is about a ratio, which errors alone do not have."""
        return self.errors_per_minute_max is None

    @property
    def rule(self) -> str:
        """What breaches, in one sentence."""
        bad = f"{self.max_error_rate:.1%} errors ({self.min_errors} errors and {self.min_requests} requests at least)"
        if self.errors_per_minute_max is not None:
            bad = f"{self.errors_per_minute_max} errors a minute ({self.min_errors} errors at least)"
        until = f", begun within {self.until / MINUTE:.0f} min of going live" if self.until else ""
        return (
            f"{self.breaches_min} of the last {self.windows} windows of {self.window.total_seconds():.0f} s "
            f"with at least {bad}{until}"
        )

    def begin(self) -> ThresholdMemory:
        """Return an empty memory."""
        return ThresholdMemory()

    def update(
        self, memory: ThresholdMemory, sample: ErrorRateSample, activations: Sequence[Activation] = ()
    ) -> tuple[ThresholdMemory, Finding]:
        """Return memory and finding after *sample*.

        What overlaps the counted past is counted once: ignored. What is late is added to the window in which it lies,
        which is judged anew; none is made for it. Errors alone have no ratio: then a rule that needs one says nothing.
        """
        if sample.requests is None and self.needs_requests:
            return memory, self._find_no_ratio(memory)
        if _is_repeated(memory, sample):
            return memory, memory.finding or self._find(memory)
        memory = self._take(memory, sample)
        # What was remembered of routes is forgotten when they are no longer judged.
        memory = replace(memory, routes=self._take_routes(memory, sample) if self.per_route else ())
        finding = self._judge(memory, sample, activations)
        return replace(memory, finding=finding), finding

    def _take(self, track: _Track, sample: ErrorRateSample) -> _Track:
        return self._add(track, sample) if sample.is_late else self._count(track, sample)

    def _take_routes(self, memory: ThresholdMemory, sample: ErrorRateSample) -> tuple[tuple[str, Track], ...]:
        """Return the windows of each route after *sample*: those with the newest counts, and those lost in trouble."""
        tracks = dict(memory.routes)
        for one in sample.routes:
            counts, known = sample.on_route(one.route), tracks.get(one.route, Track())
            if counts and one.route != OTHER_ROUTES and not _is_repeated(known, counts):
                tracks[one.route] = self._take(known, counts)
        ends = {route: newest.end for route, track in tracks.items() if (newest := _newest(track))}
        newest_first = sorted(ends, key=lambda route: ends[route], reverse=True)
        present = [one for one in newest_first if not self._is_lost(memory, tracks[one])][:ROUTES_MAX]
        lost = [one for one in newest_first if one not in present and tracks[one].onset][:ROUTES_MAX]
        return tuple((route, tracks[route]) for route in (*present, *lost))

    def _is_lost(self, memory: ThresholdMemory, track: Track) -> bool:
        """Return whether *track* has no counts in the time that is looked at; then nobody knows whether it is well."""
        whole, newest = _newest(memory), _newest(track)
        return bool(whole and newest and newest.end <= whole.end - self.window * self.windows)

    def _judge(self, memory: ThresholdMemory, sample: ErrorRateSample, activations: Sequence[Activation]) -> Finding:
        """Return the finding of the whole, or of the worst route where that one is in more trouble."""
        whole = self._find_in_time(memory, sample, activations)
        findings = [whole]
        for route, track in memory.routes:
            found = self._find_in_time(track, sample, activations)
            told = f"route {route[:ROUTE_SHOWN_MAX]}: {found.sentence}"
            if self._is_lost(memory, track):
                told = f"{told}; nobody knows how it has been since"
                found = replace(found, verdict=Verdict.INCONCLUSIVE, acts_in=None)
            findings.append(replace(found, route=route, sentence=told))
        return max(findings, key=_severity)

    def _count(self, memory: _Track, sample: ErrorRateSample) -> _Track:
        window = Window(sample.start, sample.end, sample.requests, sample.errors, sample.is_sampled)
        # An open window that waited longer than its own length is stale: what it held belongs to no judgement.
        if memory.open and sample.start - memory.open.end <= self.window:
            window = replace(memory.open.with_more(sample), end=sample.end)
        if window.end - window.start < self.window:
            return replace(memory, open=window)
        horizon = window.end - self.window * self.windows
        completed = (*(one for one in memory.completed if one.end > horizon), window)
        return replace(memory, completed=completed, open=None, onset=self._onset(memory, completed, window))

    def _onset(self, memory: Track, completed: Sequence[Window], window: Window) -> Episode | None:
        """Return the episode with *window* in it; None when no recent window is bad: a stray error is no onset."""
        if not any(self._is_breaching(one) for one in completed):
            return None
        known = memory.onset
        # Trouble further back than the windows that are looked at was another episode.
        if known is None or not any(self._is_breaching(one) for one in completed[:-1]):
            return episode_of([window])
        counted = known if known.windows > 1 else replace(known, requests=0, errors=0)
        return replace(
            counted,
            windows=known.windows + 1,
            requests=add(counted.requests, window.requests),
            errors=counted.errors + window.errors,
        )

    def _add(self, memory: _Track, sample: ErrorRateSample) -> _Track:
        """Return the memory with the late *sample* in the window that it shares most time with; unchanged without."""
        known = (*memory.completed, *((memory.open,) if memory.open else ()))
        window = max(known, key=lambda one: shared_time(one, sample), default=None)
        if window is None or shared_time(window, sample) <= timedelta(0):
            return memory
        fuller = window.with_more(sample)
        if window is memory.open:
            return replace(memory, open=fuller)
        completed = tuple(fuller if one is window else one for one in memory.completed)
        return replace(memory, completed=completed, onset=self._onset_anew(memory.onset, completed, sample))

    def _onset_anew(self, known: Episode | None, completed: Sequence[Window], late: ErrorRateSample) -> Episode | None:
        """Return the episode after *late* counts changed one of the *completed* windows: it may begin elsewhere now."""
        bad = [number for number, one in enumerate(completed) if self._is_breaching(one)]
        if not bad:
            return None
        if known and known.start < completed[0].start:
            # It began before all that is remembered, so that these counts came after its beginning.
            return replace(known, requests=add(known.requests, late.requests), errors=known.errors + late.errors)
        return episode_of(completed[bad[0] :])

    def _is_hot(self, window: Window) -> bool:
        if self.errors_per_minute_max is not None:
            return window.errors * MINUTE >= self.errors_per_minute_max * (window.end - window.start)
        return window.error_ratio is not None and window.error_ratio >= self.max_error_rate

    def _is_breaching(self, window: Window) -> bool:
        return self._is_hot(window) and window.errors >= self.min_errors and self._has_traffic(window)

    def _has_traffic(self, window: Window) -> bool:
        """Return whether there are requests enough to judge a ratio, where one is judged."""
        return not self.needs_requests or (window.requests is not None and window.requests >= self.min_requests)

    def _find(self, memory: Track) -> Finding:
        if not memory.completed:
            return Finding(self.name, Verdict.INCONCLUSIVE, "no complete window yet", 0, 0, self.max_error_rate)
        newest = memory.completed[-1]
        breaches = sum(self._is_breaching(one) for one in memory.completed)
        shown = memory.onset or newest
        return Finding(
            detector=self.name,
            verdict=self._verdict(memory.completed, breaches),
            sentence=self._sentence(newest, breaches),
            requests=shown.requests,
            errors=shown.errors,
            limit=self.max_error_rate,
            onset_at=memory.onset.start if memory.onset else None,
            onset_before=memory.onset.end if memory.onset else None,
            gates=self._gates(newest, breaches),
            acts_in=self._acts_in(memory, breaches),
        )

    def _acts_in(self, memory: Track, breaches: int) -> timedelta | None:
        """Return the time of the windows still needed if each is as bad as the newest; None where that one is not."""
        newest = memory.completed[-1]
        if breaches >= self.breaches_min:
            return timedelta(0)
        if not self._is_breaching(newest):
            return None
        bad = [one.end for one in memory.completed if self._is_breaching(one)]
        # Of the bad ones that are known some leave before the last that is needed is complete.
        more = next(
            more
            for more in range(1, self.breaches_min + 1)
            if more + sum(end > newest.end - self.window * (self.windows - more) for end in bad) >= self.breaches_min
        )
        begun = memory.open.end - newest.end if memory.open else timedelta(0)
        return max(timedelta(0), self.window * more - begun)

    def _find_in_time(self, memory: Track, sample: ErrorRateSample, activations: Sequence[Activation]) -> Finding:
        """Return the finding, in which trouble that began later than `until` is no breach.

        It is the beginning that counts, so that a breach does not end because time passes. Where nobody knows since
        when the deployment serves, nothing began in time.
        """
        finding = self._find(memory)
        if self.until is None or memory.onset is None:
            return finding
        live_at = next((one.at for one in reversed(activations) if one.deployment.id == sample.deployment), None)
        age = memory.onset.start - live_at if live_at else None
        is_in_time = age is not None and age < self.until
        gates = (*finding.gates, Gate("until", None if age is None else age / MINUTE, self.until / MINUTE, is_in_time))
        if is_in_time:
            return replace(finding, gates=gates)
        told = "nobody knows how long" if age is None else f"{age / MINUTE:.0f} min"
        return replace(
            finding,
            verdict=Verdict.INCONCLUSIVE,
            sentence=f"{finding.sentence}; it began {told} after going live, {self.until / MINUTE:.0f} min allowed",
            gates=gates,
            acts_in=None,
        )

    def _find_no_ratio(self, memory: Track) -> Finding:
        sentence = f"the source counts errors alone: there is no ratio to compare with {self.max_error_rate:.1%}"
        return replace(self._find(memory), verdict=Verdict.INCONCLUSIVE, sentence=sentence, acts_in=None)

    def _verdict(self, completed: Sequence[Window], breaches: int) -> Verdict:
        if breaches >= self.breaches_min:
            return Verdict.BREACHING
        return Verdict.HEALTHY if breaches == 0 and self._is_well(completed) else Verdict.INCONCLUSIVE

    def _is_well(self, completed: Sequence[Window]) -> bool:
        """Return whether the newest counts say that all is well: silence does not.

        Errors that nobody set against requests may just be missing, so that it takes as many windows without trouble
        as it takes of bad ones to call it trouble.
        """
        newest = completed[-1]
        if newest.requests is not None:
            return newest.requests >= self.min_requests and not self._is_hot(newest)
        calm = not any(self._is_hot(one) for one in completed)
        return not self.needs_requests and calm and len(completed) >= self.breaches_min

    def _sentence(self, newest: Window, breaches: int) -> str:
        if self.errors_per_minute_max is not None:
            counted = (
                f"{'at least ' if newest.is_sampled else ''}{newest.errors} errors in "
                f"{(newest.end - newest.start).total_seconds():.0f} s "
                f"({newest.errors_per_minute:.1f} a minute, limit {self.errors_per_minute_max})"
            )
        else:
            counted = (
                f"{newest.errors} of {newest.requests} requests failed "
                f"({newest.error_ratio or 0.0:.1%}, limit {self.max_error_rate:.1%})"
            )
        return f"{counted}; {breaches} of the last {self.windows} windows bad, {self.breaches_min} needed"

    def _gates(self, newest: Window, breaches: int) -> tuple[Gate, ...]:
        return (
            *self._traffic_gates(newest),
            Gate("min_errors", newest.errors, self.min_errors, newest.errors >= self.min_errors),
            self._limit_gate(newest),
            Gate("breaches_min", breaches, self.breaches_min, breaches >= self.breaches_min),
        )

    def _traffic_gates(self, newest: Window) -> Iterable[Gate]:
        if self.needs_requests:
            yield Gate("min_requests", newest.requests, self.min_requests, self._has_traffic(newest))

    def _limit_gate(self, newest: Window) -> Gate:
        is_hot = self._is_hot(newest)
        if self.errors_per_minute_max is not None:
            return Gate("errors_per_minute_max", newest.errors_per_minute, self.errors_per_minute_max, is_hot)
        return Gate("max_error_rate", newest.error_ratio, self.max_error_rate, is_hot)


def _newest(track: Track) -> Window | None:
    return track.open or (track.completed[-1] if track.completed else None)


def _is_repeated(track: Track, sample: ErrorRateSample) -> bool:
    newest = _newest(track)
    return not sample.is_late and newest is not None and sample.start < newest.end


def _severity(finding: Finding) -> tuple[bool, bool, bool, float]:
    """Return what makes one finding worse than another; of equal ones the whole is told."""
    is_breach, is_trouble = finding.verdict is Verdict.BREACHING, finding.onset_at is not None
    return is_breach, is_trouble, finding.route is None, finding.error_ratio or 0.0
