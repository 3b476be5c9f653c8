"""The receiver of Vercel's webhooks: checks who sent one, takes note of it, and answers before anything is done."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from enum import StrEnum

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from daemon.ports.clock import Clock
from daemon.ports.errors import Unintelligible
from daemon.vercel.signature import SIGNATURE_HEADER, is_signed
from daemon.vercel.webhook_settings import WebhookReceiverSettings
from daemon.vercel.webhooks import Told, parse_webhook

AHEAD_MAX = timedelta(seconds=60)
"""Vercel's clock and ours may differ by this much."""
IDS_KEPT = 10_000
"""Ids of events that were taken; an older one that comes again wakes a project once more, and does no harm."""
BODY_SECONDS_MAX = 10.0
"""Real time in which a body must have come."""


class Outcome(StrEnum):
    """What became of one delivery: a label value of metrics."""

    TAKEN = "taken"
    IGNORED = "ignored"
    """Signed, and about something that does not concern us."""
    REPEATED = "repeated"
    """Its id was taken before."""
    STALE = "stale"
    AHEAD = "ahead"
    """It says that it was made later than now: one clock is wrong."""
    MALFORMED = "malformed"
    UNSIGNED = "unsigned"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    """Its body did not come in time, or broke off."""
    QUEUE_FULL = "queue_full"
    KEYLESS = "keyless"
    """No secret can be read at the moment."""


# Vercel sends again what is not answered by 2xx: right for what may be taken later, useless for what is over.
_ANSWERS = {
    Outcome.TAKEN: (200, "taken"),
    Outcome.IGNORED: (200, "this does not concern us"),
    Outcome.REPEATED: (200, "this was taken before"),
    Outcome.STALE: (200, "this is too old to be of use"),
    Outcome.AHEAD: (400, "createdAt lies in the future: check the clock"),
    Outcome.MALFORMED: (400, "this is not a webhook as documented"),
    Outcome.UNSIGNED: (403, "the signature was made with none of our secrets"),
    Outcome.TOO_LARGE: (413, "this is larger than what is read"),
    Outcome.TOO_SLOW: (408, "the body did not come in time"),
    Outcome.QUEUE_FULL: (503, "too much waits to be told: send it again"),
    Outcome.KEYLESS: (503, "no secret can be read: send it again"),
}


class WebhookReceiver:
    """Receives webhooks at one path; `deliver` passes on what they tell.

    *secrets* are called for every delivery, so that a rotated one needs no restart; each raises OSError while it cannot
    be read. *on_outcome* is told what became of each delivery; it must not raise.
    """

    def __init__(
        self,
        settings: WebhookReceiverSettings,
        *,
        secrets: Sequence[Callable[[], str]],
        clock: Clock,
        on_outcome: Callable[[Outcome], None] = lambda _outcome: None,
        body_seconds_max: float = BODY_SECONDS_MAX,
    ) -> None:
        assert secrets, "a receiver without any secret would take nothing"
        self._settings = settings
        self._secrets = tuple(secrets)
        self._clock = clock
        self._on_outcome = on_outcome
        self._body_seconds_max = body_seconds_max
        self._queue: asyncio.Queue[Told] = asyncio.Queue(settings.queue_events_max)
        self._taken: OrderedDict[str, None] = OrderedDict()

    @property
    def route(self) -> Route:
        """The route to be served."""
        return Route(self._settings.path, self._receive, methods=["POST"])

    @property
    def waiting(self) -> int:
        """How many events wait to be told. For a gauge."""
        return self._queue.qsize()

    async def deliver(self, told: Callable[[Told], Awaitable[None]]) -> None:
        """Pass on what webhooks tell, one after the other, for ever. Trouble is *told*'s own business."""
        while True:
            await told(await self._queue.get())

    async def _receive(self, request: Request) -> Response:
        outcome = await self._take(request)
        self._on_outcome(outcome)
        status, sentence = _ANSWERS[outcome]
        return PlainTextResponse(sentence, status_code=status)

    async def _take(self, request: Request) -> Outcome:
        try:
            async with asyncio.timeout(self._body_seconds_max):
                body = await self._read(request)
        except (TimeoutError, ClientDisconnect):
            return Outcome.TOO_SLOW
        if body is None:
            return Outcome.TOO_LARGE
        secrets = self._readable_secrets()
        if not secrets:
            return Outcome.KEYLESS
        # Before anything else is done with it: nobody but Vercel gets any further.
        if not is_signed(body, request.headers.get(SIGNATURE_HEADER), secrets=secrets):
            return Outcome.UNSIGNED
        return self._note(body)

    async def _read(self, request: Request) -> bytes | None:
        """Return the body; None when it is larger than it may be."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._settings.body_bytes_max:
                return None
        return bytes(body)

    def _readable_secrets(self) -> list[str]:
        found = []
        for secret in self._secrets:
            try:
                found.append(secret())
            except OSError:
                # One of several may be missing while it is rotated; without any, nothing is taken.
                continue
        return [secret for secret in found if secret]

    def _note(self, body: bytes) -> Outcome:
        try:
            webhook = parse_webhook(body)
        except Unintelligible:
            return Outcome.MALFORMED
        if webhook.told is None:
            return Outcome.IGNORED
        age = self._clock.now() - webhook.at
        if age < -AHEAD_MAX:
            return Outcome.AHEAD
        if age > self._settings.event_age_max:
            return Outcome.STALE
        if webhook.id in self._taken:
            return Outcome.REPEATED
        try:
            self._queue.put_nowait(webhook.told)
        except asyncio.QueueFull:
            # Its id is not kept: it is to come again.
            return Outcome.QUEUE_FULL
        self._taken[webhook.id] = None
        if len(self._taken) > IDS_KEPT:
            self._taken.popitem(last=False)
        return Outcome.TAKEN
