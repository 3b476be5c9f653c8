"""What the receiver of log drains tells of its work, as metrics."""

from daemon.ports.drain import BatchOutcome, EntryOutcome
from daemon.telemetry.metrics import Metrics


class DrainRecorder:
    """Implements `ports.drain.Recorder`. Known series are there from the start."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        for batch in BatchOutcome:
            metrics.drain_batches.labels(outcome=batch)
        for entry in EntryOutcome:
            metrics.drain_entries.labels(outcome=entry)
        for outcome in ("saved", "failed"):
            metrics.drain_handovers.labels(outcome=outcome)

    def note_batch(self, outcome: BatchOutcome, *, body_bytes: int) -> None:
        """Count a batch and its size as sent."""
        self._metrics.drain_batches.labels(outcome=outcome).inc()
        self._metrics.drain_bytes.inc(body_bytes)

    def note_entries(self, outcome: EntryOutcome, count: int) -> None:
        """Count what became of so many more entries."""
        self._metrics.drain_entries.labels(outcome=outcome).inc(count)

    def note_delay(self, seconds: float) -> None:
        """Show how far the newest entry lay behind the clock."""
        self._metrics.drain_delay.set(seconds)

    def note_handover(self, *, is_saved: bool, waiting: int) -> None:
        """Count a handover, and show what waits for the next."""
        self._metrics.drain_handovers.labels(outcome="saved" if is_saved else "failed").inc()
        self._metrics.drain_waiting.set(waiting)
