"""Reads what the general checks judge. Nothing is changed, here or at Vercel, and trouble is an answer."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from daemon.doctor.asking import Patience
from daemon.doctor.endpoint import try_webhook
from daemon.doctor.facts import NotAsked, SecretsSeen, StoreSeen, TokenSeen, Told, Trial
from daemon.doctor.tokens import reaches_team
from daemon.doctor.webhooks import NOT_CONFIGURED, choose_webhooks
from daemon.ports.buckets import Buckets
from daemon.ports.clock import Clock
from daemon.ports.errors import Misconfigured, PortError, Refused, StoreUnavailable
from daemon.ports.store import Store
from daemon.settings import ProjectSettings, Settings, TokenFile, TokenUnreadable
from daemon.stores.memory_buckets import MemoryBuckets
from daemon.stores.sql_buckets import open_sqlite_buckets
from daemon.stores.sqlite import open_sqlite
from daemon.vercel.hosting import VercelHosting, read_identity
from daemon.vercel.subscriptions import Drain, Webhook, read_drains, read_webhooks
from daemon.vercel.token import read_token
from daemon.vercel.transport import ActingTransport, VercelTransport
from daemon.vercel.wire import ProjectIdentity
from daemon.web.drain.secrets import SecretFiles

USELESS_TOKEN = "the token to read is of no use: see above"  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class Ways:
    """What is read through."""

    settings: Settings
    clock: Clock
    reading: VercelTransport
    acting: ActingTransport
    patience: Patience
    store: Store | None
    buckets: Buckets
    is_store_broken: bool

    @property
    def endpoint_seconds_max(self) -> float:
        """How long an endpoint of ours may take to answer."""
        return self.settings.vercel.request_timeout.total_seconds()

    @property
    def is_token_shared(self) -> bool:
        """Whether the token to act is the one to read with."""
        vercel = self.settings.vercel
        try:
            return vercel.token_to_read() == vercel.token_to_act()
        except TokenUnreadable:
            return False


async def look_at_store(path: Path, stack: AsyncExitStack) -> tuple[StoreSeen, Store | None, Buckets]:
    """Return how the store's file is, and the store and its buckets as far as they can be read; creates nothing."""
    seen = _look_at_file(path)
    if seen.trouble or not seen.exists:
        return seen, None, MemoryBuckets()
    try:
        store = await open_sqlite(path, read_only=True)
        stack.push_async_callback(store.close)
        buckets = await open_sqlite_buckets(path)
        stack.push_async_callback(buckets.close)
    except StoreUnavailable as error:
        return StoreSeen(exists=True, trouble=str(error)), None, MemoryBuckets()
    return seen, store, buckets


async def look_at_tokens(ways: Ways) -> tuple[TokenSeen, TokenSeen]:
    """Return what Vercel says of the token to read and of the one to act."""
    read = await _look_at_token(ways, ways.reading)
    if ways.is_token_shared:
        return read, TokenSeen(read.user, read.described, is_shared=True)
    if isinstance(read.user, PortError) and not isinstance(read.user, Refused):
        unknown = NotAsked("Vercel does not answer: see above")
        return read, TokenSeen(unknown, unknown)
    return read, await _look_at_token(ways, ways.acting)


async def _look_at_token(ways: Ways, transport: VercelTransport) -> TokenSeen:
    user = await ways.patience.ask(VercelHosting(transport).read_username())
    if isinstance(user, PortError):
        return TokenSeen(user, NotAsked("nothing was said of the token: see above"))
    return TokenSeen(user, await ways.patience.ask(read_token(transport)))


async def look_at_projects(
    ways: Ways, projects: Sequence[ProjectSettings], read: TokenSeen
) -> Sequence[Told[ProjectIdentity]]:
    """Return each project's identity, as the token to read sees it."""
    if not reaches_team(read, ways.settings.vercel.team):
        return [NotAsked(USELESS_TOKEN) for _ in projects]
    asked = (ways.patience.ask(read_identity(ways.reading, one.id or one.label)) for one in projects)
    return _told_apart(projects, await asyncio.gather(*asked))


def _told_apart(
    projects: Sequence[ProjectSettings], found: Sequence[ProjectIdentity | PortError]
) -> Sequence[ProjectIdentity | PortError]:
    """Return *found*, with trouble for every project that is there before under another name."""
    first: dict[str, str] = {}
    apart: list[ProjectIdentity | PortError] = []
    for settings, one in zip(projects, found, strict=True):
        if isinstance(one, ProjectIdentity) and one.id in first:
            twice = f"projects {first[one.id]} and {settings.label} are both {one.id}; remove one of them"
            apart.append(Misconfigured(twice))
            continue
        if isinstance(one, ProjectIdentity):
            first[one.id] = settings.label
        apart.append(one)
    return apart


async def look_at_subscriptions(
    ways: Ways, read: TokenSeen, *, is_drain_read: bool
) -> tuple[Told[Sequence[Drain]], Told[Sequence[Webhook]]]:
    """Return the team's drains and webhooks, where a source or a receiver depends on them."""
    has_webhooks = bool(ways.settings.webhooks.secret_files)
    drains: Told[Sequence[Drain]] = NotAsked("no source of this project is a log_drain")
    webhooks: Told[Sequence[Webhook]] = NotAsked(NOT_CONFIGURED)
    if not reaches_team(read, ways.settings.vercel.team):
        useless = NotAsked(USELESS_TOKEN)
        return (useless if is_drain_read else drains), (useless if has_webhooks else webhooks)
    if is_drain_read:
        drains = await ways.patience.ask(read_drains(ways.reading))
    if has_webhooks:
        webhooks = await ways.patience.ask(read_webhooks(ways.reading))
    return drains, webhooks


def look_at_drain_secrets(settings: Settings) -> tuple[SecretsSeen, Sequence[bytes]]:
    """Return how the files of the drains' secrets are, and the secrets."""
    files = SecretFiles(settings.drain.secret_files)
    secrets = [one.value for one in files()]
    return SecretsSeen(len(secrets), files.trouble), secrets


def look_at_webhook_secrets(settings: Settings) -> tuple[SecretsSeen, Sequence[bytes]]:
    """Return how the files of the webhooks' secrets are, and the secrets."""
    secrets, troubles = [], []
    for path in settings.webhooks.secret_files:
        try:
            secrets.append(TokenFile(path)().encode())
        except TokenUnreadable as error:
            troubles.append(f"{path}: {error}")
    return SecretsSeen(len(secrets), "; ".join(troubles)), secrets


async def look_at_webhook_endpoint(
    ways: Ways, webhooks: Told[Sequence[Webhook]], secrets: Sequence[bytes]
) -> Told[Trial]:
    """Return what the first webhook that ends at our path is answered with."""
    if isinstance(webhooks, NotAsked):
        return webhooks
    if isinstance(webhooks, PortError):
        return NotAsked("the webhooks could not be listed")
    ours = choose_webhooks(webhooks, path=ways.settings.webhooks.path)
    if not ours or not secrets:
        return NotAsked("there is no webhook of ours to try" if secrets else "there is no secret to sign with")
    return await ways.patience.ask(try_webhook(ours[0].url, secrets[0], seconds_max=ways.endpoint_seconds_max))


def _look_at_file(path: Path) -> StoreSeen:
    if not path.exists():
        folder = next(one for one in path.parents if one.exists())
        can = folder.is_dir() and _is_writable(folder)
        return StoreSeen(exists=False, trouble="" if can else f"{path} cannot be created in {folder}")
    if not path.is_file():
        return StoreSeen(exists=True, trouble=f"{path} is no file")
    can = _is_writable(path) and _is_writable(path.parent)
    return StoreSeen(exists=True, trouble="" if can else f"{path} and its folder cannot be written to")


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK)
