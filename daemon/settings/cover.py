"""Which entry of `projects` each project of the team is decided by."""

from collections.abc import Mapping

from daemon.core.facts import ProjectId
from daemon.settings.model import Settings


def cover(settings: Settings, named: Mapping[ProjectId, int], listed: Mapping[ProjectId, str]) -> dict[ProjectId, int]:
    """Return the number of the entry that each project is decided by; projects that none covers are left out.

    *named* holds those that an entry names, by id or name, which win; *listed* all of the team with their names, of
    which each goes to the first entry whose pattern covers it.
    """
    patterns = [(index, entry) for index, entry in enumerate(settings.projects) if entry.match is not None]
    covered = dict(named)
    for project in sorted(listed.keys() - named.keys()):
        index = next((index for index, entry in patterns if entry.covers(listed[project])), None)
        if index is not None:
            covered[project] = index
    return covered
