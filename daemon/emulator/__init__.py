"""A Vercel team on the laptop: a stateful world, its traffic and its REST API, sharing no code with the daemon."""

from daemon.emulator.app import EmulatorApp
from daemon.emulator.clock import EmulatorClock, ManualClock, WallClock
from daemon.emulator.scenario import Scenario
from daemon.emulator.scenario_files import ScenarioError, builtin_scenario_names, load_scenario
from daemon.emulator.server import EmulatorServer, run, serve
from daemon.emulator.world import World

__all__ = [
    "EmulatorApp",
    "EmulatorClock",
    "EmulatorServer",
    "ManualClock",
    "Scenario",
    "ScenarioError",
    "WallClock",
    "World",
    "builtin_scenario_names",
    "load_scenario",
    "run",
    "serve",
]
