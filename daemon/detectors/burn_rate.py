"""The rule of the SRE Workbook: errors spend the budget that an objective leaves, too fast for too long."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from daemon.core.detector import Finding, Gate, Verdict
from daemon.core.facts import Activation, DeploymentId, ErrorRateSample
from daemon.detectors.cells import MINUTE, Cell, Total, add_counts, cells_since, find_onset, total
from daemon.detectors.rule import Rule

HOUR = 60 * MINUTE
COUNTED_MAX = 8
"""So many deployments are remembered that counts came of, the latest: few serve one project within one lag."""


class BurnWindows(BaseModel):
    """A long window and a short one, and how many times faster than allowed the budget must burn in both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: Annotated[float, Field(ge=1, le=1000)] = Field(
        description="How many times faster than allowed errors must come."
    )
    long: timedelta = Field(ge=6 * MINUTE, le=72 * HOUR, description="The window that tells that it is worth an alert.")
    short: timedelta = Field(ge=5 * MINUTE, le=6 * HOUR, description="The window that tells that it is still going on.")

    @model_validator(mode="after")
    def _is_a_pair(self) -> "BurnWindows":
        if self.short >= self.long:
            raise ValueError(f"short {_text(self.short)} is not shorter than long {_text(self.long)}")
        return self


@dataclass(frozen=True, slots=True)
class BurnRateMemory:
    """Counts of the project up to `until`, and the cell in which the present trouble began; None without trouble.

    `serves_since` is the newest activation before `until`, None where none is dated. `counted` tells for each
    deployment where its newest counts end; of others nothing before `forgotten` is new.
    """

    cells: tuple[Cell, ...] = ()
    until: datetime | None = None
    serves_since: datetime | None = None
    counted: tuple[tuple[DeploymentId, datetime], ...] = ()
    forgotten: datetime | None = None
    onset: tuple[datetime, datetime] | None = None
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class _Burn:
    """What one window holds. `is_over` is None where nobody can tell whether its errors are too many."""

    window: timedelta
    counts: Total
    covered: float
    is_over: bool | None


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both windows of one entry; `limit` is the error ratio, 0..1, that both must be over."""

    settings: BurnWindows
    limit: float
    long: _Burn
    short: _Burn
    is_met: bool | None


class BurnRate(Rule):
    """Breaches when the error budget burns too fast in a long window, and still does in a short one. An alerting rule.

    The budget is the project's, whatever deployment spends it; that it still burns has to be true of what serves now.
    The defaults are those of a page: 2 % of a month's budget in an hour, or 5 % in six hours. Such a rule tells that
    errors are too many, not that a deployment is to blame, and it can hardly judge a site of little traffic: with
    `dry_run: true` it tells, and no more. A window with counts of fewer minutes than `covered_min` is not judged.

    Counts are kept by the minute for half an hour, by five minutes for six hours, and by the hour beyond. A window
    begins with the first of those that lies in it as a whole, so that it is up to a fifth shorter than it says.
    """

    memory_type: ClassVar[type[BurnRateMemory]] = BurnRateMemory

    kind: Literal["burn_rate"] = "burn_rate"
    slo: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.999, description="Objective: the ratio of requests, 0..1, that are answered without a 5xx."
    )
    # Source: Google SRE Workbook, chapter 5 "Alerting on SLOs", table 5-8, the two pages for an objective of 99.9 %.
    windows: tuple[BurnWindows, ...] = Field(
        default=(
            BurnWindows(factor=14.4, long=HOUR, short=5 * MINUTE),
            BurnWindows(factor=6.0, long=6 * HOUR, short=30 * MINUTE),
        ),
        min_length=1,
        max_length=4,
        description="Pairs of windows, of which one is enough: `factor`, `long` and `short`.",
    )
    min_errors: int = Field(
        default=5, ge=1, le=1_000_000, description="A long window with fewer errors is never called bad."
    )
    covered_min: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.5, description="Ratio of a window's minutes, 0..1, of which there must be counts to judge it."
    )

    @model_validator(mode="after")
    def _can_be_met(self) -> "BurnRate":
        for one in self.windows:
            if self._limit(one) >= 1:
                raise ValueError(
                    f"factor {one.factor:g} times the budget of slo {self.slo:g} is a limit of {self._limit(one):g}, "
                    "more than all requests, and can never be met"
                )
        return self

    @property
    def name(self) -> str:
        """The key of this detector's memory."""
        return self.kind

    @property
    def follows_production(self) -> bool:
        """True: a budget is the project's."""
        return True

    @property
    def needs_requests(self) -> bool:
        """True: a budget is a share of the requests."""
        return True

    @property
    def rule(self) -> str:
        """What breaches, in one sentence."""
        pairs = " or ".join(
            f"{one.factor:g} times over {_text(one.long)} and {_text(one.short)}" for one in self.windows
        )
        return f"a budget of {1 - self.slo:.3%} errors burns {pairs} ({self.min_errors} errors at least)"

    def begin(self) -> BurnRateMemory:
        """Return an empty memory."""
        return BurnRateMemory()

    def update(
        self, memory: BurnRateMemory, sample: ErrorRateSample, activations: Sequence[Activation] = ()
    ) -> tuple[BurnRateMemory, Finding]:
        """Return memory and finding after *sample*.

        Of each deployment, what overlaps its counted past is counted once: ignored. What is late counts in the minutes
        in which it lies. Errors alone spend no budget that anybody knows: they are INCONCLUSIVE.
        """
        if sample.requests is None:
            return memory, self._find_no_requests(memory)
        if _is_repeated(memory, sample):
            return memory, memory.finding or self._find(memory)
        until = max(memory.until or sample.end, sample.end)
        cells = add_counts(memory.cells, sample, until=until, horizon=max(one.long for one in self.windows))
        serves_since = _newest_activation(activations, until)
        memory = _with_counted(replace(memory, cells=cells, until=until, serves_since=serves_since), sample)
        pairs = self._pairs(memory)
        memory = replace(memory, onset=self._onset(memory, pairs))
        finding = self._finding(memory, pairs)
        return replace(memory, finding=finding), finding

    def _limit(self, windows: BurnWindows) -> float:
        # Rounded, because 1 - 0.999 is not 0.001: at the limit itself nothing is over it.
        return round(windows.factor * (1 - self.slo), 12)

    def _pairs(self, memory: BurnRateMemory) -> Sequence[_Pair]:
        return [self._pair(memory, one) for one in self.windows]

    def _pair(self, memory: BurnRateMemory, windows: BurnWindows) -> _Pair:
        limit = self._limit(windows)
        long = self._burn(memory, windows.long, limit)
        short = self._burn(memory, windows.short, limit, since=memory.serves_since)
        is_met: bool | None = None
        if long.is_over is False or short.is_over is False:
            is_met = False
        elif long.is_over and short.is_over and long.counts.errors >= self.min_errors:
            is_met = True
        return _Pair(windows, limit, long, short, is_met)

    def _burn(self, memory: BurnRateMemory, window: timedelta, limit: float, *, since: datetime | None = None) -> _Burn:
        """Return what *window* holds, or its part after *since*."""
        if memory.until is None:
            return _Burn(window, Total(), 0.0, is_over=None)
        begins = max(memory.until - window, since or memory.until - window)
        counts = total(memory.cells, begins)
        covered = min(1.0, counts.seen * MINUTE / max(memory.until - begins, MINUTE))
        is_over: bool | None = None
        if covered >= self.covered_min:
            allowed = limit * counts.requests
            # Where one error alone would be too many, none is no news.
            is_over = True if counts.errors > allowed else (False if allowed >= 1 else None)
        return _Burn(window, counts, covered, is_over)

    def _onset(self, memory: BurnRateMemory, pairs: Iterable[_Pair]) -> tuple[datetime, datetime] | None:
        """Return in which cell the present trouble began; None while no short window is over its limit."""
        burning = next((one for one in pairs if one.short.is_over), None)
        if burning is None or memory.onset:
            return memory.onset if burning else None
        assert memory.until is not None, "what burns was counted"
        cell = find_onset(cells_since(memory.cells, memory.until - burning.short.window), burning.limit)
        return (cell.began, cell.ended) if cell else None

    def _find(self, memory: BurnRateMemory) -> Finding:
        return self._finding(memory, self._pairs(memory))

    def _finding(self, memory: BurnRateMemory, pairs: Sequence[_Pair]) -> Finding:
        met = next((one for one in pairs if one.is_met), None)
        shown = met or pairs[0]
        counts = _since_onset(memory) or shown.short.counts
        return Finding(
            detector=self.name,
            verdict=_verdict(pairs),
            sentence=self._sentence(pairs),
            requests=counts.requests,
            errors=counts.errors,
            limit=shown.limit,
            onset_at=memory.onset[0] if memory.onset else None,
            onset_before=memory.onset[1] if memory.onset else None,
            gates=tuple(gate for pair in pairs for gate in self._gates(pair)),
            acts_in=self._acts_in(memory, pairs),
        )

    def _find_no_requests(self, memory: BurnRateMemory) -> Finding:
        sentence = f"the source counts errors alone: of requests nobody knows, and so of a budget of {1 - self.slo:.3%}"
        return replace(self._find(memory), verdict=Verdict.INCONCLUSIVE, sentence=sentence, acts_in=None)

    def _sentence(self, pairs: Iterable[_Pair]) -> str:
        shown = "; ".join(
            f"{self._told(one.long)} and {self._told(one.short)}, {one.settings.factor:g} needed" for one in pairs
        )
        return f"the budget of {1 - self.slo:.3%} burns {shown}"

    def _told(self, burn: _Burn) -> str:
        rate = self._rate(burn)
        if rate is None:
            return f"nobody knows how fast over {_text(burn.window)} ({burn.covered:.0%} counted)"
        return f"{rate:.1f} times over {_text(burn.window)}"

    def _rate(self, burn: _Burn) -> float | None:
        """Return how many times faster than allowed errors come; None where too little was counted."""
        ratio = burn.counts.error_ratio
        return None if ratio is None or burn.covered < self.covered_min else ratio / round(1 - self.slo, 12)

    def _gates(self, pair: _Pair) -> Iterator[Gate]:
        for one in (pair.long, pair.short):
            name = _text(one.window)
            yield Gate(f"covered_{name}", one.covered, self.covered_min, one.covered >= self.covered_min)
            yield Gate(f"burn_{name}", self._rate(one), pair.settings.factor, one.is_over is True)
        errors = pair.long.counts.errors
        yield Gate("min_errors", errors, self.min_errors, errors >= self.min_errors)

    def _acts_in(self, memory: BurnRateMemory, pairs: Iterable[_Pair]) -> timedelta | None:
        """Return how long it takes if errors go on as since the onset, after none at all; None where it never breaches.

        Source: Google SRE Workbook, chapter 5, "Alerting on burn rate": the time to detect is the long window times
        the limit by the error ratio. Counts that are missing, and `min_errors`, may take longer.
        """
        counts, since = _since_onset(memory), memory.until
        if not counts or not counts.errors or not counts.requests or memory.onset is None or since is None:
            return None
        ratio, age = counts.errors / counts.requests, since - memory.onset[0]
        times = []
        for pair in pairs:
            if pair.is_met:
                return timedelta(0)
            if ratio > pair.limit:
                missing = (self.covered_min - pair.long.covered) * pair.long.window
                errors_needed = self.min_errors - pair.long.counts.errors
                at_the_pace = max(counts.seen, 1) * MINUTE * errors_needed / counts.errors
                times.append(max(timedelta(0), pair.long.window * pair.limit / ratio - age, missing, at_the_pace))
        return min(times, default=None)


def _verdict(pairs: Iterable[_Pair]) -> Verdict:
    met = [one.is_met for one in pairs]
    if any(met):
        return Verdict.BREACHING
    return Verdict.HEALTHY if all(one is False for one in met) else Verdict.INCONCLUSIVE


def _newest_activation(activations: Sequence[Activation], until: datetime) -> datetime | None:
    """Return when what served at *until* went live; None where nobody knows."""
    return next((one.at for one in reversed(activations) if one.at and one.at < until), None)


def _since_onset(memory: BurnRateMemory) -> Total | None:
    """Return the counts since the onset, without its own cell where there are later ones; None without an onset."""
    if memory.onset is None:
        return None
    began, ended = memory.onset
    later = total(memory.cells, ended)
    return later if later.seen else total(memory.cells, began)


def _is_repeated(memory: BurnRateMemory, sample: ErrorRateSample) -> bool:
    """Return whether *sample* overlaps what was counted of its deployment, and is not on top of it."""
    known = dict(memory.counted).get(sample.deployment, memory.forgotten)
    return not sample.is_late and known is not None and sample.start < known


def _with_counted(memory: BurnRateMemory, sample: ErrorRateSample) -> BurnRateMemory:
    """Return *memory*, which has the counts of *sample*, knowing that it has."""
    if sample.is_late:
        return memory
    counted = dict(memory.counted) | {sample.deployment: sample.end}
    forgotten = memory.forgotten
    if len(counted) > COUNTED_MAX:
        oldest = min(counted, key=lambda one: counted[one])
        forgotten = counted.pop(oldest)
    return replace(memory, counted=tuple(counted.items()), forgotten=forgotten)


def _text(window: timedelta) -> str:
    """Return a window in hours where they are whole, else in minutes or seconds."""
    seconds = round(window.total_seconds())
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
