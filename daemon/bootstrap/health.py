"""How the daemon is, as its health endpoints show it."""

from collections.abc import Callable

from daemon.bootstrap.fleet import Fleet
from daemon.engine.cycle import Poller
from daemon.engine.leadership import Leadership
from daemon.ports.clock import Clock
from daemon.runtime.scheduler import Bell
from daemon.web.app import Health

CYCLE_AGE_INTERVALS = 4
"""A daemon whose last cycle is older than this many intervals is not ready."""


def tell_health(
    poller: Poller,
    fleet: Fleet,
    leadership: Leadership,
    clock: Clock,
    *,
    bell: Bell,
    clock_factor: float,
) -> Callable[[], Health]:
    """Return what tells it. *clock* runs *clock_factor* times faster than real time."""
    started = clock.monotonic()

    def health() -> Health:
        silent_seconds_max = CYCLE_AGE_INTERVALS * bell.interval_seconds
        last = poller.last_completed
        return Health(
            cycle_age_seconds=clock.monotonic() - (started if last is None else last),
            # Before the first listing a fleet of patterns has nothing to poll, and is done with that in no time.
            has_completed=last is not None and not fleet.awaits_listing,
            cycle_age_seconds_max=silent_seconds_max,
            progress_age_seconds=clock.monotonic() - poller.last_progress,
            progress_age_seconds_max=silent_seconds_max + poller.poll_seconds_max * clock_factor,
            is_leader=leadership.lease is not None,
            frozen=tuple(project.id for project in fleet.projects if project.is_frozen),
        )

    return health
