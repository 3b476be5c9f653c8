"""What the emulator sends by itself: signed POSTs to loopback addresses only, tried again later when they fail."""

import asyncio
import hashlib
import heapq
import hmac
import ipaddress
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from daemon.emulator.errors import bad_request
from daemon.emulator.world import World

TIMEOUT_SECONDS = 30.0
"""Source: Vercel docs, Webhooks API: an answer is awaited for 30 seconds."""
PARCELS_KEPT = 10_000
RECORDS_KEPT = 2_000
SIGNATURE_HEADER = "x-vercel-signature"


class Sender(Protocol):
    """Whose parcel it is: it decides about further attempts and hears how each one ended."""

    id: str

    def next_attempt_ms(self, attempts: int, *, age_ms: int) -> int | None:
        """Return how long to wait after *attempts* failures of a parcel *age_ms* old; None gives it up."""
        ...

    def hear(self, *, delivered: bool, at_ms: int) -> None:
        """Take note of an attempt's end."""
        ...


@dataclass(slots=True)
class Parcel:
    """One POST that is to be made, perhaps several times."""

    id: str
    sender: Sender
    url: str
    headers: Mapping[str, str]
    body: bytes
    made_at_ms: int
    due_ms: int
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt and its end: a status, or what went wrong in words."""

    at_ms: int
    sender: str
    parcel: str
    number: int
    outcome: int | str

    @property
    def delivered(self) -> bool:
        """Tell whether the receiver took it: any 2xx. Source: Vercel docs, Webhooks API."""
        return isinstance(self.outcome, int) and 200 <= self.outcome < 300


class Outbox:
    """Parcels by the time at which they are due. Bounded: the oldest due one is dropped, and counted."""

    def __init__(self) -> None:
        """Begin empty."""
        self._heap: list[tuple[int, int, Parcel]] = []
        self._added = 0
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many parcels wait."""
        return len(self._heap)

    def put(self, parcel: Parcel) -> None:
        """Let *parcel* be sent when it is due."""
        if len(self._heap) >= PARCELS_KEPT:
            heapq.heappop(self._heap)
            self.dropped += 1
        self._added += 1
        heapq.heappush(self._heap, (parcel.due_ms, self._added, parcel))

    def take_due(self, now_ms: int) -> list[Parcel]:
        """Take out what is due at *now_ms*, in order."""
        due = []
        while self._heap and self._heap[0][0] <= now_ms:
            due.append(heapq.heappop(self._heap)[2])
        return due


@dataclass(slots=True)
class Courier:
    """Makes the POSTs. ``client`` None: there is no way out, and everything waits in the outbox."""

    world: World
    outbox: Outbox
    client: httpx.AsyncClient | None = None
    record: deque[Attempt] = field(default_factory=lambda: deque(maxlen=RECORDS_KEPT))

    async def deliver_due(self) -> int:
        """Try what is due, each sender's parcels one after the other; return how many were delivered."""
        if self.client is None:
            return 0
        by_sender: dict[str, list[Parcel]] = {}
        for parcel in self.outbox.take_due(self.world.now_ms):
            by_sender.setdefault(parcel.sender.id, []).append(parcel)
        counts = await asyncio.gather(*(self._deliver_all(parcels) for parcels in by_sender.values()))
        return sum(counts)

    async def _deliver_all(self, parcels: list[Parcel]) -> int:
        delivered = 0
        for parcel in parcels:
            attempt = await self._try(parcel)
            self.record.append(attempt)
            parcel.sender.hear(delivered=attempt.delivered, at_ms=self.world.now_ms)
            if attempt.delivered:
                delivered += 1
                continue
            age_ms = self.world.now_ms - parcel.made_at_ms
            wait_ms = parcel.sender.next_attempt_ms(parcel.attempts, age_ms=age_ms)
            if wait_ms is not None:
                parcel.due_ms = self.world.now_ms + wait_ms
                self.outbox.put(parcel)
        return delivered

    async def _try(self, parcel: Parcel) -> Attempt:
        parcel.attempts += 1
        outcome = await self.post(parcel.url, parcel.headers, parcel.body)
        ended = outcome if isinstance(outcome, str) else outcome.status_code
        return Attempt(self.world.now_ms, parcel.sender.id, parcel.id, parcel.attempts, ended)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> httpx.Response | str:
        """Make one POST and return its answer, or what went wrong in words."""
        require_loopback(url)
        if self.client is None:
            return "deliveries are off in this process"
        try:
            return await self.client.post(url, headers=dict(headers), content=body)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"


def open_client() -> httpx.AsyncClient:
    """Return a client for deliveries: no proxy of the environment, no redirect to somewhere else."""
    return httpx.AsyncClient(
        timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False, limits=httpx.Limits(max_connections=20)
    )


def require_loopback(url: object) -> str:
    """Return *url* if it is an HTTP address of this machine; anything else is a 400: the emulator calls nobody."""
    if isinstance(url, str):
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        else:
            if parts.scheme in {"http", "https"} and host is not None and _is_loopback(host):
                return url
    raise bad_request(f"Invalid request: {url!r} is no http(s) URL on loopback, the only place the emulator sends to.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def signature(secret: str, body: bytes) -> str:
    """Return the hex HMAC-SHA1 of *body* as it is sent. Source: Vercel docs, Securing Webhooks; Drains security."""
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


def backoff_ms(attempts: int, *, first_ms: int, most_ms: int) -> int:
    """Return the wait after *attempts* failures: doubled each time, from *first_ms* up to *most_ms*."""
    return int(min(most_ms, first_ms * 2 ** min(attempts - 1, 30)))
