"""Measures what watching a fleet of one team costs: requests to Vercel and CPU, for 10 to 10,000 projects.

Run: python -m bench.polling [--projects N ...] [--minutes M]. Every line is a process of its own: the real poller,
sources, hosting and SQLite file against the emulator, in process and on a clock that the benchmark moves, polled every
10 s. All requests are counted, sweeps and state reads too. The emulator's own CPU is taken off. "limit" is what the
goal allows: 2 requests per 100 projects and minute, and half a core. "fine" is the same fleet with one project in a
hundred (one at least) freshly released, which is then read while its minutes grow.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from daemon.core.facts import ProjectId
from daemon.core.guardrail import Posture
from daemon.core.policy import Policy
from daemon.detectors.threshold import Threshold
from daemon.emulator import EmulatorApp, ManualClock, World
from daemon.emulator.fleet_specs import FleetSpec
from daemon.emulator.scenario import DeploySpec
from daemon.emulator.scenario_files import fleet_scenario
from daemon.engine.cycle import Poller
from daemon.engine.executor import Executor
from daemon.engine.housekeeping import Housekeeping
from daemon.engine.leadership import Leadership
from daemon.engine.moments import Moments
from daemon.engine.project import Project
from daemon.engine.supervisor import Supervisor
from daemon.engine.tokens import TokenWatch
from daemon.guardrails import complete
from daemon.sources.observability import ObservabilitySettings
from daemon.stores.sqlite import open_sqlite
from daemon.telemetry.log import set_up_logging
from daemon.telemetry.metrics import Metrics
from daemon.vercel.hosting import VercelHosting, VercelRollback
from daemon.vercel.transport import ActingTransport, VercelTransport

INTERVAL_SECONDS = 10.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VISITORS_PER_SECOND = 0.02
CALLS_LIMIT_PER_100_PROJECTS = 2.0
CORES_LIMIT = 0.5


class BenchTime:
    """Implements `ports.clock.Clock` on the emulator's clock."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return EPOCH + timedelta(milliseconds=self._clock.now_ms())

    def monotonic(self) -> float:
        return self._clock.now_ms() / 1000

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


@dataclass(slots=True)
class Metered:
    """An ASGI app that counts its requests by path's kind, and the CPU that it takes."""

    app: Any
    calls: int = 0
    seconds: float = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        began = time.thread_time()
        await self.app(scope, receive, send)
        self.seconds += time.thread_time() - began


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--projects", type=int, nargs="+", default=[10, 100, 1_000, 10_000])
    arguments.add_argument("--minutes", type=int, default=5, help="of polling that are measured, after two to settle")
    arguments.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments.add_argument("--fine", action="store_true", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.one is not None:
        set_up_logging(level="info", json=True)
        print(json.dumps(asyncio.run(_measure(chosen.one, minutes=chosen.minutes, is_fine=chosen.fine))))
        return
    print(
        f"{'projects':>8} {'':>6} {'calls/min':>9} {'per 100':>8} {'limit':>6} {'ms/poll':>9} {'cores':>6} {'limit':>6}"
    )
    for projects in chosen.projects:
        for is_fine in (False, True):
            row = _measure_apart(projects, minutes=chosen.minutes, is_fine=is_fine)
            per_100 = row["calls"] / projects * 100
            limit = f"{CALLS_LIMIT_PER_100_PROJECTS:6g}" if projects >= 10_000 and not is_fine else f"{'':>6}"
            print(
                f"{projects:8,} {'fine' if is_fine else 'closed':>6} {row['calls']:9.1f} {per_100:8.2f} {limit} "
                f"{row['poll_ms']:9.1f} {row['poll_ms'] / 1000 / INTERVAL_SECONDS:6.3f} {CORES_LIMIT:6g}"
            )


def _measure_apart(projects: int, *, minutes: int, is_fine: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.polling", "--one", str(projects), "--minutes", str(minutes)]
    tree = Path(__file__).resolve().parent.parent
    ran = subprocess.run(
        [*command, *(["--fine"] if is_fine else [])],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the log of what is measured
        text=True,
        cwd=tree,
    )
    measured: dict[str, float] = json.loads(ran.stdout)
    return measured


async def _measure(projects: int, *, minutes: int, is_fine: bool) -> dict[str, float]:
    visitors = {"median": VISITORS_PER_SECOND, "most": VISITORS_PER_SECOND}
    spec = FleetSpec.model_validate(
        {
            "projects": projects,
            "plans": {"enterprise": 1},
            "traffic": {"flat": 1},
            "requests_per_second": visitors,
            "traffic_history": "5m",
            "deployments_most": 2,
            "outages_per_month": 0,
            "incident_ratio": 0,
        }
    )
    clock = ManualClock()
    world = World(fleet_scenario(spec), clock)
    vercel = Metered(EmulatorApp(world))
    async with _a_poller(world, clock, vercel) as poller:
        await _poll_for(2, poller, world, clock)
        if is_fine:
            for project in world.projects_of(world.team)[: max(1, projects // 100)]:
                world.deploy(DeploySpec(project=project.name, name="fresh"))
            await _poll_for(2, poller, world, clock)
        vercel.calls, vercel.seconds = 0, 0.0
        spent = await _poll_for(minutes, poller, world, clock)
        polls = minutes * 60 / INTERVAL_SECONDS
        return {"calls": vercel.calls / minutes, "poll_ms": (spent - vercel.seconds) * 1000 / polls}


async def _poll_for(minutes: int, poller: Poller, world: World, clock: ManualClock) -> float:
    """Poll for so many of the clock's minutes; return the CPU seconds of this process meanwhile, all threads."""
    spent = 0.0
    for _ in range(round(minutes * 60 / INTERVAL_SECONDS)):
        clock.advance(INTERVAL_SECONDS)
        world.advance()
        began = time.process_time()
        await poller.run_cycle()
        await asyncio.sleep(0)
        spent += time.process_time() - began
    return spent


@asynccontextmanager
async def _a_poller(world: World, clock: ManualClock, vercel: Metered) -> AsyncIterator[Poller]:
    bench_time, metrics, supervisor = (
        BenchTime(clock),
        Metrics(CollectorRegistry(), version="0"),
        Supervisor(reraise=True),
    )
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        store = await open_sqlite(Path(folder) / "bench.db")
        stack.push_async_callback(store.close)
        reading, acting = [
            await stack.enter_async_context(
                kind(
                    "http://127.0.0.1:4455",
                    lambda: "tok_emulator_act",
                    clock=bench_time,
                    jitter=lambda: 0.5,
                    team_id=world.team.id,
                    transport=httpx.ASGITransport(vercel),
                )
            )
            for kind in (VercelTransport, ActingTransport)
        ]
        leadership = Leadership(store, bench_time, holder="bench", ttl_seconds=3600)
        moments, hosting = Moments(bench_time), VercelHosting(reading)
        executor = Executor(
            hosting=hosting,
            rollback=VercelRollback(acting),
            notifiers=(),
            leadership=leadership,
            clock=bench_time,
            moments=moments,
            metrics=metrics,
            request_timeout_seconds=10,
        )
        policy = Policy(Posture.OBSERVE, (Threshold(),), complete(()))
        projects = [
            Project(
                id=ProjectId(project.id),
                store=store,
                policy=lambda: policy,
                executor=executor,
                leadership=leadership,
                moments=moments,
                supervisor=supervisor,
                metrics=metrics,
            )
            for project in world.projects_of(world.team)
        ]
        metrics.initialise(project.id for project in projects)
        source = ObservabilitySettings().open(reading)
        await stack.enter_async_context(supervisor)
        yield Poller(
            projects=projects,
            sources={project.id: [source] for project in projects},
            hosting=hosting,
            leadership=leadership,
            moments=moments,
            clock=bench_time,
            supervisor=supervisor,
            metrics=metrics,
            housekeeping=Housekeeping(store, bench_time, keep=timedelta(days=30)),
            tokens=TokenWatch({}, clock=bench_time),
        )
        await supervisor.finish(grace_seconds=5)


if __name__ == "__main__":
    main()
