"""The store on SQLAlchemy Core: every write is one short transaction, every read one statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Executable, Row

from daemon.core.facts import Instant, ProjectId
from daemon.ports.errors import Conflict, LeaseLost
from daemon.ports.store import (
    JournalEntry,
    Lease,
    OperatorRequest,
    StoredCommand,
    StoredJournalEntry,
    StoredProject,
)
from daemon.stores import statements
from daemon.stores.database_thread import DatabaseThread

_PRUNE_BATCH_ROWS = 5_000


class SqlStore:
    """A Store in an SQL database; see `daemon.ports.store.Store` for what each method promises.

    A lease's expiry is judged by the `now` of its callers, so its holders must share one clock: one machine. A holder's
    name stands for one run of one process; after a crash the next run waits until the lease expires.
    """

    def __init__(self, database: DatabaseThread) -> None:
        self._database = database

    async def take_lease(self, holder: str, *, now: datetime, ttl_seconds: float) -> Lease | None:
        """Take or renew the lease, in one statement; None while another holder's is still valid at *now*."""
        values = {"holder": holder, "now": now, "expires_at": now + timedelta(seconds=ttl_seconds)}
        row = await self._database.write(
            "take the lease", lambda connection: connection.execute(statements.TAKE_LEASE, values).one_or_none()
        )
        if row is None:
            return None
        assert row.holder == holder, f"asked for {holder}'s lease and read back {row.holder}'s"
        return Lease(holder=holder, token=row.token, expires_at=row.expires_at)

    async def release_lease(self, lease: Lease) -> None:
        """Give the lease up; the next to take it, ourselves included, gets a larger token."""
        values = {"held_by": lease.holder, "held_token": lease.token, "holder": None}
        await self._database.write(
            "release the lease", lambda connection: connection.execute(statements.RELEASE_LEASE, values)
        )

    async def load(self, project: ProjectId) -> StoredProject | None:
        """Return the newest state; None for a project never seen."""
        rows = await self._read(f"load {project}", statements.LOAD, {"project": project})
        return _stored_project(rows[0]) if rows else None

    async def load_all(self) -> Sequence[StoredProject]:
        """Return the newest state of every project, by id."""
        rows = await self._read("load all projects", statements.LOAD_ALL)
        return sorted((_stored_project(row) for row in rows), key=lambda stored: stored.project)

    async def newest_moment(self) -> Instant | None:
        """Return the saved moment with the largest `elapsed`; None in a new store."""
        rows = await self._read("read the newest moment", statements.NEWEST_MOMENT)
        return Instant(at=rows[0].saved_at, elapsed=rows[0].saved_elapsed) if rows else None

    async def commit(
        self,
        project: ProjectId,
        *,
        expected_version: int,
        lease: Lease | None,
        entries: Sequence[JournalEntry],
        state: str,
        commands: Sequence[str],
        taken_requests: Sequence[int],
        moment: Instant,
    ) -> Sequence[StoredCommand]:
        """Write all of it in one transaction, or raise and write nothing; return the commands in their order.

        What nobody will act on may share its transaction with other projects: a fleet waits for the disk less often.
        """
        assert lease is not None or not commands, f"{project}: commands need a lease"

        def write(connection: Connection) -> Sequence[StoredCommand]:
            self._refuse_overtaken(connection, project, expected_version=expected_version, lease=lease)
            version = expected_version + 1
            _save_state(connection, project, version=version, state=state, moment=moment)
            _write_journal(connection, project, version=version, entries=entries)
            _take_requests(connection, project, requests=taken_requests)
            return _write_commands(connection, project, version=version, commands=commands, moment=moment)

        if commands or taken_requests:
            return await self._database.write(f"commit {project}", write)
        return await self._database.write_shared(f"commit {project}", write)

    async def finish_command(self, command_id: int) -> None:
        """Mark a command of the outbox as done; doing so again changes nothing."""
        values = {"command": command_id, "is_done": True}
        await self._database.write(
            f"finish command {command_id}", lambda connection: connection.execute(statements.FINISH_COMMAND, values)
        )

    async def unfinished_commands(self, project: ProjectId) -> Sequence[StoredCommand]:
        """Return the outbox of one project, oldest first."""
        rows = await self._read(f"read the outbox of {project}", statements.UNFINISHED_COMMANDS, {"project": project})
        return [StoredCommand(id=row.id, project=project, document=row.document) for row in rows]

    async def journal(
        self, project: ProjectId, *, incident: str | None = None, limit: int = 500
    ) -> Sequence[StoredJournalEntry]:
        """Return the newest entries, oldest first; only those of *incident* where one is given."""
        statement = statements.JOURNAL if incident is None else statements.JOURNAL_OF_INCIDENT
        values: dict[str, object] = {"project": project, "limit": limit}
        if incident is not None:
            values["incident"] = incident
        rows = await self._read(f"read the journal of {project}", statement, values)
        return [_stored_entry(row) for row in reversed(rows)]

    async def journal_page(
        self, project: ProjectId, *, after: int, since: datetime, limit: int = 1000
    ) -> Sequence[StoredJournalEntry]:
        """Return the entries since *since* that follow the sequence *after*, oldest first."""
        values = {"project": project, "after": after, "since": since, "limit": limit}
        rows = await self._read(f"read the journal of {project}", statements.JOURNAL_PAGE, values)
        return [_stored_entry(row) for row in rows]

    async def ask(self, document: str, *, project: ProjectId | None, requested_at: datetime, requested_by: str) -> int:
        """Put an operator's request into the queue and return its id."""
        values = {
            "project": project,
            "document": document,
            "requested_at": requested_at,
            "requested_by": requested_by,
        }
        request: int = await self._database.write(
            "queue a request", lambda connection: connection.execute(statements.ASK, values).scalar_one()
        )
        return request

    async def pending_requests(self, project: ProjectId) -> Sequence[OperatorRequest]:
        """Return requests for this project, or for all, which this project has not taken yet, oldest first."""
        rows = await self._read(f"read requests for {project}", statements.PENDING_REQUESTS, {"project": project})
        return [_operator_request(row) for row in rows]

    async def prune(self, *, before: datetime) -> int:
        """Delete old rows in batches of 5,000, so that a commit never waits long; return how many rows went.

        An entry's age is that of its moment, a command's that of the commit which wrote it.
        """
        journal_rows = await self._prune(statements.PRUNE_JOURNAL, before=before)
        return journal_rows + await self._prune(statements.PRUNE_OUTBOX, before=before)

    async def close(self) -> None:
        """Close the connection; whatever is asked of this store afterwards raises StoreUnavailable."""
        await self._database.close()

    async def _prune(self, statement: Executable, *, before: datetime) -> int:
        values = {"before": before, "limit": _PRUNE_BATCH_ROWS}
        pruned = 0
        while True:
            batch = await self._database.write(
                "prune", lambda connection: connection.execute(statement, values).rowcount
            )
            pruned += batch
            if batch < _PRUNE_BATCH_ROWS:
                return pruned

    async def _read(
        self, doing: str, statement: Executable, values: Mapping[str, object] | None = None
    ) -> Sequence[Row[Any]]:
        return await self._database.read(doing, lambda connection: connection.execute(statement, values).all())

    def _refuse_overtaken(
        self, connection: Connection, project: ProjectId, *, expected_version: int, lease: Lease | None
    ) -> None:
        standing = connection.execute(statements.STANDING, {"project": project}).one()
        if lease is not None and (standing.holder, standing.token) != (lease.holder, lease.token):
            raise LeaseLost(
                f"{lease.holder}'s lease {lease.token} is no longer the one in {self._database.name} "
                f"({standing.holder or 'nobody'} has {standing.token}); {project} was not saved, will observe only"
            )
        version = standing.version or 0
        if version != expected_version:
            raise Conflict(
                f"{project} has version {version} in {self._database.name}, "
                f"expected {expected_version}; nothing saved, reload"
            )


def _save_state(connection: Connection, project: ProjectId, *, version: int, state: str, moment: Instant) -> None:
    values = {"version": version, "state": state, "saved_at": moment.at, "saved_elapsed": moment.elapsed}
    if version == 1:
        connection.execute(statements.CREATE_PROJECT, {"project": project, **values})
        return
    result = connection.execute(statements.UPDATE_PROJECT, {"key": project, "expected_version": version - 1, **values})
    assert result.rowcount == 1, f"{project}: version {version} was checked and {result.rowcount} rows were written"


def _write_journal(
    connection: Connection, project: ProjectId, *, version: int, entries: Sequence[JournalEntry]
) -> None:
    if not entries:
        return
    rows = [
        {
            "project": project,
            "version": version,
            "incident": entry.incident,
            "kind": entry.kind,
            "document": entry.document,
            "sentence": entry.sentence,
            "at": entry.moment.at,
            "elapsed": entry.moment.elapsed,
        }
        for entry in entries
    ]
    connection.execute(statements.WRITE_JOURNAL, rows)


def _take_requests(connection: Connection, project: ProjectId, *, requests: Sequence[int]) -> None:
    if not requests:
        return
    result = connection.execute(statements.TAKE_REQUESTS, {"project": project, "requests": list(requests)})
    assert result.rowcount == len(requests), f"{project} takes requests {requests}, not all of them meant for it"


def _write_commands(
    connection: Connection, project: ProjectId, *, version: int, commands: Sequence[str], moment: Instant
) -> Sequence[StoredCommand]:
    if not commands:
        return []
    rows = [
        {"project": project, "version": version, "document": document, "committed_at": moment.at, "is_done": False}
        for document in commands
    ]
    ids = connection.execute(statements.WRITE_OUTBOX, rows).scalars().all()
    assert len(ids) == len(commands), f"{project}: {len(commands)} commands written, {len(ids)} read back"
    return [
        StoredCommand(id=id_, project=project, document=document) for id_, document in zip(ids, commands, strict=True)
    ]


def _stored_project(row: Row[Any]) -> StoredProject:
    saved = Instant(at=row.saved_at, elapsed=row.saved_elapsed)
    return StoredProject(project=row.project, version=row.version, state=row.state, saved=saved)


def _stored_entry(row: Row[Any]) -> StoredJournalEntry:
    entry = JournalEntry(
        kind=row.kind,
        document=row.document,
        sentence=row.sentence,
        moment=Instant(at=row.at, elapsed=row.elapsed),
        incident=row.incident,
    )
    return StoredJournalEntry(sequence=row.sequence, project=row.project, version=row.version, entry=entry)


def _operator_request(row: Row[Any]) -> OperatorRequest:
    return OperatorRequest(
        id=row.id,
        project=row.project,
        document=row.document,
        requested_at=row.requested_at,
        requested_by=row.requested_by,
    )
