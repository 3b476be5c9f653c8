"""What the receiver of log drains tells becomes series that are there from the start."""

from prometheus_client import CollectorRegistry

from daemon.ports.drain import BatchOutcome, EntryOutcome
from daemon.telemetry.drain import DrainRecorder


def test_every_outcome_is_a_series_at_nought_before_anything_came() -> None:
    registry = CollectorRegistry()
    DrainRecorder(registry)
    for outcome in BatchOutcome:
        assert registry.get_sample_value("lastgood_drain_batches_total", {"outcome": outcome}) == 0
    for entry in EntryOutcome:
        assert registry.get_sample_value("lastgood_drain_entries_total", {"outcome": entry}) == 0
    for saved in ("saved", "failed"):
        assert registry.get_sample_value("lastgood_drain_handovers_total", {"outcome": saved}) == 0


def test_what_is_told_is_counted_or_shown() -> None:
    registry = CollectorRegistry()
    recorder = DrainRecorder(registry)
    recorder.note_batch(BatchOutcome.TORN, body_bytes=70)
    recorder.note_batch(BatchOutcome.TORN, body_bytes=30)
    recorder.note_entries(EntryOutcome.COUNTED, 5)
    recorder.note_delay(-1.5)
    recorder.note_handover(is_saved=False, waiting=9)
    assert registry.get_sample_value("lastgood_drain_batches_total", {"outcome": "torn"}) == 2
    assert registry.get_sample_value("lastgood_drain_bytes_total") == 100
    assert registry.get_sample_value("lastgood_drain_entries_total", {"outcome": "counted"}) == 5
    assert registry.get_sample_value("lastgood_drain_delay_seconds") == -1.5
    assert registry.get_sample_value("lastgood_drain_handovers_total", {"outcome": "failed"}) == 1
    assert registry.get_sample_value("lastgood_drain_waiting_requests") == 9
