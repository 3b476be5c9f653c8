"""What a drain says of one request: several entries, as Vercel's log schema v1 has them.

Source: Vercel docs, Log Drains reference, schema v1. A client counts requests by ``requestId``, not entries.
"""

from collections.abc import Iterator

from daemon.emulator.counts import Request
from daemon.emulator.model import Deployment, Project
from daemon.emulator.wire import Json, request_id

MIDDLEWARE_EVERY = 4
"""One in so many function requests passes a middleware, which logs an entry of its own."""
REVALIDATION_EVERY = 50
"""One in so many good GETs lets the platform rebuild its page in the background."""
CRASHED = "FUNCTION_INVOCATION_FAILED"
_REGION = "iad1"
_SOURCES = {"serverless": "lambda", "static": "static", "edge-function": "edge", "edge-middleware": "edge"}


def entries_of(project: Project, deployment: Deployment, row: Request) -> list[Json]:
    """Return every entry of the request *row*, in the order in which they were logged."""
    logged = enumerate(_all(project, deployment, row))
    return [{**entry, "id": f"{row.at_ms}{row.number:010d}{index:02d}"} for index, entry in logged]


def _all(project: Project, deployment: Deployment, row: Request) -> Iterator[Json]:
    common = _common(project, deployment, row)
    is_function = row.source == "serverless" and not row.key.waf_action
    if is_function and row.number % MIDDLEWARE_EVERY == 0:
        middleware = {"source": "edge", "edgeType": "middleware", "level": "info"}
        yield {**common, **middleware, "message": f"middleware {row.path}"}
    yield {**common, **_own(row), "message": f"[{row.key.request_method}] {row.path} status={row.key.http_status}"}
    if row.message is not None:
        yield {**common, **_own(row), "level": "error", "type": "stderr", "message": row.message}
        yield {**common, **_own(row), "level": "error", "type": "stderr", "message": f"    at {row.key.route}"}
    for level, text in row.more_lines:
        yield {**common, **_own(row), "level": level, "type": "stderr", "message": text}
    if is_function and row.key.http_status == 200 and row.number % REVALIDATION_EVERY == 0:
        yield _revalidation(common, row)


def _own(row: Request) -> Json:
    """Return what the entries of the request itself have; -1 is a function that crashed before it answered."""
    status = row.key.http_status
    source = "firewall" if row.key.waf_action else _SOURCES[row.source]
    level = "error" if status >= 500 else "warning" if status >= 400 else "info"
    has_crashed = source == "lambda" and row.key.error_code == CRASHED
    return {"source": source, "level": level, "statusCode": -1 if has_crashed else status}


def _common(project: Project, deployment: Deployment, row: Request) -> Json:
    return {
        "deploymentId": deployment.id,
        "host": deployment.url,
        "timestamp": row.at_ms,
        "projectId": project.id,
        "projectName": project.name,
        "environment": row.key.environment,
        "branch": deployment.commit.branch,
        "requestId": request_id(row),
        "path": row.key.route,
        "entrypoint": row.key.route.strip("/") or "index",
        "executionRegion": _REGION,
        "proxy": _proxy(row),
    }


def _proxy(row: Request) -> Json:
    proxy: Json = {
        "timestamp": row.at_ms,
        "method": row.key.request_method,
        "host": row.domain,
        "path": row.path,
        "userAgent": ["Mozilla/5.0"],
        "region": "fra1",
        "statusCode": row.key.http_status,
        "clientIp": f"203.0.113.{row.number % 254 + 1}",
        "scheme": "https",
        "pathType": "static" if row.source == "static" else "func",
        "vercelId": f"fra1::{request_id(row)}",
        "vercelCache": "MISS",
        "lambdaRegion": _REGION,
    }
    return {**proxy, "wafAction": row.key.waf_action} if row.key.waf_action else proxy


def _revalidation(common: Json, row: Request) -> Json:
    own_id = f"{common['requestId']}-revalidation"
    proxy = {**common["proxy"], "statusCode": -1, "pathType": "background_func", "vercelId": own_id}
    message = f"revalidated {row.path}"
    return {
        **common,
        "source": "lambda",
        "level": "info",
        "statusCode": 200,
        "requestId": own_id,
        "proxy": proxy,
        "message": message,
    }
