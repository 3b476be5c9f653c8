"""What the receiver of log drains tells of its work, as metrics."""

from prometheus_client import CollectorRegistry

from daemon.ports.drain import BatchOutcome, EntryOutcome
from daemon.telemetry.metrics import DrainMetrics


class DrainRecorder:
    """Implements `ports.drain.Recorder`. Known series are there from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._metrics = metrics = DrainMetrics(registry)
        for batch in BatchOutcome:
            metrics.batches.labels(outcome=batch)
        for entry in EntryOutcome:
            metrics.entries.labels(outcome=entry)
        for outcome in ("saved", "failed"):
            metrics.handovers.labels(outcome=outcome)

    def note_batch(self, outcome: BatchOutcome, *, body_bytes: int) -> None:
        """Count a batch and its size as sent."""
        self._metrics.batches.labels(outcome=outcome).inc()
        self._metrics.bytes.inc(body_bytes)

    def note_entries(self, outcome: EntryOutcome, count: int) -> None:
        """Count what became of so many more entries."""
        self._metrics.entries.labels(outcome=outcome).inc(count)

    def note_delay(self, seconds: float) -> None:
        """Show how far the newest entry lay behind the clock."""
        self._metrics.delay.set(seconds)

    def note_handover(self, *, is_saved: bool, waiting: int) -> None:
        """Count a handover, and show what waits for the next."""
        self._metrics.handovers.labels(outcome="saved" if is_saved else "failed").inc()
        self._metrics.waiting.set(waiting)
