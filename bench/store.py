"""Measures commits a second: the store in memory, the store on SQLite, and plain sqlite3 writing the same rows.

Run: python -m bench.store [--commits N] [--folder DIR]. The plain loop is the limit that the disk and SQLite set in the
same run; the store's share of it is what our own layers cost. A commit is a state, two journal entries and one command,
synced to the disk before it is acknowledged.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from daemon.core.facts import Instant, ProjectId
from daemon.ports.store import JournalEntry, Lease, Store
from daemon.stores.memory import MemoryStore
from daemon.stores.sqlite import open_sqlite

PROJECTS = 20
MOMENT = Instant(at=datetime(2026, 3, 1, tzinfo=UTC), elapsed=1.0)
STATE = '{"state": "' + "x" * 2_000 + '"}'
DOCUMENT = '{"event": "' + "x" * 300 + '"}'
ENTRIES = [JournalEntry("SampleObserved", DOCUMENT, "12 of 600 requests failed", MOMENT, "inc_1")] * 2


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--commits", type=int, default=2_000)
    arguments.add_argument("--folder", type=Path, default=None, help="where the files go; its disk is what is measured")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        rows = asyncio.run(_measure_all(Path(folder), commits=chosen.commits))
    limit = dict(rows)["plain sqlite3, same rows"]
    print(f"{'store':34} {'commits/s':>10} {'of the limit':>13}")
    for name, rate in rows:
        print(f"{name:34} {rate:10,.0f} {rate / limit:13.0%}")


async def _measure_all(folder: Path, *, commits: int) -> list[tuple[str, float]]:
    per_project = max(1, commits // PROJECTS)
    rows = [("memory", await _measure(MemoryStore(), _one_after_the_other, per_project=per_project))]
    for name, how in (("one task", _one_after_the_other), (f"{PROJECTS} tasks", _all_at_once)):
        store = await open_sqlite(folder / f"{name}.db")
        rows.append((f"SQLite, FULL, {name}", await _measure(store, how, per_project=per_project)))
        await store.close()
    await (await open_sqlite(folder / "plain.db")).close()
    rows.append(("plain sqlite3, same rows", _measure_plain(folder / "plain.db", per_project=per_project)))
    return rows


async def _measure(store: Store, how: Callable[[Store, Lease, int], Awaitable[None]], *, per_project: int) -> float:
    lease = await store.take_lease("bench", now=MOMENT.at, ttl_seconds=60)
    assert lease is not None
    start = time.perf_counter()
    await how(store, lease, per_project)
    return PROJECTS * per_project / (time.perf_counter() - start)


async def _one_after_the_other(store: Store, lease: Lease, per_project: int) -> None:
    for number in range(PROJECTS):
        await _commit(store, lease, number, per_project)


async def _all_at_once(store: Store, lease: Lease, per_project: int) -> None:
    await asyncio.gather(*(_commit(store, lease, number, per_project) for number in range(PROJECTS)))


async def _commit(store: Store, lease: Lease, number: int, per_project: int) -> None:
    for version in range(per_project):
        await store.commit(
            ProjectId(f"prj_{number}"),
            expected_version=version,
            lease=lease,
            entries=ENTRIES,
            state=STATE,
            commands=["{}"],
            taken_requests=[],
            moment=MOMENT,
        )


def _measure_plain(path: Path, *, per_project: int) -> float:
    """Write the rows of the same commits into the tables that the store made, with nothing of ours in between."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        start = time.perf_counter()
        for number in range(PROJECTS):
            for version in range(1, per_project + 1):
                _commit_plain(connection, f"prj_{number}", version)
        return PROJECTS * per_project / (time.perf_counter() - start)


def _commit_plain(connection: sqlite3.Connection, project: str, version: int) -> None:
    at = MOMENT.at.isoformat(timespec="microseconds")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("SELECT holder, token FROM leases WHERE name = 'actor'").fetchone()
    connection.execute("SELECT version FROM projects WHERE project = ?", (project,)).fetchone()
    if version == 1:
        connection.execute("INSERT INTO projects VALUES (?, ?, ?, ?, ?)", (project, version, STATE, at, 1.0))
    else:
        connection.execute(
            "UPDATE projects SET version = ?, state = ?, saved_at = ?, saved_elapsed = ? WHERE project = ?",
            (version, STATE, at, 1.0, project),
        )
    entry = ENTRIES[0]
    row = (project, version, entry.incident, entry.kind, entry.document, entry.sentence, at, 1.0)
    connection.executemany(
        "INSERT INTO journal (project, version, incident, kind, document, sentence, at, elapsed) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [row] * len(ENTRIES),
    )
    connection.execute(
        "INSERT INTO outbox (project, version, document, committed_at, is_done) VALUES (?, ?, ?, ?, ?)",
        (project, version, "{}", at, 0),
    )
    connection.execute("COMMIT")


if __name__ == "__main__":
    main()
