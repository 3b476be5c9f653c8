"""The clients for Vercel: one to read, one to act, and one budget for both."""

import os
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from daemon.ports.clock import Clock
from daemon.settings import Settings
from daemon.telemetry.metrics import Metrics
from daemon.vercel.budget import RateBudget
from daemon.vercel.transport import ActingTransport, Limits, VercelTransport

_Transport = TypeVar("_Transport", bound=VercelTransport)


async def open_transports(
    settings: Settings, clock: Clock, metrics: Metrics, stack: AsyncExitStack
) -> tuple[VercelTransport, ActingTransport]:
    """Open one client to read and another to act, so that a rollback never queues behind polls."""
    jitter = random.Random(os.urandom(8)).random
    timeout = settings.vercel.request_timeout.total_seconds()
    limits = Limits(connect_timeout_seconds=timeout / 2, read_timeout_seconds=timeout, request_timeout_seconds=timeout)
    budget = RateBudget(
        clock=clock,
        jitter=jitter,
        requests_per_minute_max=settings.vercel.requests_per_minute_max,
        on_wait=lambda route, seconds: metrics.vercel_budget_wait.labels(route=route).inc(seconds),
        on_withheld=lambda route, cause: metrics.vercel_withheld.labels(route=route, cause=cause).inc(),
    )

    def count(route: str, status: int, seconds: float) -> None:
        metrics.vercel_requests.labels(route=route, status=str(status)).inc()
        metrics.vercel_request_duration.labels(route=route).observe(seconds)

    def build(kind: type[_Transport], token: Callable[[], str]) -> _Transport:
        return kind(
            settings.vercel.api_url,
            token,
            clock=clock,
            jitter=jitter,
            team_id=settings.vercel.team,
            limits=limits,
            budget=budget,
            on_response=count,
            on_retry=lambda route: metrics.vercel_retries.labels(route=route).inc(),
        )

    reading = await stack.enter_async_context(build(VercelTransport, settings.vercel.token_to_read))
    acting = await stack.enter_async_context(build(ActingTransport, settings.vercel.token_to_act))
    return reading, acting
