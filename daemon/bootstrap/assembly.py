"""Puts the daemon together, and runs it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog
import uvicorn
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from starlette.applications import Starlette

from daemon import __version__
from daemon.bootstrap.health import CYCLE_AGE_INTERVALS, tell_health
from daemon.bootstrap.receivers import build_receivers, open_buckets
from daemon.bootstrap.transports import open_transports
from daemon.core.facts import ProjectId
from daemon.core.policy import Policy
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
from daemon.ports.errors import Misconfigured
from daemon.ports.source import Source
from daemon.ports.store import Store
from daemon.runtime.clock import RandomIds
from daemon.runtime.process import WebServer, listen, run_until_stopped, stop_on_signals
from daemon.runtime.scheduler import Bell
from daemon.settings import ProjectSettings, Settings
from daemon.sources import Means, SourceSettings, build_source
from daemon.stores.sqlite import open_sqlite
from daemon.telemetry.metrics import Metrics
from daemon.vercel.hosting import VercelHosting, VercelRollback
from daemon.vercel.token import VercelToken
from daemon.web.app import build_app

_READ_TIMEOUTS = 4
"""A read gets so many times the time-out of one request, beside the time in which it may be tried again."""
_GRACE_BESIDE_REQUEST_SECONDS = 10.0
"""Real time, beside one request's time-out, in which what is under way may be committed when the daemon stops."""


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Daemon:
    """The assembled daemon, for whoever runs it: the process, or the demo."""

    projects: tuple[Project, ...]
    poller: Poller
    bell: Bell
    web: WebServer
    listener: socket.socket
    store: Store
    metrics: Metrics
    leadership: Leadership
    supervisor: Supervisor
    grace_seconds: float

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


async def run(settings: Settings, *, clock: Clock, clock_factor: float = 1.0) -> None:
    """Run the daemon until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    async with assemble(settings, clock=clock, clock_factor=clock_factor) as daemon:
        await daemon.run(stop)


@asynccontextmanager
async def assemble(settings: Settings, *, clock: Clock, clock_factor: float = 1.0) -> AsyncIterator[Daemon]:
    """Yield the daemon that *settings* describe. *clock* runs *clock_factor* times faster than real time.

    Raises StoreUnavailable when the store cannot be opened, Misconfigured when the web address cannot be had or a
    project is there twice, and other PortErrors when a project's name cannot be resolved.
    """
    registry = _registry()
    metrics = Metrics(registry, version=__version__)
    async with AsyncExitStack() as stack:
        reading, acting = await open_transports(settings, clock, metrics, stack)
        store = await open_sqlite(settings.store.path)
        stack.push_async_callback(store.close)
        buckets = await open_buckets(settings, stack)
        listener = stack.enter_context(listen(settings.web.host, settings.web.port))
        hosting = VercelHosting(reading)
        by_id = await _identify(hosting, settings)
        timeout = settings.vercel.request_timeout.total_seconds()
        metrics.initialise(by_id)
        supervisor = Supervisor()
        moments = Moments(clock, newest=await store.newest_moment())
        leadership = Leadership(store, clock, holder=_holder(), ttl_seconds=settings.poll.lease_ttl.total_seconds())
        executor = Executor(
            # What an action waits for goes ahead of every poll.
            hosting=VercelHosting(reading.urgent),
            rollback=VercelRollback(acting),
            notifiers=(LogNotifier(),),
            leadership=leadership,
            clock=clock,
            moments=moments,
            metrics=metrics,
            request_timeout_seconds=timeout * clock_factor,
        )
        project = partial(
            Project,
            store=store,
            executor=executor,
            leadership=leadership,
            moments=moments,
            supervisor=supervisor,
            metrics=metrics,
        )
        projects = tuple(project(id=key, policy=_policy(settings, one)) for key, one in by_id.items())
        _log_policies(projects)
        poller = Poller(
            projects=projects,
            sources=_share_sources(by_id, Means(reading, buckets, clock)),
            hosting=hosting,
            leadership=leadership,
            moments=moments,
            clock=clock,
            supervisor=supervisor,
            metrics=metrics,
            housekeeping=Housekeeping(store, clock, keep=settings.store.keep_journal),
            tokens=TokenWatch({"read": VercelToken(reading), "act": VercelToken(acting)}, clock=clock),
            read_seconds_max=_READ_TIMEOUTS * timeout + reading.limits.retry_total_seconds,
        )
        interval = settings.poll.interval.total_seconds()
        bell = Bell(poller.run_cycle, interval_seconds=interval, clock=clock, real_seconds_per_second=1 / clock_factor)
        stuck_after = CYCLE_AGE_INTERVALS * interval + poller.poll_seconds_max * clock_factor
        health = tell_health(poller, projects, leadership, clock, interval=interval, stuck_after=stuck_after)
        receivers = build_receivers(settings, buckets, clock, metrics)
        app = build_app(registry, health, receivers.routes)
        web = _web_server(settings, app)
        # Entered last: trouble before would come out of it as a group.
        await stack.enter_async_context(supervisor)
        await stack.enter_async_context(receivers.serve(supervisor, poller, moments))
        grace = timeout + _GRACE_BESIDE_REQUEST_SECONDS
        yield Daemon(projects, poller, bell, web, listener, store, metrics, leadership, supervisor, grace)


def _log_policies(projects: tuple[Project, ...]) -> None:
    """Let the log say under which configuration each project is decided from now on."""
    for project in projects:
        policy = project.policy()
        log.info("policy.loaded", project=project.id, posture=policy.posture, digest=policy.digest)


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


async def _identify(hosting: VercelHosting, settings: Settings) -> dict[ProjectId, ProjectSettings]:
    """Return the projects by id, asking Vercel once where the configuration has only a name. Raises PortError."""
    by_id: dict[ProjectId, ProjectSettings] = {}
    for project in settings.projects:
        project_id = ProjectId(project.id) if project.id else await hosting.resolve_project(project.label)
        if project_id in by_id:
            first = by_id[project_id].label
            raise Misconfigured(f"projects {first} and {project.label} are both {project_id}; remove one of them")
        by_id[project_id] = project
    return by_id


def _share_sources(by_id: Mapping[ProjectId, ProjectSettings], means: Means) -> Mapping[ProjectId, Sequence[Source]]:
    """Return each project's sources; projects with the same settings share one, which can then serve all of them."""
    built: dict[SourceSettings, Source] = {}
    for project in by_id.values():
        for one in project.sources:
            if one not in built:
                built[one] = build_source(one, means)
    return {project_id: [built[one] for one in project.sources] for project_id, project in by_id.items()}


def _policy(settings: Settings, project: ProjectSettings) -> Callable[[], Policy]:
    policy = settings.policy_for(project)
    return lambda: policy


def _holder() -> str:
    return RandomIds().fresh(f"{socket.gethostname()}.{os.getpid()}")
