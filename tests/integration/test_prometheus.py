"""A real Prometheus scrapes a real daemon through an incident, and promtool finds nothing to complain about."""

import asyncio
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemon.emulator import EmulatorServer, WallClock
from daemon.emulator.scenario_files import load_scenario
from daemon.runtime.clock import SystemClock
from tests.requires import requires_prometheus, requires_promtool

pytestmark = [pytest.mark.slow, requires_prometheus, requires_promtool]

TREE = Path(__file__).resolve().parents[2]
CLOCK_FACTOR = 30.0
PATIENCE_SECONDS = 45.0
CONFIRMED = 'lastgood_actions_total{outcome="confirmed"}'

DAEMON_CONFIG = """\
vercel:
  {{api_url: "{url}", team: {team}, request_timeout: 2s, read_token_file: {folder}/read, act_token_file: {folder}/act}}
store: {{path: {folder}/lastgood.db}}
web: {{port: {port}}}
poll: {{interval: 15s, lease_ttl: 5m}}
projects: [{{id: {project}, posture: automatic, sources: [{{kind: observability}}]}}]
"""

PROMETHEUS_CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: lastgood
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@dataclass(frozen=True, slots=True)
class Scraped:
    """A daemon and the Prometheus that scrapes it; `http` has no base, both have their own origin."""

    emulator: EmulatorServer
    http: httpx.AsyncClient
    daemon: asyncio.subprocess.Process
    daemon_url: str
    prometheus_url: str

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the instant vector that Prometheus answers; empty while it is still loading its storage (503)."""
        answer = await self.http.get(f"{self.prometheus_url}/api/v1/query", params={"query": expression})
        if answer.status_code == 503:
            return []
        assert answer.status_code == 200, answer.text
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    async def value(self, expression: str) -> float | None:
        """Return the value of the only series; None while there is none, or Prometheus is not up yet."""
        try:
            result = await self.query(expression)
        except httpx.ConnectError:
            return None
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None

    def release_the_bad_deployment(self) -> None:
        """Let the scenario's own bad deployment go out now, and not while the daemon still starts."""
        [bad] = [one.deploy for one in self.emulator.world.scenario.happenings if one.deploy]
        self.emulator.world.advance()
        self.emulator.world.deploy(bad)

    async def wait_for(self, expression: str, wanted: float) -> None:
        """Ask until *expression* has the value *wanted*, at most for PATIENCE_SECONDS."""
        found = None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (found := await self.value(expression)) != wanted:
                assert self.daemon.returncode is None, f"the daemon ended, {expression} was {found}"
                await SystemClock().sleep(0.2)


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@asynccontextmanager
async def started(*command: str | Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield a running process of the test's own, which writes into *log*; it is asked to end, and has to."""
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(*command, cwd=TREE, stderr=stream)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def write_daemon_config(folder: Path, emulator: EmulatorServer, port: int) -> Path:
    """Write configuration and tokens, and return the configuration's path."""
    [project] = emulator.world.projects.values()
    for token in emulator.world.tokens.values():
        path = folder / ("read" if token.read_only else "act")
        path.write_text(token.value)
        path.chmod(0o600)
    config = folder / "lastgood.yaml"
    config.write_text(
        DAEMON_CONFIG.format(url=emulator.url, team=project.team_id, folder=folder, port=port, project=project.id)
    )
    return config


@asynccontextmanager
async def scraped(folder: Path) -> AsyncIterator[Scraped]:
    """Yield a daemon on a clock that runs faster, and the Prometheus that watches it."""
    real = SystemClock()
    began, epoch = real.monotonic(), real.now().timestamp()
    clock = WallClock(CLOCK_FACTOR, epoch_ms=round(epoch * 1000))
    daemon_port, prometheus_port = a_free_port(), a_free_port()
    scrape = folder / "prometheus.yaml"
    scrape.write_text(PROMETHEUS_CONFIG.format(port=daemon_port))
    prometheus = (
        shutil.which("prometheus") or "prometheus",
        f"--config.file={scrape}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{prometheus_port}",
    )
    async with EmulatorServer(load_scenario("bad-deployment", {"deploy_at": "30d"}), clock=clock) as emulator:
        config = write_daemon_config(folder, emulator, daemon_port)
        launch = (sys.executable, "-m", "tests.integration.scaled_daemon", config, f"{CLOCK_FACTOR}")
        async with (
            started(*launch, f"{epoch}", f"{began}", log=folder / "lastgood.log") as daemon,
            started(*prometheus, log=folder / "prometheus.log"),
            httpx.AsyncClient(trust_env=False) as http,
        ):
            yield Scraped(
                emulator, http, daemon, f"http://127.0.0.1:{daemon_port}", f"http://127.0.0.1:{prometheus_port}"
            )


async def check_metrics(text: str) -> tuple[int | None, str]:
    """Return the exit status of `promtool check metrics` and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        shutil.which("promtool") or "promtool",
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(text.encode())
    return process.returncode, output.decode()


async def test_a_real_prometheus_counts_the_rollback_and_promtool_has_no_complaint(tmp_path: Path) -> None:
    async with scraped(tmp_path) as watched:
        await watched.wait_for('up{job="lastgood"}', 1)
        await watched.wait_for('lastgood_cycles_total{outcome="completed"} > bool 0', 1)
        watched.release_the_bad_deployment()
        await watched.wait_for(CONFIRMED, 1)
        # The series began at 0, so that a rate tells what happened and not only what is.
        growth = await watched.value(f"increase({CONFIRMED}[5m])")
        assert growth is not None
        assert growth > 0
        assert await watched.value("lastgood_leader") == 1
        assert await watched.query("ALERTS") == []
        targets = (await watched.http.get(f"{watched.prometheus_url}/api/v1/targets")).json()["data"]["activeTargets"]
        assert [(one["health"], one["lastError"]) for one in targets] == [("up", "")]

        metrics = await watched.http.get(f"{watched.daemon_url}/metrics")
        assert await check_metrics(metrics.text) == (0, "")
        assert "lastgood_actions_total" in metrics.text

        watched.daemon.send_signal(signal.SIGTERM)
        assert await watched.daemon.wait() == 0


async def test_promtool_would_complain_about_a_counter_without_total() -> None:
    bad = "# HELP lastgood_actions Actions.\n# TYPE lastgood_actions counter\nlastgood_actions 1\n"
    status, output = await check_metrics(bad)
    assert status != 0
    assert "lastgood_actions" in output
