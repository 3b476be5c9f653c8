"""Where one project stands between two collections, be the first one's reading taken in or lost."""

from dataclasses import dataclass
from datetime import datetime

from daemon.sources.observability.ledger import Given


@dataclass(slots=True)
class Track:
    """What was given of one project: `taken` by a reading that is known to have been taken in, `offered` by the newest.

    A reading may get lost on its way, for the store may fail. Which of them the next collection goes on from, its own
    `since` tells: that is the watermark of the last reading that was kept.
    """

    offered: Given
    touched: datetime
    taken: Given | None = None

    def resume(self, since: datetime) -> Given | None:
        """Return what was given up to *since*; None where somebody else counted in between, so that nobody knows."""
        for given in (self.offered, self.taken):
            if given and given.until == since:
                return given
        return None
