"""Counts of one deployment in one minute, and what an answer says of every project, in no dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from daemon.core.facts import DeploymentId, ProjectId
from daemon.ports.errors import Unintelligible


class Counts(NamedTuple):
    """Requests, errors of the deployment's own, and 5xx answers of the platform's, which are among the requests.

    A difference of two may be negative.
    """

    requests: int = 0
    errors: int = 0
    platform_errors: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Return the sum."""
        return Counts(
            self.requests + other.requests,
            self.errors + other.errors,
            self.platform_errors + other.platform_errors,
        )

    def minus(self, other: "Counts") -> "Counts":
        """Return the difference."""
        return Counts(
            self.requests - other.requests,
            self.errors - other.errors,
            self.platform_errors - other.platform_errors,
        )


NOTHING = Counts()
NOBODY = DeploymentId("")
"""Stands for what no deployment answered."""
Cells = dict[DeploymentId, Counts]
ByMinute = dict[datetime, Cells]
"""Cumulative counts of one project: by the minute in which the requests began, then by deployment."""


@dataclass(slots=True)
class Table:
    """What an answer counts. A project without an entry had no requests in its window.

    `seen` holds all counts by minute, of whatever project and of what no deployment answered too: where there are any,
    ingestion got that far. `troubles` are projects whose part of the answer cannot be trusted; the rest can.
    `groups` is how many groups the answer held.
    """

    counts: dict[ProjectId, ByMinute] = field(default_factory=dict)
    seen: dict[datetime, int] = field(default_factory=dict)
    troubles: dict[ProjectId, Unintelligible] = field(default_factory=dict)
    groups: int = 0

    def add(self, project: ProjectId, minute: datetime, deployment: DeploymentId, counts: Counts) -> None:
        """Count *counts* where they belong."""
        cells = self.counts.setdefault(project, {}).setdefault(minute, {})
        cells[deployment] = cells.get(deployment, NOTHING).plus(counts)


def find_contradiction(requests: Mapping[datetime, Cells], errors: Mapping[datetime, Cells]) -> str:
    """Return where more errors than requests are counted, as a sentence; '' where nowhere."""
    for minute, cells in errors.items():
        for deployment, found in cells.items():
            failed = found.errors + found.platform_errors
            asked = requests.get(minute, {}).get(deployment, NOTHING).requests
            if failed > asked:
                return f"{failed} errors of {asked} requests of {deployment} in the minute {minute:%H:%M}"
    return ""


def merge(requests: Mapping[datetime, Cells], errors: Mapping[datetime, Cells]) -> ByMinute:
    """Return requests and errors of the same minutes together."""
    merged: ByMinute = {minute: dict(cells) for minute, cells in requests.items()}
    for minute, cells in errors.items():
        known = merged.setdefault(minute, {})
        for deployment, found in cells.items():
            known[deployment] = known.get(deployment, NOTHING).plus(found)
    return merged
