"""The composition root: the only file that names concrete classes together."""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog
import uvicorn
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from starlette.applications import Starlette

from daemon import __version__
from daemon.core.facts import ProjectId
from daemon.core.policy import Policy
from daemon.engine.cycle import Poller
from daemon.engine.executor import Executor
from daemon.engine.housekeeping import Housekeeping
from daemon.engine.leadership import Leadership
from daemon.engine.moments import Moments
from daemon.engine.project import Project
from daemon.engine.supervisor import Supervisor
from daemon.notifiers.log import LogNotifier
from daemon.ports.clock import Clock
from daemon.ports.errors import Misconfigured
from daemon.ports.store import Store
from daemon.runtime.clock import RandomIds
from daemon.runtime.process import WebServer, listen, run_until_stopped, stop_on_signals
from daemon.runtime.scheduler import Bell
from daemon.settings import ProjectSettings, Settings
from daemon.sources import build_source
from daemon.stores.sqlite import open_sqlite
from daemon.telemetry.metrics import Metrics
from daemon.vercel.hosting import VercelHosting, VercelRollback
from daemon.vercel.transport import ActingTransport, Limits, VercelTransport
from daemon.web.app import Health, build_app

_Transport = TypeVar("_Transport", bound=VercelTransport)

_CYCLE_AGE_INTERVALS = 4
"""A daemon whose last cycle is older than this many intervals is not ready."""
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
        reading, acting = await _open_transports(settings, clock, metrics, stack)
        store = await open_sqlite(settings.store.path)
        stack.push_async_callback(store.close)
        listener = stack.enter_context(listen(settings.web.host, settings.web.port))
        hosting = VercelHosting(reading)
        by_id = await _identify(hosting, settings)
        timeout = settings.vercel.request_timeout.total_seconds()
        metrics.initialise(by_id)
        supervisor = Supervisor()
        moments = Moments(clock, newest=await store.newest_moment())
        leadership = Leadership(store, clock, holder=_holder(), ttl_seconds=settings.poll.lease_ttl.total_seconds())
        executor = Executor(
            hosting=hosting,
            rollback=VercelRollback(acting),
            notifiers=(LogNotifier(),),
            leadership=leadership,
            clock=clock,
            moments=moments,
            metrics=metrics,
            request_timeout_seconds=timeout * clock_factor,
        )
        projects = tuple(
            Project(
                id=project_id,
                store=store,
                policy=_policy(settings, project),
                executor=executor,
                leadership=leadership,
                moments=moments,
                supervisor=supervisor,
                metrics=metrics,
            )
            for project_id, project in by_id.items()
        )
        _log_policies(projects)
        poller = Poller(
            projects=projects,
            sources={
                project_id: [build_source(source, reading) for source in project.sources]
                for project_id, project in by_id.items()
            },
            hosting=hosting,
            leadership=leadership,
            moments=moments,
            clock=clock,
            supervisor=supervisor,
            metrics=metrics,
            housekeeping=Housekeeping(store, clock, keep=settings.store.keep_journal),
            read_seconds_max=_READ_TIMEOUTS * timeout + reading.limits.retry_total_seconds,
        )
        interval = settings.poll.interval.total_seconds()
        bell = Bell(poller.run_cycle, interval_seconds=interval, clock=clock, real_seconds_per_second=1 / clock_factor)
        stuck_after = _CYCLE_AGE_INTERVALS * interval + poller.poll_seconds_max * clock_factor
        health = _health(poller, projects, leadership, clock, interval=interval, stuck_after=stuck_after)
        app = build_app(registry, health)
        web = _web_server(settings, app)
        # Entered last: trouble before would come out of it as a group.
        await stack.enter_async_context(supervisor)
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


async def _open_transports(
    settings: Settings, clock: Clock, metrics: Metrics, stack: AsyncExitStack
) -> tuple[VercelTransport, ActingTransport]:
    """Open one client to read and another to act, so that a rollback never queues behind polls."""
    jitter = random.Random(os.urandom(8)).random
    timeout = settings.vercel.request_timeout.total_seconds()
    limits = Limits(connect_timeout_seconds=timeout / 2, read_timeout_seconds=timeout, request_timeout_seconds=timeout)

    def count(route: str, status: int, seconds: float) -> None:
        metrics.vercel_requests.labels(route=route, status=str(status)).inc()
        metrics.vercel_request_duration.labels(route=route).observe(seconds)

    def build(kind: type[_Transport], token: Callable[[], str]) -> _Transport:
        return kind(
            settings.vercel.api_url,
            token,
            clock=clock,
            jitter=jitter,
            team_id=settings.vercel.team,
            limits=limits,
            on_response=count,
        )

    reading = await stack.enter_async_context(build(VercelTransport, settings.vercel.token_to_read))
    acting = await stack.enter_async_context(build(ActingTransport, settings.vercel.token_to_act))
    return reading, acting


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


def _policy(settings: Settings, project: ProjectSettings) -> Callable[[], Policy]:
    policy = settings.policy_for(project)
    return lambda: policy


def _holder() -> str:
    return RandomIds().fresh(f"{socket.gethostname()}.{os.getpid()}")


def _health(
    poller: Poller,
    projects: tuple[Project, ...],
    leadership: Leadership,
    clock: Clock,
    *,
    interval: float,
    stuck_after: float,
) -> Callable[[], Health]:
    started = clock.monotonic()

    def health() -> Health:
        last = poller.last_completed
        return Health(
            cycle_age_seconds=clock.monotonic() - (started if last is None else last),
            has_completed=last is not None,
            cycle_age_seconds_max=_CYCLE_AGE_INTERVALS * interval,
            progress_age_seconds=clock.monotonic() - poller.last_progress,
            progress_age_seconds_max=stuck_after,
            is_leader=leadership.lease is not None,
            frozen=tuple(project.id for project in projects if project.is_frozen),
        )

    return health
