"""The process behind `lastgood drain`: one receiver, one connection to the daemon's store, and nothing that acts."""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from daemon import __version__
from daemon.ports.clock import Clock
from daemon.runtime.clock import RandomIds
from daemon.runtime.process import WebServer, listen, stop_on_signals
from daemon.settings.drain import DrainReceiverSettings
from daemon.stores.sql_buckets import open_sqlite_buckets
from daemon.telemetry.drain import DrainRecorder
from daemon.telemetry.metrics import show_build
from daemon.web.drain.assembly import build_drain
from daemon.web.drain.handover import Handover
from daemon.web.drain.secrets import Secret
from daemon.web.drain.shown import build_shown

_GRACE_SECONDS = 5
"""Real time in which batches that are coming in may end."""

log = structlog.get_logger()


async def serve(
    settings: DrainReceiverSettings,
    store: Path,
    secrets: Callable[[], Sequence[Secret]],
    *,
    clock: Clock,
) -> None:
    """Receive until SIGTERM or SIGINT, then hand over what was counted by then.

    Metrics and health are shown on an address of their own, since the drain's is open to the world. Raises
    StoreUnavailable when the daemon's store is not there or has other tables, and Misconfigured when an address cannot
    be had.
    """
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        buckets = await open_sqlite_buckets(store)
        stack.push_async_callback(buckets.close)
        listener = stack.enter_context(listen(settings.host, settings.port, key="drain.port"))
        shown_at = stack.enter_context(listen(settings.metrics_host, settings.metrics_port, key="drain.metrics_port"))
        name = RandomIds().fresh("receiver")
        registry = CollectorRegistry()
        show_build(registry, version=__version__)
        drain = build_drain(settings, secrets, buckets, clock=clock, recorder=DrainRecorder(registry), name=name)
        await drain.handover.begin()
        shown = build_shown(registry, drain.handover, interval=settings.handover_interval)
        await _run(drain.handover, {_server(Starlette(routes=drain.routes)): listener, _server(shown): shown_at}, stop)
        await drain.handover.finish()
    log.info("daemon.stopped")


async def _run(handover: Handover, servers: Mapping[WebServer, socket.socket], stop: asyncio.Event) -> None:
    """Serve and hand over until *stop*, or until a server gives up."""
    async with asyncio.TaskGroup() as group:
        serving = [group.create_task(server.serve([listener])) for server, listener in servers.items()]
        handing = group.create_task(handover.run())
        stopping = group.create_task(stop.wait())
        await asyncio.wait({stopping, *serving}, return_when=asyncio.FIRST_COMPLETED)
        log.info("daemon.stopping", summary="handing over what was counted")
        stopping.cancel()
        for server in servers:
            server.should_exit = True
        await asyncio.wait(serving)
        handing.cancel()


def _server(app: Starlette) -> WebServer:
    return WebServer(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
