"""The world of the recordings on a loopback socket, the real CLI that speaks to it, and what is true afterwards."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from daemon.emulator import (
    EmulatorApp,
    EmulatorClock,
    EmulatorServer,
    ManualClock,
    Scenario,
    WallClock,
    World,
    load_scenario,
)
from daemon.emulator.ledger import LedgerEntry
from daemon.emulator.model import Deployment, Project
from tests.conformance.recording import RECORDINGS, load_recording
from tests.conformance.touches import TOUCHES
from tests.conformance.vercel_cli import CliRun, VercelCli

ACTOR_TOKEN = "tok_test_0123456789abcdefghijkl"
ONE_PROJECT_TOKEN = "tok_test_one_project"


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the emulated world really is: deployments by their names in the scenario, ``job`` None: there was none."""

    production: str
    domains: dict[str, str]
    substates: dict[str, str]
    auto_assigns: bool
    job: tuple[str, str, str, str] | None
    """Kind, status, from and to of the newest alias job."""


@dataclass(frozen=True)
class Stage:
    """One world and one CLI, whose HOME is new."""

    world: World
    cli: VercelCli

    @property
    def project(self) -> Project:
        """Return the only project, `web`."""
        return self.world.project("web")

    def deployment(self, name: str) -> Deployment:
        """Return a deployment by its name in the scenario."""
        return self.world.deployment(self.project, name)

    @property
    def requests(self) -> list[LedgerEntry]:
        """Return every request that the API got, by the emulator's own ledger."""
        return list(self.world.ledger.entries)

    @property
    def writes(self) -> list[LedgerEntry]:
        """Return the requests to mutating routes, by the emulator's own ledger."""
        return self.world.ledger.mutating()

    async def vercel(self, *arguments: str, token: str = ACTOR_TOKEN) -> CliRun:
        """Run the CLI."""
        return await replace(self.cli, token=token).run(*arguments)

    async def conforms_to(self, name: str, *, token: str = ACTOR_TOKEN) -> None:
        """Do what the recording *name* did; an AssertionError tells any difference in exit code, words and requests."""
        recording = load_recording(name)
        seen_before = len(self.world.ledger.entries)
        run = await self.vercel(*recording.arguments, token=token)
        found = recording.differences(run, self.requests[seen_before:])
        assert not found, "\n".join([f"`vercel {' '.join(run.arguments)}` differs from {name}.yaml:", *found])

    def truth(self) -> Truth:
        """Return what is true now."""
        now_ms = self.world.advance()
        names = {deployment.id: deployment.name for deployment in self.world.deployments_of(self.project)}
        job = self.project.jobs[-1] if self.project.jobs else None
        return Truth(
            production=names[self.project.production_id or ""],
            domains={domain: names[item] for domain, item in self.project.assigned(now_ms).items()},
            substates={
                item.name: item.substate.value for item in self.world.deployments_of(self.project) if item.substate
            },
            auto_assigns=self.world.reads_auto_assign(self.project),
            job=None if job is None else (job.kind.value, job.status.value, names[job.from_id or ""], names[job.to_id]),
        )


class _Surrounded:
    """The emulator's app, called through something else and otherwise itself."""

    def __init__(self, app: EmulatorApp, around: Callable[[ASGIApp], ASGIApp]) -> None:
        self._app = app
        self._outer = around(app)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._outer(scope, receive, send)


@contextlib.asynccontextmanager
async def serving(
    scenario: Scenario,
    *,
    clock: EmulatorClock | None = None,
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    changes_answers: bool = False,
) -> AsyncIterator[EmulatorServer]:
    """Serve a world on loopback; *around* may put something between it and the client.

    Who got which answer is noted down, unless something on the way *changes_answers*.
    """
    server = EmulatorServer(scenario, clock=clock)
    watched = around if changes_answers else lambda app: TOUCHES.around(around(app))
    server.app = _Surrounded(server.app, watched)  # type: ignore[assignment]
    async with server:
        yield server


@contextlib.asynccontextmanager
async def staged(
    home: Path,
    *,
    plan: str = "pro",
    clock: EmulatorClock | None = None,
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    changes_answers: bool = False,
    scenario: Path | None = None,
) -> AsyncIterator[Stage]:
    """Serve the world of the recordings as ``serving`` does and give the CLI *home*.

    *scenario* is the file of another world, with a project `web` and a parameter `plan`.
    """
    described = load_scenario(scenario or RECORDINGS / "world.yaml", {"plan": plan})
    async with serving(described, clock=clock, around=around, changes_answers=changes_answers) as server:
        world = server.world
        cli = VercelCli(
            api_url=server.url,
            token=ACTOR_TOKEN,
            home=home,
            organization_id=world.team.id,
            project_id=world.project("web").id,
        )
        yield Stage(world, cli)


def stopped_clock(*, seconds_ago: float = 0) -> ManualClock:
    """Return a clock that moves only when told and begins *seconds_ago* before the real time, which the CLI knows."""
    return ManualClock(WallClock().now_ms() - round(seconds_ago * 1000))
