"""One emulated world on a loopback socket, real daemon processes beside it, one clock for all, and what became true."""

import contextlib
import inspect
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.core.facts import ProjectId
from daemon.core.state import ProjectState
from daemon.emulator import EmulatorServer, Scenario, WallClock
from daemon.emulator.fault_specs import ResetFault, RouteGroup, When
from daemon.emulator.ledger import LedgerEntry, Move
from daemon.emulator.model import Deployment
from daemon.emulator.scenario import DeploySpec
from daemon.engine import codec
from daemon.runtime.clock import ScaledClock, SystemClock
from daemon.stores.sqlite import open_sqlite
from tests.integration.crash.launcher import Orders, Trap
from tests.integration.crash.processes import (
    LOOK_EVERY_SECONDS,
    PATIENCE_SECONDS,
    Daemon,
    end,
    log_of,
    new_process,
    wait_ready,
)

FACTOR = 40.0
INTERVAL_SECONDS = 12.0
WINDOW_SECONDS = 30.0
"""Two intervals and a half, so that three polls close a window however late one of them is."""
QUIET_READS = 2
"""So many looks at a healthy production come before the bad deployment goes live."""
_EPOCH = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)

_SCENARIO: dict[str, Any] = {
    "name": "crash",
    "history": "1m",
    # The job takes long enough to be seen at work.
    "jobs": {"pending": "1s", "duration": "3s"},
    "lag": {"metrics": "0s", "logs": "0s"},
    "projects": [
        {
            "name": "web",
            "domains": ["www.example.com"],
            "deployments": [
                {"name": "v1", "age": "9d"},
                {"name": "v2", "age": "2d"},
                {"name": "good", "age": "20h"},
            ],
            "traffic": {"requests_per_second": 7},
        }
    ],
}
BAD = {"project": "web", "name": "bad", "build": "0s", "failures": [{"ratio": 0.5}]}

# A request may take one real second, which the daemon counts as FACTOR of its own: the lease must outlive that.
_CONFIG = """\
vercel:
  api_url: {url}
  team: {team}
  request_timeout: 1s
  read_token_file: {folder}/read-token
  act_token_file: {folder}/act-token
store:
  path: {folder}/lastgood.db
web:
  port: 0
poll:
  interval: {interval:g}s
  lease_ttl: 52s
projects:
  - id: {project}
    posture: automatic
{source}"""
REQUEST_LOGS = """\
    sources:
      - kind: request_logs
        lag: 2s
    detectors:
      - kind: threshold
        window: {window:g}s
        breaches_min: 2
        windows: 3
"""
OBSERVABILITY = """\
    sources:
      - kind: observability
        lag: 2s
    detectors:
      - kind: threshold
        window: 1m
"""

RequestWatcher = Callable[[str, LedgerEntry], Awaitable[None] | None]


@dataclass(slots=True)
class Stage:
    """The world and its daemons. Watchers are told of every point of every request."""

    server: EmulatorServer
    folder: Path
    clock: ScaledClock
    started: float
    spare: list[subprocess.Popen[bytes]]
    releases_bad: bool = True
    daemons: list[Daemon] = field(default_factory=list)
    watchers: list[RequestWatcher] = field(default_factory=list)
    released_after: int | None = None
    """Number of the last request before the bad deployment was live; None before that."""
    _reads: int = 0

    def __post_init__(self) -> None:
        self.server.world.request_hook = self._watch_request

    @property
    def good(self) -> Deployment:
        """The deployment that is to serve in the end."""
        return self.server.world.deployment("web", "good")

    @property
    def bad(self) -> Deployment:
        """The deployment that fails."""
        return self.server.world.deployment("web", "bad")

    @property
    def posts(self) -> list[LedgerEntry]:
        """Rollback requests that arrived, by the emulator's own ledger."""
        return [entry for entry in self.server.world.ledger.requests("rollback") if entry.method == "POST"]

    @property
    def applied(self) -> list[Move]:
        """Rollbacks that moved production, by the emulator's own ledger."""
        self.server.world.advance()
        return self.server.world.ledger.applied("rollback")

    @property
    def production(self) -> str:
        """Name of the deployment that the world really serves."""
        self.server.world.advance()
        return self.server.world.deployments[self.server.world.project("web").production_id or ""].name

    @property
    def database(self) -> Path:
        """The daemons' memory."""
        return self.folder / "lastgood.db"

    async def start(self, trap: Trap | None = None) -> Daemon:
        """Let a process that waits become a daemon; it may fall into *trap*."""
        assert self.spare, "no process waits; ask for more daemons"
        process = self.spare.pop(0)
        number = len(self.daemons) + 1
        daemon = Daemon(process, self.folder / f"record-{number}", log_of(process))
        orders = Orders(
            config=str(self.folder / "lastgood.yaml"),
            record=str(daemon.record),
            factor=self.clock.factor,
            epoch=_EPOCH.isoformat(),
            started=self.started,
            trap=trap,
        )
        assert process.stdin is not None
        process.stdin.write(orders.encode())
        process.stdin.close()
        self.daemons.append(daemon)
        return daemon

    def release_bad(self) -> None:
        """Let the bad deployment go live now."""
        world = self.server.world
        world.advance()
        world.deploy(DeploySpec.model_validate(BAD))
        world.advance()
        self.released_after = world.ledger.requests_total.total()

    def nth_since_release(self, entry: LedgerEntry) -> int:
        """Return how many requests to the route of *entry*, itself included, came since the bad deployment is live."""
        since = self.released_after
        if since is None or entry.number <= since:
            return 0
        numbers = [one.number for one in self.server.world.ledger.requests(entry.route)]
        return sum(since < number <= entry.number for number in numbers)

    def lose_posts(self, count: int = 1) -> None:
        """Let the next rollback requests arrive and come to nothing, without an answer."""
        self.server.world.faults.set(
            ResetFault(route=RouteGroup.ROLLBACK, method="POST", when=When.BEFORE_APPLY, count=count)
        )

    async def wait_until(self, is_true: Callable[[], bool], what: str) -> None:
        """Wait until *is_true*; an AssertionError after a minute of real time."""
        real = SystemClock()
        ends_at = real.monotonic() + PATIENCE_SECONDS
        while not is_true():
            assert real.monotonic() < ends_at, f"waited {PATIENCE_SECONDS:g} s for: {what}\n{self.tail()}"
            await real.sleep(LOOK_EVERY_SECONDS)

    async def wait_dead(self, daemon: Daemon) -> int:
        """Wait until *daemon* has ended and return its exit status."""
        await self.wait_until(lambda: not daemon.is_running, f"the end of process {daemon.process.pid}")
        return daemon.process.wait()

    async def wait_phase(self, daemon: Daemon, phase: str) -> None:
        """Wait until *daemon* has committed a state in *phase*."""
        await self.wait_until(lambda: any(one.label == f"commit {phase}" for one in daemon.commits), phase)

    async def wait_struck(self, daemon: Daemon) -> bool:
        """Wait until *daemon* is dead; False when it ended the incident first, and lived on for six polls."""
        await self.wait_until(lambda: not daemon.is_running or daemon.has_ended_incident, "the blow or the end")
        alive_until = self.clock.monotonic() + 6 * INTERVAL_SECONDS
        await self.wait_until(lambda: not daemon.is_running or self.clock.monotonic() > alive_until, "six polls")
        return not daemon.is_running

    async def wait_ended(self, daemon: Daemon) -> ProjectState:
        """Wait until the incident has ended on disk, people were told, and two more polls changed nothing."""
        await self.wait_until(lambda: daemon.has_ended_incident, "the end of the incident")
        await self.clock.sleep(2 * INTERVAL_SECONDS)
        await self.wait_until(lambda: daemon.has_ended_incident, "the end of the incident, once more")
        return await self.saved()

    async def terminate(self, daemon: Daemon) -> int:
        """Ask *daemon* to stop, as a service manager does, and return its exit status."""
        daemon.send(signal.SIGTERM)
        return await self.wait_dead(daemon)

    async def saved(self) -> ProjectState:
        """Return the state that is on disk."""
        store = await open_sqlite(self.database, read_only=True)
        try:
            stored = await store.load(ProjectId(self.server.world.project("web").id))
        finally:
            await store.close()
        assert stored is not None, "nothing was saved"
        return codec.decode_state(stored.state)

    async def untold(self) -> int:
        """Return how many commands on disk still wait to be carried out."""
        store = await open_sqlite(self.database, read_only=True)
        try:
            return len(await store.unfinished_commands(ProjectId(self.server.world.project("web").id)))
        finally:
            await store.close()

    async def incidents(self) -> set[str]:
        """Return the incidents of which the journal on disk tells."""
        store = await open_sqlite(self.database, read_only=True)
        try:
            journal = await store.journal(ProjectId(self.server.world.project("web").id), limit=10_000)
        finally:
            await store.close()
        return {line.entry.incident for line in journal if line.entry.incident}

    def told(self, title: str) -> list[dict[str, Any]]:
        """Return what people were told under *title* (without the project's name), by any of the daemons."""
        sent = [line for daemon in self.daemons for line in daemon.lines("notification.sent")]
        return [line for line in sent if line["title"].partition(": ")[2] == title]

    def tail(self) -> str:
        """Return the end of every daemon's log, for a failure's message."""
        texts = [daemon.log.read_text(encoding="utf-8").splitlines()[-12:] for daemon in self.daemons]
        return "\n".join(f"-- daemon {number}\n" + "\n".join(lines) for number, lines in enumerate(texts, start=1))

    async def _watch_request(self, when: str, entry: LedgerEntry) -> None:
        if self.releases_bad and when == When.AFTER_ANSWER and entry.route == RouteGroup.PROJECT:
            self._reads += 1
            if self._reads == QUIET_READS:
                self.release_bad()
        for watcher in self.watchers:
            waiting = watcher(when, entry)
            if inspect.isawaitable(waiting):
                await waiting


@contextlib.asynccontextmanager
async def staged(
    folder: Path, *, daemons: int = 2, releases_bad: bool = True, source: str = REQUEST_LOGS
) -> AsyncIterator[Stage]:
    """Serve the world, with *daemons* processes that wait to be started; the clock begins when they are ready.

    *releases_bad* lets the bad deployment go live right after the daemon's second look at production. *source* is how
    the project counts and judges.
    """
    async with contextlib.AsyncExitStack() as stack:
        spare: list[subprocess.Popen[bytes]] = []
        for number in range(daemons):
            process = new_process(folder, number)
            stack.callback(end, process)
            spare.append(process)
        for process in spare:
            await wait_ready(process)
        started = SystemClock().monotonic()
        clock = ScaledClock(FACTOR, epoch=_EPOCH, started=started)
        server = EmulatorServer(
            Scenario.model_validate(_SCENARIO), clock=WallClock(FACTOR, epoch_ms=round(_EPOCH.timestamp() * 1000))
        )
        await stack.enter_async_context(server)
        _write_config(folder, server, source)
        stage = Stage(server, folder, clock, started, spare, releases_bad)
        yield stage


def _write_config(folder: Path, server: EmulatorServer, source: str) -> None:
    [project] = server.world.projects.values()
    tokens = server.world.tokens.values()
    for name, read_only in (("read-token", True), ("act-token", False)):
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(next(token.value for token in tokens if token.read_only is read_only), encoding="ascii")
    (folder / "lastgood.yaml").write_text(
        _CONFIG.format(
            url=server.url,
            team=project.team_id,
            folder=folder,
            interval=INTERVAL_SECONDS,
            project=project.id,
            source=source.format(window=WINDOW_SECONDS),
        ),
        encoding="utf-8",
    )
