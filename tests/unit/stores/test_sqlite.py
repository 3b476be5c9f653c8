"""What the SQLite file adds to the contract: private, durable, shared, whole after failures, and telling what now."""

import asyncio
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import closing
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from sqlalchemy import Connection

from daemon.ports.errors import Conflict, LeaseLost, StoreUnavailable
from daemon.ports.store import Lease
from daemon.stores.database_thread import DatabaseThread
from daemon.stores.sql import SqlStore
from daemon.stores.sqlite import open_sqlite, sqlite_engine
from tests.unit.stores.builders import BLOG, SHOP, START, a_lease, a_store_with, an_entry, next_turn, save

_PAGE_SIZE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lastgood.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlStore]:
    store = await open_sqlite(path)
    yield store
    await store.close()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _overwrite_all_but_first_page(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(_PAGE_SIZE)
        file.write(b"\xff" * (size - _PAGE_SIZE))


def _content(path: Path) -> bytes:
    return path.read_bytes()


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def _kill_writer_after(acknowledged_min: int, *, path: Path) -> int:
    """Return the newest version that the killed program had acknowledged."""
    with Popen([sys.executable, "-m", "tests.unit.stores.writer", str(path)], stdout=PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(acknowledged_min):
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        rest = writer.stdout.read().split("\n")[:-1]
    return int(rest[-1]) if rest else acknowledged


async def _create(path: Path) -> None:
    store = await open_sqlite(path)
    for version in range(1, 6):
        await save(store, version=version, entries=[an_entry("x" * 2000)] * 5)
    await store.close()


async def _save_until_full(store: SqlStore, *, lease: Lease) -> int:
    """Return the newest version that was acknowledged before the disk was full."""
    for version in range(1, 1000):
        entries = [an_entry("x" * 500)] * 3
        try:
            await save(store, version=version, lease=lease, entries=entries, commands=["y" * 500])
        except StoreUnavailable:
            return version - 1
    pytest.fail("the disk never became full")


# The file


async def test_the_folder_and_every_file_are_for_the_owner_only(store: SqlStore, path: Path) -> None:
    await save(store, version=1)
    assert _mode(path.parent) == 0o700
    assert {file.name: _mode(file) for file in path.parent.iterdir()} == {
        "lastgood.db": 0o600,
        "lastgood.db-wal": 0o600,
        "lastgood.db-shm": 0o600,
    }


async def test_a_folder_that_was_there_keeps_its_mode(path: Path) -> None:
    path.parent.mkdir(mode=0o750)
    await (await open_sqlite(path)).close()
    assert _mode(path.parent) == 0o750


async def test_a_path_with_signs_that_mean_something_in_a_url_is_taken_literally(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1?mode=memory" / "ä b.db"
    store = await open_sqlite(path)
    await save(store, version=1)
    await store.close()
    assert path.stat().st_size > 0


def test_every_commit_is_synced_and_rules_between_tables_are_kept(path: Path) -> None:
    asyncio.run(_create(path))
    engine = sqlite_engine(path)
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


async def test_what_was_committed_is_there_after_closing_and_opening_again(path: Path) -> None:
    store = await open_sqlite(path)
    lease = await a_lease(store)
    await save(store, version=1, lease=lease, entries=[an_entry()], commands=["roll back"])
    before = [await store.load_all(), await store.journal(SHOP), await store.unfinished_commands(SHOP)]
    await store.close()
    again = await open_sqlite(path)
    assert [await again.load_all(), await again.journal(SHOP), await again.unfinished_commands(SHOP)] == before
    await save(again, version=2, lease=lease)
    await again.close()


async def test_a_closed_store_refuses_and_stays_closed(path: Path) -> None:
    store = await open_sqlite(path)
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="it was closed"):
        await save(store, version=1)
    with pytest.raises(StoreUnavailable, match="it was closed"):
        await store.load(SHOP)


# Two programs on one file


async def test_two_programs_may_create_the_same_store_at_once(path: Path) -> None:
    stores = await asyncio.gather(*(open_sqlite(path) for _ in range(4)))
    for version, store in enumerate(stores, start=1):
        await save(store, version=version)
        await store.close()


async def test_a_program_waits_while_another_one_creates_the_store(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(open_sqlite(path))
            await asyncio.wait([opening], timeout=0.1)  # SQLite tells nobody that it waits, so this is a real wait.
            other.execute("ROLLBACK")
    await save(opening.result(), version=1)
    await opening.result().close()


async def test_two_programs_write_at_once_and_nothing_is_lost(path: Path) -> None:
    first, second = await open_sqlite(path), await open_sqlite(path)

    async def save_five(store: SqlStore, project: Any) -> None:
        for version in range(1, 6):
            await save(store, project, version=version, entries=[an_entry(f"{project}{version}")])

    await asyncio.gather(save_five(first, SHOP), save_five(second, BLOG))
    assert [(stored.project, stored.version) for stored in await first.load_all()] == [(BLOG, 5), (SHOP, 5)]
    assert len(await first.journal(BLOG)) == len(await second.journal(SHOP)) == 5
    await first.close()
    await second.close()


async def test_of_two_programs_that_commit_the_same_version_one_gets_a_conflict(path: Path) -> None:
    first, second = await open_sqlite(path), await open_sqlite(path)
    outcomes = await asyncio.gather(save(first, version=1), save(second, version=1), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Conflict, list}
    await first.close()
    await second.close()


async def test_a_paused_leader_is_fenced_once_another_program_took_the_lease(path: Path) -> None:
    paused, successor = await open_sqlite(path), await open_sqlite(path)
    stale = await a_lease(paused, "host/1")
    await a_lease(successor, "host/2", seconds=60)
    with pytest.raises(LeaseLost):
        await save(paused, version=1, lease=stale, commands=["roll back"])
    assert await successor.load(SHOP) is None
    await paused.close()
    await successor.close()


async def test_a_store_locked_too_long_by_another_program_is_unavailable_and_then_works_again(
    store: SqlStore, path: Path
) -> None:
    impatient = await a_store_with(path, "busy_timeout = 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"locked.*another program"):
            await save(impatient, version=1)
        assert await impatient.load(SHOP) is None
        other.execute("ROLLBACK")
    await save(impatient, version=1)
    await impatient.close()


# Looking on


async def test_a_reader_sees_each_commit_while_the_daemon_runs(store: SqlStore, path: Path) -> None:
    await save(store, version=1)
    reader = await open_sqlite(path, read_only=True)
    await save(store, version=2, entries=[an_entry()])
    stored = await reader.load(SHOP)
    assert stored is not None
    assert stored.version == 2
    assert len(await reader.journal(SHOP)) == 1
    await reader.close()


async def test_a_reader_opens_the_store_of_a_daemon_that_stopped(path: Path) -> None:
    store = await open_sqlite(path)
    await save(store, version=1)
    await store.close()
    reader = await open_sqlite(path, read_only=True)
    assert await reader.load(SHOP) is not None
    await reader.close()


async def test_a_reader_does_not_make_a_commit_wait(store: SqlStore, path: Path) -> None:
    await save(store, version=1)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM projects").fetchall()
        await save(store, version=2)


@pytest.mark.parametrize("method", ["commit", "take_lease", "release_lease", "finish_command", "ask", "prune"])
async def test_no_write_passes_a_read_only_store(store: SqlStore, path: Path, method: str) -> None:
    lease = await a_lease(store)
    reader = await open_sqlite(path, read_only=True)
    calls: dict[str, Coroutine[Any, Any, object]] = {
        "commit": save(reader, version=1),
        "take_lease": reader.take_lease("host/1", now=START, ttl_seconds=1),
        "release_lease": reader.release_lease(lease),
        "finish_command": reader.finish_command(1),
        "ask": reader.ask("pause", project=None, requested_at=START, requested_by="ada"),
        "prune": reader.prune(before=START),
    }
    call = calls.pop(method)
    for other in calls.values():
        other.close()
    with pytest.raises(StoreUnavailable, match=r"readonly.*writable"):
        await call
    await reader.close()
    assert await store.load_all() == []
    await save(store, version=1, lease=lease)


# What cannot be opened


async def test_looking_for_a_store_that_is_not_there_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"no store at .*lastgood run"):
        await open_sqlite(tmp_path / "state" / "lastgood.db", read_only=True)
    assert _files(tmp_path) == []


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"cannot open in store .*file/lastgood\.db"):
        await open_sqlite(tmp_path / "file" / "lastgood.db")


async def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot open"):
        await open_sqlite(tmp_path)


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_file_of_another_kind_is_told_and_left_as_it_is(tmp_path: Path, *, read_only: bool) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, this is not a database. " * 50)
    before = _content(path)
    with pytest.raises(StoreUnavailable, match=r"not a database.*restore a backup"):
        await open_sqlite(path, read_only=read_only)
    assert _content(path) == before


async def test_a_damaged_store_is_told(path: Path) -> None:
    await _create(path)
    _overwrite_all_but_first_page(path)
    with pytest.raises(StoreUnavailable, match=r"malformed.*restore a backup"):
        await open_sqlite(path)


# Failing midway


async def test_a_full_disk_is_told_and_nothing_is_torn(store: SqlStore, path: Path) -> None:
    lease = await a_lease(store)
    full = await a_store_with(path, "max_page_count = 1")  # SQLite raises the limit to the pages that are there.
    acknowledged = await _save_until_full(full, lease=lease)
    with pytest.raises(StoreUnavailable, match=r"full.*free space"):
        await save(full, version=acknowledged + 1, lease=lease, entries=[an_entry("x" * 9000)])
    assert acknowledged > 0, "the very first commit was refused, so this proves nothing"

    for reader in (full, store):
        stored = await reader.load(SHOP)
        assert stored is not None
        assert stored.version == acknowledged
        assert len(await reader.journal(SHOP)) == 3 * acknowledged
        assert len(await reader.unfinished_commands(SHOP)) == acknowledged
    await save(store, version=acknowledged + 1, lease=lease)
    await full.close()


@pytest.mark.parametrize("table", ["projects", "journal", "outbox", "operator_requests_taken"])
async def test_a_write_that_fails_in_any_table_undoes_the_others(store: SqlStore, path: Path, table: str) -> None:
    lease = await a_lease(store)
    await save(store, version=1)
    request = await store.ask("pause", project=None, requested_at=START, requested_by="ada")
    with closing(sqlite3.connect(path)) as saboteur:
        for event in ("INSERT", "UPDATE"):
            saboteur.execute(
                f"CREATE TRIGGER no_{event} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'sabotage'); END"
            )
    with pytest.raises(AssertionError, match="sabotage"):
        await save(
            store, version=2, lease=lease, entries=[an_entry()], commands=["roll back"], taken_requests=[request]
        )
    stored = await store.load(SHOP)
    assert stored is not None
    assert stored.version == 1
    assert (await store.journal(SHOP), await store.unfinished_commands(SHOP)) == ([], [])
    assert len(await store.pending_requests(SHOP)) == 1


async def test_a_commit_whose_task_is_cancelled_is_whole_or_absent_and_the_store_goes_on(store: SqlStore) -> None:
    lease = await a_lease(store)
    version = 0
    for turns in range(20):
        async with asyncio.TaskGroup() as tasks:
            commit = tasks.create_task(
                save(store, version=version + 1, lease=lease, entries=[an_entry(), an_entry()], commands=["roll back"])
            )
            for _ in range(turns):
                await next_turn()
            commit.cancel()
        stored = await store.load(SHOP)
        version = stored.version if stored else 0
        assert len(await store.journal(SHOP)) == 2 * version
        assert len(await store.unfinished_commands(SHOP)) == version
    await save(store, version=version + 1, lease=lease)


@pytest.mark.slow
@pytest.mark.parametrize("acknowledged_min", [1, 7, 40])
async def test_acknowledged_commits_survive_a_kill_at_any_moment(path: Path, acknowledged_min: int) -> None:
    acknowledged = _kill_writer_after(acknowledged_min, path=path)
    store = await open_sqlite(path)
    stored = await store.load(SHOP)
    assert stored is not None
    assert acknowledged <= stored.version <= acknowledged + 1
    assert len(await store.journal(SHOP, limit=10_000)) == 2 * stored.version
    assert len(await store.unfinished_commands(SHOP)) == stored.version
    with closing(sqlite3.connect(path)) as checker:
        assert checker.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    await save(store, version=stored.version + 1)
    await store.close()


async def test_a_commit_from_which_something_follows_shares_its_transaction_with_nobody(path: Path) -> None:
    shared: list[str] = []

    class Watched(DatabaseThread):
        async def write_shared(self, doing: str, body: Callable[[Connection], Any]) -> Any:
            shared.append(doing)
            return await super().write_shared(doing, body)

    await (await open_sqlite(path)).close()
    store = SqlStore(Watched(sqlite_engine(path), name="store x"))
    lease = await a_lease(store)
    request = await store.ask("pause", project=SHOP, requested_at=START, requested_by="ann")
    await save(store, version=1, lease=lease)
    await save(store, version=2, lease=lease, commands=["roll back"])
    await save(store, version=3, lease=lease, taken_requests=[request])
    await save(store, version=4, lease=lease, entries=[an_entry()])
    assert shared == [f"commit {SHOP}"] * 2
    await store.close()
