"""Asks every source about every project that it is configured for, once and together where the source can."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta

from daemon.core.facts import ProjectId
from daemon.doctor.facts import NotAsked, Told
from daemon.doctor.looking import Ways
from daemon.ports.errors import PortError
from daemon.ports.source import Reading, Wanted
from daemon.settings import ProjectSettings
from daemon.sources import Means, SourceSettings, build_source
from daemon.sources.exclusions import Exclusions
from daemon.sources.log_drain import LogDrainSettings

LOOKED_BACK = timedelta(minutes=15)
"""How much of the past the sources are asked about."""
NO_STORE = NotAsked("the store cannot be used: see above")

Collected = Mapping[tuple[str, str], Told[Reading]]
"""What each source said of each project, by the project's id and the source's kind."""


async def collect(ways: Ways, projects: Mapping[str, ProjectSettings]) -> Collected:
    """Return what the sources of *projects*, which are given by their ids, say of them."""
    shared: dict[tuple[SourceSettings, Exclusions], list[str]] = defaultdict(list)
    for project, settings in projects.items():
        for one in settings.sources:
            shared[one, settings.exclusions].append(project)
    answers = await asyncio.gather(*(_ask(ways, *one, batch) for one, batch in shared.items()))
    return {(project, kind): told for kind, by_project in answers for project, told in by_project.items()}


async def _ask(
    ways: Ways, settings: SourceSettings, exclusions: Exclusions, projects: Sequence[str]
) -> tuple[str, Mapping[str, Told[Reading]]]:
    if isinstance(settings, LogDrainSettings) and ways.is_store_broken:
        return settings.kind, dict.fromkeys(projects, NO_STORE)
    source = build_source(settings, Means(ways.reading, ways.buckets, ways.clock), exclusions)
    batches = [projects] if source.is_fleet_wide else [[project] for project in projects]
    now = ways.clock.now()
    wanted = [[Wanted(ProjectId(project), now - LOOKED_BACK) for project in batch] for batch in batches]
    answers = await asyncio.gather(*(ways.patience.ask(source.collect(batch, now=now)) for batch in wanted))
    return settings.kind, {
        project: told if isinstance(told, PortError) else told[ProjectId(project)]
        for batch, told in zip(batches, answers, strict=True)
        for project in batch
    }
