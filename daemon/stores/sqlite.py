"""Opens the SQL store on one SQLite file: its folder, its pragmas, its transactions and its revision."""

import os
import sqlite3
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event

from daemon.ports.errors import StoreUnavailable
from daemon.stores.database_thread import WRITES, DatabaseThread
from daemon.stores.migration import refuse_other_revision, upgrade
from daemon.stores.sql import SqlStore
from daemon.stores.trouble import store_trouble

_BUSY_TIMEOUT_SECONDS = 5.0
_UPGRADE_PATIENCE_SECONDS = 600.0
_SWITCH_ATTEMPTS_MAX = 10
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


async def open_sqlite(path: Path, *, read_only: bool = False, may_upgrade: bool = True) -> SqlStore:
    """Open the store in the file *path*; create it, readable for its owner only, and upgrade its tables first.

    *read_only* is for looking on while a daemon runs: nothing is created, upgraded or ever written. Without
    *may_upgrade* it can be written, but is neither created nor upgraded, so that a newer command line never changes the
    tables under an older daemon. Both need a file with this program's revision.

    Raises StoreUnavailable when the file cannot be opened, is damaged, belongs to another program, or comes from a
    newer version of this one.
    """
    name = f"store {path}"
    is_ours = may_upgrade and not read_only
    with store_trouble("open", name=name):
        _create_file(path) if is_ours else _look_for_file(path)
    database = DatabaseThread(sqlite_engine(path, read_only=read_only), name=name)
    try:
        if is_ours:
            await database.write("open", partial(upgrade, name=name), patience_seconds=_UPGRADE_PATIENCE_SECONDS)
        else:
            await database.read("open", partial(refuse_other_revision, name=name))
    except BaseException:
        await database.close()
        raise
    return SqlStore(database)


def sqlite_engine(path: Path, *, read_only: bool = False) -> Engine:
    """Return an engine with one connection to the existing file *path*.

    Two programs on the same file wait up to 5 s for each other.
    """
    url = URL.create(
        "sqlite",
        database=f"file:{quote(str(path.absolute()))}",
        query={"mode": "ro" if read_only else "rw", "uri": "true"},
    )
    engine = create_engine(
        url,
        # We begin transactions ourselves: the driver's own begin comes late and is deferred.
        connect_args={"isolation_level": None, "timeout": _BUSY_TIMEOUT_SECONDS},
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
    )
    event.listen(engine, "connect", _prepare_reading if read_only else _prepare_writing)
    event.listen(engine, "begin", _begin)
    return engine


def _look_for_file(path: Path) -> None:
    if not path.is_file():
        raise StoreUnavailable(f"there is no store at {path}; check the path, or start `lastgood run` to create it")


def _create_file(path: Path) -> None:
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    # SQLite gives its -wal and -shm files the mode of the file they belong to.
    # Only a new file is opened here: closing one that this process has open in SQLite would drop SQLite's locks on it.
    # Source: sqlite.org, "How To Corrupt An SQLite Database File", section 2.2.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE))


def _prepare_writing(connection: sqlite3.Connection, _record: object) -> None:
    with closing(connection.cursor()) as cursor:
        _switch_to_write_ahead_log(cursor)
        # A commit is acknowledged when it is on the disk: FULL syncs the log at each one.
        # Source: sqlite.org, "PRAGMA synchronous" and "Write-Ahead Logging", section 2.2.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")


def _switch_to_write_ahead_log(cursor: sqlite3.Cursor) -> None:
    # Where two programs switch a new file at once, SQLite tells one of them "locked" and does not let it wait. So that
    # one waits for its turn to write, which does work, and tries again; mostly it then finds the file switched.
    for _ in range(_SWITCH_ATTEMPTS_MAX - 1):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
        else:
            return
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("ROLLBACK")
    cursor.execute("PRAGMA journal_mode = WAL")


def _prepare_reading(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON").close()


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later may find the file changed in between and fails at once, so the
    # writer's place is taken at the start. A read is one statement and needs no transaction of its own.
    if connection.get_execution_options().get(WRITES):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
