"""The endpoint of log drains: nothing is inflated, decoded or believed before its signature was found good.

Source: Vercel docs, Drains, Security; Vercel OpenAPI, createDrain. An endpoint proves to be ours by `x-vercel-verify`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from daemon.ports.buckets import GapReason
from daemon.ports.drain import BatchOutcome, Recorder
from daemon.vercel.signature import SIGNATURE_HEADER
from daemon.web.drain.inflate import Encoding
from daemon.web.drain.intake import Intake
from daemon.web.drain.secrets import Secret, SignatureCheck

VERIFY_HEADER = "x-vercel-verify"
BODY_SECONDS_MAX = 30.0
"""Real time in which a batch must have come in whole."""
_CHARGE_MIN = 16 * 1024
"""What the smallest batch counts in the queue, so that many small ones are bounded as well."""
_RETRY_AFTER_SECONDS = "5"

_ANSWERS: Final = {
    BatchOutcome.TAKEN: (200, ""),
    BatchOutcome.WRONG_SIGNATURE: (403, "the signature is not by any of our secrets"),
    BatchOutcome.NO_SECRET: (503, "no secret can be read, so that nothing can be believed"),
    BatchOutcome.UNKNOWN_ENCODING: (415, "send gzip, or no content-encoding"),
    BatchOutcome.TOO_LARGE: (413, "the batch is too large"),
    BatchOutcome.TOO_SLOW: (408, "the batch did not come in whole"),
    BatchOutcome.INFLATES_TOO_FAR: (413, "the batch is too large once inflated"),
    BatchOutcome.TORN: (400, "the batch is not what the drain's documentation promises"),
    BatchOutcome.OVERFLOW: (503, "more came than can be taken; send it again later"),
}

log = structlog.get_logger()


class _Ended(Exception):
    """The batch is not taken."""

    def __init__(self, outcome: BatchOutcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(slots=True)
class _Body:
    """A body that comes in. `charged` is what it counts in the queue of bytes."""

    chunks: list[bytes] = field(default_factory=list)
    length: int = 0
    charged: int = 0


class Receiver:
    """An ASGI app for the path of the drains: GET and HEAD shake hands, POST delivers.

    *body_bytes_max* bounds one batch, *queue_bytes_max* all that are on their way in.
    """

    def __init__(
        self,
        intake: Intake,
        secrets: Callable[[], Sequence[Secret]],
        *,
        recorder: Recorder,
        verify_code: str | None,
        body_bytes_max: int,
        queue_bytes_max: int,
    ) -> None:
        self._intake = intake
        self._secrets = secrets
        self._recorder = recorder
        self._proof = {VERIFY_HEADER: verify_code} if verify_code else {}
        self._body_bytes_max = body_bytes_max
        self._queue_bytes_max = queue_bytes_max
        self._queued_bytes = 0
        self._told: BatchOutcome | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer: Response
        match scope["method"]:
            case "GET" | "HEAD":
                answer = PlainTextResponse("lastgood receives log drains here\n", headers=self._proof)
            case "POST":
                answer = await self._take(Headers(scope=scope), receive)
            case _:
                answer = PlainTextResponse("use GET or POST\n", status_code=405, headers={"allow": "GET, HEAD, POST"})
        await answer(scope, receive, send)

    async def _take(self, headers: Headers, receive: Receive) -> Response:
        body = _Body()
        try:
            outcome = await self._read_and_count(headers, receive, body)
        except _Ended as ended:
            outcome = ended.outcome
        finally:
            self._queued_bytes -= body.charged
        self._recorder.note_batch(outcome, body_bytes=body.length)
        self._tell(outcome)
        status, sentence = _ANSWERS[outcome]
        if outcome is BatchOutcome.TAKEN:
            return Response(status_code=status, headers=self._proof)
        retry = {"retry-after": _RETRY_AFTER_SECONDS} if status == 503 else {}
        return PlainTextResponse(f"{sentence}\n", status_code=status, headers=retry)

    async def _read_and_count(self, headers: Headers, receive: Receive, body: _Body) -> BatchOutcome:
        encoding = _encoding_of(headers)
        secrets = self._secrets()
        if not secrets:
            self._intake.note_gap(GapReason.OVERFLOW)
            return BatchOutcome.NO_SECRET
        check = SignatureCheck(secrets)
        try:
            async with asyncio.timeout(BODY_SECONDS_MAX):
                await self._read(_declared_length(headers), receive, body, check)
        except TimeoutError:
            return BatchOutcome.TOO_SLOW
        stream = check.stream_of(headers.get(SIGNATURE_HEADER, "").encode("latin-1"))
        if stream is None:
            return BatchOutcome.WRONG_SIGNATURE
        return await self._intake.take(body.chunks, encoding, stream=stream)

    async def _read(self, declared: int, receive: Receive, body: _Body, check: SignatureCheck) -> None:
        """Read the body into *body* and *check*, as far as there is room for it."""
        self._charge(body, max(declared, _CHARGE_MIN))
        while True:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                raise _Ended(BatchOutcome.TOO_SLOW)
            if chunk := message.get("body", b""):
                body.length += len(chunk)
                self._charge(body, body.length)
                body.chunks.append(chunk)
                check.add(chunk)
            if not message.get("more_body", False):
                return

    def _charge(self, body: _Body, length: int) -> None:
        """Let *body* count *length* bytes in the queue.

        Raises _Ended where it is too large, or the queue is full: nobody can say then whether it was signed, so that
        something may be missed.
        """
        if length > self._body_bytes_max:
            raise _Ended(BatchOutcome.TOO_LARGE)
        more = length - body.charged
        if more <= 0:
            return
        if self._queued_bytes + more > self._queue_bytes_max:
            self._intake.note_gap(GapReason.OVERFLOW)
            raise _Ended(BatchOutcome.OVERFLOW)
        self._queued_bytes += more
        body.charged += more

    def _tell(self, outcome: BatchOutcome) -> None:
        """Log trouble when it begins; that it goes on is counted."""
        if outcome is not self._told and outcome is not BatchOutcome.TAKEN:
            log.warning("batch.refused", outcome=outcome, summary=_ANSWERS[outcome][1])
        self._told = outcome


def _encoding_of(headers: Headers) -> Encoding:
    try:
        return Encoding(headers.get("content-encoding", "").strip().lower() or Encoding.IDENTITY)
    except ValueError:
        raise _Ended(BatchOutcome.UNKNOWN_ENCODING) from None


def _declared_length(headers: Headers) -> int:
    """Return what the sender says of the body's length; 0 where it says nothing that can be used."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def drain_routes(receiver: Receiver, *, path: str) -> list[BaseRoute]:
    """Return the routes that let an app receive drains at *path*."""
    return [Route(path, endpoint=receiver, methods=None)]
