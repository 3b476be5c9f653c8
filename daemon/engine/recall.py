"""What was normal before the daemon came: asked for once a project, in the background of the polls."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

import structlog

from daemon.core.event import PastRecalled
from daemon.core.facts import ProjectId
from daemon.engine.moments import Moments
from daemon.engine.project import Project
from daemon.engine.supervisor import Supervisor
from daemon.ports.source import Reading, Source

RECALL_EVERY_SECONDS = 600.0
PAST = timedelta(hours=24)
TRIES_MAX = 6
"""After an hour the daemon has seen for itself what is normal, as far as an hour shows it."""

log = structlog.get_logger()


class Recall:
    """Reads the past of projects whose detectors want it and do not know it yet.

    Each source of a project's chain is asked in turn until one remembers; projects with the same source together.
    """

    def __init__(
        self,
        projects: Callable[[], Sequence[Project]],
        chain: Callable[[ProjectId], Sequence[Source]],
        *,
        moments: Moments,
        supervisor: Supervisor,
    ) -> None:
        self._projects = projects
        self._chain = chain
        self._moments = moments
        self._supervisor = supervisor
        self._tries: dict[ProjectId, int] = defaultdict(int)

    async def read(self) -> None:
        """Ask for every project that is due."""
        due = [one for one in self._projects() if self._is_due(one)]
        for project in due:
            self._tries[project.id] += 1
        for turn in range(max((len(self._chain(one.id)) for one in due), default=0)):
            due = await self._ask(due, turn)

    def _is_due(self, project: Project) -> bool:
        state = project.state
        if state is None or state.is_past_known or project.is_frozen or self._tries[project.id] >= TRIES_MAX:
            return False
        return any(one.follows_production for one in project.policy().detectors)

    async def _ask(self, projects: Iterable[Project], turn: int) -> list[Project]:
        """Ask the source that is number *turn* in each chain; return the projects of which it knew nothing."""
        by_source: dict[int, tuple[Source, list[Project]]] = {}
        for project in projects:
            chain = self._chain(project.id)
            if turn < len(chain):
                by_source.setdefault(id(chain[turn]), (chain[turn], []))[1].append(project)
        left: list[Project] = []
        for source, theirs in by_source.values():
            moment = self._moments.now()
            ids = [one.id for one in theirs]
            left += await self._tell(theirs, await source.recall(ids, since=moment.at - PAST, now=moment.at))
        return left

    async def _tell(self, projects: Iterable[Project], readings: Mapping[ProjectId, object]) -> list[Project]:
        """Tell every project what was read of it; return those of which nothing was."""
        left = []
        for project in projects:
            reading = readings[project.id]
            if isinstance(reading, Reading):
                work = self._tell_one(project, reading)
                await self._supervisor.guard(work, name=f"{project.id}:recall", on_bug=project.freeze)
            else:
                left.append(project)
        return left

    async def _tell_one(self, project: Project, reading: Reading) -> None:
        if await project.tell(PastRecalled(self._moments.now(), reading.source, tuple(reading.samples))):
            requests = sum(one.requests or 0 for one in reading.samples)
            log.info("past.recalled", project=project.id, source=reading.source, requests=requests)
