"""The deployed sites: what a visitor of a generated URL or of a production domain gets."""

import html

from starlette.responses import Response

from daemon.emulator.world import World

_REGION = "iad1"


def is_site(world: World, host: str) -> bool:
    """Tell whether *host* belongs to a deployment or a project, so that the API does not answer there."""
    if host.endswith(".vercel.app"):
        return True
    return any(host in project.domains for project in world.projects.values())


def answer(world: World, host: str, method: str, path: str) -> Response:
    """Return what the deployment behind *host* answers; 404 with Vercel's error header when there is none."""
    deployment = world.deployment_at(host)
    if deployment is None or deployment.ready_at_ms is None:
        headers = {"server": "Vercel", "x-vercel-error": "DEPLOYMENT_NOT_FOUND"}
        return Response("The deployment could not be found on Vercel.\n\nDEPLOYMENT_NOT_FOUND\n", 404, headers)
    project = world.projects[deployment.project_id]
    visit = world.traffic_of(project).visit(deployment, at_ms=world.now_ms, domain=host, path=path, method=method)
    status = visit.key.http_status
    headers = {
        "server": "Vercel",
        "x-vercel-id": f"{_REGION}::{visit.number:08d}-{visit.at_ms}",
        "x-vercel-cache": "MISS",
    }
    if visit.key.error_code:
        headers["x-vercel-error"] = visit.key.error_code
    if status in (204, 304):
        return Response(status_code=status, headers=headers)
    text = visit.message if visit.message is not None else f"{deployment.name} answers {status}"
    return Response(f"<!doctype html><p>{html.escape(text)}</p>\n", status, headers, "text/html")
