"""`lastgood run` as a process of its own on its real clock: how it starts, stops and hands over."""

import asyncio
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemon.emulator import EmulatorServer
from daemon.emulator.scenario_files import load_scenario
from daemon.runtime.clock import SystemClock
from daemon.stores.sqlite import open_sqlite

pytestmark = pytest.mark.slow

TREE = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 40.0
SOON_SECONDS = 10.0

CONFIG = """\
vercel: {{api_url: "{url}", team: {team}, request_timeout: 2s, read_token_file: {folder}/token}}
store: {{path: {folder}/lastgood.db}}
web: {{port: {port}}}
poll: {{interval: 3s, lease_ttl: 60s}}
projects: [{projects}]
"""


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@dataclass(slots=True)
class Running:
    """A daemon's process, where it serves, and every line that it logged so far."""

    process: asyncio.subprocess.Process
    url: str
    lines: list[dict[str, Any]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    _reading: asyncio.Task[None] | None = None

    async def read_log(self) -> None:
        """Take in the log until the process ends it."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            if line.startswith(b"{"):
                self.lines.append(json.loads(line))
            else:
                self.trouble.append(line.decode())

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    async def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait until *is_so*; a process that ends before is an error."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_so():
                assert self.process.returncode is None, (self.trouble, self.lines[-3:])
                await SystemClock().sleep(0.05)

    async def stop(self, *, within_seconds: float = SOON_SECONDS) -> int:
        """Ask it to stop, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(within_seconds):
            return await self.process.wait()


@asynccontextmanager
async def running(config: Path, *, port: int = 0) -> AsyncIterator[Running]:
    """Yield `lastgood run`; it is killed in the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daemon", "run", "-c", config, cwd=TREE, stderr=asyncio.subprocess.PIPE
    )
    daemon = Running(process, f"http://127.0.0.1:{port}")
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.read_log())
        try:
            yield daemon
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@asynccontextmanager
async def emulated() -> AsyncIterator[EmulatorServer]:
    async with EmulatorServer(load_scenario("healthy")) as emulator:
        yield emulator


def write_config(folder: Path, emulator: EmulatorServer | None, *, port: int = 0, projects: str = "") -> Path:
    """Write a configuration with one token; without *emulator* nobody answers."""
    token = folder / "token"
    token.write_text("tok_emulator_read")
    token.chmod(0o600)
    url = emulator.url if emulator else f"http://127.0.0.1:{a_free_port()}"
    team = emulator.world.team.id if emulator else "team_nowhere"
    ids = list(emulator.world.projects) if emulator else ["prj_nowhere"]
    listed = projects or ", ".join(f"{{id: {one}}}" for one in ids)
    config = folder / "lastgood.yaml"
    config.write_text(CONFIG.format(url=url, team=team, folder=folder, port=port, projects=listed))
    return config


def documented_events() -> set[str]:
    """Return the names of docs/events.md."""
    return set(re.findall(r"^\| `([a-z_.]+)` \|", (TREE / "docs" / "events.md").read_text(), flags=re.MULTILINE))


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
