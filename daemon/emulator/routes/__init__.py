"""The API, one file per area."""

from daemon.emulator.call import Route
from daemon.emulator.routes import (
    account,
    alerts,
    build_events,
    builds,
    deployments,
    drains,
    metrics,
    moves,
    observability,
    projects,
    records,
    request_logs,
    rolling_releases,
    runtime_logs,
    settings,
    tokens,
    webhooks,
)

API_ROUTES: tuple[Route, ...] = (
    *account.ROUTES,
    *tokens.ROUTES,
    *moves.ROUTES,
    *rolling_releases.ROUTES,
    *projects.ROUTES,
    *deployments.ROUTES,
    *builds.ROUTES,
    *build_events.ROUTES,
    *settings.ROUTES,
    *observability.ROUTES,
    *metrics.ROUTES,
    *records.ROUTES,
    *runtime_logs.ROUTES,
    *alerts.ROUTES,
    *request_logs.ROUTES,
    *drains.ROUTES,
    *webhooks.ROUTES,
)
