"""How long the tokens live: one that runs out on a Sunday blinds the daemon, and nobody had heard of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from daemon.core.signal import SignalReason, SourceTrouble
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError
from daemon.ports.token import TokenReader

TOKENS_EVERY_SECONDS = 3600.0
WARNED_BEFORE = timedelta(days=7)


class TokenWatch:
    """Reads when each token runs out, and tells of those that do soon.

    What cannot be read is nobody's trouble here: a token that is refused shows in every other read.
    """

    def __init__(self, readers: Mapping[str, TokenReader], *, clock: Clock) -> None:
        self._readers = readers
        self._clock = clock
        self._expires: dict[str, datetime] = {}

    @property
    def expiries(self) -> Mapping[str, datetime]:
        """When each token runs out, by what it is for; those without an end, or that do not tell, are not there."""
        return self._expires

    async def check(self) -> None:
        """Read every token's end again."""
        for name, reader in self._readers.items():
            try:
                expires = await reader.read_token_expiry()
            except PortError:
                continue
            self._expires.pop(name, None)
            if expires is not None:
                self._expires[name] = expires

    def troubles(self) -> Sequence[SourceTrouble]:
        """Return one for each token that runs out soon, or has."""
        now = self._clock.now()
        return tuple(
            SourceTrouble(
                f"the token to {name}", SignalReason.TOKEN_EXPIRING, f"runs out at {expires:%Y-%m-%d %H:%M} UTC"
            )
            for name, expires in self._expires.items()
            if expires - now <= WARNED_BEFORE
        )
