"""The request log on an emulated Vercel."""

from typing import Any

from daemon.ports.source import Source
from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions
from daemon.sources.request_logs import RequestLogsSettings
from tests.unit.vercel.emulated import Vercel

# Enough pages for a count of everything that a test lets happen between two collections.
PAGES = {"request_pages_max": 20, "error_pages_max": 20}


class RequestLogsStage:
    """It pulls, so that nothing has to be carried to it."""

    kind = "request_logs"
    counts_are_exact = True

    def build(self, vercel: Vercel, *, exclusions: Exclusions = NOTHING_EXCLUDED, **changes: Any) -> Source:
        return RequestLogsSettings(**PAGES | changes).open(vercel.reader, exclusions)

    async def settle(self, vercel: Vercel) -> None:
        """Leave the rows to their own lag."""
