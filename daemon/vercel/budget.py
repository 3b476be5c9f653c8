"""What one token may ask of Vercel: so many requests a minute, shared by all who use it, the executor before all."""

import asyncio
from collections.abc import Callable
from enum import StrEnum

from daemon.ports.clock import Clock
from daemon.ports.errors import RateLimited
from daemon.vercel.allowance import Allowance

REQUESTS_PER_MINUTE_MAX = 300
BURST_SHARE = 0.2
"""The part of a minute's requests that may begin at once; the others follow at an even pace."""
PAUSE_SECONDS_MAX = 300.0
"""Longer waits are cut to this: one route's limit must not blind us for an hour. Source: Terraform's Vercel client."""
HOLD_SECONDS_MAX = 60.0
RESERVED_SHARE, RESERVED_MAX = 0.1, 10
"""What reads leave of a route's allowance to the executor: a tenth of its limit, at most ten requests."""
_ENOUGH = 1.0 - 1e-9
"""One request's worth, less what adding up seconds loses."""
_WAIT_SECONDS_MIN = 0.005
"""Shorter sleeps are not worth waking up for."""


class Withheld(StrEnum):
    """Why a read was not sent: a label value of metrics."""

    BUDGET = "budget"
    """More was asked of us than our own budget has."""
    PAUSED = "paused"
    """Vercel answered 429: no read of the route, or of the whole token, is sent for a while."""
    ROUTE = "route"
    """Vercel said that the route's allowance is used up."""


class RateBudget:
    """The budget of one token, for every transport that uses it. All times are on the monotonic clock.

    In no minute do more than *requests_per_minute_max* requests begin: a bucket of BURST_SHARE of them, refilled at the
    pace of the rest. Urgent requests always go ahead and are charged all the same, so that reads wait in their place;
    their debt is bounded by one bucket. Reads are served in the order in which they came.

    A 429 pauses the reads of its route: what is known of Vercel's limits says that they are counted by the route. No
    document promises it, so a second route that is answered 429 while the first one waits pauses every read.

    *on_wait* is told the route and the seconds that a read waited; *on_withheld* the route of a read that was not sent,
    and why. Neither may raise. *jitter* returns a fraction in 0..1.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        requests_per_minute_max: int = REQUESTS_PER_MINUTE_MAX,
        on_wait: Callable[[str, float], None] = lambda _route, _seconds: None,
        on_withheld: Callable[[str, Withheld], None] = lambda _route, _cause: None,
    ) -> None:
        assert requests_per_minute_max >= 2, "one request to begin with, and a pace for the others"
        self.requests_per_minute_max = requests_per_minute_max
        self.burst = max(1, int(requests_per_minute_max * BURST_SHARE))
        self._per_second = (requests_per_minute_max - self.burst) / 60
        self._clock = clock
        self._jitter = jitter
        self._on_wait = on_wait
        self._on_withheld = on_withheld
        self._level = float(self.burst)
        # When the level was, or after a pause will be, what `_level` says; it grows from then on.
        self._level_at = clock.monotonic()
        self._paused_until = self._level_at
        self._route_paused_until: dict[str, float] = {}
        self._held_until: dict[str, float] = {}
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def left(self) -> float:
        """How many requests could begin now; negative while urgent ones have to be made up for. For a gauge."""
        self._refill()
        return self._level

    @property
    def pause_seconds(self) -> float:
        """For how long no read is sent because several routes were answered 429; 0 without a pause. For a gauge."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    def spend(self) -> None:
        """Charge one urgent request, which goes ahead whatever is left, even during a pause."""
        self._refill()
        self._level = max(self._level - 1, -float(self.burst))

    async def admit(self, route: str, *, what: str, seconds_max: float) -> None:
        """Wait until a read of *route* may begin, and charge it.

        Raises RateLimited, naming *what*, as soon as it is known that *seconds_max* will not do.
        """
        began = self._clock.monotonic()
        deadline = began + seconds_max
        try:
            for waits, cause in ((self._route_paused_until, Withheld.PAUSED), (self._held_until, Withheld.ROUTE)):
                while (wait := waits.get(route, began) - self._clock.monotonic()) > 0:
                    await self._wait(wait, deadline, what=what, cause=cause)
            await self._take(deadline, what=what)
        except _NotInTime as error:
            self._on_withheld(route, error.cause)
            raise RateLimited(str(error), retry_after_seconds=error.seconds) from None
        waited = self._clock.monotonic() - began
        if waited >= _WAIT_SECONDS_MIN:
            self._on_wait(route, waited)

    async def _take(self, deadline: float, *, what: str) -> None:
        # Whoever stands behind others knows beforehand that it waits for their turns too.
        self._check(self._seconds_until(self._waiting + 1), deadline, what=what, cause=self._cause())
        self._waiting += 1
        try:
            async with self._turn:
                while (wait := self._seconds_until(1)) > 0:
                    await self._wait(wait, deadline, what=what, cause=self._cause())
                self._level -= 1
        finally:
            self._waiting -= 1

    async def _wait(self, seconds: float, deadline: float, *, what: str, cause: Withheld) -> None:
        self._check(seconds, deadline, what=what, cause=cause)
        await self._clock.sleep(max(seconds, _WAIT_SECONDS_MIN))

    def _check(self, seconds: float, deadline: float, *, what: str, cause: Withheld) -> None:
        if seconds > 0 and self._clock.monotonic() + seconds > deadline:
            raise _NotInTime(f"{what}: not sent: {self._reason(cause)} for {seconds:.1f} s", cause, seconds)

    def pause(self, route: str, seconds: float) -> None:
        """Send no read of *route* for *seconds*, and a little more, because Vercel answered 429.

        Others go on at an even pace, without a burst. Where another route waits for the same reason already, the limit
        is taken for the token's, and no read at all is sent for as long.
        """
        asked = min(seconds, PAUSE_SECONDS_MAX)
        # Everybody was told the same second.
        now = self._clock.monotonic()
        until = now + asked + self._jitter() * min(asked, max(1.0, asked / 10))
        is_tokens = any(known > now for other, known in self._route_paused_until.items() if other != route)
        self._route_paused_until[route] = max(until, self._route_paused_until.get(route, until))
        self._refill()
        self._level = min(self._level, 1.0)
        if is_tokens:
            self._level_at = max(self._level_at, until)
            self._paused_until = max(self._paused_until, until)

    def heed(self, route: str, allowance: Allowance) -> None:
        """Send no read of *route* until its allowance is renewed, once no more is left than is kept for the executor.

        It can only slow reads down, by HOLD_SECONDS_MAX at most, since nothing that Vercel documents promises it.
        """
        reserved = min(RESERVED_MAX, int(allowance.limit * RESERVED_SHARE)) if allowance.limit else 0
        if allowance.remaining > reserved:
            return
        seconds = min(allowance.resets_in_seconds, HOLD_SECONDS_MAX)
        until = self._clock.monotonic() + seconds + self._jitter() * min(seconds, 1.0)
        self._held_until[route] = max(self._held_until.get(route, until), until)

    def _refill(self) -> None:
        now = self._clock.monotonic()
        if now > self._level_at:
            self._level = min(float(self.burst), self._level + (now - self._level_at) * self._per_second)
            self._level_at = now

    def _seconds_until(self, requests: int) -> float:
        """Return the seconds until so many requests more may have begun; 0 when they may now."""
        self._refill()
        is_growing = self._level_at <= self._clock.monotonic()
        if is_growing and self._level >= requests - 1 + _ENOUGH:
            return 0.0
        missing = max(0.0, requests - self._level)
        return max(0.0, self._level_at + missing / self._per_second - self._clock.monotonic())

    def _cause(self) -> Withheld:
        return Withheld.PAUSED if self.pause_seconds > 0 else Withheld.BUDGET

    def _reason(self, cause: Withheld) -> str:
        match cause:
            case Withheld.BUDGET:
                return f"our own budget of {self.requests_per_minute_max} requests a minute is used up"
            case Withheld.PAUSED:
                return "our own budget is closed, since Vercel answered 429,"
            case Withheld.ROUTE:
                return "our own budget is closed for this route, of whose allowance Vercel says that little is left,"


class _NotInTime(Exception):
    def __init__(self, message: str, cause: Withheld, seconds: float) -> None:
        super().__init__(message)
        self.cause = cause
        self.seconds = seconds
