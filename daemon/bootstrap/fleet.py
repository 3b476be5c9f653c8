"""Which projects are watched, by which policy and through which sources: what the configuration in force wants."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from daemon.core.facts import ProjectId
from daemon.core.guardrail import Posture
from daemon.core.policy import Policy
from daemon.engine.project import Project
from daemon.ports.errors import Misconfigured, PortError
from daemon.ports.source import Source
from daemon.settings import ProjectSettings, Settings
from daemon.sources import SourceSettings
from daemon.sources.exclusions import Exclusions
from daemon.telemetry.metrics import Metrics

REMOVED = "removed"
"""Stands in place of a policy's digest where the configuration names the project no more."""

Tell = Callable[[Sequence[Project], Mapping[ProjectId, Sequence[Source]]], None]
"""Tells the poller of a whole set of projects, and of the sources of each."""

_Reading = tuple[SourceSettings, Exclusions]
"""What a source reads, and what it leaves out."""

log = structlog.get_logger()


class Make(Protocol):
    """Makes a project that nobody has watched yet."""

    def __call__(self, *, id: ProjectId, policy: Callable[[], Policy]) -> Project:  # noqa: A002 - a project's own word
        """Return it."""


class Unresolved(Exception):
    """Nobody can say which project one entry of `projects` means. `index` is its own, `error` what came of asking."""

    def __init__(self, index: int, error: PortError) -> None:
        super().__init__(str(error))
        self.index = index
        self.error = error


class Fleet:
    """The projects that are watched, in step with the configuration.

    A project has one object for the life of the process, however often it comes and goes: it is the only writer of its
    state, and what it has under way ends in it; one that froze stays frozen. One that the configuration names no more
    is let go when no incident of it is open: until then it is watched on, under posture `observe`, so that what was
    begun is seen to its end and nothing new is done.
    """

    def __init__(
        self,
        *,
        make: Make,
        build: Callable[[SourceSettings, Exclusions], Source],
        resolve: Callable[[str], Awaitable[ProjectId]],
        tell: Tell,
        metrics: Metrics,
    ) -> None:
        self._make = make
        self._build = build
        self._resolve = resolve
        self._tell = tell
        self._metrics = metrics
        self._entries: Mapping[ProjectId, ProjectSettings] = {}
        self._known: dict[ProjectId, Project] = {}
        self._policies: dict[ProjectId, Policy] = {}
        self._chains: dict[ProjectId, tuple[Source, ...]] = {}
        self._built: dict[_Reading, Source] = {}
        self._names: dict[str, ProjectId] = {}
        self.projects: tuple[Project, ...] = ()
        """Those that are watched now."""

    async def prepare(self, settings: Settings) -> Callable[[], None]:
        """Do all of *settings* that may fail, and return what puts them in force at a stroke.

        A name is resolved once, by asking Vercel. Sources whose settings stay as they were are kept, with what they
        remember, and projects with the same settings, and the same exclusions, share one. Raises Unresolved.
        """
        entries = await self._identify(settings)
        wanted = {one for entry in settings.projects for one in _readings(entry)}
        built = {one: self._built.get(one) or self._build(*one) for one in wanted}
        policies = {project: settings.policy_for(entry) for project, entry in entries.items()}
        return partial(self._adopt, entries, policies, built)

    def tidy(self) -> None:
        """Let go of those that are only watched on for an incident that is over by now."""
        if any(one.id not in self._entries and not _has_open_incident(one) for one in self.projects):
            self._rearrange()

    async def _identify(self, settings: Settings) -> Mapping[ProjectId, ProjectSettings]:
        entries: dict[ProjectId, ProjectSettings] = {}
        for index, entry in enumerate(settings.projects):
            try:
                project = ProjectId(entry.id) if entry.id else await self._find(entry.label)
            except PortError as error:
                raise Unresolved(index, error) from error
            if project in entries:
                first = entries[project].label
                message = f"projects {first} and {entry.label} are both {project}; remove one of them"
                raise Unresolved(index, Misconfigured(message))
            entries[project] = entry
        return entries

    async def _find(self, name: str) -> ProjectId:
        if name not in self._names:
            self._names[name] = await self._resolve(name)
        return self._names[name]

    def _adopt(
        self,
        entries: Mapping[ProjectId, ProjectSettings],
        policies: Mapping[ProjectId, Policy],
        built: dict[_Reading, Source],
    ) -> None:
        self._entries, self._built = entries, built
        for project, policy in policies.items():
            self._rule(project, policy)
        self._rearrange()

    def _rule(self, project: ProjectId, policy: Policy) -> None:
        """Decide *project* by *policy* from now on, and let the log say under which configuration that is."""
        if self._policies.get(project) != policy:
            log.info("policy.loaded", project=project, posture=policy.posture, digest=policy.digest)
        self._policies[project] = policy

    def _rearrange(self) -> None:
        before = {one.id: one for one in self.projects}
        leaving = [one for one in self.projects if one.id not in self._entries]
        kept = [one for one in leaving if _has_open_incident(one)]
        for one in leaving:
            self._retire(one, is_kept=one in kept)
        self.projects = (*(self._take_in(project, before) for project in self._entries), *kept)
        chains = {key: tuple(self._built[one] for one in _readings(entry)) for key, entry in self._entries.items()}
        chains |= {one.id: self._chains[one.id] for one in kept}
        gone = before.keys() - {one.id for one in self.projects}
        self._metrics.forget(gone)
        if gone or before.keys() != chains.keys() or chains != self._chains:
            self._chains = chains
            self._tell(self.projects, chains)

    def _take_in(self, project: ProjectId, before: Mapping[ProjectId, Project]) -> Project:
        known = self._known.get(project)
        if known is None:
            known = self._known[project] = self._make(id=project, policy=lambda: self._policies[project])
        if project not in before:
            self._metrics.initialise([project])
            self._metrics.frozen.labels(project=project).set(known.is_frozen)
            known.needs_resume = True
        return known

    def _retire(self, project: Project, *, is_kept: bool) -> None:
        """Leave *project* nothing but to watch; what it has under way may still ask for its policy."""
        was_kept = self._policies[project.id].digest == REMOVED
        retired = replace(self._policies[project.id], posture=Posture.OBSERVE, digest=REMOVED)
        self._policies[project.id] = retired
        if not is_kept:
            log.info("project.gone", project=project.id, summary="the configuration names it no more")
        elif not was_kept:
            summary = (
                "the configuration names it no more; it is watched until its incident is over, and nothing is done"
            )
            log.warning("project.kept", project=project.id, summary=summary)


def _readings(entry: ProjectSettings) -> list[_Reading]:
    return [(one, entry.exclusions) for one in entry.sources]


def _has_open_incident(project: Project) -> bool:
    """Return whether an incident is live or waits for somebody to take it; so too when that is not known."""
    return project.state is None or bool(project.state.incident or project.state.unacknowledged)
