"""Keeps the store bounded: what is older than the operator wants to keep is removed, once an hour."""

from datetime import timedelta

import structlog

from daemon.ports.clock import Clock
from daemon.ports.errors import StoreUnavailable
from daemon.ports.store import Store

_EVERY_SECONDS = 3600.0

log = structlog.get_logger()


class Housekeeping:
    """Removes journal entries and finished commands older than *keep*. States are never removed."""

    def __init__(self, store: Store, clock: Clock, *, keep: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._keep = keep
        self._last: float | None = None

    async def tidy(self) -> int:
        """Remove what is too old if the last time was an hour ago, and return how many rows went; trouble can wait."""
        now = self._clock.monotonic()
        if self._last is not None and now - self._last < _EVERY_SECONDS:
            return 0
        self._last = now
        try:
            removed = await self._store.prune(before=self._clock.now() - self._keep)
        except StoreUnavailable as error:
            log.warning("store.failed", error=str(error))
            return 0
        if removed:
            log.info("journal.pruned", rows=removed)
        return removed
