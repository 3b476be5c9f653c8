"""What the checks judge: everything that was read beforehand, and why not where it was not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, TypeVar

from daemon.core.facts import Deployment, Production
from daemon.core.state import ProjectState
from daemon.ports.errors import PortError
from daemon.ports.source import Reading
from daemon.settings import ProjectSettings, Settings
from daemon.vercel.subscriptions import Drain, Webhook
from daemon.vercel.token import TokenFacts
from daemon.vercel.wire import ProjectIdentity


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Nothing was asked, because the answer to something else left no sense in it."""

    why: str


_Fact = TypeVar("_Fact")
Told: TypeAlias = _Fact | PortError | NotAsked
"""What was found, or what kept it from being found."""


@dataclass(frozen=True, slots=True)
class TokenSeen:
    """One token. `user` is whose it is (None: a project's own), `described` what it may ask of itself (None: nothing).

    The token to act is `shared` where it is the one to read with.
    """

    user: Told[str | None]
    described: Told[TokenFacts | None]
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """The store's file. `trouble` is '' where the daemon can work with it; `exists` says whether there is one yet."""

    exists: bool
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Posted:
    """What an endpoint of ours answered. `error` is '' unless there was no answer, and `status` then 0."""

    status: int
    text: str = ""
    verify: str | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """An endpoint tried out: with a signature of ours, with a wrong one, and, for drains, a look at it (`shown`)."""

    url: str
    signed: Posted
    forged: Posted
    shown: Posted | None = None


@dataclass(frozen=True, slots=True)
class SecretsSeen:
    """Secrets of a receiver: how many could be read, and what is wrong with their files ('' when nothing is)."""

    count: int
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class General:
    """What is about no project in particular. `projects` are the ids of those that are looked at."""

    settings: Settings
    now: datetime
    store: StoreSeen
    read: TokenSeen
    act: TokenSeen
    drain_secrets: SecretsSeen
    webhook_secrets: SecretsSeen
    webhooks: Told[Sequence[Webhook]]
    webhook_trial: Told[Trial]
    projects: Sequence[str] = ()
    is_drain_read: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """One project. `remembered` is what the store holds of it, None when nothing.

    `drain` is the one among `drains` that ends at our path and holds the project, None when there is none. `secrets`
    are those of our receiver. `acts_on` is the project as the token to act sees it.
    """

    settings: ProjectSettings
    now: datetime
    identity: Told[ProjectIdentity]
    production: Told[Production]
    candidates: Told[Sequence[Deployment]]
    acts_on: Told[ProjectIdentity]
    has_act_token: bool
    readings: Mapping[str, Told[Reading]]
    remembered: ProjectState | None = None
    drains: Told[Sequence[Drain]] = NotAsked("no source of this project is a log_drain")
    drain: Drain | None = None
    drain_trial: Told[Trial] = NotAsked("there is no drain to try")
    secrets: Sequence[bytes] = ()
    verify_code: str | None = None
    drain_path: str = ""
