"""Which projects are looked at: those that the configuration names, and those of the team that its patterns match."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.core.facts import ProjectId
from daemon.doctor.line import Line, Name, fail, ok, warn
from daemon.doctor.looking import Ways
from daemon.doctor.remedies import remedy_of
from daemon.ports.errors import PortError
from daemon.settings import ProjectSettings
from daemon.settings.cover import cover
from daemon.vercel.hosting import VercelHosting


@dataclass(frozen=True, slots=True)
class Covered:
    """The projects to look at, and what is to be said of the patterns; nothing where there is none."""

    projects: Sequence[ProjectSettings]
    lines: Sequence[Line] = ()


async def cover_projects(ways: Ways) -> Covered:
    """Return the projects of the configuration, each project that a pattern covers with its own id and name."""
    entries = ways.settings.projects
    named = [one for one in entries if one.match is None]
    if len(named) == len(entries):
        return Covered(named)
    listing = await ways.patience.ask(VercelHosting(ways.reading).list_projects())
    if isinstance(listing, PortError):
        return Covered(named, [fail(Name.MATCH, str(listing), remedy_of(listing))])
    own = {
        project: index
        for project, name in listing.items()
        for index, entry in enumerate(entries)
        if entry.match is None and (entry.id == project or (entry.id is None and entry.name == name))
    }
    found = [_one_of(entries[index], project, listing) for project, index in _matched(ways, own, listing)]
    said = f"{len(found)} of {len(listing)} projects of the team are matched"
    if not found:
        remedy = "correct the pattern, or give the token's user access to the projects"
        return Covered(named, [warn(Name.MATCH, said, remedy)])
    return Covered([*named, *found], [ok(Name.MATCH, said)])


def _matched(ways: Ways, own: Mapping[ProjectId, int], listing: Mapping[ProjectId, str]) -> list[tuple[ProjectId, int]]:
    covered = cover(ways.settings, own, listing)
    return [(project, index) for project, index in covered.items() if project not in own]


def _one_of(entry: ProjectSettings, project: ProjectId, names: Mapping[ProjectId, str]) -> ProjectSettings:
    return entry.model_copy(update={"id": project, "name": names[project], "match": None, "exclude": ()})
