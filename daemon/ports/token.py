"""What a token says of itself."""

from datetime import datetime
from typing import Protocol


class TokenReader(Protocol):
    """Reads the token that it speaks with."""

    async def read_token_expiry(self) -> datetime | None:
        """Return when the token runs out; None when it does not, or does not tell. Raises what a read raises."""
