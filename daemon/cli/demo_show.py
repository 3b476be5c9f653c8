"""Runs emulator and daemon side by side for the demo, until the incident has ended."""

import asyncio
import logging
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from daemon import bootstrap
from daemon.cli.demo_outcome import Outcome
from daemon.cli.demo_view import Screen
from daemon.core.policy import Policy
from daemon.core.state import ProjectState
from daemon.emulator.clock import WallClock
from daemon.emulator.model import Project
from daemon.emulator.scenario_files import builtin_scenario_names, load_scenario
from daemon.emulator.server import EmulatorServer
from daemon.runtime.clock import ScaledClock, SystemClock
from daemon.settings import load_settings
from daemon.telemetry.log import set_up_logging

_DEMO_SECONDS_MAX = 20 * 60
_LOOK_EVERY_SECONDS = 2.0
_DEPLOY_AT = "150s"

_CONFIG = """\
# What the demo ran with. The same keys work in production; see config/lastgood.example.yaml.
vercel:
  api_url: {url}
  team: {team}
  request_timeout: 2s
  read_token_file: {folder}/read-token
  act_token_file: {folder}/act-token
store:
  path: {folder}/lastgood.db
web:
  port: {port}
poll:
  interval: 15s
  lease_ttl: 5m
projects:
  - id: {project}
    posture: automatic
    sources:
      - kind: observability
      - kind: request_logs
"""


async def show(scenario: str, *, clock_factor: float, console: Console) -> Outcome:
    """Run the demo and return how it ended. Raises ScenarioError for an unknown scenario."""
    loaded = load_scenario(scenario, _parameters(scenario))
    folder = Path(tempfile.mkdtemp(prefix="lastgood-demo-"))
    real = SystemClock()
    began, epoch = real.monotonic(), real.now()
    clock = ScaledClock(clock_factor, epoch=epoch, started=began)
    emulator = EmulatorServer(loaded, clock=WallClock(clock_factor, epoch_ms=round(epoch.timestamp() * 1000)))
    async with AsyncExitStack() as stack:
        stack.enter_context(_log_into(folder / "lastgood.log"))
        await stack.enter_async_context(emulator)
        [project] = emulator.world.projects.values()
        settings = load_settings(_write_config(folder, emulator, project), {})
        daemon = await stack.enter_async_context(bootstrap.assemble(settings, clock=clock, clock_factor=clock_factor))
        screen = Screen(console, title=title(scenario, clock_factor, daemon.projects[0].policy()))
        before, stop = daemon.metrics.totals(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(daemon.run(stop))
            state = await _follow(daemon, emulator, screen, clock)
            stop.set()
        after = daemon.metrics.totals()
        return Outcome(
            folder=folder,
            scenario=scenario,
            clock_factor=clock_factor,
            real_seconds=real.monotonic() - began,
            incident=state.last_ended or state.incident,
            production=_served(emulator, project),
            rollbacks_sent=len(emulator.world.ledger.requests("rollback")),
            metrics={
                name: round(value - before.get(name, 0), 3)
                for name, value in after.items()
                if value != before.get(name, 0)
            },
        )


def _parameters(scenario: str) -> dict[str, str]:
    """Return what the demo changes of a built-in scenario: its release waits until a slow machine has looked once."""
    return {"deploy_at": _DEPLOY_AT} if scenario in builtin_scenario_names() else {}


async def _follow(
    daemon: bootstrap.Daemon, emulator: EmulatorServer, screen: Screen, clock: ScaledClock
) -> ProjectState:
    """Show the project until an incident has ended, or the demo's time is over."""
    project, ends = daemon.projects[0], clock.monotonic() + _DEMO_SECONDS_MAX
    [emulated] = emulator.world.projects.values()
    with screen.shown():
        while True:
            state = project.state or ProjectState(project.id)
            screen.update(state, clock.now(), emulated.spec.traffic.requests_per_second)
            if state.last_ended or clock.monotonic() > ends:
                return state
            await clock.sleep(_LOOK_EVERY_SECONDS)


def _served(emulator: EmulatorServer, project: Project) -> str:
    """Return what the emulator itself serves on the production domains."""
    emulator.world.advance()
    return str(project.production_id)


def _write_config(folder: Path, emulator: EmulatorServer, project: Project) -> Path:
    """Write configuration and tokens as an operator would, and return the configuration's path."""
    tokens = emulator.world.tokens.values()
    reading = next(token for token in tokens if token.read_only)
    acting = next(token for token in tokens if not token.read_only)
    for name, token in (("read-token", reading), ("act-token", acting)):
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(token.value)
    path = folder / "lastgood.yaml"
    path.write_text(
        _CONFIG.format(url=emulator.url, team=project.team_id, folder=folder, port=_free_port(), project=project.id)
    )
    return path


def title(scenario: str, clock_factor: float, policy: Policy) -> str:
    """Return which scenario, clock factor and policy the demo uses."""
    rules = "; ".join(f"{detector.name}: {detector.rule}" for detector in policy.detectors)
    return (
        f"lastgood demo: scenario {scenario}, clock factor {clock_factor:g} (every time below is the demo's own)\n"
        f"policy: posture {policy.posture}; {rules}\n"
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def _log_into(path: Path) -> Iterator[None]:
    """Send the log to *path*, so that it does not disturb the picture; put logging back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with path.open("w") as stream:
        set_up_logging(level="info", json=True, stream=stream)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
