"""Hands counts over to the store at short intervals, each of them once, and gives the receiver's sign of life."""

from dataclasses import replace
from datetime import timedelta

import structlog

from daemon.ports.buckets import Buckets, Delivery, Gap, GapReason
from daemon.ports.clock import Clock
from daemon.ports.drain import Recorder
from daemon.ports.errors import StoreUnavailable
from daemon.web.drain.intake import Intake

_PRUNE_EVERY_SECONDS = 60.0

log = structlog.get_logger()


class Handover:
    """Writes what an intake collected. What could not be written is kept and tried again, before anything newer.

    `receiver` is this run's own name, which no other run ever had.
    """

    def __init__(
        self,
        intake: Intake,
        buckets: Buckets,
        *,
        clock: Clock,
        recorder: Recorder,
        receiver: str,
        interval: timedelta,
        keep: timedelta,
    ) -> None:
        self._intake = intake
        self._buckets = buckets
        self._clock = clock
        self._recorder = recorder
        self._interval_seconds = interval.total_seconds()
        self._keep = keep
        self._newest = Delivery(receiver, number=0, began=clock.now(), at=clock.now())
        self._unsaved: tuple[Delivery, int] | None = None
        self._is_failing = False
        self._pruned_at = clock.monotonic()
        self._ended_at = clock.monotonic()

    @property
    def age_seconds(self) -> float:
        """How long ago the last attempt to hand over ended, well or not; it grows while the store hangs."""
        return self._clock.monotonic() - self._ended_at

    @property
    def is_failing(self) -> bool:
        """Whether the store could not take what was handed over last."""
        return self._is_failing

    async def begin(self) -> None:
        """Give the first sign of life; whatever was sent since the last receiver's was not heard by anybody.

        Raises StoreUnavailable.
        """
        standing = await self._buckets.standing()
        began = self._newest.began
        gaps = [Gap(min(standing.alive, began), began, GapReason.RESTART)] if standing else []
        self._newest = replace(self._newest, number=1, at=self._clock.now(), gaps=gaps)
        await self._buckets.add(self._newest)

    async def run(self) -> None:
        """Hand over at each interval until cancelled; `begin` comes before it, `finish` after it."""
        while True:
            await self._clock.sleep(self._interval_seconds)
            await self.hand_over()
            await self._prune_when_due()

    async def finish(self) -> None:
        """Hand over what is left, as far as the store takes it."""
        while await self.hand_over() and self._intake.queued:
            pass

    async def hand_over(self) -> bool:
        """Write what was counted since the last time; False where the store could not take it."""
        is_saved = await self._hand_over()
        self._ended_at = self._clock.monotonic()
        return is_saved

    async def _hand_over(self) -> bool:
        if self._unsaved is None:
            self._unsaved = self._next()
        delivery, requests = self._unsaved
        try:
            await self._buckets.add(delivery)
        except StoreUnavailable as error:
            self._tell(error)
            return False
        self._is_failing, self._unsaved = False, None
        self._intake.waiting -= requests
        self._recorder.note_handover(is_saved=True, waiting=self._intake.queued)
        return True

    def _next(self) -> tuple[Delivery, int]:
        now = self._clock.now()
        found = self._intake.collect(now)
        self._newest = replace(
            self._newest,
            number=self._newest.number + 1,
            at=now,
            counts=found.counts,
            heard=found.heard,
            gaps=found.gaps,
        )
        return self._newest, found.requests

    def _tell(self, error: StoreUnavailable) -> None:
        self._recorder.note_handover(is_saved=False, waiting=self._intake.queued)
        if not self._is_failing:
            log.warning("store.failed", error=str(error))
        self._is_failing = True

    async def _prune_when_due(self) -> None:
        if self._clock.monotonic() - self._pruned_at < _PRUNE_EVERY_SECONDS:
            return
        self._pruned_at = self._clock.monotonic()
        try:
            await self._buckets.prune(before=self._clock.now() - self._keep)
        except StoreUnavailable as error:
            self._tell(error)
