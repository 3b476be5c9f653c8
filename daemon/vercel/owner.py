"""Who owns a project: the id that Vercel's log and metric routes want beside the project's own."""

from daemon.core.facts import ProjectId
from daemon.vercel.hosting import read_identity
from daemon.vercel.transport import VercelTransport


class OwnerLookup:
    """Answers with the configured team, or, for a personal account, with the project's owner, read once a project."""

    def __init__(self, transport: VercelTransport) -> None:
        self._transport = transport
        self._owners: dict[ProjectId, str] = {}

    async def find(self, project: ProjectId) -> str:
        """Return the owner's id. Raises what a read raises."""
        if self._transport.team_id is not None:
            return self._transport.team_id
        if project not in self._owners:
            # Bounded by the number of configured projects.
            self._owners[project] = (await read_identity(self._transport, project)).account_id
        return self._owners[project]
