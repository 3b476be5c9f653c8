"""Reads what the daemon remembers of the projects' traffic, for `lastgood check-config --history`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from daemon.core.event import SamplesObserved
from daemon.core.facts import ErrorRateSample, ProjectId
from daemon.engine.codec import decode_event
from daemon.ports.errors import StoreUnavailable
from daemon.ports.store import StoredJournalEntry
from daemon.settings import Loaded, Problem, Settings
from daemon.settings.history import judge_by_history
from daemon.stores.sqlite import open_sqlite

ENTRIES_READ_MAX = 5_000
"""So many entries of a project's journal are read, the newest."""
_SAMPLES = "samples_observed"


def lint_by_history(loaded: Loaded) -> tuple[list[Problem], list[str]]:
    """Return what the past says against thresholds, and of which projects it says nothing, and why."""
    path = loaded.settings.store.path
    if not path.is_file():
        return [], [f"history left out: there is no store at {path}"]
    try:
        remembered, notes = asyncio.run(_read(path, loaded.settings))
    except StoreUnavailable as error:
        return [], [f"history left out: {error}"]
    found = [
        loaded.blame(one)
        for index, samples in remembered.items()
        for one in judge_by_history(loaded.settings, index, samples)
    ]
    return found, notes


async def _read(path: Path, settings: Settings) -> tuple[dict[int, Sequence[ErrorRateSample]], list[str]]:
    store = await open_sqlite(path, read_only=True)
    remembered: dict[int, Sequence[ErrorRateSample]] = {}
    notes: list[str] = []
    try:
        for index, entry in enumerate(settings.projects):
            if entry.id is None:
                notes.append(f"history of {entry.label} left out: only an entry with an id can be found in the store")
                continue
            samples = _samples(await store.journal(ProjectId(entry.id), limit=ENTRIES_READ_MAX))
            if not samples:
                notes.append(f"history of {entry.label} left out: the store remembers no counts")
            remembered[index] = samples
    finally:
        await store.close()
    return remembered, notes


def _samples(journal: Sequence[StoredJournalEntry]) -> Sequence[ErrorRateSample]:
    events = [decode_event(one.entry.document) for one in journal if one.entry.kind == _SAMPLES]
    return [sample for event in events if isinstance(event, SamplesObserved) for sample in event.samples]
