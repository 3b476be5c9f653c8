"""Servers for tests of sources that speak to others than Vercel's API: scripts of answers, bodies as streams."""

import json
from collections.abc import Callable, Mapping

import httpx

from tests.unit.vercel.fakes import BrokenBody

Answering = Callable[[httpx.Request], httpx.Response]


def text(content: str | bytes, status: int = 200, **headers: str) -> Answering:
    """Answer with *content* in two pieces; names of headers are written with _ for -."""
    body = content.encode() if isinstance(content, str) else content
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=named, stream=BrokenBody(body[:7], body[7:]))

    return answer


def jsonly(value: object, status: int = 200, **headers: str) -> Answering:
    """Answer with *value* as JSON."""
    return text(json.dumps(value), status, **{"content_type": "application/json"} | headers)


def by_path(routes: Mapping[str, Answering]) -> Answering:
    """Answer each path in its own way; host and path together are looked up first."""

    def answer(request: httpx.Request) -> httpx.Response:
        path, host = request.url.path, request.headers["host"]
        return (routes.get(f"{host}{path}") or routes[path])(request)

    return answer
