"""The live tail of one deployment's runtime log: no history, no filters, one JSON object a line."""

import json
from collections.abc import AsyncIterator

from daemon.emulator import wire
from daemon.emulator.call import Answer, Call, route
from daemon.emulator.errors import not_found
from daemon.emulator.fault_specs import RouteGroup, TailLimitFault
from daemon.emulator.log_lines import lines_of
from daemon.emulator.model import Deployment, Project
from daemon.emulator.streams import STREAM_CONTENT_TYPE

TAIL_SECONDS_MAX = 300.0
STEP_SECONDS = 0.2
LINES_MAX = 10_000
_LIMIT_MESSAGE = "Exceeded the limit of log lines of one connection"


def tail(call: Call) -> Answer:
    """Follow what *deployment* logs from now on, for five minutes at most; no header before the first line.

    Source: Vercel OpenAPI, getRuntimeLogs; Vercel CLI 58.4.4, logs --follow; the held headers were observed live by
    others.
    """
    project = call.scoped_project()
    deployment = call.world.deployments.get(call.path["deployment"])
    if deployment is None or deployment.project_id != project.id:
        raise not_found("Deployment not found", id=call.path["deployment"])
    lines = _lines(call, project, deployment)
    return Answer(200, content_type=STREAM_CONTENT_TYPE, stream=lines, holds_headers=True)


async def _lines(call: Call, project: Project, deployment: Deployment) -> AsyncIterator[str]:
    fault = call.strikes.first(TailLimitFault)
    limit = LINES_MAX if fault is None else fault.lines
    ends_ms = call.world.now_ms + TAIL_SECONDS_MAX * 1000
    seen_to_ms = call.world.traffic_of(project).generated_to_ms
    sent = 0
    while True:
        now_ms = call.world.advance()
        traffic = call.world.traffic_of(project)
        news = list(traffic.counts.newest_rows(from_ms=seen_to_ms, until_ms=traffic.generated_to_ms))
        seen_to_ms = traffic.generated_to_ms
        for row in reversed(news):
            if row.key.deployment_id != deployment.id:
                continue
            for number, line in enumerate(lines_of(row)):
                if sent >= limit:
                    yield _line(_delimiter(call.world.now_ms, _LIMIT_MESSAGE if fault is None else fault.message))
                    return
                yield _line(wire.runtime_log_line(row, line, number))
                sent += 1
        if now_ms >= ends_ms:
            return
        await call.world.clock.sleep(STEP_SECONDS)


def _delimiter(now_ms: int, message: str) -> wire.Json:
    """Return the line that announces a limit, after which a client must stop. Source: Vercel CLI 58.4.4."""
    return {
        "level": "error",
        "message": message,
        "messageTruncated": False,
        "rowId": "",
        "source": "delimiter",
        "timestampInMs": now_ms,
        "domain": "",
        "requestMethod": "",
        "requestPath": "",
        "responseStatusCode": 0,
    }


def _line(content: wire.Json) -> str:
    return json.dumps(content) + "\n"


ROUTES = (
    route(
        RouteGroup.RUNTIME_LOGS,
        "GET",
        "/{v}/projects/{project}/deployments/{deployment}/runtime-logs",
        tail,
        versions="v1",
    ),
)
