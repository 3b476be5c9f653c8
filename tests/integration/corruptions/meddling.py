"""Stands between a source and its server, and spoils what passes: answers that are read, batches that are pushed."""

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from tests.unit.web.drain.receiving import lines, signature

CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer on its way."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    def saying(self, document: object) -> "Answer":
        """Return the answer with another JSON value, which may be one that JSON does not know."""
        return replace(self, body=json.dumps(document).encode())


Edit = Callable[[httpx.Request, Answer], Answer]
"""What becomes of an answer; it may raise an httpx.TransportError instead."""


class Meddler(httpx.AsyncBaseTransport):
    """A network that spoils the answers to some requests while there is an `edit`."""

    def __init__(self, network: httpx.AsyncBaseTransport, *, concerns: Callable[[httpx.Request], bool]) -> None:
        self._network = network
        self._concerns = concerns
        self.edit: Edit | None = None
        self.spoiled = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._network.handle_async_request(request)
        if self.edit is None or not self._concerns(request):
            return response
        body = await response.aread()
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        self.spoiled += 1
        answer = self.edit(request, Answer(response.status_code, headers, body))
        return httpx.Response(answer.status, headers=answer.headers, stream=Stream(answer.body))


class Stream(httpx.AsyncByteStream):
    """A body in the pieces in which a socket would give it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> Any:
        for begin in range(0, len(self._body), CHUNK):
            yield self._body[begin : begin + CHUNK]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of a drain on its way, as it is sent."""

    headers: dict[str, str]
    body: bytes

    @property
    def entries(self) -> list[dict[str, Any]]:
        text = gzip.decompress(self.body)
        return [json.loads(line) for line in text.splitlines()]

    def saying(self, entries: Iterable[Any]) -> "Batch":
        """Return a batch of other entries, signed as they should be."""
        return self.of(lines(entries))

    def of(self, text: bytes) -> "Batch":
        """Return a batch of another text, compressed and signed as it should be."""
        return self.signed(gzip.compress(text, mtime=0))

    def signed(self, body: bytes) -> "Batch":
        """Return a batch of another body, which is signed as it should be."""
        return Batch(self.headers | {"x-vercel-signature": signature(body)}, body)


@dataclass(slots=True)
class Post:
    """The batches of one drain so far; what is done to one may depend on those before."""

    passed: list[Batch] = field(default_factory=list)
    held: list[tuple[float, Batch]] = field(default_factory=list)
    """What is delivered later: when, on the loop's clock."""


BatchEdit = Callable[[Post, Batch], list[Batch]]
"""What is delivered in place of a batch; nothing at all is a batch that gets lost behind an answer of 200."""


class Courier(httpx.AsyncBaseTransport):
    """The way of the batches to the receiver."""

    def __init__(self, network: httpx.AsyncBaseTransport) -> None:
        self._network = network
        self.edit: BatchEdit | None = None
        self.spoiled = 0
        self._post = Post()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        batch = Batch(dict(request.headers), await request.aread())
        batches = [batch]
        if self.edit is None:
            batches = [*(one for _, one in self._post.held), batch]
            self._post.held.clear()
        else:
            batches = self.edit(self._post, batch)
            self.spoiled += 1
        self._post.passed.append(batch)
        answer = httpx.Response(200)
        for one in batches:
            headers = one.headers | {"content-length": str(len(one.body))}
            again = httpx.Request(request.method, request.url, headers=headers, content=one.body)
            answer = await self._network.handle_async_request(again)
        return answer
