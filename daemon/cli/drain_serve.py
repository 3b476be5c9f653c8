"""The process behind `lastgood drain`: one receiver, one connection to the daemon's store, and nothing that acts."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette

from daemon.ports.clock import Clock
from daemon.ports.drain import Recorder
from daemon.runtime.clock import RandomIds
from daemon.runtime.process import WebServer, listen, stop_on_signals
from daemon.settings.drain import DrainReceiverSettings
from daemon.stores.sql_buckets import open_sqlite_buckets
from daemon.web.drain.assembly import Drain, build_drain
from daemon.web.drain.record import NoRecorder
from daemon.web.drain.secrets import Secret

_GRACE_SECONDS = 5
"""Real time in which batches that are coming in may end."""

log = structlog.get_logger()


async def serve(
    settings: DrainReceiverSettings,
    store: Path,
    secrets: Callable[[], Sequence[Secret]],
    *,
    clock: Clock,
    recorder: Recorder | None = None,
) -> None:
    """Receive until SIGTERM or SIGINT, then hand over what was counted by then.

    Raises StoreUnavailable when the daemon's store is not there or has other tables, and Misconfigured when the address
    cannot be had.
    """
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        buckets = await open_sqlite_buckets(store)
        stack.push_async_callback(buckets.close)
        listener = stack.enter_context(listen(settings.host, settings.port))
        name = RandomIds().fresh("receiver")
        drain = build_drain(settings, secrets, buckets, clock=clock, recorder=recorder or NoRecorder(), name=name)
        await drain.handover.begin()
        server = _server(drain)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve([listener]))
            handing = group.create_task(drain.handover.run())
            stopping = group.create_task(stop.wait())
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            log.info("daemon.stopping", summary="handing over what was counted")
            stopping.cancel()
            server.should_exit = True
            await serving
            handing.cancel()
        await drain.handover.finish()
    log.info("daemon.stopped")


def _server(drain: Drain) -> WebServer:
    return WebServer(
        uvicorn.Config(
            Starlette(routes=drain.routes),
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
