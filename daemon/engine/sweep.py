"""Production states of a whole fleet, read a page at a time in the background: a look that says where to look."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.core.facts import Instant, Production, ProjectId
from daemon.engine.moments import Moments
from daemon.ports.errors import PortError
from daemon.ports.hosting import HostingReader

SWEPT_FROM_PROJECTS = 20
"""Fewer projects than this are looked at one by one at every poll: that is no more than a request or two a second."""
SWEEP_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep said of one project, as of its beginning."""

    moment: Instant
    production: Production | PortError


class Sweep:
    """Reads every project's production state in the background of the polls, and keeps it until it is asked for."""

    def __init__(self, hosting: HostingReader, projects: Sequence[ProjectId], moments: Moments) -> None:
        self._hosting = hosting
        self._projects = tuple(projects)
        self._moments = moments
        self._found: dict[ProjectId, Swept] = {}

    def watch(self, projects: Sequence[ProjectId]) -> None:
        """Read these from the next time on; what was found of others before says nothing any more."""
        self._projects = tuple(projects)
        self._found = {}

    async def read(self) -> None:
        """Read all of them once."""
        moment = self._moments.now()
        found = await self._hosting.read_productions(self._projects)
        self._found = {project: Swept(moment, production) for project, production in found.items()}

    def found(self, project: ProjectId) -> Swept | None:
        """Return what `take` would, and leave it there."""
        return self._found.get(project)

    def take(self, project: ProjectId) -> Swept | None:
        """Return what the newest sweep said of *project*, once; None when there is nothing new."""
        return self._found.pop(project, None)
