"""The examination from beginning to end: open what is read through, look, judge, close."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from daemon import __version__
from daemon.bootstrap.transports import open_transports
from daemon.doctor.asking import ALL_SECONDS_MAX, Patience
from daemon.doctor.checks import judge_general, judge_project
from daemon.doctor.covering import cover_projects
from daemon.doctor.facts import General, StoreSeen
from daemon.doctor.gathering import ProjectGathering, reads_drain
from daemon.doctor.line import Line, State
from daemon.doctor.looking import (
    Ways,
    look_at_drain_secrets,
    look_at_projects,
    look_at_store,
    look_at_subscriptions,
    look_at_tokens,
    look_at_webhook_endpoint,
    look_at_webhook_secrets,
)
from daemon.ports.clock import Clock
from daemon.settings import ProjectSettings, Settings
from daemon.telemetry.metrics import Metrics
from daemon.vercel.wire import ProjectIdentity


class UnknownProject(Exception):
    """The configuration has no project of that name or id."""


@dataclass(frozen=True, slots=True)
class Report:
    """All lines, by group."""

    lines: Sequence[Line]

    @property
    def has_failed(self) -> bool:
        """Whether something does not work."""
        return any(line.state is State.FAIL for line in self.lines)


async def examine(
    settings: Settings, *, clock: Clock, only: str | None = None, seconds_max: float = ALL_SECONDS_MAX
) -> Report:
    """Look at everything that the daemon would depend on under *settings*; change nothing.

    *only* narrows it to the project of that name or id; raises UnknownProject when there is none. Whatever is not
    answered within *seconds_max* is told as trouble.
    """
    metrics = Metrics(CollectorRegistry(), version=__version__)
    async with AsyncExitStack() as stack:
        reading, acting = await open_transports(settings, clock, metrics, stack)
        seen, store, buckets = await look_at_store(settings.store.path, stack)
        patience = Patience(clock, all_seconds_max=seconds_max)
        ways = Ways(settings, clock, reading, acting, patience, store, buckets, is_store_broken=bool(seen.trouble))
        covered = await cover_projects(ways)
        report = await _examine(ways, _chosen(covered.projects, only), seen)
        return Report([*covered.lines, *report.lines])


def _chosen(projects: Sequence[ProjectSettings], only: str | None) -> Sequence[ProjectSettings]:
    chosen = [one for one in projects if only in (None, one.id, one.name)]
    if only is not None and not chosen:
        known = ", ".join(one.label for one in projects[:20])
        raise UnknownProject(f"no project {only!r} is configured; name one of {known}")
    return chosen


async def _examine(ways: Ways, projects: Sequence[ProjectSettings], store: StoreSeen) -> Report:
    settings = ways.settings
    read, act = await look_at_tokens(ways)
    identities = await look_at_projects(ways, projects, read)
    is_drain_read = any(map(reads_drain, projects))
    drains, webhooks = await look_at_subscriptions(ways, read, is_drain_read=is_drain_read)
    drain_secrets, secrets = look_at_drain_secrets(settings)
    webhook_secrets, signing = look_at_webhook_secrets(settings)
    general = General(
        settings=settings,
        now=ways.clock.now(),
        store=store,
        read=read,
        act=act,
        drain_secrets=drain_secrets,
        webhook_secrets=webhook_secrets,
        webhooks=webhooks,
        webhook_trial=await look_at_webhook_endpoint(ways, webhooks, signing),
        projects=[one.id for one in identities if isinstance(one, ProjectIdentity)],
        is_drain_read=is_drain_read,
    )
    gathering = ProjectGathering(ways, drains=drains, secrets=secrets, act=act)
    examined = await gathering.look(list(zip(projects, identities, strict=True)))
    return Report([*judge_general(general), *(line for one in examined for line in judge_project(one))])
