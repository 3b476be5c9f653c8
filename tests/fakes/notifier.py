"""A notifier that remembers what it was told, and fails when a test says so."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from daemon.core.command import Notify, Severity
from daemon.core.facts import ProjectId


@dataclass(slots=True)
class FakeNotifier:
    """Remembers messages. `troubles` are raised by the next calls, one each, None for none; `gate` holds them up."""

    told: list[Notify] = field(default_factory=list)
    troubles: deque[Exception | None] = field(default_factory=deque)
    gate: asyncio.Event | None = None

    async def notify(self, project: ProjectId, message: Notify) -> None:
        """Remember *message*, or raise the next trouble."""
        if self.gate:
            await self.gate.wait()
        trouble = self.troubles.popleft() if self.troubles else None
        if trouble:
            raise trouble
        self.told.append(message)

    @property
    def titles(self) -> list[str]:
        """What the messages were about, oldest first."""
        return [message.title for message in self.told]

    @property
    def pages(self) -> list[Notify]:
        """The messages that wake somebody."""
        return [message for message in self.told if message.severity is Severity.PAGE]
