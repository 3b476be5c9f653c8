"""Bisection exactly as the real CLI does it, over the API alone, so that many histories can be searched in process.

Source: Vercel CLI 64.0.2, bisect.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

Judge = Callable[[str], Awaitable[str]]
"""Tells of a deployment's host whether it is `good`, `bad`, or to `skip`."""


async def first_bad(api: httpx.AsyncClient, *, good: str, bad: str, judge: Judge) -> str:
    """Return the host of the first bad deployment after *good*, up to *bad*."""
    rows = await _between(api, await _deployment(api, bad), await _deployment(api, good))
    last_bad = rows.pop(0)
    while rows:
        middle = len(rows) // 2
        match await judge(rows[middle]["url"]):
            case "good":
                rows = rows[:middle]
            case "bad":
                last_bad, rows = rows[middle], rows[middle + 1 :]
            case _:
                del rows[middle]
    url: str = last_bad["url"]
    return url


async def _deployment(api: httpx.AsyncClient, host: str) -> dict[str, Any]:
    body: dict[str, Any] = (await api.get(f"/v13/deployments/{host}")).raise_for_status().json()
    return body


async def _between(api: httpx.AsyncClient, bad: dict[str, Any], good: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows from *bad*, the newest, down to *good*, which is left out."""
    query = {"projectId": bad["projectId"], "target": bad["target"], "state": "READY", "limit": 100}
    until, rows = bad["createdAt"] + 1, []
    while until is not None:
        answer = await api.get("/v6/deployments", params={**query, "until": until})
        body = answer.raise_for_status().json()
        for row in body["deployments"]:
            if row["url"] == good["url"]:
                return rows
            rows.append(row)
        until = body["pagination"]["next"]
    raise AssertionError(f"{good['url']} is in no page")
