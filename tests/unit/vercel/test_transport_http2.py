"""The client over TLS: HTTP/2 is agreed upon, many reads share one connection, and one that stalls harms no other."""

import asyncio
import copy
import json
from dataclasses import replace

import pytest

from daemon.ports.errors import Unavailable
from daemon.vercel.transport import ActingTransport, Limits, VercelTransport
from tests.unit.vercel.fakes import TOKEN, StillClock
from tests.unit.vercel.http2_server import Http2Server, an_http2_server


def a_client(server: Http2Server, kind: type = VercelTransport, **limits: float) -> VercelTransport:
    transport = kind(
        server.url,
        lambda: TOKEN,
        clock=StillClock(),
        jitter=lambda: 0.0,
        limits=replace(Limits(), **limits),
    )
    server.trusted_by(transport)
    return transport


async def read(transport: VercelTransport, path: str) -> object:
    return await transport.read("GET", path, route="project", what=path)


@pytest.mark.slow
async def test_http2_is_agreed_upon_and_many_reads_share_one_connection() -> None:
    everybody_is_here, arrived = asyncio.Event(), []

    async def answer(path: str) -> bytes:
        arrived.append(path)
        if len(arrived) >= 17:
            everybody_is_here.set()
        if path != "/first":
            await everybody_is_here.wait()
        return json.dumps({"path": path}).encode()

    async with an_http2_server(answer) as server, a_client(server) as transport:
        # A connection in the making is not shared yet.
        assert await read(transport, "/first") == {"path": "/first"}
        paths = [f"/p{number}" for number in range(16)]
        answers = await asyncio.gather(*(read(transport, path) for path in paths))
        assert answers == [{"path": path} for path in paths]
        (connection,) = server.connections
        assert connection.protocol == "h2"
        assert connection.open_most == 16


@pytest.mark.slow
async def test_a_read_that_is_given_up_harms_no_other_on_the_same_connection() -> None:
    stalls, is_given_up = asyncio.Event(), asyncio.Event()

    async def answer(path: str) -> bytes:
        if path == "/stalls":
            await stalls.wait()
        if path == "/at-the-same-time":
            await is_given_up.wait()
        return b"{}"

    async with an_http2_server(answer) as server:
        hasty = a_client(server, connect_timeout_seconds=0.1, request_timeout_seconds=0.2, tries_max=1)
        async with hasty:
            assert await read(hasty, "/first") == {}
            patient = copy.copy(hasty)
            patient.limits = Limits()
            async with asyncio.TaskGroup() as group:
                other = group.create_task(read(patient, "/at-the-same-time"))
                with pytest.raises(Unavailable, match=r"no answer in 0\.2 s"):
                    await read(hasty, "/stalls")
                is_given_up.set()
            assert other.result() == {}
            assert await read(hasty, "/afterwards") == {}
        (connection,) = server.connections
        stalls.set()
        assert sorted(connection.paths) == ["/afterwards", "/at-the-same-time", "/first", "/stalls"]


@pytest.mark.slow
async def test_a_write_speaks_http2_on_a_connection_of_its_own() -> None:
    async def answer(_path: str) -> bytes:
        return b"{}"

    async with an_http2_server(answer) as server, a_client(server, ActingTransport) as transport:
        for _ in range(2):
            assert await transport.write_once("POST", "/v1/rollback", route="rollback", what="rollback") == 200
        assert [connection.protocol for connection in server.connections] == ["h2", "h2"]


@pytest.mark.slow
async def test_a_server_that_the_machine_does_not_trust_gets_nothing() -> None:
    async def answer(_path: str) -> bytes:
        return b"{}"

    async with an_http2_server(answer) as server:
        transport = VercelTransport(server.url, lambda: TOKEN, clock=StillClock(), jitter=lambda: 0.0)
        async with transport:
            with pytest.raises(Unavailable, match="connection trouble"):
                await read(transport, "/first")
        assert [connection.paths for connection in server.connections if connection.paths] == []
