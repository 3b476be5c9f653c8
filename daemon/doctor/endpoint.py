"""Tries our own endpoints as Vercel would reach them: signed by us, and signed wrongly."""

import asyncio
from urllib.parse import urlsplit

import httpx

from daemon.doctor.facts import Posted, Trial
from daemon.vercel.signature import SIGNATURE_HEADER, sign

VERIFY_HEADER = "x-vercel-verify"
NO_ENTRIES = b"[]"
"""A batch that counts nothing."""
NO_EVENT = b'{"type":"lastgood.doctor","id":"lastgood-doctor","createdAt":0,"payload":{}}'
"""A webhook that concerns nobody, so that it is answered and nothing more."""
FORGED = "0" * 40
_TEXT_BYTES_MAX = 400


async def try_drain(url: str, secret: bytes, *, seconds_max: float) -> Trial:
    """Look at the drain's endpoint, and post an empty batch with a signature by *secret* and with a wrong one."""
    async with _client(url, seconds_max) as client:
        return Trial(
            url,
            shown=await _exchange(client, "GET", url, seconds_max=seconds_max),
            signed=await _post(client, url, NO_ENTRIES, sign(NO_ENTRIES, secret), seconds_max=seconds_max),
            forged=await _post(client, url, NO_ENTRIES, FORGED, seconds_max=seconds_max),
        )


async def try_webhook(url: str, secret: bytes, *, seconds_max: float) -> Trial:
    """Post a webhook that concerns nobody, with a signature by *secret* and with a wrong one."""
    async with _client(url, seconds_max) as client:
        return Trial(
            url,
            signed=await _post(client, url, NO_EVENT, sign(NO_EVENT, secret), seconds_max=seconds_max),
            forged=await _post(client, url, NO_EVENT, FORGED, seconds_max=seconds_max),
        )


def _client(url: str, seconds_max: float) -> httpx.AsyncClient:
    is_here = (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1")
    return httpx.AsyncClient(
        follow_redirects=False,
        # Proxies and certificates of the environment count, but not on the way to this very machine.
        trust_env=not is_here,
        headers={"user-agent": "lastgood-doctor"},
        timeout=seconds_max,
        limits=httpx.Limits(max_connections=2),
    )


async def _post(client: httpx.AsyncClient, url: str, body: bytes, signature: str, *, seconds_max: float) -> Posted:
    headers = {"content-type": "application/json", SIGNATURE_HEADER: signature}
    return await _exchange(client, "POST", url, body=body, headers=headers, seconds_max=seconds_max)


async def _exchange(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    seconds_max: float,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> Posted:
    try:
        async with asyncio.timeout(seconds_max), client.stream(method, url, content=body, headers=headers) as answer:
            text = bytearray()
            async for chunk in answer.aiter_raw():
                text += chunk
                if len(text) >= _TEXT_BYTES_MAX:
                    break
            said = " ".join(bytes(text[:_TEXT_BYTES_MAX]).decode("ascii", "replace").split())
            return Posted(answer.status_code, said, answer.headers.get(VERIFY_HEADER))
    except TimeoutError:
        return Posted(0, error=f"no answer in {seconds_max:g} s")
    except (httpx.RequestError, httpx.InvalidURL) as error:
        # The text of the error is left out: it may quote what was sent.
        return Posted(0, error=f"connection trouble ({type(error).__name__})")
