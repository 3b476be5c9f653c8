"""Tells projects in trouble when the platform is suspected, by the vote of the others or by the provider's own word."""

from collections.abc import Iterable

import structlog

from daemon.core.event import PlatformSuspected
from daemon.core.platform import is_concerned, suspicion, vote_of
from daemon.engine.moments import Moments
from daemon.engine.project import Project
from daemon.engine.supervisor import Supervisor
from daemon.engine.unhurried import unhurried
from daemon.ports.errors import PortError
from daemon.ports.status_page import StatusPage

STATUS_PAGE_EVERY_SECONDS = 60.0
_WORD_SECONDS_MAX = 1800.0
"""How long the page's last word holds while it cannot be read."""

log = structlog.get_logger()


class PlatformWatch:
    """What is known of the platform. `status_page` is None where nobody asks the provider."""

    def __init__(self, status_page: StatusPage | None, *, moments: Moments, supervisor: Supervisor) -> None:
        self._status_page = status_page
        self._moments = moments
        self._supervisor = supervisor
        self._incident = ""
        self._read_at = 0.0
        self._trouble = ""

    async def check(self) -> None:
        """Read the provider's word. What cannot be read says nothing new: the last word holds for half an hour."""
        if self._status_page is None:
            return
        incident, trouble = "", ""
        try:
            incident = await self._status_page.read_incident()
            self._read_at = self._moments.now().elapsed
        except PortError as error:
            trouble = str(error)
            # Such pages fail in outages, too: what was said last holds for a while.
            is_fresh = self._moments.now().elapsed - self._read_at <= _WORD_SECONDS_MAX
            incident = self._incident if is_fresh else ""
        if incident and incident != self._incident:
            log.warning("platform.suspected", summary=incident)
        if self._incident and not incident:
            log.info("platform.cleared", summary=trouble or f"over: {self._incident}")
        if trouble and trouble != self._trouble:
            log.warning("read.failed", what="status page", error=trouble)
        self._incident, self._trouble = incident, trouble

    async def tell(self, projects: Iterable[Project]) -> None:
        """Tell every project in trouble why the platform is suspected, where it is."""
        moment = self._moments.now()
        watched = [(one, one.state, one.policy()) async for one in unhurried(projects) if one.state]
        votes = [vote_of(state, policy, moment) async for _, state, policy in unhurried(watched)]
        said = [f"Vercel's status page says: {self._incident}"] if self._incident else []
        sentence = "; ".join([*said, *filter(None, [suspicion(vote for vote in votes if vote)])])
        async for project, state, policy in unhurried(watched if sentence else []):
            if is_concerned(state, policy, moment):
                work = self._tell_one(project, sentence)
                await self._supervisor.guard(work, name=f"{project.id}:platform", on_bug=project.freeze)

    async def _tell_one(self, project: Project, sentence: str) -> None:
        await project.tell(PlatformSuspected(self._moments.now(), sentence))
