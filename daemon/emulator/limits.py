"""Rate limits: what the headers of an answer say, and a refusal where a scenario sets a limit."""

from collections import Counter

from daemon.emulator.durations import MINUTE_MS
from daemon.emulator.errors import ApiError

REPORTED_PER_MINUTE = 500


class RateLimiter:
    """Counts requests per token and minute; only the present minute is kept."""

    def __init__(self) -> None:
        """Begin with no request."""
        self._minute = 0
        self._counts: Counter[str] = Counter()

    def count(self, token: str, now_ms: int, *, refuses_above: int | None) -> None:
        """Count one request; above *refuses_above* (None: never) it is a 429 that says when the minute ends."""
        self._turn(now_ms)
        self._counts[token] += 1
        if refuses_above is not None and self._counts[token] > refuses_above:
            wait = -(-(self._minute + MINUTE_MS - now_ms) // 1000)
            raise ApiError(429, "rate_limited", "Too many requests", retryAfterSeconds=wait)

    def headers(self, token: str, now_ms: int, *, refuses_above: int | None) -> dict[str, str]:
        """Return the limit, what is left of it, and the Unix second at which it is renewed."""
        self._turn(now_ms)
        limit = refuses_above or REPORTED_PER_MINUTE
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - self._counts[token])),
            "X-RateLimit-Reset": str((self._minute + MINUTE_MS) // 1000),
        }

    def _turn(self, now_ms: int) -> None:
        minute = now_ms - now_ms % MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
