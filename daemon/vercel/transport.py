"""The one HTTP client for Vercel: bounded, patient with reads, and never sending a write twice."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self

import httpx

from daemon.ports.clock import Clock
from daemon.ports.errors import OutcomeUnknown, RateLimited, Unavailable
from daemon.vercel.allowance import read_allowance
from daemon.vercel.answers import Answer, judge_read, judge_write, read_wait
from daemon.vercel.budget import RateBudget
from daemon.vercel.fields import is_loopback

NO_ANSWER = 0
"""The status that `on_response` is told when no answer came."""

READS_BY_POST = frozenset({"/v2/observability/query", "/metrics/v1", "/v1/observability/events"})
"""The only POSTs that change nothing. Source: Vercel OpenAPI (the first); Vercel CLI 64.0.2 (the others)."""

Parameters = Mapping[str, str | int]

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""Trouble that comes before the first byte of a request leaves."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one client. Seconds of the event loop's clock, but for the waits between tries, which are the Clock's.

    `request_timeout_seconds` bounds one try altogether, the wait for a free slot and a dripping body included: no write
    is at work on our side for longer. `concurrency_max` lies below `connections_max`, because the pool of connections
    is unfair when it is exhausted, and the difference is what urgent reads have to themselves. `retry_total_seconds`:
    no try of a read begins later than this, be it that the budget has no room or that the ones before failed.
    """

    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 10.0
    request_timeout_seconds: float = 15.0
    concurrency_max: int = 16
    connections_max: int = 20
    body_bytes_max: int = 8 * 1024 * 1024
    tries_max: int = 3
    retry_total_seconds: float = 30.0
    retry_first_wait_seconds: float = 0.5
    retry_wait_seconds_max: float = 10.0

    def __post_init__(self) -> None:
        assert 0 < self.concurrency_max < self.connections_max, "connections_max must exceed concurrency_max"
        assert 0 < self.connect_timeout_seconds < self.request_timeout_seconds, "a try must outlast its connecting"
        assert self.tries_max >= 1
        assert self.body_bytes_max >= 1


@dataclass(frozen=True, slots=True)
class Request:
    """One request, without its token. `route` is its bounded label for metrics, `what` its name in error messages."""

    method: str
    path: str
    route: str
    what: str
    params: Parameters
    body: object = None
    origin: str | None = None


class VercelTransport:
    """Reads Vercel's API with one token. It has no way to write; `ActingTransport` does.

    *token* is called for every request, so that a rotated file needs no restart. *jitter* returns a fraction in 0..1 (a
    seeded `random.Random(...).random`). *team_id* goes along with every call, since Vercel else falls back to the
    default team of the token's user. *budget* is shared with every other transport of the same token; without one the
    transport has a default one of its own. *on_response* is told route, status (NO_ANSWER without one) and seconds of
    every try, *on_retry* the route of every try after the first; neither may raise. *transport* replaces the network in
    tests.
    """

    keeps_connections = True
    is_urgent = False
    """Whether its requests go ahead of the budget, as those of the executor do."""

    def __init__(
        self,
        base_url: str,
        token: Callable[[], str],
        *,
        clock: Clock,
        jitter: Callable[[], float],
        team_id: str | None = None,
        limits: Limits | None = None,
        budget: RateBudget | None = None,
        on_response: Callable[[str, int, float], None] = lambda _route, _status, _seconds: None,
        on_retry: Callable[[str], None] = lambda _route: None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.team_id = team_id
        self.limits = limits or Limits()
        self._token = token
        self._clock = clock
        self._jitter = jitter
        self._budget = budget or RateBudget(clock=clock, jitter=jitter)
        self._on_response = on_response
        self._on_retry = on_retry
        self._slots = asyncio.Semaphore(self.limits.concurrency_max)
        self._client = self._open(transport)

    def _open(self, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
        limits = self.limits
        read = limits.read_timeout_seconds
        return httpx.AsyncClient(
            http2=self.base_url.startswith("https://"),
            transport=transport,
            follow_redirects=False,
            # Proxies and certificates of the environment count, but not on the way to this very machine.
            trust_env=not is_loopback(httpx.URL(self.base_url).host),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            headers={"user-agent": "lastgood", "accept": "application/json"},
            timeout=httpx.Timeout(
                connect=limits.connect_timeout_seconds, read=read, write=read, pool=limits.connect_timeout_seconds
            ),
            limits=httpx.Limits(
                max_connections=limits.connections_max,
                max_keepalive_connections=limits.connections_max if self.keeps_connections else 0,
                keepalive_expiry=30.0,
            ),
        )

    @cached_property
    def urgent(self) -> "VercelTransport":
        """This transport as the executor reads with it: same client and token, ahead of every poll.

        Its reads wait for no budget and no pause, and have slots of their own; they are charged, so that polls wait in
        their place. It lives as long as the transport itself, which is the one to be closed.
        """
        urgent = copy.copy(self)
        urgent.is_urgent = True
        urgent._slots = asyncio.Semaphore(self.limits.connections_max - self.limits.concurrency_max)
        return urgent

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; the transport is of no use afterwards."""
        await self._client.aclose()

    async def read(
        self,
        method: str,
        path: str,
        *,
        route: str,
        what: str,
        params: Parameters | None = None,
        body: object = None,
        origin: str | None = None,
    ) -> object:
        """Return the JSON value that answers a read, trying again with jitter where that may help.

        *origin* ("https://vercel.com") replaces the base URL. Raises Unavailable or RateLimited when the tries or their
        total time are used up (at once, when the server asks for a longer wait than is left, or the budget has no room
        in time), Refused, Unintelligible.
        """
        assert method == "GET" or (method == "POST" and path in READS_BY_POST), f"{method} {path} is not a read"
        request = Request(method, path, route, what, params or {}, body, origin)
        began = self._clock.monotonic()
        tries = 1
        while True:
            await self._await_budget(request, elapsed=self._clock.monotonic() - began)
            try:
                return await self._try_read(request)
            except Unavailable as error:
                wait = self._wait_before_next(error, tries=tries, elapsed=self._clock.monotonic() - began)
                if wait is None:
                    raise
            tries += 1
            self._on_retry(route)
            await self._clock.sleep(wait)

    async def _await_budget(self, request: Request, *, elapsed: float) -> None:
        if self.is_urgent:
            return self._budget.spend()
        left = self.limits.retry_total_seconds - elapsed
        return await self._budget.admit(request.route, what=request.what, seconds_max=left)

    def _wait_before_next(self, error: Unavailable, *, tries: int, elapsed: float) -> float | None:
        """Return the seconds to wait before the next try; None when there is to be none."""
        if tries >= self.limits.tries_max:
            return None
        longest = self.limits.retry_wait_seconds_max
        backoff = min(self.limits.retry_first_wait_seconds * 2 ** (tries - 1), longest)
        wait = backoff * (0.5 + 0.5 * self._jitter())
        asked = error.retry_after_seconds if isinstance(error, RateLimited) else None
        if asked is not None:
            if asked > longest:
                return None
            # Everybody was told the same second, so jitter comes on top of it.
            wait += asked
        return wait if elapsed + wait <= self.limits.retry_total_seconds else None

    async def _try_read(self, request: Request) -> object:
        authorization = self._authorization(request)
        try:
            async with asyncio.timeout(self.limits.request_timeout_seconds), self._slots:
                answer = await self._exchange(request, authorization)
        except TimeoutError as error:
            raise Unavailable(f"{request.what}: no answer in {self.limits.request_timeout_seconds:g} s") from error
        except httpx.RequestError as error:
            raise Unavailable(f"{request.what}: {_trouble(error)}") from error
        return judge_read(_without(answer, authorization), what=request.what, now=self._clock.now())

    def _authorization(self, request: Request) -> str:
        """Return the header's value. Raises Unavailable for an unusable token: a file half rotated is soon whole."""
        try:
            token = self._token().strip()
        except OSError as error:
            raise Unavailable(
                f"{request.what}: nothing sent, the token cannot be read ({type(error).__name__})"
            ) from error
        # An illegal header would be quoted, token and all, in the error of the HTTP library.
        if not (token.isascii() and token.isprintable()) or not token or " " in token:
            raise Unavailable(f"{request.what}: nothing sent, the token is empty or has characters that no token has")
        return f"Bearer {token}"

    async def _exchange(self, request: Request, authorization: str) -> Answer:
        """Send *request* once and return its answer. Raises httpx.RequestError."""
        began = self._clock.monotonic()
        status = NO_ANSWER
        try:
            async with self._stream(request, authorization) as response:
                status = response.status_code
                self._heed(request.route, response)
                return await self._receive(response)
        finally:
            self._on_response(request.route, status, self._clock.monotonic() - began)

    def _heed(self, route: str, response: httpx.Response) -> None:
        """Let the budget of every transport of the token know what the server said about it."""
        if allowance := read_allowance(response.headers):
            self._budget.heed(route, allowance)
        if response.status_code == 429:
            self._budget.pause(route, read_wait(_head(response), now=self._clock.now()) or 0.0)

    @asynccontextmanager
    async def _stream(self, request: Request, authorization: str) -> AsyncIterator[httpx.Response]:
        params = dict(request.params) | ({"teamId": self.team_id} if self.team_id else {})
        async with self._client.stream(
            request.method,
            (request.origin or self.base_url).rstrip("/") + request.path,
            params=params,
            json=request.body,
            headers={"authorization": authorization},
        ) as response:
            yield response

    async def _receive(self, response: httpx.Response) -> Answer:
        """Return status, headers and the bounded body. A body that breaks off does not hide the status."""
        answer = _head(response)
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self.limits.body_bytes_max:
                    return replace(answer, body=bytes(body[: self.limits.body_bytes_max]), is_overlong=True)
        except httpx.RequestError:
            return replace(answer, body=bytes(body), is_cut=True)
        return replace(answer, body=bytes(body))


class ActingTransport(VercelTransport):
    """A transport that may also write, with a token and connections of its own. All that it sends is urgent.

    It keeps no connection open: a write on an idle connection that the server closes at that moment has an unknown
    outcome, while a connection that cannot be opened has surely carried nothing.
    """

    keeps_connections = False
    is_urgent = True

    async def write_once(
        self, method: str, path: str, *, route: str, what: str, params: Parameters | None = None, body: object = None
    ) -> int:
        """Send a write exactly once and return its 2xx status. Never tries again, never follows a redirect.

        Raises Unavailable (surely not sent), RateLimited, Refused, OutcomeUnknown (perhaps applied: read before
        anything else). On our side it is over within `limits.request_timeout_seconds`.
        """
        request = Request(method, path, route, what, params or {}, body)
        authorization = self._authorization(request)
        self._budget.spend()
        has_slot = False
        try:
            async with asyncio.timeout(self.limits.request_timeout_seconds), self._slots:
                has_slot = True
                answer = await self._exchange(request, authorization)
        except NOT_SENT as error:
            raise Unavailable(f"{what}: {_trouble(error)}; nothing was sent") from error
        except TimeoutError as error:
            if not has_slot:
                raise Unavailable(f"{what}: no free slot in time; nothing was sent") from error
            raise OutcomeUnknown(
                f"{what}: no answer in {self.limits.request_timeout_seconds:g} s; read production"
            ) from error
        except httpx.RequestError as error:
            raise OutcomeUnknown(f"{what}: {_trouble(error)} after sending; read production") from error
        return judge_write(_without(answer, authorization), what=what, now=self._clock.now())


def _head(response: httpx.Response) -> Answer:
    """Return status and headers as they came, without the body."""
    headers = response.headers
    return Answer(
        response.status_code, headers.get("content-type"), headers.get("retry-after"), date=headers.get("date")
    )


def _without(answer: Answer, authorization: str) -> Answer:
    """Return *answer* without our token, should an error message echo it."""
    token = authorization.removeprefix("Bearer ").encode()
    return replace(answer, body=answer.body.replace(token, b"***")) if answer.status >= 300 else answer


def _trouble(error: httpx.RequestError) -> str:
    """Return the kind of trouble; its text is left out, since it may quote what was sent."""
    return f"connection trouble ({type(error).__name__})"
