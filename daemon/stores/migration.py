"""Brings a store's tables to this program's revision by Alembic, and refuses a store from a newer program."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from daemon.ports.errors import StoreUnavailable

_SCRIPT_LOCATION = "daemon.stores:migrations"


def upgrade(connection: Connection, *, name: str) -> None:
    """Create or upgrade the tables within the transaction that *connection* is in; do nothing when they are current.

    Raises StoreUnavailable when a newer program wrote the store, or when the file is something else.
    """
    config = _config()
    script = ScriptDirectory.from_config(config)
    revision = _revision(connection)
    if revision == script.get_current_head():
        return
    if revision is None:
        _refuse_foreign_tables(connection, name=name)
    else:
        _refuse_newer(revision, script=script, name=name)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def refuse_other_revision(connection: Connection, *, name: str) -> None:
    """Raise StoreUnavailable unless the tables have exactly this program's revision."""
    script = ScriptDirectory.from_config(_config())
    revision = _revision(connection)
    if revision == script.get_current_head():
        return
    if revision is None:
        raise StoreUnavailable(f"{name} holds no lastgood tables; check the path, or start `lastgood run` to create it")
    _refuse_newer(revision, script=script, name=name)
    raise StoreUnavailable(
        f"{name} has revision {revision}, this program needs {script.get_current_head()}; "
        "start this version's `lastgood run` once to upgrade it"
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", _SCRIPT_LOCATION)
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(revision: str, *, script: ScriptDirectory, name: str) -> None:
    if revision not in {known.revision for known in script.walk_revisions()}:
        raise StoreUnavailable(
            f"{name} has revision {revision}, which this program does not know (its newest is "
            f"{script.get_current_head()}); run the newer version that wrote it, or restore a backup from before"
        )


def _refuse_foreign_tables(connection: Connection, *, name: str) -> None:
    if tables := inspect(connection).get_table_names():
        raise StoreUnavailable(
            f"{name} is another program's database (it has a table {tables[0]!r} and no revision of ours); "
            "give the daemon a file of its own"
        )
