"""What may be wrong with the batches of a drain."""

import asyncio
import gzip
from collections.abc import Callable
from typing import Any

from tests.integration.corruptions.answers import deflated
from tests.integration.corruptions.meddling import Batch, BatchEdit, Post

Entry = dict[str, Any]
LATE_SECONDS = 30.0


def each_entry(change: Callable[[Entry], Any]) -> BatchEdit:
    """Let every entry be another one."""
    return lambda _post, batch: [batch.saying(change(entry) for entry in batch.entries)]


def text(change: Callable[[bytes], bytes]) -> BatchEdit:
    """Let every batch be another text, compressed and signed as it should be."""
    return lambda _post, batch: [batch.of(change(gzip.decompress(batch.body)))]


def bytes_of(change: Callable[[bytes], bytes]) -> BatchEdit:
    """Let every batch be other bytes, signed as they should be."""
    return lambda _post, batch: [batch.signed(change(batch.body))]


def replayed(post: Post, batch: Batch) -> list[Batch]:
    """Let every batch come with all of the last ones once more, as a sender does that heard no answer."""
    return [batch, *post.passed[-20:], batch]


def shuffled(_post: Post, batch: Batch) -> list[Batch]:
    """Let the newest entries come first."""
    return [batch.saying(reversed(batch.entries))]


def late(post: Post, batch: Batch) -> list[Batch]:
    """Let every batch come half a minute later."""
    now = asyncio.get_running_loop().time()
    post.held.append((now + LATE_SECONDS, batch))
    due = [one for at, one in post.held if at <= now]
    post.held[:] = [(at, one) for at, one in post.held if at > now]
    return due


def lost(_post: Post, _batch: Batch) -> list[Batch]:
    return []


def signed_by_others(_post: Post, batch: Batch) -> list[Batch]:
    return [Batch(batch.headers | {"x-vercel-signature": "0" * 40}, batch.body)]


def unsigned(_post: Post, batch: Batch) -> list[Batch]:
    return [Batch({name: value for name, value in batch.headers.items() if "signature" not in name}, batch.body)]


def forged(_post: Post, batch: Batch) -> list[Batch]:
    """Let somebody without the secret say that everything failed; the good batch comes too."""
    lies = batch.saying(
        {**entry, "statusCode": 500, "proxy": {**entry["proxy"], "statusCode": 500}} for entry in batch.entries
    )
    return [Batch(batch.headers, lies.body), batch]


def bomb(megabytes: int) -> BatchEdit:
    """Let every batch inflate to more than anybody should hold."""
    return lambda _post, batch: [batch.signed(deflated(megabytes))]


def of_background(entry: Entry) -> Entry:
    return {**entry, "proxy": {**entry["proxy"], "pathType": "background_func", "statusCode": -1}}


def without(name: str) -> Callable[[Entry], Entry]:
    """Return what takes one field out."""
    return lambda entry: {key: value for key, value in entry.items() if key != name}
