"""Answers that are sent piece by piece."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import AsyncContentStream, StreamingResponse
from starlette.types import Send

STREAM_CONTENT_TYPE = "application/stream+json"
"""One JSON object a line. Source: Vercel OpenAPI, getRuntimeLogs and getDeploymentEvents."""


class HeldResponse(StreamingResponse):
    """A stream that sends nothing, not even its headers, before its first piece that is not empty.

    So does the live tail of Vercel's runtime logs, as observed live by others.
    """

    async def stream_response(self, send: Send) -> None:
        """Wait for the first piece, then stream as usual."""
        pieces = aiter(self.body_iterator)
        async for piece in pieces:
            if piece:
                self.body_iterator = _rejoined(piece, pieces)
                break
        await super().stream_response(send)


async def _rejoined(first: Any, rest: AsyncContentStream) -> AsyncIterator[Any]:
    yield first
    async for piece in rest:
        yield piece
