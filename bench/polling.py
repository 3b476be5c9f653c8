"""Measures what watching a fleet of one team costs: requests to Vercel, CPU, time and memory, 10 to 10,000 projects.

Run: python -m bench.polling [--projects N ...] [--minutes M]. Every line is a process of its own: the real poller,
sources, hosting and SQLite file against the emulator, in process and on a clock that the benchmark moves, polled every
10 s. "fine" is the same fleet with one project in a hundred (one at least) freshly released, which is then read while
its minutes grow. The emulator's own time is taken off everywhere. The columns:

calls/min  all requests, sweeps and state reads too; "limit" is what the goal allows: 2 for 100 projects
ms/poll    CPU of all threads for a poll and what goes on until the next one, on average; "cores" is its share of 10 s
poll s     the longest poll from its beginning to its end, waits for our own budget of requests included; on a machine
           that has other work too it is longer, so "its cpu" is the most CPU seconds that any poll took
held ms    the longest that the event loop's thread worked, in CPU time, before it came to a callback that was due
start s    from the first poll's beginning until every project was counted, and its production read by the sweep
resume s   the poll in which all projects are loaded from the store anew, as after a restart
kB         growth of the process's memory for one project, the emulator's visitors of these minutes included
"""

import argparse
import asyncio
import gc
import heapq
import itertools
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
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
from daemon.emulator.lazy import LazyProject
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
from daemon.runtime.garbage import collect_garbage_seldom
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
POLL_SECONDS_LIMIT = 10.0
TICK_SECONDS = 0.01
COLUMNS = (
    ("calls/min", "calls", 9, 1),
    ("per 100", "per_100", 8, 2),
    ("limit", "calls_limit", 6, 1),
    ("ms/poll", "poll_ms", 8, 1),
    ("cores", "cores", 6, 3),
    ("limit", "cores_limit", 6, 1),
    ("poll s", "poll_seconds_max", 7, 2),
    ("limit", "poll_limit", 6, 1),
    ("its cpu", "poll_cpu_max", 7, 2),
    ("held ms", "held_ms_max", 8, 0),
    ("start s", "start_seconds", 8, 1),
    ("resume s", "resume_seconds", 9, 1),
    ("kB", "kilobytes", 6, 0),
)


class BenchTime:
    """Implements `ports.clock.Clock` on the emulator's clock; who sleeps on it wakes when the benchmark moves it."""

    def __init__(self, clock: ManualClock, world: World) -> None:
        self._clock = clock
        self._world = world
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self.world_seconds = self.world_real_seconds = 0.0
        """What moving the world has cost in CPU and in real time, which is no part of the daemon's."""

    def now(self) -> datetime:
        return EPOCH + timedelta(milliseconds=self._clock.now_ms())

    def monotonic(self) -> float:
        return self._clock.now_ms() / 1000

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        bell = asyncio.Event()
        heapq.heappush(self._sleepers, (self.monotonic() + seconds, next(self._order), bell))
        await bell.wait()

    @property
    def next_bell(self) -> float:
        """When the first sleeper is to wake; infinite without any."""
        return self._sleepers[0][0] if self._sleepers else math.inf

    def move_to(self, moment: float) -> None:
        """Let it be *moment*, and wake whoever waited for it."""
        began, real = time.thread_time(), time.perf_counter()
        self._clock.advance(max(0.0, moment - self.monotonic()))
        self._world.advance()
        self.world_seconds += time.thread_time() - began
        self.world_real_seconds += time.perf_counter() - real
        while self.next_bell <= self.monotonic() + 0.001:
            heapq.heappop(self._sleepers)[2].set()


@dataclass(slots=True)
class Metered:
    """An ASGI app that counts its requests, and the CPU and real time that it takes."""

    app: Any
    calls: int = 0
    seconds: float = 0.0
    real_seconds: float = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        began, real = time.thread_time(), time.perf_counter()
        await self.app(scope, receive, send)
        self.seconds += time.thread_time() - began
        self.real_seconds += time.perf_counter() - real


class Spent:
    """What was spent since it was made: CPU of all threads, real time, and calls, without the emulator's part."""

    def __init__(self, time_: BenchTime, vercel: Metered) -> None:
        self._time, self._vercel = time_, vercel
        self._calls, self._foreign = vercel.calls, self._foreign_seconds()
        self._foreign_real = self._foreign_real_seconds()
        self._cpu, self._real, self._moment = time.process_time(), time.perf_counter(), time_.monotonic()

    def _foreign_seconds(self) -> float:
        return self._vercel.seconds + self._time.world_seconds

    def _foreign_real_seconds(self) -> float:
        return self._vercel.real_seconds + self._time.world_real_seconds

    @property
    def calls(self) -> int:
        return self._vercel.calls - self._calls

    @property
    def cpu_seconds(self) -> float:
        return time.process_time() - self._cpu - (self._foreign_seconds() - self._foreign)

    @property
    def seconds(self) -> float:
        """Real time, and what was waited on the emulated clock."""
        real = time.perf_counter() - self._real - (self._foreign_real_seconds() - self._foreign_real)
        return real + self._time.monotonic() - self._moment


class LoopWatch:
    """Knows for how long the event loop's thread worked at most before it came to a callback that was due.

    In CPU seconds, the emulator's part aside, so that other work of the machine does not count.
    """

    def __init__(self, time_: BenchTime, vercel: Metered) -> None:
        self._loop = asyncio.get_running_loop()
        self._worked = lambda: time.thread_time() - vercel.seconds - time_.world_seconds
        self._began = self._worked()
        self.held_seconds_max = 0.0
        self._tick()

    def _tick(self) -> None:
        self.held_seconds_max = max(self.held_seconds_max, self._worked() - self._began)
        self._began = self._worked()
        self._loop.call_later(TICK_SECONDS, self._tick)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--projects", type=int, nargs="+", default=[10, 100, 1_000, 10_000])
    arguments.add_argument("--minutes", type=int, default=3, help="of polling that are measured, after two to settle")
    arguments.add_argument("--only", choices=["closed", "fine"], help="one kind of line only")
    arguments.add_argument("--one", type=int, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.one is not None:
        set_up_logging(level="info", json=True)
        row = asyncio.run(_measure(chosen.one, minutes=chosen.minutes, is_fine=chosen.only == "fine"))
        sys.stderr.flush()
        print(json.dumps(row))
        return
    print(f"{'projects':>8} {'':>6} " + " ".join(f"{title:>{width}}" for title, _, width, _ in COLUMNS), flush=True)
    for projects in chosen.projects:
        for kind in [chosen.only] if chosen.only else ["closed", "fine"]:
            row = _measure_apart(projects, minutes=chosen.minutes, kind=kind)
            print(f"{projects:8,} {kind:>6} {_cells(row, projects, kind)}", flush=True)


def _cells(row: Mapping[str, float], projects: int, kind: str) -> str:
    is_limited = projects >= 10_000 and kind == "closed"
    limits = {"cores_limit": CORES_LIMIT, "poll_limit": POLL_SECONDS_LIMIT}
    limits |= {"calls_limit": CALLS_LIMIT_PER_100_PROJECTS} if is_limited else {}
    derived = {"per_100": row["calls"] / projects * 100, "cores": row["poll_ms"] / 1000 / INTERVAL_SECONDS}
    values = {**row, **limits, **derived}
    return " ".join(
        f"{values[key]:{width}.{digits}f}" if key in values else " " * width for _, key, width, digits in COLUMNS
    )


def _measure_apart(projects: int, *, minutes: int, kind: str) -> dict[str, float]:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.polling", "--one", str(projects), "--minutes", str(minutes), "--only", kind],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    # The log of what is measured comes first.
    measured: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return measured


async def _measure(projects: int, *, minutes: int, is_fine: bool) -> dict[str, float]:
    clock = ManualClock()
    world = World(fleet_scenario(_spec(projects)), clock)
    for project in world.projects_of(world.team):
        project.settle() if isinstance(project, LazyProject) else None
    gc.collect()
    # What there is now is the emulator's, and collecting it no work of the daemon's.
    gc.freeze()
    collect_garbage_seldom()
    empty_kilobytes = _resident_kilobytes()
    bench_time, vercel = BenchTime(clock, world), Metered(EmulatorApp(world))
    async with _a_poller(world, bench_time, vercel) as (poller, fleet):
        polling = _Polling(poller, bench_time, vercel)
        start_seconds = await polling.start(fleet)
        await polling.live(2)
        if is_fine:
            for one in world.projects_of(world.team)[: max(1, projects // 100)]:
                world.deploy(DeploySpec(project=one.name, name="fresh"))
            await polling.live(2)
        polling.poll_seconds.clear()
        polling.poll_cpu.clear()
        watch, spent = LoopWatch(bench_time, vercel), Spent(bench_time, vercel)
        await polling.live(minutes)
        row = {
            "calls": spent.calls / minutes,
            "poll_ms": spent.cpu_seconds * 1000 / (minutes * 60 / INTERVAL_SECONDS),
            "poll_seconds_max": max(polling.poll_seconds),
            "poll_cpu_max": max(polling.poll_cpu),
            "held_ms_max": watch.held_seconds_max * 1000,
            "start_seconds": start_seconds,
            "kilobytes": (_resident_kilobytes() - empty_kilobytes) / projects,
        }
        for one in fleet:
            one.needs_resume = True
        polling.poll_seconds.clear()
        await polling.live_until(bench_time.monotonic() + INTERVAL_SECONDS)
        return row | {"resume_seconds": max(polling.poll_seconds)}


def _spec(projects: int) -> FleetSpec:
    return FleetSpec.model_validate(
        {
            "projects": projects,
            "plans": {"enterprise": 1},
            "traffic": {"flat": 1},
            "requests_per_second": {"median": VISITORS_PER_SECOND, "most": VISITORS_PER_SECOND},
            "traffic_history": "1m",
            "deployments_most": 2,
            "outages_per_month": 0,
            "incident_ratio": 0,
        }
    )


def _resident_kilobytes() -> float:
    """Return the memory of this process that is in use. Source: proc(5), /proc/pid/statm, its second field in pages."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024


class _Polling:
    """Polls every 10 s of the emulated clock, which goes on only when everybody waits for it, and times each poll."""

    def __init__(self, poller: Poller, time_: BenchTime, vercel: Metered) -> None:
        self._poller = poller
        self._time = time_
        self._vercel = vercel
        self._in_threads = 0
        self.poll_seconds: list[float] = []
        self.poll_cpu: list[float] = []
        loop: Any = asyncio.get_running_loop()
        self._run_in_executor, loop.run_in_executor = loop.run_in_executor, self._count_in_threads

    async def start(self, fleet: Sequence[Project]) -> float:
        """Poll until every project was counted, and its production read; return the seconds that this took."""
        spent = Spent(self._time, self._vercel)
        for _ in range(60):
            await self.live_until(self._time.monotonic() + INTERVAL_SECONDS)
            if all(one.state and one.state.production and one.state.samples_until for one in fleet):
                return spent.seconds
        return math.inf

    async def live(self, minutes: int) -> None:
        """Poll for so many of the clock's minutes."""
        await self.live_until(self._time.monotonic() + minutes * 60)

    async def live_until(self, end: float) -> None:
        """Poll until the clock shows *end*. A poll that takes longer than the interval is waited for."""
        while (began := self._time.monotonic()) < end:
            spent = Spent(self._time, self._vercel)
            poll = asyncio.create_task(self._poller.run_cycle())
            poll.add_done_callback(partial(self._note, spent))
            await self._settle()
            while not poll.done():
                self._time.move_to(self._time.next_bell)
                await self._settle()
            poll.result()
            following = began + INTERVAL_SECONDS
            while self._time.next_bell <= following:
                self._time.move_to(self._time.next_bell)
                await self._settle()
            self._time.move_to(following)

    def _note(self, spent: Spent, _poll: asyncio.Task[None]) -> None:
        self.poll_seconds.append(spent.seconds)
        self.poll_cpu.append(spent.cpu_seconds)

    def _count_in_threads(self, executor: Any, call: Any, *arguments: Any) -> Any:
        """Stand in for the loop's `run_in_executor`, and know how many calls are under way."""
        future = self._run_in_executor(executor, call, *arguments)
        self._in_threads += 1
        future.add_done_callback(lambda _: setattr(self, "_in_threads", self._in_threads - 1))
        return future

    async def _settle(self) -> None:
        """Return when everybody waits for the clock."""
        ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
        idle_turns = 0
        while idle_turns < 3:
            await asyncio.sleep(0.0002 if self._in_threads and not ready else 0)
            idle_turns = 0 if ready or self._in_threads else idle_turns + 1


@asynccontextmanager
async def _a_poller(
    world: World, bench_time: BenchTime, vercel: Metered
) -> AsyncIterator[tuple[Poller, Sequence[Project]]]:
    metrics, supervisor = Metrics(CollectorRegistry(), version="0"), Supervisor(reraise=True)
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
        poller = Poller(
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
        yield poller, projects
        await supervisor.finish(grace_seconds=0)


if __name__ == "__main__":
    main()
