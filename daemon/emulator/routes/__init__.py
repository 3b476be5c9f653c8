"""The API, one file per area."""

from daemon.emulator.call import Route
from daemon.emulator.routes import account, deployments, moves, observability, projects, request_logs

API_ROUTES: tuple[Route, ...] = (
    *account.ROUTES,
    *moves.ROUTES,
    *projects.ROUTES,
    *deployments.ROUTES,
    *observability.ROUTES,
    *request_logs.ROUTES,
)
