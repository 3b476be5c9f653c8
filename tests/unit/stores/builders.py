"""Values for store tests: each test names only what matters to it."""

import types
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemon.core.facts import Instant, ProjectId
from daemon.ports.store import JournalEntry, Lease, Store, StoredCommand
from daemon.stores.database_thread import PATIENCE_SECONDS, DatabaseThread
from daemon.stores.sql import SqlStore
from daemon.stores.sqlite import sqlite_engine

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHOP = ProjectId("prj_shop")
BLOG = ProjectId("prj_blog")
TTL_SECONDS = 60.0


def moment_after(seconds: float) -> Instant:
    return Instant(at=START + timedelta(seconds=seconds), elapsed=1000.0 + seconds)


def an_entry(kind: str = "SampleObserved", *, seconds: float = 0, incident: str | None = None) -> JournalEntry:
    return JournalEntry(
        kind=kind,
        document='{"é": 1}',
        sentence=f"{kind} – told to a person",
        moment=moment_after(seconds),
        incident=incident,
    )


async def a_lease(store: Store, holder: str = "host/1", *, seconds: float = 0) -> Lease:
    lease = await store.take_lease(holder, now=START + timedelta(seconds=seconds), ttl_seconds=TTL_SECONDS)
    assert lease is not None
    return lease


async def save(
    store: Store,
    project: ProjectId = SHOP,
    *,
    version: int,
    lease: Lease | None = None,
    entries: Sequence[JournalEntry] = (),
    commands: Sequence[str] = (),
    taken_requests: Sequence[int] = (),
    seconds: float = 0,
) -> Sequence[StoredCommand]:
    """Commit *version* of *project*, whose state says which version it is."""
    return await store.commit(
        project,
        expected_version=version - 1,
        lease=lease,
        entries=entries,
        state=f"state {version}",
        commands=commands,
        taken_requests=taken_requests,
        moment=moment_after(seconds),
    )


async def a_store_with(path: Path, *pragmas: str, patience_seconds: float = PATIENCE_SECONDS) -> SqlStore:
    """Open the existing store at *path* with pragmas of the test's own on its only connection."""
    name = f"store {path}"
    database = DatabaseThread(sqlite_engine(path), name=name, patience_seconds=patience_seconds)
    for pragma in pragmas:
        await database.read("set up", lambda connection: connection.exec_driver_sql(f"PRAGMA {pragma}").close())  # noqa: B023
    return SqlStore(database)


@types.coroutine
def next_turn() -> Generator[None, None, None]:
    """Let everything else that is ready run once."""
    yield
