"""A daemon as a process of its own: how a test starts it, follows its log and stops it."""

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

from daemon.emulator import EmulatorServer
from daemon.emulator.scenario_files import load_scenario
from daemon.runtime.clock import SystemClock

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
