"""`lastgood drain` as a process of its own: real POSTs over a socket, the daemon's store, SIGTERM and kill -9."""

import asyncio
import gzip
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemon.core.facts import ProjectId
from daemon.ports.buckets import GapReason
from daemon.ports.source import Reading, Wanted
from daemon.runtime.clock import SystemClock
from daemon.sources.log_drain import LogDrainSettings
from daemon.stores.sql_buckets import SqlBuckets, open_sqlite_buckets
from daemon.stores.sqlite import open_sqlite
from daemon.web.drain.tally import milliseconds_of
from tests.unit.web.drain.receiving import SECRET, SHOP, lines, requests, signature

pytestmark = pytest.mark.slow

TREE = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 30.0
CONFIG = """\
vercel: {{read_token_file: {folder}/token}}
store: {{path: {folder}/lastgood.db}}
drain: {{runs_inside: false, port: 0, metrics_port: 0, verify_code: code-7, secret_files: [{folder}/team.secret]}}
projects: [{{id: prj_shop}}]
"""


class Receiving:
    """The process, and a client for it."""

    def __init__(self, process: asyncio.subprocess.Process, ports: Mapping[str, int]) -> None:
        self.process = process
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['drain.port']}", trust_env=False)
        self.shown_at = f"http://127.0.0.1:{ports['drain.metrics_port']}"

    async def post(self, entries: list[dict[str, Any]], secret: bytes = SECRET) -> httpx.Response:
        body = gzip.compress(lines(entries))
        headers = {"x-vercel-signature": signature(body, secret), "content-encoding": "gzip"}
        return await self.client.post("/drain", content=body, headers=headers)

    async def end(self, number: int) -> int:
        self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("tok_read")
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "team.secret").write_bytes(SECRET)
    (tmp_path / "lastgood.yaml").write_text(CONFIG.format(folder=tmp_path))
    await (await open_sqlite(tmp_path / "lastgood.db")).close()
    return tmp_path


@pytest.fixture
async def buckets(folder: Path) -> AsyncIterator[SqlBuckets]:
    opened = await open_sqlite_buckets(folder / "lastgood.db")
    yield opened
    await opened.close()


@asynccontextmanager
async def receiving(folder: Path) -> AsyncIterator[Receiving]:
    """Start the process, and kill it in the end if it still lives."""
    command = [sys.executable, "-m", "daemon", "drain", "--config", str(folder / "lastgood.yaml")]
    process = await asyncio.create_subprocess_exec(*command, cwd=TREE, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            ports = await _ports(process)
        running = Receiving(process, ports)
        async with running.client:
            yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def _ports(process: asyncio.subprocess.Process) -> dict[str, int]:
    """Return what it listens on, by the setting."""
    assert process.stderr is not None
    ports: dict[str, int] = {}
    async for line in process.stderr:
        told = json.loads(line) if line.startswith(b"{") else {}
        if told.get("event") == "web.listening":
            ports[told["setting"]] = told["port"]
        if len(ports) == 2:
            return ports
    raise AssertionError("it ended before it listened")


async def total(buckets: SqlBuckets) -> int:
    now = SystemClock().now()
    found = await buckets.totals(start=now - timedelta(hours=1), end=now + timedelta(hours=1))
    return sum(one.requests for one in found)


async def eventually(buckets: SqlBuckets, expected: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await total(buckets) != expected:
            await SystemClock().sleep(0.05)


def now_ms() -> int:
    return milliseconds_of(SystemClock().now())


async def test_it_shakes_hands_counts_what_is_signed_and_hands_over_before_it_ends(
    folder: Path, buckets: SqlBuckets
) -> None:
    async with receiving(folder) as drain:
        hello = await drain.client.get("/drain")
        assert (hello.status_code, hello.headers["x-vercel-verify"]) == (200, "code-7")
        assert (await drain.post(requests(500, at_ms=now_ms()))).status_code == 200
        await eventually(buckets, 500)
        assert (await drain.post(requests(100, first=500), secret=b"wrong")).status_code == 403
        assert (await drain.post(requests(100, first=500, at_ms=now_ms()))).status_code == 200
        assert await drain.end(signal.SIGTERM) == 0
        assert await total(buckets) == 600


async def test_a_rotated_secret_needs_no_restart(folder: Path, buckets: SqlBuckets) -> None:
    async with receiving(folder) as drain:
        (folder / "team.secret").write_text(f"newer\n{SECRET.decode()}\n")
        assert (await drain.post(requests(10, at_ms=now_ms()), secret=b"newer")).status_code == 200
        assert (await drain.post(requests(10, first=10, at_ms=now_ms()))).status_code == 200
        (folder / "team.secret").write_text("newer")
        assert (await drain.post(requests(10, first=20, at_ms=now_ms()))).status_code == 403
        await eventually(buckets, 20)


@pytest.mark.proof
async def test_after_a_kill_the_next_one_says_that_something_was_missed(folder: Path, buckets: SqlBuckets) -> None:
    async with receiving(folder) as drain:
        await drain.post(requests(50, at_ms=now_ms()))
        await eventually(buckets, 50)
        await drain.end(signal.SIGKILL)
    async with receiving(folder) as drain:
        await drain.post(requests(50, first=50, at_ms=now_ms()))
        await eventually(buckets, 100)
        standing = await buckets.standing()
    assert standing is not None
    [gap] = standing.gaps
    assert gap.reason is GapReason.RESTART
    assert gap.end - gap.start < timedelta(seconds=PATIENCE_SECONDS)


async def test_a_daemons_source_reads_what_another_process_counted(folder: Path, buckets: SqlBuckets) -> None:
    async with receiving(folder) as drain:
        began = datetime.fromtimestamp((now_ms() // 10_000 + 1) * 10, SystemClock().now().tzinfo)
        # Vercel's clock is a minute ahead of ours, so that nobody has to wait for it.
        for second in range(60):
            batch = requests(3, first=3 * second, at_ms=milliseconds_of(began) + second * 1000)
            assert (await drain.post(batch)).status_code == 200
        await eventually(buckets, 180)
        source = LogDrainSettings().open(buckets)
        later = began + timedelta(seconds=50)
        found = (await source.collect([Wanted(ProjectId(SHOP), began)], now=later))[SHOP]
    assert isinstance(found, Reading), found
    assert [one.requests for one in found.samples] == [30, 30, 30]


async def test_its_metrics_and_health_are_not_where_the_drain_comes_in(folder: Path) -> None:
    async with receiving(folder) as running:
        assert (await running.post(requests(3))).status_code == 200
        metrics = (await running.client.get(f"{running.shown_at}/metrics")).text
        assert 'lastgood_drain_batches_total{outcome="taken"} 1.0' in metrics
        assert "lastgood_build_info" in metrics
        assert "lastgood_leader" not in metrics
        for path in ("/healthz", "/readyz"):
            assert (await running.client.get(f"{running.shown_at}{path}")).status_code == 200
        for path in ("/metrics", "/healthz", "/readyz"):
            assert (await running.client.get(path)).status_code == 404
        assert await running.end(signal.SIGTERM) == 0
