"""Batches as a log drain sends them: every field of schema v1 that a request's entry may have, with realistic texts.

Source: Vercel docs, Log Drains reference. Three in five requests reach a function, of which two in five log a line, an
entry of its own with the same request id; one in fifty is answered with 500. Ids, times, addresses and traces differ
from request to request; hosts, browsers and TLS fingerprints repeat, as they do in traffic.
"""

import gzip
import json
import random
import string
from collections.abc import Iterator
from typing import Any

ENTRIES = 1_000
"""Of one batch."""
BATCH_MS = 5
"""How long it takes until so many entries are logged, at 200,000 a second."""
START_MS = 1_795_291_200_000
_MARK = b"@@@@@@@@"
"""Stands in the request ids of a pattern; each batch made of it has ids of its own."""
_LETTERS = string.ascii_letters + string.digits
_ROUTES = (
    "/",
    "/api/cart",
    "/api/search",
    "/products/[slug]",
    "/checkout",
    "/_next/static/[...path]",
    "/api/user/[id]",
    "/blog/[slug]",
)
_BROWSERS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 "
    "Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/127.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
)
_PROJECTS, _FINGERPRINTS = 20, 40


class Traffic:
    """Makes batches of a team's traffic; the same seed makes the same ones."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._projects = [self._project(number) for number in range(_PROJECTS)]
        self._fingerprints = [
            (self._hex(32), f"t13d1516h2_{self._hex(12)}_{self._hex(12)}") for _ in range(_FINGERPRINTS)
        ]

    def batches(self, count: int, *, patterns: int) -> Iterator[bytes]:
        """Yield *count* batches of newline-delimited JSON, made of *patterns* ones that differ in everything."""
        made = [self._pattern(number * BATCH_MS) for number in range(patterns)]
        for number in range(count):
            yield made[number % patterns].replace(_MARK, f"{number:08d}".encode())

    def _pattern(self, first_ms: int) -> bytes:
        entries: list[dict[str, Any]] = []
        while len(entries) < ENTRIES:
            entries += self._request(START_MS + first_ms + len(entries) * BATCH_MS // ENTRIES)
        return b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in entries[:ENTRIES])

    def _project(self, number: int) -> tuple[str, str, list[tuple[str, str]]]:
        name = f"shop-{number}"
        deployments = [(f"dpl_{self._text(28)}", f"{name}-{self._hex(9)}-acme.vercel.app") for _ in range(2)]
        return f"prj_{self._text(28)}", name, deployments

    def _request(self, at_ms: int) -> Iterator[dict[str, Any]]:
        chance = self._random
        project, name, deployments = chance.choice(self._projects)
        deployment, host = deployments[chance.random() < 0.1]
        is_function = chance.random() < 0.6
        route, status = chance.choice(_ROUTES), chance.choices([200, 304, 404, 500], [90, 4, 4, 2])[0]
        request = f"{chance.choice(('iad1', 'fra1', 'sfo1'))}::{_MARK.decode()}-{at_ms}-{self._hex(12)}"
        ja3, ja4 = chance.choice(self._fingerprints)
        entry: dict[str, Any] = {
            "id": f"{at_ms}{chance.randrange(10**15):015d}",
            "deploymentId": deployment,
            "source": "lambda" if is_function else "static",
            "host": host,
            "timestamp": at_ms,
            "projectId": project,
            "level": "error" if status == 500 else "info",
            "entrypoint": route.strip("/") or "index",
            "path": route,
            "statusCode": status,
            "requestId": request,
            "environment": "production",
            "branch": "main",
            "ja3Digest": ja3,
            "ja4Digest": ja4,
            "projectName": name,
            "executionRegion": "iad1",
            "proxy": self._proxy(at_ms, route, status, request, path_type="func" if is_function else "static"),
        }
        if is_function:
            entry |= {"traceId": self._hex(32), "spanId": self._hex(16)}
            if chance.random() < 0.4:
                line = f"[GET] {route} status={status} in {chance.randrange(900)} ms"
                yield {**entry, "id": entry["id"] + "1", "type": "stdout", "message": line}
        yield entry

    def _proxy(self, at_ms: int, route: str, status: int, request: str, *, path_type: str) -> dict[str, Any]:
        chance = self._random
        return {
            "timestamp": at_ms,
            "method": "GET",
            "host": "www.example.com",
            "path": f"{route}?page={chance.randrange(100)}",
            "userAgent": [chance.choice(_BROWSERS)],
            "region": "fra1",
            "referer": "https://www.example.com/",
            "statusCode": status,
            "clientIp": f"203.0.113.{chance.randrange(255)}",
            "scheme": "https",
            "responseByteSize": chance.randrange(100_000),
            "cacheId": self._hex(10),
            "pathType": path_type,
            "vercelId": f"fra1::{request}",
            "vercelCache": "MISS",
            "lambdaRegion": "iad1",
        }

    def _text(self, length: int) -> str:
        return "".join(self._random.choices(_LETTERS, k=length))

    def _hex(self, length: int) -> str:
        return f"{self._random.getrandbits(4 * length):0{length}x}"


def packed(batch: bytes) -> bytes:
    """Return *batch* as gzip, at the level that most senders use."""
    return gzip.compress(batch, 6, mtime=0)
