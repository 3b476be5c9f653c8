"""Opens the sources that a configuration names, and pulls each project's history back from the first that can."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

from prometheus_client import CollectorRegistry

from daemon import __version__
from daemon.backtest.compare import is_chosen
from daemon.backtest.from_source import pull
from daemon.backtest.history import ProjectHistory
from daemon.bootstrap.transports import open_transports
from daemon.core.facts import ProjectId
from daemon.ports.clock import Clock
from daemon.settings import ProjectSettings, Settings
from daemon.sources.observability import ObservabilitySettings
from daemon.sources.prometheus import PrometheusSettings
from daemon.telemetry.metrics import Metrics
from daemon.vercel.hosting import VercelHosting
from daemon.vercel.transport import VercelTransport

PROJECTS_MAX = 20
"""So many projects are pulled together: they share requests, and all of their counts are held at once."""
_WINDOWS_PER_LOOKBACK = 2
"""A window is so much shorter than what a source reaches back, because it reads some minutes twice."""

Pullable = ObservabilitySettings | PrometheusSettings


async def pull_histories(
    settings: Settings, clock: Clock, *, project: str, since: datetime, tell: Callable[[str], None]
) -> AsyncIterator[ProjectHistory]:
    """Yield what can be pulled of each project that matches; *tell* hears of what goes on and of what cannot be pulled.

    Raises HistoryError where a source refuses, and other PortErrors where Vercel cannot be asked for a project's id.
    """
    until = clock.now()
    async with AsyncExitStack() as stack:
        metrics = Metrics(CollectorRegistry(), version=__version__)
        transport, _ = await open_transports(settings, clock, metrics, stack)
        hosting = VercelHosting(transport)
        by_source: dict[Pullable, list[ProjectId]] = defaultdict(list)
        for one in settings.projects:
            project_id = ProjectId(one.id) if one.id else await hosting.resolve_project(one.label)
            if not (is_chosen(settings, project_id, project) or is_chosen(settings, ProjectId(one.label), project)):
                continue
            source = _first_pullable(one)
            if source:
                by_source[source].append(project_id)
            else:
                tell(f"{one.label}: none of its sources keeps counts that could be pulled back; left out")
        for source, projects in by_source.items():
            for batch in _batches(projects):
                tell(f"pulling {len(batch)} projects from {source.kind}")
                for history in await _pull(source, transport, batch, settings, since=since, until=until):
                    yield history


async def _pull(
    source: Pullable,
    transport: VercelTransport,
    projects: Sequence[ProjectId],
    settings: Settings,
    *,
    since: datetime,
    until: datetime,
) -> Sequence[ProjectHistory]:
    opened = source.open(transport) if isinstance(source, ObservabilitySettings) else source.open()
    return await pull(
        opened,
        projects,
        since=since,
        until=until,
        window=source.lookback_max / _WINDOWS_PER_LOOKBACK,
        # On average a daemon looks half an interval after counts are there.
        lag=source.lag + settings.poll.interval / 2,
    )


def _first_pullable(project: ProjectSettings) -> Pullable | None:
    return next((one for one in project.sources if isinstance(one, Pullable)), None)


def _batches(projects: Sequence[ProjectId]) -> Sequence[Sequence[ProjectId]]:
    return [projects[start : start + PROJECTS_MAX] for start in range(0, len(projects), PROJECTS_MAX)]
