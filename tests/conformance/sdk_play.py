"""One world that stands still and the SDK that speaks to it, as every case of the SDK plays it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from daemon.emulator import ManualClock, World
from daemon.emulator.rolling_specs import parse_config
from tests.conformance.sdk import Sdk, Witness
from tests.conformance.stage import ACTOR_TOKEN, Stage, staged, stopped_clock

DECIDED = {
    "alias_request": "always",
    "alias_rows": "string",
    "stale_reads_seconds": 0.0,
    "drain_verification": "none",
    "rate_limit_per_minute": None,
}
"""The answers to what nobody knows under which the SDK can be asked at all."""
RELEASE_CONFIG = {
    "enabled": True,
    "advancementType": "manual-approval",
    "stages": [{"targetPercentage": 10}, {"targetPercentage": 100}],
}


class Play:
    """A world, its project `web`, and the SDK with the team's token."""

    def __init__(self, stage: Stage, sdk: Sdk, clock: ManualClock) -> None:
        self.stage = stage
        self.world: World = stage.world
        self.sdk = sdk
        self._clock = clock

    @property
    def project_id(self) -> str:
        return self.stage.project.id

    def id_of(self, name: str) -> str:
        """Return a deployment's id by its name in the scenario."""
        return self.stage.deployment(name).id

    def pass_time(self, seconds: float) -> None:
        """Let *seconds* of the world's time pass."""
        self._clock.advance(seconds)
        self.world.advance()

    def decide(self, **answers: Any) -> None:
        """Let the world give other answers to what nobody knows."""
        self.world.knobs = self.world.knobs.model_copy(update=answers)

    def configure_releases(self) -> None:
        """Switch rolling releases on, as the CLI can and the SDK cannot."""
        self.world.rolling.configure(self.stage.project, parse_config(RELEASE_CONFIG))


@contextlib.asynccontextmanager
async def played(home: Path, *, plan: str = "pro", scenario: Path | None = None) -> AsyncIterator[Play]:
    """Serve the world of the recordings, or of *scenario*, at an instant that only a test moves."""
    witness, clock = Witness(), stopped_clock()
    async with staged(home, plan=plan, clock=clock, around=witness.around, scenario=scenario) as stage:
        play = Play(stage, Sdk(stage.cli.api_url, ACTOR_TOKEN, stage.world.team.id, witness), clock)
        play.decide(**DECIDED)
        yield play
