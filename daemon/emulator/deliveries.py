"""Everything that the emulator sends by itself: webhooks, drains, one outbox and the courier that empties it."""

import asyncio
from dataclasses import asdict
from typing import Any

from daemon.emulator.alarms import Alarms
from daemon.emulator.delivery import Courier, Outbox
from daemon.emulator.drains import Drains
from daemon.emulator.webhooks import Webhooks
from daemon.emulator.world import World

ROUND_SECONDS = 0.1
"""Real seconds between two rounds of the courier: the emulated clock may be one that only a test moves."""


class Deliveries:
    """The subscriptions of a world and what is on its way to them."""

    def __init__(self, world: World) -> None:
        """Begin with nobody to send to; without a client of the courier nothing goes out."""
        self.world = world
        self.outbox = Outbox()
        self.webhooks = Webhooks(world, self.outbox)
        self.drains = Drains(world, self.outbox)
        self.courier = Courier(world, self.outbox)
        self._alarms = Alarms(world, self.webhooks)

    async def round(self) -> int:
        """Bring the world up to its clock, collect for the drains and send what is due; return how much got there."""
        self.world.advance()
        self._alarms.ring()
        self.drains.collect()
        return await self.courier.deliver_due()

    async def deliver_forever(self) -> None:
        """Make a round every tenth of a second while there is somebody to send to, until cancelled."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            if self.has_work:
                await self.round()

    @property
    def has_work(self) -> bool:
        """Tell whether anybody has subscribed, or something still waits in the outbox."""
        return bool(self.outbox) or self.webhooks.is_any or self.drains.is_any

    def as_json(self) -> dict[str, Any]:
        """Return what waits and how the newest attempts ended, oldest first."""
        attempts = [asdict(item) for item in self.courier.record]
        return {"waiting": len(self.outbox), "dropped": self.outbox.dropped, "attempts": attempts}
