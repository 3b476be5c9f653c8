"""The daemon's memory: project states, the journal, the outbox, the lease, and what operators asked for.

The store keeps documents and never looks inside: encoding a state is the engine's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from daemon.core.facts import Instant, ProjectId


@dataclass(frozen=True, slots=True)
class StoredProject:
    """A project's state as last committed. `version` counts commits, from 1."""

    project: ProjectId
    version: int
    state: str
    saved: Instant


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One event to be written to the append-only journal. `document` is its JSON, `sentence` tells it to a person."""

    kind: str
    document: str
    sentence: str
    moment: Instant
    incident: str | None = None


@dataclass(frozen=True, slots=True)
class StoredJournalEntry:
    """A journal entry as read back; `sequence` grows over all projects."""

    sequence: int
    project: ProjectId
    version: int
    entry: JournalEntry


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """A command that was committed and not yet marked done. `id` is unique for ever."""

    id: int
    project: ProjectId
    document: str


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """What a person asked of the daemon through the store. `project` is None when it is meant for all of them."""

    id: int
    project: ProjectId | None
    document: str
    requested_at: datetime
    requested_by: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act, until `expires_at` on the store's clock. `token` only grows."""

    holder: str
    token: int
    expires_at: datetime


class Store(Protocol):
    """All methods raise StoreUnavailable when the medium fails."""

    async def take_lease(self, holder: str, *, now: datetime, ttl_seconds: float) -> Lease | None:
        """Take or renew the lease; None while another holder's is still valid. A new holder gets a larger token."""

    async def release_lease(self, lease: Lease) -> None:
        """Give the lease up so that another may act at once. Does nothing when it is no longer ours."""

    async def load(self, project: ProjectId) -> StoredProject | None:
        """Return the newest state; None for a project never seen."""

    async def load_all(self) -> Sequence[StoredProject]:
        """Return the newest state of every project, by id."""

    async def newest_moment(self) -> Instant | None:
        """Return the latest moment ever saved, on which `elapsed` goes on after a restart; None in a new store."""

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
        """Write state, journal, outbox and the taking of operator requests in one transaction; return the commands.

        *expected_version* is 0 for a new project. Raises Conflict when the stored version differs, and LeaseLost when
        *lease* is no longer the stored one (*lease* None, an observer's commit, must carry no commands).
        """

    async def finish_command(self, command_id: int) -> None:
        """Mark a command of the outbox as done."""

    async def unfinished_commands(self, project: ProjectId) -> Sequence[StoredCommand]:
        """Return the outbox of one project, oldest first."""

    async def journal(
        self, project: ProjectId, *, incident: str | None = None, limit: int = 500
    ) -> Sequence[StoredJournalEntry]:
        """Return the newest entries, oldest first; only those of *incident* where one is given."""

    async def journal_page(
        self, project: ProjectId, *, after: int, since: datetime, limit: int = 1000
    ) -> Sequence[StoredJournalEntry]:
        """Return the entries whose moment is *since* or later and whose sequence is larger than *after*, oldest first.

        At most *limit* of them: the whole journal is read with the last sequence of each page as the next *after*,
        from 0 until a page is empty. What is pruned or written meanwhile shifts no page.
        """

    async def ask(self, document: str, *, project: ProjectId | None, requested_at: datetime, requested_by: str) -> int:
        """Put an operator's request into the queue and return its id."""

    async def pending_requests(self, project: ProjectId) -> Sequence[OperatorRequest]:
        """Return requests for this project, or for all, which this project has not taken yet, oldest first."""

    async def prune(self, *, before: datetime) -> int:
        """Delete journal entries and finished commands older than *before*; return how many rows went."""

    async def close(self) -> None:
        """Release the medium."""
