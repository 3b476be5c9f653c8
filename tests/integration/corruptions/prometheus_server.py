"""A Prometheus that knows what the emulated world knows: it answers any range query with the world's own counts."""

import json
from collections import Counter
from urllib.parse import parse_qs

import httpx

from daemon.emulator import World
from tests.integration.corruptions.meddling import Stream


class WorldsPrometheus(httpx.AsyncBaseTransport):
    """Answers `POST /api/v1/query_range` as the two expressions of the source would be answered.

    The query's text is not understood: tests/integration/test_prometheus_source.py asks a real server.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs((await request.aread()).decode()).items()}
        start, end, step = int(form["start"]), int(form["end"]), int(form["step"].removesuffix("s"))
        self._world.advance()
        result = [
            series
            for project in self._world.projects.values()
            for series in self._series(project.id, range(start, end + 1, step), step)
        ]
        answer = {"status": "success", "data": {"resultType": "matrix", "result": result}}
        return httpx.Response(
            200, headers={"content-type": "application/json"}, stream=Stream(json.dumps(answer).encode())
        )

    def _series(self, project: str, moments: range, step: int) -> list[dict[str, object]]:
        counts: dict[str, Counter[tuple[str, int]]] = {"requests": Counter(), "errors": Counter()}
        for row in self._world.traffic_of(self._world.projects[project]).counts.rows:
            ends = -(-(row.at_ms + 1) // (step * 1000)) * step
            if row.key.environment == "production":
                counts["requests"][row.key.deployment_id, ends] += 1
                counts["errors"][row.key.deployment_id, ends] += row.key.http_status >= 500
        known = [moment for moment in moments if moment * 1000 <= self._world.now_ms]
        deployments = sorted({deployment for deployment, ends in counts["requests"] if ends in moments})
        return [
            {
                "metric": {"project": project, "deployment": deployment, "lastgood_count": mark},
                "values": [[moment, str(found[deployment, moment])] for moment in known],
            }
            for mark, found in counts.items()
            for deployment in deployments
        ]
