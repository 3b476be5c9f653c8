"""The revisions lead to exactly the tables of the program, and a store of any other revision is refused with advice."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from daemon.ports.errors import StoreUnavailable
from daemon.stores import migration
from daemon.stores.database_thread import WRITES
from daemon.stores.schema import metadata
from daemon.stores.sqlite import open_sqlite, sqlite_engine
from tests.unit.stores.builders import SHOP, save


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store that a daemon created and closed."""
    path = tmp_path / "lastgood.db"
    store = await open_sqlite(path)
    await save(store, version=1)
    await store.close()
    return path


def _tables(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE sql NOT NULL AND name NOT LIKE 'alembic%' ORDER BY name"
        ).fetchall()
    return {name: " ".join(sql.split()) for name, sql in rows}


def _content(path: Path) -> bytes:
    return path.read_bytes()


def _mark_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def test_alembic_finds_no_difference_between_revisions_and_program(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


def test_the_revisions_write_the_very_tables_that_the_program_would(path: Path, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'program.db'}")
    metadata.create_all(engine)
    engine.dispose()
    tables = _tables(path)
    assert tables == _tables(tmp_path / "program.db")
    assert "AUTOINCREMENT" in tables["journal"]


async def test_opening_a_current_store_changes_nothing(path: Path) -> None:
    before = _tables(path)
    store = await open_sqlite(path)
    assert await store.load(SHOP) is not None
    await store.close()
    assert _tables(path) == before


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_store_of_a_newer_program_is_refused_and_left_as_it_is(path: Path, *, read_only: bool) -> None:
    _mark_revision(path, "9999")
    before = _content(path)
    with pytest.raises(StoreUnavailable, match=r"revision 9999.*does not know.*run the newer version"):
        await open_sqlite(path, read_only=read_only)
    assert _content(path) == before


def _create_older(path: Path, revision: str) -> None:
    engine = sqlite_engine(path)
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        config = Config()
        config.set_main_option("script_location", "daemon.stores:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


async def test_a_reader_refuses_a_store_of_an_older_program(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    path.touch()
    _create_older(path, "0001")
    with pytest.raises(StoreUnavailable, match=r"has revision 0001, this program needs \d{4}; .*lastgood run"):
        await open_sqlite(path, read_only=True)


async def test_a_store_of_an_older_program_is_upgraded_with_everything_in_it(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    path.touch()
    _create_older(path, "0001")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO projects VALUES ('prj_shop', 3, 'state 3', '2026-03-01T12:00:00.000000+00:00', 1)"
        )
    store = await open_sqlite(path)
    stored = await store.load(SHOP)
    assert stored is not None
    assert (stored.version, stored.state) == (3, "state 3")
    await store.close()
    current = tmp_path / "current.db"
    await (await open_sqlite(current)).close()
    assert _tables(path) == _tables(current)


async def test_a_reader_refuses_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreUnavailable, match="no lastgood tables"):
        await open_sqlite(tmp_path / "empty.db", read_only=True)


async def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id)")
    before = _tables(path)
    with pytest.raises(StoreUnavailable, match=r"another program's database .*'orders'"):
        await open_sqlite(path)
    assert _tables(path) == before


async def test_a_first_opening_that_fails_midway_leaves_no_tables_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLite cannot be made to fail at the end of a migration from outside, so the step after it fails.
    real_upgrade = migration.command.upgrade

    def upgrade_then_fail(*arguments: object) -> None:
        real_upgrade(*arguments)  # type: ignore[arg-type]
        raise OSError("power lost")

    monkeypatch.setattr(migration.command, "upgrade", upgrade_then_fail)
    path = tmp_path / "lastgood.db"
    with pytest.raises(StoreUnavailable, match="power lost"):
        await open_sqlite(path)
    assert _tables(path) == {}
    monkeypatch.undo()
    store = await open_sqlite(path)
    await save(store, version=1)
    await store.close()


async def test_a_command_line_that_may_not_upgrade_writes_only_to_its_own_revision(tmp_path: Path) -> None:
    path = tmp_path / "lastgood.db"
    with pytest.raises(StoreUnavailable, match="start `lastgood run`"):
        await open_sqlite(path, may_upgrade=False)
    assert not path.exists()
    await (await open_sqlite(path)).close()
    store = await open_sqlite(path, may_upgrade=False)
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert await store.ask("{}", project=None, requested_at=now, requested_by="me") == 1
    await store.close()
