"""The emulator on a real loopback socket."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemon.emulator import EmulatorServer, ManualClock, WallClock
from tests.unit.emulator.driving import ACTOR, a_scenario

pytestmark = pytest.mark.slow

START = "from daemon.emulator import run; run('quiet', port=0)"


def client_of(server: EmulatorServer, **options: Any) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {ACTOR}"}
    return httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False, **options)


async def test_it_listens_on_a_port_of_the_systems_choice_and_frees_it_in_the_end() -> None:
    async with EmulatorServer(a_scenario(), clock=ManualClock()) as server, client_of(server) as client:
        assert server.port > 0
        assert (await client.get("/v2/user")).status_code == 200
        assert server.world.ledger.requests("user")[0].status == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


async def test_it_leaves_the_signal_handlers_of_its_host_alone() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    async with EmulatorServer(a_scenario(), clock=ManualClock()):
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


async def test_a_port_in_use_is_an_error_at_once() -> None:
    async with EmulatorServer(a_scenario(), clock=ManualClock()) as server:
        with pytest.raises(OSError, match="Address already in use"):
            await EmulatorServer(a_scenario(), clock=ManualClock(), port=server.port).__aenter__()


async def test_an_answer_in_two_pieces_does_not_wait_for_the_clients_acknowledgement() -> None:
    """Nagle's algorithm and a delayed ACK would cost 40 ms of each answer on a connection that is kept alive."""
    async with EmulatorServer(a_scenario(), clock=ManualClock()) as server, client_of(server) as client:
        assert (await client.get("/v2/user")).status_code == 200
        [accepted] = server._transports.values()
        assert accepted.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_the_empty_201_has_no_content_type_on_the_wire() -> None:
    async with EmulatorServer(a_scenario(), clock=ManualClock()) as server:
        target = server.world.deployment("web", "v2").id
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            f"POST /v9/projects/web/rollback/{target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ACTOR}\r\n"
            "Content-Length: 2\r\nConnection: close\r\n\r\n{}".encode()
        )
        answer = (await reader.read()).decode().lower()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith("http/1.1 201")
    assert "content-length: 0" in answer
    assert "content-type" not in answer


@pytest.mark.parametrize(("when", "is_applied"), [("before_apply", False), ("after_apply", True)])
async def test_a_reset_closes_the_connection_without_an_answer(when: str, is_applied: bool) -> None:
    async with EmulatorServer(a_scenario(), clock=ManualClock()) as server, client_of(server) as client:
        fault = {"kind": "reset", "route": "rollback", "when": when, "count": 1}
        await client.post("/__control/faults", json=fault)
        target = server.world.deployment("web", "v2").id
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await client.post(f"/v9/projects/web/rollback/{target}", json={})
        assert bool(server.world.project("web").jobs) is is_applied
        # The next connection is as good as ever.
        assert (await client.get("/v9/projects/web")).status_code == 200


async def test_a_client_that_gives_up_on_a_slow_write_does_not_undo_it() -> None:
    async with EmulatorServer(a_scenario(), clock=WallClock(20)) as server, client_of(server, timeout=0.1) as client:
        await client.post("/__control/faults", json={"kind": "slow", "delay": "6s", "route": "rollback"})
        target = server.world.deployment("web", "v2").id
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"/v9/projects/web/rollback/{target}", json={})
        assert server.world.project("web").jobs == []
        async with asyncio.timeout(5):
            while not server.world.project("web").jobs:
                await client.get("/v2/user")


async def test_a_wall_clock_runs_as_many_times_faster_as_it_was_told() -> None:
    clock = WallClock(1000, epoch_ms=5_000)
    loop = asyncio.get_running_loop()
    real, emulated = loop.time(), clock.now_ms()
    await clock.sleep(50)
    passed = (clock.now_ms() - emulated) / 1000 / (loop.time() - real)
    assert passed == pytest.approx(1000, rel=0.1)
    assert emulated >= 5_000


def test_a_clock_does_not_go_backwards() -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        ManualClock().advance(-1)
    with pytest.raises(ValueError, match="must be above 0"):
        WallClock(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_announces_its_url_and_ends_at_a_signal(number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("emulator: quiet on http://127.0.0.1:")
        url = line.split()[3]
        assert httpx.get(f"{url}/__control/health", trust_env=False).json()["scenario"] == "quiet"
        process.send_signal(number)
        assert process.wait(timeout=10) in {0, -number}
