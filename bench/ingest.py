"""Measures the receiver of log drains: events a second on one core, and what its full load does to a loop beside it.

Run: python -m bench.ingest [--batches N] [--rounds N]. Every batch has 1,000 entries, is gzipped and signed, and comes
into the ASGI app in chunks of 64 KiB, as uvicorn hands them over; counts go to a SQLite file every second.

* "decode only" is msgspec on text that is inflated already: the limit that decoding sets. "inflate and decode" is the
  same from the bodies as they come. Neither checks, counts or keeps anything.
* "on json" is the same receiver with the standard library's json in the place of msgspec.
* An event's cost is CPU time of this process, all its threads included, so that other programs do not count; the rows
  are measured in turns, and the best round of each stands. The events a second beside the lateness are by the clock.
* Lateness is of a task that wants to wake every 10 ms, as the daemon's control loop does, while batches come in without
  a pause from eight senders: in the receiver's own event loop, and in one of its own beside the receiver's thread. The
  first row tells what the machine does to it by itself. Of several rounds the one with the least p99 stands.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bench.drain_payload import ENTRIES, START_MS, Traffic, packed
from daemon.ports.buckets import Buckets
from daemon.stores.memory_buckets import MemoryBuckets
from daemon.stores.sql_buckets import open_sqlite_buckets
from daemon.stores.sqlite import open_sqlite
from daemon.web.drain.entries import Entry, Slice, Unpacker, decode_lines
from daemon.web.drain.handover import Handover
from daemon.web.drain.intake import Intake
from daemon.web.drain.receiver import Receiver
from daemon.web.drain.record import NoRecorder
from daemon.web.drain.secrets import Secret
from daemon.web.drain.tally import Tally

SECRET = b"a-secret-of-the-bench"
CHUNK_BYTES = 64 * 1024
SENDERS = 8
TICK_SECONDS = 0.01
PATTERNS = 40


class BenchClock:
    """Real time that began when the first entry was logged."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> datetime:
        return datetime.fromtimestamp(START_MS / 1000 + 1 + time.monotonic() - self._began, UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class JsonUnpacker(Unpacker):
    """Decodes with the standard library."""

    def decoded(self, text: bytes | memoryview) -> Slice | None:
        try:
            return Slice([msgspec.convert(json.loads(line), Entry) for line in bytes(text).splitlines()])
        except ValueError:
            return None


class Load:
    """Signed, gzipped batches, and a receiver that they are given to."""

    def __init__(self, batches: int) -> None:
        self.texts = list(Traffic().batches(batches, patterns=PATTERNS))
        self.bodies = [packed(text) for text in self.texts]

    def receiver(
        self, buckets: Buckets, *, unpacker: Callable[[], Unpacker] = Unpacker, is_plain: bool = False
    ) -> "Bench":
        clock, recorder = BenchClock(), NoRecorder()
        tally = Tally(ids_max=1_000_000, remembered_for=timedelta(minutes=15), routes_max=100)
        intake = Intake(
            tally,
            clock=clock,
            recorder=recorder,
            inflated_bytes_max=64 * 1024 * 1024,
            queue_events_max=10_000_000,
            unpacker=unpacker,
        )
        receiver = Receiver(
            intake,
            lambda: [Secret("bench", SECRET)],
            recorder=recorder,
            verify_code=None,
            body_bytes_max=8 * 1024 * 1024,
            queue_bytes_max=64 * 1024 * 1024,
        )
        handover = Handover(
            intake,
            buckets,
            clock=clock,
            recorder=recorder,
            receiver=f"bench {time.monotonic_ns()}",
            interval=timedelta(seconds=1),
            keep=timedelta(hours=2),
        )
        bodies, encoding = (self.texts, b"identity") if is_plain else (self.bodies, b"gzip")
        return Bench(receiver, handover, bodies, encoding)


@dataclass(frozen=True, slots=True)
class Spent:
    """What it took to count everything."""

    cpu_seconds: float
    seconds: float


class Bench:
    """A receiver under load."""

    def __init__(self, receiver: Receiver, handover: Handover, bodies: Sequence[bytes], encoding: bytes) -> None:
        self._receiver = receiver
        self._handover = handover
        self._bodies = bodies
        self._encoding = encoding
        self._signatures = [hmac.digest(SECRET, body, hashlib.sha1).hex().encode() for body in bodies]

    async def take_all(self) -> "Spent":
        """Give every batch to the receiver once, by several senders, and hand everything over."""
        await self._handover.begin()
        cpu, real = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            handing = group.create_task(self._handover.run())
            async with asyncio.TaskGroup() as senders:
                for first in range(SENDERS):
                    senders.create_task(self._send(range(first, len(self._bodies), SENDERS)))
            handing.cancel()
        await self._handover.finish()
        return Spent(time.process_time() - cpu, time.perf_counter() - real)

    async def _send(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            await self._post(self._bodies[number], self._signatures[number])

    async def _post(self, body: bytes, signature: bytes) -> None:
        chunks = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]
        messages = iter(
            {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
            for number, chunk in enumerate(chunks, start=1)
        )
        answers: list[int] = []

        async def receive() -> dict[str, object]:
            return next(messages)

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                answers.append(message["status"])  # type: ignore[arg-type]

        headers = [
            (b"content-length", str(len(body)).encode()),
            (b"content-encoding", self._encoding),
            (b"x-vercel-signature", signature),
        ]
        scope = {"type": "http", "method": "POST", "path": "/drain", "headers": headers}
        await self._receiver(scope, receive, send)  # type: ignore[arg-type]
        assert answers == [200], answers


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--batches", type=int, default=200)
    arguments.add_argument("--rounds", type=int, default=5)
    chosen = arguments.parse_args()
    load = Load(chosen.batches)
    text, body = (sum(map(len, some)) / len(some) / ENTRIES for some in (load.texts, load.bodies))
    print(f"{len(load.texts)} batches of {ENTRIES:,} entries, {text:.0f} bytes each, {body:.0f} as gzip\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lastgood.db"
        asyncio.run(_create(path))
        _print_rates(_rates(load, path, rounds=chosen.rounds))
        print()
        _print_lateness(load, path, rounds=chosen.rounds)


def _rates(load: Load, path: Path, *, rounds: int) -> dict[str, float]:
    """Return events a CPU second of each row, the best of some rounds in turns."""
    runs: dict[str, Callable[[], float]] = {
        "decode only": lambda: _decode(load),
        "inflate and decode": lambda: _inflate_and_decode(load),
        "receiver": lambda: asyncio.run(_receive(load, path)).cpu_seconds,
        "receiver, counts in memory": lambda: asyncio.run(load.receiver(MemoryBuckets()).take_all()).cpu_seconds,
        "receiver, without gzip": lambda: asyncio.run(_receive(load, path, is_plain=True)).cpu_seconds,
        "receiver on json": lambda: asyncio.run(_receive(load, path, unpacker=JsonUnpacker)).cpu_seconds,
    }
    events = len(load.texts) * ENTRIES
    best = dict.fromkeys(runs, 0.0)
    for _ in range(rounds):
        for name, run in runs.items():
            best[name] = max(best[name], events / run())
    return best


def _decode(load: Load) -> float:
    began = time.process_time()
    for text in load.texts:
        decode_lines(text)
    return time.process_time() - began


def _inflate_and_decode(load: Load) -> float:
    began = time.process_time()
    for body in load.bodies:
        decode_lines(zlib.decompressobj(31).decompress(body))
    return time.process_time() - began


async def _create(path: Path) -> None:
    await (await open_sqlite(path)).close()


async def _receive(
    load: Load, path: Path, *, unpacker: Callable[[], Unpacker] = Unpacker, is_plain: bool = False
) -> "Spent":
    buckets = await open_sqlite_buckets(path)
    spent = await load.receiver(buckets, unpacker=unpacker, is_plain=is_plain).take_all()
    await buckets.close()
    return spent


def _print_rates(rates: dict[str, float]) -> None:
    print(f"{'row':28} {'events/s':>10} {'µs/event':>9} {'of decode only':>15} {'of inflate and decode':>22}")
    for name, rate in rates.items():
        shares = [f"{rate / rates[limit]:.0%}" for limit in ("decode only", "inflate and decode")]
        print(f"{name:28} {rate:10,.0f} {1e6 / rate:9.2f} {shares[0]:>15} {shares[1]:>22}")


def _print_lateness(load: Load, path: Path, *, rounds: int) -> None:
    runs = {
        "with nothing beside it": lambda: asyncio.run(_alone()),
        "in the receiver's own loop": lambda: _in_one_loop(load, path),
        "beside the receiver's thread": lambda: _beside_thread(load, path),
    }
    found = {name: [run() for _ in range(rounds)] for name, run in runs.items()}
    print(f"{'control loop, ticking every 10 ms':34} {'events/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    for name, measured in found.items():
        lateness, rate = min(measured, key=lambda one: _quantile(one[0], 0.99))
        p50, p99, worst = (_quantile(lateness, share) * 1000 for share in (0.5, 0.99, 1.0))
        print(f"{name:34} {rate:10,.0f} {p50:8.1f} {p99:8.1f} {worst:8.1f}")


async def _alone() -> tuple[list[float], float]:
    lateness: list[float] = []
    ticking = asyncio.ensure_future(_tick(lateness))
    await asyncio.sleep(1)
    ticking.cancel()
    return lateness, 0.0


def _in_one_loop(load: Load, path: Path) -> tuple[list[float], float]:
    async def run() -> tuple[list[float], float]:
        lateness: list[float] = []
        ticking = asyncio.ensure_future(_tick(lateness))
        spent = await _receive(load, path)
        ticking.cancel()
        return lateness, len(load.bodies) * ENTRIES / spent.seconds

    return asyncio.run(run())


def _beside_thread(load: Load, path: Path) -> tuple[list[float], float]:
    seconds = 0.0

    def receive() -> None:
        nonlocal seconds
        seconds = asyncio.run(_receive(load, path)).seconds

    async def run() -> list[float]:
        lateness: list[float] = []
        ticking = asyncio.ensure_future(_tick(lateness))
        thread = threading.Thread(target=receive)
        thread.start()
        await asyncio.to_thread(thread.join)
        ticking.cancel()
        return lateness

    return asyncio.run(run()), len(load.bodies) * ENTRIES / seconds


async def _tick(lateness: list[float]) -> None:
    while True:
        due = time.perf_counter() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        lateness.append(time.perf_counter() - due)


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


if __name__ == "__main__":
    main()
