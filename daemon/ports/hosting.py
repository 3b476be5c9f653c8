"""The platform that serves production: what can be read of it, and the single verb that moves it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from daemon.core.facts import Deployment, DeploymentId, Production, ProjectId
from daemon.ports.errors import PortError


class HostingReader(Protocol):
    """Reads of the platform. They raise Unavailable, RateLimited, Refused or Unintelligible, and nothing else."""

    async def read_production(self, project: ProjectId) -> Production:
        """Return which deployment serves production now, and the newest alias job (failed aliases included)."""

    def read_productions(
        self, projects: Sequence[ProjectId]
    ) -> AsyncIterator[Mapping[ProjectId, Production | PortError]]:
        """Yield the same of many projects in few requests: one entry each, its production or why it is not known.

        Every part is as young as the moment at which it was asked for: with many projects the first is long told when
        the last is read.

        It tells where to look, not what to do: `alias_job` None means that none was *told*, here, and failed aliases
        never are. Told to the core as it is, a running job of somebody else would be forgotten, which holds actions; a
        foreign rollback would look like a promote; and no decision would survive its preflight, which sees the job. So
        keep the job that is known while the same deployment serves, and read the project itself before anything is
        concluded or done. Raises nothing.
        """

    async def list_targets(self, project: ProjectId) -> Sequence[Deployment]:
        """Return the deployments that the platform would accept as a rollback's target, newest first, bounded."""


class ProjectLister(Protocol):
    """Reads which projects there are."""

    async def list_projects(self) -> Mapping[ProjectId, str]:
        """Return the name of every project of the team, all of them or none.

        A project that changes while the list is read may be missing from it. Raises Unavailable, RateLimited, Refused
        or Unintelligible unless the list is complete.
        """


class Rollback(Protocol):
    """The actuator: one verb by construction."""

    async def roll_back(self, project: ProjectId, *, target: DeploymentId, description: str) -> None:
        """Ask once for production to go back to *target*; returning means accepted, not done. Never retries.

        Raises Refused (4xx), RateLimited (429), Unavailable (surely not sent), OutcomeUnknown (perhaps sent).
        """
