"""`lastgood run` as a process of its own on its real clock: how it starts, stops and hands over."""

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from daemon.runtime.clock import SystemClock
from daemon.stores.sqlite import open_sqlite
from tests.integration.process import (
    PATIENCE_SECONDS,
    a_free_port,
    documented_events,
    emulated,
    running,
    write_config,
)

pytestmark = pytest.mark.slow


async def lease_is_free(folder: Path) -> bool:
    """Return whether somebody else could take the lease now."""
    store = await open_sqlite(folder / "lastgood.db")
    lease = await store.take_lease("test", now=SystemClock().now(), ttl_seconds=1)
    await store.close()
    return lease is not None


async def test_on_sigterm_it_ends_soon_with_0_and_gives_the_lease_up(tmp_path: Path) -> None:
    async with emulated() as emulator, running(write_config(tmp_path, emulator)) as daemon:
        await daemon.wait_until(lambda: bool(daemon.logged("cycle.completed")))
        assert not await lease_is_free(tmp_path)
        assert await daemon.stop() == 0
        assert [line["event"] for line in daemon.lines[-2:]] == ["daemon.stopping", "daemon.stopped"]
        assert daemon.trouble == []
        assert {line["event"] for line in daemon.lines} - documented_events() == set()
        assert await lease_is_free(tmp_path)
        assert emulator.world.ledger.mutating() == []


async def test_health_and_metrics_answer_while_it_runs(tmp_path: Path) -> None:
    port = a_free_port()
    async with emulated() as emulator, running(write_config(tmp_path, emulator, port=port), port=port) as daemon:
        await daemon.wait_until(lambda: bool(daemon.logged("cycle.completed")))
        async with httpx.AsyncClient(trust_env=False, base_url=daemon.url) as http:
            assert (await http.get("/healthz")).status_code == 200
            assert (await http.get("/readyz")).json()["leader"] is True
            assert "lastgood_leader 1.0" in (await http.get("/metrics")).text


async def test_a_second_daemon_stands_by_and_takes_over_as_soon_as_the_first_stops(tmp_path: Path) -> None:
    async with emulated() as emulator:
        config = write_config(tmp_path, emulator)
        async with running(config) as first:
            await first.wait_until(lambda: bool(first.logged("cycle.completed")))
            async with running(config) as second:
                await second.wait_until(lambda: bool(second.logged("lease.awaited")))
                assert second.logged("cycle.completed") == []
                assert await first.stop() == 0
                # The lease lives for a minute: without being given up it would outlast our patience.
                await second.wait_until(lambda: bool(second.logged("cycle.completed")))
                assert await second.stop() == 0


async def test_where_nobody_answers_it_keeps_trying_and_still_stops_on_sigterm(tmp_path: Path) -> None:
    async with running(write_config(tmp_path, None)) as daemon:
        await daemon.wait_until(lambda: bool(daemon.logged("read.failed")))
        assert await daemon.stop() == 0
        assert daemon.trouble == []


async def test_a_port_that_is_taken_ends_it_with_an_error_that_names_the_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with emulated() as emulator, running(write_config(tmp_path, emulator, port=port)) as daemon:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status = await daemon.process.wait()
        assert status == 1
        assert daemon.lines == []
        [line] = daemon.trouble
        assert line.startswith(f"lastgood: cannot listen on 127.0.0.1:{port} ")
        assert await lease_is_free(tmp_path)


async def test_port_0_takes_a_free_port_and_logs_it(tmp_path: Path) -> None:
    async with emulated() as emulator, running(write_config(tmp_path, emulator)) as daemon:
        await daemon.wait_until(lambda: bool(daemon.logged("cycle.completed")))
        [listening] = daemon.logged("web.listening")
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://{listening['host']}:{listening['port']}/healthz")).status_code == 200


async def test_a_project_that_vercel_does_not_know_ends_the_start_in_one_line(tmp_path: Path) -> None:
    async with emulated() as emulator:
        config = write_config(tmp_path, emulator, projects="{name: nowhere}")
        async with running(config) as daemon, asyncio.timeout(PATIENCE_SECONDS):
            status = await daemon.process.wait()
    assert status == 1
    [line] = daemon.trouble
    assert line.startswith("lastgood: ")
    assert "nowhere" in line
