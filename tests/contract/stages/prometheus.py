"""The stage of the source `prometheus`: a real Prometheus that has scraped the emulated world's own counts."""

import shutil
import socket
import subprocess
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemon.emulator import World
from daemon.ports.source import Source
from daemon.runtime.clock import SystemClock
from daemon.sources.prometheus import PrometheusSettings
from tests.requires import requires_prometheus, requires_promtool
from tests.unit.vercel.emulated import Vercel

SCRAPE_MS, STEP_MS, LAG_MS = 15_000, 60_000, 30_000
"""The last two are the defaults of the settings."""
READY_SECONDS_MAX = 20.0
PRODUCTION = 'http_requests_total{environment="production"}'
FAILED = 'http_requests_total{environment="production", status=~"5.."}'


def growth_of(selector: str) -> str:
    """Return PromQL for what each counter grew by, its first value included: `increase` would lose it, and guess."""
    return f"sum by (project, deployment) ({selector} - ({selector} offset {{window}} or {selector} * 0))"


def exposition(world: World, *, until_ms: int) -> Iterator[str]:
    """Yield the lines of every scrape: counters by project, deployment, environment and status, once they exist."""
    counters: Counter[tuple[str, str, str, int]] = Counter()
    rows = sorted(
        ((row.at_ms, project.id, row.key) for project in world.projects.values() for row in _rows(world, project)),
        key=lambda entry: entry[0],
    )
    at_ms = rows[0][0] // SCRAPE_MS * SCRAPE_MS if rows else until_ms
    for scrape_ms in range(at_ms, until_ms + 1, SCRAPE_MS):
        while rows and rows[0][0] < scrape_ms:
            _, project, key = rows.pop(0)
            counters[project, key.deployment_id, key.environment, key.http_status] += 1
        for (project, deployment, environment, status), count in counters.items():
            labels = f'project="{project}",deployment="{deployment}",environment="{environment}",status="{status}"'
            yield f"http_requests_total{{{labels}}} {count} {scrape_ms / 1000:.3f}"


def _rows(world: World, project: Any) -> list[Any]:
    return list(world.traffic_of(project).counts.rows)


class RealPrometheus:
    """A Prometheus process of the test's own on a loopback port, started anew on each set of scrapes."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lastgood-prometheus-"))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port: int = listener.getsockname()[1]
        self._running: list[subprocess.Popen[bytes]] = []
        weakref.finalize(self, _clean_up, self._running, self._folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def serve(self, lines: Iterable[str]) -> None:
        """Answer from these scrapes and no others."""
        self._start(lines)
        await self._wait_until_ready()

    def _start(self, lines: Iterable[str]) -> None:
        _end(self._running)
        data, text = self._folder / "data", self._folder / "scrapes.txt"
        shutil.rmtree(data, ignore_errors=True)
        text.write_text("\n".join(["# TYPE http_requests counter", *lines, "# EOF", ""]))
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
        subprocess.run(command, check=True, capture_output=True)
        (self._folder / "prometheus.yaml").write_text("")
        command = [
            "prometheus",
            f"--config.file={self._folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={data}",
            # What the blocks hold may be long ago, or far ahead, of the machine's own time.
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        with (self._folder / "prometheus.log").open("wb") as log:
            self._running.append(subprocess.Popen(command, stdout=log, stderr=log))

    async def _wait_until_ready(self) -> None:
        clock = SystemClock()
        began = clock.monotonic()
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    if (await http.get(f"{self.url}/-/ready")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                assert self._running[0].poll() is None, (self._folder / "prometheus.log").read_text()
                assert clock.monotonic() - began < READY_SECONDS_MAX, "Prometheus did not become ready"
                await clock.sleep(0.02)


def _end(running: list[subprocess.Popen[bytes]]) -> None:
    while running:
        process = running.pop()
        # Nothing that it holds is worth an orderly end, which takes longer than the start.
        process.kill()
        process.wait()


def _clean_up(running: list[subprocess.Popen[bytes]], folder: Path) -> None:
    _end(running)
    shutil.rmtree(folder, ignore_errors=True)


class PrometheusStage:
    """Implements `Stage`. Scrapes fall on the ends of steps, so that counts are the world's own to the last request."""

    kind = "prometheus"
    counts_are_exact = True
    marks = (requires_prometheus, requires_promtool, pytest.mark.slow)
    """What a parameter of a test with this stage has to be marked with."""

    def __init__(self) -> None:
        self.server = RealPrometheus()
        self._step_ends: int | None = None

    def build(self, vercel: Vercel, **changes: Any) -> Source:
        """Return a source that reads this stage's Prometheus."""
        expressions = {"requests": growth_of(PRODUCTION), "errors": growth_of(FAILED)}
        # A counter with a label for the status does not exist before the first answer with that status.
        settings = {"url": self.server.url, "missing_errors_are_zero": True} | expressions | changes
        return PrometheusSettings.model_validate(settings).open()

    async def settle(self, vercel: Vercel) -> None:
        """Let Prometheus have scraped everything that was served until now, as far as anybody can ask for it yet."""
        now_ms = vercel.clock.now_ms()
        step_ends = (now_ms - LAG_MS) // STEP_MS
        if step_ends != self._step_ends:
            self._step_ends = step_ends
            vercel.world.advance()
            await self.server.serve(exposition(vercel.world, until_ms=now_ms))
