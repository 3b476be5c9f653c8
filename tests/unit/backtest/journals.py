"""Journals for tests: what a daemon would have written of some events."""

from collections.abc import Iterator, Sequence

from daemon.core.event import CycleEnded, Event, ProductionObserved, SamplesObserved
from daemon.core.facts import Production
from daemon.core.state import ProjectState
from daemon.engine.codec import encode_event, encode_state
from daemon.ports.store import JournalEntry, Store
from daemon.stores.memory import MemoryStore
from tests.builders import PROJECT


def news(events: Sequence[Event]) -> Iterator[Event]:
    """Leave out what the engine does not write: looks that saw nothing new, polls that counted nothing, their ends."""
    seen: Production | None = None
    for event in events:
        match event:
            case CycleEnded():
                continue
            case ProductionObserved(production=production):
                if production == seen:
                    continue
                seen = production
            case SamplesObserved(samples=()):
                continue
        yield event


async def a_store(events: Sequence[Event], state: ProjectState | None = None) -> Store:
    """Return a store in memory with the journal of *events*."""
    store = MemoryStore()
    await keep(store, events, state)
    return store


async def keep(store: Store, events: Sequence[Event], state: ProjectState | None = None) -> None:
    """Put the news among *events* of the shop into *store*, committed one by one, and with the last one *state*."""
    for version, event in enumerate(news(events)):
        await store.commit(
            PROJECT,
            expected_version=version,
            lease=None,
            entries=[JournalEntry(event.kind, encode_event(event), "told", event.moment)],
            state=encode_state(state or ProjectState(PROJECT)),
            commands=[],
            taken_requests=[],
            moment=event.moment,
        )
