"""Which projects the team has, as its listings tell over time."""

from collections import Counter
from collections.abc import Callable, Mapping

from daemon.core.facts import ProjectId

LISTINGS_MISSED_MAX = 3
"""A project is gone when so many complete listings in a row lack it: one that changes meanwhile may be on no page."""


class Discovery:
    """Remembers the projects of the newest listings. A listing that failed is no listing, and changes nothing."""

    def __init__(self) -> None:
        self._names: dict[ProjectId, str] = {}
        self._missed: Counter[ProjectId] = Counter()

    @property
    def listed(self) -> Mapping[ProjectId, str]:
        """The projects that there are, each with its newest name."""
        return self._names

    def take_in(self, listing: Mapping[ProjectId, str], *, keeps: Callable[[ProjectId], bool]) -> None:
        """Take in one complete *listing*; what is missing too often is forgotten, unless somebody *keeps* it."""
        for project in self._names.keys() - listing.keys():
            self._missed[project] += 1
            if self._missed[project] >= LISTINGS_MISSED_MAX and not keeps(project):
                del self._names[project], self._missed[project]
        for project in listing:
            self._missed.pop(project, None)
        self._names.update(listing)
