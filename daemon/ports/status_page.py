"""What the platform's provider says of itself."""

from typing import Protocol


class StatusPage(Protocol):
    """Reads the provider's status page."""

    async def read_incident(self) -> str:
        """Return in a few words the incident that is going on; '' when there is none that matters.

        Raises Unavailable, RateLimited, Refused and Unintelligible: then nobody knows, and nothing follows from it.
        """
