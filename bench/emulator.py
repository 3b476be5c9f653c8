"""Measures what a fleet costs: requests a second, start and memory for 1, 100 and 10,000 projects.

Run: python -m bench.emulator [--projects N ...] [--seconds S]. Every line is a process of its own. "hello" is an empty
starlette endpoint asked in the same way by the same client, in turns with the emulator: the limit that Python's HTTP
stack sets in the same run. Nothing goes over a socket, so that the emulator is measured and not the loopback device.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from daemon.emulator import EmulatorApp, WallClock, World
from daemon.emulator.fleet_specs import FleetSpec
from daemon.emulator.scenario_files import fleet_scenario

BATCH = 50
LOOKED_AT = 100
"""How many different projects the requests speak of; the rest of the fleet is there and sleeps."""
TOKEN = {"Authorization": "Bearer tok_emulator_act"}
KINDS = ("project", "deployments", "projects", "counts")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--projects", type=int, nargs="+", default=[1, 100, 10_000])
    arguments.add_argument("--seconds", type=float, default=2.0, help="for each kind of request")
    arguments.add_argument("--one", type=int, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.one is not None:
        print(json.dumps(asyncio.run(_measure(chosen.one, seconds=chosen.seconds))))
        return
    print(
        f"{'projects':>8} {'start s':>8} {'MiB':>6} {'hello/s':>8} " + " ".join(f"{kind + '/s':>14}" for kind in KINDS)
    )
    for projects in chosen.projects:
        row = _measure_apart(projects, seconds=chosen.seconds)
        rates = " ".join(f"{row[kind]:6,.0f} ({row[kind] / row['hello']:4.0%})" for kind in KINDS)
        print(f"{projects:8,} {row['start']:8.2f} {row['mebibytes']:6.0f} {row['hello']:8,.0f} {rates}")


def _measure_apart(projects: int, *, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.emulator", "--one", str(projects), "--seconds", str(seconds)]
    tree = Path(__file__).resolve().parent.parent
    ran = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tree)
    measured: dict[str, float] = json.loads(ran.stdout)
    return measured


async def _measure(projects: int, *, seconds: float) -> dict[str, float]:
    teams = 10 if projects >= 1_000 else 1
    began = time.perf_counter()
    world = World(fleet_scenario(FleetSpec(teams=teams, projects=projects // teams)), WallClock())
    row = {"start": time.perf_counter() - began}
    emulator = _client(EmulatorApp(world), TOKEN)
    hello = _client(Starlette(routes=[Route("/{rest:path}", _hello)]), TOKEN)
    async with emulator, hello:
        row |= await _rates(world, emulator, hello, seconds=seconds)
    row["mebibytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return row


async def _hello(_request: Request) -> JSONResponse:
    return JSONResponse({"hello": "world"})


def _client(app: Any, headers: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", headers=headers)


async def _rates(
    world: World, emulator: httpx.AsyncClient, hello: httpx.AsyncClient, *, seconds: float
) -> dict[str, float]:
    """Return requests a second of every kind, each measured in turns with the empty endpoint."""
    team = world.team
    names = [project.id for project in world.projects_of(team)][:LOOKED_AT]
    asks: dict[str, Callable[[int], httpx.Request]] = {
        "project": lambda number: emulator.build_request(
            "GET", f"/v9/projects/{names[number % len(names)]}", params={"teamId": team.id, "rollbackInfo": "true"}
        ),
        "deployments": lambda number: emulator.build_request(
            "GET",
            "/v6/deployments",
            params={"projectId": names[number % len(names)], "teamId": team.id, "target": "production", "limit": 20},
        ),
        "projects": lambda _number: emulator.build_request(
            "GET", "/v10/projects", params={"teamId": team.id, "limit": 20}
        ),
        "counts": lambda number: emulator.build_request(
            "POST",
            "/v2/observability/query",
            params={"teamId": team.id},
            json=_query(world, names[number % len(names)]),
        ),
    }
    rates: dict[str, float] = {}
    limits: list[float] = []
    for kind, ask in asks.items():
        for number in range(len(names)):  # What is made when somebody looks is made before the clock runs.
            await _answered(emulator, ask(number))
        rates[kind], limit = await _in_turns(emulator, ask, hello, seconds=seconds)
        limits.append(limit)
    return {**rates, "hello": sum(limits) / len(limits)}


async def _in_turns(
    emulator: httpx.AsyncClient, ask: Callable[[int], httpx.Request], hello: httpx.AsyncClient, *, seconds: float
) -> tuple[float, float]:
    spent, asked = [0.0, 0.0], 0
    while spent[0] < seconds:
        began = time.perf_counter()
        for number in range(asked, asked + BATCH):
            await _answered(emulator, ask(number))
        between = time.perf_counter()
        for _ in range(BATCH):
            await _answered(hello, hello.build_request("GET", "/v9/projects/hello", params={"teamId": "x"}))
        spent[0] += between - began
        spent[1] += time.perf_counter() - between
        asked += BATCH
    return asked / spent[0], asked / spent[1]


async def _answered(client: httpx.AsyncClient, request: httpx.Request) -> None:
    response = await client.send(request)
    assert response.status_code == 200, f"{request.url}: {response.text}"


def _query(world: World, project_id: str) -> dict[str, Any]:
    now = world.now_ms
    return {
        "scope": {"type": "project", "ownerId": world.team.id, "projectIds": [project_id]},
        "metric": "vercel.request.count",
        "aggregation": "sum",
        "startTime": _iso(now - 300_000),
        "endTime": _iso(now),
        "granularity": {"minutes": 1},
        "groupBy": ["deployment_id", "http_status"],
        "filter": "environment eq 'production'",
        "limit": 100,
    }


def _iso(at_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ms / 1000))


if __name__ == "__main__":
    main()
