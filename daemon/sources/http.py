"""Reads from servers other than Vercel's API: everything bounded, nothing followed, nothing kept between polls."""

import asyncio
import functools
import re
import ssl
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator
from pydantic_core import from_json

from daemon.core.signal import SignalReason
from daemon.ports.errors import PortError, RateLimited, Refused, Unavailable, Unintelligible
from daemon.vercel.answers import is_json, parse_retry_after, printable
from daemon.vercel.fields import is_loopback

CONNECTIONS_MAX = 8
HEADERS_FILE_BYTES_MAX = 16_384
Network = httpx.AsyncBaseTransport
"""What carries requests; tests put a server of their own in its place."""
DEPLOYMENT_ID = re.compile(r"dpl_[A-Za-z0-9_]{1,60}")
"""How a deployment is named where the operator's own labels and headers name it: anything else is no id."""
_HEADER = re.compile(r"([A-Za-z0-9-]{1,64}):[ \t]*([!-~](?:[ -~]*[!-~])?)")


def _server(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("is not the address of a server; write one such as https://metrics.example.com/prometheus")
    return url.rstrip("/")


ServerUrl = Annotated[str, AfterValidator(_server)]


def check_secrecy(url: str, headers_file: Path | None) -> None:
    """Refuse to send secret headers in the clear. Raises ValueError.

    A name without a dot is on this machine's own network, such as another container's.
    """
    host = urlsplit(url).hostname or ""
    is_near = is_loopback(host) or not ("." in host or ":" in host)
    if headers_file and url.startswith("http:") and not is_near:
        raise ValueError("headers_file would travel in clear text over http; write https://, or leave it out")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of any status. Names of headers are in lower case. `is_overlong`: `body` is only its beginning."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    is_overlong: bool = False


class HeadersFile:
    """The operator's own headers, such as `Authorization: Bearer ...`, one a line, read again for each collection.

    A file that is missing or broken gives no headers at all: half a rotation is over by the next poll.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, str]:
        """Return the headers as the file has them now. Raises Unavailable, which never quotes them."""
        try:
            # Opening a pipe would wait for its other end.
            if not stat.S_ISREG(self._path.stat().st_mode):
                raise Unavailable(f"nothing sent: {self._path} is no file; write the headers there, one a line")
            with self._path.open("rb") as file:
                content = file.read(HEADERS_FILE_BYTES_MAX + 1)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise Unavailable(f"nothing sent: {self._path} cannot be read ({why}); write the headers there") from error
        lines = content.decode("ascii", errors="replace").splitlines()
        found = [_HEADER.fullmatch(line.strip()) for line in lines if line.strip()]
        headers = [one.groups() for one in found if one]
        if len(content) > HEADERS_FILE_BYTES_MAX or not headers or len(headers) < len(found):
            raise Unavailable(f"nothing sent: {self._path} is not a list of headers; write `Name: value`, one a line")
        return {name.lower(): value for name, value in headers}


class Connection:
    """Requests to one server, at most CONNECTIONS_MAX at once."""

    def __init__(self, client: httpx.AsyncClient, *, timeout_seconds: float, body_bytes_max: int) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._body_bytes_max = body_bytes_max
        self._slots = asyncio.Semaphore(CONNECTIONS_MAX)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer, of whatever status. Raises Unavailable where there is none."""
        try:
            async with self._slots, asyncio.timeout(self._timeout_seconds):
                return await self._exchange(method, url, headers=headers, form=form)
        except TimeoutError as error:
            raise Unavailable(f"{what}: no answer in {self._timeout_seconds:g} s") from error
        except httpx.RequestError as error:
            # The text of the error is left out: it may quote what was sent.
            raise Unavailable(f"{what}: connection trouble ({type(error).__name__})") from error

    async def _exchange(
        self, method: str, url: str, *, headers: Mapping[str, str] | None, form: Mapping[str, str] | None
    ) -> Answer:
        async with self._client.stream(method, url, headers=headers, data=form) as response:
            body = bytearray()
            # Nothing was asked to be compressed, so nothing is inflated: a small bomb stays small.
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._body_bytes_max:
                    break
            found = {name.lower(): value for name, value in response.headers.items()}
            is_overlong = len(body) > self._body_bytes_max
            return Answer(response.status_code, found, bytes(body[: self._body_bytes_max]), is_overlong)


class HttpReader:
    """A way to one server. `network` replaces the real one in tests."""

    def __init__(
        self, url: str, *, timeout_seconds: float, body_bytes_max: int, user_agent: str, network: Network | None = None
    ) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._body_bytes_max = body_bytes_max
        self._user_agent = user_agent
        self._network = network

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Yield connections that are shared by the requests of one collection and closed with it."""
        async with httpx.AsyncClient(
            transport=self._network,
            verify=_tls(),
            follow_redirects=False,
            # Proxies and certificates of the environment count, but not on the way to this very machine.
            trust_env=not is_loopback(urlsplit(self._url).hostname or ""),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            headers={"user-agent": self._user_agent, "accept-encoding": "identity"},
            timeout=self._timeout_seconds,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX + 2),
        ) as client:
            yield Connection(client, timeout_seconds=self._timeout_seconds, body_bytes_max=self._body_bytes_max)


@functools.cache
def _tls() -> ssl.SSLContext:
    # Loading all certificates takes longer than most requests, so it is done once.
    return httpx.create_ssl_context()


def read_json(answer: Answer, *, what: str, now: datetime) -> object:
    """Return the JSON value in the answer to a read of *what*.

    Raises RateLimited (429, or 503 that says how long to wait), Unavailable (408, 422, other 5xx), Refused (other 4xx),
    Unintelligible (a redirect, no JSON, over-long). 422 is a query that was understood and could not be carried out: it
    is too heavy, or a part of the server is away, which may be over soon.
    Source: Prometheus HTTP API, "Format overview".
    """
    if answer.status // 100 != 2:
        raise _trouble(answer, what=what, now=now)
    if answer.is_overlong:
        sentence = f"{what}: the answer is longer than {len(answer.body)} bytes; taken as no answer"
        raise Unintelligible(sentence, reason=SignalReason.TRUNCATED)
    content_type = answer.headers.get("content-type")
    if not is_json(content_type):
        raise Unintelligible(f"{what}: answered {answer.status} with {content_type!r} instead of JSON")
    try:
        return from_json(answer.body, allow_inf_nan=False)
    except ValueError as error:
        raise Unintelligible(f"{what}: answered {answer.status} with text that is not JSON") from error


def refuse(sentence: str, *, status: int) -> Refused:
    """Return the refusal. Only 401 and 403 are about who asks: what else Vercel means by others holds for Vercel."""
    refused = Refused(sentence, status=status)
    refused.reason = SignalReason.UNAUTHORIZED if status in (401, 403) else SignalReason.REFUSED
    return refused


def _trouble(answer: Answer, *, what: str, now: datetime) -> PortError:
    sentence = f"{what}: answered {answer.status}: {_reason(answer.body) or 'no reason given'}"
    wait = parse_retry_after(answer.headers.get("retry-after"), now=now)
    if answer.status == 429 or (answer.status == 503 and wait is not None):
        return RateLimited(sentence, retry_after_seconds=wait)
    if answer.status >= 500 or answer.status in (408, 422):
        return Unavailable(sentence)
    if answer.status >= 400:
        return refuse(sentence, status=answer.status)
    return Unintelligible(f"{sentence}; redirects are never followed")


def _reason(body: bytes) -> str:
    """Return the text of `error` in a JSON body, '' where it has none; bounded, one line, printable.

    Source: Prometheus HTTP API, "Format overview".
    """
    try:
        envelope = from_json(body)
    except ValueError:
        return ""
    return printable(envelope.get("error") if isinstance(envelope, dict) else None)
