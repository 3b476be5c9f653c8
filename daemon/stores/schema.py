"""The tables of the SQL store, in the words that SQLite and PostgreSQL share; never changed without a migration."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

ACTOR_LEASE = "actor"
"""Name of the one row in `leases`: the right to act."""

_TIMESTAMP_LENGTH_MAX = 32


class UtcTimestamp(TypeDecorator[datetime]):
    """An aware datetime, kept as ISO 8601 text in UTC with microseconds.

    The text has one length for every year from 1000 on, so the database's own order of texts is the order of time, and
    a person reads it without a tool. A naive datetime is a bug: it is refused.
    """

    impl = String(_TIMESTAMP_LENGTH_MAX)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Return the text to be kept; None stays NULL."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; the store keeps aware datetimes only")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Return the datetime in UTC; NULL becomes None."""
        return None if value is None else datetime.fromisoformat(value)


# SQLite numbers rows by itself only where the type is spelled INTEGER, which holds 64 bits there.
_RowNumber = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

projects = Table(
    "projects",
    metadata,
    Column("project", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("saved_at", UtcTimestamp, nullable=False),
    Column("saved_elapsed", Double, nullable=False),
)

# `sqlite_autoincrement` keeps a number from being used again after the newest row was pruned.
journal = Table(
    "journal",
    metadata,
    Column("sequence", _RowNumber, primary_key=True),
    Column("project", Text, ForeignKey("projects.project"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("incident", Text),
    Column("kind", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Column("elapsed", Double, nullable=False),
    Index(None, "project", "sequence"),
    Index(None, "project", "incident", "sequence"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _RowNumber, primary_key=True),
    Column("project", Text, ForeignKey("projects.project"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("committed_at", UtcTimestamp, nullable=False),
    Column("is_done", Boolean, nullable=False),
    Index(None, "project", "is_done", "id"),
    Index(None, "committed_at"),
    sqlite_autoincrement=True,
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", UtcTimestamp, nullable=False),
)

operator_requests = Table(
    "operator_requests",
    metadata,
    Column("id", _RowNumber, primary_key=True),
    Column("project", Text),
    Column("document", Text, nullable=False),
    Column("requested_at", UtcTimestamp, nullable=False),
    Column("requested_by", Text, nullable=False),
    sqlite_autoincrement=True,
)

# A request for all projects is taken once by each of them, so the taking is a row of its own.
operator_requests_taken = Table(
    "operator_requests_taken",
    metadata,
    Column("request", _RowNumber, ForeignKey("operator_requests.id"), primary_key=True, autoincrement=False),
    Column("project", Text, ForeignKey("projects.project"), primary_key=True),
)

# Without row numbers: the key alone decides where a row lies, so that a stretch of time is read in one go.
drain_counts = Table(
    "drain_counts",
    metadata,
    Column("start_at", UtcTimestamp, primary_key=True),
    Column("project", Text, primary_key=True),
    Column("deployment", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("status_class", Integer, primary_key=True, autoincrement=False),
    Column("requests", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

drain_receivers = Table(
    "drain_receivers",
    metadata,
    Column("receiver", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("began_at", UtcTimestamp, nullable=False),
    Column("alive_at", UtcTimestamp, nullable=False),
)

# An empty project stands for all of them: a part of a key cannot be NULL.
drain_heard = Table(
    "drain_heard",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("project", Text, primary_key=True),
    Column("newest_at", UtcTimestamp, nullable=False),
    Column("heard_at", UtcTimestamp, nullable=False),
    Column("delay_seconds", Double, nullable=False),
)

drain_gaps = Table(
    "drain_gaps",
    metadata,
    Column("start_at", UtcTimestamp, primary_key=True),
    Column("reason", Text, primary_key=True),
    Column("project", Text, primary_key=True),
    Column("end_at", UtcTimestamp, nullable=False),
)

__all__ = [
    "ACTOR_LEASE",
    "UtcTimestamp",
    "drain_counts",
    "drain_gaps",
    "drain_heard",
    "drain_receivers",
    "journal",
    "leases",
    "metadata",
    "operator_requests",
    "operator_requests_taken",
    "outbox",
    "projects",
]
