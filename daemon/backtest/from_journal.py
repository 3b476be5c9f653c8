"""Makes history of the daemon's own journal: what it counted, and what it saw serving. It reads the store and no more.

Every reading with counts and every change of production is in the journal; readings without counts are not, and say
that nobody was counted. Failed readings are, and say that nobody could count.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from daemon.backtest.history import Counted, HistoryError, ProjectHistory, RecordedActivation, Span, in_order
from daemon.core.event import (
    Event,
    MoveTold,
    PreflightRead,
    ProductionObserved,
    ReadFailed,
    ReadTarget,
    RollbackAccepted,
    RollbackOutcomeUnknown,
    SamplesObserved,
)
from daemon.core.facts import Activation, ActivationOrigin, DeploymentId, ErrorRateSample, Instant, ProjectId
from daemon.core.guardrail import Posture
from daemon.core.policy import Policy
from daemon.core.state import ACTIVATIONS_MAX, ProjectState
from daemon.core.step import step
from daemon.engine.codec import decode_event, decode_state
from daemon.ports.store import Store

NO_DATA_MAX = timedelta(minutes=2)
"""A failed reading speaks for the time until the next one, and for no more than this."""
CLOCK_SLACK = timedelta(seconds=60)
"""Vercel's clock and ours may differ by so much."""
_ONLOOKER = Policy(posture=Posture.OBSERVE, detectors=(), guardrails=())
"""Judges nothing: with it `step` follows who serves, and does no more."""


async def read_journal(store: Store, project: ProjectId, *, since: datetime) -> ProjectHistory | None:
    """Return what the journal holds of *project* since then; None where it holds no counts.

    The newest activations are those of the stored state, which knows them best; the journal tells of older ones.
    Raises HistoryError for an entry that this version cannot read, StoreUnavailable when the medium fails.
    """
    record = _Record(project, await _known(store, project))
    async for event in _events(store, project, since=since):
        record.add(event)
    return record.history()


async def read_journals(
    store: Store, wanted: Callable[[ProjectId], bool], *, since: datetime
) -> AsyncIterator[ProjectHistory]:
    """Yield the history of every *wanted* project of the store that has counts, one at a time. Raises as above."""
    for project in [stored.project for stored in await store.load_all()]:
        history = await read_journal(store, project, since=since) if wanted(project) else None
        if history is not None:
            yield history


async def _known(store: Store, project: ProjectId) -> tuple[Activation, ...]:
    stored = await store.load(project)
    try:
        return decode_state(stored.state).activations if stored else ()
    except ValueError as error:
        what = f"the state of {project} cannot be read by this version; use the one that wrote it"
        raise HistoryError(what) from error


async def _events(store: Store, project: ProjectId, *, since: datetime) -> AsyncIterator[Event]:
    after = 0
    while page := await store.journal_page(project, after=after, since=since):
        for stored in page:
            try:
                yield decode_event(stored.entry.document)
            except ValueError as error:
                what = f"journal entry {stored.sequence} of {project} ({stored.entry.kind})"
                raise HistoryError(f"{what} cannot be read by this version; use the one that wrote it") from error
        after = page[-1].sequence


@dataclass(slots=True)
class _Record:
    """What the events tell so far. `known` are the activations that the daemon itself has on record, the newest."""

    project: ProjectId
    known: tuple[Activation, ...]
    state: ProjectState = field(init=False)
    polled: Instant | None = None
    activations: list[Activation] = field(default_factory=list)
    counts: list[Counted] = field(default_factory=list)
    no_data: list[Span] = field(default_factory=list)
    repeats: int = 0
    start: datetime | None = None
    until: datetime | None = None
    sent: list[datetime] = field(default_factory=list)
    has_sent: bool = False
    failed_at: datetime | None = None
    counted_until: dict[DeploymentId, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = ProjectState(self.project)

    def add(self, event: Event) -> None:
        at = event.moment.at
        # A wall clock that stepped back must not turn the record around.
        self.start = min(self.start or at, at)
        self.until = max(self.until or at, at)
        match event:
            case SamplesObserved():
                self._follow(event)
                self.polled = event.moment
                self._close_no_data(at)
                for sample in event.samples:
                    self._count(sample, at)
            case ProductionObserved() | PreflightRead():
                # Looks that saw nothing new are not in the journal; each poll that is there has had its look.
                if self.state.production_seen and self.polled:
                    self.state = replace(self.state, production_seen=self.polled)
                self._follow(ProductionObserved(event.moment, event.production))
            case MoveTold():
                self._follow(event)
            case RollbackAccepted() | RollbackOutcomeUnknown():
                self.has_sent = True
                self.sent.append(at)
            case ReadFailed(what=ReadTarget.SAMPLES):
                self._close_no_data(at)
                self.failed_at = at
            case _:
                pass

    def _follow(self, event: Event) -> None:
        before = self.state.activations
        self.state, _ = step(self.state, event, _ONLOOKER)
        after = self.state.activations
        if after == before:
            return
        newest = after[-1]
        if before and before[-1].deployment.id == newest.deployment.id:
            # Its first counted request dated it anew.
            self.activations[-1] = replace(self.activations[-1], at=newest.at)
            return
        if newest.origin is ActivationOrigin.FOREIGN_ROLLBACK and self.has_sent:
            newest = replace(newest, origin=ActivationOrigin.OUR_ROLLBACK)
        self.has_sent = False
        self.activations.append(newest)

    def _count(self, sample: ErrorRateSample, read_at: datetime) -> None:
        if not sample.is_late:
            if sample.start < self.counted_until.get(sample.deployment, sample.start):
                self.repeats += 1
                return
            self.counted_until[sample.deployment] = sample.end
        # Whole milliseconds, as a file holds them: what was read together must stay together.
        delay = timedelta(milliseconds=round((read_at - sample.end) / timedelta(milliseconds=1)))
        self.counts.append(Counted(sample, max(delay, timedelta(0))))

    def _close_no_data(self, at: datetime) -> None:
        failed_at, self.failed_at = self.failed_at, None
        if failed_at is None or at <= failed_at:
            return
        span = Span(failed_at, min(at, failed_at + NO_DATA_MAX))
        if self.no_data and self.no_data[-1].until == span.start:
            span = Span(self.no_data.pop().start, span.until)
        self.no_data.append(span)

    def history(self) -> ProjectHistory | None:
        if not self.counts or self.start is None or self.until is None:
            return None
        self._close_no_data(self.until)
        return ProjectHistory(
            project=self.project,
            start=min(self.start, *(one.sample.start for one in self.counts)),
            until=self.until,
            activations=tuple(_in_order([self._after_sending(one) for one in _merge(self.activations, self.known)])),
            counts=in_order(self.counts),
            no_data=tuple(self.no_data),
            repeats=self.repeats,
        )

    def _after_sending(self, activation: Activation) -> Activation:
        """Return our own rollback no earlier than we had sent it: Vercel dates it by a clock of its own."""
        at = activation.at
        if at is None or activation.origin is not ActivationOrigin.OUR_ROLLBACK:
            return activation
        sent = [one for one in self.sent if at < one <= at + CLOCK_SLACK]
        return replace(activation, at=max(sent)) if sent else activation


def _merge(followed: Sequence[Activation], known: Sequence[Activation]) -> Sequence[Activation]:
    """Return *known*, with what was *followed* in the journal before the first of it, where older ones were dropped."""
    if not known:
        return followed
    first = known[0]
    same = [i for i, one in enumerate(followed) if one.deployment.id == first.deployment.id]
    if len(known) < ACTIVATIONS_MAX or not same:
        return known
    # A deployment can have served twice; which time is meant, the moment says.
    nearest = min(same, key=lambda i: _distance(followed[i], first))
    return [*followed[:nearest], *known]


def _distance(one: Activation, other: Activation) -> timedelta:
    return abs(one.at - other.at) if one.at and other.at else timedelta.max


def _in_order(activations: Sequence[Activation]) -> Sequence[RecordedActivation]:
    """Return the activations as recorded ones, each at or after the one before; only the first may be undated."""
    recorded: list[RecordedActivation] = []
    newest: datetime | None = None
    for one in activations:
        at = one.at or one.not_before
        if recorded:
            assert at is not None, "what followed another was seen after it"
            at = max(at, newest) if newest else at
        newest = at or newest
        deployment = one.deployment
        recorded.append(RecordedActivation(deployment.id, at, deployment.created_at, one.origin, deployment.commit_sha))
    return recorded
