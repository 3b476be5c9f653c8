"""One project's life: events in, one at a time; state committed before anything is carried out."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from daemon.core.command import Command, Notify, ObserveProduction, Preflight, Severity
from daemon.core.event import CycleEnded, Event, ProductionObserved, Resumed, SamplesObserved, TargetsListed
from daemon.core.facts import IncidentId, Instant, ProjectId
from daemon.core.policy import Policy
from daemon.core.state import Decision, ProjectState
from daemon.core.step import step
from daemon.engine import codec, intake
from daemon.engine.accounting import account
from daemon.engine.executor import Executor, Mandate
from daemon.engine.leadership import Leadership
from daemon.engine.moments import Moments
from daemon.engine.supervisor import Supervisor
from daemon.ports.errors import Conflict, LeaseLost, StoreUnavailable
from daemon.ports.store import JournalEntry, OperatorRequest, Store
from daemon.telemetry.metrics import Metrics

_UNCOMMITTED_SECONDS_MAX = 60.0
"""So old may the store's picture of a project become in which nothing happens."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Order:
    """A committed command. `id` is its own in the outbox."""

    id: int
    command: Command
    mandate: Mandate


@dataclass(frozen=True, slots=True)
class _Step:
    """One event, and the state before and after it."""

    before: ProjectState
    event: Event
    after: ProjectState


@dataclass(slots=True)
class Project:
    """The only writer of one project's state. `policy` is asked anew for every event, so that a reload counts at once.

    `state` is None before it was loaded, and after a commit that failed. The latter sets `needs_resume` too, however
    soon the next commit succeeds: what was under way has lost its thread, and only `resume` takes it up. After a bug
    `is_frozen` stays set until a restart: production is left as it is. Whoever reads production holds `looking` until
    its event was taken in, so that no older answer follows a newer one. `ruled_by` is the digest of the policy by
    which the newest events were taken in; '' before the first.
    """

    id: ProjectId
    store: Store
    policy: Callable[[], Policy]
    executor: Executor
    leadership: Leadership
    moments: Moments
    supervisor: Supervisor
    metrics: Metrics
    state: ProjectState | None = None
    needs_resume: bool = True
    is_frozen: bool = False
    ruled_by: str = ""
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _version: int = 0
    _committed: Instant | None = None
    _is_observing: bool = False
    _begun: set[int] = field(default_factory=set)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def resume(self) -> bool:
        """Take the project up where the store says it was left: nothing that was asked for is blindly repeated.

        False when that could not be committed; then it must be tried again before anything else.
        """
        # Cleared first, so that a commit that fails meanwhile sets it again.
        self.needs_resume = False
        try:
            async with self._lock:
                await self._reload()
                left = [one for one in await self.store.unfinished_commands(self.id) if one.id not in self._begun]
        except StoreUnavailable as error:
            self._lose_thread()
            log.warning("store.failed", project=self.id, error=str(error))
            return False
        if not await self.tell(Resumed(self.moments.now())):
            return False
        mandate = Mandate(token=0, given=self.moments.now())
        orders = [_Order(one.id, codec.decode_command(one.document), mandate) for one in left]
        for order in orders:
            if not isinstance(order.command, Notify):
                await self._finish(order)
        self._dispatch([order for order in orders if isinstance(order.command, Notify)])
        return True

    async def tell(self, *events: Event) -> bool:
        """Take in *events*; True when they were committed. What follows from them is started in the background."""
        if self.is_frozen:
            return False
        async with self._lock:
            orders = await self._commit(events)
        if orders is None:
            return False
        self._dispatch(orders)
        return True

    async def freeze(self, error: Exception) -> None:
        """Stop touching this project after a bug, and page without the store's help."""
        self.is_frozen = True
        self.metrics.frozen.labels(project=self.id).set(1)
        await self.page(
            f"{self.id}: lastgood froze itself",
            f"a bug stopped work on this project: {error!r}; production is left as it is",
            "read the log, then restart lastgood",
        )

    async def page(self, title: str, sentence: str, next_step: str) -> None:
        """Page about the daemon itself, without the store's help."""
        await self.executor.notify(self.id, Notify(IncidentId("daemon"), Severity.PAGE, title, sentence, next_step))

    async def _commit(self, events: Sequence[Event]) -> Sequence[_Order] | None:
        """Fold and commit; None when nothing was written, and so nothing may be done."""
        try:
            for _attempt in range(2):
                if self.state is None:
                    await self._reload()
                try:
                    return await self._fold_and_commit(events)
                except Conflict as error:
                    log.warning("state.reloaded", project=self.id, error=str(error))
                    self.state = None
        except LeaseLost as error:
            self.leadership.lease = None
            log.warning("lease.lost", project=self.id, error=str(error))
        except StoreUnavailable as error:
            self.metrics.store_failures.inc()
            log.error("store.failed", project=self.id, error=str(error))
        self._lose_thread()
        return None

    def _lose_thread(self) -> None:
        self.state, self.needs_resume = None, True

    async def _fold_and_commit(self, events: Sequence[Event]) -> Sequence[_Order]:
        assert self.state is not None, "loaded before folding"
        lease = self.leadership.lease
        if lease is None:
            raise LeaseLost(f"{self.id}: no lease, so nothing is decided")
        requests = await self.store.pending_requests(self.id)
        steps, commands = self._fold(self.state, [*self._understand(requests), *events])
        after, moment = steps[-1].after, events[-1].moment
        if not requests and not commands and self._is_routine(steps):
            self._take_in(steps)
            return []
        stored = await self.store.commit(
            self.id,
            expected_version=self._version,
            lease=lease,
            entries=[_entry(one) for one in steps if _is_news(one)],
            state=codec.encode_state(after),
            commands=[codec.encode_command(command) for command in commands],
            taken_requests=[request.id for request in requests],
            moment=moment,
        )
        self._version, self._committed = self._version + 1, moment
        self._take_in(steps)
        mandate = Mandate(lease.token, moment)
        return [_Order(row.id, command, mandate) for row, command in zip(stored, commands, strict=True)]

    def _take_in(self, steps: Sequence[_Step]) -> None:
        self.state = steps[-1].after
        policy = self.policy()
        for one in steps:
            account(self.metrics, one.before, one.after, [one.event], policy)

    def _is_routine(self, steps: Sequence[_Step]) -> bool:
        """Return whether nothing happened that a restart would have to know: then a commit can wait a little."""
        age = steps[-1].event.moment.elapsed - self._committed.elapsed if self._committed else _UNCOMMITTED_SECONDS_MAX
        if age >= _UNCOMMITTED_SECONDS_MAX or any(_is_news(one) for one in steps):
            return False
        return _lasting(steps[0].before) == _lasting(steps[-1].after)

    def _understand(self, requests: Sequence[OperatorRequest]) -> list[Event]:
        """Return the events of *requests*. One that cannot be understood is taken too, or it would stay."""
        asked: list[Event] = []
        for request in requests:
            try:
                asked.append(intake.to_event(request, self.moments.now(), is_new_project=self._version == 0))
            except intake.Outdated as error:
                log.warning("request.ignored", project=self.id, by=request.requested_by, summary=str(error))
            except ValueError as error:
                log.warning("read.failed", project=self.id, what="operator_request", error=str(error))
        return asked

    def _fold(self, state: ProjectState, events: Sequence[Event]) -> tuple[list[_Step], list[Command]]:
        commands: list[Command] = []
        steps: list[_Step] = []
        policy = self.policy()
        self.ruled_by = policy.digest
        for event in events:
            before = state
            state, asked = step(state, event, policy)
            commands.extend(asked)
            steps.append(_Step(before, event, state))
        return steps, commands

    async def _reload(self) -> None:
        stored = await self.store.load(self.id)
        if stored:
            self.moments.catch_up(stored.saved)
        self.state = codec.decode_state(stored.state) if stored else ProjectState(self.id)
        self._version = stored.version if stored else 0
        self._committed = None

    def _dispatch(self, orders: Sequence[_Order]) -> None:
        """Start what was asked for; telling people never stands in the way of the rest."""
        self._begun |= {order.id for order in orders}
        messages: list[tuple[_Order, Notify]] = []
        for order in orders:
            if isinstance(order.command, Notify):
                messages.append((order, order.command))
            else:
                name = type(order.command).__name__
                self.supervisor.start(self._carry_out(order), name=f"{self.id}:{name}", on_bug=self.freeze)
        if messages:
            self.supervisor.start(
                self._tell_people(messages),
                name=f"{self.id}:Notify",
                on_bug=partial(self.note_broken_notifier, severity=_most_severe(messages)),
            )

    async def _carry_out(self, order: _Order) -> None:
        command = order.command
        assert not isinstance(command, Notify), "people are told elsewhere"
        if isinstance(command, Preflight | ObserveProduction):
            await self._look(order, command)
        elif not self.is_frozen:
            event = await self.executor.carry_out(self.id, command, self.policy(), order.mandate)
            await self._finish(order)
            await self.tell(event)

    async def _look(self, order: _Order, look: Preflight | ObserveProduction) -> None:
        is_observer = isinstance(look, ObserveProduction)
        if is_observer and self._is_observing:
            await self._finish(order)
            return
        self._is_observing = self._is_observing or is_observer
        await self.executor.wait_before(look)
        async with self.looking:
            event = await self.executor.carry_out(self.id, look, self.policy(), order.mandate)
            if is_observer:
                # What this look asks for next must find the observer's place free.
                self._is_observing = False
            await self._finish(order)
            await self.tell(event)

    async def _tell_people(self, messages: Sequence[tuple[_Order, Notify]]) -> None:
        for order, message in messages:
            await self.executor.notify(self.id, message)
            await self._finish(order)

    async def note_broken_notifier(self, _error: Exception, *, severity: Severity = Severity.PAGE) -> None:
        """Count a bug in a notifier and go on: nobody being told is no reason to leave an incident alone."""
        self.metrics.notifications.labels(outcome="failed", severity=severity).inc()

    async def _finish(self, order: _Order) -> None:
        try:
            await self.store.finish_command(order.id)
        except StoreUnavailable as error:
            # It stays in the outbox; a restart reconciles by reading production and never repeats an action blindly.
            log.warning("store.failed", project=self.id, error=str(error))
        else:
            self._begun.discard(order.id)


def _most_severe(messages: Sequence[tuple[_Order, Notify]]) -> Severity:
    is_page = any(message.severity is Severity.PAGE for _, message in messages)
    return Severity.PAGE if is_page else Severity.NOTICE


def _is_news(step: _Step) -> bool:
    """Return whether the event belongs in the journal: routine looks that changed nothing do not."""
    before, after = step.before, step.after
    match step.event:
        case CycleEnded() | TargetsListed():
            return before.decision.reason != after.decision.reason or before.incident != after.incident
        case ProductionObserved():
            return before.production != after.production or before.incident != after.incident
        case SamplesObserved(samples=samples):
            return bool(samples)
    return True


def _lasting(state: ProjectState) -> tuple[object, ...]:
    """Return *state* without what every quiet poll changes and the next one would find out again."""
    signal = (state.signal.state, state.signal.reason) if state.signal else None
    quiet = replace(state, production_seen=None, samples_until=None, traffic=0.0, cycle_ended=None, signal=None)
    return replace(quiet, decision=Decision(state.decision.reason, "")), signal


def _entry(step: _Step) -> JournalEntry:
    before, after = step.before, step.after
    ended = after.last_ended if after.last_ended != before.last_ended else None
    incident = after.incident or ended
    return JournalEntry(
        kind=step.event.kind,
        document=codec.encode_event(step.event),
        sentence=after.decision.sentence,
        moment=step.event.moment,
        incident=incident.id if incident else None,
    )
