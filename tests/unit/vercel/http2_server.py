"""A server on a loopback socket that speaks HTTP/2 over TLS, and what it was asked on which connection."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h2.config
import h2.connection
import h2.events

from daemon.vercel.transport import VercelTransport

CERTIFICATE = Path(__file__).parents[2] / "data" / "tls" / "loopback.pem"


@dataclass
class Connection:
    """One connection: the protocol that was agreed upon, the paths asked for, and the most streams open at once."""

    protocol: str | None
    paths: list[str] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    open_most: int = 0


@dataclass
class Http2Server:
    """What the server saw. *answer* gives the body for a path, when it may."""

    answer: Callable[[str], Awaitable[bytes]]
    url: str = ""
    connections: list[Connection] = field(default_factory=list)
    serving: set[asyncio.Task] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.current_task())
        connection = Connection(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        self.connections.append(connection)
        if connection.protocol == "h2":
            async with asyncio.TaskGroup() as group:
                await _Streams(self, connection, writer, group).run(reader)
        writer.close()

    def trusted_by(self, transport: VercelTransport) -> None:
        """Let *transport* trust this server's certificate, and change nothing else of it."""
        transport._client._transport._pool._ssl_context.load_verify_locations(CERTIFICATE)


class _Streams:
    def __init__(
        self, server: Http2Server, connection: Connection, writer: asyncio.StreamWriter, group: asyncio.TaskGroup
    ) -> None:
        self._server, self._connection, self._writer, self._group = server, connection, writer, group
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))

    async def run(self, reader: asyncio.StreamReader) -> None:
        self._h2.initiate_connection()
        self._flush()
        while received := await reader.read(65536):
            for event in self._h2.receive_data(received):
                self._take(event)
            self._flush()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            path = dict(event.headers)[":path"].partition("?")[0]
            self._connection.paths.append(path)
            self._connection.open.add(event.stream_id)
            self._connection.open_most = max(self._connection.open_most, len(self._connection.open))
            self._group.create_task(self._answer(event.stream_id, path))
        elif isinstance(event, h2.events.StreamReset):
            self._connection.open.discard(event.stream_id)

    async def _answer(self, stream: int, path: str) -> None:
        body = await self._server.answer(path)
        if stream in self._connection.open:
            self._h2.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
            self._h2.send_data(stream, body, end_stream=True)
            self._connection.open.discard(stream)
            self._flush()

    def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())


@asynccontextmanager
async def an_http2_server(
    answer: Callable[[str], Awaitable[bytes]], *, protocols: tuple[str, ...] = ("h2", "http/1.1")
) -> AsyncIterator[Http2Server]:
    """Serve on a free port, offering *protocols* in the handshake; done when every connection is closed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    context.set_alpn_protocols(list(protocols))
    server = Http2Server(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    server.url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield server
        await asyncio.gather(*server.serving)
