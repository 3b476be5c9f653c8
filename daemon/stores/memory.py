"""The store in plain memory, for tests and simulation: the same promises, and nothing survives the process."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from daemon.core.facts import Instant, ProjectId
from daemon.ports.errors import Conflict, LeaseLost
from daemon.ports.store import JournalEntry, Lease, OperatorRequest, StoredCommand, StoredJournalEntry, StoredProject


@dataclass(slots=True)
class _OutboxRow:
    command: StoredCommand
    committed_at: datetime
    is_done: bool = False


class MemoryStore:
    """A Store in memory; see `daemon.ports.store.Store`. No method awaits, so each is one transaction by itself.

    Closing keeps everything, so that a simulated daemon may crash or stop and the next one finds what was committed.
    """

    def __init__(self) -> None:
        self._projects: dict[ProjectId, StoredProject] = {}
        self._journal: list[StoredJournalEntry] = []
        self._outbox: dict[int, _OutboxRow] = {}
        self._requests: list[OperatorRequest] = []
        self._taken: set[tuple[int, ProjectId]] = set()
        self._holder: str | None = None
        self._token = 0
        self._expires_at = datetime.min.replace(tzinfo=UTC)
        self._newest_sequence = 0
        self._newest_command = 0

    async def take_lease(self, holder: str, *, now: datetime, ttl_seconds: float) -> Lease | None:
        """Take or renew the lease; None while another holder's is still valid at *now*."""
        if self._holder not in (None, holder) and self._expires_at > now:
            return None
        if self._holder != holder:
            self._token += 1
        self._holder = holder
        self._expires_at = now + timedelta(seconds=ttl_seconds)
        return Lease(holder=holder, token=self._token, expires_at=self._expires_at)

    async def release_lease(self, lease: Lease) -> None:
        """Give the lease up; the next to take it, ourselves included, gets a larger token."""
        if self._is_held(lease):
            self._holder = None

    async def load(self, project: ProjectId) -> StoredProject | None:
        """Return the newest state; None for a project never seen."""
        return self._projects.get(project)

    async def load_all(self) -> Sequence[StoredProject]:
        """Return the newest state of every project, by id."""
        return [self._projects[project] for project in sorted(self._projects)]

    async def newest_moment(self) -> Instant | None:
        """Return the saved moment with the largest `elapsed`; None in a new store."""
        moments = (stored.saved for stored in self._projects.values())
        return max(moments, key=lambda moment: (moment.elapsed, moment.at), default=None)

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
        """Write all of it, or raise and write nothing; return the commands in their order."""
        assert lease is not None or not commands, f"{project}: commands need a lease"
        self._refuse_overtaken(project, expected_version=expected_version, lease=lease)
        taken = self._takeable(project, taken_requests)
        version = expected_version + 1
        self._projects[project] = StoredProject(project=project, version=version, state=state, saved=moment)
        self._taken |= taken
        for entry in entries:
            self._newest_sequence += 1
            self._journal.append(StoredJournalEntry(self._newest_sequence, project, version, entry))
        return [self._write_command(project, document, moment) for document in commands]

    async def finish_command(self, command_id: int) -> None:
        """Mark a command of the outbox as done; doing so again changes nothing."""
        if row := self._outbox.get(command_id):
            row.is_done = True

    async def unfinished_commands(self, project: ProjectId) -> Sequence[StoredCommand]:
        """Return the outbox of one project, oldest first."""
        return [row.command for row in self._outbox.values() if row.command.project == project and not row.is_done]

    async def journal(
        self, project: ProjectId, *, incident: str | None = None, limit: int = 500
    ) -> Sequence[StoredJournalEntry]:
        """Return the newest entries, oldest first; only those of *incident* where one is given."""
        newest: list[StoredJournalEntry] = []
        for stored in reversed(self._journal):
            if len(newest) == limit:
                break
            if stored.project == project and incident in (None, stored.entry.incident):
                newest.append(stored)
        return newest[::-1]

    async def journal_page(
        self, project: ProjectId, *, after: int, since: datetime, limit: int = 1000
    ) -> Sequence[StoredJournalEntry]:
        """Return the entries since *since* that follow the sequence *after*, oldest first."""
        page = (
            stored
            for stored in self._journal
            if stored.project == project and stored.sequence > after and stored.entry.moment.at >= since
        )
        return list(islice(page, limit))

    async def ask(self, document: str, *, project: ProjectId | None, requested_at: datetime, requested_by: str) -> int:
        """Put an operator's request into the queue and return its id."""
        request = OperatorRequest(len(self._requests) + 1, project, document, requested_at, requested_by)
        self._requests.append(request)
        return request.id

    async def pending_requests(self, project: ProjectId) -> Sequence[OperatorRequest]:
        """Return requests for this project, or for all, which this project has not taken yet, oldest first."""
        return [
            request
            for request in self._requests
            if request.project in (None, project) and (request.id, project) not in self._taken
        ]

    async def prune(self, *, before: datetime) -> int:
        """Delete old journal entries and finished commands; return how many went."""
        rows = len(self._journal) + len(self._outbox)
        self._journal = [stored for stored in self._journal if stored.entry.moment.at >= before]
        self._outbox = {id_: row for id_, row in self._outbox.items() if not row.is_done or row.committed_at >= before}
        return rows - len(self._journal) - len(self._outbox)

    async def close(self) -> None:
        """Keep everything: there is no medium to release."""

    def _is_held(self, lease: Lease) -> bool:
        return (self._holder, self._token) == (lease.holder, lease.token)

    def _refuse_overtaken(self, project: ProjectId, *, expected_version: int, lease: Lease | None) -> None:
        if lease is not None and not self._is_held(lease):
            raise LeaseLost(
                f"{lease.holder}'s lease {lease.token} is no longer the one in memory "
                f"({self._holder or 'nobody'} has {self._token}); {project} was not saved, will observe only"
            )
        stored = self._projects.get(project)
        version = stored.version if stored else 0
        if version != expected_version:
            raise Conflict(f"{project} has version {version} in memory, expected {expected_version}; reload")

    def _takeable(self, project: ProjectId, requests: Sequence[int]) -> set[tuple[int, ProjectId]]:
        taken = {(request, project) for request in requests}
        meant = {(request.id, project) for request in self._requests if request.project in (None, project)}
        assert len(taken) == len(requests), f"{project} takes a request of {requests} twice"
        assert taken <= meant - self._taken, f"{project} takes requests {requests}, not all of them its to take"
        return taken

    def _write_command(self, project: ProjectId, document: str, moment: Instant) -> StoredCommand:
        self._newest_command += 1
        command = StoredCommand(id=self._newest_command, project=project, document=document)
        self._outbox[command.id] = _OutboxRow(command=command, committed_at=moment.at)
        return command
