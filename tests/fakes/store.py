"""The store in memory with a medium that fails when a test says so."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from daemon.core.facts import Instant, ProjectId
from daemon.ports.errors import StoreUnavailable
from daemon.ports.store import JournalEntry, Lease, OperatorRequest, StoredCommand, StoredProject
from daemon.stores.memory import MemoryStore


class FaultyStore(MemoryStore):
    """Fails every method that is named in `broken`. `before_commit` and `after_commit` run around each commit."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.commits = 0
        self.before_commit: Callable[[], Awaitable[None]] | None = None
        self.after_commit: Callable[[], Awaitable[None]] | None = None

    async def take_lease(self, holder: str, *, now: datetime, ttl_seconds: float) -> Lease | None:
        """Take the lease, or fail."""
        self._fail("take_lease")
        return await super().take_lease(holder, now=now, ttl_seconds=ttl_seconds)

    async def release_lease(self, lease: Lease) -> None:
        """Give the lease up, or fail."""
        self._fail("release_lease")
        await super().release_lease(lease)

    async def load(self, project: ProjectId) -> StoredProject | None:
        """Read, or fail."""
        self._fail("load")
        return await super().load(project)

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
        """Write, or fail."""
        if self.before_commit:
            await self.before_commit()
        self._fail("commit")
        stored = await super().commit(
            project,
            expected_version=expected_version,
            lease=lease,
            entries=entries,
            state=state,
            commands=commands,
            taken_requests=taken_requests,
            moment=moment,
        )
        self.commits += 1
        if self.after_commit:
            await self.after_commit()
        return stored

    async def finish_command(self, command_id: int) -> None:
        """Mark as done, or fail."""
        self._fail("finish_command")
        await super().finish_command(command_id)

    async def unfinished_commands(self, project: ProjectId) -> Sequence[StoredCommand]:
        """Read, or fail."""
        self._fail("unfinished_commands")
        return await super().unfinished_commands(project)

    async def pending_requests(self, project: ProjectId) -> Sequence[OperatorRequest]:
        """Read, or fail."""
        self._fail("pending_requests")
        return await super().pending_requests(project)

    def _fail(self, method: str) -> None:
        if method in self.broken:
            raise StoreUnavailable(f"{method}: the disk is full")
