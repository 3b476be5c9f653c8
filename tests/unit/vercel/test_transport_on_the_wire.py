"""The client on a real loopback socket, where resets, stalls and half answers happen."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from daemon.ports.errors import OutcomeUnknown, Unavailable
from daemon.vercel.transport import ActingTransport, Limits
from tests.unit.vercel.fakes import TOKEN, StillClock

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LIMITS = replace(
    Limits(), connect_timeout_seconds=0.5, read_timeout_seconds=0.1, request_timeout_seconds=0.6, tries_max=1
)


@asynccontextmanager
async def a_server(behave: Behaviour, *, limits: Limits = LIMITS):
    """A transport to a socket that reads a request's head, then does as *behave* says; and what it was asked."""
    asked: list[bytes] = []
    serving: set[asyncio.Task] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        with suppress(ConnectionError):
            await behave(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = ActingTransport(
        f"http://127.0.0.1:{port}", lambda: TOKEN, clock=StillClock(), jitter=lambda: 0.0, limits=limits
    )
    async with server:
        async with transport:
            yield transport, asked
        await asyncio.gather(*serving)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _reset(writer)


async def closes(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    pass


async def stalls(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n")
    while not reader.at_eof():
        writer.write(b" ")
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(), timeout=0.05)


async def babbles(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")


async def breaks_off(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"id":')
    await writer.drain()


async def accepts(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()


async def read(transport: ActingTransport) -> object:
    return await transport.read("GET", "/v9/projects/prj_1", route="project", what="project prj_1")


async def write(transport: ActingTransport) -> int:
    return await transport.write_once("POST", "/v1/x", route="rollback", what="rollback of x to y")


@pytest.mark.slow
@pytest.mark.parametrize("behave", [resets, closes, stalls, drips, babbles, breaks_off])
async def test_every_broken_connection_makes_a_read_unavailable(behave):
    async with a_server(behave) as (transport, _):
        with pytest.raises(Unavailable):
            await read(transport)


@pytest.mark.slow
@pytest.mark.parametrize("behave", [resets, closes, stalls, babbles])
async def test_I_22_a_write_on_a_connection_that_breaks_has_an_unknown_outcome_and_is_sent_once(behave):
    async with a_server(behave) as (transport, asked):
        with pytest.raises(OutcomeUnknown):
            await write(transport)
        assert len(asked) == 1


async def test_a_write_to_a_port_where_nobody_listens_was_surely_not_sent():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        transport = ActingTransport(
            f"http://127.0.0.1:{port}", lambda: TOKEN, clock=StillClock(), jitter=lambda: 0.0, limits=LIMITS
        )
        async with transport:
            with pytest.raises(Unavailable, match="nothing was sent"):
                await write(transport)


async def test_each_write_opens_a_connection_of_its_own():
    async with a_server(accepts, limits=Limits()) as (transport, asked):
        assert [await write(transport), await write(transport)] == [201, 201]
        assert len(asked) == 2
        assert b"content-type" not in asked[0].lower()
        assert b"content-length: 0" in asked[0].lower()
