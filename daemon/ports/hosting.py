"""The platform that serves production: what can be read of it, and the single verb that moves it."""

from collections.abc import Sequence
from typing import Protocol

from daemon.core.facts import Deployment, DeploymentId, Production, ProjectId


class HostingReader(Protocol):
    """Reads of the platform. All raise Unavailable, RateLimited, Refused or Unintelligible, and nothing else."""

    async def read_production(self, project: ProjectId) -> Production:
        """Return which deployment serves production now, and the newest alias job (failed aliases included)."""

    async def list_targets(self, project: ProjectId) -> Sequence[Deployment]:
        """Return the deployments that the platform would accept as a rollback's target, newest first, bounded."""


class Rollback(Protocol):
    """The actuator: one verb by construction."""

    async def roll_back(self, project: ProjectId, *, target: DeploymentId, description: str) -> None:
        """Ask once for production to go back to *target*; returning means accepted, not done. Never retries.

        Raises Refused (4xx), RateLimited (429), Unavailable (surely not sent), OutcomeUnknown (perhaps sent).
        """
