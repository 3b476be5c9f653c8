"""A clock that only tests move, and a server that answers by script and remembers what it was asked."""

import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta

import httpx

from daemon.vercel.transport import ActingTransport, Limits, VercelTransport

TOKEN = "tok_test_0123456789abcdefghijkl"
TEAM = "team_abcDEF0123456789abcdef01"
PROJECT = "prj_AAAAAAAAAAAAAAAAAAAAAAAA"
NOW = datetime(2026, 11, 21, 20, 20, 55, 123456, tzinfo=UTC)


class StillClock:
    """Implements `ports.clock.Clock`: time passes only by sleeping, and sleeping takes no time."""

    def __init__(self, now: datetime = NOW) -> None:
        self.began = now
        self.passed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds


Step = httpx.Response | Exception | Callable[[httpx.Request], Awaitable[httpx.Response] | httpx.Response]


class Script(httpx.AsyncBaseTransport):
    """Answers each request with the next step; the last step answers for ever."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):
            return step
        answer = step(request)
        return answer if isinstance(answer, httpx.Response) else await answer

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]

    def query(self, number: int = -1) -> dict[str, str]:
        return dict(self.requests[number].url.params)

    def body(self, number: int = -1) -> object:
        return json.loads(self.requests[number].content)


class BrokenBody(httpx.AsyncByteStream):
    """A body that breaks off after its first bytes."""

    def __init__(self, *chunks: bytes, trouble: Exception | None = None) -> None:
        self.chunks = chunks
        self.trouble = trouble

    async def __aiter__(self):
        for chunk in self.chunks:
            yield chunk
        if self.trouble:
            raise self.trouble


def a_transport(*steps: Step, kind=ActingTransport, **settings) -> tuple[ActingTransport, Script, StillClock]:
    """A transport over a script, which retries without jitter: it always waits the longest."""
    script, clock = Script(*steps), settings.pop("clock", StillClock())
    settings = {
        "base_url": "https://api.vercel.com",
        "token": lambda: TOKEN,
        "clock": clock,
        "jitter": lambda: 1.0,
        "team_id": TEAM,
        "transport": script,
        "limits": Limits(),
    } | settings
    return kind(settings.pop("base_url"), settings.pop("token"), **settings), script, clock


def a_reader(*steps: Step, **settings) -> tuple[VercelTransport, Script, StillClock]:
    """The same, with no way to write and no priority."""
    return a_transport(*steps, kind=VercelTransport, **settings)


def answers(*bodies: object) -> list[httpx.Response]:
    return [httpx.Response(200, json=body) for body in bodies]


def an_error(status: int, code: str = "some_code", message: str = "some reason", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": message}}, headers=headers)


def by_path(routes: dict[str, Iterable[object]]) -> Callable[[httpx.Request], httpx.Response]:
    """Answer each path from its own list of bodies or responses."""
    left = {path: list(bodies) for path, bodies in routes.items()}

    def answer(request: httpx.Request) -> httpx.Response:
        bodies = left[request.url.path]
        body = bodies.pop(0) if len(bodies) > 1 else bodies[0]
        return body if isinstance(body, httpx.Response) else httpx.Response(200, json=body)

    return answer
