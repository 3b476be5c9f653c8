"""A recorder for whoever does not count what a receiver does."""

from daemon.ports.drain import BatchOutcome, EntryOutcome


class NoRecorder:
    """Implements `ports.drain.Recorder` and counts nothing."""

    def note_batch(self, outcome: BatchOutcome, *, body_bytes: int) -> None:
        """Do nothing."""

    def note_entries(self, outcome: EntryOutcome, count: int) -> None:
        """Do nothing."""

    def note_delay(self, seconds: float) -> None:
        """Do nothing."""

    def note_handover(self, *, is_saved: bool, waiting: int) -> None:
        """Do nothing."""
