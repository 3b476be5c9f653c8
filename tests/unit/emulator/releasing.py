"""A project with rolling releases, for the tests of what moves one on and what ends one."""

from typing import Any

import httpx

from daemon.emulator.model import Deployment
from tests.unit.emulator.driving import HISTORY, Driver, a_project, a_scenario

THREE_STAGES = [
    {"targetPercentage": 10, "duration": 5},
    {"targetPercentage": 50, "duration": 10},
    {"targetPercentage": 100},
]


def a_releasing_scenario(*, requests_per_second: float = 20, failures: Any = (), **changes: Any) -> Any:
    """Return a scenario whose newest build, `canary`, is staged."""
    canary = {"name": "canary", "age": "1h", "staged": True, "failures": list(failures)}
    project = a_project(
        deployments=[*HISTORY, canary],
        traffic={"requests_per_second": requests_per_second, "baseline_error_ratio": 0},
    )
    return a_scenario(projects=[project], **changes)


class Releaser:
    """Speaks of the rolling releases of the project `web`."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def path(self, rest: str = "") -> str:
        return f"/v1/projects/{self.driver.project_id}/rolling-release{rest}"

    async def configure(self, **changes: Any) -> httpx.Response:
        body = {"enabled": True, "advancementType": "automatic", "stages": THREE_STAGES, **changes}
        return await self.driver.client.patch(self.path("/config"), json=body)

    async def post(self, action: str, **body: Any) -> httpx.Response:
        return await self.driver.client.post(self.path(f"/{action}"), json=body)

    async def start(self, name: str = "canary") -> httpx.Response:
        return await self.post("start", canaryDeploymentId=self.driver.id_of(name))

    async def approve(self, index: int, name: str = "canary") -> httpx.Response:
        return await self.post("approve-stage", nextStageIndex=index, canaryDeploymentId=self.driver.id_of(name))

    async def complete(self, name: str = "canary") -> httpx.Response:
        return await self.post("complete", canaryDeploymentId=self.driver.id_of(name))

    async def state(self) -> Any:
        return (await self.driver.json(self.path()))["rollingRelease"]

    def canary(self) -> Deployment:
        return self.driver.world.deployment("web", "canary")

    async def shares(self, *, seconds: int) -> float:
        """Let *seconds* pass and return the canary's share of the production requests of that time, by the truth."""
        first = self.driver.clock.now_ms()
        self.driver.clock.advance(seconds)
        self.driver.world.advance()
        project = self.driver.world.project("web")
        rows = [
            row
            for row in self.driver.world.traffic_of(project).counts.rows
            if row.at_ms >= first and row.key.environment == "production"
        ]
        assert rows
        return sum(row.key.deployment_id == self.canary().id for row in rows) / len(rows)
