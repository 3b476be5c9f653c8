"""A reading that got lost is given again, and one that was taken in is not."""

from datetime import UTC, datetime, timedelta

from daemon.sources.observability.ledger import Given
from daemon.sources.observability.track import Track

T = datetime(2026, 11, 21, 20, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BEFORE, AFTER = Given(T, known_from=T), Given(T + MINUTE, known_from=T)


def test_the_watermark_tells_which_reading_was_kept():
    track = Track(offered=AFTER, touched=T, taken=BEFORE)
    assert track.resume(T + MINUTE) is AFTER
    assert track.resume(T) is BEFORE


def test_a_watermark_of_somebody_elses_tells_nothing():
    track = Track(offered=AFTER, touched=T, taken=BEFORE)
    assert track.resume(T + MINUTE / 2) is None
    assert track.resume(T + 2 * MINUTE) is None
