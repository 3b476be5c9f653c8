"""Puts the daemon together, and runs it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import uvicorn
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from starlette.applications import Starlette

from daemon import __version__
from daemon.bootstrap.fleet import Fleet, Make, Unresolved
from daemon.bootstrap.health import tell_health
from daemon.bootstrap.receivers import build_receivers, open_buckets
from daemon.bootstrap.reload import ConfigFile, Reloader
from daemon.bootstrap.transports import open_transports
from daemon.bootstrap.upkeep import Upkeep
from daemon.engine.cycle import Poller
from daemon.engine.executor import Executor
from daemon.engine.housekeeping import Housekeeping
from daemon.engine.leadership import Leadership
from daemon.engine.moments import Moments
from daemon.engine.project import Project
from daemon.engine.supervisor import Supervisor
from daemon.engine.tokens import TokenWatch
from daemon.notifiers.log import LogNotifier
from daemon.ports.clock import Clock
from daemon.ports.store import Store
from daemon.runtime.clock import RandomIds
from daemon.runtime.garbage import collect_garbage_seldom
from daemon.runtime.process import WebServer, ask_on_hangup, listen, run_until_stopped, stop_on_signals
from daemon.runtime.scheduler import Bell
from daemon.settings import Settings
from daemon.sources import Means, build_source
from daemon.stores.sqlite import open_sqlite
from daemon.telemetry.log import set_level
from daemon.telemetry.metrics import Metrics
from daemon.vercel.hosting import VercelHosting, VercelRollback
from daemon.vercel.token import VercelToken
from daemon.vercel.transport import ActingTransport, VercelTransport
from daemon.web.app import build_app

_READ_TIMEOUTS = 4
"""A read gets so many times the time-out of one request, beside the time in which it may be tried again."""
_GRACE_BESIDE_REQUEST_SECONDS = 10.0
"""Real time, beside one request's time-out, in which what is under way may be committed when the daemon stops."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """The assembled daemon, for whoever runs it: the process, or the demo. `reloader` is None without a file."""

    fleet: Fleet
    reloader: Reloader | None
    poller: Poller
    bell: Bell
    web: WebServer
    listener: socket.socket
    store: Store
    metrics: Metrics
    leadership: Leadership
    supervisor: Supervisor
    grace_seconds: float

    @property
    def projects(self) -> tuple[Project, ...]:
        """The projects that are watched now."""
        return self.fleet.projects

    async def run(self, stop: asyncio.Event) -> None:
        """Poll and serve until *stop*."""
        await run_until_stopped(
            bell=self.bell,
            web=self.web,
            listener=self.listener,
            leadership=self.leadership,
            supervisor=self.supervisor,
            stop=stop,
            grace_seconds=self.grace_seconds,
        )


async def run(settings: Settings, *, clock: Clock, clock_factor: float = 1.0, file: ConfigFile | None = None) -> None:
    """Run the daemon until SIGTERM or SIGINT; SIGHUP reads *file*, where *settings* came from, again.

    *clock* runs *clock_factor* times faster than real time.
    """
    collect_garbage_seldom()
    stop = stop_on_signals()
    async with assemble(settings, clock=clock, clock_factor=clock_factor, file=file) as daemon:
        if daemon.reloader:
            ask_on_hangup(daemon.reloader.ask)
        await daemon.run(stop)


@asynccontextmanager
async def assemble(
    settings: Settings, *, clock: Clock, clock_factor: float = 1.0, file: ConfigFile | None = None
) -> AsyncIterator[Daemon]:
    """Yield the daemon that *settings* describe. *clock* runs *clock_factor* times faster than real time.

    With *file*, where the settings came from, a change of it is put in force. Raises StoreUnavailable when the store
    cannot be opened, Misconfigured when the web address cannot be had or a project is there twice, and other PortErrors
    when a project's name cannot be resolved.
    """
    registry = _registry()
    metrics = Metrics(registry, version=__version__)
    async with AsyncExitStack() as stack:
        reading, acting = await open_transports(settings, clock, metrics, stack)
        store = await open_sqlite(settings.store.path)
        stack.push_async_callback(store.close)
        buckets = await open_buckets(settings, stack)
        listener = stack.enter_context(listen(settings.web.host, settings.web.port))
        supervisor = Supervisor()
        moments = Moments(clock, newest=await store.newest_moment())
        leadership = Leadership(store, clock, holder=_holder(), ttl_seconds=settings.poll.lease_ttl.total_seconds())
        engine = _Engine(settings, clock, clock_factor, metrics, supervisor, moments, leadership, store)
        poller = engine.poller(reading, acting)
        fleet = Fleet(
            make=engine.project(reading, acting),
            build=lambda one, exclusions: build_source(one, Means(reading, buckets, clock), exclusions),
            hosting=VercelHosting(reading),
            tell=poller.watch,
            clock=clock,
            metrics=metrics,
        )
        await _begin(fleet, settings, metrics, clock, digest=file.loaded.digest if file else "")
        bell = Bell(
            poller.run_cycle,
            interval_seconds=settings.poll.interval.total_seconds(),
            clock=clock,
            real_seconds_per_second=1 / clock_factor,
        )
        prepare = partial(_prepare, fleet, poller, bell)
        reloader = Reloader(file, prepare=prepare, clock=clock, metrics=metrics) if file else None
        health = tell_health(poller, fleet, leadership, clock, bell=bell, clock_factor=clock_factor)
        receivers = build_receivers(settings, buckets, clock, metrics)
        web = _web_server(settings, build_app(registry, health, receivers.routes))
        # Entered last: trouble before would come out of it as a group.
        await stack.enter_async_context(supervisor)
        await stack.enter_async_context(receivers.serve(supervisor, poller, moments))
        await stack.enter_async_context(Upkeep(fleet, reloader, supervisor, clock).going_on())
        grace = settings.vercel.request_timeout.total_seconds() + _GRACE_BESIDE_REQUEST_SECONDS
        yield Daemon(
            fleet, reloader, poller, bell, web, listener, store, metrics, leadership, supervisor, grace_seconds=grace
        )


async def _begin(fleet: Fleet, settings: Settings, metrics: Metrics, clock: Clock, *, digest: str) -> None:
    """Put the settings of the start in force. Raises PortError."""
    try:
        (await fleet.prepare(settings))()
    except Unresolved as trouble:
        raise trouble.error from trouble
    metrics.tell_config(1, digest, at=clock.now())


async def _prepare(fleet: Fleet, poller: Poller, bell: Bell, settings: Settings) -> Callable[[int], None]:
    """Do what may fail, and return what puts *settings* in force, as which generation. Raises Unresolved."""
    swap = await fleet.prepare(settings)

    def put_in_force(generation: int) -> None:
        poller.generation = generation
        swap()
        bell.change_interval(settings.poll.interval.total_seconds())
        set_level(settings.log.level)

    return put_in_force


@dataclass(frozen=True, slots=True)
class _Engine:
    """What projects and their poller are made of."""

    settings: Settings
    clock: Clock
    clock_factor: float
    metrics: Metrics
    supervisor: Supervisor
    moments: Moments
    leadership: Leadership
    store: Store

    @property
    def _timeout_seconds(self) -> float:
        return self.settings.vercel.request_timeout.total_seconds()

    def poller(self, reading: VercelTransport, acting: ActingTransport) -> Poller:
        """Return a poller of no project yet."""
        return Poller(
            projects=(),
            sources={},
            hosting=VercelHosting(reading),
            leadership=self.leadership,
            moments=self.moments,
            clock=self.clock,
            supervisor=self.supervisor,
            metrics=self.metrics,
            housekeeping=Housekeeping(self.store, self.clock, keep=self.settings.store.keep_journal),
            tokens=TokenWatch({"read": VercelToken(reading), "act": VercelToken(acting)}, clock=self.clock),
            read_seconds_max=_READ_TIMEOUTS * self._timeout_seconds + reading.limits.retry_total_seconds,
            status_page=self.settings.status_page.open(self.clock),
        )

    def project(self, reading: VercelTransport, acting: ActingTransport) -> Make:
        """Return what makes a project, whose actions all go one way."""
        executor = Executor(
            # What an action waits for goes ahead of every poll.
            hosting=VercelHosting(reading.urgent),
            rollback=VercelRollback(acting),
            notifiers=(LogNotifier(),),
            leadership=self.leadership,
            clock=self.clock,
            moments=self.moments,
            metrics=self.metrics,
            request_timeout_seconds=self._timeout_seconds * self.clock_factor,
        )
        return partial(
            Project,
            store=self.store,
            executor=executor,
            leadership=self.leadership,
            moments=self.moments,
            supervisor=self.supervisor,
            metrics=self.metrics,
        )


def _web_server(settings: Settings, app: Starlette) -> WebServer:
    return WebServer(
        uvicorn.Config(
            app,
            host=settings.web.host,
            port=settings.web.port,
            lifespan="off",
            log_config=None,
            log_level="warning",  # what it says beside warnings, our own lines say
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _holder() -> str:
    return RandomIds().fresh(f"{socket.gethostname()}.{os.getpid()}")
