"""Takes batches of signed entries in, one at a time and piece by piece, and keeps what is to be handed over.

Invariant: what was not counted although it should have been is within a gap.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from daemon.core.facts import ProjectId
from daemon.ports.buckets import Gap, GapReason, Heard, RouteCount
from daemon.ports.clock import Clock
from daemon.ports.drain import BatchOutcome, EntryOutcome, Recorder
from daemon.web.drain.entries import Environment, Slice, Torn, Unpacker
from daemon.web.drain.inflate import Encoding, NotGzip, TooLarge, pieces
from daemon.web.drain.tally import AHEAD_MAX_MS, Tally, milliseconds_of, moment_of

_ONE_GAP = timedelta(seconds=10)
"""What is missed again within this time belongs to the same gap."""
_GAPS_MAX = 200
"""Open gaps of single projects; what is more is a gap of all."""
_ROWS_MAX = 20_000
"""Counts that are handed over at once, so that a commit of the daemon never waits long for the receiver's."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What is to be handed over; `requests` are how many the counts are made of."""

    counts: list[RouteCount] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    requests: int = 0


class Intake:
    """Counts what batches hold.

    Only one batch is worked on at a time, and between two pieces of it everything else has its turn, so that the event
    loop waits no longer for many batches than for one piece.
    """

    def __init__(
        self,
        tally: Tally,
        *,
        clock: Clock,
        recorder: Recorder,
        inflated_bytes_max: int,
        queue_events_max: int,
        unpacker: Callable[[], Unpacker] = Unpacker,
    ) -> None:
        self.waiting = 0
        """Requests that were collected and are not saved yet."""
        self._tally = tally
        self._clock = clock
        self._recorder = recorder
        self._inflated_bytes_max = inflated_bytes_max
        self._queue_events_max = queue_events_max
        self._unpacker = unpacker
        self._turn = asyncio.Lock()
        self._heard: dict[str, Heard] = {}
        self._projects: set[tuple[str, str]] = set()
        self._gaps: dict[tuple[GapReason, ProjectId | None], Gap] = {}
        self._changed: set[tuple[GapReason, ProjectId | None]] = set()

    @property
    def queued(self) -> int:
        """How many requests wait for the store."""
        return self.waiting + self._tally.uncollected

    async def take(self, chunks: Iterable[bytes], encoding: Encoding, *, stream: str) -> BatchOutcome:
        """Count the entries of a batch that *stream*'s secret signed. What came before a tear is counted."""
        async with self._turn:
            if self.queued >= self._queue_events_max:
                self.note_gap(GapReason.OVERFLOW)
                return BatchOutcome.OVERFLOW
            try:
                await self._take(chunks, encoding, stream)
            except TooLarge:
                self.note_gap(GapReason.OVERFLOW)
                return BatchOutcome.INFLATES_TOO_FAR
            except (NotGzip, Torn):
                self.note_gap(GapReason.UNREADABLE)
                return BatchOutcome.TORN
        return BatchOutcome.TAKEN

    def note_gap(self, reason: GapReason, project: ProjectId | None = None) -> None:
        """Remember that something is missed now."""
        now = self._clock.now()
        key = (reason, project)
        known = self._gaps.get(key)
        if known is None and project is not None and len(self._gaps) >= _GAPS_MAX:
            return self.note_gap(reason)
        is_same = known is not None and known.start <= now <= known.end + _ONE_GAP
        self._gaps[key] = replace(known, end=now) if known and is_same else Gap(now, now, reason, project)
        self._changed.add(key)
        return None

    def collect(self, at: datetime) -> Collected:
        """Return what is to be handed over at *at*, and forget it."""
        before = self._tally.uncollected
        counts, projects = self._tally.collect(rows_max=_ROWS_MAX)
        requests = before - self._tally.uncollected
        self.waiting += requests
        heard: list[Heard] = []
        self._projects |= projects
        # Counts that wait for the next time would be taken as complete, once what was heard after them is known.
        if not self._tally.has_more:
            streams, self._heard = self._heard, {}
            heard = [*streams.values()]
            known = [(stream, one) for stream, one in self._projects if stream in streams]
            heard += [replace(streams[stream], project=ProjectId(one)) for stream, one in known]
            self._projects.difference_update(known)
        gaps = [self._gaps[key] for key in self._changed]
        self._changed.clear()
        self._gaps = {key: gap for key, gap in self._gaps.items() if at - gap.end <= _ONE_GAP}
        for outcome, count in self._tally.outcomes.items():
            self._recorder.note_entries(outcome, count)
        self._tally.outcomes.clear()
        return Collected(counts, heard, gaps, requests)

    async def _take(self, chunks: Iterable[bytes], encoding: Encoding, stream: str) -> None:
        unpacker = self._unpacker()
        arrived_ms = milliseconds_of(self._clock.now())
        newest_ms: int | None = None
        for piece in pieces(chunks, encoding, bytes_max=self._inflated_bytes_max):
            newest_ms = self._count(unpacker.feed(piece), arrived_ms, newest_ms, stream)
            await self._clock.sleep(0)
        newest_ms = self._count(unpacker.finish(), arrived_ms, newest_ms, stream)
        if newest_ms is not None:
            self._hear(stream, newest_ms, arrived_ms)

    def _count(self, found: Slice | None, arrived_ms: int, newest_ms: int | None, stream: str) -> int | None:
        """Count some entries and return the newest time that was told so far."""
        if found is None:
            return newest_ms
        self._tally.count(found.entries, arrived_ms=arrived_ms, stream=stream)
        for fragment in found.unusable:
            self._tally.outcomes[EntryOutcome.UNUSABLE] += 1
            if fragment is None:
                self.note_gap(GapReason.UNREADABLE)
            elif fragment.environment in (None, Environment.PRODUCTION):
                self.note_gap(GapReason.UNREADABLE, ProjectId(fragment.project_id))
        # Entries are mostly in order of time; where they are not, the stream only seems older than it is.
        last_ms = found.entries[-1].timestamp if found.entries else None
        if last_ms is None or not 0 <= last_ms <= arrived_ms + AHEAD_MAX_MS:
            return newest_ms
        return last_ms if newest_ms is None else max(newest_ms, last_ms)

    def _hear(self, stream: str, newest_ms: int, arrived_ms: int) -> None:
        """Remember the newest entry of a stream, and the least delay since the last collection.

        An entry from the future tells of a clock that is ahead, not of a delivery before the fact: its delay is 0.
        """
        self._recorder.note_delay((arrived_ms - newest_ms) / 1000)
        delay = timedelta(milliseconds=max(0, arrived_ms - newest_ms))
        newest, at = moment_of(newest_ms), moment_of(arrived_ms)
        known = self._heard.get(stream)
        if known is not None:
            newest, at, delay = max(newest, known.newest), max(at, known.at), min(delay, known.delay)
        self._heard[stream] = Heard(stream, None, newest, at, delay)
