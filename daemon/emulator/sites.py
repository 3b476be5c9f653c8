"""The deployed sites: what a visitor of a generated URL or of a production domain gets."""

import html
import mimetypes
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from daemon.emulator import protection
from daemon.emulator.model import Deployment
from daemon.emulator.wire import request_id
from daemon.emulator.world import World


def is_site(world: World, host: str) -> bool:
    """Tell whether *host* belongs to a deployment or a project, so that the API does not answer there."""
    if host.endswith(".vercel.app"):
        return True
    return world.has_domain(host)


def answer(world: World, host: str, request: Request) -> Response:
    """Return what the deployment behind *host* answers; 404 with Vercel's error header when there is none.

    A protected one answers a program without a secret of the bypass with the login page, which counts as no visit.
    """
    deployment = world.deployment_at(host)
    if deployment is None or deployment.ready_at_ms is None:
        headers = {"server": "Vercel", "x-vercel-error": "DEPLOYMENT_NOT_FOUND"}
        return Response("The deployment could not be found on Vercel.\n\nDEPLOYMENT_NOT_FOUND\n", 404, headers)
    project = world.projects[deployment.project_id]
    query = dict(parse_qsl(request.url.query))
    is_open = not protection.is_protected(project, host)
    if not is_open and not protection.may_enter(world, project, headers=request.headers, query=query):
        return Response(protection.LOGIN_PAGE, 401, {"server": "Vercel", "cache-control": "no-store"}, "text/html")
    return _visited(world, deployment, host, request)


def _visited(world: World, deployment: Deployment, host: str, request: Request) -> Response:
    path = request.url.path
    file_name, content = _file(world, deployment, path)
    visit = world.traffic_of(world.projects[deployment.project_id]).visit(
        deployment, at_ms=world.now_ms, domain=host, path=path, method=request.method, is_file=content is not None
    )
    status = visit.key.http_status
    headers = {
        "server": "Vercel",
        "x-vercel-id": request_id(visit),
        "x-vercel-cache": "MISS",
    }
    if visit.key.error_code:
        headers["x-vercel-error"] = visit.key.error_code
    if status in (204, 304):
        return Response(status_code=status, headers=headers)
    if content is not None and visit.message is None and status == 200:
        return Response(content, status, headers, mimetypes.guess_type(file_name)[0] or "application/octet-stream")
    text = visit.message if visit.message is not None else f"{deployment.name} answers {status}"
    return Response(f"<!doctype html><p>{html.escape(text)}</p>\n", status, headers, "text/html")


def _file(world: World, deployment: Deployment, path: str) -> tuple[str, bytes | None]:
    """Return the name and the content of the uploaded file at *path*; None when there is none, or it was too big."""
    name = path.strip("/")
    for candidate in (name, f"{name}/index.html".lstrip("/"), f"{name}.html"):
        if sha := deployment.files.get(candidate):
            return candidate, world.uploads.content(sha)
    return name, None
