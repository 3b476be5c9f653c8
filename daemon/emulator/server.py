"""The emulator on a real loopback socket: inside another event loop, or as a process of its own."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from daemon.emulator.app import EmulatorApp
from daemon.emulator.clock import EmulatorClock, WallClock
from daemon.emulator.delivery import open_client
from daemon.emulator.labels import write_labels
from daemon.emulator.scenario import Scenario
from daemon.emulator.scenario_files import Parameter, load_fleet, load_scenario
from daemon.emulator.world import World

_STOP_SECONDS = 2
_BACKLOG = 256
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of zero: closing sends RST instead of FIN."""

Peer = tuple[str, int]


class _Server(uvicorn.Server):
    """uvicorn that tells when it listens, and leaves signals alone when it lives in a loop of somebody else."""

    def __init__(self, config: uvicorn.Config, *, owns_signals: bool) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._owns_signals = owns_signals

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals() if self._owns_signals else contextlib.nullcontext():
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


def _protocol_with_resets(transports: dict[Peer, asyncio.Transport]) -> type[H11Protocol]:
    """Return uvicorn's HTTP protocol, which also notes its connections, so that a fault can reset one."""

    class NotedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.peer: Peer = transport.get_extra_info("peername")[:2]
            transports[self.peer] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(self.peer, None)
            super().connection_lost(exc)

    return NotedProtocol


def _reset(transports: Mapping[Peer, asyncio.Transport], scope: Scope) -> None:
    transport = transports.get(tuple(scope["client"]))
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket on which asyncio switches Nagle's algorithm off; an address in use is an OSError."""
    # asyncio does so only where the socket says that its protocol is TCP, which `create_server` leaves open. Otherwise
    # an answer in two pieces waits 40 ms for an acknowledgement that the client of a kept-alive connection delays.
    plain = socket.create_server((host, port), backlog=_BACKLOG)
    return socket.socket(plain.family, plain.type, socket.IPPROTO_TCP, fileno=plain.detach())


class EmulatorServer:
    """An emulator on a loopback socket for the length of an ``async with``: ``url``, ``port``, ``world``, ``app``."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        clock: EmulatorClock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        owns_signals: bool = False,
    ) -> None:
        """Prepare a world of *scenario*; *clock* None is real time, *port* 0 lets the system choose one."""
        self.world = World(scenario, clock or WallClock())
        self._transports: dict[Peer, asyncio.Transport] = {}
        self.app = EmulatorApp(self.world, reset_connection=lambda scope: _reset(self._transports, scope))
        self._host = host
        self._port = port
        self._owns_signals = owns_signals
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._delivering: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Return the real port, once the server has been entered."""
        return self._port

    @property
    def url(self) -> str:
        """Return where the API is, without a slash at the end."""
        return f"http://{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen; an address in use is an OSError."""
        listener = _listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self.app,
            http=_protocol_with_resets(self._transports),
            loop="asyncio",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_STOP_SECONDS,
            server_header=False,
        )
        self._server = _Server(config, owns_signals=self._owns_signals)
        self._serving = asyncio.create_task(self._server.serve([listener]), name="emulator")
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait([listening, self._serving], return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            listening.cancel()
            await self._serving  # It ended before it listened: let its error out.
        self.app.deliveries.courier.client = open_client()
        self._delivering = asyncio.create_task(self.app.deliveries.deliver_forever(), name="emulator-deliveries")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and close every connection."""
        assert self._server is not None
        assert self._serving is not None
        self._server.should_exit = True
        await self._serving
        await self._stop_delivering()

    async def _stop_delivering(self) -> None:
        assert self._delivering is not None
        self._delivering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._delivering
        client = self.app.deliveries.courier.client
        assert client is not None
        await client.aclose()

    async def wait_closed(self) -> None:
        """Wait until a signal stops the server."""
        assert self._serving is not None
        await asyncio.wait([self._serving])


def _print_at_once(line: str) -> None:
    # Whoever starts the emulator waits for this line in a pipe, which print alone would fill first.
    print(line, flush=True)


async def serve(
    scenario: Scenario,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    clock: EmulatorClock | None = None,
    on_ready: Callable[[EmulatorServer], None] | None = None,
) -> None:
    """Serve *scenario* until SIGINT or SIGTERM; *on_ready* gets the listening server."""
    async with EmulatorServer(scenario, clock=clock, host=host, port=port, owns_signals=True) as server:
        if on_ready is not None:
            on_ready(server)
        await server.wait_closed()


def run(
    scenario: str | Path = "healthy",
    *,
    port: int = 4455,
    host: str = "127.0.0.1",
    clock_factor: float = 1.0,
    parameters: Mapping[str, Parameter] | None = None,
    generate: str | Path | None = None,
    labels: Path | None = None,
    announce: Callable[[str], None] = _print_at_once,
) -> None:
    """Serve a scenario or a generated fleet until SIGINT or SIGTERM: the whole of ``lastgood emulator``.

    *scenario* is a built-in name or a YAML file, *generate* a YAML file that describes a fleet and takes its place.
    *clock_factor* is emulated seconds per real second, *parameters* replace the scenario's own, *port* 0 lets the
    system choose. *labels* is a file that the world's truth is written to at the start, *announce* gets one line with
    the URL once the emulator listens. Raises ScenarioError and OSError.
    """
    loaded = load_scenario(scenario, parameters) if generate is None else load_fleet(generate)

    def announce_ready(server: EmulatorServer) -> None:
        if labels is not None:
            write_labels(server.world, labels)
        announce(f"emulator: {loaded.name} on {server.url} (clock factor {clock_factor:g})")

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(loaded, host=host, port=port, clock=WallClock(clock_factor), on_ready=announce_ready))
