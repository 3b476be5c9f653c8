"""What happens in the world, told at the moment it happens to whoever listens: webhooks above all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.emulator.model import Deployment, Project


@dataclass(frozen=True, slots=True)
class WorldEvent:
    """One thing that happened. ``kind`` is the type of the webhook event; ``deployment`` None: it is about none."""

    kind: str
    at_ms: int
    project: Project
    deployment: Deployment | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class EventFeed:
    """Passes each event on to every listener, in the order in which they began to listen."""

    def __init__(self) -> None:
        """Begin with no listener."""
        self._listeners: list[Callable[[WorldEvent], None]] = []

    def listen(self, listener: Callable[[WorldEvent], None]) -> None:
        """Call *listener* with every event from now on."""
        self._listeners.append(listener)

    def publish(self, event: WorldEvent) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            listener(event)
