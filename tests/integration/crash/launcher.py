"""A whole daemon as a process of its own, on a clock shared with the test, that may fall at a chosen point.

It says `ready` once everything is imported, reads its orders from standard input, and then is `lastgood run` but for
the clock. Every transaction that was committed leaves one line in the record; the trap strikes the process itself with
a signal just before or just after one of them, or just before the rollback leaves. The product has no such points.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from daemon import bootstrap
from daemon.ports.errors import PortError
from daemon.runtime.clock import ScaledClock, SystemClock
from daemon.settings import load_settings
from daemon.stores.database_thread import DatabaseThread
from daemon.telemetry.log import set_up_logging
from daemon.vercel.hosting import VercelRollback

_INHERITED: Callable[[Any, Any], None] = SQLiteDialect_pysqlite.do_commit


@dataclass(frozen=True, slots=True)
class Trap:
    """Where the process is struck: at its `nth` commit of that label.

    `when` is `before` or `after` the commit, or `before_post`: the last moment at which no byte of the rollback left.
    """

    when: str
    label: str = ""
    nth: int = 1
    signal: int = signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Orders:
    """What the test tells a process that is ready. `epoch` is the wall time at `started` monotonic seconds."""

    config: str
    record: str
    factor: float
    epoch: str
    started: float
    trap: Trap | None = None

    def encode(self) -> bytes:
        """Return the line for the process."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: str) -> "Orders":
        """Return the orders of one line."""
        found = json.loads(line)
        return cls(**{**found, "trap": Trap(**found["trap"]) if found["trap"] else None})


@dataclass(frozen=True, slots=True)
class Commit:
    """One durable transaction: the `nth` of its label in this process, `at` on the machine's monotonic clock.

    A label is what the transaction is for and, for a project's state, where its incident then stands, such as
    `commit sent`. `incident` is the live one's id and `ended` how the newest one ended; '' where there is none.
    """

    label: str
    nth: int
    incident: str
    ended: str
    at: float

    @property
    def is_state(self) -> bool:
        """Whether it saved a project's state; else it is about the lease, the outbox or the file itself."""
        return self.label.partition(" ")[0] == "commit"


class Recorder:
    """Counts the commits of this process, writes each down once it is durable, and springs the trap."""

    def __init__(self, path: Path, trap: Trap | None) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._trap = trap
        self.database: DatabaseThread | None = None
        self._counts: Counter[str] = Counter()
        self._label = ""
        self._left = {"incident": "", "ended": ""}

    def note(self, doing: str, connection: Connection) -> None:
        """Remember what the transaction at hand is for, and what it will leave."""
        verb = doing.split(maxsplit=1)[0]
        self._label, self._left = doing, {"incident": "", "ended": ""}
        if verb == "finish":
            self._label = verb
        elif verb == "commit":
            phase, self._left = _left_in(connection)
            self._label = f"{verb} {phase}".strip()

    def commit(self, commit: Callable[[], None]) -> None:
        """Let the transaction at hand become durable."""
        self._counts[self._label] += 1
        nth = self._counts[self._label]
        trap = self._trap if self._trap and (self._trap.label, self._trap.nth) == (self._label, nth) else None
        if trap and trap.when == "before":
            self._spring(trap)
        commit()
        line = Commit(self._label, nth, **self._left, at=SystemClock().monotonic())
        os.write(self._file, json.dumps(asdict(line)).encode() + b"\n")
        if trap and trap.when == "after":
            self._spring(trap)

    async def before_post(self) -> None:
        """Let the trap strike now, between two transactions: a process stopped within one keeps the file locked."""
        if self._trap and self._trap.when == "before_post":
            assert self.database is not None
            await asyncio.get_running_loop().run_in_executor(self.database._thread, self._spring, self._trap)

    def _spring(self, trap: Trap) -> None:
        self._trap = None
        # To this very thread, so that it does not go on for a while when the signal stops the process.
        signal.pthread_kill(threading.get_ident(), trap.signal)


def _left_in(connection: Connection) -> tuple[str, dict[str, str]]:
    """Return where the incident stands in the state, read within the transaction that writes it, and which it is."""
    state = json.loads(connection.exec_driver_sql("SELECT state FROM projects").scalar_one())
    live, last = state["incident"], state["last_ended"]
    ended = last["state"] if last else ""
    if live is None:
        return ended, {"incident": "", "ended": ended}
    is_acting = live["state"] == "mitigating" and live["mitigation"]
    phase = live["mitigation"]["phase"] if is_acting else live["state"]
    return phase, {"incident": live["id"], "ended": ended}


def watch_commits(recorder: Recorder) -> None:
    """Put *recorder* around every real COMMIT of this process, and before the rollback request."""
    roll_back = VercelRollback.roll_back

    def noting(write: Callable[..., Any]) -> Callable[..., Any]:
        async def noted_write(
            self: DatabaseThread, doing: str, body: Callable[[Connection], Any], **options: Any
        ) -> Any:
            recorder.database = self

            def noted(connection: Connection) -> Any:
                answer = body(connection)
                recorder.note(doing, connection)
                return answer

            return await write(self, doing, noted, **options)

        return noted_write

    def recorded_commit(dialect: Any, connection: Any) -> None:
        if connection.in_transaction:
            recorder.commit(lambda: _INHERITED(dialect, connection))

    async def noted_roll_back(self: VercelRollback, *arguments: Any, **options: Any) -> None:
        await recorder.before_post()
        await roll_back(self, *arguments, **options)

    DatabaseThread.write = noting(DatabaseThread.write)  # type: ignore[method-assign]
    # One project has nobody to share a transaction with, so that each of these is a commit of its own too.
    DatabaseThread.write_shared = noting(DatabaseThread.write_shared)  # type: ignore[method-assign]
    VercelRollback.roll_back = noted_roll_back  # type: ignore[method-assign]
    SQLiteDialect_pysqlite.do_commit = recorded_commit  # type: ignore[method-assign]


def main() -> int:
    """Wait for orders and run the daemon by them; without any there is nothing to do."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        return 0
    orders = Orders.decode(line)
    watch_commits(Recorder(Path(orders.record), orders.trap))
    settings = load_settings(Path(orders.config), {})
    set_up_logging(level=settings.log.level, json=True)
    clock = ScaledClock(orders.factor, epoch=datetime.fromisoformat(orders.epoch), started=orders.started)
    try:
        asyncio.run(bootstrap.run(settings, clock=clock, clock_factor=orders.factor))
    except PortError as error:
        sys.stderr.write(f"lastgood: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
