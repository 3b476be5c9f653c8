"""How the daemon is, as its health endpoints show it."""

from collections.abc import Callable

from daemon.engine.cycle import Poller
from daemon.engine.leadership import Leadership
from daemon.engine.project import Project
from daemon.ports.clock import Clock
from daemon.web.app import Health

CYCLE_AGE_INTERVALS = 4
"""A daemon whose last cycle is older than this many intervals is not ready."""


def tell_health(
    poller: Poller,
    projects: tuple[Project, ...],
    leadership: Leadership,
    clock: Clock,
    *,
    interval: float,
    stuck_after: float,
) -> Callable[[], Health]:
    """Return what tells it: *interval* and *stuck_after* are seconds of *clock*."""
    started = clock.monotonic()

    def health() -> Health:
        last = poller.last_completed
        return Health(
            cycle_age_seconds=clock.monotonic() - (started if last is None else last),
            has_completed=last is not None,
            cycle_age_seconds_max=CYCLE_AGE_INTERVALS * interval,
            progress_age_seconds=clock.monotonic() - poller.last_progress,
            progress_age_seconds_max=stuck_after,
            is_leader=leadership.lease is not None,
            frozen=tuple(project.id for project in projects if project.is_frozen),
        )

    return health
