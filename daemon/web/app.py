"""Metrics and health over HTTP: an ASGI app that shows and never acts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route


@dataclass(frozen=True, slots=True)
class Health:
    """How the daemon is. `cycle_age_seconds` counts from the start before the first cycle ended.

    `progress_age_seconds` counts from when a cycle, or one project's part of it, last began or ended: it stays short
    while Vercel hangs and cycles take long.
    """

    cycle_age_seconds: float
    cycle_age_seconds_max: float
    progress_age_seconds: float
    progress_age_seconds_max: float
    has_completed: bool
    is_leader: bool
    frozen: tuple[str, ...]

    @property
    def is_alive(self) -> bool:
        """Whether it gets on: only a restart helps where not even a read that hangs was given up."""
        return self.progress_age_seconds <= self.progress_age_seconds_max

    @property
    def is_ready(self) -> bool:
        """Whether it holds the lease, has completed a cycle lately, and no project is frozen."""
        is_recent = self.cycle_age_seconds <= self.cycle_age_seconds_max
        return self.is_leader and self.has_completed and is_recent and self.is_alive and not self.frozen


def build_app(
    registry: CollectorRegistry, health: Callable[[], Health], receivers: Sequence[BaseRoute] = ()
) -> Starlette:
    """Return the app, with the routes of *receivers* beside its own.

    `/healthz` answers whether to restart the process, `/readyz` whether it watches and may act.
    """

    async def healthz(_request: Request) -> Response:
        now = health()
        return _answer(now, is_good=now.is_alive)

    async def readyz(_request: Request) -> Response:
        now = health()
        return _answer(now, is_good=now.is_ready)

    return Starlette(
        routes=[metrics_route(registry), Route("/healthz", healthz), Route("/readyz", readyz), *receivers],
    )


def metrics_route(registry: CollectorRegistry) -> Route:
    """Return the route that Prometheus scrapes, in whichever form it asks for."""

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)

    return Route("/metrics", metrics)


def _answer(health: Health, *, is_good: bool) -> Response:
    body = {
        "ok": is_good,
        "leader": health.is_leader,
        "cycle_age_seconds": health.cycle_age_seconds,
        "cycle_age_seconds_max": health.cycle_age_seconds_max,
        "progress_age_seconds": health.progress_age_seconds,
        "progress_age_seconds_max": health.progress_age_seconds_max,
        "frozen": list(health.frozen),
    }
    return JSONResponse(body, status_code=200 if is_good else 503)
