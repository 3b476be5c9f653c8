"""One thread that owns a database's connection, so that the event loop never waits for a disk.

A body given to it runs as a whole or not at all, whatever becomes of the task that asked: a cancelled task leaves no
transaction half done and no lock behind. A driver that hops threads at every statement cannot promise that.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from daemon.ports.errors import StoreUnavailable
from daemon.stores.trouble import store_trouble

WRITES = "lastgood_writes"
"""Execution option of connections that will write, for engines which must know that when a transaction begins."""

PATIENCE_SECONDS = 15.0
"""How long a task waits for its turn and its answer; longer than SQLite waits for a lock."""

SHARED_MAX = 64
"""Bodies in one transaction at most: what stands behind it waits for all of them."""

_Answer = TypeVar("_Answer")


@dataclass(slots=True, eq=False)
class _Shared:
    """A turn of the thread that several bodies share. `doing` is what the first of them does."""

    doing: str
    bodies: list[Callable[[Connection], Any]] = field(default_factory=list)
    future: asyncio.Future[Sequence[Any]] | None = None


class _Turns:
    """Shares turns of *thread* with a connection that *enter* gives: bodies join the newest one until it begins."""

    def __init__(
        self, thread: ThreadPoolExecutor, enter: Callable[[], AbstractContextManager[Connection]], *, name: str
    ) -> None:
        self._thread = thread
        self._enter = enter
        self._name = name
        self._newest = _Shared("begin")
        self._has_begun = True
        self._lock = threading.Lock()

    def join(self, doing: str, body: Callable[[Connection], Any]) -> tuple[_Shared, int]:
        """Put *body* into the next turn; return that, and the number of its answer in it."""
        with self._lock:
            if self._has_begun or len(self._newest.bodies) >= SHARED_MAX:
                self._newest, self._has_begun = _Shared(doing), False
            shared = self._newest
            shared.bodies.append(body)
            number = len(shared.bodies) - 1
        if shared.future is None:
            shared.future = asyncio.get_running_loop().run_in_executor(self._thread, self._run, shared)
        return shared, number

    def _run(self, shared: _Shared) -> Sequence[Any]:
        with self._lock:
            self._has_begun = self._has_begun or self._newest is shared
        with store_trouble(shared.doing, name=self._name), self._enter() as connection:
            return [body(connection) for body in shared.bodies]


class DatabaseThread:
    """Runs bodies on the engine's connection, one after the other, in the order in which they were asked for.

    SQLite has one writer at a time; more connections would only wait for each other, unfairly.
    """

    def __init__(self, engine: Engine, *, name: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.name = name
        self._reader = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._patience_seconds = patience_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lastgood-store")
        self._is_closed = False
        self._writing = _Turns(self._thread, self._writer.begin, name=name)
        self._reading = _Turns(self._thread, self._reader.connect, name=name)

    async def write(
        self, doing: str, body: Callable[[Connection], _Answer], *, patience_seconds: float | None = None
    ) -> _Answer:
        """Run *body* in one transaction: committed when it returns, rolled back when it raises.

        Raises StoreUnavailable when the medium fails, or gives no answer for *patience_seconds* (None: as set for the
        thread). In the latter case the transaction may still be committed: whoever goes on loads first.
        """

        def write() -> _Answer:
            with store_trouble(doing, name=self.name), self._writer.begin() as connection:
                return body(connection)

        return await self._run(doing, write, patience_seconds=patience_seconds)

    async def write_shared(self, doing: str, body: Callable[[Connection], _Answer]) -> _Answer:
        """Run *body* as `write` does, in one transaction with others that wait at the same moment, if there are any.

        For many small writes that all stand for themselves: the disk is waited for once. It returns when all are
        committed. Where one of them raises nothing is written, and each is run again alone, as if nothing had been.
        """
        shared, number = await self._share(self._writing, doing, body)
        if shared is None:
            return await self.write(doing, body)
        answer: _Answer = shared[number]
        return answer

    async def read(self, doing: str, body: Callable[[Connection], _Answer]) -> _Answer:
        """Run *body*, which sends a single statement and writes nothing. Raises StoreUnavailable as `write` does."""
        shared, number = await self._share(self._reading, doing, body)
        if shared is None:
            return await self._read_alone(doing, body)
        answer: _Answer = shared[number]
        return answer

    async def _read_alone(self, doing: str, body: Callable[[Connection], _Answer]) -> _Answer:
        def read() -> _Answer:
            with store_trouble(doing, name=self.name), self._reader.connect() as connection:
                return body(connection)

        return await self._run(doing, read)

    async def _share(
        self, turns: _Turns, doing: str, body: Callable[[Connection], Any]
    ) -> tuple[Sequence[Any] | None, int]:
        """Return the answers of a shared turn, and which is that of *body*; None where one of several raised."""
        self._refuse_when_closed(doing)
        shared, number = turns.join(doing, body)
        assert shared.future is not None, "whoever opened it has asked for it"
        await asyncio.wait([shared.future], timeout=self._patience_seconds)
        if not shared.future.done():
            raise self._no_answer(doing, self._patience_seconds)
        if shared.future.exception() is not None and len(shared.bodies) > 1:
            return None, number
        return shared.future.result(), number

    async def close(self) -> None:
        """Finish what was asked for, close the connection and end the thread; afterwards all is StoreUnavailable."""
        if self._is_closed:
            return
        self._is_closed = True
        # A connection belongs to the thread that opened it, so it is closed there.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, self._reader.dispose))
        self._thread.shutdown()

    async def _run(self, doing: str, call: Callable[[], _Answer], *, patience_seconds: float | None = None) -> _Answer:
        self._refuse_when_closed(doing)
        patience = self._patience_seconds if patience_seconds is None else patience_seconds
        try:
            async with asyncio.timeout(patience):
                return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except TimeoutError as error:
            raise self._no_answer(doing, patience) from error

    def _refuse_when_closed(self, doing: str) -> None:
        if self._is_closed:
            raise StoreUnavailable(f"cannot {doing} in {self.name}: it was closed")

    def _no_answer(self, doing: str, patience: float) -> StoreUnavailable:
        return StoreUnavailable(
            f"cannot {doing} in {self.name}: no answer within {patience:g} s; "
            "check its disk, and look for another program that keeps the file locked"
        )
