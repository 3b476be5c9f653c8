"""The ASGI app: receives a request, lets the faults strike it, records it, answers it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from daemon.emulator import sites, unknown_answers
from daemon.emulator.call import JSON_CONTENT_TYPE, Answer, Call, Route
from daemon.emulator.control import Control
from daemon.emulator.deliveries import Deliveries
from daemon.emulator.errors import ApiError, ConnectionReset, forbidden, not_found, refusal
from daemon.emulator.fault_specs import (
    ContentTypeFault,
    HtmlFault,
    NoContentTypeFault,
    ResetFault,
    RouteGroup,
    SlowFault,
    StatusFault,
    When,
)
from daemon.emulator.faults import Strikes
from daemon.emulator.ledger import BODY_KEPT_CHARACTERS, MUTATING, READ, LedgerEntry
from daemon.emulator.limits import RateLimiter
from daemon.emulator.model import Token
from daemon.emulator.routes import API_ROUTES
from daemon.emulator.streams import HeldResponse
from daemon.emulator.world import World

CONTROL_PREFIX = "/__control/"
BODY_MAX_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class _Matched:
    route: Route | None
    path: dict[str, str]

    @property
    def group(self) -> RouteGroup:
        return RouteGroup.UNKNOWN if self.route is None else self.route.group


class EmulatorApp:
    """Vercel's API, its deployed sites and the control endpoint over one world."""

    def __init__(
        self,
        world: World,
        *,
        reset_connection: Callable[[Scope], None] | None = None,
        reset_error: Callable[[str], Exception] = ConnectionReset,
    ) -> None:
        """Serve *world*.

        *reset_connection* closes the socket of a request; without one (no socket) what *reset_error* returns is raised.
        """
        self.world = world
        self._reset_connection = reset_connection
        self._reset_error = reset_error
        self.deliveries = Deliveries(world)
        self._control = Control(world, self.deliveries)
        self._limiter = RateLimiter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        assert scope["type"] == "http", scope["type"]
        request = Request(scope, receive)
        try:
            body = await _bounded_body(request)
        except ClientDisconnect:
            return
        self.world.advance()
        host = Headers(scope=scope).get("host", "").partition(":")[0].lower()
        if request.url.path.startswith(CONTROL_PREFIX):
            response = _response(self._control.answer(request.method, request.url.path, request.query_params, body))
            await response(scope, receive, send)
        elif sites.is_site(self.world, host):
            site = sites.answer(self.world, host, request)
            await site(scope, receive, send)
        else:
            await self._serve_api(request, body, scope, receive, send)

    async def _serve_api(self, request: Request, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        matched = _match(request.method, request.url.path)
        token = self._token(request)
        entry = self._open_entry(request, body, matched, token)
        strikes = self.world.faults.strike(route=matched.group, method=request.method, project=entry.project)
        entry.faults = [fault.id for fault in strikes.faults]
        await self._reach(When.BEFORE_APPLY, entry, strikes)
        if self._resets(strikes, When.BEFORE_APPLY):
            entry.status = "reset-before"
            await self._reset(scope, receive)
            return
        answer = await self._answer(request, body, matched, token, strikes)
        entry.applied = answer.applied
        await self._reach(When.AFTER_APPLY, entry, strikes)
        if self._resets(strikes, When.AFTER_APPLY):
            entry.status = "reset-after"
            await self._reset(scope, receive)
            return
        answer = _disturbed(answer, strikes)
        entry.status = answer.status
        limit = self.world.knobs.rate_limit_per_minute
        limit_headers = self._limiter.headers(entry.token or "", self.world.now_ms, refuses_above=limit)
        limit_headers = limit_headers if self.world.knobs.rate_limit_headers else {}
        await _response(answer, limit_headers)(scope, receive, send)
        await self._reach(When.AFTER_ANSWER, entry, strikes)

    def _open_entry(self, request: Request, body: bytes, matched: _Matched, token: Token | None) -> LedgerEntry:
        is_mutating = request.method != "GET" if matched.route is None else matched.route.is_mutating
        return self.world.ledger.open(
            LedgerEntry(
                number=self.world.ledger.next_number(),
                at_ms=self.world.now_ms,
                method=request.method,
                path=request.url.path,
                query=request.url.query,
                body=body[: 4 * BODY_KEPT_CHARACTERS].decode("utf-8", "replace"),
                token=None if token is None else token.name,
                route=matched.group.value,
                kind=MUTATING if is_mutating else READ,
                project=self._project_name(matched, request),
            )
        )

    def _project_name(self, matched: _Matched, request: Request) -> str | None:
        """Return the name of the project that the request speaks of; None when it names none that exists."""
        wanted = matched.path.get("project") or request.query_params.get("projectId")
        try:
            return self.world.project(wanted).name if wanted else None
        except ApiError:
            return None

    async def _reach(self, when: When, entry: LedgerEntry, strikes: Strikes) -> None:
        """Let what waits for this point of a request happen: the hook, a kill, a delay."""
        if self.world.request_hook is not None:
            waiting = self.world.request_hook(when.value, entry)
            if waiting is not None:
                await waiting
        self.world.faults.notify(strikes, when)
        for slow in strikes.of(SlowFault):
            if slow.when == when:
                await self.world.clock.sleep(slow.delay / 1000)
        self.world.advance()

    async def _answer(
        self, request: Request, body: bytes, matched: _Matched, token: Token | None, strikes: Strikes
    ) -> Answer:
        if strikes.first(HtmlFault) is not None:
            return Answer(200, "<!doctype html><title>One moment, please</title>", content_type="text/html")
        for fault in strikes.of(StatusFault):
            if fault.when is When.BEFORE_APPLY:
                return _status_answer(fault)
        try:
            limit = self.world.knobs.rate_limit_per_minute
            self._limiter.count(token.name if token else "", self.world.now_ms, refuses_above=limit)
            return await self._applied(request, body, matched, token, strikes)
        except ApiError as refusal:
            return Answer(refusal.status, refusal.envelope(), headers=_retry_after(refusal.extra))

    async def _applied(
        self, request: Request, body: bytes, matched: _Matched, token: Token | None, strikes: Strikes
    ) -> Answer:
        if token is None:
            raise _unauthenticated(request)
        if matched.route is None:
            raise not_found(f"The requested route {request.method} {request.url.path} is not emulated.")
        if matched.route.is_mutating and token.read_only:
            raise forbidden()
        unknown_answers.refuse(self.world.knobs, token, matched.route, request.url.path)
        query = QueryParams(request.url.query)
        call = Call(
            self.world,
            token,
            query,
            matched.path,
            _parsed(body),
            strikes,
            request.headers,
            body,
            deliveries=self.deliveries,
        )
        answer = matched.route.handler(call)
        return answer if isinstance(answer, Answer) else await answer

    def _token(self, request: Request) -> Token | None:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        return self.world.tokens.get(value.strip()) if scheme.lower() == "bearer" else None

    @staticmethod
    def _resets(strikes: Strikes, when: When) -> bool:
        return any(fault.when is when for fault in strikes.of(ResetFault))

    async def _reset(self, scope: Scope, receive: Receive) -> None:
        if self._reset_connection is None:
            raise self._reset_error("the emulated server reset the connection")
        self._reset_connection(scope)
        # The server calls it an error when an app ends without an answer, unless it saw the client go.
        while (await receive())["type"] != "http.disconnect":
            continue


def _match(method: str, path: str) -> _Matched:
    for route in API_ROUTES:
        if method in route.methods and (found := route.pattern.fullmatch(path)):
            return _Matched(route, found.groupdict())
    return _Matched(None, {})


def _unauthenticated(request: Request) -> ApiError:
    """Return 403 for a token that is none, 401 without one. Source: Vercel CLI 64.0.2 for ``invalidToken``."""
    if "authorization" in request.headers:
        return forbidden("Not authorized", invalidToken=True)
    return ApiError(401, "forbidden", "The request is missing an authentication token", missingToken=True)


async def _bounded_body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX_BYTES:
            return body[:BODY_MAX_BYTES]
    return body


def _parsed(body: bytes) -> Any:
    """Return the JSON of a request's body; None when it is empty or none."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _status_answer(fault: StatusFault) -> Answer:
    message = fault.message or ("Too many requests" if fault.status == 429 else f"Fault: {fault.status}")
    extra = {} if fault.retry_after_seconds is None else {"retryAfterSeconds": fault.retry_after_seconds}
    error = refusal(fault.status, message, code=fault.code)
    return Answer(fault.status, error.envelope(), headers=_retry_after(extra))


def _retry_after(extra: dict[str, Any]) -> dict[str, str]:
    seconds = extra.get("retryAfterSeconds")
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _disturbed(answer: Answer, strikes: Strikes) -> Answer:
    """Return what is sent in place of *answer* when a fault strikes between the effect and the answer."""
    for fault in strikes.of(StatusFault):
        if fault.when is When.AFTER_APPLY:
            return _status_answer(fault)
    if answer.body is None and strikes.first(ContentTypeFault) is not None:
        return Answer(answer.status, "", content_type=JSON_CONTENT_TYPE)
    if strikes.first(NoContentTypeFault) is not None:
        return replace(answer, content_type=None)
    return answer


def _response(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    merged = {**(headers or {}), **answer.headers}
    if answer.stream is not None:
        kind = HeldResponse if answer.holds_headers else StreamingResponse
        return kind(answer.stream, answer.status, merged, media_type=answer.content_type)
    if answer.body is None:
        return Response(status_code=answer.status, headers=merged)
    text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
    response = Response(text, status_code=answer.status, headers=merged)
    if answer.content_type is not None:
        response.headers["content-type"] = answer.content_type
    return response
