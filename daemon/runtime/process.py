"""The life of the process: serve, poll, and on SIGTERM finish what is under way and hand over."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog
import uvicorn

from daemon.engine.leadership import Leadership
from daemon.engine.supervisor import Supervisor
from daemon.ports.errors import Misconfigured, StoreUnavailable
from daemon.runtime.scheduler import Bell

_POLL_GRACE_SECONDS = 20.0
"""Real time in which a running poll may end. One that is cut short has decided nothing."""
_BACKLOG = 128

log = structlog.get_logger()


class WebServer(uvicorn.Server):
    """uvicorn that leaves signals to the process that owns them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def listen(host: str, port: int, *, key: str = "web.port") -> socket.socket:
    """Return a listening socket; *port* 0 takes a free one. Raises Misconfigured when the address cannot be had.

    *key* is the setting that the port comes from.

    Left to uvicorn, a port that is taken would end the process in the middle of a poll and with the lease held.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        plain = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"cannot listen on {host}:{port} ({reason}); end what listens there, or write another {key}"
        raise Misconfigured(message) from error
    # asyncio switches Nagle's algorithm off only where the socket says that its protocol is TCP, which `create_server`
    # leaves open; else an answer in two pieces waits 40 ms for a client that delays its acknowledgement.
    listener = socket.socket(plain.family, plain.type, socket.IPPROTO_TCP, fileno=plain.detach())
    log.info("web.listening", host=host, port=listener.getsockname()[1], setting=key)
    return listener


async def run_until_stopped(
    *,
    bell: Bell,
    web: WebServer,
    listener: socket.socket,
    leadership: Leadership,
    supervisor: Supervisor,
    stop: asyncio.Event,
    grace_seconds: float,
) -> None:
    """Poll until *stop*, then let the running cycle and request end, and give the lease up for the next daemon.

    *grace_seconds* of real time are left to what is under way: it should be longer than one request may take.
    """
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(web.serve([listener]))
        watching = group.create_task(bell.watch())
        keeping = group.create_task(supervisor.guard(leadership.keep(), name="lease:keep", on_bug=_go_on_by_cycles))
        bell.start()
        await _first(stop, serving)
        log.info("daemon.stopping", summary="finishing what is under way")
        await bell.stop(grace_seconds=_POLL_GRACE_SECONDS)
        watching.cancel()
        await supervisor.finish(grace_seconds=grace_seconds)
        # Last of all: a lease that is given up must not be renewed again.
        keeping.cancel()
        with suppress(StoreUnavailable):
            await leadership.give_up()
        web.should_exit = True
    log.info("daemon.stopped")


async def _go_on_by_cycles(_error: Exception) -> None:
    """Leave the lease to the cycles, each of which renews it at its beginning."""


async def _first(stop: asyncio.Event, serving: asyncio.Task[None]) -> None:
    """Wait until *stop* is set, or the web server gave up."""
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(stop.wait())
        await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()


def ask_on_hangup(ask: Callable[[], None]) -> None:
    """Let SIGHUP *ask* for the configuration to be read again, instead of ending the process."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, ask)


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
