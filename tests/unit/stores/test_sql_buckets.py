"""What the SQLite file adds to the contract of buckets: shared with a running daemon, whole after failures."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.ports.errors import StoreUnavailable
from daemon.stores.database_thread import DatabaseThread
from daemon.stores.sql_buckets import SqlBuckets, open_sqlite_buckets
from daemon.stores.sqlite import open_sqlite, sqlite_engine
from tests.contract.test_buckets import BLOG, SHOP, a_count, a_delivery, totals
from tests.unit.stores.builders import save


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store that a daemon created and closed."""
    path = tmp_path / "lastgood.db"
    await (await open_sqlite(path)).close()
    return path


@pytest.fixture
async def buckets(path: Path) -> AsyncIterator[SqlBuckets]:
    buckets = await open_sqlite_buckets(path)
    yield buckets
    await buckets.close()


async def test_a_store_that_is_not_there_is_told_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot open"):
        await open_sqlite_buckets(tmp_path / "lastgood.db")
    assert not (tmp_path / "lastgood.db").exists()


async def test_a_file_without_our_tables_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreUnavailable, match="start `lastgood run`"):
        await open_sqlite_buckets(tmp_path / "empty.db")


async def test_what_was_handed_over_is_there_after_closing_and_opening_again(path: Path, buckets: SqlBuckets) -> None:
    await buckets.add(a_delivery(counts=[a_count(3)]))
    before = [await buckets.standing(), await totals(buckets)]
    await buckets.close()
    again = await open_sqlite_buckets(path)
    assert [await again.standing(), await totals(again)] == before
    await again.close()


async def test_a_daemon_and_two_receivers_write_at_once_and_nothing_is_lost(path: Path, buckets: SqlBuckets) -> None:
    store, other = await open_sqlite(path), await open_sqlite_buckets(path)

    async def hand_over(to: SqlBuckets, receiver: str) -> None:
        for number in range(1, 11):
            await to.add(replace(a_delivery(number), receiver=receiver, counts=[a_count(2), a_count(1, project=BLOG)]))

    async def commit() -> None:
        for version in range(1, 11):
            await save(store, version=version)

    await asyncio.gather(hand_over(buckets, "receiver_1"), hand_over(other, "receiver_2"), commit())
    assert [(one.project, one.requests) for one in await totals(buckets)] == [(BLOG, 20), (SHOP, 40)]
    stored = await store.load_all()
    assert [one.version for one in stored] == [10]
    await store.close()
    await other.close()


async def test_a_delivery_that_fails_midway_leaves_nothing_behind_and_can_be_handed_over_again(
    path: Path, buckets: SqlBuckets
) -> None:
    delivery = a_delivery(counts=[a_count(1), a_count(1, project=BLOG)])
    with closing(sqlite3.connect(path)) as saboteur:
        saboteur.execute(
            "CREATE TRIGGER no BEFORE INSERT ON drain_counts WHEN NEW.project = 'prj_blog' "
            "BEGIN SELECT RAISE(ABORT, 'sabotage'); END"
        )
        with pytest.raises(AssertionError, match="sabotage"):
            await buckets.add(delivery)
        assert (await totals(buckets), await buckets.standing()) == ([], None)
        saboteur.execute("DROP TRIGGER no")
    await buckets.add(delivery)
    assert len(await totals(buckets)) == 2


async def test_a_delivery_that_was_written_though_nobody_waited_for_it_is_counted_once(path: Path) -> None:
    impatient = SqlBuckets(DatabaseThread(sqlite_engine(path), name="store", patience_seconds=0.05))
    delivery = a_delivery(counts=[a_count(3)])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="no answer"):
            await impatient.add(delivery)
        other.execute("ROLLBACK")
    # The first one still waited for the lock, so it is written before the second is looked at.
    patient = await open_sqlite_buckets(path)
    await impatient.close()
    await patient.add(delivery)
    assert [one.requests for one in await totals(patient)] == [3]
    await patient.close()


async def test_closed_buckets_refuse(buckets: SqlBuckets) -> None:
    await buckets.close()
    with pytest.raises(StoreUnavailable, match="it was closed"):
        await buckets.add(a_delivery())
    with pytest.raises(StoreUnavailable, match="it was closed"):
        await totals(buckets)
