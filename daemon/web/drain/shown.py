"""What `lastgood drain` shows of itself, on an address of its own: metrics and health."""

from datetime import timedelta

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.web.app import metrics_route
from daemon.web.drain.handover import Handover

_AGE_INTERVALS = 4
_AGE_SECONDS_MAX_MIN = 30.0
"""A store under load may take some seconds for one write; nobody is restarted for that."""


def build_shown(registry: CollectorRegistry, handover: Handover, *, interval: timedelta) -> Starlette:
    """Return the app: `/metrics`, and `/healthz` which answers whether to restart the process.

    `/readyz` answers whether what comes in reaches the store.
    """
    age_max = max(_AGE_SECONDS_MAX_MIN, _AGE_INTERVALS * interval.total_seconds())

    async def healthz(_request: Request) -> Response:
        return answer(is_good=handover.age_seconds <= age_max)

    async def readyz(_request: Request) -> Response:
        return answer(is_good=handover.age_seconds <= age_max and not handover.is_failing)

    def answer(*, is_good: bool) -> Response:
        body = {
            "ok": is_good,
            "handover_age_seconds": handover.age_seconds,
            "handover_age_seconds_max": age_max,
            "store_failing": handover.is_failing,
        }
        return JSONResponse(body, status_code=200 if is_good else 503)

    return Starlette(routes=[metrics_route(registry), Route("/healthz", healthz), Route("/readyz", readyz)])
