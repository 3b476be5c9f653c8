"""What is pushed to us, on the daemon's own web server: log drains, and webhooks that wake a project."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, assert_never

from starlette.routing import BaseRoute

from daemon.core.event import MoveTold
from daemon.core.facts import AliasJobType
from daemon.engine.cycle import Poller
from daemon.engine.moments import Moments
from daemon.engine.supervisor import Supervisor
from daemon.ports.buckets import Buckets
from daemon.ports.clock import Clock
from daemon.runtime.clock import RandomIds
from daemon.settings import Settings
from daemon.settings.change import keeps_buckets
from daemon.settings.tokens import TokenFile
from daemon.stores.memory_buckets import MemoryBuckets
from daemon.stores.sql_buckets import open_sqlite_buckets
from daemon.telemetry.drain import DrainRecorder
from daemon.telemetry.metrics import Metrics
from daemon.vercel.webhooks import AlertTriggered, Promoted, ReleaseChanged, RollbackRequested, Succeeded, Told
from daemon.web.drain.assembly import Drain, build_drain
from daemon.web.drain.secrets import SecretFiles
from daemon.web.webhooks import WebhookReceiver


@dataclass(frozen=True, slots=True)
class Receivers:
    """The receivers that the configuration wants; None for one that it does not."""

    drain: Drain | None
    webhooks: WebhookReceiver | None

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """What they listen to."""
        return [*(self.drain.routes if self.drain else ()), *([self.webhooks.route] if self.webhooks else ())]

    @asynccontextmanager
    async def serve(self, supervisor: Supervisor, poller: Poller, moments: Moments) -> AsyncIterator[None]:
        """Let them work while the context lasts; what was counted by its end is handed over.

        Raises StoreUnavailable when the drain's first sign of life cannot be written.
        """
        works: dict[str, Coroutine[Any, Any, None]] = {}
        if self.drain:
            await self.drain.handover.begin()
            works["drain"] = self.drain.handover.run()
        if self.webhooks:
            works["webhooks"] = self.webhooks.deliver(partial(_pass_on, poller, moments))
        async with asyncio.TaskGroup() as group:
            # Not among the supervisor's tasks, which it waits for when the daemon stops: these never end by themselves.
            guarded = [supervisor.guard(work, name=name, on_bug=_leave_it_at_the_log) for name, work in works.items()]
            tasks = [group.create_task(one) for one in guarded]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
        if self.drain:
            await self.drain.handover.finish()


async def open_buckets(settings: Settings, stack: AsyncExitStack) -> Buckets:
    """Return where pushed counts are kept: in the store, or nowhere where nothing reads or fills them.

    Raises StoreUnavailable.
    """
    if not keeps_buckets(settings):
        return MemoryBuckets()
    buckets = await open_sqlite_buckets(settings.store.path)
    stack.push_async_callback(buckets.close)
    return buckets


def build_receivers(settings: Settings, buckets: Buckets, clock: Clock, metrics: Metrics) -> Receivers:
    """Return the receivers whose secrets the configuration names."""
    drain = webhooks = None
    if settings.drain.secret_files and settings.drain.runs_inside:
        drain = build_drain(
            settings.drain,
            SecretFiles(settings.drain.secret_files),
            buckets,
            clock=clock,
            recorder=DrainRecorder(metrics.registry),
            name=RandomIds().fresh("receiver"),
        )
    if settings.webhooks.secret_files:
        webhooks = WebhookReceiver(
            settings.webhooks,
            secrets=[TokenFile(path) for path in settings.webhooks.secret_files],
            clock=clock,
            on_outcome=lambda outcome: metrics.webhooks.labels(outcome=outcome).inc(),
        )
        metrics.webhooks_waiting.set_function(lambda: webhooks.waiting)
    return Receivers(drain, webhooks)


def wake(poller: Poller, moments: Moments, told: Told) -> None:
    """Let the poller look at the project that a webhook speaks of, and tell the core what may be told."""
    match told:
        case Promoted():
            move = MoveTold(moments.now(), AliasJobType.PROMOTE, None, told.deployment, told.at)
            poller.wake(told.project, move)
        case RollbackRequested():
            kind = AliasJobType.ROLLBACK
            poller.wake(told.project, MoveTold(moments.now(), kind, told.from_deployment, told.to_deployment, told.at))
        case Succeeded() | ReleaseChanged():
            poller.wake(told.project)
        case AlertTriggered():
            if told.project:
                poller.wake(told.project)
        case _ as never:
            assert_never(never)


async def _pass_on(poller: Poller, moments: Moments, told: Told) -> None:
    wake(poller, moments, told)


async def _leave_it_at_the_log(_error: Exception) -> None:
    """A receiver is an addition to polling: that it is gone shows in its counts, and everything else goes on."""
