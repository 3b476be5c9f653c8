"""How people are told."""

from typing import Protocol

from daemon.core.command import Notify
from daemon.core.facts import ProjectId


class Notifier(Protocol):
    """Tells people. A failed notification never stops a mitigation, and is never silent."""

    async def notify(self, project: ProjectId, message: Notify) -> None:
        """Deliver *message* once; raises Unavailable when it could not be delivered."""
