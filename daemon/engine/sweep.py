"""Production states of a whole fleet, read a page at a time in the background: a look that says where to look."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.core.facts import Instant, Production, ProjectId
from daemon.engine.moments import Moments
from daemon.ports.clock import Clock
from daemon.ports.errors import PortError
from daemon.ports.hosting import HostingReader

SWEPT_FROM_PROJECTS = 20
"""Fewer projects than this are looked at one by one at every poll: that is no more than a request or two a second."""
SWEEP_EVERY_SECONDS = 60.0
_SPREAD_SECONDS = 45.0
"""So long a sweep takes at least, but for the first: a hundred pages at once would make the counts wait for them."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep said of one project, as of the moment at which its page was asked for."""

    moment: Instant
    production: Production | PortError


class Sweep:
    """Reads every project's production state in the background of the polls, and keeps it until it is asked for.

    What a page says can be asked for as soon as it was read. It must not wait for the last page, nor bear the time of
    the first: a sweep that takes minutes would tell of every project as if nobody had looked at it for that long.
    """

    def __init__(self, hosting: HostingReader, projects: Sequence[ProjectId], moments: Moments, clock: Clock) -> None:
        self._hosting = hosting
        self._projects = tuple(projects)
        self._moments = moments
        self._clock = clock
        self._found: dict[ProjectId, Swept] = {}
        self._has_swept = False

    def watch(self, projects: Sequence[ProjectId]) -> None:
        """Read these from the next time on; what was found of others before says nothing any more."""
        self._projects = tuple(projects)
        self._found = {}

    async def read(self) -> None:
        """Read all of them once."""
        began, read = self._clock.monotonic(), 0
        moment = self._moments.now()
        async for found in self._hosting.read_productions(self._projects):
            self._found |= {project: Swept(moment, production) for project, production in found.items()}
            read += len(found)
            if self._has_swept and read < len(self._projects):
                due = began + _SPREAD_SECONDS * read / len(self._projects)
                await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            moment = self._moments.now()
        self._has_swept = True

    def found(self, project: ProjectId) -> Swept | None:
        """Return what `take` would, and leave it there."""
        return self._found.get(project)

    def take(self, project: ProjectId) -> Swept | None:
        """Return what the newest sweep said of *project*, once; None when there is nothing new."""
        return self._found.pop(project, None)
