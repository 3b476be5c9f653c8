"""An emulator for one test: a small scenario, a clock that the test moves, and a client without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from daemon.emulator import EmulatorApp, ManualClock, Scenario, World

READER = "tok_emulator_read"
ACTOR = "tok_emulator_act"

HISTORY = [
    {"name": "v1", "age": "9d"},
    {"name": "v2", "age": "2d"},
    {"name": "good", "age": "20h", "commit": {"message": "cart: keep items", "author": "Grace Hopper"}},
]


def a_project(**changes: Any) -> dict[str, Any]:
    """Return a project of three promoted deployments, the last of which serves."""
    traffic = {"requests_per_second": 5}
    return {"name": "web", "domains": ["www.example.com"], "deployments": HISTORY, "traffic": traffic, **changes}


def a_scenario(**changes: Any) -> Scenario:
    """Return a scenario with one project and one minute of traffic before the start."""
    return Scenario.model_validate({"name": "test", "history": "1m", "projects": [a_project()], **changes})


class Driver:
    """A world, its clock and a client that speaks as the acting token."""

    def __init__(self, scenario: Scenario | None = None) -> None:
        self.clock = ManualClock()
        self.world = World(scenario or a_scenario(), self.clock)
        self.app = EmulatorApp(self.world)
        self.client = self.client_as(ACTOR)

    def client_as(self, token: str | None) -> httpx.AsyncClient:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4455", headers=headers)

    def id_of(self, name: str, project: str = "web") -> str:
        return self.world.deployment(project, name).id

    @property
    def project_id(self) -> str:
        return self.world.project("web").id

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(path, params=query or None)

    async def json(self, path: str, **query: Any) -> Any:
        response = await self.get(path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    async def roll_back(self, name: str, **query: Any) -> httpx.Response:
        path = f"/v9/projects/{self.project_id}/rollback/{self.id_of(name)}"
        return await self.client.post(path, params=query or None, json={})

    async def promote(self, name: str) -> httpx.Response:
        return await self.client.post(f"/v10/projects/{self.project_id}/promote/{self.id_of(name)}", json={})

    async def control(self, path: str, body: Any = None) -> Any:
        if body is None:
            response = await self.client.get(f"/__control/{path}")
        else:
            response = await self.client.post(f"/__control/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    async def project(self) -> Any:
        return await self.json(f"/v9/projects/{self.project_id}", rollbackInfo="true")

    async def serving(self) -> str:
        """Return the name of the deployment that the API says is in production."""
        production = (await self.project())["targets"]["production"]["id"]
        return self.world.deployments[production].name

    async def deploy(self, name: str, **changes: Any) -> None:
        """Build a deployment and let a second pass, in which it becomes ready."""
        await self.control("deployments", {"project": "web", "name": name, "build": "1s", **changes})
        self.clock.advance(1)

    async def query(self, **changes: Any) -> httpx.Response:
        """Ask for the counts of the first minutes after the start, per deployment and status."""
        body = {
            "scope": {"type": "project", "ownerId": self.world.team.id, "projectIds": [self.project_id]},
            "metric": "vercel.request.count",
            "aggregation": "sum",
            "startTime": "2026-11-21T20:00:00.000Z",
            "endTime": "2026-11-21T20:05:00.000Z",
            "granularity": {"minutes": 1},
            "groupBy": ["deployment_id", "http_status"],
            "filter": "environment eq 'production'",
            "limit": 100,
        }
        return await self.client.post("/v2/observability/query", json={**body, **changes})

    async def rows(self, **changes: Any) -> httpx.Response:
        """Ask for a page of the request log of the whole day."""
        query = {
            "projectId": self.project_id,
            "ownerId": self.world.team.id,
            "page": 0,
            "startDate": self.clock.now_ms() - 86_400_000,
            "endDate": self.clock.now_ms(),
        }
        kept = {name: value for name, value in {**query, **changes}.items() if value is not None}
        return await self.client.get("/api/logs/request-logs", params=kept)


@asynccontextmanager
async def driving(scenario: Scenario | None = None) -> AsyncIterator[Driver]:
    """Drive a world of *scenario* and close its client in the end."""
    driver = Driver(scenario)
    async with driver.client:
        yield driver
