"""The right to act, held as a lease in the store: without it the daemon watches nothing and sends nothing."""

from daemon.ports.clock import Clock
from daemon.ports.errors import StoreUnavailable
from daemon.ports.store import Lease, Store

_RENEWALS_A_LIFE = 3
"""So often is a lease renewed before it runs out: two may fail."""


class Leadership:
    """Takes, renews, keeps and gives up the lease."""

    def __init__(self, store: Store, clock: Clock, *, holder: str, ttl_seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._ttl_seconds = ttl_seconds
        self._renewed = clock.monotonic()
        self.lease: Lease | None = None
        self.trouble = ""
        """Why the newest renewal got no answer from the store; '' when it answered."""

    async def renew(self) -> bool:
        """Take or renew the lease; False while somebody else holds it, or when the store does not answer."""
        began = self._clock.monotonic()
        try:
            self.lease = await self._store.take_lease(
                self._holder, now=self._clock.now(), ttl_seconds=self._ttl_seconds
            )
        except StoreUnavailable as error:
            self.lease, self.trouble = None, str(error)
        else:
            self._renewed, self.trouble = began, ""
        return self.lease is not None

    async def has_left(self, seconds: float, *, token: int) -> bool:
        """Return whether the lease *token*, renewed now, has more than *seconds* left: enough for one request.

        A lease that was lost and taken again has another token: what was decided under the first is void.
        """
        if self.lease is None or self.lease.token != token or not await self.renew():
            return False
        # Measured from before the store was asked, on the clock that cannot step.
        remaining = self._ttl_seconds - (self._clock.monotonic() - self._renewed)
        return self.lease.token == token and remaining > seconds

    async def keep(self) -> None:
        """Renew a lease that is held three times in its life, however long a cycle takes; runs until it is cancelled.

        It never takes one: only `renew`, after which the projects are resumed, does. A store that does not answer is
        left to the next commit, which fails without it.
        """
        while True:
            await self._clock.sleep(self._ttl_seconds / _RENEWALS_A_LIFE)
            if self.lease is not None:
                await self._prolong(self.lease)

    async def _prolong(self, held: Lease) -> None:
        began = self._clock.monotonic()
        try:
            lease = await self._store.take_lease(self._holder, now=self._clock.now(), ttl_seconds=self._ttl_seconds)
        except StoreUnavailable as error:
            self.trouble = str(error)
            return
        if self.lease != held:
            # It was renewed, lost or given up meanwhile: that is the newer word.
            return
        self.trouble = ""
        if lease is not None and lease.token == held.token:
            self.lease, self._renewed = lease, began
        else:
            # Another daemon may have had it in between; what was decided under it is void.
            self.lease = None

    async def give_up(self) -> None:
        """Release the lease, so that another daemon need not wait for it to expire."""
        lease, self.lease = self.lease, None
        if lease:
            await self._store.release_lease(lease)
